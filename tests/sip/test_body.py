# SPDX-License-Identifier: Apache-2.0
"""Bodies: the session description wherever it is (RFC 5621), what came beside it, and no harm from any of it."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.message.body import Content, joined, read_content
from switch.sip.message.message import Request
from switch.sip.message.parsing import parse_message
from switch.sip.message.validate import validate_request

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
OTHER = SDP.replace(b"4000", b"5000")
LOCATION = b'<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf"/>'
ISUP = b"\x01\x00\x49\x00\x00\x03\x02\x00\x07\r\n--b"
MIXED = "multipart/mixed;boundary=b"


def part(body: bytes, *lines: str) -> bytes:
    """A part of a multipart."""
    return ("".join(f"{line}\r\n" for line in lines) + "\r\n").encode() + body


DESCRIBED = part(SDP, "Content-Type: application/sdp")
LOCATED = part(LOCATION, "Content-Type: application/pidf+xml", "Content-ID: <alice@192.0.2.1>")


def multi(*parts: bytes, boundary: bytes = b"b", end: bytes = b"\r\n") -> bytes:
    """Parts between delimiters."""
    lines = [b"--" + boundary + end + each for each in parts]
    return end.join([*lines, b"--" + boundary + b"--"]) + end


def read(body: bytes, content_type: str = MIXED, **lines: str) -> Content:
    """What a message with such a body holds."""
    headers = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in lines.items()}}
    return read_content(headers.get, body)


NESTED = part(multi(DESCRIBED, boundary=b"c"), 'Content-Type: multipart/alternative;boundary="c"')
SIGNATURE = part(b"\x30\x82", "Content-Type: application/pkcs7-signature", "Content-Disposition: x;handling=required")
LIST = part(b"<x/>", "Content-Type: application/resource-lists+xml", "Content-Disposition: recipient-list")
SIGNALLED = part(
    ISUP, "Content-Type: application/ISUP;version=itu-t92+", "Content-Disposition: signal;handling=optional"
)
TYPE = "Content-Type: application/sdp"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (SDP, "application/sdp"),
        (SDP, "Application/SDP ; charset=utf-8"),
        (SDP, "application / sdp"),
        (multi(DESCRIBED), MIXED),
        (multi(DESCRIBED, LOCATED), MIXED),
        (multi(LOCATED, DESCRIBED), MIXED),
        (multi(DESCRIBED), 'multipart/mixed;boundary="b"'),
        (multi(DESCRIBED), "Multipart/Mixed ; Boundary = b"),
        (multi(DESCRIBED), 'multipart/mixed; type="application/sdp; x"; boundary=b;'),
        (multi(DESCRIBED), "multipart/mixed;;charset=a,b;boundary=b;x"),
        (multi(DESCRIBED, boundary=b"a b:'c'"), "multipart/mixed;boundary=\"a b:'c'\""),
        (multi(DESCRIBED, boundary=b"=_=a/b?"), "multipart/mixed;boundary==_=a/b?"),
        (multi(DESCRIBED), "multipart/x-unheard-of;boundary=b"),
        (b"preamble\r\n--bother\r\n" + multi(DESCRIBED) + b"epilogue\r\n--b\r\n\r\nnothing", MIXED),
        (multi(DESCRIBED).replace(b"--b\r\n", b"--b \t\r\n"), MIXED),
        (multi(DESCRIBED).removesuffix(b"--b--\r\n"), MIXED),
        (multi(part(SDP, "c:application/sdp", "l: 1")), MIXED),
        (multi(part(SDP, "CONTENT-TYPE:\tapplication/sdp", "no header line")), MIXED),
        (multi(part(SDP, "Content-Type:", " application/sdp;", "\tcharset=utf-8")), MIXED),
        (multi(part(SDP, TYPE, "Content-Disposition: session; handling=required")), MIXED),
        (multi(part(SDP, TYPE, "Content-Disposition: session; handling=optional")), MIXED),
        (multi(part(SDP, TYPE, "Content-Disposition: render")), MIXED),
        (multi(part(OTHER, TYPE, "Content-Disposition: early-session"), DESCRIBED), MIXED),
        (multi(part(SDP, TYPE, "Content-Transfer-Encoding: 8bit", "Content-Encoding: identity")), MIXED),
        (multi(part(SDP, TYPE, "Content-Transfer-Encoding: binary")), MIXED),
        (multi(part(base64.encodebytes(SDP), TYPE, "Content-Transfer-Encoding: BASE64")), MIXED),
        (multi(part(SDP.replace(b"=", b"=3D"), TYPE, "Content-Transfer-Encoding: quoted-printable")), MIXED),
        (multi(SIGNALLED, DESCRIBED), MIXED),
        (multi(part(b"hello"), DESCRIBED), MIXED),
        (multi(LIST, DESCRIBED), MIXED),
        (multi(NESTED, LOCATED), MIXED),
        (multi(part(b"no sdp", "Content-Type: text/plain"), DESCRIBED), "multipart/alternative;boundary=b"),
        (multi(part(OTHER, TYPE), DESCRIBED), "multipart/alternative;boundary=b"),
        (multi(DESCRIBED, part(b"<x/>", "Content-Type: text/html")), "multipart/alternative;boundary=b"),
        (multi(DESCRIBED, part(OTHER, TYPE)), MIXED),
        (multi(part(OTHER, TYPE), part(SDP, TYPE, "Content-ID: <1@a>")), 'multipart/related;start="<1@a>";boundary=b'),
        (multi(DESCRIBED, SIGNATURE), 'multipart/signed;protocol="application/pkcs7-signature";boundary=b'),
    ],
)  # fmt: skip
def test_the_session_description_is_found_wherever_it_is(body: bytes, content_type: str) -> None:
    """Case D1."""
    content = read(body, content_type)
    assert content.description is not None
    assert content.description.rstrip() == SDP.rstrip()
    assert content.refusal is None


def test_lines_may_end_in_lf_only() -> None:
    """Case D1."""
    body = multi(LOCATED, DESCRIBED, end=b"\n").replace(b"\r\n", b"\n")
    content = read(body)
    assert content.description == SDP.replace(b"\r\n", b"\n")
    assert content.locations[0].body == LOCATION


def test_a_part_keeps_its_bytes() -> None:
    """What is no delimiter is content: the boundary with more behind it, line ends, zeros."""
    body = b"--bb\r\n\0\r\n\r\n--b-\r\n -- b\r\n"
    located = part(body, "Content-Type: application/pidf+xml")
    (location,) = read(multi(located, DESCRIBED)).locations
    assert location.body == body


@pytest.mark.parametrize(
    ("body", "content_type", "status", "header"),
    [
        (b"hello", "text/plain", 415, ("Accept", "application/sdp")),
        (b"hello", "", 415, ("Accept", "application/sdp")),
        (b"From: <im:a@b>\r\n\r\n", "message/cpim", 415, ("Accept", "application/sdp")),
        (multi(part(b"hello")), MIXED, 415, ("Accept", "application/sdp")),
        (multi(part(b"hello"), part(b"<x/>", "Content-Type: text/html")), "multipart/alternative;boundary=b", 415,
         ("Accept", "application/sdp")),
        (multi(DESCRIBED, SIGNALLED.replace(b"optional", b"required")),
         MIXED, 415, ("Accept", "application/sdp")),
        (multi(part(SDP, TYPE, "Content-Encoding: gzip")), MIXED, 415, ("Accept-Encoding", "identity")),
        (multi(part(SDP, TYPE, "Content-Transfer-Encoding: x-uu")), MIXED, 415, ("Accept", "application/sdp")),
        (multi(part(b"====", TYPE, "Content-Transfer-Encoding: base64")), MIXED, 415, ("Accept", "application/sdp")),
        (multi(DESCRIBED), "multipart/mixed", 400, None),
        (multi(DESCRIBED), "multipart/mixed;boundary=", 400, None),
        (multi(DESCRIBED), 'multipart/mixed;boundary=""', 400, None),
        (multi(DESCRIBED), "multipart/mixed;boundary=" + "b" * 201, 400, None),
        (multi(DESCRIBED), "multipart/mixed;boundary=another", 400, None),
        (b"--b--\r\n", MIXED, 400, None),
        (multi(*[DESCRIBED] * 33), MIXED, 413, None),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(
    body: bytes, content_type: str, status: int, header: tuple[str, str] | None
) -> None:
    """Case D1."""
    content = read(body, content_type)
    assert content.refusal is not None
    assert (content.refusal.status, content.refusal.headers) == (status, (header,) if header else ())
    assert read(body, content_type, Content_Disposition="x;handling=optional").refusal is None


def test_parts_in_parts_have_a_bound() -> None:
    body, content_type = SDP, "application/sdp"
    for depth in range(7):
        content = read(body, content_type)
        assert (content.description is not None) == (depth <= 4)
        assert content.refusal is None if depth <= 4 else content.refusal is not None and content.refusal.status == 413
        name = f"c{depth}"
        body = multi(part(body, f"Content-Type: {content_type}"), boundary=name.encode())
        content_type = f"multipart/mixed;boundary={name}"


def test_an_offer_beside_a_location_is_no_offer_less_location() -> None:
    content = read(multi(LOCATED))
    assert content.description is None
    assert content.refusal is None
    assert read(LOCATION, "application/pidf+xml").locations[0].body == LOCATION


def test_what_is_joined_is_found_again() -> None:
    locations = read(multi(LOCATED, DESCRIBED)).locations
    content_type, body = joined(SDP, locations)
    content = read(body, content_type)
    assert content.description == SDP
    assert content.locations == locations
    assert content.locations[0].get("Content-ID") == "<alice@192.0.2.1>"


def test_no_line_end_is_smuggled_into_a_part_that_goes_on() -> None:
    located = part(LOCATION, "Content-Type: application/pidf+xml", "Content-ID: <a>\rX-Evil: 1")
    content_type, body = joined(SDP, read(multi(located)).locations)
    assert b"Evil" not in body
    assert read(body, content_type).locations[0].body == LOCATION


INVITE = (
    "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nTo: <sip:b@c>\r\n"
    "From: <sip:a@c>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:a@a>\r\n"
)


def test_a_message_knows_its_description_after_its_body_has_changed() -> None:
    message = parse_message(f"{INVITE}c:multipart/mixed;\r\n boundary=b\r\n\r\n".encode() + multi(LOCATED, DESCRIBED))
    assert isinstance(message, Request)
    assert message.sdp == SDP
    assert message.copy().sdp == SDP
    assert validate_request(message, methods=("INVITE",), extensions=()) is None
    message.describe(OTHER)
    assert message.sdp == OTHER
    assert parse_message(message.to_bytes()).sdp == OTHER
    message.body = b""
    assert message.sdp is None


@given(
    st.lists(st.sampled_from([
        b"--b", b"--b--", b"\r\n", b"\n", b"\r", b"--", b"b", b" ", b"\0", b"\xff", b"Content-Type:",
        b"application/sdp", b"multipart/mixed;boundary=b",
        b"multipart/alternative;boundary=", b"c:", b";handling=required", b"=", b'"',
        b"Content-Transfer-Encoding: base64\r\n", b"Content-Disposition: session", b"v=0", b"\r\n\r\n",
    ])).map(b"".join),
    st.sampled_from([MIXED, "multipart/alternative;boundary=b", 'multipart/related;start="', "application/sdp;x"]),
)  # fmt: skip
def test_no_body_does_harm(body: bytes, content_type: str) -> None:
    content = read(body, content_type)
    assert content.refusal is None or content.refusal.status in (400, 413, 415)
    assert content.description is None or content.refusal is None or content.refusal.status == 415
    if content.description is not None:
        assert len(content.description) <= len(body)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--b\n" * 16_000, MIXED),
        (b"\n--b" + b" " * 65_000, MIXED),
        (b"--b" * 21_000, MIXED),
        (multi(part(SDP, *[f"X-{number}: 1" for number in range(5_000)])), MIXED),
        (multi(part(SDP, *[" folded"] * 7_000)), MIXED),
        (multi(DESCRIBED), "multipart/mixed" + ';a="\\"' * 1_300),
        (multi(DESCRIBED), "multipart/mixed;" + "a=" * 4_000),
    ],
)
def test_the_worst_body_takes_milliseconds(body: bytes, content_type: str) -> None:
    began = time.process_time()
    read(body, content_type)
    assert time.process_time() - began < 0.2
