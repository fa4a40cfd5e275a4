# SPDX-License-Identifier: Apache-2.0
"""The mark of ng commands: only who has the secret commands this relay, and no command is carried out twice.

    COOKIE M1:MICROSECONDS:MAC:DICTIONARY

The MAC is HMAC-SHA-256, in hexadecimal digits, over `MICROSECONDS COOKIE DICTIONARY`; the rest is an ng command as it
always was. The time is the wall clock at its making: a mark counts for `WINDOW_SECONDS`, and not for an earlier life of
the relay. A cookie that comes again within that time gets the answer of the first command, or none.

Whoever has no mark gets an answer that is no longer than the question, and changes nothing (docs/adr/0015).
"""

from __future__ import annotations

import hmac
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from media.relay.bencode import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from media.relay.ng import NgServer

__all__ = ["WINDOW_SECONDS", "MarkedNg"]

WINDOW_SECONDS: Final = 60.0
"""So far the clocks of both machines may differ, and so long a cookie is remembered."""
LEAST_SECRET: Final = 16
_REFUSAL: Final = encode({"result": "error", "error-reason": "No mark of our switch"})
_GRACE_SECONDS: Final = 0.05
"""Wall and monotonic clock are no closer."""
_TELL_SECONDS: Final = 60.0

log = logging.getLogger("media.relay.ng")


class MarkedNg:
    """Lets marked commands through to an `NgServer`."""

    def __init__(
        self, server: NgServer, secret: bytes, *, wall: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        """`wall` gives epoch seconds, which both sides share; `clock` monotonic ones. ValueError: no secret."""
        if len(secret) < LEAST_SECRET:
            raise ValueError(f"a secret of fewer than {LEAST_SECRET} octets marks nothing")
        self._server = server
        self._secret = secret
        self._wall = wall
        self._clock = clock
        self._began = clock()
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        """Cookies of commands that were carried out, and until when (epoch) they could be shown again."""
        self.refused = 0
        """Commands without a mark."""
        self._told_at = float("-inf")

    def handle(self, datagram: bytes) -> bytes | None:
        """The answer to one datagram; none where it would be longer than what asks for it without a mark."""
        cookie, _, rest = datagram.partition(b" ")
        command = self._command(cookie, rest)
        if command is None:
            return self._refuse(datagram, cookie)
        now, seen = self._wall(), self._seen
        while seen and next(iter(seen.values())) < now:
            seen.popitem(last=False)
        if cookie in seen:
            return self._server.answered(cookie)
        seen[cookie] = now + 2 * WINDOW_SECONDS
        return self._server.handle(cookie + b" " + command)

    def _command(self, cookie: bytes, rest: bytes) -> bytes | None:
        """What a mark vouches for; None: nothing does."""
        parts = rest.split(b":", 3)
        if len(parts) != 4 or parts[0] != b"M1":
            return None
        _, at, mac, command = parts
        expected = hmac.digest(self._secret, b"%s %s %s" % (at, cookie, command), "sha256").hex().encode()
        if not hmac.compare_digest(mac, expected):
            return None
        age = self._wall() - int(at) / 1_000_000  # digits of ours: the MAC has shown it
        fresh = -WINDOW_SECONDS <= age <= min(WINDOW_SECONDS, self._clock() - self._began + _GRACE_SECONDS)
        return command if fresh else None

    def _refuse(self, datagram: bytes, cookie: bytes) -> bytes | None:
        self.refused += 1
        if self._clock() - self._told_at >= _TELL_SECONDS:
            self._told_at = self._clock()
            log.warning("ng commands without a mark are refused", extra={"refused": self.refused})
        answer = cookie + b" " + _REFUSAL
        return answer if len(answer) <= len(datagram) else None
