# SPDX-License-Identifier: Apache-2.0
"""A phone for tests: a user agent on a real UDP socket, driven by coroutines.

async with Phone("101", "secret", switch) as phone:
    await phone.register()
    invite = await phone.call("102")
    answered = await phone.expect(Answered)
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Self, TypeVar

from switch.sip.digest import answer_challenge, choose_challenge
from switch.sip.message.flow import Flow
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from switch.sip.message.uri import Uri
from switch.sip.session import Answered, Failed, IncomingInvite, OutgoingInvite
from switch.sip.transaction import Send
from switch.sip.user_agent import Invited, UserAgent
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from switch.sip.transaction import ClientTransaction

__all__ = ["Phone", "sdp"]

Expected = TypeVar("Expected")


def sdp(port: int = 40000, *, codec: str = "8 0", direction: str = "sendrecv", version: int = 1) -> bytes:
    """A small session description."""
    return (
        f"v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {codec}\r\na={direction}\r\n"
    ).encode()


class Phone(asyncio.DatagramProtocol):
    """One phone; what happens to it is queued in `events`."""

    def __init__(
        self,
        user: str,
        password: str,
        switch: tuple[str, int],
        *,
        session_expires: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        """`host`: the address of this machine that it is at."""
        self.host = host
        self.user = user
        self.password = password
        self.switch = switch
        self.events: asyncio.Queue[object] = asyncio.Queue()
        self.received: list[Request | Response] = []
        self.sent: list[Request | Response] = []
        self.contact = ""
        """What it says of where it is, in place of the truth."""
        self.patience = PATIENCE_SECONDS
        """How many seconds it waits for what is expected."""
        self.lose = 0
        """How many of the next messages to this phone are lost."""
        self._timer: asyncio.TimerHandle | None = None
        self._replies: dict[int, asyncio.Future[Response]] = {}
        self.agent = UserAgent(
            sent_by=lambda _: self.address,
            contact=lambda _: self.contact or f"<{Uri('sip', self.user, *self.local)}>",
            new_token=lambda: secrets.token_hex(6),
            headers=(("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO"),),
            session_expires=session_expires,
        )

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, 0))
        self.local = self._transport.get_extra_info("sockname")[:2]
        self.flow = Flow("udp", self.local, self.switch)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()

    @property
    def address(self) -> str:
        """host:port of the phone."""
        return f"{self.local[0]}:{self.local[1]}"

    def now(self) -> float:
        """The clock of the phone's user agent."""
        return asyncio.get_running_loop().time()

    # wire -------------------------------------------------------------------------------------------------------
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A packet from the switch."""
        if not data.strip(b"\r\n\0"):
            return
        if self.lose > 0:
            self.lose -= 1
            return
        message = parse_message(data)
        self.received.append(message)
        self.perform(self.agent.receive(message, Flow("udp", self.local, addr[:2]), self.now()))

    def perform(self, outcome: Iterable[object]) -> None:
        """Send what is to be sent, queue the rest."""
        for effect in outcome:
            if isinstance(effect, Send):
                self.sent.append(parse_message(effect.data))
                self._transport.sendto(effect.data, effect.flow.remote)
            else:
                self.events.put_nowait(effect)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.agent.next_deadline
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.perform(self.agent.handle_timer(self.now()))

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> list[object]:
        """The answer to a request outside dialogs."""
        future = self._replies.get(id(transaction))
        if response.status >= 200 and future is not None and not future.done():
            future.set_result(response)
        return []

    # verbs ------------------------------------------------------------------------------------------------------
    async def expect(self, kind: type[Expected], seconds: float | None = None) -> Expected:
        """The next event of a kind; others are dropped."""
        async with asyncio.timeout(self.patience if seconds is None else seconds):
            while True:
                event = await self.events.get()
                if isinstance(event, kind):
                    return event

    async def request(self, request: Request) -> Response:
        """Send a request outside dialogs and wait for its final response."""
        transaction, effects = self.agent.layer.send_request(request, self.flow, self.now())
        transaction.user = self
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._replies[id(transaction)] = future
        self.perform(effects)
        return await asyncio.wait_for(future, self.patience)

    def make(self, method: str, uri: str, *lines: tuple[str, str], to: str | None = None, body: bytes = b"") -> Request:
        """A request outside dialogs."""
        host = self.switch[0]
        headers = [
            ("Max-Forwards", "70"),
            ("From", f"<{Uri('sip', self.user, host)}>;tag={secrets.token_hex(4)}"),
            ("To", f"<{to or uri}>"),
            ("Call-ID", secrets.token_hex(8)),
            ("CSeq", f"1 {method}"),
            *lines,
        ]
        return Request(method, uri, headers, body)

    def credentials(self, request: Request, response: Response) -> tuple[str, str]:
        """The header line that answers a challenge."""
        asked, answered = (
            ("WWW-Authenticate", "Authorization")
            if response.status == 401
            else ("Proxy-Authenticate", "Proxy-Authorization")
        )
        challenge = choose_challenge(response.all(asked))
        assert challenge is not None
        value = answer_challenge(
            challenge, request.method, request.uri_text, self.user, self.password, cnonce=secrets.token_hex(4)
        )
        return answered, value

    async def authenticated(self, request: Request) -> Response:
        """Send a request, answering a challenge."""
        response = await self.request(request.copy())
        if response.status in (401, 407):
            request.set(*self.credentials(request, response))
            request.set("CSeq", f"{request.cseq + 1} {request.method}")
            response = await self.request(request)
        return response

    async def register(self, expires: int = 300) -> Response:
        """Register this phone's address."""
        host, port = self.switch
        contact = f"<sip:{self.user}@{self.address}>;expires={expires}"
        request = self.make("REGISTER", f"sip:{host}:{port}", ("Contact", contact), to=f"sip:{self.user}@{host}")
        response = await self.authenticated(request)
        assert response.status == 200, response
        return response

    async def call(
        self, number: str, *lines: tuple[str, str], body: bytes | None = None, authenticate: bool = True
    ) -> OutgoingInvite:
        """Start a call; answers the challenge, then returns while the call is being set up."""
        host, port = self.switch
        offer = sdp() if body is None else body
        headers = [*lines, ("Content-Type", "application/sdp")] if offer else list(lines)
        request = self.make("INVITE", f"sip:{number}@{host}:{port}", *headers, body=offer)
        invite = self.agent.invite(request, self.flow, natted=False, owner=self)
        self.perform(invite.start(self.now()))
        if authenticate:
            failed = await self.expect(Failed)
            assert failed.response.status == 407, failed.response
            self.perform(invite.resend([self.credentials(invite.request, failed.response)], self.now()))
        return invite

    async def ringing(self) -> IncomingInvite:
        """Wait for a call and ring."""
        invited = await self.expect(Invited)
        invited.invite.owner = self
        self.perform(invited.invite.progress(180, self.now()))
        return invited.invite

    async def answer(self, body: bytes | None = None) -> IncomingInvite:
        """Wait for a call and answer it."""
        invite = await self.ringing()
        self.perform(invite.accept(self.now(), body=sdp(40100, codec="8") if body is None else body))
        return invite

    async def connected(self) -> Answered:
        """Wait for the answer to a call of ours and acknowledge it."""
        answered = await self.expect(Answered)
        self.perform(answered.session.ack(answered.invite.request, self.now()))
        return answered
