# SPDX-License-Identifier: Apache-2.0
"""The text form of a message (RFC 3261 sections 7.3 and 25.1): from bytes to start line, header lines and the rest; the
names of header fields: our spelling of each, and the compact forms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import is_token

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CANONICAL",
    "KNOWN",
    "MAX_HEADER_LINES",
    "MAX_LINE_CHARACTERS",
    "MAX_MESSAGE_BYTES",
    "HeaderLines",
    "canonical_name",
    "split_message",
]

HeaderLines = list[tuple[str, str]]

MAX_MESSAGE_BYTES: Final = 65_535
MAX_HEADER_LINES: Final = 256
MAX_LINE_CHARACTERS: Final = 8_192

# 25.1: in a quoted-pair a NUL is a character like others
_BARE_NUL: Final = re.compile(r"(?<!\\)\x00")

_COMPACT: Final = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition", "e": "Content-Encoding",
    "f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported", "l": "Content-Length", "m": "Contact",
    "n": "Identity-Info", "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
    "x": "Session-Expires", "y": "Identity",
}  # fmt: skip
_NAMES: Final = (
    "Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Authentication-Info", "Authorization",
    "Call-Info", "Content-Disposition", "Content-ID", "Content-Language", "Content-Transfer-Encoding", "CSeq", "Date",
    "Diversion", "Error-Info", "Expires",
    "Flow-Timer", "Geolocation", "Geolocation-Routing", "History-Info", "In-Reply-To", "Info-Package", "Join",
    "Max-Breadth", "Max-Forwards", "MIME-Version", "Min-Expires", "Min-SE", "Organization", "P-Asserted-Identity",
    "P-Charging-Vector", "P-Preferred-Identity", "P-Served-User", "Path", "Priority", "Privacy", "Proxy-Authenticate",
    "Proxy-Authorization", "Proxy-Require", "RAck", "Reason", "Record-Route", "Recv-Info", "Refer-Sub",
    "Remote-Party-ID", "Replaces", "Reply-To", "Require", "Retry-After", "Route", "RSeq", "Server", "Service-Route",
    "Session-ID", "SIP-ETag", "SIP-If-Match", "Softswitch-Accepted", "Softswitch-Mark",
    "Subscription-State", "Target-Dialog", "Timestamp",
    "Unsupported", "User-Agent", "User-to-User", "Warning", "WWW-Authenticate",
    *_COMPACT.values(),
)  # fmt: skip
CANONICAL: Final = {
    **{name: name for name in _NAMES},
    **{name.lower(): name for name in _NAMES},
    **_COMPACT,
    **{compact.upper(): name for compact, name in _COMPACT.items()},
}
"""Every spelling that is met often to the usual one; `canonical_name` knows the others."""
KNOWN: Final = frozenset(_NAMES)


def canonical_name(name: str) -> str:
    """The usual spelling of a header name, compact forms expanded; unknown names stay as they are."""
    return CANONICAL.get(name) or CANONICAL.get(name.lower(), name)


def split_message(data: bytes) -> tuple[str, HeaderLines, str | None, bytes]:
    """The start line, the header lines that are well-formed, what is wrong with the others, and what follows them.

    Raises ParseError when there is no header, or more of it than anybody needs: nothing that deserves an answer.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise ParseError("message too large", 513)
    # RFC 3261 7.5: line ends before the start line are ignored
    head, separator, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not separator:
        raise ParseError("no end of the header")
    text = head.decode("utf-8", "surrogateescape")
    start, *lines = text.split("\r\n")
    headers, flaw = _header_lines(lines)
    if flaw is not None and ("\r\n " in text or "\r\n\t" in text):
        text = _unfold(text)
        start, *lines = text.split("\r\n")
        headers, flaw = _header_lines(lines)
    if len(lines) > MAX_HEADER_LINES or (len(text) > MAX_LINE_CHARACTERS and _longest(lines) > MAX_LINE_CHARACTERS):
        raise ParseError("too much header", 513)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        flaw = "bare CR or LF in the header"
        headers = [line for line in headers if "\r" not in line[1] and "\n" not in line[1]]
    elif "\x00" in text and _BARE_NUL.search(text):
        flaw = "NUL in the header"
        headers = [line for line in headers if not _BARE_NUL.search(line[1])]
    return start, headers, flaw, body


def _longest(lines: Sequence[str]) -> int:
    return max(map(len, lines), default=0)


def _unfold(text: str) -> str:
    """RFC 3261 7.3.1: a line that begins with white space continues the one before, which is no start line."""
    start, _, rest = text.partition("\r\n")
    if rest.startswith((" ", "\t")):
        raise ParseError("folded start line")
    return start + "\r\n" + rest.replace("\r\n ", " ").replace("\r\n\t", " ")


def _header_lines(lines: Sequence[str]) -> tuple[HeaderLines, str | None]:
    """The lines as name and value, and what is wrong with those that are left out."""
    headers: HeaderLines = []
    flaw = None
    for line in lines:
        name, colon, value = line.partition(":")
        canonical = CANONICAL.get(name)
        if canonical is None or not colon:
            name = name.rstrip(" \t")
            if not colon or not is_token(name):
                flaw = "malformed header line"
                continue
            canonical = canonical_name(name)
        headers.append((canonical, value.strip(" \t")))
    return headers, flaw
