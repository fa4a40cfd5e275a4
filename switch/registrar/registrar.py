# SPDX-License-Identifier: Apache-2.0
"""The registrar: authenticates a REGISTER, has the pure core decide, and hands the changes to the location service.

All domains are one: user names are unique among them, so the host of the Request-URI and of To is not looked at, and a
phone may be given a name of ours, an address, or whatever its network resolves to us.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError
from switch.sip.binding_rules import register
from switch.sip.digest import Verdict
from switch.sip.message.errors import ParseError
from switch.sip.message.validate import stateless_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from billing_client.parties import Subscriber
    from switch.access.doorkeeper import Doorkeeper
    from switch.access.subscribers import Subscribers
    from switch.registrar.bindings import Location
    from switch.settings import RegistrationSettings
    from switch.sip.digest import Credentials
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response

__all__ = ["Registrar"]

log = logging.getLogger(__name__)

_MAX_WAITING: Final = 32
"""Requests of one name that wait for the store."""
_MAX_NAMES: Final = 2048
"""Names that are asked for at a time."""


@dataclass(slots=True)
class _Attempt:
    """A REGISTER with credentials, and where its answer goes."""

    request: Request
    flow: Flow
    credentials: Credentials
    reply: Callable[[Response], None]
    refuse: Callable[[Response | None], None]


class Registrar:
    """Answers REGISTER. Without credentials, or with a known subscriber, the answer comes before `handle` returns."""

    def __init__(
        self,
        subscribers: Subscribers,
        doorkeeper: Doorkeeper,
        location: Location,
        limits: RegistrationSettings,
    ) -> None:
        self._subscribers = subscribers
        self._doorkeeper = doorkeeper
        self._location = location
        self._waiting: dict[str, list[_Attempt]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.limits = limits
        self.on_registered: Callable[[Subscriber, Sequence[str]], None] = lambda subscriber, new: None
        """Told of every accepted REGISTER, with the keys of the bindings that are new or of a phone that restarted."""
        self.accepted = 0
        self.refused = 0
        """Wrong passwords and unknown names."""

    def handle(
        self,
        request: Request,
        flow: Flow,
        reply: Callable[[Response], None],
        refuse: Callable[[Response | None], None],
    ) -> None:
        """Answer a REGISTER. Those of one name are answered in the order in which they came.

        `refuse` answers, without state, those who have not shown who they are, or gives them no answer.
        """
        try:
            credentials = self._doorkeeper.find(request.all("Authorization"))
        except ParseError as error:
            refuse(request.response(error.status, to_tag=stateless_tag(request)))
            return
        verdict = self._doorkeeper.first_look(credentials, flow)
        if credentials is None or verdict is not None:
            refuse(self._doorkeeper.challenge(request, flow, 401, verdict or Verdict.REFUSED))
            return
        attempt = _Attempt(request, flow, credentials, reply, refuse)
        waiting = self._waiting.get(credentials.user)
        if waiting is None and len(self._waiting) < _MAX_NAMES:
            self._decide(attempt)
        elif waiting is not None and len(waiting) < _MAX_WAITING:
            waiting.append(attempt)
        else:
            refuse(_unavailable(request))

    async def settle(self) -> None:
        """Wait until every REGISTER that came is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def account_changed(self, number: str | None) -> None:
        """The store says that an account changed; None: any may have."""
        self._subscribers.changed(number)

    def _decide(self, attempt: _Attempt) -> None:
        """Answer from what is kept, if that will do, or else from the store."""
        name = attempt.credentials.user
        subscriber = self._subscribers.kept(name)
        if subscriber is not None:
            verdict = self._verdict(attempt, subscriber)
            if verdict is not Verdict.REFUSED:
                self._answer(attempt, subscriber, verdict)
                return
        fresh = self._subscribers.fresh(name)
        if fresh is not None:
            self._answer(attempt, fresh.subscriber, self._verdict(attempt, fresh.subscriber))
            return
        self._waiting[name] = [attempt]
        task = asyncio.get_running_loop().create_task(self._ask(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, name: str) -> None:
        """Answer all that wait for a name with what the store says of it."""
        try:
            subscriber = await self._subscribers.find(name)
        except StoreError:
            for attempt in self._waiting[name]:
                self._answer_without_store(attempt)
        else:
            self._answer_found(self._waiting[name], subscriber)
        finally:
            del self._waiting[name]

    def _answer_found(self, attempts: list[_Attempt], subscriber: Subscriber | None) -> None:
        is_adopted = False
        for attempt in attempts:
            verdict = self._verdict(attempt, subscriber)
            if subscriber is not None and verdict is Verdict.ACCEPTED and not is_adopted:
                self._location.adopt(subscriber.name, subscriber.bindings)
                is_adopted = True
            self._answer(attempt, subscriber, verdict)

    def _answer_without_store(self, attempt: _Attempt) -> None:
        """Whom we know stays registered while the store is away; all others hear the same."""
        subscriber = self._subscribers.last_known(attempt.credentials.user)
        verdict = self._verdict(attempt, subscriber)
        if verdict is Verdict.REFUSED:
            number = subscriber.number if subscriber else None
            self._doorkeeper.refused(attempt.credentials, attempt.request, attempt.flow, number)
            attempt.refuse(_unavailable(attempt.request))
        else:
            self._answer(attempt, subscriber, verdict)

    def _verdict(self, attempt: _Attempt, subscriber: Subscriber | None) -> Verdict:
        password = subscriber.password if subscriber else None
        return self._doorkeeper.verify(attempt.credentials, attempt.request, attempt.flow, password)

    def _answer(self, attempt: _Attempt, subscriber: Subscriber | None, verdict: Verdict) -> None:
        request, flow = attempt.request, attempt.flow
        if verdict is Verdict.ACCEPTED and subscriber is not None:
            attempt.reply(self._register(attempt, subscriber))
            return
        if verdict is Verdict.REFUSED:
            self.refused += 1
            number = subscriber.number if subscriber else None
            self._doorkeeper.refused(attempt.credentials, request, flow, number)
        attempt.refuse(self._doorkeeper.challenge(request, flow, 401, verdict))

    def _register(self, attempt: _Attempt, subscriber: Subscriber) -> Response:
        request, flow = attempt.request, attempt.flow
        self._doorkeeper.accepted(flow, subscriber.number, self.limits.max_expires)
        if request.to.uri.user != subscriber.name:
            return request.response(403, "Not Your Address", to_tag=_tag())
        if subscriber.usable is not None:
            log.info("registration refused", extra={"account": subscriber.number, "reason": subscriber.usable})
            return request.response(403, to_tag=_tag())
        current = self._location.bindings(subscriber.name)
        registration = register(
            request, flow, current, self.limits, self._location.now(), _tag(), self._location.destinations
        )
        if registration.refusal is not None:
            source, reason = flow.remote[0], registration.refusal
            log.warning(
                "a binding is refused", extra={"account": subscriber.number, "source": source, "reason": reason}
            )
        self._location.update(subscriber.name, registration, flow)
        self.accepted += 1
        if registration.upserts:
            known = {binding.key: binding.call_id for binding in current}
            new = [binding.key for binding in registration.upserts if known.get(binding.key) != binding.call_id]
            phones = len([key for key in new if key not in known])
            if phones:
                self._doorkeeper.has_phones(flow, phones)
            self.on_registered(subscriber, new)
        return registration.response


def _unavailable(request: Request) -> Response:
    return request.response(503, to_tag=stateless_tag(request), headers=[("Retry-After", "10")])


def _tag() -> str:
    return os.urandom(8).hex()
