# SPDX-License-Identifier: Apache-2.0
"""The ng protocol: every command, repeated cookies, and errors that say what is wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.relay.bencode import Value, decode, encode
from tests.media.phones import SETTINGS, Desk, Phone, audio, port_in

if TYPE_CHECKING:
    from collections.abc import Mapping

SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
OFFER: dict[str, Value] = {"command": "offer", "call-id": "call", "from-tag": "a", "sdp": SDP}


def failure(reply: Mapping[str, Any]) -> str:
    assert reply["result"] == "error"
    reason = reply["error-reason"]
    assert isinstance(reason, str)
    return reason


def test_ping_is_answered_by_pong(desk: Desk) -> None:
    assert desk.server.handle(b"5_1 d7:command4:pinge") == b"5_1 d6:result4:ponge"


def test_a_repeated_cookie_gets_the_same_answer_without_a_second_call(desk: Desk) -> None:
    message = b"cookie " + encode(OFFER)
    first = desk.server.handle(message)
    desk.ask("delete", call_id="call", from_tag="a")
    assert desk.server.handle(message) == first
    assert desk.relay.calls == {}


def test_a_cookie_is_forgotten_after_a_while(desk: Desk) -> None:
    desk.server.handle(b"cookie d7:command4:pinge")
    desk.now += 20
    assert b"Unknown call-id" in (desk.server.handle(b"cookie d7:call-id1:x7:command5:querye") or b"")


def test_offer_and_answer_as_kamailio_sends_them(desk: Desk, caller: Phone, callee: Phone) -> None:
    usual: dict[str, Any] = {
        "flags": ["trust-address", "loop-protect", "replace-origin"],
        "replace": ["origin", "session-connection"],
        "direction": ["external", "internal"],
        "received-from": ["IP4", "127.0.0.1"],
        "ICE": "remove",
        "transport-protocol": "RTP/AVP",
        "via-branch": "z9hG4bK1234.0",
        "rtcp-mux": ["demux"],
    }
    offered = desk.signal("offer", audio(caller), **usual)
    assert "o=- 1 1 IN IP4 127.0.0.1\r\n" in offered
    answered = desk.signal("answer", audio(callee), to_tag="b", **usual)
    assert {port_in(offered), port_in(answered)} == {desk.side(0).pair.port, desk.side(1).pair.port}


def test_a_media_address_is_written_instead_of_ours(desk: Desk) -> None:
    reply = desk.ask("offer", **{"call-id": "call", "from-tag": "a", "sdp": SDP, "media address": "203.0.113.7"})
    assert "c=IN IP4 203.0.113.7\r\n" in reply["sdp"]


def test_media_is_expected_where_sip_came_from_if_told_so(desk: Desk) -> None:
    desk.signal("offer", SDP, received_from=["IP4", "203.0.113.5"], flags=["SIP source address"])
    assert desk.side(0).lock.signalled == ("203.0.113.5", 4000)


def test_a_repeated_offer_keeps_its_ports(desk: Desk) -> None:
    assert desk.signal("offer", SDP) == desk.signal("offer", SDP)


def test_query_tells_what_came_in_the_shape_of_rtpengine(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    for _ in range(4):
        caller.send()
        desk.flow()
    desk.now += 5
    reply = desk.ask("query", call_id="call")
    assert reply["result"] == "ok"
    assert reply["created"] == 1_700_001_000
    assert reply["totals"]["RTP"] == {"packets": 4, "bytes": 4 * len(caller.packet()), "errors": 0}
    tag = reply["tags"]["a"]
    assert tag["in dialogue with"] == "b"
    media = tag["medias"][0]
    assert (media["index"], media["type"], media["protocol"], media["flags"]) == (1, "audio", "RTP/AVP", [])
    rtp, rtcp = media["streams"]
    assert rtp["local port"] == caller.relay_port
    assert rtp["endpoint"] == {"family": "IPv4", "address": caller.host, "port": caller.address[1]}
    assert rtp["flags"] == ["RTP", "confirmed"]
    assert rtp["stats"] == {"packets": 4, "bytes": 4 * len(caller.packet()), "errors": 0, "lost": 0, "jitter": 0}
    assert rtcp["local port"] == caller.relay_port + 1
    assert reply["tags"]["b"]["medias"][0]["streams"][0]["stats"]["packets"] == 0


def test_query_tells_the_age_of_the_last_packet(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    caller.send()
    desk.flow()
    desk.advance(1)
    desk.now += 7
    stream = desk.ask("query", call_id="call")["tags"]["a"]["medias"][0]["streams"][0]
    assert (stream["last packet age"], stream["last packet"]) == (7, 1_700_001_001)


def test_delete_ends_the_call_and_tells_what_came(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    caller.send()
    desk.flow()
    reply = desk.ask("delete", call_id="call", from_tag="b", to_tag="a")
    assert reply["result"] == "ok"
    assert reply["totals"]["RTP"]["packets"] == 1
    assert failure(desk.ask("query", call_id="call")) == "Unknown call-id"
    caller.send()
    assert desk.pump.round() == 0


def test_delete_of_an_unknown_call_is_a_warning_unless_fatal(desk: Desk) -> None:
    assert desk.ask("delete", call_id="none", from_tag="a")["warning"].startswith("Call-ID not found")
    assert failure(desk.ask("delete", call_id="none", from_tag="a", flags=["fatal"])).startswith("Call-ID not found")


def test_delete_with_a_foreign_tag_leaves_the_call(desk: Desk) -> None:
    desk.signal("offer", SDP)
    desk.ask("delete", call_id="call", from_tag="nobody")
    assert "call" in desk.relay.calls


def test_list_names_the_calls_up_to_a_limit(desk: Desk) -> None:
    for number in range(3):
        desk.signal("offer", SDP, call_id=f"call-{number}")
    assert desk.ask("list")["calls"] == ["call-0", "call-1", "call-2"]
    assert desk.ask("list", limit=2)["calls"] == ["call-0", "call-1"]


def test_an_answer_that_no_datagram_holds_is_an_error(desk: Desk) -> None:
    for number in range(3):
        desk.signal("offer", SDP, call_id=f"{number}" * 30_000)
    assert failure(desk.ask("list")) == "The answer does not fit into a datagram"


def test_statistics_count_calls_and_packets(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    caller.send()
    desk.flow()
    desk.ask("delete", call_id="call", from_tag="a")
    desk.now += 9
    statistics = desk.ask("statistics")["statistics"]
    assert statistics["currentstatistics"]["sessionstotal"] == 0
    totals = statistics["totalstatistics"]
    assert (totals["uptime"], totals["managedsessions"], totals["relayedpackets"]) == (9, 1, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"command": None}, "Key command is missing"),
        ({"command": "dance"}, "Unrecognized command"),
        ({"command": "play DTMF"}, "This relay does not know how to play DTMF"),
        ({"call-id": None}, "Key call-id is missing"),
        ({"call-id": ""}, "Key call-id is missing"),
        ({"call-id": ["x"]}, "Key call-id is not a string"),
        ({"from-tag": None}, "Key from-tag is missing"),
        ({"from-tag": 7}, "Key from-tag is not a string"),
        ({"sdp": None}, "Key sdp is missing"),
        ({"sdp": "hello"}, "Invalid SDP: SDP does not begin with v=0"),
        ({"sdp": SDP.replace("192.0.2.10\r\nt=", "host\r\nt=")}, "Invalid SDP: c= has no valid unicast address"),
        ({"media address": "nowhere"}, "Key media address holds no IP address"),
        ({"received-from": ["IP4", "nowhere"]}, "Key received-from holds no IP address"),
        ({"command": "answer"}, "Key to-tag is missing"),
        ({"command": "answer", "to-tag": "b"}, "Unknown call-id"),
        ({"command": "query"}, "Unknown call-id"),
        ({"command": "list", "limit": "x"}, "Key limit is not a count"),
    ],
)
def test_commands_that_make_no_sense_are_told_why(desk: Desk, changes: dict[str, Value | None], reason: str) -> None:
    command = {key: value for key, value in {**OFFER, **changes}.items() if value is not None}
    answer = desk.server.handle(b"c " + encode(command))
    assert answer is not None
    reply = decode(answer[2:])
    assert isinstance(reply, dict)
    assert failure(reply).startswith(reason)
    assert desk.relay.calls == {}


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"command": "answer", "from-tag": "x", "to-tag": "b"}, "Unknown from-tag"),
        ({"command": "answer", "to-tag": "a"}, "The to-tag of an answer must name the answering side"),
        ({"command": "answer", "to-tag": "b", "sdp": SDP + "m=audio 1 RTP/AVP 8\r\n"}, "The answer has more media"),
        ({"from-tag": "x"}, "Neither tag is part of the call"),
        ({"from-tag": "a", "to-tag": "a"}, "Both tags name the same side"),
        ({"sdp": SDP.replace("IP4 192.0.2.10", "IP6 2001:db8::1")}, "The stream was set up over IPv4, not IPv6"),
    ],
)
def test_commands_that_do_not_fit_the_call_are_told_why(desk: Desk, keys: dict[str, Value], reason: str) -> None:
    desk.signal("offer", SDP)
    message = {**OFFER, **keys}
    answer = desk.server.handle(b"c " + encode(message))
    assert answer is not None
    reply = decode(answer[2:])
    assert isinstance(reply, dict)
    assert failure(reply).startswith(reason)
    assert "call" in desk.relay.calls


def test_without_ipv6_an_ipv6_phone_is_refused() -> None:
    desk = Desk(replace(SETTINGS, rtp_host_ipv6=None))
    reply = desk.ask("offer", call_id="x", from_tag="a", sdp=SDP.replace("IP4 192.0.2.10", "IP6 2001:db8::1"))
    assert failure(reply) == "No IPv6 address is configured for media"
    desk.close()


def test_when_ports_run_out_the_call_is_refused_and_nothing_is_kept() -> None:
    desk = Desk(replace(SETTINGS, rtp_ports=(20000, 20005)))
    desk.signal("offer", SDP, call_id="first")
    reply = desk.ask("offer", call_id="second", from_tag="a", sdp=SDP)
    assert re.match("Ran out of ports: all media ports of 20000-20005 are in use", failure(reply))
    assert list(desk.relay.calls) == ["first"]
    assert desk.ask("statistics")["statistics"]["totalstatistics"]["rejectedsessions"] == 1
    desk.close()


@pytest.mark.parametrize("datagram", [b"", b" ", b"cookie", b" d7:command4:pinge", b"c" * 300 + b" i1e"])
def test_datagrams_without_a_cookie_get_no_answer(desk: Desk, datagram: bytes) -> None:
    assert desk.server.handle(datagram) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_octets_get_an_error(desk: Desk, body: bytes) -> None:
    desk.now += 60  # no answer from before
    answer = desk.server.handle(b"cookie " + body)
    assert answer is not None
    assert answer.startswith(b"cookie d12:error-reason")


KEYS = ("command", "call-id", "from-tag", "to-tag", "sdp", "flags", "replace", "ICE", "received-from", "media address")
CONTENTS = st.one_of(
    st.sampled_from(["offer", "answer", "delete", "query", "list", "statistics", "a", "b", "call", "remove", SDP]),
    st.integers(),
    st.text(max_size=5),
    st.lists(st.sampled_from(["origin", "fatal", "IP4", "192.0.2.1", 5]), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), CONTENTS), max_size=6))
def test_any_commands_in_any_order_get_an_answer(desk: Desk, commands: list[dict[str, Value]]) -> None:
    for command in commands:
        desk.now += 60
        answer = desk.server.handle(b"cookie " + encode(command))
        assert answer is not None
        reply = decode(answer[len(b"cookie ") :])
        assert isinstance(reply, dict)
        assert reply["result"] in ("ok", "error")
    for call_id in list(desk.relay.calls):
        desk.ask("delete", call_id=call_id)
    desk.now += 60
