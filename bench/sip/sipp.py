# SPDX-License-Identifier: Apache-2.0
"""The load: sipp processes on a processor of their own."""

from __future__ import annotations

import contextlib
import csv
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import GENERATOR_CPU, cpu_seconds, free_port, on_cpu, prefer
from bench.sip.house import PASSWORD, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.sip.house import Disk

__all__ = ["CALL", "REGISTRATION", "Operation", "Outcome", "callees", "drive", "held_calls"]

SCENARIOS = Path(__file__).parent / "scenarios"
LINES = 20_000
"""Of the file of callers and callees that one sipp goes through."""
PER_PROCESS = 400
"""Operations a second that one sipp is asked for."""
GRACE_SECONDS = 20.0
RING_MS = 100
"""A phone answers after that."""
LONG_MS = 600_000


@dataclass(frozen=True, slots=True)
class Operation:
    """What is measured."""

    name: str
    scenario: str


REGISTRATION = Operation("registration", "register.xml")
CALL = Operation("call", "caller.xml")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the callers saw."""

    offered: int
    finished: int
    failed: int
    retransmissions: int
    seconds: float
    """From the first to the last operation."""
    answer_ms: float
    """Mean time from the authenticated request to its final response; a callee rings 100 ms."""
    generator_seconds: float
    """CPU of the callers' sipp."""


