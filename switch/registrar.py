# SPDX-License-Identifier: Apache-2.0
"""The registrar: authenticates a REGISTER, has the pure core decide, and hands the changes to the location service."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING

from billing_client.types import StoreError
from switch.sip.digest import Verdict
from switch.sip.errors import ParseError
from switch.sip.registrar import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.types import Subscriber
    from switch.authentication import Subscribers
    from switch.location import Location
    from switch.settings import RegistrationSettings
    from switch.sip.digest import Credentials, DigestServer
    from switch.sip.flood import FloodGuard
    from switch.sip.flow import Flow
    from switch.sip.message import Request, Response

__all__ = ["Registrar"]

log = logging.getLogger(__name__)


class Registrar:
    """Answers REGISTER. Without credentials, or with a known subscriber, the answer comes before `handle` returns."""

    def __init__(
        self,
        subscribers: Subscribers,
        digest: DigestServer,
        location: Location,
        limits: RegistrationSettings,
        flood: FloodGuard,
    ) -> None:
        self._subscribers = subscribers
        self._digest = digest
        self._location = location
        self._flood = flood
        self._tasks: set[asyncio.Task[None]] = set()
        self.limits = limits
        self.accepted = 0
        self.refused = 0

    def handle(self, request: Request, flow: Flow, reply: Callable[[Response], None]) -> None:
        """Answer a REGISTER."""
        try:
            credentials = self._digest.find(request.all("Authorization"))
        except ParseError as error:
            reply(request.response(error.status, to_tag=_tag()))
            return
        if credentials is None:
            reply(self._challenge(request, stale=False))
            return
        kept = self._subscribers.kept(credentials.user)
        if kept is not None:
            reply(self._answer(request, flow, credentials, kept[0]))
            return
        task = asyncio.get_running_loop().create_task(self._ask(request, flow, credentials, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(
        self, request: Request, flow: Flow, credentials: Credentials, reply: Callable[[Response], None]
    ) -> None:
        try:
            subscriber = await self._subscribers.find(credentials.user)
        except StoreError:
            reply(request.response(503, to_tag=_tag(), headers=[("Retry-After", "10")]))
            return
        reply(self._answer(request, flow, credentials, subscriber))

    def _challenge(self, request: Request, *, stale: bool) -> Response:
        challenges = self._digest.challenges(time.time(), stale=stale, user_agent=request.get("User-Agent"))
        return request.response(401, to_tag=_tag(), headers=[("WWW-Authenticate", value) for value in challenges])

    def _answer(
        self, request: Request, flow: Flow, credentials: Credentials, subscriber: Subscriber | None
    ) -> Response:
        now = time.time()
        password = subscriber.password if subscriber else None
        verdict = self._digest.verify(credentials, "REGISTER", request.uri_text, password, now)
        if verdict is not Verdict.ACCEPTED or subscriber is None:
            if verdict is Verdict.REFUSED:
                self.refused += 1
                self._flood.failed(flow.remote[0], time.monotonic())
                log.warning("authentication failed", extra={"source": flow.remote[0], "method": "REGISTER"})
            return self._challenge(request, stale=verdict is Verdict.STALE)
        self._flood.trust(flow.remote[0], time.monotonic() + self.limits.max_expires)
        aor = request.to.uri.user or ""
        if aor != subscriber.name:
            return request.response(403, "Not your address", to_tag=_tag())
        if subscriber.usable is not None:
            log.info("registration refused", extra={"account": subscriber.number, "reason": subscriber.usable})
            return request.response(403, to_tag=_tag())
        current = self._location.bindings(aor, subscriber.bindings)
        registration = register(request, flow, current, self.limits, now, _tag())
        self._location.update(aor, registration, flow)
        self.accepted += 1
        return registration.response

    def account_changed(self, number: str | None) -> None:
        """The store says that an account changed; None: any may have."""
        self._subscribers.changed(number)


def _tag() -> str:
    return secrets.token_hex(8)
