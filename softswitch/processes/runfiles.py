# SPDX-License-Identifier: Apache-2.0
"""Files in `data_dir/run` that say which processes run: each holds a pid and is locked while its process lives.

The lock, not the number, is the truth: the kernel drops it however the process ends, so a stale file misleads nobody.
Beside them, the secrets that the first process writes and all share.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from softswitch.config import Configuration

__all__ = ["AlreadyRunningError", "hold", "keep_owner", "kept_secret", "media_secret", "nonce_secret", "running_pid"]

_LEAST_SECRET: Final = 16
_MOST_SECRET: Final = 4096


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


def kept_secret(file: Path) -> bytes:
    """The secret in a file, which the first to ask writes: 64 hexadecimal digits that nobody but its owner reads.

    However many processes ask at once, all get the same; what a crash has left half written is written anew.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        keep_owner(descriptor, file.parent)
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        found = os.pread(descriptor, _MOST_SECRET, 0)
        if len(found.strip()) >= _LEAST_SECRET:
            return found
        secret = secrets.token_hex(32).encode()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, secret, 0)
        os.fsync(descriptor)
        return secret
    finally:
        os.close(descriptor)


def nonce_secret(configuration: Configuration) -> bytes:
    """The key's value, or the secret in `data_dir/nonce.secret`, which the first start writes."""
    written = configuration.security.nonce_secret
    return written.encode() if written else kept_secret(configuration.data_dir / "nonce.secret")


def media_secret(configuration: Configuration) -> bytes:
    """The key's value, or the secret in `data_dir/media.secret`, which the first start writes."""
    written = configuration.media.secret
    return written.encode() if written else kept_secret(configuration.data_dir / "media.secret")
