# SPDX-License-Identifier: Apache-2.0
"""SDP through the relay: golden bodies, what is read from them, and what is refused.

golden/NAME.sdp becomes golden/NAME.relayed with the endpoints below; dots in NAME turn options of `rewrite` on.
"""

from __future__ import annotations

import contextlib
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sdp import Endpoint, SdpError, parse, rewrite

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.sdp"))
HEAD = b"v=0\r\no=- 20518 3 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
PLAIN = (GOLDEN / "plain_call.sdp").read_bytes()


def relayed(body: bytes, *options: str) -> bytes:
    """The body with section i at port 20000 + 10 i of 198.51.100.1 or 2001:db8::1."""
    session = parse(body)
    endpoints: list[Endpoint | None] = []
    for index, media in enumerate(session.media):
        port = 20000 + 10 * index
        own = ip_address("2001:db8::1" if media.address and media.address.version == 6 else "198.51.100.1")
        endpoint = Endpoint(own, port, port if media.rtcp_port == media.port else port + 1)
        endpoints.append(endpoint if media.relayed else None)
    return rewrite(session, endpoints, **dict.fromkeys(options, True))


@pytest.mark.parametrize("name", NAMES)
def test_golden_bodies_come_out_as_they_should(name: str) -> None:
    _, *options = name.split(".")
    assert relayed((GOLDEN / f"{name}.sdp").read_bytes(), *options) == (GOLDEN / f"{name}.relayed").read_bytes()


def test_what_a_side_wants_is_read() -> None:
    audio, video = parse((GOLDEN / "address_per_media.sdp").read_bytes()).media
    assert (audio.kind, audio.port, audio.rtcp_port, str(audio.address)) == ("audio", 4000, 4007, "192.0.2.11")
    assert (video.rtcp_port, str(video.rtcp_address)) == (5001, "192.0.2.12")
    assert audio.payload_types == (8,)
    assert (audio.clock_rate(8), video.clock_rate(96), video.clock_rate(34)) == (8000, 90000, 90000)
    assert not audio.held
    assert audio.is_rtp


def test_rtcp_is_at_the_next_port_unless_said_otherwise() -> None:
    assert parse(PLAIN).media[0].rtcp_port == 49171


@pytest.mark.parametrize("line", [b"a=rtcp:x", b"a=rtcp:", b"a=rtcp:5 IN IP4", b"a=rtcp:" + b"9" * 4000])
def test_an_rtcp_attribute_that_says_nothing_is_none_and_is_written_anew(line: bytes) -> None:
    """As rtpengine does."""
    body = PLAIN.replace(b"a=ptime:20", line)
    assert parse(body).media[0].rtcp_port == 49171
    assert b"a=rtcp:20001" in relayed(body)
    assert line + b"\r" not in relayed(body)


def test_formats_in_their_order_with_what_they_stand_for() -> None:
    body = HEAD + (
        b"m=audio 4 RTP/AVP 9 97 0 101 10 96 telephone 200\r\na=rtpmap:97 opus/48000/2\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=rtpmap:0 pcmu/8000\r\na=rtpmap:x y/1\r\n"
    )
    assert parse(body).media[0].encodings == (
        (9, "G722", 8000),
        (97, "opus", 48000),
        (0, "pcmu", 8000),
        (101, "telephone-event", 8000),
        (10, "L16", 44100),
    )


@pytest.mark.parametrize("rtpmap", ["PCMU", "PCMU/", "PCMU/8k", "PCMU/" + "8" * 10, "", "PCMU/\u0668\u0660"])
def test_an_rtpmap_that_says_nothing_is_left_to_the_phones(rtpmap: str) -> None:
    body = HEAD + f"m=audio 4 RTP/AVP 0\r\na=rtpmap:0 {rtpmap}\r\n".encode()
    assert parse(body).media[0].encoding(0) == ("PCMU", 8000)


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        (["m=audio 4 RTP/AVP 0"], False),
        (["m=audio 4 RTP/AVP 0", "a=sendrecv"], False),
        (["m=audio 4 RTP/AVP 0", "a=sendonly"], True),
        (["m=audio 4 RTP/AVP 0", "a=sendonly "], True),
        (["m=audio 4 RTP/AVP 0", "a=inactive"], True),
        (["a=inactive", "m=audio 4 RTP/AVP 0"], True),
        (["a=inactive", "m=audio 4 RTP/AVP 0", "a=sendrecv"], False),
        (["m=audio 4 RTP/AVP 0", "c=IN IP4 0.0.0.0"], True),
        (["m=audio 4 RTP/AVP 0", "c=IN IP6 ::"], True),
    ],
)
def test_hold_of_one_stream(lines: list[str], held: bool) -> None:
    assert parse(HEAD + "".join(f"{line}\r\n" for line in lines).encode()).media[0].held is held


def test_lines_may_end_with_lf_alone_and_in_latin_1() -> None:
    assert parse(HEAD.replace(b"\r\n", b"\n") + b"i=caf\xe9\nm=audio 4 RTP/AVP 0\n").media[0].port == 4
    assert parse(HEAD.replace(b"\r\n", b"\r\r\n") + b"m=audio 4 RTP/AVP 0\r\r\n").media[0].port == 4


def test_hold_is_seen_in_direction_and_address() -> None:
    for name in ("hold_by_direction", "hold_by_address_zero"):
        assert parse((GOLDEN / f"{name}.sdp").read_bytes()).media[0].held


