# SPDX-License-Identifier: Apache-2.0
"""CPU time of PostgreSQL from /proc: the postmaster, its processes, and those that have ended."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["postgres_seconds", "postmaster_of"]

TICK = 1 / os.sysconf("SC_CLK_TCK")


def postmaster_of(backend_pid: int) -> int:
    """The process that started a backend."""
    return int(_stat(backend_pid)[1])


def postgres_seconds(postmaster: int) -> float:
    """User and system time of the whole server so far."""
    own = _stat(postmaster)
    # After the name in parentheses: state, ppid, ...; utime stime cutime cstime are fields 14 to 17 of proc(5).
    ticks = sum(map(int, own[11:15]))
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = _stat(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == postmaster:
                ticks += int(fields[11]) + int(fields[12])
    return ticks * TICK


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
