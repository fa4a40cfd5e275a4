# SPDX-License-Identifier: Apache-2.0
"""Recordings on disk while they grow, so that neither a kill nor an absent store loses what a caller said.

`ID.rec` is a recording: one line of JSON (`Header`), then samples as they come, once a second. `ID.msg` is a finished
message that the store could not take yet: one line of JSON, then its sound. A file is removed only when the store has
the message. Its id is the message's, and the store takes an id once, so nothing is ever delivered twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from billing_client.mailboxes.words import Deposit, Sound
from ivr.call.taking import wav

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ivr.verbs import CallDetails

__all__ = ["Header", "Spool", "read_message", "read_recording"]

SYNC_SECONDS: Final = 3.0
"""So much of a recording may be lost where the machine itself dies; a kill of the process loses no second."""
LEAST_SECONDS: Final = 1.0
"""A recording that a kill cut off sooner is no message."""
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """First line of a recording."""

    mailbox: str
    """Number of the account that it is a message for; empty: it is none."""
    caller: str
    caller_name: str
    received_at: str
    """ISO 8601."""
    rate: int


class _Growing:
    """The file of a recording."""

    def __init__(self, file: Path, header: Header) -> None:
        self.file = file
        self._target = _private(file).open("wb", buffering=0)
        self._target.write(json.dumps(asdict(header)).encode() + b"\n")
        self._begins = self._target.tell()
        self._rate = header.rate
        self._loop = asyncio.get_running_loop()
        self._synced_at = self._loop.time()
        self._syncing: asyncio.Future[None] | None = None

    def append(self, samples: bytes) -> None:
        """Write to the page cache, which a kill of the process does not touch; the disk follows in a thread."""
        try:
            self._target.write(samples)
        except OSError as error:  # the disk is full: the caller goes on speaking, and the application keeps its copy
            log.error("a recording could not be written", extra={"file": self.file.name, "reason": str(error)})
            return
        now = self._loop.time()
        if now - self._synced_at >= SYNC_SECONDS and self._syncing is None:
            self._synced_at = now
            self._syncing = self._loop.run_in_executor(None, _sync, os.dup(self._target.fileno()))
            self._syncing.add_done_callback(self._synced)

    def _synced(self, _: object) -> None:
        self._syncing = None

    def close(self, seconds: float | None = None) -> None:
        """No more comes; only so many seconds of it count where that is known: what follows is silence."""
        if seconds is not None and not self._target.closed:
            counting = self._begins + 2 * round(seconds * self._rate)
            if counting < self._target.tell():
                self._target.truncate(counting)
        self._target.close()


def _unwritten(_samples: bytes) -> None:
    """For samples that cannot be written."""


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Spool:
    """The directory of recordings of one media server."""

    def __init__(self, directory: Path, *, utc: Callable[[], datetime]) -> None:
        self.directory = directory
        self._utc = utc
        self._growing: dict[str, _Growing] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        for left in directory.iterdir():
            left.chmod(0o600)

    def check(self, name: str) -> None:
        """Raises ValueError for what `begin` would not take as a name."""
        self.recording(name.partition("@")[0])

    def begin(self, name: str, details: CallDetails, rate: int) -> Callable[[bytes], None]:
        """Open the file of a recording; what is returned appends samples.

        `name` is the id of the message, or ID@MAILBOX where that is not the mailbox that the call is for. Raises
        ValueError for any other name.
        """
        message_id, _, mailbox = name.partition("@")
        file = self.recording(message_id)
        header = Header(
            mailbox=mailbox or details.target or "",
            caller=details.caller,
            caller_name=details.caller_name,
            received_at=self._utc().isoformat(),
            rate=rate,
        )
        self._close(message_id)
        try:
            growing = self._growing[message_id] = _Growing(file, header)
        except OSError as error:  # the disk is full: the recording goes on in memory
            log.error("a recording is not kept on disk", extra={"file": file.name, "reason": str(error)})
            return _unwritten
        return growing.append

    def end(self, name: str, seconds: float | None = None) -> None:
        """All samples are there, so many seconds of them count; the file stays until it is delivered or discarded."""
        self._close(name.partition("@")[0], seconds)

    def discard(self, name: str) -> None:
        """The recording is not wanted: recorded anew, or cancelled by the caller."""
        message_id = name.partition("@")[0]
        self._close(message_id)
        self.recording(message_id).unlink(missing_ok=True)
        self.message(message_id).unlink(missing_ok=True)

    def _close(self, message_id: str, seconds: float | None = None) -> None:
        growing = self._growing.pop(message_id, None)
        if growing is not None:
            growing.close(seconds)

    def recording(self, message_id: str) -> Path:
        """The file of a recording; raises ValueError for what is no name."""
        return self.directory / f"{_checked(message_id)}.rec"

    def message(self, message_id: str) -> Path:
        """The file of a message that waits for the store."""
        return self.directory / f"{_checked(message_id)}.msg"

    def keep(self, deposit: Deposit) -> None:
        """Write a message down for later, durably; blocks, so it is called in a thread."""
        sounds = [sound for sound in (deposit.sound, deposit.forwarded) if sound is not None]
        words = {
            "mailbox": deposit.mailbox,
            "caller": deposit.caller,
            "caller_name": deposit.caller_name,
            "received_at": deposit.received_at.isoformat(),
            "urgent": deposit.urgent,
            "sounds": [{"format": one.format, "bytes": len(one.data), "seconds": one.seconds} for one in sounds],
        }
        file = self.message(deposit.message_id)
        fresh = file.with_suffix(".new")
        with _private(fresh).open("wb") as target:
            target.write(json.dumps(words).encode() + b"\n")
            target.writelines(one.data for one in sounds)
            target.flush()
            os.fsync(target.fileno())
        fresh.rename(file)
        self.recording(deposit.message_id).unlink(missing_ok=True)

    def left(self) -> Iterator[str]:
        """Ids of what waits here: messages, and recordings that nobody writes any more. Oldest first."""
        files = [file for file in self.directory.iterdir() if file.suffix in (".rec", ".msg")]
        ids = (file.stem for file in sorted(files, key=lambda file: file.stat().st_mtime))
        return iter(dict.fromkeys(one for one in ids if one not in self._growing))

    def read(self, message_id: str) -> Deposit | None:
        """What waits under an id; None where it is no message. Blocks."""
        message = self.message(message_id)
        if message.exists():
            return read_message(message)
        recording = self.recording(message_id)
        return read_recording(recording) if recording.exists() else None

    def set_aside(self, message_id: str) -> None:
        """Keep a message that no mailbox takes for the administrator, who finds it as ID.refused."""
        for file in (self.message(message_id), self.recording(message_id)):
            if file.exists():
                file.rename(file.with_suffix(".refused"))

    def close(self) -> None:
        """Close all files; the recordings are there at the next start."""
        for message_id in list(self._growing):
            self._close(message_id)


def _checked(message_id: str) -> str:
    if not _NAME.fullmatch(message_id):
        raise ValueError(f"{message_id!r} is no name for a recording")
    return message_id


def read_recording(file: Path) -> Deposit | None:
    """A message of a recording that was cut off; None where it is too short, is no message or cannot be read."""
    line, _, samples = file.read_bytes().partition(b"\n")
    try:
        header = Header(**json.loads(line))
        received_at = datetime.fromisoformat(header.received_at)
    except (ValueError, TypeError):
        return None
    samples = samples[: len(samples) // 2 * 2]  # a write may have been cut off in the middle of a sample
    seconds = len(samples) / (2 * header.rate)
    if not header.mailbox or seconds < LEAST_SECONDS:
        return None
    return Deposit(
        message_id=file.stem,
        mailbox=header.mailbox,
        caller=header.caller,
        caller_name=header.caller_name,
        received_at=received_at,
        sound=Sound("wav", wav(samples, header.rate), seconds),
    )


def read_message(file: Path) -> Deposit | None:
    """A message that `keep` wrote; None where it cannot be read."""
    line, _, data = file.read_bytes().partition(b"\n")
    try:
        words = json.loads(line)
        sounds = []
        for one in words["sounds"]:
            sounds.append(Sound(one["format"], data[: one["bytes"]], one["seconds"]))
            data = data[one["bytes"] :]
        return Deposit(
            message_id=file.stem,
            mailbox=words["mailbox"],
            caller=words["caller"],
            caller_name=words["caller_name"],
            received_at=datetime.fromisoformat(words["received_at"]),
            urgent=words["urgent"],
            sound=sounds[0],
            forwarded=sounds[1] if len(sounds) > 1 else None,
        )
    except (ValueError, TypeError, KeyError, IndexError):
        return None


def _private(file: Path) -> Path:
    """A file that nobody else reads, from its first octet on."""
    file.touch(mode=0o600)
    return file