def test_t38_is_no_rtp() -> None:
    media = parse((GOLDEN / "t38.sdp").read_bytes()).media[0]
    assert media.relayed
    assert not media.is_rtp


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"v=0", b"v=1", "begin with v=0"),
        (b"s=-", b"nonsense", "line 3 is not of the form"),
        (b"c=IN IP4 192.0.2.10\r\n", b"", "has no c= line"),
        (b"c=IN IP4 192.0.2.10", b"c=IN IP4 phone.example.com", "no valid unicast address"),
        (b"c=IN IP4 192.0.2.10", b"c=IN IP4 192.0.2.999", "no valid unicast address"),
        (b"c=IN IP4 192.0.2.10", b"c=IN IP4 224.2.1.1", "multicast"),
        (b"c=IN IP4 192.0.2.10", b"c=IN IP4 224.2.1.1/127", "no valid unicast address"),
        (b"c=IN IP4 192.0.2.10", b"c=IN IP4 2001:db8::1", "no valid unicast address"),
        (b"c=IN IP4 192.0.2.10", b"c=IN IP9 192.0.2.10", "not of the form IN IP4"),
        (b"c=IN IP4 192.0.2.10", b"c=", "not of the form IN IP4"),
        (b"m=audio 49170 RTP/AVP 0 8 101", b"m=audio 49170", "lacks port, protocol or format"),
        (b"m=audio 49170 RTP/AVP 0 8 101", b"m=audio 49170 RTP/AVP", "lacks port, protocol or format"),
        (b"m=audio 49170", b"m=audio 491700", "no valid port"),
        (b"m=audio 49170", b"m=audio -1", "no valid port"),
        (b"m=audio 49170", b"m=audio 49170/0", "no ports"),
        (b"m=audio 49170", b"m=audio 49170/", "number of ports in m= has no valid port"),
        (b"m=audio 49170 RTP", b"m=audio 49170\tRTP", "control character"),
        (b"m=audio 49170 RTP", b"m=audio\t49170 RTP", "control character"),
        (b"m=audio 49170 RTP/AVP 0", b"m=audio 49170 RTP/AVP\x0b0", "control character"),
        (b"m=audio 49170 RTP", b"m=audio 49170\xc2\xa0RTP", "no valid port"),
        (b"c=IN IP4 ", b"c=IN\tIP4 ", "control character"),
        (b"s=-", b"s=-\rm=audio 1 RTP/AVP 0", "line 3 has a control character"),
        (b"s=-", b"s=\0", "line 3 has a control character"),
        (b"s=-", b"s=" + b"x" * 5000, "line 3 is longer"),
        (b"RTP/AVP 0 8", b"RTP/AVP 0 " + b"8" * 4400, "line 6 is longer"),
        (b"RTP/AVP 0 8", b"RTP/AVP 0 8888", "too many digits"),
        (b"a=ptime:20", b"a=x\r\n" * 2000, "more than 1000 lines"),
        (b"a=ptime:20", b"m=audio 1 RTP/AVP 0\r\n" * 40, "more than 32 media sections"),
    ],
)
def test_malformed_bodies_are_refused_with_a_reason(before: bytes, after: bytes, reason: str) -> None:
    assert before in PLAIN
    with pytest.raises(SdpError, match=reason):
        parse(PLAIN.replace(before, after, 1))


def test_of_several_ports_the_first_is_taken_and_the_number_is_not_answered() -> None:
    """Case C3."""
    body = PLAIN.replace(b"m=audio 49170", b"m=audio 49170/2")
    assert parse(body).media[0].port == 49170
    assert b"m=audio 20000 RTP/AVP 0 8 101\r\n" in relayed(body)


@pytest.mark.parametrize(
    "section",
    [
        b"m=video 0 RTP/AVP 255",
        b"m=image 0 udptl t38",
        b"m=application 50000 TCP/BFCP *",
        b"m=application 0 UDP/BFCP *",
        b"m=message 9 TCP/MSRP *",
        b"m=video 0 RTP/AVP 31\r\nc=IN IP4 nowhere.example.com\r\na=rtcp:x",
        b"m=text 0/2 RTP/AVP 98",
        b"m=video 0 RTP/AVP",
    ],
)
def test_a_section_that_is_refused_or_not_relayed_stays_as_it_came(section: bytes) -> None:
    """Case C1: every section counts, whatever its port or protocol."""
    body = PLAIN + section + b"\r\n"
    assert len(parse(body).media) == 2
    assert relayed(body).endswith(section + b"\r\n")


def test_an_empty_body_is_refused() -> None:
    with pytest.raises(SdpError):
        parse(b"")


@given(st.binary(max_size=300))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    with contextlib.suppress(SdpError):
        relayed(b"v=0\r\n" + octets)


@given(st.integers(0, len(PLAIN) - 1), st.binary(max_size=4), st.integers(0, 3))
def test_a_damaged_body_is_rewritten_or_refused(at: int, damage: bytes, removed: int) -> None:
    with contextlib.suppress(SdpError):
        relayed(PLAIN[:at] + damage + PLAIN[at + removed :], "replace_origin", "remove_ice")


@given(st.sampled_from(NAMES))
def test_rewriting_with_what_is_there_changes_nothing(name: str) -> None:
    body = (GOLDEN / f"{name}.relayed").read_bytes()
    session = parse(body)
    endpoints: list[Endpoint | None] = [
        Endpoint(media.address, media.port, media.rtcp_port) if media.relayed and media.address else None
        for media in session.media
    ]
    assert rewrite(session, endpoints, replace_origin=".replace_origin" in name) == body
