# SPDX-License-Identifier: Apache-2.0
"""Session timers (RFC 4028): a call whose refreshes stop is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.sip.errors import ParseError
from switch.sip.grammar import parse_params

if TYPE_CHECKING:
    from switch.sip.message import Message, Request, Response

__all__ = ["SessionTimer", "min_se", "session_expires", "too_small"]


def session_expires(message: Message) -> tuple[int, str | None] | None:
    """Session-Expires as (seconds, refresher); raises ParseError."""
    value = message.get("Session-Expires")
    if value is None:
        return None
    number, semicolon, tail = value.partition(";")
    number = number.strip()
    if not (number.isascii() and number.isdigit()) or len(number) > 9:
        raise ParseError("malformed Session-Expires")
    refresher = parse_params(semicolon + tail).get("refresher")
    return int(number), refresher.lower() if refresher else None


def min_se(message: Message) -> int:
    """Min-SE in seconds, 90 when missing or malformed (RFC 4028 section 5)."""
    number = (message.get("Min-SE") or "").partition(";")[0].strip()
    return max(90, int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else 90


def too_small(request: Request, least: int) -> bool:
    """Whether a request's interval is to be refused with 422 (RFC 4028 section 9)."""
    asked = session_expires(request)
    return asked is not None and asked[0] < least and "timer" in request.tokens("Supported")


@dataclass(slots=True)
class SessionTimer:
    """Who refreshes a session, how often, and when it is over."""

    interval: int
    """Seconds; 0: no timer runs."""
    we_refresh: bool = False
    refresh_at: float | None = None
    expires_at: float | None = None

    def restart(self, now: float) -> None:
        """A refresh succeeded (RFC 4028 section 10)."""
        if not self.interval:
            self.refresh_at = self.expires_at = None
            return
        self.refresh_at = now + self.interval / 2 if self.we_refresh else None
        # the side that does not refresh says BYE a bit before the end, so that both ends agree
        self.expires_at = now + self.interval - (0 if self.we_refresh else min(32.0, self.interval / 3))

    def answer(self, request: Request, preferred: int, now: float) -> list[tuple[str, str]]:
        """As server of INVITE or UPDATE: settle the timer and give the headers of the 2xx (RFC 4028 section 9)."""
        asked = session_expires(request)
        supported = "timer" in request.tokens("Supported")
        if asked is None and not supported:
            self.interval, self.we_refresh = preferred, True  # legal: we refresh on our own
            self.restart(now)
            return []
        interval, refresher = asked or (max(preferred, min_se(request)), None)
        refresher = refresher or ("uac" if supported else "uas")
        self.interval, self.we_refresh = interval, refresher == "uas"
        self.restart(now)
        headers = [("Session-Expires", f"{interval};refresher={refresher}")]
        return [*headers, ("Require", "timer")] if refresher == "uac" else headers

    def settle(self, response: Response, asked: int, now: float) -> None:
        """As client: take over what the 2xx says (RFC 4028 section 7.2)."""
        said = session_expires(response)
        if said is None:
            self.interval, self.we_refresh = asked, True
        else:
            self.interval, self.we_refresh = said[0], said[1] != "uas"
        self.restart(now)

    @property
    def next_deadline(self) -> float | None:
        """When to refresh or to end the session."""
        if self.refresh_at is None:
            return self.expires_at
        return self.refresh_at if self.expires_at is None else min(self.refresh_at, self.expires_at)
