# SPDX-License-Identifier: Apache-2.0
"""The form in which m= lines reach a media relay."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media.sdp import SdpError, parse
from switch.relay.media_lines import normal_form


@pytest.mark.parametrize(
    ("line", "normal"),
    [
        ("m=audio 5000 RTP/AVP 8 101", "m=audio 5000 RTP/AVP 8 101"),
        ("m=audio  5000   RTP/AVP 8  101 ", "m=audio 5000 RTP/AVP 8 101"),
        ("m=audio 5000/2 RTP/AVP 8", "m=audio 5000 RTP/AVP 8"),
        ("m=audio 5000/0 RTP/AVP 8", "m=audio 5000/0 RTP/AVP 8"),
        ("m=audio 5000/x RTP/AVP 8", "m=audio 5000/x RTP/AVP 8"),
        ("m=video 0 RTP/AVP 255", "m=video 0 RTP/AVP 0"),
        ("m=video 0 RTP/AVP 31 255", "m=video 0 RTP/AVP 31"),
        ("m=video 0 udp/tls/rtp/savpf 128", "m=video 0 udp/tls/rtp/savpf 0"),
        ("m=video 0 RTP/AVP", "m=video 0 RTP/AVP 0"),
        ("m=video 0/2 RTP/AVP 31", "m=video 0 RTP/AVP 31"),
        ("m=audio 5000 RTP/AVP 8 200", "m=audio 5000 RTP/AVP 8"),
        ("m=audio 5000 RTP/AVP 8 1000", "m=audio 5000 RTP/AVP 8 1000"),
        ("m=image 0 udptl t38", "m=image 0 udptl t38"),
        ("m=application 9 TCP/BFCP *", "m=application 9 TCP/BFCP *"),
        ("m=audio 5000", "m=audio 5000"),
        ("m=", "m="),
        ("a=m=audio  5000", "a=m=audio  5000"),
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n", ""])
def test_a_media_line_has_one_form(line: str, normal: str, end: str) -> None:
    before = "v=0\r\nc=IN IP4 192.0.2.1\r\n"
    assert normal_form(f"{before}{line}{end}".encode()) == f"{before}{normal}{end}".encode()


@pytest.mark.parametrize("line", [b"m=audio\t5000 RTP/AVP 8", b"m=audio 5000 RTP/AVP 8\0", b"m=a 1 RTP/AVP 8\x0b9"])
def test_what_could_be_read_in_two_ways_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="control character"):
        normal_form(b"v=0\r\n" + line + b"\r\n")


def test_a_section_that_nobody_could_take_is_a_refused_one() -> None:
    audio = b"v=0\r\nm=audio 5000 RTP/AVP 8\r\n"
    for line in (b"m=video 5002 RTP/AVP 200", b"m=video 5002 RTP/AVP", b"m=video 5002/2 RTP/AVP x *"):
        assert normal_form(audio + line + b"\r\n") == audio + b"m=video 0 RTP/AVP 0\r\n"
        with pytest.raises(ValueError, match="no payload type"):
            normal_form(b"v=0\r\n" + line + b"\r\nm=video 0 RTP/AVP 31\r\n")


def test_a_description_that_ends_every_section_passes() -> None:
    """Case C1: that is how a re-INVITE ends them (RFC 3264 section 8.2)."""
    assert normal_form(b"v=0\nm=audio 0 RTP/AVP 255\n") == b"v=0\nm=audio 0 RTP/AVP 0\n"


WORDS = st.sampled_from(["0", "5000", "5000/2", "RTP/AVP", "udptl", "8", "255", "x", "*", "", "\t", "99999"])


@given(st.lists(st.lists(WORDS, max_size=6).map(" ".join).map("m=audio ".__add__), max_size=4).map("\r\n".join))
@example("m=audio 0 0\r\nm=audio 0 RTP/AVP 5000/2")
def test_the_normal_form_is_its_own_and_means_the_same(text: str) -> None:
    body = f"v=0\r\nc=IN IP4 192.0.2.1\r\n{text}\r\n".encode()
    with suppress(ValueError):
        normal = normal_form(body)
        assert normal_form(normal) == normal
        with suppress(SdpError):
            meant = [(media.kind, media.protocol) for media in parse(body).media]
            found = parse(normal).media
            assert [(media.kind, media.protocol) for media in found] == meant
            assert all(media.payload_types for media in found if media.is_rtp)
