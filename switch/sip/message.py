# SPDX-License-Identifier: Apache-2.0
"""SIP requests and responses (RFC 3261 section 7).

A message is parsed once. What routing needs is parsed into values on first use and kept; all other header lines and
the body travel as they came. Text is UTF-8 with surrogate escapes, so that any byte survives a round trip.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Self

from switch.sip.address import NameAddr
from switch.sip.errors import ParseError
from switch.sip.grammar import TOKEN, is_token, split_list
from switch.sip.status import reason_phrase
from switch.sip.uri import Uri
from switch.sip.via import Via

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "HeaderLines",
    "Message",
    "Request",
    "Response",
    "canonical_name",
    "parse_message",
]

HeaderLines = list[tuple[str, str]]

MAX_MESSAGE_BYTES: Final = 65_535
MAX_HEADER_LINES: Final = 256

_COMPACT: Final = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition", "e": "Content-Encoding",
    "f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported", "l": "Content-Length", "m": "Contact",
    "n": "Identity-Info", "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
    "x": "Session-Expires", "y": "Identity",
}  # fmt: skip
_KNOWN: Final = (
    "Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Authentication-Info", "Authorization",
    "Call-Info", "Content-Disposition", "Content-Language", "CSeq", "Date", "Diversion", "Error-Info", "Expires",
    "Flow-Timer", "History-Info", "In-Reply-To", "Join", "Max-Forwards", "MIME-Version", "Min-Expires", "Min-SE",
    "Organization", "P-Asserted-Identity", "P-Preferred-Identity", "Path", "Priority", "Privacy", "Proxy-Authenticate",
    "Proxy-Authorization", "Proxy-Require", "RAck", "Reason", "Record-Route", "Remote-Party-ID", "Replaces", "Reply-To",
    "Require", "Retry-After", "Route", "RSeq", "Server", "Service-Route", "SIP-ETag", "SIP-If-Match",
    "Subscription-State", "Timestamp", "Unsupported", "User-Agent", "Warning", "WWW-Authenticate",
    *_COMPACT.values(),
)  # fmt: skip
_CANONICAL: Final = {
    **{name: name for name in _KNOWN},
    **{name.lower(): name for name in _KNOWN},
    **_COMPACT,
    **{compact.upper(): name for compact, name in _COMPACT.items()},
}


def canonical_name(name: str) -> str:
    """The usual spelling of a header name, compact forms expanded; unknown names stay as they are."""
    return _CANONICAL.get(name) or _CANONICAL.get(name.lower(), name)


class Message:
    """What requests and responses share: header lines in order, body, and the parsed routing headers."""

    __slots__ = (
        "_contact",
        "_cseq",
        "_first",
        "_from",
        "_to",
        "_via",
        "body",
        "headers",
    )

    headers: HeaderLines
    """(canonical name, value) in the order of the wire."""
    body: bytes

    def __init__(self, headers: HeaderLines, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self._changed()

    def _changed(self) -> None:
        self._first: dict[str, str] | None = None
        self._via: Via | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._cseq: tuple[int, str] | None = None
        self._contact: NameAddr | None = None

    # reading ------------------------------------------------------------------------------------------------------
    def get(self, name: str) -> str | None:
        """The first value of a header by its canonical name, or None."""
        if self._first is None:
            self._first = dict(reversed(self.headers))
        value = self._first.get(name)
        if value is None and name not in _CANONICAL:
            lower = name.lower()
            return next(
                (value for key, value in self.headers if key.lower() == lower), None
            )
        return value

    def all(self, name: str) -> list[str]:
        """Every line of a header, by its canonical name."""
        if name not in _CANONICAL:
            lower = name.lower()
            return [value for key, value in self.headers if key.lower() == lower]
        return [value for key, value in self.headers if key == name]

    def values(self, name: str) -> list[str]:
        """Every element of a comma-separated header, over all its lines."""
        return [item for line in self.all(name) for item in split_list(line)]

    def tokens(self, name: str) -> set[str]:
        """The elements of a header such as Supported or Require, in lower case."""
        return {value.lower() for value in self.values(name)}

    @property
    def via(self) -> Via:
        """The topmost Via."""
        if self._via is None:
            values = split_list(self._required("Via"))
            if not values:
                raise ParseError("empty Via")
            self._via = Via.parse(values[0])
        return self._via

    @property
    def from_(self) -> NameAddr:
        """The From address."""
        if self._from is None:
            self._from = NameAddr.parse(self._required("From"))
        return self._from

    @property
    def to(self) -> NameAddr:
        """The To address."""
        if self._to is None:
            self._to = NameAddr.parse(self._required("To"))
        return self._to

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self._required("Call-ID")

    @property
    def cseq(self) -> int:
        """The number of the CSeq header."""
        return self._parse_cseq()[0]

    @property
    def cseq_method(self) -> str:
        """The method of the CSeq header."""
        return self._parse_cseq()[1]

    @property
    def from_tag(self) -> str | None:
        """The tag of From."""
        return self.from_.tag

    @property
    def to_tag(self) -> str | None:
        """The tag of To."""
        return self.to.tag

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; None when there is none (or `*`)."""
        if self._contact is None:
            value = self.get("Contact")
            if not value or value.strip() == "*":
                return None
            self._contact = NameAddr.parse(split_list(value)[0])
        return self._contact

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case without parameters; empty without body type."""
        return (self.get("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def sdp(self) -> bytes | None:
        """The body when it is a session description."""
        return (
            self.body if self.body and self.content_type == "application/sdp" else None
        )

    def _required(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise ParseError(f"missing {name}")
        return value

    def _parse_cseq(self) -> tuple[int, str]:
        if self._cseq is None:
            number, _, method = self._required("CSeq").strip().partition(" ")
            method = method.strip()
            # RFC 3261 8.1.1.5: less than 2**31
            if (
                not (number.isascii() and number.isdigit() and method)
                or len(number) > 10
                or int(number) >= 2**31
            ):
                raise ParseError("malformed CSeq")
            self._cseq = (int(number), method)
        return self._cseq

    # changing -----------------------------------------------------------------------------------------------------
    def set(self, name: str, value: str) -> None:
        """Replace all lines of a header by one, in the place of the first."""
        for index, (key, _) in enumerate(self.headers):
            if key == name:
                self.headers[index] = (name, value)
                self.headers[index + 1 :] = [
                    line for line in self.headers[index + 1 :] if line[0] != name
                ]
                break
        else:
            self.headers.append((name, value))
        self._changed()

    def add(self, name: str, value: str) -> None:
        """Append a header line."""
        self.headers.append((name, value))
        self._changed()

    def push(self, name: str, value: str) -> None:
        """Put a header line before all others (Via, Record-Route, Path)."""
        self.headers.insert(0, (name, value))
        self._changed()

    def push_via(self, via: str) -> None:
        """Put a Via line before all others; everything parsed but the Via itself stays."""
        self.headers.insert(0, ("Via", via))
        self._first = None
        self._via = None

    def replace_via(self, via: Via) -> None:
        """Put `via` in the place of the topmost Via value; everything else parsed stays."""
        for index, (name, value) in enumerate(self.headers):
            if name == "Via":
                below = split_list(value)[1:] if "," in value else ()
                self.headers[index] = (name, ", ".join((str(via), *below)))
                break
        self._first = None
        self._via = via

    def pop(self, name: str) -> str | None:
        """Remove and return the first element of a comma-separated header (Via, Route)."""
        for index, (key, value) in enumerate(self.headers):
            if key == name:
                first, *rest = split_list(value) or [""]
                if rest:
                    self.headers[index] = (name, ", ".join(rest))
                else:
                    del self.headers[index]
                self._changed()
                return first
        return None

    def remove(self, name: str) -> None:
        """Remove every line of a header."""
        self.headers[:] = [line for line in self.headers if line[0] != name]
        self._changed()

    # writing ------------------------------------------------------------------------------------------------------
    def start_line(self) -> str:
        """The first line, without its end."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """The message for the wire; Content-Length is made anew."""
        lines = [self.start_line()]
        lines += [
            f"{name}: {value}"
            for name, value in self.headers
            if name != "Content-Length"
        ]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body

    def __repr__(self) -> str:
        return f"<{self.start_line()}>"


class Request(Message):
    """A SIP request."""

    __slots__ = ("method", "uri_text")

    def __init__(
        self, method: str, uri: str, headers: HeaderLines, body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri_text = uri

    def start_line(self) -> str:
        """Method, Request-URI and version."""
        return f"{self.method} {self.uri_text} SIP/2.0"

    @property
    def uri(self) -> Uri:
        """The parsed Request-URI; raises ParseError."""
        return Uri.parse(self.uri_text)

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards; None when missing; raises ParseError when it is no number up to 255."""
        value = self.get("Max-Forwards")
        if value is None:
            return None
        value = value.strip()
        if not (value.isascii() and value.isdigit()) or int(value[:4]) > 255:
            raise ParseError("malformed Max-Forwards")
        return int(value)

    def copy(self) -> Self:
        """A request with the same lines, which can be changed."""
        return type(self)(self.method, self.uri_text, list(self.headers), self.body)

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Response:
        """A response to this request (RFC 3261 section 8.2.6); `to_tag` goes in where To has no tag yet."""
        lines: HeaderLines = []
        for name, value in self.headers:
            if name in ("Via", "From", "Call-ID", "CSeq") or (
                name == "Timestamp" and status == 100
            ):
                lines.append((name, value))
            elif name == "To":
                lines.append(
                    (
                        name,
                        f"{value};tag={to_tag}"
                        if to_tag and status > 100 and not _has_tag(value)
                        else value,
                    )
                )
            elif name == "Record-Route" and 100 < status < 300:
                lines.append((name, value))
        lines += headers
        return Response(
            status, reason_phrase(status) if reason is None else reason, lines, body
        )


