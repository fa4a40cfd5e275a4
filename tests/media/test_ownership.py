# SPDX-License-Identifier: Apache-2.0
"""Media belongs to who was signalled, on the wire: strangers at the ports of the relay and of the media server.

Case G1: two packets to each port of the range, once, while a phone rings, were enough to be locked in for ever.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from media.rtp.rtp import HEADER
from media.sound.codec import PCMU
from tests.media.callers import Caller, Studio
from tests.media.phones import SENDER_REPORT, Desk, Phone, audio, port_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from media.session.session import MediaSession


def talk(desk: Desk, *phones: Phone, count: int = 3) -> None:
    """Every phone sends, and the relay serves after each packet."""
    for _ in range(count):
        for phone in phones:
            phone.send()
        desk.flow()


def from_host(phone: Phone) -> list[str]:
    """What the switch tells of where a phone's SIP comes from."""
    return ["IP6" if ":" in phone.host else "IP4", phone.host]


def spray(stranger: Phone, desk: Desk, count: int = 2) -> None:
    """So many packets in sequence to every port of the call, RTP and RTCP, once."""
    for stream in desk.relay.calls["call"].active_streams:
        for side in stream.sides:
            stranger.relay_port = side.pair.port
            stranger.send(count)
            for _ in range(count):
                stranger.send_rtcp()
    desk.flow()


@pytest.fixture(params=["elsewhere", "on the phone's host", "IPv6"])
def party(request: pytest.FixtureRequest, new_phone: Callable[..., Phone]) -> tuple[Phone, Phone, Phone]:
    """A caller, a callee and a stranger."""
    hosts = {
        "elsewhere": ("127.0.0.2", "127.0.0.3", "127.0.0.66"),
        "on the phone's host": ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        "IPv6": ("::1", "::1", "::1"),
    }[request.param]
    caller, callee, stranger = (new_phone(host, ssrc=number) for number, host in enumerate(hosts, 1))
    return caller, callee, stranger


def offer(desk: Desk, caller: Phone, callee: Phone, **keys: Any) -> None:
    callee.relay_port = port_in(desk.signal("offer", audio(caller), received_from=from_host(caller), **keys))


def answer(desk: Desk, caller: Phone, callee: Phone, **keys: Any) -> None:
    sdp = desk.signal("answer", audio(callee), to_tag="b", received_from=from_host(callee), **keys)
    caller.relay_port = port_in(sdp)


def check_that_they_talk_alone(desk: Desk, caller: Phone, callee: Phone, stranger: Phone) -> None:
    """The phones' first packets throw the stranger out; whatever he sends from then on leads nowhere."""
    talk(desk, caller, callee, count=2)
    for phone in (caller, callee):
        phone.send_rtcp()
    desk.flow()
    for phone in (caller, callee, stranger):
        phone.heard()
        phone.heard_rtcp()
    talk(desk, caller, callee, count=5)
    for phone in (caller, callee):
        phone.send_rtcp()
    desk.flow()
    assert len(caller.heard()) == len(callee.heard()) == 5
    assert len(caller.heard_rtcp()) == len(callee.heard_rtcp()) == 1
    before = desk.side(0).rtp.packets, desk.side(1).rtp.packets
    spray(stranger, desk, 20)
    assert (desk.side(0).rtp.packets, desk.side(1).rtp.packets) == before
    assert stranger.heard() == stranger.heard_rtcp() == []


def test_who_sprays_all_ports_while_a_phone_rings_gets_and_gives_nothing(
    desk: Desk, party: tuple[Phone, Phone, Phone]
) -> None:
    """Case G1."""
    caller, callee, stranger = party
    offer(desk, caller, callee)
    spray(stranger, desk)
    desk.advance(4)
    answer(desk, caller, callee)
    check_that_they_talk_alone(desk, caller, callee, stranger)


def test_who_sprays_during_early_media_does_not_either(desk: Desk, party: tuple[Phone, Phone, Phone]) -> None:
    """Case G1."""
    caller, callee, stranger = party
    offer(desk, caller, callee)
    desk.ask("block media", call_id="call", from_tag="a")
    answer(desk, caller, callee)
    spray(stranger, desk)
    talk(desk, caller, callee)
    caller.heard()
    spray(stranger, desk)
    desk.advance(4)
    talk(desk, callee)
    assert len(caller.heard()) == 3
    desk.ask("unblock media", call_id="call", from_tag="a")
    check_that_they_talk_alone(desk, caller, callee, stranger)


