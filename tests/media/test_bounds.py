# SPDX-License-Identifier: Apache-2.0
"""A stream carries four times what its formats need, no more (case L25: 6 Mbit/s of 1,400-octet PCMU)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from media.rtp.bounds import ROOM, bound_of
from media.rtp.rtp import HEADER
from media.sdp import parse
from tests.media.phones import SENDER_REPORT, Desk, Phone, audio, port_in

if TYPE_CHECKING:
    from media.sdp import MediaDescription


def section(line: str, *attributes: str) -> MediaDescription:
    body = "\r\n".join(("v=0", "c=IN IP4 192.0.2.1", line, *attributes)) + "\r\n"
    return parse(body.encode()).media[0]


PCMU = section("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")
G729 = section("m=audio 4000 RTP/AVP 18")
BOTH = section("m=audio 4000 RTP/AVP 18 0")
NEW = section("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 a-codec-of-tomorrow/8000")
LINEAR = section("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 L16/44100/2")
VIDEO = section("m=video 4000 RTP/AVP 34")
FAX = section("m=image 4000 udptl t38")


@pytest.mark.parametrize(
    ("one", "other", "octets"),
    [
        (PCMU, PCMU, 8000),
        (G729, G729, 1000),
        (BOTH, G729, 1000),
        (BOTH, None, 8000),
        (BOTH, PCMU, 8000),
        (NEW, NEW, 64_000),
        (LINEAR, LINEAR, 176_400),
        (PCMU, G729, 8000),
    ],
)
def test_the_bound_is_that_of_what_both_know(
    one: MediaDescription, other: MediaDescription | None, octets: int
) -> None:
    assert bound_of(one, other).octets == ROOM * (octets + 100 * HEADER.size)
    assert bound_of(one, other).packets == ROOM * 100


@pytest.mark.parametrize("media", [VIDEO, FAX])
def test_what_is_no_audio_has_a_generous_bound(media: MediaDescription) -> None:
    assert bound_of(media, media).octets >= 4_000_000


def packet(phone: Phone, octets: int) -> bytes:
    phone.sequence += 1
    return HEADER.pack(0x80, 8, phone.sequence & 0xFFFF, phone.sequence * 160, phone.ssrc) + bytes(octets)


def send(desk: Desk, phone: Phone, octets: int, packets: int) -> None:
    for _ in range(packets):
        phone.send_raw(packet(phone, octets))
        desk.flow()


@pytest.mark.parametrize("fast", [False, True])
def test_a_flood_of_large_packets_is_cut_and_counted_and_the_phone_is_heard_again_afterwards(
    desk: Desk, caller: Phone, callee: Phone, fast: bool
) -> None:
    """Case L25, on the slow way and on the fast one."""
    extra = () if fast else ("a=rtcp-mux",)
    callee.relay_port = port_in(desk.signal("offer", audio(caller, *extra)))
    caller.relay_port = port_in(desk.signal("answer", audio(callee, *extra), to_tag="b"))
    send(desk, callee, 160, 2)
    send(desk, caller, 160, 2)
    desk.advance(1)
    callee.heard()
    heard = 0
    for _ in range(3):
        send(desk, caller, 1400, 536)
        desk.advance(1)
        heard += sum(map(len, callee.heard()))
    assert heard <= 3 * (bound_of(desk.side(1).media, desk.side(0).media).octets + 16 * 1412)
    assert desk.side(0).rtp.errors >= 3 * 450
    send(desk, caller, 160, 50)
    assert len(callee.heard()) == 50


def test_a_flood_of_small_packets_is_cut_too(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    send(desk, callee, 160, 2)
    for _ in range(2):
        heard = 0
        for _ in range(10):
            send(desk, caller, 20, 100)
            heard += len(callee.heard())
        desk.advance(1)
        assert heard <= 416


@pytest.mark.parametrize("per_second", [50, 100, 200])
def test_an_ordinary_stream_and_its_bursts_pass_whole(
    desk: Desk, caller: Phone, callee: Phone, per_second: int
) -> None:
    desk.connect(caller, callee)
    for _ in range(5):
        send(desk, callee, 8000 // per_second, per_second)
        send(desk, caller, 8000 // per_second, per_second)
        desk.advance(1)
        assert len(callee.heard()) == len(caller.heard()) == per_second


def test_a_late_look_cuts_no_ordinary_stream(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    send(desk, callee, 160, 2)
    send(desk, caller, 160, 150)
    assert len(callee.heard()) == 150


def test_rtcp_has_a_bound_of_its_own(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    for _ in range(3):
        for _ in range(500):
            caller.send_rtcp(SENDER_REPORT)
            desk.flow()
        desk.advance(1)
    assert len(callee.heard_rtcp()) <= 3 * 40


def test_fax_passes(desk: Desk, caller: Phone, callee: Phone) -> None:
    callee.relay_port = port_in(desk.signal("offer", audio(caller, media="image", protocol="udptl", formats="t38")))
    sdp = desk.signal("answer", audio(callee, media="image", protocol="udptl", formats="t38"), to_tag="b")
    caller.relay_port = port_in(sdp)
    for number in range(100):
        caller.send_raw(bytes([0, number]) + bytes(600))
        desk.flow()
    assert len(callee.heard()) == 100
