# SPDX-License-Identifier: Apache-2.0
"""Numbers in headers: huge ones and those that are none are read nowhere, and do harm nowhere."""

from __future__ import annotations

import pytest

from switch.calls.crossing import reason_lines, replied
from switch.sip.message.errors import ParseError
from switch.sip.message.framing import StreamFramer
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from switch.sip.message.reason import reason_cause
from switch.sip.message.validate import error_reply, validate_request
from switch.sip.session.timer import min_se, session_expires

ODD = ("²", "٣", "1²", "9" * 5_000, "1_0", "+1", "-1", "0x10", "1e3", "", " ", "१", "1 2", "\ufeff1", "½")
HEAD = (
    "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: <sip:b@c>\r\n"
    "From: <sip:a@c>;tag=1\r\nCall-ID: 1\r\nContact: <sip:a@a>\r\n"
)


def request(*lines: str, cseq: str = "1") -> Request:
    """An INVITE with these lines; raises ParseError."""
    text = HEAD + f"CSeq: {cseq} INVITE\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n"
    message = parse_message(text.encode())
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize("odd", ODD)
def test_what_must_be_a_number_and_is_none_is_refused(odd: str) -> None:
    """Case D4."""
    with pytest.raises(ParseError) as refused:
        request(cseq=odd)
    assert (reply := error_reply(refused.value)) is not None
    assert reply.status == 400
    with pytest.raises(ParseError):
        request(f"Content-Length: {odd}")
    with pytest.raises(ParseError):
        list(StreamFramer().feed(f"{HEAD}CSeq: 1 INVITE\r\nContent-Length: {odd}\r\n\r\n".encode()))
    with pytest.raises(ParseError):
        _ = request(f"Max-Forwards: {odd}").max_forwards
    refusal = validate_request(request(f"Max-Forwards: {odd}"), methods=("INVITE",), extensions=())
    assert refusal is not None
    assert refusal.status == 400


@pytest.mark.parametrize("odd", ODD)
def test_what_may_be_a_number_and_is_none_is_absent(odd: str) -> None:
    """Case D4."""
    lines = [("Session-Expires", odd), ("Min-SE", odd), ("Reason", f"Q.850;cause={odd}"), ("Retry-After", odd)]
    response = Response(200, "OK", lines)
    assert session_expires(response) is None
    assert min_se(response) == 90
    assert reason_cause(response.all("Reason")) is None
    assert [name for name, _ in replied(Response(503, "No", [*lines, ("Reason", "SIP;cause=503")]))[2]] == ["Reason"]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Q.850;cause=16", 16),
        ('Q.850 ; cause = 17 ;text="User busy"', 17),
        ('q.850;text="a;cause=5, Q.850;cause=6";cause=17', 17),
        ('SIP;cause=200;text="Call completed elsewhere", Q.850;cause=26', 26),
        ("Q.850;cause=016", 16),
        ("Q.850;cause=0", None),
        ("Q.850;cause=128", None),
        ("Q.850;cause", None),
        ("Q.850", None),
        ("SIP;cause=16", None),
        ('Q.850;text="unbalanced;cause=16', None),
        ("Q.850;text=<;cause=16", None),
        (";cause=16", None),
        ("", None),
        ("Q.850;cause=16;;;", None),
        ("Q.850;" + "a=1;" * 2_000 + "cause=²", None),
    ],
)
def test_one_reader_of_reasons(line: str, cause: int | None) -> None:
    """Case D4."""
    message = Response(487, "No", [("Reason", line)])
    assert reason_cause(message.all("Reason")) == cause


@pytest.mark.parametrize("odd", ["²", "9" * 5_000, '"'])
def test_a_reason_that_cannot_be_read_goes_no_further(odd: str) -> None:
    """Case D4: the other party's phone need not be better than ours."""
    message = Response(487, "No", [("Reason", f"Q.850;cause={odd}"), ("Reason", "SIP;cause=200")])
    assert reason_lines(message) == [("Reason", "SIP;cause=200")]