def test_who_sprays_right_after_the_answer_is_thrown_out_by_the_phones(
    desk: Desk, party: tuple[Phone, Phone, Phone]
) -> None:
    """Case G1."""
    caller, callee, stranger = party
    offer(desk, caller, callee)
    answer(desk, caller, callee)
    spray(stranger, desk)
    desk.advance(4)
    check_that_they_talk_alone(desk, caller, callee, stranger)


def test_who_sprays_after_a_new_address_was_signalled_is_thrown_out_by_the_phone(
    desk: Desk, party: tuple[Phone, Phone, Phone]
) -> None:
    """Case G1, after a re-INVITE."""
    caller, callee, stranger = party
    offer(desk, caller, callee)
    answer(desk, caller, callee)
    talk(desk, caller, callee)
    caller.move()
    offer(desk, caller, callee, to_tag="b")
    answer(desk, caller, callee)
    spray(stranger, desk)
    desk.advance(4)
    check_that_they_talk_alone(desk, caller, callee, stranger)


def test_who_sprays_during_hold_is_thrown_out_by_the_phones(desk: Desk, party: tuple[Phone, Phone, Phone]) -> None:
    """Case G1, during hold."""
    caller, callee, stranger = party
    offer(desk, caller, callee)
    answer(desk, caller, callee)
    talk(desk, caller, callee)
    nowhere = "::" if ":" in caller.host else "0.0.0.0"
    desk.signal("offer", audio(caller, "a=sendonly", signalled=nowhere), to_tag="b", received_from=from_host(caller))
    desk.signal("answer", audio(callee, "a=recvonly"), to_tag="b", received_from=from_host(callee))
    desk.advance(10)
    spray(stranger, desk)
    desk.advance(4)
    offer(desk, caller, callee, to_tag="b")
    answer(desk, caller, callee)
    check_that_they_talk_alone(desk, caller, callee, stranger)


def test_a_phone_behind_nat_is_learnt_at_the_host_that_signals_even_in_early_media(
    desk: Desk, new_phone: Callable[..., Phone]
) -> None:
    caller, callee, stranger = new_phone("127.0.0.2"), new_phone("127.0.0.3", ssrc=2), new_phone("127.0.0.66", ssrc=3)
    told = from_host(caller)
    callee.relay_port = port_in(desk.signal("offer", audio(caller, signalled="192.168.1.9"), received_from=told))
    desk.ask("block media", call_id="call", from_tag="a")
    told = from_host(callee)
    sdp = audio(callee, signalled="10.0.0.7")
    caller.relay_port = port_in(desk.signal("answer", sdp, to_tag="b", received_from=told))
    spray(stranger, desk)
    talk(desk, caller, callee)
    assert len(caller.heard()) >= 1
    assert callee.heard() == [], "sound goes to the caller only"
    desk.ask("unblock media", call_id="call", from_tag="a")
    check_that_they_talk_alone(desk, caller, callee, stranger)


def test_a_phone_whose_media_comes_from_a_third_host_is_learnt_after_the_answer_and_gives_way(
    desk: Desk, new_phone: Callable[..., Phone]
) -> None:
    caller, callee = new_phone("127.0.0.2"), new_phone("127.0.0.3", ssrc=2)
    relayed = new_phone("127.0.0.44", ssrc=9)
    offer(desk, caller, callee)
    desk.ask("block media", call_id="call", from_tag="a")
    answer(desk, caller, callee)
    relayed.relay_port = callee.relay_port
    talk(desk, relayed)
    assert caller.heard() == []
    desk.ask("unblock media", call_id="call", from_tag="a")
    talk(desk, relayed, caller)
    assert len(caller.heard()) == 2
    assert relayed.heard_hosts() == [caller.host] * 2
    talk(desk, callee)
    callee.heard()
    talk(desk, relayed, caller)
    assert len(callee.heard()) == 3
    assert relayed.heard() == []


def test_a_phone_that_moves_behind_its_nat_is_followed_while_a_stranger_sprays(
    desk: Desk, new_phone: Callable[..., Phone]
) -> None:
    caller, callee, stranger = new_phone("127.0.0.2"), new_phone("127.0.0.3", ssrc=2), new_phone("127.0.0.66", ssrc=3)
    callee.relay_port = port_in(
        desk.signal("offer", audio(caller, signalled="192.168.1.9"), received_from=from_host(caller))
    )
    answer(desk, caller, callee)
    talk(desk, caller, callee)
    desk.advance(6)
    caller.move()
    spray(stranger, desk)
    talk(desk, caller)
    assert desk.side(0).lock.source == caller.address
    check_that_they_talk_alone(desk, caller, callee, stranger)


# Early media (case L8)


