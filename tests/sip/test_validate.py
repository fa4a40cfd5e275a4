# SPDX-License-Identifier: Apache-2.0
"""Requests that are refused before anybody looks at whom they are for: RFC 3261 sections 8.2.1 to 8.2.3 and 16.3."""

from __future__ import annotations

import pytest

from switch.sip.message.errors import ParseError
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from switch.sip.message.validate import error_reply, is_misrouted, validate_request
from tests.sip.test_message import OPTIONS, options

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "INFO")


def make(
    method: str = "INVITE", uri: str = "sip:bob@example.com", *lines: str, body: bytes = b"", to: str = "<sip:b@c>"
) -> Request:
    """A request with some more lines."""
    head = options(*lines, without="To").decode()
    head = head.replace("OPTIONS sip:bob@example.com", f"{method} {uri}", 1).replace("7 OPTIONS", f"7 {method}")
    head = head.replace("Content-Length: 0", f"To: {to}\r\nContent-Length: {len(body)}")
    message = parse_message(head.encode() + body)
    assert isinstance(message, Request)
    return message


def check(request: Request) -> Response | None:
    """As the switch does it."""
    return validate_request(request, methods=METHODS, extensions=("100rel", "timer"))


def refused(request: Request) -> Response:
    """What must be refused, and how."""
    refusal = check(request)
    assert refusal is not None
    return refusal


@pytest.mark.parametrize(
    "request_",
    [
        make(),
        make("ACK", "urn:x:y", "Require: nothing", "Max-Forwards: 0"),
        make("INVITE", "tel:+420700"),
        make("INVITE", "sips:bob@example.com", "Max-Forwards: 1"),
        make("INVITE", "sip:b@c", "Require: 100Rel, timer", "Supported: unheard-of"),
        make("INVITE", "urn:service:sos"),
        make("INVITE", "urn:service:sos.police"),
        make("CANCEL", "sip:b@c", "Require: nothing", "Max-Forwards: 0"),
        make("REGISTER", "sip:example.com", "Max-Forwards: 0"),
        make("OPTIONS", "sip:example.com", "Max-Forwards: 0"),
        make("BYE", "sip:b@c", "Max-Forwards: 0", to="<sip:b@c>;tag=1"),
        make("INVITE", "sip:b@c", "c: application/SDP ; x=y", body=b"v=0\r\n"),
        make("INVITE", "sip:b@c", "c: text/plain", "Content-Disposition: render; handling=optional", body=b"hello"),
        make("INFO", "sip:b@c", "c: application/dtmf-relay", body=b"Signal=1\r\n"),
        make("INVITE", "sip:b@c", "Accept: application/sdp;level=1, text/plain"),
        make("INVITE", "sip:b@c", "Accept: */*"),
        make("OPTIONS", "sip:b@c", "Accept: text/plain"),
        make("INVITE", "sip:b@c", "c: application/sdp", "e: identity", body=b"v=0\r\n"),
    ],
    ids=repr,
)
def test_goes_on(request_: Request) -> None:
    assert check(request_) is None


@pytest.mark.parametrize(
    ("request_", "status", "header"),
    [
        (make("PUBLISH"), 405, ("Allow", ", ".join(METHODS))),
        (make("FETCH"), 501, ("Allow", ", ".join(METHODS))),
        (make("INVITE", "urn:service:counseling"), 416, None),
        (make("INVITE", "sip:b@c", "Max-Forwards: 0"), 483, None),
        (make("OPTIONS", "sip:b@c", "Max-Forwards: 0"), 483, None),
        (make("INVITE", "sip:b@c", "Max-Forwards: 256"), 400, None),
        (make("INVITE", "sip:b@c", "Require: timer, Odd, even"), 420, ("Unsupported", "Odd, even")),
        (make("INVITE", "sip:b@c", "Proxy-Require: privacy"), 420, ("Unsupported", "privacy")),
        (make("INVITE", "sip:b@c", 'Require: "odd,'), 400, None),
        (make("INVITE", "sip:b@c", "c: text/plain", body=b"hello"), 415, ("Accept", "application/sdp")),
        (make("INVITE", "sip:b@c", body=b"hello"), 415, ("Accept", "application/sdp")),
        (make("INVITE", "sip:b@c", "c: application/sdp", "e: gzip", body=b"x"), 415, ("Accept-Encoding", "identity")),
        (make("INVITE", "sip:b@c", "Accept: text/plain"), 406, ("Accept", "application/sdp")),
        (make("INVITE", "sip:b@c", "Accept:"), 406, ("Accept", "application/sdp")),
    ],
    ids=repr,
)
def test_is_refused(request_: Request, status: int, header: tuple[str, str] | None) -> None:
    refusal = refused(request_)
    assert refusal.status == status
    assert header is None or header in refusal.headers
    again = parse_message(refusal.to_bytes())
    assert again.to_tag
    assert again.via == request_.via


def test_the_same_request_gets_the_same_tag() -> None:
    one, other = refused(make("FETCH")), refused(make("FETCH"))
    assert one.to_tag == other.to_tag
    assert refused(make("FETCH", "sip:b@c", "v: SIP/2.0/UDP x;branch=z9hG4bK0")).to_tag == one.to_tag
    different = make("FETCH")
    different.set("Call-ID", "2")
    assert refused(different).to_tag != one.to_tag


def test_an_ack_and_a_response_are_never_answered() -> None:
    for data in (
        OPTIONS.replace(b"OPTIONS", b"ACK").replace(b"<sip:alice", b"<sip:%"),
        OPTIONS.replace(b"OPTIONS sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK").replace(b"7 OPT", b"x OPT"),
        OPTIONS.replace(b"Via", b"X").replace(b"7 OPT", b"x OPT"),
    ):
        with pytest.raises(ParseError) as caught:
            parse_message(data)
        assert error_reply(caught.value) is None
    assert error_reply(ParseError("no message at all")) is None


def test_a_cancel_that_cannot_be_parsed_is_answered() -> None:
    with pytest.raises(ParseError) as caught:
        parse_message(OPTIONS.replace(b"OPTIONS", b"CANCEL").replace(b"<sip:alice", b"<sip:%"))
    reply = error_reply(caught.value)
    assert reply is not None
    assert (reply.status, reply.cseq_method) == (400, "CANCEL")


@pytest.mark.parametrize(("vias", "misrouted"), [("SIP/2.0/UDP a", False), ("SIP/2.0/UDP a, SIP/2.0/UDP b", True)])
def test_a_response_has_one_via(vias: str, misrouted: bool) -> None:
    response = make().response(200)
    response.set("Via", vias)
    assert is_misrouted(response) is misrouted
