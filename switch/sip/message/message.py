# SPDX-License-Identifier: Apache-2.0
"""SIP requests and responses (RFC 3261 section 7).

A message is parsed once. What routing needs is parsed into values on first use and kept; all other header lines and
the body travel as they came. Text is UTF-8 with surrogate escapes, so that any byte survives a round trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from switch.sip.message.address import NameAddr, Via
from switch.sip.message.body import DESCRIPTION, media_type, read_content
from switch.sip.message.errors import LocalProtocolError, ParseError
from switch.sip.message.grammar import split_list, whole_number
from switch.sip.message.reason import reason_phrase
from switch.sip.message.uri import Uri
from switch.sip.message.wire import CANONICAL, KNOWN, HeaderLines, canonical_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from switch.sip.message.body import Content

__all__ = ["HeaderLines", "Message", "Request", "Response", "canonical_name", "first_element"]

# RFC 3261 8.2.6.2, besides To
_COPIED: Final = frozenset(("Via", "From", "Call-ID", "CSeq"))


class Message:
    """What requests and responses share: header lines in order, body, and the parsed routing headers."""

    __slots__ = (
        "_contact",
        "_content",
        "_cseq",
        "_first",
        "_from",
        "_to",
        "_via",
        "body",
        "headers",
    )

    headers: HeaderLines
    """(canonical name, value) in the order of the wire; to be changed by the methods below only."""
    body: bytes

    def __init__(self, headers: HeaderLines, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self._changed()

    def forget_parsed(self) -> None:
        """Let go of what was parsed, of a message that is kept and hardly read any more; a read parses it again."""
        self._changed()

    def _changed(self) -> None:
        self._first: dict[str, str] | None = None
        self._via: Via | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._cseq: tuple[int, str] | None = None
        self._contact: NameAddr | None = None
        self._content: tuple[bytes, Content] | None = None

    def keep_parsed(self, first: dict[str, str], via: Via, from_: NameAddr, to: NameAddr) -> None:
        """Keep what `parse_message` has parsed: the first value of each header, and of these three what they mean."""
        self._first, self._via, self._from, self._to = first, via, from_, to

    # reading ------------------------------------------------------------------------------------------------------
    def get(self, name: str) -> str | None:
        """The first value of a header, or None."""
        if self._first is None:
            self._first = dict(reversed(self.headers))
        value = self._first.get(name)
        if value is not None or name in KNOWN:
            return value
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[str]:
        """Every line of a header."""
        known = CANONICAL.get(name) or CANONICAL.get(name.lower())
        if known is not None:
            if self._first is not None and known not in self._first:
                return []  # as most headers are that somebody asks for
            return [value for key, value in self.headers if key == known]
        lower = name.lower()
        return [value for key, value in self.headers if key.lower() == lower]

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
            self._via = Via.parse(first_element(self._required("Via")))
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
            if not value or value == "*":
                return None
            self._contact = NameAddr.parse(first_element(value))
        return self._contact

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case without parameters; empty without body type."""
        return media_type(self.get("Content-Type"))

    @property
    def content(self) -> Content:
        """What the body holds for us."""
        known = self._content
        if known is None or known[0] is not self.body:
            known = self._content = (self.body, read_content(self.get, self.body))
        return known[1]

    @property
    def sdp(self) -> bytes | None:
        """The session description, wherever in the body it is; None where there is none that is understood."""
        return self.content.description if self.body else None

    def describe(self, description: bytes) -> None:
        """Make a session description the whole body."""
        self.headers[:] = [line for line in self.headers if not line[0].startswith("Content-")]
        self.headers.append(("Content-Type", DESCRIPTION))
        self.body = description
        self._changed()

    def _required(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise ParseError(f"missing {name}")
        return value

    def _parse_cseq(self) -> tuple[int, str]:
        if self._cseq is None:
            number, _, method = self._required("CSeq").replace("\t", " ").partition(" ")
            method = method.strip(" ")
            count = whole_number(number, 10)
            if not method or count is None or count >= 2**32:  # RFC 3261 20.16: 32 bits
                raise ParseError("malformed CSeq")
            self._cseq = (count, method)
        return self._cseq

    # changing -----------------------------------------------------------------------------------------------------
    def set(self, name: str, value: str) -> None:
        """Replace all lines of a header by one, in the place of the first."""
        _check_value(value)
        for index, (key, _) in enumerate(self.headers):
            if key == name:
                self.headers[index] = (name, value)
                self.headers[index + 1 :] = [line for line in self.headers[index + 1 :] if line[0] != name]
                break
        else:
            self.headers.append((name, value))
        self._changed()

    def add(self, name: str, value: str) -> None:
        """Append a header line."""
        _check_value(value)
        self.headers.append((name, value))
        self._changed()

    def push(self, name: str, value: str) -> None:
        """Put a header line before all others (Via, Record-Route, Path)."""
        _check_value(value)
        self.headers.insert(0, (name, value))
        self._changed()

    def push_via(self, via: str) -> None:
        """Put a Via line before all others; everything parsed but the Via itself stays."""
        self.headers.insert(0, ("Via", via))
        if self._first is not None:
            self._first["Via"] = via
        self._via = None

    def replace_via(self, via: Via) -> None:
        """Put `via` in the place of the topmost Via value; everything else parsed stays."""
        for index, (name, value) in enumerate(self.headers):
            if name == "Via":
                text = str(via)
                if "," in value:
                    text = ", ".join((text, *split_list(value)[1:]))
                self.headers[index] = (name, text)
                if self._first is not None:
                    self._first["Via"] = text
                break
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

    @property
    def size(self) -> int:
        """About how many bytes the message has on the wire."""
        return len(self.start_line()) + sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.body)

    def to_bytes(self) -> bytes:
        """The message for the wire; Content-Length is made anew.

        Raises LocalProtocolError when a value of ours has brought a line end with it: nobody injects header lines.
        """
        lines = [self.start_line()]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "Content-Length"]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
            raise LocalProtocolError("line end in a header value")
        return head.encode("utf-8", "surrogateescape") + self.body

    def __repr__(self) -> str:
        return f"<{self.start_line()}>"


class Request(Message):
    """A SIP request."""

    __slots__ = ("method", "uri_text")

    def __init__(self, method: str, uri: str, headers: HeaderLines, body: bytes = b"") -> None:
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
        hops = whole_number(value, 10)
        if hops is None or hops > 255:
            raise ParseError("malformed Max-Forwards")
        return hops

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
        for line in self.headers:
            name = line[0]
            if name in _COPIED:
                lines.append(line)
            elif name == "To":
                add_tag = to_tag and status > 100 and not _has_tag(line[1])
                lines.append((name, f"{line[1]};tag={to_tag}") if add_tag else line)
            elif (name == "Record-Route" and 100 < status < 300) or (name == "Timestamp" and status == 100):
                lines.append(line)
        lines += headers
        return Response(status, reason_phrase(status) if reason is None else reason, lines, body)


class Response(Message):
    """A SIP response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: HeaderLines, body: bytes = b"") -> None:
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
    if ";" not in to:
        return False
    try:
        return NameAddr.parse(to).tag is not None
    except ParseError:
        return ";tag=" in to.replace(" ", "").lower()


def first_element(value: str) -> str:
    """The first element of a comma-separated header line; empty without one."""
    return next(iter(split_list(value)), "") if "," in value else value


def _check_value(value: str) -> None:
    if "\n" in value or "\r" in value:
        raise LocalProtocolError("line end in a header value")
