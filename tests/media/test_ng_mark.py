# SPDX-License-Identifier: Apache-2.0
"""Commands without the mark of our switch change nothing (rule 9 of docs/security.md), and no command counts twice."""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from typing import TYPE_CHECKING

import pytest

from media import app
from media.relay.bencode import decode, encode
from media.relay.ng_mark import WINDOW_SECONDS, MarkedNg
from media.settings import MediaSettings
from switch.relay.ng import NgError, NgRelay
from tests.media.phones import Phone, audio
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port, media_ports

if TYPE_CHECKING:
    from media.relay.ng import NgServer

SECRET = b"what switch and relay share, and nobody else"


class Server:
    """Counts what is carried out."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.answers: dict[bytes, bytes] = {}

    def handle(self, datagram: bytes) -> bytes:
        """Carry out a command."""
        self.done.append(datagram)
        cookie = datagram.partition(b" ")[0]
        self.answers[cookie] = cookie + b" d6:result4:ponge"
        return self.answers[cookie]

    def answered(self, cookie: bytes) -> bytes | None:
        """The answer of before."""
        return self.answers.get(cookie)


class Relay:
    """A relay of ours on clocks that a test sets."""

    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self.wall, self.uptime = wall, 0.0
        self.server = Server()
        server: NgServer = self.server  # type: ignore[assignment]
        self.marked = MarkedNg(server, SECRET, wall=lambda: self.wall, clock=lambda: self.uptime)
        self.wait(1.0)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.wall, self.uptime = self.wall + seconds, self.uptime + seconds

    def command(self, cookie: bytes, *, secret: bytes = SECRET, at: float | None = None, **keys: str) -> bytes:
        """A marked command."""
        body = encode({"command": "delete", "call-id": "x", **keys})
        stamp = b"%d" % ((self.wall if at is None else at) * 1_000_000)
        mac = hmac.digest(secret, b"%s %s %s" % (stamp, cookie, body), "sha256").hex().encode()
        return b"%s M1:%s:%s:%s" % (cookie, stamp, mac, body)


@pytest.fixture
def relay() -> Relay:
    """A relay that has been there for a second."""
    return Relay()


def test_a_marked_command_is_carried_out_once_and_a_repetition_gets_its_answer(relay: Relay) -> None:
    command = relay.command(b"c1")
    first = relay.marked.handle(command)
    assert first is not None
    assert first.startswith(b"c1 d")
    assert relay.marked.handle(command) == first
    relay.wait(0.3)
    assert relay.marked.handle(relay.command(b"c1")) == first  # the switch marks each repetition anew
    assert relay.server.done == [b"c1 " + encode({"command": "delete", "call-id": "x"})]


def test_a_command_without_a_mark_gets_an_error_that_is_no_longer_than_itself(relay: Relay) -> None:
    plain = b"c1 " + encode({"command": "delete", "call-id": "a call of somebody else's", "from-tag": "f" * 20})
    answer = relay.marked.handle(plain)
    assert answer is not None
    assert len(answer) <= len(plain)
    reply = decode(answer.partition(b" ")[2])
    assert isinstance(reply, dict)
    assert reply["result"] == "error"
    for short in (b"c d7:command4:pinge", b"", b"c", b"c M1:", b"c M1:::", b"M1:1:2:3"):
        assert relay.marked.handle(short) is None
    assert relay.server.done == []
    assert relay.marked.refused == 7


@pytest.mark.parametrize("age", [WINDOW_SECONDS + 1, -WINDOW_SECONDS - 1])
def test_a_mark_has_its_time(relay: Relay, age: float) -> None:
    relay.wait(3600)
    relay.marked.handle(relay.command(b"c1", at=relay.wall - age))
    assert relay.server.done == []


def test_a_command_that_was_captured_counts_neither_again_nor_for_another_cookie_or_life(relay: Relay) -> None:
    captured = relay.command(b"c1")
    relay.marked.handle(captured)
    relay.server.answers.clear()  # the server has forgotten what it answered
    relay.wait(WINDOW_SECONDS - 2)
    assert relay.marked.handle(captured) is None
    relay.marked.handle(captured.replace(b"c1 ", b"c2 "))
    relay.marked.handle(captured.replace(b"1:x", b"1:y"))
    relay.marked.handle(relay.command(b"c3", secret=b"some other secret of somebody's"))
    assert len(relay.server.done) == 1
    later = Relay(relay.wall)
    later.marked.handle(captured)  # the relay was started again: it has forgotten all
    assert later.server.done == []
    with pytest.raises(ValueError, match="secret"):
        MarkedNg(later.server, b"", wall=time.time, clock=time.monotonic)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_the_switch_commands_the_relay_and_nobody_else_ends_its_calls(caller: Phone) -> None:
    """Rule 9: a local user, or another machine, sends `delete` to the ng port."""
    ng = "127.0.0.1", free_port()
    settings = MediaSettings(ng=ng, rtp_host="127.0.0.1", rtp_ports=media_ports("relay"), secret=SECRET)
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(app.run(settings, ready=ready.set, stop=stop, reloads=asyncio.Queue()))
    await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
    ours, plain = NgRelay((ng,), secrets={ng: SECRET}), NgRelay((ng,))
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        await ours.start()
        await plain.start()
        await asyncio.sleep(0.05)
        assert await ours.answers(ng)
        await ours.offer("one", "a", audio(caller).encode(), "127.0.0.1")
        for command in ("delete", "query", "list"):
            message = encode({"command": command, "call-id": "one", "from-tag": "a", "to-tag": "b", "x": "x" * 99})
            stranger.sendto(b"c " + message, ng)
            stranger.settimeout(PATIENCE_SECONDS)
            assert b"error" in await asyncio.to_thread(stranger.recv, 2048)
        with pytest.raises(NgError, match="mark"):
            await plain.offer("two", "a", audio(caller).encode(), "127.0.0.1")
        assert await ours.query("one") is not None
    finally:
        ours.close()
        plain.close()
        stranger.close()
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
