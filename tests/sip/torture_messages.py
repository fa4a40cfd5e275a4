# SPDX-License-Identifier: Apache-2.0
"""The messages of RFC 4475 and RFC 5118 as files, and what we answer to each."""

from __future__ import annotations

from pathlib import Path

from switch.sip.message.errors import ParseError
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from switch.sip.message.validate import error_reply, validate_request

TORTURE = Path(__file__).parent / "torture"
METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "MESSAGE")
EXTENSIONS = ("100rel", "timer")


def names(rfc: str) -> list[str]:
    """The messages of an RFC by the names that it gives them."""
    return sorted(path.stem for path in (TORTURE / rfc).glob("*.sip"))


def read(rfc: str, name: str) -> bytes:
    """One message, byte for byte."""
    return (TORTURE / rfc / f"{name}.sip").read_bytes()


def request(rfc: str, name: str) -> Request:
    """One message that is a request."""
    message = parse_message(read(rfc, name))
    assert isinstance(message, Request)
    return message


def response(rfc: str, name: str) -> Response:
    """One message that is a response."""
    message = parse_message(read(rfc, name))
    assert isinstance(message, Response)
    return message


def answer(data: bytes) -> Response | None:
    """What we answer to a datagram before anybody looks at whom it is for; None: it goes on, or is dropped."""
    try:
        message = parse_message(data)
    except ParseError as error:
        return error_reply(error)
    if isinstance(message, Response):
        return None
    return validate_request(message, methods=METHODS, extensions=EXTENSIONS)
