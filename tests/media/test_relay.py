# SPDX-License-Identifier: Apache-2.0
"""Packets between two phones, over real sockets: symmetric, locked, counted, on the fast way and on the slow one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.media.phones import SENDER_REPORT, SETTINGS, Desk, Phone, audio, port_in

if TYPE_CHECKING:
    from collections.abc import Callable


def talk(desk: Desk, *phones: Phone, count: int = 3) -> None:
    """Every phone sends, and the relay serves after each packet."""
    for _ in range(count):
        for phone in phones:
            phone.send()
        desk.flow()


def test_audio_passes_both_ways_unchanged(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    caller.send()
    desk.flow()
    assert callee.heard() == [caller.packet()]
    callee.send()
    desk.flow()
    assert caller.heard() == [callee.packet()]


def test_early_packets_wait_for_nothing_but_the_answer(desk: Desk, caller: Phone, callee: Phone) -> None:
    callee.relay_port = port_in(desk.signal("offer", audio(caller)))
    callee.send(2)
    desk.flow()
    assert caller.heard() == [], "nobody has answered yet"
    caller.relay_port = port_in(desk.signal("answer", audio(callee), to_tag="b"))
    caller.send()
    desk.flow()
    assert callee.heard_hosts() == [caller.host]


def test_a_phone_behind_nat_gets_audio_at_the_address_it_sends_from(desk: Desk, caller: Phone, callee: Phone) -> None:
    callee.relay_port = port_in(desk.signal("offer", audio(caller, signalled="192.0.2.77")))
    caller.relay_port = port_in(desk.signal("answer", audio(callee), to_tag="b"))
    talk(desk, caller, callee)
    assert len(callee.heard()) == 2, "the first packet of an unknown source only starts its probation"
    assert len(caller.heard()) >= 1


@pytest.mark.parametrize("settled", [False, True])
def test_injected_packets_are_dropped(
    desk: Desk, caller: Phone, callee: Phone, new_phone: Callable[..., Phone], settled: bool
) -> None:
    attacker = new_phone("127.0.0.66")
    attacker.relay_port = port_in(desk.signal("offer", audio(caller)))
    caller.relay_port, callee.relay_port = (
        port_in(desk.signal("answer", audio(callee), to_tag="b")),
        attacker.relay_port,
    )
    talk(desk, caller, callee)
    desk.advance(5 if settled else 0)
    caller.heard()
    attacker.send(20)
    desk.flow()
    callee.send()
    desk.flow()
    assert caller.heard_hosts() == [callee.host]
    assert attacker.heard() == []


def test_packets_that_queued_before_the_lock_do_not_slip_through(
    desk: Desk, caller: Phone, callee: Phone, new_phone: Callable[..., Phone]
) -> None:
    attacker = new_phone("127.0.0.66")
    desk.connect(caller, callee)
    attacker.relay_port = caller.relay_port
    talk(desk, callee)
    attacker.send(1, payload_type=77)
    caller.send()
    attacker.send(30)
    caller.send()
    desk.flow()
    caller.send()
    desk.flow()
    assert callee.heard_hosts() == [caller.host] * 3


def test_a_source_with_a_payload_type_that_nobody_signalled_is_not_learnt(
    desk: Desk, caller: Phone, callee: Phone, new_phone: Callable[..., Phone]
) -> None:
    attacker = new_phone("127.0.0.66")
    callee.relay_port = port_in(desk.signal("offer", audio(caller, signalled="192.0.2.77")))
    attacker.relay_port = port_in(desk.signal("answer", audio(callee), to_tag="b"))
    attacker.send(10, payload_type=96)
    desk.flow()
    assert callee.heard() == []
    assert desk.side(0).lock.source is None


@pytest.mark.parametrize(
    "octets",
    [b"", b"\x80", b"\x80" * 11, b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), b"\x40\x08" + bytes(20), bytes(2000)],
    ids=["empty", "one octet", "short", "STUN", "version 1", "long"],
)
@pytest.mark.parametrize("locked", [False, True])
def test_what_is_not_rtp_is_dropped(desk: Desk, caller: Phone, callee: Phone, octets: bytes, locked: bool) -> None:
    desk.connect(caller, callee)
    if locked:
        talk(desk, caller, callee)
        callee.heard()
    caller.send_raw(octets)
    desk.flow()
    assert callee.heard() == []
    caller.send()
    desk.flow()
    assert len(callee.heard()) == 1


def test_a_reoffer_keeps_the_ports_and_follows_the_phone(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    talk(desk, caller, callee)
    ports = caller.relay_port, callee.relay_port
    caller.move()
    # The callee makes the next offer, the caller answers with its new address.
    caller_port = port_in(desk.signal("offer", audio(callee), from_tag="b", to_tag="a"))
    callee_port = port_in(desk.signal("answer", audio(caller), from_tag="b", to_tag="a"))
    assert (caller_port, callee_port) == ports
    caller.heard()
    callee.heard()
    talk(desk, callee)
    assert len(caller.heard()) == 3, "sent to the new address before anything came from there"
    talk(desk, caller, callee)
    assert len(callee.heard()) == 3


def test_a_new_port_of_the_same_host_is_followed_after_silence(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    talk(desk, caller, callee)
    desk.advance(6)
    caller.move()
    callee.heard()
    talk(desk, caller, callee)
    assert len(callee.heard()) == 2
    desk.advance(4)
    talk(desk, caller, callee)
    assert len(caller.heard()) >= 3
    assert desk.side(0).lock.source == caller.address


def test_hold_by_the_address_zero_sends_nothing_and_resume_goes_on(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    talk(desk, caller, callee)
    caller.heard()
    desk.signal("offer", audio(caller, "a=sendonly", signalled="0.0.0.0"), to_tag="b")
    desk.signal("answer", audio(callee, "a=recvonly"), to_tag="b")
    talk(desk, callee)
    assert caller.heard() == []
    talk(desk, caller)
    desk.signal("offer", audio(caller), to_tag="b")
    desk.signal("answer", audio(callee), to_tag="b")
    talk(desk, callee, caller)
    assert len(caller.heard()) == 3


def test_the_latest_of_several_early_answers_gets_the_audio(
    desk: Desk, caller: Phone, callee: Phone, new_phone: Callable[..., Phone]
) -> None:
    other = new_phone("127.0.0.4")
    desk.connect(caller, callee)
    talk(desk, caller, callee)
    other.relay_port = callee.relay_port
    assert port_in(desk.signal("answer", audio(other), to_tag="c")) == caller.relay_port
    callee.heard()
    caller.heard()
    talk(desk, caller, other)
    assert (len(callee.heard()), len(other.heard())) == (0, 3)
    assert caller.heard_hosts() == [other.host] * 3
    assert desk.ask("delete", call_id="call", from_tag="a", to_tag="b") == {"result": "ok"}
    talk(desk, caller, other)
    assert len(other.heard()) == 3, "the end of the losing branch is not the end of the call"


def test_rtcp_passes_both_ways_and_is_counted_apart(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    caller.send_rtcp()
    callee.send_rtcp()
    desk.flow()
    assert callee.heard_rtcp() == [SENDER_REPORT]
    assert caller.heard_rtcp() == [SENDER_REPORT]
    assert (desk.side(0).rtcp.packets, desk.side(0).rtp.packets) == (1, 0)


def test_rtcp_of_strangers_is_dropped(
    desk: Desk, caller: Phone, callee: Phone, new_phone: Callable[..., Phone]
) -> None:
    attacker = new_phone("127.0.0.66")
    desk.connect(caller, callee)
    attacker.relay_port = caller.relay_port
    attacker.send_rtcp()
    caller.send_rtcp(b"no RTCP at all")
    desk.flow()
    assert callee.heard_rtcp() == []
    assert desk.side(0).rtcp.errors == 2


def test_rtcp_on_the_rtp_port_passes_and_spoils_no_count(desk: Desk, caller: Phone, callee: Phone) -> None:
    callee.relay_port = port_in(desk.signal("offer", audio(caller, "a=rtcp-mux")))
    caller.relay_port = port_in(desk.signal("answer", audio(callee, "a=rtcp-mux"), to_tag="b"))
    talk(desk, caller, callee)
    callee.heard()
    caller.send_raw(SENDER_REPORT)
    desk.flow()
    assert callee.heard() == [SENDER_REPORT]
    assert desk.side(0).rtp.packets == 3


def test_t38_passes_though_it_is_not_rtp(desk: Desk, caller: Phone, callee: Phone) -> None:
    def fax(phone: Phone) -> str:
        return audio(phone, media="image", protocol="udptl", formats="t38")

    desk.connect(caller, callee)
    talk(desk, caller, callee)
    ports = caller.relay_port, callee.relay_port
    assert port_in(desk.signal("offer", fax(callee), from_tag="b", to_tag="a")) == ports[0]
    assert port_in(desk.signal("answer", fax(caller), from_tag="b", to_tag="a")) == ports[1]
    callee.heard()
    for number in range(3):
        caller.send_raw(bytes([0, number]) + b"UDPTL")
        callee.send_raw(bytes([0, number]) + b"UDPTL")
        desk.flow()
    assert callee.heard() == [bytes([0, number]) + b"UDPTL" for number in range(3)]


def test_dtls_handshakes_pass_where_they_were_signalled(desk: Desk, caller: Phone, callee: Phone) -> None:
    protocol = "UDP/TLS/RTP/SAVP"
    callee.relay_port = port_in(desk.signal("offer", audio(caller, protocol=protocol)))
    caller.relay_port = port_in(desk.signal("answer", audio(callee, protocol=protocol), to_tag="b"))
    caller.send_raw(bytes([22, 254, 253]) + bytes(50))
    desk.flow()
    assert len(callee.heard()) == 1


def test_video_and_audio_have_streams_of_their_own(desk: Desk, caller: Phone, callee: Phone) -> None:
    both = audio(caller) + "m=video 5004 RTP/AVP 34\r\n"
    offered = desk.signal("offer", both)
    assert len(desk.relay.calls["call"].streams) == 2
    desk.signal("answer", audio(callee) + "m=video 0 RTP/AVP 34\r\n", to_tag="b")
    assert desk.relay.calls["call"].streams[1] is None, "a refused stream gives its ports back"
    assert "m=video 5004" not in offered


def test_ipv6_phones_talk(desk: Desk, new_phone: Callable[..., Phone]) -> None:
    caller, callee = new_phone("::1"), new_phone("::1", ssrc=2)
    desk.connect(caller, callee)
    talk(desk, caller, callee)
    assert (len(caller.heard()), len(callee.heard())) == (3, 3)


def test_a_phone_that_sends_to_another_of_our_addresses_is_heard(caller: Phone, callee: Phone) -> None:
    desk = Desk(replace(SETTINGS, rtp_host="0.0.0.0"))
    desk.connect(caller, callee)
    caller.relay_host = "127.0.0.9"  # connecting the socket would bind it to 127.0.0.1
    talk(desk, caller, callee, count=5)
    assert (len(caller.heard()), len(callee.heard())) == (5, 5)
    desk.close()


def test_a_phone_that_closed_its_port_does_no_harm(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    talk(desk, caller, callee)
    caller.heard()
    callee.close()
    talk(desk, caller, count=10)  # ICMP port unreachable comes back
    assert desk.side(1).rtp.packets == 3
    assert desk.side(0).rtp.errors + desk.side(1).rtp.errors > 0


def test_what_came_is_counted_with_loss(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    for number in range(64 + 5):
        if number in range(20, 25):
            caller.sequence += 1
            continue
        caller.send()
        callee.send()
        desk.flow()
    side = desk.side(0)
    assert side.rtp.packets == 64
    assert side.rtp.octets == 64 * len(caller.packet())
    assert side.reception.lost == 5
    assert side.reception.ssrc == caller.ssrc


def test_a_burst_is_relayed_whole_and_in_order(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    talk(desk, caller, callee)
    callee.heard()
    caller.send(50)
    desk.flow()
    assert [packet[3] for packet in callee.heard()] == [number & 0xFF for number in range(104, 154)]
