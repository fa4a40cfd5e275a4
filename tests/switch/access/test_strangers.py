# SPDX-License-Identifier: Apache-2.0
"""Strangers on the network, by datagram: what they cost, what they can do to others, how fast they guess."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from switch.settings import FloodSettings
from switch.sip.digest import answer_challenge, parse_challenge
from switch.sip.message.message import Response
from switch.sip.message.parsing import parse_message
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from switch.settings import SwitchSettings
    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio

INVENTED = (
    'Digest username="{user}", realm="127.0.0.1", nonce="{nonce}", uri="sip:102@127.0.0.1", '
    'response="0123456789abcdef0123456789abcdef", algorithm=MD5, qop=auth, nc=00000001, cnonce="x"'
)


@pytest.fixture
def settings(settings: SwitchSettings) -> SwitchSettings:
    """With the limits that a switch has by default."""
    return replace(settings, flood=FloodSettings())


class Stranger:
    """A socket of some address of this machine."""

    def __init__(self, world: World, host: str = "127.0.0.66") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.world = world
        self.count = 0

    def text(self, method: str, user: str = "101", *lines: str, body: str = "") -> bytes:
        """A request as small as one can be."""
        self.count += 1
        host, port = self.socket.getsockname()
        head = (
            f"{method} sip:102@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{self.count}",
            "Max-Forwards: 70",
            f"From: <sip:{user}@127.0.0.1>;tag={self.count}",
            f"To: <sip:{user if method == 'REGISTER' else 102}@127.0.0.1>",
            f"Call-ID: {self.count}-{port}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:{user}@{host}:{port}>",
            *lines,
            f"Content-Length: {len(body)}",
        )
        return ("\r\n".join(head) + "\r\n\r\n" + body).encode()

    async def ask(self, data: bytes, seconds: float = 0.3) -> list[bytes]:
        """Everything that comes within so long after sending this."""
        self.socket.sendto(data, self.world.address)
        await asyncio.sleep(seconds)
        answers = []
        while True:
            try:
                answers.append(self.socket.recv(65535))
            except BlockingIOError:
                return answers

    async def answer(self, data: bytes) -> Response:
        """The final response to this; takes as long as it takes."""
        self.socket.sendto(data, self.world.address)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = parse_message(await asyncio.get_running_loop().sock_recv(self.socket, 65535))
                if isinstance(message, Response) and message.status >= 200:
                    return message

    async def log_in(self, user: str, password: str) -> Response:
        """REGISTER, and again with the answer to the challenge."""
        challenged = await self.answer(self.text("REGISTER", user))
        challenge = parse_challenge(challenged.all("WWW-Authenticate")[0])
        line = answer_challenge(challenge, "REGISTER", "sip:102@127.0.0.1", user, password, cnonce="x")
        return await self.answer(self.text("REGISTER", user, f"Authorization: {line}"))


@pytest.fixture
def stranger(world: World) -> Iterator[Stranger]:
    made = Stranger(world)
    yield made
    made.socket.close()


def transactions(world: World) -> int:
    return len(world.switch.core.agent.layer)


@pytest.mark.parametrize(
    ("method", "lines", "status"),
    [
        ("INVITE", (), 407),
        ("INVITE", (f"Proxy-Authorization: {INVENTED.format(user='101', nonce='0' * 40)}",), 407),
        ("INVITE", (f"Proxy-Authorization: {INVENTED.format(user='n' * 3000, nonce='x')}",), 407),
        ("INVITE", ("Proxy-Authorization: Digest username",), 400),
        ("INVITE", ("Require: nothing-that-there-is",), 420),
        ("INVITE", ("Session-Expires: 1", "Supported: timer"), 422),
        ("MESSAGE", (), 407),
        ("SUBSCRIBE", ("Event: message-summary",), 401),
        ("SUBSCRIBE", ("Event: nothing",), 489),
        ("REGISTER", (), 401),
        ("REGISTER", (f"Authorization: {INVENTED.format(user='n' * 3000, nonce='0' * 40)}",), 401),
        ("BYE", (), 481),
        ("CANCEL", (), 481),
        ("PUBLISH", (), 489),
        ("OPTIONS", (), 200),
        ("NONSENSE", (), 501),
    ],
)
async def test_who_has_not_shown_who_he_is_gets_one_small_answer_and_leaves_nothing_behind(
    world: World, stranger: Stranger, method: str, lines: tuple[str, ...], status: int
) -> None:
    """Cases G4 and G5."""
    asked: list[str] = []
    world.switch.store.subscriber = asked.append  # type: ignore[assignment, method-assign]
    world.switch.store.parties = lambda **names: asked.append(str(names))  # type: ignore[assignment, method-assign]
    data = stranger.text(method, "101", *lines)
    (answer,) = await stranger.ask(data, 0.8)
    message = parse_message(answer)
    assert isinstance(message, Response)
    assert message.status == status
    # what we can do is what OPTIONS asks for
    assert len(answer) <= (2.0 if method == "OPTIONS" else 1.6) * len(data)
    assert asked == []
    assert transactions(world) == 0
    assert not world.switch.control.calls
    (again,) = await stranger.ask(data, 0.1)
    assert parse_message(again).to_tag == message.to_tag
    ack = data.replace(f"{method} sip:".encode(), b"ACK sip:").replace(f"1 {method}".encode(), b"1 ACK")
    assert await stranger.ask(ack.replace(b"To: <sip:102@127.0.0.1>", f"To: {message.get('To')}".encode())) == []
    assert transactions(world) == 0


async def test_a_forged_source_does_not_ban_a_phone(world: World) -> None:
    """Case G3: wrong credentials, malformed messages and floods in the name of a phone's address."""
    async with world.phone("101") as phone:
        await phone.register()
        forger = Stranger(world, phone.local[0])
        try:
            for n in range(400):
                line = INVENTED.format(user="101", nonce=f"{n:040x}")
                forger.socket.sendto(forger.text("REGISTER", "101", f"Authorization: {line}"), world.address)
                forger.socket.sendto(forger.text("INVITE", "101", f"Authorization: {line}"), world.address)
                forger.socket.sendto(b"INVITE sip:x SIP/2.0\r\nVia: what\r\n\r\n", world.address)
                if n % 20 == 0:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            assert world.switch.flood.bans == 0
            assert world.switch.flood.is_trusted(phone.local[0], asyncio.get_running_loop().time())
            assert not world.switch.guesses._names
            await phone.register()
        finally:
            forger.socket.close()


async def test_guesses_are_slowed_over_all_sources_and_the_owner_is_not_locked_out(world: World) -> None:
    async with world.phone("101") as phone:
        await phone.register()
        sources = [Stranger(world, f"127.0.1.{n}") for n in range(1, 15)]
        try:
            answers = [await source.log_in("101", "wrong") for source in sources]
            judged = [not parse_challenge(answer.get("WWW-Authenticate") or "").stale for answer in answers]
            assert judged == [True] * 10 + [False] * 4
            assert (await sources[-1].log_in("101", world.passwords["101"])).status == 401
            await phone.register()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await sources[-1].log_in("101", world.passwords["101"])).status != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
        finally:
            for source in sources:
                source.socket.close()