def _sipp(folder: Path, scenario: str, port: int, *options: str) -> subprocess.Popen[bytes]:
    program = shutil.which("sipp")
    if program is None:
        raise SystemExit("this benchmark needs sipp (Debian package sip-tester)")
    command = [
        *(program, "-sf", str(SCENARIOS / scenario), "-i", "127.0.0.1", "-p", str(port)),
        *("-nostdin", "-watchdog_interval", "0", "-skip_rlimit", "-buff_size", "4000000", "-timer_resol", "1"),
        *("-trace_err", "-error_file", str(folder / f"{port}.err"), *options),
    ]
    with on_cpu(GENERATOR_CPU):
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    prefer(process.pid)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@contextlib.contextmanager
def callees(disk: Disk) -> Iterator[None]:
    """The phones that answer, for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="bench-callees-") as name, contextlib.ExitStack() as stack:
        running = [_sipp(Path(name), "callee.xml", port, "-d", str(RING_MS)) for port in disk.phones]
        for process in running:
            stack.callback(_end, process)
        time.sleep(0.5)
        yield
        if any(process.poll() is not None for process in running):
            _show_errors(Path(name))
            raise RuntimeError("a callee has ended")


def _write_lines(file: Path, disk: Disk, operation: Operation, share: int, of: int, seed: int) -> None:
    """The injection file of one sipp: its share of the accounts, in order to register, any to call."""
    chosen = random.Random(seed)
    with file.open("w", encoding="utf-8") as lines:
        lines.write("SEQUENTIAL\n")
        if operation is REGISTRATION:
            mine = range(share or of, disk.ordinary + 1, of)
            start = chosen.randrange(len(mine))
            for account in (*mine[start:], *mine[:start])[:LINES]:
                user = number(account)
                lines.write(f"{user};{_credentials(user)}\n")
            return
        for _ in range(LINES):
            callee, caller = (number(chosen.randint(1, disk.ordinary)) for _ in range(2))
            lines.write(f"{callee};{caller};{_credentials(caller)}\n")


def _credentials(user: str) -> str:
    return f"[authentication username={user} password={PASSWORD}]"


def _caller(
    folder: Path,
    share: int,
    disk: Disk,
    operation: Operation,
    *,
    of: int,
    port: int,
    rate: float,
    count: int,
    hold_ms: int,
) -> subprocess.Popen[bytes]:
    """One sipp that offers `count` operations, a share of the load."""
    file = folder / f"{share}.csv"
    _write_lines(file, disk, operation, share, of, seed=random.randrange(1 << 30))
    return _sipp(
        *(folder, operation.scenario, disk.phones[share] if operation is REGISTRATION else free_port()),
        *(f"127.0.0.1:{port}", "-inf", str(file), "-m", str(count), "-r", f"{rate:.3f}", "-d", str(hold_ms)),
        *("-l", str(count + 1), "-recv_timeout", "10000"),
        *("-trace_stat", "-stf", str(folder / f"{share}.stat"), "-fd", "1"),
    )


def drive(disk: Disk, operation: Operation, *, port: int, rate: float, seconds: float, hold_ms: int = 1000) -> Outcome:
    """Offer `rate` operations a second for `seconds` to the server at `port`."""
    of = len(disk.phones) if operation is REGISTRATION else max(1, -int(-rate // PER_PROCESS))
    each = max(1, round(rate * seconds / of))
    lasting = (RING_MS + hold_ms) / 1000 if operation is CALL else 0.0
    with tempfile.TemporaryDirectory(prefix="bench-callers-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        running = []
        for share in range(of):
            process = _caller(
                folder, share, disk, operation, of=of, port=port, rate=rate / of, count=each, hold_ms=hold_ms
            )
            stack.callback(_end, process)
            running.append(process)
        used = _watch(running, seconds + lasting + GRACE_SECONDS)
        outcome = _outcome([folder / f"{share}.stat" for share in range(of)], each * of, lasting, used)
        if outcome.failed:
            _show_errors(folder)
    return outcome


@contextlib.contextmanager
def held_calls(disk: Disk, *, port: int, calls: int, rate: float) -> Iterator[None]:
    """So many calls that are set up when the block begins, and last longer than it."""
    with tempfile.TemporaryDirectory(prefix="bench-callers-") as name:
        process = _caller(Path(name), 0, disk, CALL, of=1, port=port, rate=rate, count=calls, hold_ms=LONG_MS)
        try:
            time.sleep(calls / rate + 1)
            yield
        finally:
            _end(process)
            _show_errors(Path(name))


def _show_errors(folder: Path) -> None:
    """What sipp said first; it says the same of every call that fails."""
    for file in sorted(folder.glob("*.err"))[:1]:
        text = " ".join(file.read_text(encoding="utf-8", errors="replace").split())
        print(f"sipp: {text[:300]}", file=sys.stderr, flush=True)


def _watch(running: list[subprocess.Popen[bytes]], limit: float) -> float:
    """Wait for the callers; their CPU, read while they live."""
    began = time.monotonic()
    used = [0.0] * len(running)
    while time.monotonic() - began < limit and any(process.poll() is None for process in running):
        for index, process in enumerate(running):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                used[index] = max(used[index], cpu_seconds(process.pid))
        time.sleep(0.3)
    return sum(used)


def _outcome(files: list[Path], offered: int, lasting: float, used: float) -> Outcome:
    rows = [_last_row(file) for file in files]
    finished, failed, repeated = (
        sum(int(row[key]) for row in rows) for key in ("SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)")
    )
    mean = sum(_seconds(row["ResponseTime1(C)"]) * int(row["SuccessfulCall(C)"]) for row in rows)
    return Outcome(
        offered=offered,
        finished=finished,
        failed=failed + max(0, offered - finished - failed),
        retransmissions=repeated,
        seconds=max(_seconds(row["ElapsedTime(C)"]) for row in rows) - lasting,
        answer_ms=round(1000 * mean / max(finished, 1), 2),
        generator_seconds=used,
    )


def _last_row(file: Path) -> dict[str, str]:
    with file.open(encoding="utf-8", errors="replace") as text:
        rows = list(csv.reader(text, delimiter=";"))
    return dict(zip(rows[0], rows[-1], strict=False))


def _seconds(text: str) -> float:
    """sipp's hours:minutes:seconds:microseconds (or with a dot)."""
    hours, minutes, seconds, *rest = text.replace(".", ":").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + (float(f"0.{rest[0]}") if rest else 0.0)
