# SPDX-License-Identifier: Apache-2.0
"""Files in `data_dir/run` that say which processes run: each holds a pid and is locked while its process lives.

The lock, not the number, is the truth: the kernel drops it however the process ends, so a stale file misleads nobody.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["AlreadyRunningError", "hold", "keep_owner", "running_pid"]


class AlreadyRunningError(Exception):
    """Another process holds the file."""

    def __init__(self, file: Path, pid: int) -> None:
        super().__init__(file, pid)
        self.file = file
        self.pid = pid

    def __str__(self) -> str:
        return f"{self.file.stem} runs already on {self.file.parent.parent} (process {self.pid})"


@contextmanager
def hold(file: Path) -> Iterator[None]:
    """Holds the file for as long as the block runs; raises `AlreadyRunningError` where another process does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        keep_owner(descriptor, file.parent)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(file, _pid_in(descriptor)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def keep_owner(descriptor: int, directory: Path) -> None:
    """Gives a file that root makes to the owner of its directory, who may be the next to start."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def running_pid(file: Path) -> int | None:
    """The process that holds the file, or None."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _pid_in(descriptor: int) -> int:
    written = os.pread(descriptor, 32, 0).strip()
    return int(written) if written.isdigit() else 0
