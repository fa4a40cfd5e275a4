# SPDX-License-Identifier: Apache-2.0
"""Measures the RTP sessions of the media server: CPU per call, jitter between packets at the callers, nothing skipped.

    python -m bench.media                                  # playing and recording, 300 calls; prompts, 300 to 800 calls
    python -m bench.media --does record --calls 300 --codec G722

The callers (bench/media/callers.c, compiled with gcc) send 50 packets a second each and take what is played. The
server is pinned to CPU 0, the callers to CPU 1. CPU is user plus system time of the server from /proc over the seconds
that were measured, in percent of one core for each call. `calib_ms` is the CPU time of a fixed piece of Python before
each run, to tell a slow machine from a slow server; the rows of several runs show how far to trust them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.machine import GENERATOR_CPU, SERVER_CPU, calibrate, cpu_seconds, on_cpu, prefer, stolen_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent
USUAL: Final = (("play", "300"), ("record", "300"), ("play", "500"), ("play", "800"))


@contextlib.contextmanager
def serving(calls: int, does: str, options: argparse.Namespace) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """The server and its ports."""
    command = [sys.executable, "-m", "bench.media.server", str(calls), does, options.codec]
    command += [str(options.first_port), str(options.sockets)]
    with on_cpu(SERVER_CPU):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent.parent)
    assert process.stdout is not None
    with process:
        prefer(process.pid)
        ports = []
        while (line := process.stdout.readline().strip()) != "ready":
            if not line:
                raise SystemExit("the server did not start")
            ports.append(int(line))
        try:
            yield process, ports
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def measure(callers: str, calls: int, does: str, options: argparse.Namespace) -> dict[str, float]:
    """One run."""
    calibration = calibrate()
    with serving(calls, does, options) as (server, ports):
        arguments = [callers, str(options.first_port), str(options.sockets), str(options.seconds)]
        with on_cpu(GENERATOR_CPU):
            generator = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        prefer(generator.pid)
        assert generator.stdin is not None
        assert generator.stdout is not None
        generator.stdout.readline()  # "ready"
        generator.stdin.write("".join(f"{call % options.sockets} {port}\n" for call, port in enumerate(ports)))
        generator.stdin.close()
        time.sleep(1)  # the generator warms up so long
        used, stolen, began = cpu_seconds(server.pid), stolen_seconds(), time.monotonic()
        time.sleep(options.seconds)
        used, wall = cpu_seconds(server.pid) - used, time.monotonic() - began
        counted = json.loads(generator.stdout.read())
        generator.wait()
        server.send_signal(signal.SIGTERM)
        assert server.stdout is not None
        skipped = int(server.stdout.readline().split()[0])
    return {
        "cpu_percent_per_call": round(100 * used / wall / calls, 4),
        "cpu_percent": round(100 * used / wall, 1),
        "missing_percent": round(100 * (1 - counted["received"] / (50 * options.seconds * calls)), 3),
        "ticks_skipped": skipped,
        **{key: counted[key] for key in ("skipped", "restamped", "p50_ms", "p99_ms", "p999_ms", "longest_ms")},
        "late_slots": counted["late_slots"],
        "steal_percent": round(100 * (stolen_seconds() - stolen) / wall, 1),
        "calib_ms": calibration,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--does", choices=["play", "record", "both", "tones", "idle"])
    parser.add_argument("--calls", default="300", help="simultaneous calls; several are separated by commas")
    parser.add_argument("--codec", default="PCMA")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--first-port", type=int, default=62000)
    parser.add_argument("--sockets", type=int, default=16)
    options = parser.parse_args()
    if shutil.which("gcc") is None:
        raise SystemExit("this benchmark needs gcc for its callers (Debian package gcc)")
    cases = USUAL if options.does is None else [(options.does, calls) for calls in options.calls.split(",")]
    with tempfile.TemporaryDirectory() as directory:
        callers = f"{directory}/callers"
        subprocess.run(["gcc", "-O2", "-o", callers, str(HERE / "callers.c")], check=True)
        for does, calls in cases:
            rows = [measure(callers, int(calls), does, options) for _ in range(options.repeat)]
            for row in rows:
                print(json.dumps({"does": does, "calls": int(calls), "codec": options.codec, **row}), flush=True)
            median = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
            print(json.dumps({"median": does, "calls": int(calls), "codec": options.codec, **median}), flush=True)


if __name__ == "__main__":
    main()
