# SPDX-License-Identifier: Apache-2.0
"""The asyncio shell around the protocol core: sockets below, one timer, and effects carried out in order.

Dispatch is synchronous: a message has been dealt with, or queued at its call, before the next one is read.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.destination import Destinations
from switch.sip.message.validate import error_reply, validate_request
from switch.sip.session import SessionEvent
from switch.sip.transaction import Send
from switch.sip.user_agent import Arrived, Invited, UserAgent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from switch.sip.message.errors import ParseError
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.session import IncomingInvite
    from switch.sip.transaction import ServerTransaction
    from switch.sip.transport import Transport

__all__ = ["ALLOW", "METHODS", "Core", "EventReceiver"]

METHODS: Final = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "INFO", "MESSAGE", "NOTIFY",
    "SUBSCRIBE", "REFER", "PUBLISH",
)  # fmt: skip
ALLOW: Final = ", ".join(m for m in METHODS if m not in ("REGISTER", "PUBLISH", "NOTIFY"))
"""What may be sent to us within a call; NOTIFY we know well enough to refuse it."""
SUPPORTED: Final = "100rel, timer, replaces, norefersub"
"""Extensions that count within a call."""
EXTENSIONS: Final = (*SUPPORTED.split(", "), "path", "outbound")
_GRAIN_SECONDS: Final = 0.02
"""Timers may be so late: under load many are served at one waking, and most only let a transaction go."""

log = logging.getLogger(__name__)


class EventReceiver(Protocol):
    """A call, or whoever else owns sessions."""

    def receive(self, event: SessionEvent) -> None:
        """Something happened on a leg."""


class Core:
    """One SIP element: what the transport receives goes through the user agent to the application and back."""

    def __init__(
        self,
        *,
        session_expires: int,
        session_min_se: int,
        on_invite: Callable[[IncomingInvite], None],
        on_request: Callable[[Arrived], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport: Transport
        self._on_invite = on_invite
        self._on_request = on_request
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.on_sent: Callable[[bytes, Flow], None] | None = None
        """Told of every message that goes out."""
        self.destinations = Destinations()
        """Where requests may go; a new one takes its place when routes or settings change."""
        self.faults = 0
        """Requests that were not sent because they may not go where somebody sent them."""
        self.agent = UserAgent(
            sent_by=lambda flow: self.transport.sent_by(flow),
            contact=self.contact,
            new_token=lambda: os.urandom(8).hex(),
            headers=(
                ("Allow", ALLOW),
                ("Supported", SUPPORTED),
            ),
            session_expires=session_expires,
            session_min_se=session_min_se,
            ways=lambda: self.destinations,
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait for all tasks that are kept."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()

    def contact(self, flow: Flow) -> str:
        """Our Contact for messages over a flow: nothing in it speaks of the other leg."""
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        return f"<sip:{self.transport.sent_by(flow)}{transport}>"

    # input ------------------------------------------------------------------------------------------------------
    def receive(self, message: Request | Response, flow: Flow) -> None:
        """A message from the wire."""
        self.perform(self.agent.receive(message, flow, self._loop.time()))

    def receive_malformed(self, error: ParseError, flow: Flow) -> None:
        """What could not be parsed is answered if it is a request that says where to."""
        reply = error_reply(error)
        if reply is not None:
            self.transport.send(reply.to_bytes(), flow)

    def sending_failed(self, flow: Flow, data: bytes) -> None:
        """The transport gave up on a message."""
        self.perform(self.agent.send_failed(data, self._loop.time()))

    def _handle_timer(self) -> None:
        self._timer = None
        self.perform(self.agent.handle_timer(self._loop.time()))

    # output -----------------------------------------------------------------------------------------------------
    def perform(self, outcome: Iterable[object]) -> None:
        """Carry out effects in order."""
        for effect in outcome:
            if type(effect) is Send:
                if self.destinations.at(effect.flow.remote) is not None and self._is_fault(effect):
                    continue
                if self.on_sent is not None:
                    self.on_sent(effect.data, effect.flow)
                self.transport.send(effect.data, effect.flow)
            else:
                self._tell(effect)
        self._arm()

    def _is_fault(self, send: Send) -> bool:
        """The last wall: whether a message to a carrier, the media server or ourselves must not leave. It has failed
        then, as if it could not be sent."""
        if send.data.startswith(b"SIP/2.0 "):
            return False  # responses go back to where requests came from
        client = send.transaction
        request = None if client is None else client.request
        method = "ACK" if request is None else request.method
        opens = request is not None and request.to_tag is None
        why = self.destinations.fault(send.flow, method, None if client is None else client.permit, opens=opens)
        if why is None:
            return False
        self.faults += 1
        log.error("a request was not sent", extra={"destination": send.flow.remote, "reason": why})
        self._loop.call_soon(self.sending_failed, send.flow, send.data)
        return True

    def _tell(self, effect: object) -> None:
        match effect:
            case SessionEvent():
                if effect.owner is not None:
                    effect.owner.receive(effect)  # type: ignore[attr-defined]  # owners are EventReceivers
            case Invited(invite):
                if not self._refused(invite.request, invite.transaction):
                    self._on_invite(invite)
            case Arrived(request, _, transaction):
                if not self._refused(request, transaction):
                    self._on_request(effect)

    def _refused(self, request: Request, transaction: ServerTransaction) -> bool:
        refusal = validate_request(request, methods=METHODS, extensions=EXTENSIONS)
        if refusal is None:
            return False
        self.refuse(transaction, refusal)
        return True

    def reply(self, transaction: ServerTransaction, response: Response) -> None:
        """Answer a request outside dialogs."""
        self.perform(self.agent.layer.respond(transaction, response, self._loop.time()))

    def refuse(self, transaction: ServerTransaction, response: Response | None) -> None:
        """Answer somebody who has not shown who he is, or give him no answer: once, and without state."""
        self.perform(self.agent.layer.refuse(transaction, response))

    def _arm(self) -> None:
        now = self._loop.time()
        if self._timer is not None and self._timer_at <= now + _GRAIN_SECONDS:
            return
        deadline = self.agent.next_deadline
        if deadline is None:
            return
        at = max(deadline, now + _GRAIN_SECONDS)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._handle_timer)

    def close(self) -> None:
        """Stop the timer; the transport is closed by its owner."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
