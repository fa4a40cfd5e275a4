# SPDX-License-Identifier: Apache-2.0
"""Session timers (RFC 4028): a call whose refreshes stop is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import parse_params, whole_number
from switch.sip.message.message import Response

if TYPE_CHECKING:
    from switch.sip.message.message import Message, Request

__all__ = ["MIN_SE", "SessionTimer", "min_se", "offered_interval", "session_expires", "too_small"]

MIN_SE: Final = 90
"""Seconds: no interval is shorter, and a missing Min-SE means this (RFC 4028 section 5)."""


def session_expires(message: Message) -> tuple[int, str | None] | None:
    """Session-Expires as (seconds, refresher).

    Raises ParseError for a request that says it in a way that cannot be read; a response that does says nothing: an
    answer must not be lost for it.
    """
    value = message.get("Session-Expires")
    if value is None:
        return None
    number, semicolon, tail = value.partition(";")
    seconds = whole_number(number.strip(), 9)
    try:
        if seconds is None:
            raise ParseError("malformed Session-Expires")
        refresher = parse_params(semicolon + tail).get("refresher")
    except ParseError:
        if isinstance(message, Response):
            return None
        raise
    return seconds, refresher.lower() if refresher else None


def offered_interval(request: Request) -> int:
    """The interval that a request of ours asks for; 0: none."""
    asked = session_expires(request)
    return 0 if asked is None else asked[0]


def min_se(message: Message) -> int:
    """Min-SE in seconds, 90 when missing or malformed."""
    return max(MIN_SE, whole_number((message.get("Min-SE") or "").partition(";")[0].strip(), 9) or 0)


def too_small(request: Request, least: int) -> bool:
    """Whether a request's interval is to be refused with 422 (RFC 4028 section 9); raises ParseError."""
    asked = session_expires(request)
    return asked is not None and asked[0] < least and "timer" in request.tokens("Supported")


@dataclass(slots=True)
class SessionTimer:
    """Who refreshes a session, how often, and when it is over."""

    interval: int = 0
    """Seconds; 0: no timer runs."""
    we_refresh: bool = False
    agreed: bool = False
    """The peer takes part; otherwise we ask on our own, only to learn whether it is still there."""
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

    def retry(self, now: float, seconds: float | None = None) -> None:
        """A refresh failed but the call may live: try again, the sooner the nearer the end is."""
        if self.expires_at is not None and self.refresh_at is None:
            self.refresh_at = now + (max(2.0, (self.expires_at - now) / 4) if seconds is None else seconds)

    def refused(self, response: Response, now: float) -> None:
        """A refresh of ours got a failure that leaves the call alive."""
        if not self.agreed:
            self.restart(now)  # the peer takes no part in refreshing, but it is there
            return
        after = (response.get("Retry-After") or "").partition(";")[0].strip()
        self.retry(now, max(2.0, float(after)) if whole_number(after, 3) is not None else None)

    def request_headers(self, preferred: int, least: int) -> list[tuple[str, str]]:
        """What a refreshing request of ours says (RFC 4028 section 7.4): the refresher stays who it is."""
        interval = self.interval or preferred
        if not interval:
            return []
        role = "" if not self.agreed else f";refresher={'uac' if self.we_refresh else 'uas'}"
        return [("Session-Expires", f"{interval}{role}"), ("Min-SE", str(least))]

    def answer(self, request: Request, preferred: int, now: float) -> list[tuple[str, str]]:
        """As server of INVITE or UPDATE: settle the timer and give the headers of the 2xx (RFC 4028 section 9)."""
        asked = session_expires(request)
        supported = "timer" in request.tokens("Supported")
        if asked is None and (not supported or not preferred):
            self._settle(preferred, we_refresh=True, agreed=False, now=now)
            return []
        interval, refresher = asked or (max(preferred, min_se(request)), None)
        if not supported:
            refresher = "uas"  # table 2: whatever it says, a client without support cannot refresh
        refresher = refresher if refresher in ("uac", "uas") else "uac"
        interval = max(interval, MIN_SE)
        self._settle(interval, we_refresh=refresher == "uas", agreed=supported, now=now)
        headers = [("Session-Expires", f"{interval};refresher={refresher}")]
        return [*headers, ("Require", "timer")] if refresher == "uac" else headers

    def settle(self, response: Response, asked: int, now: float) -> None:
        """As client: take over what the 2xx says (RFC 4028 section 7.2).

        Without Session-Expires, or with a malformed one, the peer takes no part: we refresh on our own.
        """
        try:
            said = session_expires(response)
        except ParseError:
            said = None
        if said is None:
            self._settle(asked, we_refresh=True, agreed=False, now=now)
        else:
            self._settle(max(said[0], MIN_SE), we_refresh=said[1] != "uas", agreed=True, now=now)

    def _settle(self, interval: int, *, we_refresh: bool, agreed: bool, now: float) -> None:
        self.interval, self.we_refresh, self.agreed = interval, we_refresh, agreed
        self.restart(now)

    @property
    def next_deadline(self) -> float | None:
        """When to refresh or to end the session."""
        if self.refresh_at is None:
            return self.expires_at
        return self.refresh_at if self.expires_at is None else min(self.refresh_at, self.expires_at)
