# SPDX-License-Identifier: Apache-2.0
"""What recording costs a call: `python -m bench.sip.recording`; runs with and without it take turns."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
from typing import TYPE_CHECKING

from bench.sip.house import open_disk, open_house
from bench.sip.measure import Target, run
from bench.sip.sipp import CALL, callees, drive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.sip.house import Disk
    from bench.sip.measure import Row

WAYS: Mapping[str, str] = {
    "off": "trace: {enabled: false}\n",
    "reasons": "trace: {ladder: false}\n",
    "reasons and ladder": "trace: {enabled: true}\n",
}
WARM_SECONDS = 4.0


def one_run(disk: Disk, way: str, rate: float, seconds: float) -> Row:
    """A load on a fresh switch; the records of its calls are written meanwhile, as ever."""
    with contextlib.ExitStack() as stack:
        house = stack.enter_context(open_house(disk, more=WAYS[way]))
        stack.enter_context(callees(disk))
        drive(disk, CALL, port=disk.sip, rate=rate, seconds=WARM_SECONDS)
        return run(Target(disk, house.pids, disk.sip), CALL, rate=rate, seconds=seconds)


def main() -> None:
    """Print the medians of each way, and what it costs more than none."""
    parser = argparse.ArgumentParser(prog="bench.sip.recording", description="What recording costs a call.")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=100.0, help="calls a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a run; records are written 5 s after a call")
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    rows: dict[str, list[Row]] = {way: [] for way in WAYS}
    with open_disk(asked.accounts) as disk:
        for _ in range(asked.repeat):
            for way, found in rows.items():
                found.append(one_run(disk, way, asked.rate, asked.seconds))
                print(json.dumps({"way": way, **found[-1]}), flush=True)
    plain = 0.0
    for way, found in rows.items():
        switch, postgres = (statistics.median(row[name] for row in found) for name in ("switch_ms", "postgres_ms"))
        plain = plain or switch + postgres
        more = 100 * (switch + postgres - plain) / plain
        print(f"{way:<20} switch {switch:.3f} ms  PostgreSQL {postgres:.3f} ms  {more:+.1f} %")


if __name__ == "__main__":
    main()
