# SPDX-License-Identifier: Apache-2.0
"""A call on a phone, as whoever drives the phone sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from softswitch.phone.sound import HEAR_SECONDS, Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from softswitch.phone.phone import Phone

__all__ = ["Call", "CallFailedError", "MediaState"]

ANSWER_SECONDS: Final = 40.0
USER: Final = re.compile(r"sips?:([^@;>]*)@")


class CallFailedError(Exception):
    """The call ended instead of being answered."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"


@dataclass(frozen=True, slots=True)
class MediaState:
    """What was last agreed on."""

    status: str = "none"
    """none, active, held here, held there, failed."""
    codec: str = ""
    sends: bool = False
    receives: bool = False


@dataclass(slots=True)
class Call:
    """One call; its fields follow what the phone tells."""

    phone: Phone
    identity: int
    caller: str = ""
    """The From URI of an incoming call, with its display name."""
    dialled: str = ""
    state: str = "calling"
    """calling, incoming, early, connecting, confirmed, ended."""
    code: int = 0
    reason: str = ""
    media: MediaState = field(default_factory=MediaState)
    media_changes: int = 0
    digits: list[tuple[str, str]] = field(default_factory=list)
    """Digits heard, and how they came: rfc4733 or info."""
    answered_at: float | None = None
    """Monotonic seconds; the same clock in all processes of a machine."""
    ended_at: float | None = None
    recording: Recording | None = None

    def apply(self, event: Mapping[str, Any]) -> None:
        """Takes over what the phone told."""
        match event["event"]:
            case "state":
                self.state, self.code, self.reason = event["state"], event["code"], event["reason"]
                if self.state == "confirmed" and self.answered_at is None:
                    self.answered_at = event["at"]
                if self.state == "ended":
                    self.ended_at = event["at"]
            case "media":
                self.media = MediaState(event["status"], event["codec"], event["sends"], event["receives"])
                self.media_changes += 1
                self.recording = Recording(Path(event["recording"]))
            case "digit":
                self.digits.append((event["digit"], event["way"]))

    # what to wait for -------------------------------------------------------------------------------------------
    @property
    def caller_number(self) -> str:
        """The user part of the caller's URI."""
        found = USER.search(self.caller)
        return found[1] if found else ""

    @property
    def is_ended(self) -> bool:
        return self.state == "ended"

    def wait(self, is_true: Callable[[Call], bool], what: str, seconds: float = ANSWER_SECONDS) -> None:
        """Waits until something holds; raises PhoneError when it does not come true in time."""
        self.phone.wait(lambda: is_true(self), what, seconds)

    def wait_ringing(self, seconds: float = ANSWER_SECONDS) -> None:
        self.wait(lambda call: call.state in ("early", "confirmed", "ended"), "ringing", seconds)
        self._raise_if_ended()

    def wait_answered(self, seconds: float = ANSWER_SECONDS) -> None:
        """Waits until both sides are connected; raises CallFailedError when the call ends instead."""
        self.wait(lambda call: call.state in ("confirmed", "ended"), "answered", seconds)
        self._raise_if_ended()
        self.wait(lambda call: call.media.status != "none" or call.is_ended, "media", seconds)

    def wait_ended(self, seconds: float = ANSWER_SECONDS) -> int:
        """Waits for the end; returns the last status code."""
        self.wait(lambda call: call.is_ended, "ended", seconds)
        return self.code

    def wait_media(self, status: str, codec: str = "", seconds: float = ANSWER_SECONDS) -> None:
        """Waits for a state of the media, and for a codec if one is named."""

        def reached(call: Call) -> bool:
            return call.media.status == status and codec in ("", call.media.codec)

        self.wait(reached, f"media {status} {codec}".rstrip(), seconds)

    def wait_digits(self, digits: str, seconds: float = ANSWER_SECONDS) -> None:
        self.wait(lambda call: "".join(digit for digit, _ in call.digits).endswith(digits), f"digits {digits}", seconds)

    def hears(self, hertz: float, *, seconds: float = HEAR_SECONDS) -> bool:
        """Whether a pure tone comes in within the time."""
        return self.recording is not None and self.recording.hears(hertz, seconds=seconds)

    def hears_nothing(self, *, seconds: float = HEAR_SECONDS) -> bool:
        """Whether it becomes silent within the time."""
        return self.recording is None or self.recording.hears_nothing(seconds=seconds)

    def _raise_if_ended(self) -> None:
        if self.is_ended:
            raise CallFailedError(self.code, self.reason)

    # orders -----------------------------------------------------------------------------------------------------
    def answer(self, code: int = 200) -> None:
        """Answers; a code below 200 is a provisional answer, one above is a refusal."""
        self.phone.order("answer", call=self.identity, code=code)

    def hang_up(self, code: int = 0) -> None:
        """BYE, or CANCEL, or a refusal with `code`."""
        self.phone.order("hang_up", call=self.identity, code=code)

    def hold(self) -> None:
        self.phone.order("hold", call=self.identity)

    def resume(self) -> None:
        self.phone.order("resume", call=self.identity)

    def change_codecs(self, codecs: Sequence[str], *, method: str = "INVITE", late_offer: bool = False) -> None:
        """Offers other codecs with a re-INVITE or an UPDATE; `late_offer`: lets the other side offer."""
        self.phone.order("change", call=self.identity, codecs=list(codecs), method=method, late_offer=late_offer)

    def play(self, hertz: int) -> None:
        """Sends a tone until the next order; 0: silence."""
        self.phone.order("play", call=self.identity, hertz=hertz)

    def send_digits(self, digits: str, *, way: str = "rfc4733") -> None:
        """Sends DTMF in RTP (`rfc4733`), in INFO requests (`info`), or as the tones themselves (`inband`)."""
        self.phone.order("digits", call=self.identity, digits=digits, way=way)

    def packets(self) -> dict[str, int]:
        """RTP packets so far: sent, received, lost."""
        counted = self.phone.order("packets", call=self.identity)
        return {str(name): int(count) for name, count in counted.items()}
