# SPDX-License-Identifier: Apache-2.0
"""The media process as a whole: ng over UDP, RTP over the loopback, reload and stop; and the echo endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any, cast

import pytest

from media import app
from media.echo import open_echo
from media.relay.bencode import Value, decode, encode
from media.rtp.rtp import HEADER
from media.settings import MediaSettings
from tests.media.phones import Phone, audio, port_in
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port, media_ports


class Switch(asyncio.DatagramProtocol):
    """Asks for commands and waits for the answers."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answers.put_nowait(data)

    async def ask(self, **command: Value) -> Mapping[str, Any]:
        assert self.transport is not None
        self.asked += 1
        message = {key.replace("_", "-"): value for key, value in command.items()}
        self.transport.sendto(b"%d " % self.asked + encode(message))
        answer = await asyncio.wait_for(self.answers.get(), PATIENCE_SECONDS)
        reply = decode(answer.partition(b" ")[2])
        assert isinstance(reply, Mapping)
        return reply


class Process:
    """A running media process."""

    def __init__(self, settings: MediaSettings) -> None:
        self.settings = settings
        self.ready = asyncio.Event()
        self.stop = asyncio.Event()
        self.reloads: asyncio.Queue[MediaSettings] = asyncio.Queue()
        self.switch = Switch()

    async def run(self) -> None:
        await app.run(self.settings, ready=self.ready.set, stop=self.stop, reloads=self.reloads)


def on_free_ports() -> MediaSettings:
    return MediaSettings(ng=("127.0.0.1", free_port()), rtp_host="127.0.0.1", rtp_ports=media_ports("relay"))


@contextlib.asynccontextmanager
async def running(settings: MediaSettings | None = None) -> AsyncIterator[Process]:
    process = Process(settings or on_free_ports())
    task = asyncio.create_task(process.run())
    try:
        await asyncio.wait_for(process.ready.wait(), PATIENCE_SECONDS)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: process.switch, remote_addr=process.settings.ng)
        yield process
        transport.close()
    finally:
        process.stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def until_heard(phone: Phone) -> list[bytes]:
    for _ in range(500):
        packets = phone.heard()
        if packets:
            return packets
        await asyncio.sleep(0.005)
    raise AssertionError("nothing came")


async def set_up(switch: Switch, caller: Phone, callee: Phone) -> None:
    names = {"call_id": "one", "from_tag": "a", "to_tag": "b"}
    offered = await switch.ask(command="offer", sdp=audio(caller), call_id="one", from_tag="a")
    answered = await switch.ask(command="answer", sdp=audio(callee), **names)
    callee.relay_port, caller.relay_port = port_in(offered["sdp"]), port_in(answered["sdp"])


@pytest.mark.asyncio
async def test_a_call_is_set_up_relayed_and_deleted(caller: Phone, callee: Phone) -> None:
    async with running() as process:
        assert await process.switch.ask(command="ping") == {"result": "pong"}
        await set_up(process.switch, caller, callee)
        for _ in range(3):  # awake, at rest and awake again
            caller.send(2)
            assert len(await until_heard(callee)) >= 1
            callee.send()
            assert await until_heard(caller) == [callee.packet()]
            await asyncio.sleep(0.02)
        deleted = await process.switch.ask(command="delete", call_id="one", from_tag="a")
        assert deleted["totals"]["RTP"]["packets"] == 9


@pytest.mark.asyncio
async def test_new_settings_are_taken_over_without_touching_calls(
    caller: Phone, callee: Phone, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as process:
        await set_up(process.switch, caller, callee)
        fresh = replace(process.settings, advertise="203.0.113.9", rtp_host="0.0.0.0")
        await process.reloads.put(fresh)
        offered = ""
        for number in range(100):
            reply = await process.switch.ask(command="offer", sdp=audio(caller), call_id=f"n{number}", from_tag="a")
            offered = reply["sdp"]
            if "203.0.113.9" in offered:
                break
            await asyncio.sleep(0.01)
        assert "c=IN IP4 203.0.113.9\r\n" in offered
        caller.send()
        assert await until_heard(callee)
    assert any("only a restart" in record.message for record in caplog.records)


@pytest.mark.asyncio
async def test_everything_is_closed_at_the_end() -> None:
    settings = on_free_ports()  # reserved until these tests end
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count of descriptors
    phones = Phone("127.0.0.2"), Phone("127.0.0.3")
    async with running(settings) as process:
        await set_up(process.switch, *phones)
    for phone in phones:
        phone.close()
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


@pytest.mark.asyncio
async def test_a_taken_ng_port_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        process = Process(MediaSettings(ng=other.getsockname(), rtp_host="127.0.0.1"))
        with pytest.raises(OSError, match=r"cannot listen for ng commands at 127\.0\.0\.1:"):
            await process.run()


@pytest.mark.asyncio
async def test_an_echo_sends_back_what_it_hears_as_a_stream_of_its_own(caller: Phone) -> None:
    echo = await open_echo("127.0.0.1", random=Random(1))
    caller.relay_port = echo.port
    answers = []
    for _ in range(2):
        caller.send()
        answers += await until_heard(caller)
    first, second = (HEADER.unpack_from(answer) for answer in answers)
    assert answers[0][HEADER.size :] == caller.packet()[HEADER.size :]
    assert (first[:2], second[2] - first[2], second[3] - first[3]) == ((0x80, 8), 1, 160)
    assert first[4] != caller.ssrc
    echo.silent = True
    caller.send()
    caller.send_raw(b"not RTP")
    for _ in range(500):
        await asyncio.sleep(0.005)
        if echo.received == 3:
            break
    assert echo.received == 3
    assert caller.heard() == []
    echo.close()