class Response(Message):
    """A SIP response."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str, headers: HeaderLines, body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    def start_line(self) -> str:
        """Version, status and reason phrase."""
        return f"SIP/2.0 {self.status} {self.reason}"

    def copy(self) -> Self:
        """A response with the same lines, which can be changed."""
        return type(self)(self.status, self.reason, list(self.headers), self.body)


def _has_tag(to: str) -> bool:
    _, bracket, tail = to.rpartition(">")
    return ";tag=" in (tail if bracket else to).replace(" ", "").lower()


# parsing ----------------------------------------------------------------------------------------------------------
_REQUEST_LINE: Final = re.compile(rf"({TOKEN}) ([^\s]+) (SIP/\d+\.\d+)", re.IGNORECASE)
_STATUS_LINE: Final = re.compile(r"(SIP/\d+\.\d+) ([1-6]\d\d)(?: (.*))?", re.IGNORECASE)
_FOLD: Final = re.compile(r"[ \t]*\r\n[ \t]+")


def parse_message(data: bytes) -> Request | Response:
    """Parse one whole message, as a datagram or a framed piece of a stream carries it.

    Raises ParseError with the status to answer; bytes past Content-Length are dropped (RFC 3261 section 18.3).
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise ParseError("message too large", 513)
    head, separator, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not separator:
        raise ParseError("no end of the header")
    text = head.decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    first, *lines = text.split("\r\n")
    if len(lines) > MAX_HEADER_LINES:
        raise ParseError("too many header lines", 513)
    message = _start(first, _header_lines(lines))
    message.body = _body(message, body)
    _check(message)
    return message


