# SPDX-License-Identifier: Apache-2.0
"""What phones sent and got, and what was done to the processes meanwhile, with times: the truth from outside.

Nothing here rests on a protocol core: a call was answered if a 2xx to its INVITE came in by the wire.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from tests.switch.phone import Phone

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Diary", "DiaryPhone"]

BEFORE_SECONDS: Final = 3.0
AFTER_SECONDS: Final = 10.0
"""What else is told of a call: what happened so long before its first message and after its last."""
LOG_TIME: Final = re.compile(r"(\d\d):(\d\d):(\d\d) (\w+)")


@dataclass(frozen=True, slots=True)
class Note:
    """A message at a phone; without a Call-ID something that was done to a process."""

    at: float
    """Seconds since the epoch."""
    who: str
    what: str
    call_id: str = ""
    caller: str = ""
    """Who began the call."""

    def __str__(self) -> str:
        return f"{clock(self.at)}.{int(self.at % 1 * 1000):03d} {self.who:<9}{self.what}  {self.call_id}"


def clock(at: float) -> str:
    """The local time of day, as in the log."""
    return time.strftime("%H:%M:%S", time.localtime(at))


class Diary:
    """Notes in the order of time."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.answered: dict[str, float] = {}
        """When the 2xx to an INVITE first reached whoever sent it, by Call-ID."""
        self._callers: dict[str, str] = {}
        """Who began each call, by Call-ID."""

    def note(self, who: str, what: str) -> None:
        """Something that concerns every call."""
        self.notes.append(Note(time.time(), who, what))

    def sent(self, who: str, message: Request | Response) -> None:
        """A message left a phone."""
        self._note(who, "->", message)

    def received(self, who: str, message: Request | Response) -> None:
        """A message reached a phone."""
        self._note(who, "<-", message)
        if isinstance(message, Response) and message.cseq_method == "INVITE" and 200 <= message.status < 300:
            self.answered.setdefault(message.call_id, time.time())

    def _note(self, who: str, arrow: str, message: Request | Response) -> None:
        what = message.method if isinstance(message, Request) else f"{message.status} to {message.cseq_method}"
        reason = message.get("Reason")
        told = f"{arrow} {what}" + (f" ({reason})" if reason else "")
        caller = self._callers.setdefault(message.call_id, message.from_.uri.user or "")
        self.notes.append(Note(time.time(), who, told, message.call_id, caller))

    def story(self, call_id: str, log: Iterable[str]) -> str:
        """The ladder of a call at both phones, what was done to processes meanwhile, and what these logged of it."""
        own = [note for note in self.notes if note.call_id == call_id]
        caller, since, until = own[0].caller, own[0].at - BEFORE_SECONDS, own[-1].at + AFTER_SECONDS
        told = [str(note) for note in self.notes if since <= note.at <= until and note.caller in (caller, "")]
        span = {clock(since + second) for second in range(int(until - since) + 1)}
        words = (call_id, f"account={caller}", "warning:", "error:", " runs again", " ended by SIG")
        logged = [
            line.rstrip()
            for line in log
            if LOG_TIME.match(line) and line[:8] in span and any(word in line for word in words)
        ]
        return "\n".join((f"call {call_id} of {caller}:", *told, "logged meanwhile:", *logged))


class DiaryPhone(Phone):
    """A phone that writes down each message."""

    def __init__(self, user: str, password: str, switch: tuple[str, int]) -> None:
        super().__init__(user, password, switch)
        self.diary = Diary()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A packet from the switch."""
        if data.strip(b"\r\n\0"):
            self.diary.received(self.user, parse_message(data))
        super().datagram_received(data, addr)

    def perform(self, outcome: Iterable[object]) -> None:
        """Send what is to be sent, queue the rest."""
        before = len(self.sent)
        super().perform(outcome)
        for message in self.sent[before:]:
            self.diary.sent(self.user, message)
