# SPDX-License-Identifier: Apache-2.0
"""Session descriptions: RFC 8866, RFC 3264."""

from __future__ import annotations

import pytest

from switch.sip import sdp
from switch.sip.errors import ParseError

SESSION = "v=0\r\no=- 20518 3 IN IP4 192.0.2.1\r\ns=-\r\n"
CONNECTION = "c=IN IP4 192.0.2.1\r\n"
TIME = "t=0 0\r\n"


def describe(*lines: str, connection: str = CONNECTION) -> sdp.SessionDescription:
    """A description with these lines at its end."""
    return sdp.parse((SESSION + connection + TIME + "".join(f"{line}\r\n" for line in lines)).encode())


def test_parts() -> None:
    description = describe(
        "a=sendonly", "a=group:BUNDLE 0", "m=audio 49170/2 RTP/AVP 0 8 97", "c=IN IP4 233.252.0.1/127",
        "a=rtpmap:97 opus/48000/2",
        "a=fmtp:97 useinbandfec=1", "a=recvonly", "m=image 0 udptl t38", "m=video 51372 RTP/SAVPF 31",
    )  # fmt: skip
    assert description.origin == sdp.Origin("-", 20518, 3, "192.0.2.1")
    assert (description.connection, description.direction) == ("192.0.2.1", "sendonly")
    assert description.attributes == (("sendonly", ""), ("group", "BUNDLE 0"))
    audio, image, video = description.medias
    assert (audio.kind, audio.port, audio.proto, audio.formats) == ("audio", 49170, "RTP/AVP", ("0", "8", "97"))
    assert (audio.direction, audio.connection) == ("recvonly", "233.252.0.1")
    assert (image.kind, image.port, image.proto, image.formats) == ("image", 0, "udptl", ("t38",))
    assert (video.direction, video.connection) == ("sendonly", "192.0.2.1")


def test_codecs_in_the_order_of_preference() -> None:
    (media,) = describe(
        "m=audio 4 RTP/AVP 9 97 0 101 10 96 telephone 200", "a=rtpmap:97 opus/48000/2", "a=fmtp:97 useinbandfec=1",
        "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=rtpmap:0 pcmu/8000", "a=rtpmap:x y/1",
    ).medias  # fmt: skip
    assert sdp.codecs(media) == (
        sdp.Codec(9, "G722", 8000),
        sdp.Codec(97, "opus", 48000, 2, "useinbandfec=1"),
        sdp.Codec(0, "pcmu", 8000),
        sdp.Codec(101, "telephone-event", 8000, parameters="0-16"),
        sdp.Codec(10, "L16", 44100, 2),
    )


@pytest.mark.parametrize("rtpmap", ["PCMU", "PCMU/", "/8000", "PCMU/8k", "PCMU/8000/1/1", "PCMU/" + "8" * 10, ""])
def test_an_rtpmap_that_says_nothing_leaves_the_format_out(rtpmap: str) -> None:
    (media,) = describe("m=audio 4 RTP/AVP 0", f"a=rtpmap:0 {rtpmap}").medias
    assert sdp.codecs(media) == ()


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        (["m=audio 4 RTP/AVP 0"], False),
        (["m=audio 4 RTP/AVP 0", "a=sendrecv"], False),
        (["m=audio 4 RTP/AVP 0", "a=recvonly"], False),
        (["m=audio 4 RTP/AVP 0", "a=sendonly"], True),
        (["m=audio 4 RTP/AVP 0", "a=inactive"], True),
        (["a=inactive", "m=audio 4 RTP/AVP 0"], True),
        (["a=inactive", "m=audio 4 RTP/AVP 0", "a=sendrecv"], False),
        (["m=audio 4 RTP/AVP 0", "c=IN IP4 0.0.0.0"], True),
        (["m=audio 4 RTP/AVP 0", "c=IN IP6 ::"], True),
        (["m=audio 4 RTP/AVP 0", "c=IN IP4 host.invalid"], False),
        (["m=audio 0 RTP/AVP 0", "a=inactive"], False),
        (["m=audio 4 RTP/AVP 0", "a=inactive", "m=audio 6 RTP/AVP 0"], False),
        (["m=audio 4 RTP/AVP 0", "a=inactive", "m=video 6 RTP/AVP 31"], True),
        ([], False),
    ],
)
def test_hold(lines: list[str], held: bool) -> None:
    assert sdp.is_hold(describe(*lines)) is held


def test_lines_may_end_with_lf_alone_and_in_latin_1() -> None:
    body = (SESSION + CONNECTION + TIME).replace("\r\n", "\n").encode() + b"i=caf\xe9\nm=audio 4 RTP/AVP 0\n"
    assert sdp.parse(body).medias[0].port == 4


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("hello", 400),
        ("o=- 1 1 IN IP4 h\r\n", 400),
        (SESSION.replace("v=0", "v=1"), 488),
        ("v=0\r\ns=-\r\n", 400),
        (SESSION + "o=- 1 1 IN IP4 h\r\n", 400),
        (SESSION.replace("20518", "x"), 400),
        (SESSION.replace("20518", "9" * 21), 400),
        (SESSION.replace("IN IP4 ", "IN "), 400),
        (SESSION + "c=IN IP4\r\n", 400),
        (SESSION + "c=IN IP5 h\r\n", 400),
        (SESSION + "c=IN IP4 h\r\nm=audio x RTP/AVP 0\r\n", 400),
        (SESSION + "c=IN IP4 h\r\nm=audio 65536 RTP/AVP 0\r\n", 400),
        (SESSION + "c=IN IP4 h\r\nm=audio 4 RTP/AVP\r\n", 400),
        (SESSION + "c=IN IP4 h\r\nm =audio 4 RTP/AVP 0\r\n", 400),
        (SESSION + "a=x\0y\r\n", 400),
        (SESSION + "a=x\ry\r\n", 400),
        (SESSION + "m=audio 4 RTP/AVP 0\r\n", 488),
        (SESSION + "c=IN IP4 h\r\n" + "m=audio 4 RTP/AVP 0\r\n" * 65, 488),
    ],
)
def test_refuses(body: str, status: int) -> None:
    with pytest.raises(ParseError) as caught:
        sdp.parse(body.encode())
    assert caught.value.status == status


def test_a_refused_stream_needs_no_address() -> None:
    assert describe("m=audio 0 RTP/AVP 0", connection="").medias[0].connection is None
