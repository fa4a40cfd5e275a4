# SPDX-License-Identifier: Apache-2.0
"""The sample carrier does what the number dialled says, over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from softswitch.carrier import Carrier
from softswitch.carrier.description import describe
from softswitch.carrier.plan import Behaviour, behaviour
from softswitch.settings import CarrierSettings
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18 8 0 101\r\n"
OFFER += b"a=rtpmap:101 telephone-event/8000\r\n"


class Caller(asyncio.DatagramProtocol):
    """A minimal UAC: sends what it is told, keeps what comes."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[Request | Response] = asyncio.Queue()
        self.packets: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.DatagramTransport = transport
        self.port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.startswith((b"SIP/2.0", b"BYE")):
            self.received.put_nowait(parse_message(data))
        else:
            self.packets.put_nowait(data)

    async def next(self) -> Request | Response:
        return await asyncio.wait_for(self.received.get(), PATIENCE_SECONDS)

    async def final(self) -> Response:
        while True:
            message = await self.next()
            if isinstance(message, Response) and message.status >= 200:
                return message

    def send(self, method: str, number: str, carrier: tuple[str, int], *, to_tag: str = "", body: bytes = b"") -> None:
        sequence = {"INVITE": 1, "ACK": 1, "CANCEL": 1}.get(method, 2)
        branch = "z9hG4bK1" if method in ("INVITE", "CANCEL") else f"z9hG4bK{method}"
        lines = [
            f"{method} sip:{number}@127.0.0.1:{carrier[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch}",
            "Max-Forwards: 70",
            "From: <sip:101@127.0.0.1>;tag=from",
            f"To: <sip:{number}@127.0.0.1>{f';tag={to_tag}' if to_tag else ''}",
            "Call-ID: call-1",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:101@127.0.0.1:{self.port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.transport.sendto("\r\n".join([*lines, "", ""]).encode() + body, carrier)


@asynccontextmanager
async def called() -> AsyncIterator[tuple[Caller, list[tuple[str, int]], Carrier]]:
    """A carrier of two gateways and a caller."""
    carrier = Carrier(CarrierSettings(listen=(("127.0.0.1", 0), ("127.0.0.1", 0))))
    await carrier.start()
    _, caller = await asyncio.get_running_loop().create_datagram_endpoint(Caller, local_addr=("127.0.0.1", 0))
    try:
        yield caller, [(host, port) for _, host, port in carrier.transport.bound], carrier
    finally:
        caller.transport.close()
        await carrier.close()


@pytest.mark.parametrize(
    ("number", "gateway", "expected"),
    [
        ("420600000001", 0, Behaviour()),
        ("420600000486", 0, Behaviour(status=486)),
        ("420600000480", 0, Behaviour(status=480)),
        ("420600000404", 1, Behaviour(status=404)),
        ("420600000500", 1, Behaviour(status=500)),
        ("420600000503", 0, Behaviour(status=503)),
        ("420600000503", 1, Behaviour()),
        ("420600000408", 0, Behaviour(status=0)),
        ("420600000408", 1, Behaviour()),
        ("420600000600", 0, Behaviour(answer_after_seconds=8.0)),
        ("420600000910", 0, Behaviour(hang_up_after_seconds=10.0)),
        ("420600000999", 0, Behaviour()),
        ("alice", 0, Behaviour()),
        ("", 0, Behaviour()),
    ],
)
def test_the_last_digits_say_what_happens(number: str, gateway: int, expected: Behaviour) -> None:
    assert behaviour(number, gateway) == expected


def test_an_answer_takes_g711_and_telephone_events_in_the_order_offered() -> None:
    answer = (describe(OFFER, "127.0.0.1", 5000, 1) or b"").decode()
    assert "m=audio 5000 RTP/AVP 8 0 101\r\n" in answer
    assert "a=rtpmap:101 telephone-event/8000\r\n" in answer


def test_hold_is_mirrored_and_other_streams_keep_their_place_refused() -> None:
    offer = OFFER + b"a=sendonly\r\nm=video 4002 RTP/AVP 96\r\n"
    answer = (describe(offer, "127.0.0.1", 5000, 2) or b"").decode()
    assert "a=recvonly\r\n" in answer
    assert answer.endswith("m=video 0 RTP/AVP 96\r\n")


def test_an_offer_without_a_codec_of_ours_has_no_answer() -> None:
    assert describe(OFFER.replace(b" 18 8 0 101", b" 18"), "127.0.0.1", 5000, 1) is None


def test_without_an_offer_the_carrier_makes_one() -> None:
    assert b"m=audio 5000 RTP/AVP 0 8\r\n" in (describe(None, "::1", 5000, 1) or b"")


@pytest.mark.asyncio
async def test_an_ordinary_number_rings_answers_and_echoes() -> None:
    async with called() as (caller, gateways, carrier):
        caller.send("INVITE", "420600000001", gateways[0], body=OFFER)
        ringing = await caller.next()
        while isinstance(ringing, Response) and ringing.status == 100:
            ringing = await caller.next()
        assert isinstance(ringing, Response)
        assert ringing.status == 180
        answer = await caller.final()
        assert answer.status == 200
        caller.send("ACK", "420600000001", gateways[0], to_tag=answer.to_tag or "")
        audio = next(line for line in answer.body.decode().splitlines() if line.startswith("m=audio "))
        caller.transport.sendto(b"\x80\x08" + bytes(10) + b"voice", ("127.0.0.1", int(audio.split()[1])))
        assert (await asyncio.wait_for(caller.packets.get(), PATIENCE_SECONDS)).endswith(b"voice")
        caller.send("BYE", "420600000001", gateways[0], to_tag=answer.to_tag or "")
        assert (await caller.final()).status == 200
        assert not carrier.calls


@pytest.mark.asyncio
@pytest.mark.parametrize(("number", "status"), [("420600000486", 486), ("420600000503", 503)])
async def test_a_refusing_number_is_refused(number: str, status: int) -> None:
    async with called() as (caller, gateways, carrier):
        caller.send("INVITE", number, gateways[0], body=OFFER)
        assert (await caller.final()).status == status
        assert not carrier.calls


@pytest.mark.asyncio
async def test_a_cancelled_call_is_answered_487_and_forgotten() -> None:
    async with called() as (caller, gateways, carrier):
        caller.send("INVITE", "420600000600", gateways[0], body=OFFER)
        await caller.next()
        caller.send("CANCEL", "420600000600", gateways[0])
        finals = {(message.cseq_method, message.status) for message in (await caller.final(), await caller.final())}
        assert finals == {("CANCEL", 200), ("INVITE", 487)}
        assert not carrier.calls


@pytest.mark.asyncio
async def test_a_dead_number_is_silent_at_the_first_gateway_only() -> None:
    async with called() as (caller, gateways, _carrier):
        caller.send("INVITE", "420600000408", gateways[0], body=OFFER)
        caller.send("OPTIONS", "420600000408", gateways[0])
        assert (await caller.final()).cseq_method == "OPTIONS"
        assert caller.received.empty()
        caller.send("INVITE", "420600000408", gateways[1], body=OFFER)
        assert (await caller.final()).status == 200


@pytest.mark.asyncio
async def test_at_its_end_the_carrier_hangs_up() -> None:
    async with called() as (caller, gateways, carrier):
        caller.send("INVITE", "420600000001", gateways[0], body=OFFER)
        answer = await caller.final()
        caller.send("ACK", "420600000001", gateways[0], to_tag=answer.to_tag or "")
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(carrier.close())
        message = await caller.next()
        assert isinstance(message, Request)
        assert message.method == "BYE"
        await closing