def _header_lines(lines: Sequence[str]) -> HeaderLines:
    headers: HeaderLines = []
    for line in lines:
        name, colon, value = line.partition(":")
        canonical = _CANONICAL.get(name)
        if canonical is None:
            name = name.rstrip(" \t")
            if not colon or not is_token(name):
                raise ParseError(f"malformed header line {line[:60]!r}")
            canonical = canonical_name(name)
        headers.append((canonical, value.strip(" \t")))
    return headers


def _start(line: str, headers: HeaderLines) -> Request | Response:
    match = _REQUEST_LINE.fullmatch(line)
    if match is not None:
        request = Request(match[1], match[2], headers)
        if match[3].upper() != "SIP/2.0":
            raise ParseError("unsupported version", 505, request)
        return request
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise ParseError(f"malformed start line {line[:60]!r}")
    response = Response(int(match[2]), match[3] or "", headers)
    if match[1].upper() != "SIP/2.0":
        raise ParseError("unsupported version", 505, response)
    return response


def _body(message: Message, rest: bytes) -> bytes:
    length = message.get("Content-Length")
    if length is None:
        return rest
    if not (length.isascii() and length.isdigit()) or len(length) > 9:
        raise ParseError("malformed Content-Length", 400, message)
    size = int(length)
    if size > len(rest):
        raise ParseError("body shorter than Content-Length", 400, message)
    return rest[:size]


def _check(message: Request | Response) -> None:
    """What every message must have (RFC 3261 section 8.1.1), parsed so that later reads cannot fail."""
    try:
        _ = message.via, message.from_, message.to, message.call_id
        if isinstance(message, Request) and message.cseq_method != message.method:
            raise ParseError("CSeq method differs from the request's")
    except ParseError as error:
        raise ParseError(error.reason, error.status, message) from None
