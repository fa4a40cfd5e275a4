# SPDX-License-Identifier: Apache-2.0
"""Fragments of the grammar of RFC 3261 section 25 that several headers share.

Every function takes time linear in its input, whatever the input is: no pattern here can backtrack over what it has
matched, and none is tried again at a later place after it ran to the end of the text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING

from switch.sip.message.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HOST",
    "QUOTED_STRING",
    "TOKEN",
    "check_host",
    "format_params",
    "is_token",
    "parse_params",
    "quote",
    "split_list",
    "unquote",
    "whole_number",
]

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
QUOTED_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
HOST = r"(?:\[[0-9A-Fa-f:.]{2,48}\]|[A-Za-z0-9][A-Za-z0-9.\-_]{0,254})"
"""A host name (with the underscore that the field uses), IPv4 address or IPv6reference; see `check_host`."""

# gen-value is token / host / quoted-string; the field puts base64 and URNs there, so that all but delimiters is taken
_VALUE = r'[^\x00-\x20\x7f;,"<>]*'
_TOKEN = re.compile(TOKEN)
_QUOTED = re.compile(QUOTED_STRING, re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN_PARAMS = re.compile(rf"(?:;{TOKEN}(?:={_VALUE})?)+")
_PARAM = re.compile(
    rf"[ \t]*;[ \t]*(?P<name>{TOKEN})[ \t]*(?:=[ \t]*(?P<value>{QUOTED_STRING}|{_VALUE}))?[ \t]*", re.DOTALL
)
_LIST_MARK = re.compile(r'[,"<]')


def whole_number(text: str, most_digits: int) -> int | None:
    """A number of a header; None for what is none in ASCII digits (`str.isdigit` takes those of forty scripts and
    superscripts, which `int` does not), or has too many for what it counts."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= most_digits else None


def is_token(text: str) -> bool:
    """Whether `text` is a token."""
    return _TOKEN.fullmatch(text) is not None


def quote(text: str) -> str:
    """Make a quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """The text of a quoted-string; anything else is returned as it is."""
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        text = text[1:-1]
        return _ESCAPED.sub(r"\1", text) if "\\" in text else text
    return text


def parse_params(text: str) -> dict[str, str | None]:
    """Parse `;name=value;flag`; names are lower case, values keep their quotes, the first of a repeated name counts.

    One trailing semicolon is forgiven. Raises ParseError when `text` is not a list of parameters.
    """
    params: dict[str, str | None] = {}
    if not text:
        return params
    if _PLAIN_PARAMS.fullmatch(text) is None:
        return _parse_spaced_params(text)
    for item in text[1:].split(";"):
        name, equals, value = item.partition("=")
        name = name.lower()
        if name not in params:
            params[name] = value if equals else None
    return params


def _parse_spaced_params(text: str) -> dict[str, str | None]:
    params: dict[str, str | None] = {}
    position, end = 0, len(text.rstrip(" \t"))
    while position < end:
        match = _PARAM.match(text, position)
        if match is None:
            if text[position:end] == ";":
                break
            raise ParseError("malformed parameters")
        params.setdefault(match["name"].lower(), match["value"])
        position = match.end()
    return params


def format_params(params: Mapping[str, str | None]) -> str:
    """The inverse of parse_params."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params.items())


def split_list(text: str) -> list[str]:
    """Split a comma-separated header value; commas in quoted strings and angle brackets do not split.

    Empty elements are left out. Raises ParseError when a quote or a bracket does not close.
    """
    if "," not in text:
        text = text.strip(" \t")
        return [text] if text else []
    if '"' in text or "<" in text:
        return [item for part in _split_quoted(text) if (item := part.strip(" \t"))]
    return [item for part in text.split(",") if (item := part.strip(" \t"))]


def _split_quoted(text: str) -> list[str]:
    parts: list[str] = []
    start = position = 0
    while (mark := _LIST_MARK.search(text, position)) is not None:
        at = mark.start()
        if text[at] == ",":
            parts.append(text[start:at])
            start = position = at + 1
        elif text[at] == "<":
            position = text.find(">", at) + 1
            if not position:
                raise ParseError("unbalanced angle bracket")
        else:
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                raise ParseError("unbalanced quote")
            position = quoted.end()
    parts.append(text[start:])
    return parts


def check_host(host: str) -> None:
    """Refuse a bracketed host that is no IPv6 address; `host` has matched HOST."""
    if host[0] == "[" and not _is_ipv6(host[1:-1]):
        raise ParseError("malformed IPv6 address")


@lru_cache(maxsize=1024)
def _is_ipv6(text: str) -> bool:
    try:
        # RFC 5118 4.10: the grammar of RFC 3261 allows a third colon before an embedded IPv4 address, so peers send it
        IPv6Address(text.replace(":::", "::"))
    except AddressValueError:
        return False
    return True
