# SPDX-License-Identifier: Apache-2.0
"""Answered calls, on disk: what the next life of a killed switch needs to hang them up and to record them.

The dialogs of a switch die with it, the talk of its phones does not: the relay passes their sound on, and nobody
charges for it. So the BYE of each leg is written down when a call is answered, and sent by whoever finds it there at
its start. Nothing is synced: this outlives the process, and with the machine its relay is gone as well.

The store is told of an answer a moment later, with others, and of a call that began while it was away at the end only.
So the line says also when the call was answered and, where the store does not know the call, what to record of it.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from switch.sip.message.flow import Flow
from switch.sip.message.message import Request

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from billing_client.calls import CallFinish
    from switch.money.journal import Codec
    from switch.sip.session import Session

__all__ = ["Farewell", "Left", "StandingCalls"]

log = logging.getLogger(__name__)

_SKIPPED_REQUESTS: Final = 10_000
"""The dialog may have seen so many requests of ours since (RFC 3261 section 12.2.2: a CSeq may leave numbers out)."""
_COMPACT_OCTETS: Final = 4 << 20


class Farewell(NamedTuple):
    """A BYE, but for Via and Contact, and where it goes."""

    request: Request
    flow: Flow


class Left(NamedTuple):
    """What an earlier life knew of an answered call."""

    farewells: list[Farewell]
    answered_at: datetime
    will: CallFinish | None
    """What is recorded if the store does not know the call."""


class StandingCalls:
    """A file with a line for each call that was answered and one for each that is over."""

    def __init__(self, file: Path | None, codec: Codec) -> None:
        """Open the file; None: nothing is kept. `codec` writes a `CallFinish`. Raises OSError."""
        self._file = file
        self._codec = codec
        self._lines: dict[str, bytes] = {}
        self._standing_octets = 0
        self._size = 0
        self._descriptor = -1
        self.left: dict[str, Left] = {}
        """What an earlier life left behind, by call; kept until `forget_left`."""
        if file is not None:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._write(b"\n")  # after a line that was cut short
            self.left = _read(file, codec)

    @property
    def wills(self) -> list[CallFinish]:
        """Of the calls that were left, what is recorded where the store does not know them."""
        return [left.will for left in self.left.values() if left.will is not None]

    @property
    def answers(self) -> dict[str, datetime]:
        """When the calls that were left were answered."""
        return {call_id: left.answered_at for call_id, left in self.left.items()}

    def forget_left(self) -> None:
        """The calls of the earlier life are hung up."""
        self.left.clear()
        if self._file is not None:
            self._rewrite(self._file)

    def answered(
        self,
        call_id: str,
        sessions: Iterable[Session | None],
        reason: tuple[str, str],
        *,
        answered_at: datetime,
        will: CallFinish | None = None,
    ) -> None:
        """Both legs of a call stand; `reason` is for the BYE that ends them without us, `will` for the record then."""
        if self._descriptor < 0:
            return
        legs = [_written(session, reason) for session in sessions if session is not None]
        written = None if will is None else self._codec.encode(will).decode()
        line = json.dumps([call_id, legs, answered_at.isoformat(), written], separators=(",", ":")).encode() + b"\n"
        self._lines[call_id] = line
        self._standing_octets += len(line)
        self._write(line)

    def over(self, call_id: str) -> None:
        """A call has ended."""
        line = self._lines.pop(call_id, None)
        if line is None or self._file is None:
            return
        self._standing_octets -= len(line)
        self._write(b'["%s",[]]\n' % call_id.encode())
        if self._size > _COMPACT_OCTETS + 2 * self._standing_octets and not self.left:
            self._rewrite(self._file)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, octets: bytes) -> None:
        try:
            self._size += os.write(self._descriptor, octets)
        except OSError:
            log.exception("a call is not written down")

    def _rewrite(self, file: Path) -> None:
        """Begin a file that has the calls that stand, and let it take the place of the old one."""
        fresh = file.with_name(file.name + ".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.close()
        self._descriptor, self._size = descriptor, 0
        self._write(b"".join(self._lines.values()))
        fresh.replace(file)


def _written(session: Session, reason: tuple[str, str]) -> list[object]:
    dialog = session.dialog
    bye = dialog.request("BYE", [reason], cseq=dialog.local_cseq + _SKIPPED_REQUESTS)
    flow = dialog.next_flow()
    return [bye.uri_text, bye.headers, flow.transport, flow.local, flow.remote]


def _read(file: Path, codec: Codec) -> dict[str, Left]:
    """The calls of a file that are not over; a line that was cut short is none."""
    found: dict[str, Left] = {}
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            call_id, legs, *answer = json.loads(line)
            if legs:
                found[call_id] = _left(codec, legs, *answer)
            else:
                found.pop(call_id, None)
        except (TypeError, ValueError):
            continue
    return found


def _left(codec: Codec, legs: list[Any], answered_at: str, will: str | None) -> Left:
    return Left(
        [_farewell(*leg) for leg in legs],
        datetime.fromisoformat(answered_at),
        None if will is None else cast("CallFinish", codec.decode(will.encode())),
    )


def _farewell(
    uri: str, headers: list[list[str]], transport: str, local: list[str | int], remote: list[str | int]
) -> Farewell:
    lines = [(name, value) for name, value in headers]
    return Farewell(Request("BYE", uri, lines, b""), Flow(transport, _address(local), _address(remote)))


def _address(written: list[str | int]) -> tuple[str, int]:
    host, port = written
    return str(host), int(port)
