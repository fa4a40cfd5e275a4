# SPDX-License-Identifier: Apache-2.0
"""From bytes to a message: the start line, the length of the body, and the checks that every message must stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from switch.sip.message.address import NameAddr, Via
from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import TOKEN, is_token, whole_number
from switch.sip.message.message import Request, Response, first_element
from switch.sip.message.wire import split_message

if TYPE_CHECKING:
    from switch.sip.message.message import Message
    from switch.sip.message.wire import HeaderLines

__all__ = ["BadMessageError", "parse_message"]

MAX_URI_CHARACTERS: Final = 2_048

# RFC 3261 7.3.1: header fields that are no list must not be repeated; the ones whose meaning would be in doubt
_SINGLE: Final = frozenset(("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type"))

_REQUEST_LINE: Final = re.compile(rf"({TOKEN}) ([^ \t]+) (SIP/[0-9]+\.[0-9]+)", re.IGNORECASE | re.ASCII)
_STATUS_LINE: Final = re.compile(r"(SIP/[0-9]+\.[0-9]+) ([1-6][0-9]{2})(?: (.*))?", re.IGNORECASE | re.ASCII)


class BadMessageError(ParseError):
    """A message that cannot be taken, or may not; `validate.error_reply` answers it where that is due."""

    def __init__(self, reason: str, status: int, message: Message | None) -> None:
        super().__init__(reason, status)
        self.message = message
        """What could be read, as soon as there is a start line."""


def parse_message(data: bytes) -> Request | Response:
    """Parse one whole message, as a datagram or a framed piece of a stream carries it.

    Raises ParseError with the status to answer, BadMessageError as soon as there is something to answer; bytes past
    Content-Length are dropped (RFC 3261 section 18.3). The mandatory header fields, Contact and the URIs in them have
    been parsed when it returns: reading them cannot fail.
    """
    start, headers, flaw, body = split_message(data)
    message = _start(start, headers)
    try:
        if flaw is not None:
            raise ParseError(flaw)
        _check(message)
        message.body = _body(message, body)
    except ParseError as error:
        raise BadMessageError(error.reason, error.status, message) from None
    return message


def _start(line: str, headers: HeaderLines) -> Request | Response:
    match = _REQUEST_LINE.fullmatch(line)
    if match is not None:
        request = Request(match[1], match[2], headers)
        if match[3].upper() != "SIP/2.0":
            raise BadMessageError("unsupported version", 505, request)
        if len(match[2]) > MAX_URI_CHARACTERS:
            raise BadMessageError("Request-URI too long", 414, request)
        return request
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessageError("malformed start line", 400, _intended_request(line, headers))
    response = Response(int(match[2]), match[3] or "", headers)
    if match[1].upper() != "SIP/2.0":
        raise BadMessageError("unsupported version", 505, response)
    return response


def _intended_request(line: str, headers: HeaderLines) -> Request | None:
    """The request that a malformed line was meant to start, so that it can be answered."""
    words = line.split()
    if len(words) < 3 or not is_token(words[0]) or not words[-1].upper().startswith("SIP/"):
        return None
    return Request(words[0], " ".join(words[1:-1]), headers)


def _body(message: Message, rest: bytes) -> bytes:
    length = message.get("Content-Length")
    if length is None:
        return rest
    size = whole_number(length, 9)
    if size is None:
        raise ParseError("malformed Content-Length")
    if size > len(rest):
        raise ParseError("body shorter than Content-Length")
    return rest[:size]


def _check(message: Request | Response) -> None:
    """What every message must have (RFC 3261 section 8.1.1), parsed so that later reads cannot fail."""
    first = dict(reversed(message.headers))
    try:
        via = Via.parse(first_element(first[part := "Via"]))
        from_ = NameAddr.parse(first[part := "From"])
        _ = from_.uri
        to = NameAddr.parse(first[part := "To"])
        _ = to.uri
        _ = first[part := "Call-ID"]
        _ = first[part := "CSeq"]
        message.keep_parsed(first, via, from_, to)
        method = message.cseq_method
        if isinstance(message, Request):
            part = "Contact"  # of a response it is the dialog's affair: an answer must not be lost for it
            if part in first and (contact := message.contact) is not None:
                _ = contact.uri
            part = "Request-URI"
            _check_request_line(message, method)
        part = "header"
        if len(first) != len(message.headers):
            _check_repeated(message.headers)
    except KeyError:
        raise ParseError(f"missing {part}") from None
    except ParseError as error:
        raise ParseError(f"{part}: {error.reason}", error.status) from None


def _check_request_line(request: Request, cseq_method: str) -> None:
    if request.uri.headers:
        # RFC 3261 19.1.1, table 1
        raise ParseError("headers in it")
    if cseq_method != request.method:
        raise ParseError("method differs from that of CSeq")


def _check_repeated(headers: HeaderLines) -> None:
    seen: dict[str, str] = {}
    for name, value in headers:
        if name in _SINGLE and name in seen:
            raise ParseError(f"repeated {name}")
        if name == "Content-Length" and seen.get(name, value) != value:
            raise ParseError("differing Content-Length")
        seen[name] = value
