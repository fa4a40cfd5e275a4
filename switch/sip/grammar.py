# SPDX-License-Identifier: Apache-2.0
"""Fragments of the grammar of RFC 3261 section 25 that several headers share."""

from __future__ import annotations

import re

from switch.sip.errors import ParseError

__all__ = [
    "QUOTED_STRING",
    "TOKEN",
    "format_params",
    "is_token",
    "parse_params",
    "quote",
    "split_list",
    "unquote",
]

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
QUOTED_STRING = r'"(?:[^"\\]|\\.)*"'

_TOKEN = re.compile(TOKEN)
_PARAM = re.compile(
    rf"\s*;\s*(?:(?P<name>{TOKEN})(?:\s*=\s*(?P<value>{QUOTED_STRING}|\[[0-9A-Fa-f:.]+\]|[^\s;,\"]*))?)?\s*",
    re.DOTALL,
)
_LIST_ITEM = re.compile(rf"(?:[^,\"<]|{QUOTED_STRING}|<[^>]*>)+", re.DOTALL)


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
        return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if "\\" in text else text
    return text


def parse_params(text: str) -> dict[str, str | None]:
    """Parse `;name=value;flag`; names are lower case, values keep their quotes.

    Raises ParseError when `text` is not a list of parameters.
    """
    params: dict[str, str | None] = {}
    if not text:
        return params
    if '"' not in text and " " not in text and "\t" not in text and text[0] == ";":
        for item in text[1:].split(";"):
            name, equals, value = item.partition("=")
            if name:
                params.setdefault(name.lower(), value if equals else None)
        return params
    position = 0
    text = text.strip()
    while position < len(text):
        match = _PARAM.match(text, position)
        if match is None:
            raise ParseError(f"malformed parameters {text[:60]!r}")
        if match["name"]:
            params.setdefault(match["name"].lower(), match["value"])
        position = match.end()
    return params


def format_params(params: dict[str, str | None]) -> str:
    """The inverse of parse_params."""
    return "".join(
        f";{name}" if value is None else f";{name}={value}"
        for name, value in params.items()
    )


def split_list(text: str) -> list[str]:
    """Split a comma-separated header value; commas in quoted strings and angle brackets do not split."""
    if "," not in text:
        text = text.strip()
        return [text] if text else []
    if '"' not in text and "<" not in text:
        return [item for part in text.split(",") if (item := part.strip())]
    return [item for part in _LIST_ITEM.findall(text) if (item := part.strip())]
