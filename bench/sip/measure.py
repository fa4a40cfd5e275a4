# SPDX-License-Identifier: Apache-2.0
"""Runs and what they say: CPU of each process per operation, the highest rate, memory of calls."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.machine import calibrate, cpu_seconds, pss_kib, stolen_seconds
from bench.sip.sipp import CALL, drive, held_calls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.sip.house import Disk
    from bench.sip.sipp import Operation

__all__ = [
    "Row",
    "Target",
    "highest_rate",
    "median_run",
    "memory_after_calls",
    "memory_of_held_calls",
    "run",
    "side_by_side",
]

Row = dict[str, float]

STEP = 1.35
PRECISION = 0.08
SEARCH_SECONDS = 8.0
TRIES = 3
KEPT = 0.95
"""Of the asked rate: a server that takes longer does not keep it."""
STOLEN_PERCENT = 25.0
"""Runs from which the hypervisor took more are made again."""
TRANSACTIONS_SECONDS = 36.0
"""After so long the transactions of a finished call are over (64*T1 and some)."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is measured."""

    disk: Disk
    """Whose accounts call and register."""
    pids: Mapping[str, int]
    """By name; each with its descendants."""
    port: int


def run(target: Target, operation: Operation, *, rate: float, seconds: float, hold_ms: int = 1000) -> Row:
    """Offer a load and read what it cost."""
    calibration = calibrate()
    used = {name: cpu_seconds(pid) for name, pid in target.pids.items()}
    stolen, began = stolen_seconds(), time.monotonic()
    seen = drive(target.disk, operation, rate=rate, seconds=seconds, hold_ms=hold_ms, port=target.port)
    wall = time.monotonic() - began
    stolen = stolen_seconds() - stolen
    cost = {name: cpu_seconds(pid) - used[name] for name, pid in target.pids.items()}
    operations = max(seen.finished, 1)
    return {
        "rate": rate,
        "finished": seen.finished,
        "failed": seen.failed,
        "failed_percent": round(100 * seen.failed / seen.offered, 3),
        "kept": round(seen.offered / max(seen.seconds, seconds) / rate, 3),
        "retransmissions": seen.retransmissions,
        "answer_ms": seen.answer_ms,
        **{f"{name}_ms": round(1000 * spent / operations, 3) for name, spent in cost.items()},
        "server_percent": round(100 * sum(cost.values()) / wall, 1),
        "generator_percent": round(100 * seen.generator_seconds / wall, 1),
        "stolen_percent": round(100 * stolen / wall / (os.cpu_count() or 1), 1),
        "calibration_ms": calibration,
    }


def median_run(
    target: Target, operation: Operation, *, rate: float, seconds: float, repeat: int, hold_ms: int = 1000
) -> Row:
    """Medians of `repeat` runs, those with the least stolen time of up to twice as many."""
    rows: list[Row] = []
    while len(rows) < 2 * repeat and sum(row["stolen_percent"] <= STOLEN_PERCENT for row in rows) < repeat:
        rows.append(run(target, operation, rate=rate, seconds=seconds, hold_ms=hold_ms))
    return _median(sorted(rows, key=lambda row: row["stolen_percent"])[:repeat])


def side_by_side(
    targets: Sequence[Target], operation: Operation, *, rate: float, seconds: float, repeat: int
) -> list[Row]:
    """Medians of `repeat` runs of each, in turns."""
    rounds = [[run(target, operation, rate=rate, seconds=seconds) for target in targets] for _ in range(repeat)]
    return [_median(rows) for rows in zip(*rounds, strict=True)]


def _median(rows: Sequence[Row]) -> Row:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def highest_rate(target: Target, operation: Operation, *, start: float) -> Row:
    """The run at the highest rate that is clean: less than 0.1 % fail and the rate is kept.

    Grows the rate until a run is not clean three times, then bisects.
    """
    best: Row = {}
    low, high, rate = 0.0, 0.0, start
    while not high or high - low > PRECISION * high:
        clean = next(filter(_is_clean, (_search_run(target, operation, rate) for _ in range(TRIES))), None)
        if clean is not None:
            best, low = clean, rate
        else:
            high = rate
        rate = round((low + high) / 2 if high else rate * STEP)
        if rate in (low, high) or rate < 1:
            break
    return best


def _search_run(target: Target, operation: Operation, rate: float) -> Row:
    return run(target, operation, rate=rate, seconds=SEARCH_SECONDS)


def _is_clean(row: Row) -> bool:
    return row["failed_percent"] < 0.1 and row["kept"] >= KEPT


def memory_of_held_calls(target: Target, *, calls: int, rate: float) -> Row:
    """Memory of a call that is being talked on, its set-up long over: of the first `calls`, and of as many more."""
    pid = target.pids["switch"]
    seen = [pss_kib(pid)]
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(held_calls(target.disk, calls=calls, rate=rate, port=target.port))
            time.sleep(TRANSACTIONS_SECONDS)
            seen.append(pss_kib(pid))
    before, first, second = seen
    return {
        "calls": 2 * calls,
        "kib_before": before,
        "kib_first": first,
        "kib_second": second,
        "kib_per_call": round((second - before) / (2 * calls), 2),
        "kib_per_further_call": round((second - first) / calls, 2),
    }


def memory_after_calls(target: Target, *, rate: float, counts: tuple[int, ...]) -> Row:
    """Memory of a switch without calls, after so many finished calls."""
    pid = target.pids["switch"]
    row: Row = {"rate": rate, "kib_0": pss_kib(pid)}
    done = failed = 0
    for count in counts:
        while done < count:
            share = min(count - done, round(rate * 50))
            outcome = drive(target.disk, CALL, rate=rate, seconds=share / rate, hold_ms=100, port=target.port)
            done += outcome.finished
            failed += outcome.failed
        time.sleep(TRANSACTIONS_SECONDS)
        row[f"kib_{count}"] = pss_kib(pid)
    return {**row, "failed": failed}
