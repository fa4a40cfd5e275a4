# SPDX-License-Identifier: Apache-2.0
"""Offers and answers (RFC 3264) on literal SDP."""

from __future__ import annotations

import contextlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sdp import SdpError
from media.session.negotiation import Ground, NoCodecError, agree, answer_to, family_of, offer_of
from media.sound.codec import G722, OPUS, PCMA, PCMU

OURS = (PCMU, PCMA, G722, OPUS)
GROUND = Ground(address=ip_address("192.0.2.1"), port=20000, codecs=OURS, session_id=42, version=0)
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
EVENTS = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"


def offer(*media: str) -> bytes:
    return (HEAD + "".join(media)).encode()


def answered(*media: str, ground: Ground = GROUND) -> list[str]:
    """The lines of our answer from the first m= line on."""
    lines = answer_to(offer(*media), ground)[0].decode().split("\r\n")
    return [line for line in lines[lines.index("t=0 0") + 1 :] if line]


def test_an_answer_names_one_codec_events_and_20_ms() -> None:
    body, agreement = answer_to(offer("m=audio 4000 RTP/AVP 8 0 101\r\n", EVENTS, "a=ptime:30\r\n"), GROUND)
    assert body.decode() == (
        "v=0\r\no=- 42 0 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
    assert (agreement.codec, agreement.payload_type, agreement.event_type) == (PCMU, 0, 101)
    assert (agreement.remote, agreement.remote_rtcp) == (("192.0.2.9", 4000), ("192.0.2.9", 4001))


@pytest.mark.parametrize(
    ("media", "codec", "payload_type", "event"),
    [
        ("m=audio 4000 RTP/AVP 8\r\n", PCMA, 8, (None, 8000)),
        ("m=audio 4000 RTP/AVP 18 9\r\n", G722, 9, (None, 8000)),
        ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n", OPUS, 96, (None, 48000)),
        ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 OPUS/48000/2\r\n", OPUS, 96, (None, 48000)),
        ("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 pcma/8000/1\r\n", PCMA, 97, (None, 8000)),
        (
            "m=audio 4000 RTP/AVP 96 101 102\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:102 telephone-event/48000\r\n"
            + EVENTS,
            OPUS,
            96,
            (102, 48000),
        ),
        (
            "m=audio 4000 RTP/AVP 96 101\r\na=rtpmap:96 opus/48000/2\r\n" + EVENTS,
            OPUS,
            96,
            (101, 8000),
        ),
    ],
)
def test_the_codec_is_the_first_of_ours_that_is_offered(
    media: str, codec: object, payload_type: int, event: tuple[int | None, int]
) -> None:
    _, agreement = answer_to(offer(media), GROUND)
    assert agreement.codec is codec
    assert agreement.payload_type == payload_type
    assert (agreement.event_type, agreement.event_clock_rate) == event


def test_our_order_of_codecs_decides() -> None:
    ground = Ground(address=GROUND.address, port=20000, codecs=(G722, PCMA), session_id=1, version=0)
    assert answer_to(offer("m=audio 4000 RTP/AVP 0 8 9\r\n"), ground)[1].codec is G722
    assert answer_to(offer("m=audio 4000 RTP/AVP 0 8\r\n"), ground)[1].codec is PCMA


@pytest.mark.parametrize(
    ("attribute", "ours", "sends", "receives"),
    [
        ("a=sendrecv", "a=sendrecv", True, True),
        ("a=sendonly", "a=recvonly", False, True),
        ("a=recvonly", "a=sendonly", True, False),
        ("a=inactive", "a=inactive", False, False),
        ("c=IN IP4 0.0.0.0", "a=inactive", False, False),
    ],
)
def test_hold_is_mirrored(attribute: str, ours: str, sends: bool, receives: bool) -> None:
    body, agreement = answer_to(offer("m=audio 4000 RTP/AVP 0\r\n", f"{attribute}\r\n"), GROUND)
    assert body.decode().split("\r\n")[-2] == ours
    assert (agreement.sends, agreement.receives) == (sends, receives)


def test_other_streams_are_refused_in_their_places() -> None:
    lines = answered(
        "m=video 5000 RTP/AVP 31 34\r\n",
        "m=audio 4002 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xyz\r\n",
        "m=audio 4000 RTP/AVP 8 0\r\n",
        "m=audio 4004 RTP/AVP 0\r\n",
        "m=image 6000 udptl t38\r\n",
    )
    assert [line for line in lines if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 31 34",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 20000 RTP/AVP 0",
        "m=audio 0 RTP/AVP 0",
        "m=image 0 udptl t38",
    ]


@pytest.mark.parametrize(
    ("media", "reason"),
    [
        ("m=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n", "none of the codecs"),
        ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/16000\r\n", "none of the codecs"),
        ("m=audio 4000 RTP/SAVP 0\r\n", "RTP/SAVP"),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n", "UDP/TLS/RTP/SAVPF"),
        ("m=audio 0 RTP/AVP 0\r\n", "no audio stream"),
        ("m=video 4000 RTP/AVP 31\r\n", "no audio stream"),
    ],
)
def test_what_cannot_be_taken_is_told_with_its_reason(media: str, reason: str) -> None:
    with pytest.raises(NoCodecError, match=reason):
        answer_to(offer(media), GROUND)


def test_a_body_that_is_no_sdp_is_refused() -> None:
    for body in (b"", b"hello", HEAD.encode()):
        with pytest.raises(SdpError):
            answer_to(body, GROUND)


def test_our_offer_names_all_codecs_and_both_clocks_of_events() -> None:
    assert offer_of(GROUND).decode().split("\r\n")[5:-1] == [
        "m=audio 20000 RTP/AVP 0 8 9 111 101 102",
        *("a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:9 G722/8000", "a=rtpmap:111 opus/48000/2"),
        *("a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"),
        *("a=rtpmap:102 telephone-event/48000", "a=fmtp:102 0-15"),
        *("a=ptime:20", "a=sendrecv"),
    ]


def test_the_first_codec_of_an_answer_is_spoken() -> None:
    agreement = agree(offer("m=audio 4000 RTP/AVP 8 0 101\r\n", EVENTS), OURS)
    assert (agreement.codec, agreement.event_type) == (PCMA, 101)
    with pytest.raises(NoCodecError):
        agree(offer("m=audio 0 RTP/AVP 0\r\n"), OURS)


def test_the_family_of_an_offer_is_that_of_its_audio() -> None:
    assert family_of(offer("m=audio 4000 RTP/AVP 0\r\n")) == 4
    assert family_of(offer("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::9\r\n")) == 6


def test_an_answer_in_ipv6_says_so() -> None:
    ground = Ground(address=ip_address("2001:db8::1"), port=20000, codecs=OURS, session_id=1, version=3)
    body, agreement = answer_to(offer("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::9\r\n"), ground)
    assert b"o=- 1 3 IN IP6 2001:db8::1\r\n" in body
    assert agreement.remote == ("2001:db8::9", 4000)


@given(st.lists(st.sampled_from([*HEAD.splitlines(), "m=audio 1 RTP/AVP 0 8", *EVENTS.splitlines(), "a=rtpmap:x"])))
def test_any_lines_are_answered_or_refused(lines: list[str]) -> None:
    body = "".join(f"{line}\r\n" for line in ["v=0", *lines]).encode()
    try:
        answer, _ = answer_to(body, GROUND)
    except (SdpError, NoCodecError):
        return
    assert agree(answer, OURS).codec is PCMU


# Own and foreign payload numbers (RFC 3264 section 5.1)


@pytest.mark.parametrize(
    ("media", "sends", "sounds", "events"),
    [
        ("m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n", (0, 96), {0}, {96, 101}),
        ("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 PCMU/8000\r\n", (97, None), {0, 97}, set()),
        ("m=audio 4000 RTP/AVP 97 0\r\na=rtpmap:97 PCMU/8000\r\n", (97, None), {0, 97}, set()),
        ("m=audio 4000 RTP/AVP 8 0\r\n", (8, None), {0, 8}, set()),
        ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n", (96, None), {96, 111}, set()),
        (
            "m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/48000\r\n",
            (96, 97),
            {96, 111},
            {97, 102},
        ),
        # what our numbers stand for counts before what theirs do
        ("m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMU/8000\r\n", (8, None), {0, 8}, set()),
        ("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 PCMU/8000\r\n", (101, None), {0}, set()),
    ],
)
def test_of_an_answer_both_sides_numbers_are_understood(
    media: str, sends: tuple[int, int | None], sounds: set[int], events: set[int]
) -> None:
    """Cases C4, C5."""
    agreement = agree(offer(media), OURS)
    assert (agreement.payload_type, agreement.event_type) == sends
    assert agreement.sounds.keys() == sounds
    assert agreement.events == events


def test_of_an_offer_the_static_number_is_understood_unless_it_stands_for_something_else() -> None:
    """Case C5, where the phone offers."""
    _, agreement = answer_to(offer("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 PCMU/8000\r\n"), GROUND)
    assert agreement.sounds == {97: PCMU, 0: PCMU}
    media = "m=audio 4000 RTP/AVP 97 0\r\na=rtpmap:97 PCMU/8000\r\na=rtpmap:0 G729/8000\r\n"
    assert answer_to(offer(media), GROUND)[1].sounds == {97: PCMU}


@pytest.mark.parametrize(
    "section",
    [
        "m=video 0 RTP/AVP 255",
        "m=image 0 udptl t38",
        "m=application 50000 TCP/BFCP *",
        "m=application 50000 UDP/BFCP *",
        "m=message 9 TCP/MSRP *",
        "m=video 0/2 RTP/AVP 31",
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_every_section_is_answered_whatever_its_port_or_protocol(section: str, first: bool) -> None:
    """Case C1."""
    media = ["m=audio 4000 RTP/AVP 0\r\n", f"{section}\r\n"]
    lines = [line for line in answered(*(media[::-1] if first else media)) if line.startswith("m=")]
    kind, _, rest = section.split(" ", 2)
    refused = f"{kind} 0 {rest}"
    assert lines == ([refused, "m=audio 20000 RTP/AVP 0"] if first else ["m=audio 20000 RTP/AVP 0", refused])


def test_of_several_ports_the_first_is_taken() -> None:
    """Case C3."""
    body, agreement = answer_to(offer("m=audio 40314/2 RTP/AVP 8\r\n"), GROUND)
    assert agreement.remote == ("192.0.2.9", 40314)
    assert b"m=audio 20000 RTP/AVP 8\r\n" in body


@pytest.mark.parametrize("number", ["9" * 4400, "1000", "\u0665" * 5, "1" * 3000])
@pytest.mark.parametrize("place", ["RTP/AVP 0 {}", "RTP/AVP {}", "RTP/AVP 0\r\na=rtpmap:{} PCMU/8000"])
def test_huge_numbers_are_refused_or_passed_over(number: str, place: str) -> None:
    """Case D5."""
    media = f"m=audio 4000 {place.format(number)}\r\n"
    with contextlib.suppress(SdpError, NoCodecError):
        assert answer_to(offer(media), GROUND)[1].codec is PCMU
    with contextlib.suppress(SdpError, NoCodecError):
        assert agree(offer(media), OURS).codec is PCMU
