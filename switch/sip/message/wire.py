# SPDX-License-Identifier: Apache-2.0
"""The text form of a message (RFC 3261 sections 7.3 and 25.1): from bytes to start line, header lines and the rest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import is_token
from switch.sip.message.header_names import CANONICAL, canonical_name

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_HEADER_LINES", "MAX_LINE_CHARACTERS", "MAX_MESSAGE_BYTES", "HeaderLines", "split_message"]

HeaderLines = list[tuple[str, str]]

MAX_MESSAGE_BYTES: Final = 65_535
MAX_HEADER_LINES: Final = 256
MAX_LINE_CHARACTERS: Final = 8_192

# 25.1: in a quoted-pair a NUL is a character like others
_BARE_NUL: Final = re.compile(r"(?<!\\)\x00")


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
