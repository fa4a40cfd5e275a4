# SPDX-License-Identifier: Apache-2.0
"""What everybody meets who asks for something in the name of an account: challenge, nonce, turn, password.

The order is the rule. A request without credentials, or with a nonce that we did not send to its source, is challenged:
statelessly, once, with no more bytes than are needed, and so many times per source. Only then may a name be asked for,
and a wrong password counted. See docs/adr/0021-strangers-cost-nothing.md.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from switch.sip.digest import Verdict
from switch.sip.message.validate import stateless_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from switch.access.guesses import Guesses
    from switch.sip.digest import Credentials, DigestServer
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.transport.flood import FloodGuard

__all__ = ["Doorkeeper"]

log = logging.getLogger(__name__)

_HEADERS: Final = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}
_MOST_TIMES: Final = 1.5
"""What a stranger is sent, in terms of what came in his name over UDP: else one challenge has to do, the first."""


class Doorkeeper:
    """Challenges, and judges credentials. `clock` is Unix time, `monotonic` counts for limits."""

    def __init__(
        self,
        digest: DigestServer,
        flood: FloodGuard,
        guesses: Guesses,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._digest = digest
        self.flood = flood
        self.guesses = guesses
        self._clock = clock
        self._monotonic = monotonic

    def find(self, lines: Iterable[str]) -> Credentials | None:
        """The credentials for our realm; None when there are none. Raises ParseError."""
        return self._digest.find(lines)

    def first_look(self, credentials: Credentials | None, flow: Flow) -> Verdict | None:
        """Why to challenge at once, before anything is asked or kept; None: the password is to be looked at."""
        if credentials is None:
            return Verdict.REFUSED
        host = flow.remote[0]
        if not self._digest.is_current(credentials, host, self._clock()):
            return Verdict.STALE
        if not credentials.user:
            return Verdict.REFUSED  # nobody's name: too long, or none
        return None if self.guesses.may_try(credentials.user, host, self._monotonic()) else Verdict.STALE

    def challenge(self, request: Request, flow: Flow, status: int, verdict: Verdict) -> Response | None:
        """A 401 or 407, which needs neither the store nor memory of the request; None: the source has had enough."""
        host = flow.remote[0]
        if not self.flood.may_answer(host, self._monotonic()):
            return None
        values = self._digest.challenges(
            host, self._clock(), stale=verdict is Verdict.STALE, user_agent=request.get("User-Agent")
        )
        name = _HEADERS[status]
        response = request.response(status, to_tag=stateless_tag(request), headers=[(name, value) for value in values])
        if (
            len(values) > 1
            and flow.transport == "udp"
            and not self.flood.is_trusted(host, self._monotonic())
            and response.size > _MOST_TIMES * request.size
        ):
            del response.headers[1 - len(values) :]
        return response

    def verify(self, credentials: Credentials, request: Request, flow: Flow, password: str | None) -> Verdict:
        """Judge credentials that passed the first look; `password` None: nobody logs in by this name."""
        return self._digest.verify(
            credentials, flow.remote[0], request.method, request.uri_text, password, self._clock()
        )

    def refused(self, credentials: Credentials, request: Request, flow: Flow, account: str | None) -> None:
        """The password was wrong: count it against `account`, or against the name if that is nobody's."""
        host = flow.remote[0]
        self.guesses.failed(credentials.user, host, self._monotonic(), account=account)
        log.warning("authentication failed", extra={"source": host, "method": request.method})

    def accepted(self, flow: Flow, account: str, seconds: float) -> None:
        """The password was right: trust its source for so long."""
        host, now = flow.remote[0], self._monotonic()
        self.flood.trust(host, now + seconds)
        self.guesses.succeeded(account, host, now)

    def has_phones(self, flow: Flow, number: int) -> None:
        """So many more phones are registered from this source, which is trusted."""
        self.flood.add_phones(flow.remote[0], number)
