# SPDX-License-Identifier: Apache-2.0
"""Messages: RFC 3261 sections 7, 8.1.1, 8.2.6, 18.3 and 20."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.message.address import NameAddr, Via
from switch.sip.message.errors import LocalProtocolError, ParseError
from switch.sip.message.message import Message, Request, Response, canonical_name
from switch.sip.message.parsing import parse_message
from switch.sip.message.validate import error_reply

OPTIONS = (
    b"OPTIONS sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    b"From: <sip:alice@example.com>;tag=a\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: 1@192.0.2.1\r\n"
    b"CSeq: 7 OPTIONS\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)
NAMES = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=10).map("X-".__add__)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=40).map(
    lambda text: text.strip(" \t")
)


def options(*lines: str, without: str | None = None) -> bytes:
    """An OPTIONS request with more lines, or fewer."""
    head = OPTIONS[:-4].decode().split("\r\n")
    kept = [line for line in head if without is None or not line.startswith(f"{without}:")]
    return ("\r\n".join([*kept, *lines]) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def parse_request(data: bytes) -> Request:
    """Parse what must be a request."""
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def refusal(data: bytes) -> ParseError:
    """The error of what must not parse."""
    with pytest.raises(ParseError) as caught:
        parse_message(data)
    return caught.value


# reading ----------------------------------------------------------------------------------------------------------
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.binary(max_size=60))
def test_header_lines_and_body_survive_the_round_trip(lines: list[tuple[str, str]], body: bytes) -> None:
    request = parse_request(OPTIONS)
    for name, value in lines:
        request.add(name, value)
    request.body = body
    again = parse_message(request.to_bytes())
    assert [line for line in again.headers if line[0] != "Content-Length"] == [
        line for line in request.headers if line[0] != "Content-Length"
    ]
    assert again.body == body
    assert parse_message(again.to_bytes()).to_bytes() == again.to_bytes()


@given(st.binary(max_size=40).filter(lambda data: not set(data) & set(b"\r\n\0")))
def test_bytes_that_are_no_utf8_survive(value: bytes) -> None:
    data = OPTIONS.replace(b"CSeq", b"Subject: x" + value + b"x\r\nCSeq")
    assert b"Subject: x" + value + b"x\r\n" in parse_message(data).to_bytes()


def test_names_are_read_in_any_case_and_in_compact_form() -> None:
    request = parse_request(options("sUBJECT: one", "k: timer", "x-ODD: two", "M: <sip:a@b>"))
    assert request.get("Subject") == request.get("subject") == "one"
    assert request.tokens("Supported") == {"timer"}
    assert request.get("X-Odd") == "two"
    assert request.all("x-odd") == ["two"]
    assert request.contact is not None
    assert canonical_name("f") == "From"
    assert canonical_name("WWW-AUTHENTICATE") == "WWW-Authenticate"


def test_a_folded_line_is_one_value() -> None:
    request = parse_request(options("Subject: one", "  two", "\tthree"))
    assert (request.get("Subject") or "").split() == ["one", "two", "three"]
    assert b"\r\n " not in request.to_bytes()


def test_line_ends_before_the_start_line_are_ignored() -> None:
    assert parse_request(b"\r\n\r\n" + OPTIONS).method == "OPTIONS"


@pytest.mark.parametrize(("length", "body"), [("3", b"abc"), ("0", b""), (None, b"abcdef")])
def test_a_datagram_ends_with_its_content_length_if_it_has_one(length: str | None, body: bytes) -> None:
    data = options(*([] if length is None else [f"l: {length}"]), without="Content-Length") + b"abcdef"
    assert parse_message(data).body == body


def test_lines_are_in_the_order_of_the_wire_and_lists_are_split() -> None:
    request = parse_request(options('Route: <sip:a;lr>, "x, y" <sip:b>', "Route: <sip:c>"))
    assert request.values("Route") == ["<sip:a;lr>", '"x, y" <sip:b>', "<sip:c>"]
    assert request.pop("Route") == "<sip:a;lr>"
    assert request.pop("Route") == '"x, y" <sip:b>'
    assert request.pop("Route") == "<sip:c>"
    assert request.pop("Route") is None


def test_a_star_is_no_contact() -> None:
    assert parse_request(options("Contact: *")).contact is None


# refusing ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_mandatory_header_field_is_missing(name: str) -> None:
    error = refusal(options(without=name))
    assert (error.status, error.reason) == (400, f"missing {name}")


@pytest.mark.parametrize(
    "line",
    [
        "From: <sip:x@y>;tag=2", "f: <sip:x@y>", "To: <sip:x@y>", "Call-ID: 2", "I: 2", "CSeq: 8 OPTIONS",
        "Content-Length: 1", "l: 00", "Subject", ": x", "Sub ject: x", "Subject\x0b: x", "Subject: a\rb",
        "Subject: a\nb", "Subject: a\x00b", "Subject: a\n", "Contact: <sip:a@b", "Contact: sip:a@b?x=y",
        "Contact: <sip:a b@c>", "Contact: <sip:%@c>", "Subject: a\r",
    ],
)  # fmt: skip
def test_a_malformed_or_repeated_line_is_answered_400(line: str) -> None:
    error = refusal(options(line))
    assert error.status == 400
    reply = error_reply(error)
    assert reply is not None
    assert (reply.status, reply.call_id, reply.cseq) == (400, "1@192.0.2.1", 7)
    assert reply.reason == f"Bad Request - {error.reason}"


def test_the_same_content_length_twice_is_forgiven() -> None:
    assert parse_message(options("Content-Length: 0")).body == b""


@pytest.mark.parametrize(
    "value",
    [
        "",
        "7",
        "OPTIONS",
        "x OPTIONS",
        "-1 OPTIONS",
        "4294967296 OPTIONS",
        "7 OPTIONS x",
        "٧ OPTIONS",
        "7 INVITE",
        "7 options",
    ],
)
def test_a_cseq_that_is_none(value: str) -> None:
    assert refusal(options(f"CSeq: {value}", without="CSeq")).status == 400


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "1 1", "0x10", "9" * 10, "٣", "+1", ""])
def test_a_content_length_that_is_none(value: str) -> None:
    assert refusal(options(f"Content-Length: {value}", without="Content-Length")).status == 400


@pytest.mark.parametrize(("value", "hops"), [("70", 70), ("0068", 68), ("0", 0), ("255", 255)])
def test_max_forwards(value: str, hops: int) -> None:
    assert parse_request(options(f"Max-Forwards: {value}")).max_forwards == hops


@pytest.mark.parametrize("value", ["256", "-1", "x", "", "00000300", "99999999999", "7 0"])
def test_max_forwards_that_is_none(value: str) -> None:
    with pytest.raises(ParseError):
        _ = parse_request(options(f"Max-Forwards: {value}")).max_forwards


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("OPTIONS sip:bob@example.com SIP/2.1", 505),
        ("OPTIONS sip:bob@example.com sip/2.0", 0),
        ("OPTIONS sip:bob@example.com", None),
        ("OPTIONS  sip:bob@example.com SIP/2.0", 400),
        ("OPTIONS sip:bob@example.com SIP/2.0 ", 400),
        ("OPTIONS sip:bob@example.com ſIP/2.0", 400),
        ("OPTIONS sip:bob@example.com SIP/２.0", 400),
        ("OP(TIONS sip:bob@example.com SIP/2.0", None),
        ("OPTIONS bob SIP/2.0", 400),
        (f"OPTIONS sip:{'b' * 2100}@example.com SIP/2.0", 414),
        ("SIP/2.0 999 Odd", None),
        ("SIP/2.0 20 Odd", None),
        ("GET / HTTP/1.1", None),
        ("", None),
    ],
)
def test_the_start_line(start: str, status: int | None) -> None:
    data = OPTIONS.replace(b"OPTIONS sip:bob@example.com SIP/2.0", start.encode())
    if status == 0:
        assert parse_request(data).method == "OPTIONS"
        return
    reply = error_reply(refusal(data))
    assert (None if reply is None else reply.status) == status


def test_a_start_line_does_not_fold() -> None:
    assert error_reply(refusal(OPTIONS.replace(b" SIP/2.0\r\n", b"\r\n SIP/2.0\r\n", 1))) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        OPTIONS[:-2],
        OPTIONS.replace(b"\r\n", b"\n"),
        options(*["X: y"] * 257),
        options(f"X: {'y' * 9000}"),
        options(f"X: {'y' * 70_000}"),
    ],
    ids=["empty", "ping", "endless", "bare LF", "many lines", "long line", "long message"],
)
def test_what_is_no_message_gets_no_answer(data: bytes) -> None:
    assert error_reply(refusal(data)) is None


def test_what_is_wrong_never_holds_what_was_sent() -> None:
    for line in ("Authorization Digest response=0123secret", 'Contact: "0123secret', "From: 0123secret"):
        assert "0123secret" not in str(refusal(options(line)))


# changing and writing ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", ["a\r\nVia: b", "a\nb", "a\rb", "a\r\n"])
def test_no_value_brings_a_line_end_with_it(value: str) -> None:
    request = parse_request(OPTIONS)
    for change in (request.add, request.set, request.push):
        with pytest.raises(LocalProtocolError):
            change("Subject", value)
    assert request.to_bytes() == OPTIONS
    smuggling: list[Message] = [
        Request("OPTIONS", f"sip:{value}", list(request.headers)),
        Request(f"OPTIONS {value}", "sip:x", list(request.headers)),
        Response(200, value, list(request.headers)),
        request.response(200, headers=[("Subject", value)]),
        Request("OPTIONS", "sip:x", [*request.headers, (value, "x")]),
        Request("OPTIONS", "sip:x", [*request.headers, ("To", str(NameAddr(value, "sip:x", {})))]),
    ]
    for message in smuggling:
        with pytest.raises(LocalProtocolError):
            message.to_bytes()


def test_changes_are_seen_by_the_next_reader() -> None:
    request = parse_request(OPTIONS)
    request.set("To", "<sip:carol@example.com>;tag=c")
    assert request.to_tag == "c"
    request.push("Via", "SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK2")
    assert request.via.branch == "z9hG4bK2"
    request.replace_via(Via("TCP", "192.0.2.2", 5061))
    assert request.values("Via") == ["SIP/2.0/TCP 192.0.2.2:5061", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"]
    request.remove("Via")
    assert request.get("Via") is None


def test_a_copy_changes_alone() -> None:
    request = parse_request(OPTIONS)
    request.copy().add("Subject", "x")
    assert request.get("Subject") is None


def test_content_length_is_that_of_the_body() -> None:
    request = parse_request(OPTIONS)
    request.body = "größer".encode()
    assert request.to_bytes().endswith("Content-Length: 8\r\n\r\ngrößer".encode())


# responses --------------------------------------------------------------------------------------------------------
def test_a_response_brings_back_what_the_request_brought() -> None:
    request = parse_request(options("v: SIP/2.0/UDP p;branch=z9hG4bK0", "Timestamp: 54", "Record-Route: <sip:p;lr>"))
    trying, ringing, failure = (request.response(status, to_tag="b") for status in (100, 180, 486))
    assert trying.values("Via") == request.values("Via")
    assert (trying.to_tag, ringing.to_tag, failure.to_tag) == (None, "b", "b")
    assert (trying.get("Timestamp"), ringing.get("Timestamp")) == ("54", None)
    assert [each.get("Record-Route") for each in (trying, ringing, failure)] == [None, "<sip:p;lr>", None]
    assert ringing.to_bytes().startswith(b"SIP/2.0 180 Ringing\r\n")


@pytest.mark.parametrize(
    ("to", "tag"),
    [
        ("<sip:b@c>", "new"),
        ("<sip:b@c;tag=uri>", "new"),
        ("sip:b@c;tag=old", "old"),
        ("<sip:b@c> ; TAG = old", "old"),
        ('"x;tag=no" <sip:b@c>', "new"),
        ('<sip:b@c>;x=">;tag=no"', "new"),
    ],
)
def test_a_response_gets_a_tag_where_the_request_has_none(to: str, tag: str) -> None:
    request = parse_request(options(f"To: {to}", without="To"))
    assert request.response(200, to_tag="new").to_tag == tag