def telephone_event(phone: Phone) -> bytes:
    phone.sequence += 1
    return HEADER.pack(0x80, 101, phone.sequence & 0xFFFF, 0, phone.ssrc) + bytes([5, 10, 0, 160])


EVENTS = "a=rtpmap:101 telephone-event/8000"


def test_before_the_answer_sound_keys_and_rtcp_go_to_the_caller_only(desk: Desk, caller: Phone, callee: Phone) -> None:
    """Case L8."""
    callee.relay_port = port_in(desk.signal("offer", audio(caller, EVENTS, formats="8 101")))
    assert desk.ask("block DTMF", call_id="call", from_tag="a") == {"result": "ok"}
    assert desk.ask("block media", call_id="call", from_tag="a") == {"result": "ok"}
    caller.relay_port = port_in(desk.signal("answer", audio(callee, EVENTS, formats="8 101"), to_tag="b"))
    for _ in range(3):
        talk(desk, caller, callee)
        caller.send_raw(telephone_event(caller))
        caller.send_rtcp()
        desk.flow()
        desk.advance(1)
    assert callee.heard() == callee.heard_rtcp() == []
    assert len(caller.heard()) == 9
    desk.signal("answer", audio(callee, EVENTS, formats="8 101"), to_tag="b")  # the 200 repeats it
    desk.ask("unblock media", call_id="call", from_tag="a")
    caller.send_raw(telephone_event(caller))
    talk(desk, caller)
    assert len(callee.heard()) == 3, "keys are blocked by themselves"
    desk.ask("unblock DTMF", call_id="call", from_tag="a")
    caller.send_raw(telephone_event(caller))
    talk(desk, caller)
    assert len(callee.heard()) == 4


def test_blocking_media_lets_keys_pass_as_rtpengine_does(desk: Desk, caller: Phone, callee: Phone) -> None:
    callee.relay_port = port_in(desk.signal("offer", audio(caller, EVENTS, formats="8 101")))
    caller.relay_port = port_in(desk.signal("answer", audio(callee, EVENTS, formats="8 101"), to_tag="b"))
    talk(desk, caller, callee)
    callee.heard()
    desk.ask("block media", call_id="call", from_tag="a")
    caller.send_raw(telephone_event(caller))
    talk(desk, caller)
    assert len(callee.heard()) == 1


def test_a_call_in_early_media_is_not_dropped_while_its_switch_asks_about_it(
    desk: Desk, caller: Phone, callee: Phone
) -> None:
    """Case L9: early media for 126 s, then the answer."""
    callee.relay_port = port_in(desk.signal("offer", audio(caller), flags=["watched"]))
    desk.ask("block media", call_id="call", from_tag="a")
    caller.relay_port = port_in(desk.signal("answer", audio(callee), to_tag="b", flags=["watched"]))
    for _ in range(14):
        talk(desk, callee)
        desk.ask("query", call_id="call")
        desk.advance(15)
    caller.relay_port = port_in(desk.signal("answer", audio(callee), to_tag="b", flags=["watched"]))
    desk.ask("unblock media", call_id="call", from_tag="a")
    talk(desk, caller)
    assert len(callee.heard()) == 3


def test_a_ringing_call_whose_switch_has_gone_gives_its_ports_back(desk: Desk, caller: Phone) -> None:
    """Case G2: a session whose offer got no answer does not stay for an hour."""
    desk.signal("offer", audio(caller), flags=["watched"])
    desk.advance(120)
    assert desk.relay.calls == {}


# A third party (case L19)


def test_sound_to_a_third_party_that_sends_nothing_ends_after_two_seconds(
    desk: Desk, new_phone: Callable[..., Phone]
) -> None:
    """Case L19: the SDP of the caller names a victim."""
    caller, callee, victim = new_phone("127.0.0.2"), new_phone("127.0.0.3", ssrc=2), new_phone("127.0.0.99", ssrc=3)
    callee.relay_port = port_in(desk.signal("offer", audio(victim), received_from=from_host(caller)))
    answer(desk, caller, callee)
    for _ in range(10):
        talk(desk, callee, count=10)
        callee.send_rtcp()
        desk.flow()
        desk.advance(1)
    assert 10 < len(victim.heard()) <= 30
    assert len(victim.heard_rtcp()) <= 3
    victim.relay_port = caller.relay_port
    victim.send_rtcp()
    talk(desk, callee)
    assert len(victim.heard()) == 3, "it has sent something: it is a phone"


def test_sound_to_the_host_that_signals_goes_on(desk: Desk, caller: Phone, callee: Phone) -> None:
    offer(desk, caller, callee)
    answer(desk, caller, callee)
    for _ in range(10):
        talk(desk, callee, count=10)
        desk.advance(1)
    assert len(caller.heard()) == 100


