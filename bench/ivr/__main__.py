# SPDX-License-Identifier: Apache-2.0
"""Measures the media server in a whole Softswitch: switch, relay, media server and store, as calls of phones use them.

    python -m bench.ivr                                    # prompts, 100 to 500 calls; 300 that leave a message
    python -m bench.ivr --does record --calls 300
    python -m bench.ivr --repeat 3 --out /tmp/ivr.jsonl

"play": phones call an access number whose auto attendant plays a long greeting. "record": phones call accounts that
have no phone registered, and leave a message; it is measured once all are past the greeting. Calls arrive at a steady
rate (`--rate` a second), each with digest and RTP both ways through the relay, and all stand while the packets are
counted. Servers run on CPU 0, callers (SIP in Python, RTP in C) on CPU 1.

CPU is user plus system time from /proc over the seconds that were measured, in percent of one core for each call, by
process. Jitter is the difference between the gap of two packets at the caller, stamped by the kernel, and 20 ms; lost
are sequence numbers that never came, paused steps of the timestamp other than 20 ms (the process was held up). First
packet: from the INVITE that is handed to the kernel to the kernel's stamp of the first packet that comes back; the
challenge and the second INVITE are in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import numpy as np

from bench.ivr.callers import Phones, open_sound
from bench.machine import GENERATOR_CPU, SERVER_CPU, calibrate, cpu_seconds, on_cpu, prefer, stolen_seconds
from bench.sip.house import PASSWORD, number, open_disk, open_house
from media.session.recording import wav

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.sip.house import House

CALLERS: Final = Path(__file__).parent.parent / "media" / "callers.c"
USUAL: Final = (("play", 100), ("play", 200), ("play", 300), ("play", 500), ("record", 300))
ACCESS: Final = "*411"
GREETING_SECONDS: Final = 600
PAST_GREETING_SECONDS: Final = 20.0
"""How long after the last answer all callers of "record" are past greeting and beep."""
SETTLE_SECONDS: Final = 3.0
ACCOUNTS: Final = 2000
CONFIG: Final = """\
ivr:
  max_calls: 2000
  access_numbers: {{"*411": "menu:long"}}
  menus:
    long: {{greeting: "{greeting}"}}
voicemail: {{max_seconds: 900, silence_seconds: 60}}
"""


async def give_mailboxes(dsn: str) -> None:
    """Calls to accounts without a phone go to their mailboxes."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("UPDATE billing_account SET answering = $1", '{"mode": "ring_then_voicemail"}')
    finally:
        await connection.close()


def greeting(folder: Path) -> Path:
    """A file of something like speech: noise in syllables."""
    rate = 8000
    samples = np.random.default_rng(1).normal(0, 3000, GREETING_SECONDS * rate)
    samples *= np.abs(np.sin(2 * np.pi * 2 * np.arange(len(samples)) / rate))
    file = folder / "greeting.wav"
    file.write_bytes(wav(samples.astype("<i2").tobytes(), rate))
    return file


def measure(house: House, program: str, does: str, calls: int, options: argparse.Namespace) -> dict[str, Any]:
    """One run: calls arrive, stand, are measured, and end."""
    calibration = calibrate()
    ports = {"first_port": options.first_port, "sockets": options.sockets}
    with open_sound(program, seconds=options.seconds, **ports) as sound, on_cpu(GENERATOR_CPU):
        phones = Phones(("127.0.0.1", house.disk.sip), PASSWORD, sound)
        pids = {"relay" if name == "media" else name: pid for name, pid in house.pids.items()}
        before, began = _cpu(pids), time.monotonic()
        for index in range(calls):
            callee = number(house.disk.ordinary - calls + index) if does == "record" else ACCESS
            phones.call(index, number(index + 1), callee)
            phones.serve(began + (index + 1) / options.rate)
        phones.serve(time.monotonic() + SETTLE_SECONDS)
        arrival = {name: after - before[name] for name, after in _cpu(pids).items()}
        if does == "record":
            phones.serve(time.monotonic() + PAST_GREETING_SECONDS)
        standing = len(phones.standing)
        sound.measure()
        phones.serve(time.monotonic() + 1)
        before, stolen, began = _cpu(pids), stolen_seconds(), time.monotonic()
        phones.serve(began + options.seconds)
        after, wall = _cpu(pids), time.monotonic() - began
        stolen = stolen_seconds() - stolen
        counted = sound.result()
        for call in phones.standing:
            phones.hang_up(call)
            phones.serve(time.monotonic() + 1 / (2 * options.rate))
        phones.serve(time.monotonic() + SETTLE_SECONDS)
        phones.close()
    steps = _steps(phones, counted["first_ns"])
    for status, count in Counter(call.status for call in phones.calls.values() if call.status != 200).items():
        print(f"{count} calls of {calls} were not answered: {status or 'no final response'}", flush=True)
    shares = {name: round(100 * (after[name] - before[name]) / wall / max(standing, 1), 4) for name in pids}
    return {
        "does": does,
        "calls": calls,
        "answered": standing,
        "streams": counted["streams"],
        "cpu_percent_per_call": shares,
        "setup_cpu_ms_per_call": {name: round(1000 * seconds / calls, 2) for name, seconds in arrival.items()},
        "missing_percent": round(100 * (1 - counted["received"] / (50 * options.seconds * max(standing, 1))), 3),
        **{key: counted[key] for key in ("skipped", "restamped", "p50_ms", "p99_ms", "p999_ms", "longest_ms")},
        "setup_ms": {
            name: [_percentile(delays, percent) for percent in (50, 99, 100)] for name, delays in steps.items()
        },
        "late_slots": counted["late_slots"],
        "steal_percent": round(100 * stolen / wall, 1),
        "calib_ms": calibration,
        "load": round(float(Path("/proc/loadavg").read_text(encoding="utf-8").split()[0]), 1),
    }


