# SPDX-License-Identifier: Apache-2.0
"""Measure the switch: `python -m bench.sip [PART ...] [--accounts N]`; see bench/README.md."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import GENERATOR_CPU, on_cpu, prefer
from bench.sip.house import PASSWORD, PROBES, number, open_disk, open_house
from bench.sip.measure import (
    Target,
    highest_rate,
    median_run,
    memory_after_calls,
    memory_of_held_calls,
    side_by_side,
)
from bench.sip.peer import is_installed, open_kamailio
from bench.sip.sipp import CALL, REGISTRATION, callees, drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.sip.house import Disk
    from bench.sip.measure import Row
    from bench.sip.sipp import Operation

WARM_RATE = 100.0
WARM_SECONDS = 4.0
HELD_RATE = 50.0
PROBE_RATE = 25.0
PROBE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    accounts: int
    register_rate: float
    call_rate: float
    seconds: float
    repeat: int
    search: bool
    held: int
    out: Path | None


@contextlib.contextmanager
def served(disk: Disk, options: Options, operation: Operation, *, relay: str = "off") -> Iterator[Target]:
    """A switch that has worked a little already, and its phones."""
    with contextlib.ExitStack() as stack:
        house = stack.enter_context(open_house(disk, relay=relay))
        if operation is CALL:
            stack.enter_context(callees(disk))
        drive(disk, operation, port=disk.sip, rate=WARM_RATE, seconds=WARM_SECONDS)
        yield Target(disk, house.pids, disk.sip)


def registration(disk: Disk, options: Options) -> None:
    """CPU of a registration, and the highest rate."""
    with served(disk, options, REGISTRATION) as target:
        report(options, "registration", _median(target, REGISTRATION, options.register_rate, options))
        if options.search:
            report(options, "registration, highest", highest_rate(target, REGISTRATION, start=options.register_rate))


def call(disk: Disk, options: Options) -> None:
    """CPU of a call, the highest rate, and the set-up delay at half of that."""
    with served(disk, options, CALL) as target:
        report(options, "call", _median(target, CALL, options.call_rate, options))
        rate = options.call_rate
        if options.search:
            best = highest_rate(target, CALL, start=options.call_rate)
            report(options, "call, highest", best)
            rate = best.get("rate", rate) / 2
        report(options, "set-up delay", delay(target, rate))


def relay(disk: Disk, options: Options) -> None:
    """CPU of a call whose media addresses go through our relay (offer, answer, delete; no RTP)."""
    with served(disk, options, CALL, relay="builtin") as target:
        report(options, "call with relay", _median(target, CALL, options.call_rate, options))


def peer(disk: Disk, options: Options) -> None:
    """Kamailio and the switch in turns, so that both find the machine alike."""
    if not is_installed():
        print("peer: needs the Debian packages kamailio and kamailio-postgres-modules", file=sys.stderr)
        return
    for operation, rate in ((REGISTRATION, options.register_rate), (CALL, options.call_rate)):
        with contextlib.ExitStack() as stack:
            theirs = stack.enter_context(open_kamailio(disk))
            ours = stack.enter_context(served(disk, options, operation))
            rows = side_by_side((ours, theirs), operation, rate=rate, seconds=options.seconds, repeat=options.repeat)
            report(options, f"{operation.name} beside Kamailio", rows[0])
            report(options, f"{operation.name}, Kamailio", rows[1])
            if options.search:
                report(options, f"{operation.name}, Kamailio, highest", highest_rate(theirs, operation, start=2 * rate))


def memory(disk: Disk, options: Options) -> None:
    """Memory of a held call."""
    with served(disk, options, CALL) as target:
        report(options, "held calls", memory_of_held_calls(target, calls=options.held, rate=HELD_RATE))


def flat(disk: Disk, options: Options) -> None:
    """Memory after 10,000 and after 100,000 calls; takes minutes."""
    with served(disk, options, CALL) as target:
        report(options, "after calls", memory_after_calls(target, rate=options.call_rate, counts=(10_000, 100_000)))


PARTS: Mapping[str, Callable[[Disk, Options], None]] = {
    "registration": registration,
    "call": call,
    "relay": relay,
    "memory": memory,
    "peer": peer,
    "flat": flat,
}
USUAL = ("registration", "call", "relay", "memory", "peer")


def _median(target: Target, operation: Operation, rate: float, options: Options) -> Row:
    return median_run(target, operation, rate=rate, seconds=options.seconds, repeat=options.repeat)


def delay(target: Target, rate: float) -> Row:
    """What the probe sees while calls are made at this rate."""
    disk = target.disk
    command = [
        *(sys.executable, "-m", "bench.sip.probe", "--port", str(disk.probe), "--target", str(target.port)),
        *("--first", number(disk.ordinary + 1), "--accounts", str(PROBES), "--password", PASSWORD),
        *("--rate", str(PROBE_RATE), "--seconds", str(PROBE_SECONDS)),
    ]
    with on_cpu(GENERATOR_CPU):
        probe = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    prefer(probe.pid)
    try:
        outcome = drive(disk, CALL, port=target.port, rate=rate, seconds=PROBE_SECONDS)
        printed, _ = probe.communicate(timeout=30)
    finally:
        probe.kill()
        probe.wait()
    found = json.loads(printed)
    delays: list[float] = found["delays_ms"]
    return {
        "rate": rate,
        "failed": outcome.failed,
        "probes": len(delays),
        "lost": found["lost"],
        **{f"p{share}_ms": delays[len(delays) * share // 100] for share in (50, 90, 99)},
        "longest_ms": delays[-1],
    }


def report(options: Options, name: str, row: Row) -> None:
    """Print a result, and append it to the file that was asked for."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"at": at, "what": name, "accounts": options.accounts, **row})
    print(line, flush=True)
    if options.out:
        with options.out.open("a", encoding="utf-8") as out:
            out.write(line + "\n")


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="bench.sip", description="What registrations and calls cost.")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default {', '.join(USUAL)}"
    )
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--register-rate", type=float, default=1000.0, help="registrations a second")
    parser.add_argument("--call-rate", type=float, default=200.0, help="calls a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a run")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--held", type=int, default=1000, help="held calls: so many, then twice as many")
    parser.add_argument("--no-search", dest="search", action="store_false", help="do not look for the highest rates")
    parser.add_argument("--out", type=Path, help="file to append the results to, a JSON object a line")
    asked = vars(parser.parse_args())
    parts = asked.pop("parts") or USUAL
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}")
    options = Options(**asked)
    with open_disk(options.accounts) as disk:
        for part in parts:
            PARTS[part](disk, options)


if __name__ == "__main__":
    main()
