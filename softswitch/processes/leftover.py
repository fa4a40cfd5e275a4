# SPDX-License-Identifier: Apache-2.0
"""What an embedded PostgreSQL leaves behind that was killed, or that lost its power: processes, and files that name it.

A file that names a process number says nothing by itself: the number may be another program's by now, and a power cut
may have left the file empty. A process is a server of a cluster if it is called `postgres` and its working directory is
that cluster. Whoever calls this holds the lock of the data directory (`softswitch.processes.runfiles`), so nobody
else starts.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["end_leftover", "forget_dead"]

SERVER_SECONDS = 30.0
ORPHAN_SECONDS = 5.0


def end_leftover(cluster: Path) -> int | None:
    """Ends the processes of an earlier server; the number of a server that does not end, None: all is clear.

    A living server gets PostgreSQL's fast shutdown. What a killed one left has nobody to serve and may be killed: its
    shared memory is made anew by the next.
    """
    processes = _processes(cluster)
    servers = [process for process in processes if _is_server(process, cluster)]
    for server in servers:
        with suppress(psutil.NoSuchProcess):
            server.send_signal(signal.SIGINT)
    _, still = psutil.wait_procs(servers, timeout=SERVER_SECONDS)
    return int(still[0].pid) if still else _end_orphans(processes)


def forget_dead(cluster: Path, socket_dir: Path) -> int | None:
    """Removes whatever a dead server left: its processes, and every file that names it; nothing where a server lives.

    The number of a process that does not end; None: all is clear. PostgreSQL believes the numbers in the files, and
    does not start while a session of the dead server is at work: it holds the memory.
    """
    processes = _processes(cluster)
    if any(_is_server(process, cluster) for process in processes):
        return None
    left = _end_orphans(processes)
    if left is None:
        for file in (cluster / "postmaster.pid", *socket_dir.glob(".s.PGSQL.*")):
            file.unlink(missing_ok=True)
    return left


def _end_orphans(processes: list[psutil.Process]) -> int | None:
    still = processes
    for number in (signal.SIGTERM, signal.SIGKILL):
        for orphan in still:
            with suppress(psutil.NoSuchProcess):
                orphan.send_signal(number)
        _, still = psutil.wait_procs(still, timeout=ORPHAN_SECONDS)
    return int(still[0].pid) if still else None


def _processes(cluster: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "postgres" and process.cwd() == str(cluster.resolve()):
                found.append(process)
    return found


def _is_server(process: psutil.Process, cluster: Path) -> bool:
    """Whether it is the one that the others are children of: they rewrite their command line."""
    with suppress(psutil.NoSuchProcess):
        return str(cluster) in process.cmdline()
    return False