def _cpu(pids: Mapping[str, int]) -> dict[str, float]:
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def _steps(phones: Phones, first_ns: Mapping[str, int]) -> dict[str, list[float]]:
    """Milliseconds of each call that got sound, sorted.

    To the challenge; from the INVITE with credentials to the 200 and to the first packet; all until the first packet.
    """
    found: dict[str, list[float]] = {"challenge": [], "answer": [], "packet": [], "all": []}
    for call in phones.calls.values():
        first = first_ns.get(str(call.port))
        if first is None:
            continue
        found["challenge"].append((call.challenged_ns - call.began_ns) / 1e6)
        found["answer"].append((call.answered_ns - call.authorized_ns) / 1e6)
        found["packet"].append((first - call.authorized_ns) / 1e6)
        found["all"].append((first - call.began_ns) / 1e6)
    return {name: sorted(delays) for name, delays in found.items()}


def _percentile(values: list[float], percent: int) -> float:
    return round(values[min(len(values) * percent // 100, len(values) - 1)], 1) if values else 0.0


COLUMNS: Final = (
    *(("does", 7), ("calls", 5), ("answ.", 5), ("ivr %", 7), ("relay %", 7), ("switch %", 8), ("sum %", 7)),
    *(("p50", 5), ("p99 ms", 6), ("99.9", 6), ("longest", 7), ("lost", 5), ("paused", 6), ("miss %", 6)),
    *(("first p50", 9), ("p99 ms", 7), ("longest", 7), ("load", 5), ("steal", 5), ("calib", 5)),
)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows, a line each; CPU in percent of a core for each call."""
    lines = ["  ".join(name.rjust(width) for name, width in COLUMNS)]
    for row in rows:
        share = row["cpu_percent_per_call"]
        cpu = [share["ivr"], share["relay"], share["switch"]]
        values = [row["does"], row["calls"], row["answered"], *(f"{one:.3f}" for one in (*cpu, sum(cpu)))]
        values += [row[key] for key in ("p50_ms", "p99_ms", "p999_ms", "longest_ms", "skipped", "restamped")]
        values += [f"{row['missing_percent']:.2f}"]
        values += row["setup_ms"]["all"]
        values += [row[key] for key in ("load", "steal_percent", "calib_ms")]
        lines.append("  ".join(str(value).rjust(width) for value, (_, width) in zip(values, COLUMNS, strict=True)))
    return "\n".join(lines)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--does", choices=["play", "record"])
    parser.add_argument("--calls", default="300", help="simultaneous calls; several are separated by commas")
    parser.add_argument("--rate", type=float, default=20.0, help="calls that arrive in a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long packets are counted")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--first-port", type=int, default=4000 + 100 * random.randrange(50), help="of the callers")
    parser.add_argument("--sockets", type=int, default=16)
    parser.add_argument("--out", type=Path, help="append each run to this file, a JSON object a line")
    options = parser.parse_args()
    if shutil.which("gcc") is None:
        raise SystemExit("this benchmark needs gcc for its callers (Debian package gcc)")
    cases = USUAL if options.does is None else [(options.does, int(calls)) for calls in options.calls.split(",")]
    prefer(os.getpid())
    rows = []
    with tempfile.TemporaryDirectory() as directory, open_disk(ACCOUNTS, bound=False) as disk:
        asyncio.run(give_mailboxes(disk.dsn))
        program = f"{directory}/callers"
        subprocess.run(["gcc", "-O2", "-o", program, str(CALLERS)], check=True)
        more = CONFIG.format(greeting=greeting(Path(directory)))
        for does, calls in cases:
            with open_house(disk, relay="builtin", ivr=True, more=more) as house:
                for _ in range(options.repeat):
                    row = measure(house, program, does, calls, options)
                    rows.append(row)
                    print(json.dumps(row), flush=True)
                    if options.out is not None:
                        with options.out.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(row) + "\n")
    print(f"\nservers on CPU {SERVER_CPU}, callers on CPU {GENERATOR_CPU}; CPU in percent of a core for each call\n")
    print(table([*rows, *medians(rows)]))


def medians(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row of each case, named "=play" and "=record"."""
    cases: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        cases.setdefault((row["does"], row["calls"]), []).append(row)
    return [_median(does, runs) for (does, _), runs in cases.items() if len(runs) > 1]


def _median(does: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    shares = [run["cpu_percent_per_call"] for run in runs]
    numbers = [key for key, value in runs[0].items() if isinstance(value, int | float)]
    found = {key: round(statistics.median(run[key] for run in runs), 2) for key in numbers}
    cpu = {name: statistics.median(share[name] for share in shares) for name in shares[0]}
    setups = [run["setup_ms"]["all"] for run in runs]
    setup = {"all": [round(statistics.median(one[index] for one in setups), 1) for index in range(3)]}
    return {**found, "does": f"={does}", "cpu_percent_per_call": cpu, "setup_ms": setup}


if __name__ == "__main__":
    main()
