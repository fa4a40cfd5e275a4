# SPDX-License-Identifier: Apache-2.0
"""Readings of this machine from /proc, and where processes run on it."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "GENERATOR_CPU",
    "SERVER_CPU",
    "calibrate",
    "cpu_seconds",
    "free_port",
    "on_cpu",
    "prefer",
    "pss_kib",
    "stolen_seconds",
    "tree",
]

SERVER_CPU = 0
GENERATOR_CPU = 1
PORTS = (10_000, 20_000)
TICK = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of proc(5) from the third on: state, ppid, ..."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, ended ones that were waited for included."""
    ticks = 0
    for member in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # utime, stime, cutime, cstime; the last two hold ended children only
            ticks += sum(map(int, _stat(member)[11:15]))
    return ticks * TICK


def pss_kib(pid: int) -> int:
    """Memory of one process, shared pages in proportion."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"no Pss of process {pid}")


def stolen_seconds() -> float:
    """Time that the hypervisor gave to others, of all processors."""
    return int(Path("/proc/stat").read_text(encoding="utf-8").split(None, 10)[8]) * TICK


def calibrate() -> float:
    """CPU milliseconds of a fixed piece of Python: how fast this machine is just now."""
    began = time.process_time()
    table: dict[int, list[str]] = {}
    for i in range(100_000):
        table[i & 1023] = f"{i}:{i}".split(":")
    return round(1000 * (time.process_time() - began), 1)


def prefer(pid: int) -> None:
    """Put a process and its descendants ahead of other work on this machine, where permitted."""
    for member in tree(pid):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, member, -20)
            # Where the kernel groups processes by session, the group's value counts.
            Path(f"/proc/{member}/autogroup").write_text("-20", encoding="utf-8")


@contextlib.contextmanager
def on_cpu(number: int) -> Iterator[None]:
    """What is started within the block runs on this processor."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now, outside the range from which the system takes its own."""
    while True:
        port = random.randrange(*PORTS)
        with contextlib.ExitStack() as stack:
            try:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
