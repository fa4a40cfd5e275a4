# SPDX-License-Identifier: Apache-2.0
"""What must outlive this process while the store is away: a file of records, delivered in order, each once.

A line is the CRC-32 of the record and the record in JSON. A record outlives the process when `append` returns, and the
machine when `sync` does. A line that a crash cut short is dropped when the file is opened again.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections import deque
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Codec", "Journal", "JournalBusyError"]

log = logging.getLogger(__name__)

Entry = TypeVar("Entry")

_DONE: Final = b"done\n"
"""A line that says: the oldest record that is not delivered yet now is."""


class JournalBusyError(OSError):
    """Another process writes this journal."""


class Codec:
    """Dataclasses as JSON and back, decimals and instants included; fields that a class no longer has are dropped."""

    def __init__(self, *kinds: type) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}
        self._fields = {kind.__name__: frozenset(field.name for field in fields(kind)) for kind in kinds}

    def encode(self, value: object) -> bytes:
        """One line without its end."""
        return json.dumps(_plain(value), separators=(",", ":")).encode()

    def decode(self, line: bytes) -> object:
        """The value of a line; raises ValueError."""
        return json.loads(line, object_hook=self._object)

    def _object(self, found: dict[str, object]) -> object:
        name = found.pop("", None)
        match name:
            case "datetime":
                return datetime.fromisoformat(cast("str", found["value"]))
            case "Decimal":
                return Decimal(cast("str", found["value"]))
            case str() if name in self._kinds:
                known = self._fields[name]
                return self._kinds[name](**{key: value for key, value in found.items() if key in known})
        raise ValueError(f"unknown kind {name!r}")


def _plain(value: object) -> object:
    """What `json` can write; the key "" names the kind."""
    if isinstance(value, datetime):
        return {"": "datetime", "value": value.isoformat()}
    if isinstance(value, Decimal):
        return {"": "Decimal", "value": str(value)}
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"": type(value).__name__, **found}
    return value


class Journal(Generic[Entry]):
    """Records that wait, oldest first. One process at a time writes a file."""

    def __init__(self, file: Path, codec: Codec) -> None:
        """Open the journal and read what waits in it; raises OSError, JournalBusyError."""
        self._codec = codec
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with ExitStack() as undo:
            undo.callback(os.close, self._descriptor)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise JournalBusyError(f"another process writes {file}") from error
            self._waiting: deque[Entry] = deque(self._read())
            _sync_directory(file.parent)
            undo.pop_all()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._waiting)

    @property
    def oldest(self) -> Entry:
        """The record to deliver next; raises IndexError."""
        return self._waiting[0]

    def append(self, entries: Iterable[Entry]) -> None:
        """Write records; they are kept in memory even where the disk fails, which raises OSError."""
        batch = list(entries)
        self._waiting.extend(batch)
        lines = (self._codec.encode(entry) for entry in batch)
        self._write(b"".join(b"%08x %s\n" % (crc32(line), line) for line in lines))

    def sync(self) -> None:
        """Wait until all that was written is on disk (fsync); may be called in another thread. Raises OSError."""
        os.fsync(self._descriptor)

    def delivered(self) -> None:
        """The oldest record is where it belongs. That this is not synced costs a second delivery at worst."""
        self._waiting.popleft()
        try:
            if self._waiting:
                self._write(_DONE)
            else:
                os.ftruncate(self._descriptor, 0)
        except OSError:
            log.exception("a delivery could not be noted")

    def close(self) -> None:
        """Close the file; what waits in it is read at the next start."""
        os.close(self._descriptor)

    def _write(self, octets: bytes) -> None:
        end = os.fstat(self._descriptor).st_size
        view = memoryview(octets)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, end)  # half a line would hide what comes after it
            raise

    def _read(self) -> list[Entry]:
        found: list[Entry] = []
        delivered = good = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            for line in file:
                if line == _DONE:
                    delivered += 1
                else:
                    entry = self._entry(line)
                    if entry is None:
                        break
                    found.append(entry)
                good += len(line)
            torn = os.fstat(file.fileno()).st_size - good
        if torn:
            log.warning("the journal's end was cut short", extra={"octets": torn})
            os.ftruncate(self._descriptor, good)
        return found[delivered:]

    def _entry(self, line: bytes) -> Entry | None:
        if not line.endswith(b"\n") or line[8:9] != b" " or line[:8] != b"%08x" % crc32(line[9:-1]):
            return None
        return cast("Entry", self._codec.decode(line[9:-1]))


def _sync_directory(directory: Path) -> None:
    """Make the file's name as lasting as its content."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
