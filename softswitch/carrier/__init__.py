# SPDX-License-Identifier: Apache-2.0
"""The sample carrier: a small SIP endpoint that takes the demo tenant's outside calls and plays several gateways.

It stands on the same protocol core as the switch: transactions, dialogs and sessions are `switch.sip`'s. What it does
with a number is in `plan`, what it says about media in `description`; the echo is `media.echo`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from media.echo import open_echo
from softswitch.carrier.description import describe
from softswitch.carrier.plan import RING_AFTER_SECONDS, Behaviour, behaviour
from switch.sip.element.core import Core
from switch.sip.message.flow import Listen
from switch.sip.message.host import bare
from switch.sip.message.message import Request
from switch.sip.session import Cancelled, Ended, Requested
from switch.sip.transport import Transport
from switch.sip.transport.flood import FloodGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from media.echo import Echo
    from softswitch.settings import CarrierSettings
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import HeaderLines, Response
    from switch.sip.session import IncomingInvite, Session, SessionEvent
    from switch.sip.transaction import ServerTransaction
    from switch.sip.user_agent import Arrived

__all__ = ["Carrier", "run"]

log = logging.getLogger(__name__)

_CHALLENGE: Final = 'Digest realm="sample carrier", nonce="sample", algorithm=MD5, qop="auth"'
_REGISTERED_SECONDS: Final = "60"
FAREWELL_SECONDS = 0.5
"""How long the answers to our last BYEs are waited for."""


async def run(settings: CarrierSettings, *, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serves calls until `stop` is set; raises OSError where an address cannot be bound."""
    carrier = Carrier(settings)
    await carrier.start()
    ready()
    try:
        await stop.wait()
    finally:
        await carrier.close()


class Carrier:
    """All gateways that the sample carrier plays, and their calls."""

    def __init__(self, settings: CarrierSettings) -> None:
        self.core = Core(
            session_expires=1800,
            session_min_se=90,
            on_invite=self._invited,
            on_request=self._arrived,
        )
        self.transport = Transport(
            [Listen("udp", host, port) for host, port in settings.listen],
            on_message=self._receive,
            on_malformed=self.core.receive_malformed,
            on_failed=self.core.sending_failed,
            flood=FloodGuard(requests=0),
        )
        self.core.transport = self.transport
        self.calls: set[CarrierCall] = set()

    async def start(self) -> None:
        await self.transport.start()

    async def close(self) -> None:
        """Hangs up all calls and closes the sockets."""
        for call in tuple(self.calls):
            call.hang_up()
        if self.calls:
            await asyncio.sleep(FAREWELL_SECONDS)
        for call in tuple(self.calls):
            call.end()
        self.core.close()
        await self.transport.close()

    def _gateway(self, flow: Flow) -> int:
        bound = [(host, port) for _, host, port in self.transport.bound]
        return bound.index(flow.local)

    def _receive(self, message: Request | Response, flow: Flow) -> None:
        """A dead number does not hear its INVITE; everything else goes to the protocol core."""
        if isinstance(message, Request) and message.method == "INVITE" and message.to_tag is None:
            how = behaviour(message.uri.user or "", self._gateway(flow))
            if how.status == 0:
                return
        self.core.receive(message, flow)

    def _invited(self, invite: IncomingInvite) -> None:
        number = invite.request.uri.user or ""
        how = behaviour(number, self._gateway(invite.flow))
        log.info("call to %s", number, extra={"call_id": invite.request.call_id})
        if how.status != 200:
            self.core.perform(invite.reject(how.status, self.core.now()))
            return
        CarrierCall(self, invite, how).begin()

    def _arrived(self, arrived: Arrived) -> None:
        """OPTIONS is how gateways are watched, REGISTER what some carriers want; nothing else is
        served outside calls."""
        request = arrived.request
        lines: HeaderLines = []
        if request.method == "REGISTER":
            status = 200 if request.get("Authorization") else 401
            lines = [("Expires", _REGISTERED_SECONDS)] if status == 200 else [("WWW-Authenticate", _CHALLENGE)]
        else:
            status = 200 if request.method == "OPTIONS" else 405
        response = request.response(status, to_tag=self.core.agent.new_token(), headers=lines)
        self.core.reply(arrived.transaction, response)


class CarrierCall:
    """A call that is taken: it rings, is answered, echoes, ends."""

    def __init__(self, carrier: Carrier, invite: IncomingInvite, how: Behaviour) -> None:
        self._carrier = carrier
        self._core = carrier.core
        self._invite = invite
        self._how = how
        self._session: Session | None = None
        self._echo: Echo | None = None
        self._version = 0
        self._answering: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        invite.owner = self
        carrier.calls.add(self)

    def begin(self) -> None:
        self._after(RING_AFTER_SECONDS, self._ring)
        self._after(self._how.answer_after_seconds, self._start_answer)

    def receive(self, event: SessionEvent) -> None:
        """What happens on the session."""
        match event:
            case Cancelled() | Ended():
                self.end()
            case Requested(session, transaction, request):
                self._requested(session, transaction, request)

    def hang_up(self) -> None:
        """BYE, or for a call that still rings 480."""
        now = self._core.now()
        if self._session is None:
            self._core.perform(self._invite.reject(480, now))
            self.end()
            return
        self._core.perform(self._session.bye(now))
        self._core.agent.watch(self._session)
        self.end()

    def end(self) -> None:
        """Lets go of everything that the call holds."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._invite.owner = None  # nothing leads back here: the call goes with its last use
        for session in self._invite.sessions:
            session.owner = None
        if self._answering is not None:
            self._answering.cancel()
        if self._echo is not None:
            self._echo.close()
        self._carrier.calls.discard(self)

    def _ring(self) -> None:
        self._core.perform(self._invite.progress(180, self._core.now()))
        self._core.agent.watch(self._invite)

    def _start_answer(self) -> None:
        self._answering = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        """Opens the echo's socket, then answers; a call that was cancelled meanwhile stays unanswered."""
        self._echo = await open_echo(self._host())
        if self._invite.answered:
            self.end()
            return
        body = self._describe(self._invite.request.sdp)
        now = self._core.now()
        if body is None:
            self._core.perform(self._invite.reject(488, now))
            self.end()
            return
        self._session = self._invite.session()
        self._session.owner = self
        self._core.perform(self._invite.accept(now, body=body))
        self._core.agent.watch(self._session)
        if self._how.hang_up_after_seconds is not None:
            self._after(self._how.hang_up_after_seconds, self.hang_up)

    def _requested(self, session: Session, transaction: ServerTransaction, request: Request) -> None:
        """Within the call: a new offer gets its answer, INFO and the like are acknowledged."""
        now = self._core.now()
        is_offer = request.method == "INVITE" or request.sdp is not None
        body = self._describe(request.sdp) if is_offer else b""
        status = 488 if body is None else 200
        self._core.perform(session.respond(transaction, status, now, body=body or b""))
        self._core.agent.watch(session)

    def _describe(self, offer: bytes | None) -> bytes | None:
        assert self._echo is not None
        self._version += 1
        return describe(offer, self._host(), self._echo.port, self._version)

    def _host(self) -> str:
        """The address that the caller reaches us at."""
        return bare(self._core.transport.sent_by(self._invite.flow).rpartition(":")[0])

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, action))
