# SPDX-License-Identifier: Apache-2.0
"""Short calls by the thousand, from one socket that keeps nothing of them: what grows meanwhile is not the caller."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import secrets
from typing import TYPE_CHECKING, Self

from media.rtp.rtp import HEADER
from media.sound.g711 import ulaw
from media.sound.tone import tone
from switch.sip.digest import answer_challenge, choose_challenge
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["QuickPhone"]

_OFFER = (
    "v=0\r\no=- 7 7 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


_TONE = ulaw(tone(400, 0.02))
_TRIES = 6
_RESEND_SECONDS = 5.0


class QuickPhone(asyncio.DatagramProtocol):
    """Calls, registers and sends messages; says a tone where asked to, and hears nothing."""

    def __init__(self, target: tuple[str, int], user: str = "101", password: str = "") -> None:
        self.target = target
        self.user = user
        self.password = password
        self.mark: Callable[[Request], None] = lambda _request: None
        """Signs an INVITE in the place of the switch."""
        self._waiting: dict[str, asyncio.Queue[Request | Response]] = {}
        """By Call-ID."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._sound, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        self._sound.close()

    @property
    def address(self) -> str:
        """host:port."""
        host, port = self._transport.get_extra_info("sockname")[:2]
        return f"{host}:{port}"

    @property
    def offer(self) -> bytes:
        """A session description."""
        return _OFFER.format(port=self._sound.get_extra_info("sockname")[1]).encode()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A message of the other side; requests are answered with 200."""
        message = parse_message(data)
        if isinstance(message, Request) and message.method != "ACK":
            body = self.offer if message.method == "INVITE" else b""
            lines = [("Contact", f"<sip:{self.user}@{self.address}>")]
            lines += [("Content-Type", "application/sdp")] if body else []
            answer = message.response(200, to_tag="quick", headers=lines, body=body)
            self._transport.sendto(answer.to_bytes(), addr)
        waiting = self._waiting.get(message.call_id)
        if waiting is not None:
            waiting.put_nowait(message)

    async def call(
        self, uri: str, *lines: tuple[str, str], most_seconds: float | None = None, talks: bool = False
    ) -> int:
        """Call; hang up after so many seconds, or wait for the other side to. Returns the final status."""
        call_id = secrets.token_hex(8)
        waiting = self._waiting[call_id] = asyncio.Queue()
        try:
            typed = (*lines, ("Content-Type", "application/sdp"))
            request = self._make("INVITE", uri, call_id, typed, self.offer)
            request, answer = await self._answered(request, waiting)
            self._acknowledge(request, answer)
            if answer.status >= 300:
                return answer.status
            talking = asyncio.create_task(self._talk(answer.body)) if talks else None
            try:
                async with asyncio.timeout(30 if most_seconds is None else most_seconds):
                    while not _is_request(await waiting.get(), "BYE"):
                        pass
            except TimeoutError:
                await self._hang_up(request, answer, waiting)
            finally:
                if talking is not None:
                    talking.cancel()
            return answer.status
        finally:
            del self._waiting[call_id]

    async def _talk(self, description: bytes) -> None:
        """Say a tone to where this description says."""
        found = re.search(rb"m=audio (\d+)", description)
        assert found is not None, description
        source = secrets.randbits(32)
        for number in itertools.count(1):
            header = HEADER.pack(0x80, 0, number & 0xFFFF, 160 * number & 0xFFFFFFFF, source)
            self._sound.sendto(header + _TONE, ("127.0.0.1", int(found[1])))
            await asyncio.sleep(0.02)

    async def send(self, method: str, uri: str, *lines: tuple[str, str], body: bytes = b"", to: str = "") -> int:
        """A request outside dialogs; its final status."""
        call_id = secrets.token_hex(8)
        waiting = self._waiting[call_id] = asyncio.Queue()
        try:
            _, answer = await self._answered(self._make(method, uri, call_id, lines, body, to), waiting)
            return answer.status
        finally:
            del self._waiting[call_id]

    async def register(self, user: str) -> int:
        """Register this phone; the final status."""
        host, port = self.target
        return await self.send("REGISTER", f"sip:{host}:{port}", ("Expires", "300"), to=f"sip:{user}@{host}")

    async def _answered(self, request: Request, waiting: asyncio.Queue[Request | Response]) -> tuple[Request, Response]:
        """The final answer, after a challenge too; with the request that it answers."""
        answer = await self._exchange(request, waiting)
        if answer.status not in (401, 407):
            return request, answer
        if request.method == "INVITE":
            self._acknowledge(request, answer)
        asks, answers = (
            ("WWW-Authenticate", "Authorization")
            if answer.status == 401
            else ("Proxy-Authenticate", "Proxy-Authorization")
        )
        challenge = choose_challenge(answer.all(asks))
        assert challenge is not None
        again = request.copy()
        again.set(
            answers,
            answer_challenge(challenge, request.method, request.uri_text, self.user, self.password, cnonce="quick"),
        )
        again.set("CSeq", f"2 {request.method}")
        return again, await self._exchange(again, waiting)

    async def _exchange(self, request: Request, waiting: asyncio.Queue[Request | Response]) -> Response:
        request.set("Via", f"SIP/2.0/UDP {self.address};branch=z9hG4bK{secrets.token_hex(8)}")
        if request.method == "INVITE" and request.to_tag is None:
            self.mark(request)
        for _ in range(_TRIES):
            self._transport.sendto(request.to_bytes(), self.target)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RESEND_SECONDS):
                    while True:
                        answer = await waiting.get()
                        if isinstance(answer, Response) and answer.status >= 200 and answer.cseq == request.cseq:
                            return answer
        raise AssertionError(f"no answer to {request.method} {request.uri_text}")

    def _make(
        self, method: str, uri: str, call_id: str, lines: Sequence[tuple[str, str]], body: bytes, to: str = ""
    ) -> Request:
        headers = [
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self.user}@{self.target[0]}>;tag=quick"),
            ("To", f"<{to or uri}>"),
            ("Call-ID", call_id),
            ("CSeq", f"1 {method}"),
            ("Contact", f"<sip:{self.user}@{self.address}>"),
            *lines,
        ]
        return Request(method, uri, headers, body)

    def _acknowledge(self, request: Request, answer: Response) -> None:
        ack = self._next(request, answer, "ACK", request.cseq)
        if answer.status >= 300:
            ack = request.copy()
            ack = Request("ACK", request.uri_text, [*ack.headers], b"")
            ack.set("CSeq", f"{request.cseq} ACK")
            ack.set("To", answer.get("To") or "")
        self._transport.sendto(ack.to_bytes(), self.target)

    async def _hang_up(self, request: Request, answer: Response, waiting: asyncio.Queue[Request | Response]) -> None:
        await self._exchange(self._next(request, answer, "BYE", request.cseq + 1), waiting)

    def _next(self, request: Request, answer: Response, method: str, number: int) -> Request:
        """A request within the dialog."""
        found = re.search(r"<([^>]+)>", answer.get("Contact") or "")
        routes = [("Route", route) for route in reversed(answer.all("Record-Route"))]
        headers = [
            ("Via", f"SIP/2.0/UDP {self.address};branch=z9hG4bK{secrets.token_hex(8)}"),
            ("Max-Forwards", "70"),
            ("From", request.get("From") or ""),
            ("To", answer.get("To") or ""),
            ("Call-ID", request.call_id),
            ("CSeq", f"{number} {method}"),
            *routes,
        ]
        return Request(method, found[1] if found else request.uri_text, headers, b"")


def _is_request(message: Request | Response, method: str) -> bool:
    return isinstance(message, Request) and message.method == method