# The media server


@pytest.fixture
def studio() -> Iterator[Studio]:
    studio = Studio()
    yield studio
    studio.close()


def ringing(studio: Studio, caller: Caller, **offered: Any) -> MediaSession:
    """A session whose answer went out, but not finally."""
    session = studio.engine.open(family=6 if ":" in caller.host else 4)
    caller.learn(session.answer(caller.offer(**offered), caller.host))
    caller.target = str(studio.engine.addresses[session.pair.family]), caller.target[1]
    return session


@pytest.mark.parametrize("hosts", [("127.0.0.2", "127.0.0.66"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("reinvited", [False, True])
def test_who_sprays_the_media_servers_ports_is_thrown_out_by_the_phone(
    studio: Studio, hosts: tuple[str, str], answered: bool, reinvited: bool
) -> None:
    """Case G1, towards the media server."""
    caller, stranger = studio.caller(host=hosts[0]), studio.caller(host=hosts[1])
    session = ringing(studio, caller)
    if answered:
        session.begin()
    if reinvited:
        caller.say([PCMU.silence] * 3, studio)
        caller.rtp_socket.close()
        caller.rtp_socket = socket.socket(socket.AF_INET6 if ":" in hosts[0] else socket.AF_INET, socket.SOCK_DGRAM)
        caller.rtp_socket.bind((hosts[0], 0))
        caller.rtp_socket.setblocking(False)
        caller.port = caller.rtp_socket.getsockname()[1]
        session.answer(caller.offer(version=2), hosts[0])
    stranger.target = caller.target
    digits: list[str] = []
    session.on_digit = digits.append
    stranger.say([PCMU.silence] * 2, studio)
    studio.pass_time(4)
    session.begin()
    caller.heard.clear()
    caller.say([PCMU.silence] * 5, studio)
    stranger.heard.clear()
    stranger.press("9", studio)
    caller.press("4", studio)
    assert digits == ["4"]
    assert stranger.heard == []
    assert len(caller.heard) > 5


def test_the_media_server_stops_talking_to_a_third_party_that_sends_nothing(studio: Studio) -> None:
    """Case L19."""
    victim = studio.caller(host="127.0.0.99")
    session = studio.engine.open()
    session.answer(victim.offer(), "127.0.0.5")
    session.begin()
    studio.pass_time(10)
    assert 90 <= len(victim.heard) <= 101
    victim.target = "127.0.0.1", session.pair.port
    victim.heard.clear()
    victim.say([PCMU.silence] * 5, studio)
    assert len(victim.heard) >= 4


def test_the_media_server_talks_to_the_host_that_signals_and_to_its_relay(studio: Studio) -> None:
    for host, signaller in (("127.0.0.5", "127.0.0.5"), ("127.0.0.1", "127.0.0.5")):
        caller = studio.caller(host=host)
        session = studio.engine.open()
        session.answer(caller.offer(), signaller)
        studio.pass_time(5)
        assert len(caller.heard) == pytest.approx(250, abs=2)


def test_the_media_servers_rtcp_goes_to_no_stranger(studio: Studio) -> None:
    caller, stranger = studio.caller(host="127.0.0.2"), studio.caller(host="127.0.0.66")
    session = ringing(studio, caller)
    session.begin()
    _, port = caller.target
    for _ in range(3):
        stranger.rtcp_socket.sendto(SENDER_REPORT, ("127.0.0.1", port + 1))
    studio.pass_time(12)
    assert stranger.rtcp == []
    assert caller.rtcp


def test_an_offer_that_is_refused_leaves_the_sound_where_it_went(desk: Desk, caller: Phone, callee: Phone) -> None:
    """Case C2: a re-INVITE with another port (to fax, say) that the other side refuses."""
    offer(desk, caller, callee)
    answer(desk, caller, callee)
    talk(desk, caller, callee)
    caller.heard()
    moved = audio(caller).replace(f" {caller.address[1]} ", " 9 ").replace("a=rtcp:", "a=x-rtcp:")
    desk.signal("offer", moved, to_tag="b", received_from=from_host(caller))
    for _ in range(5):
        talk(desk, caller, callee)
        for phone in (caller, callee):
            phone.send_rtcp()
        desk.flow()
        desk.advance(1)
    assert (len(caller.heard()), len(callee.heard())) == (15, 18)
    assert len(caller.heard_rtcp()) == 5
    offer(desk, caller, callee, to_tag="b")
    answer(desk, caller, callee)
    talk(desk, caller, callee)
    assert desk.side(0).lock.final
