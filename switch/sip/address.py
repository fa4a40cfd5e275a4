# SPDX-License-Identifier: Apache-2.0
"""name-addr and addr-spec with parameters: From, To, Contact, Route and their kin (RFC 3261 section 20.10)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from switch.sip.errors import ParseError
from switch.sip.grammar import (
    QUOTED_STRING,
    format_params,
    is_token,
    parse_params,
    quote,
    split_list,
    unquote,
)
from switch.sip.uri import Uri

__all__ = ["NameAddr"]

_QUOTED_DISPLAY = re.compile(rf"({QUOTED_STRING})\s*<", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """One address: display name, URI, header parameters."""

    display: str
    """Without quotes; empty when there is none."""
    uri_text: str
    """The URI exactly as received; `uri` parses it."""
    params: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Parse one address; raises ParseError."""
        text = text.strip()
        if text.startswith('"'):
            match = _QUOTED_DISPLAY.match(text)
            if match is None:
                raise ParseError(f"malformed display name in {text[:60]!r}")
            display, start = unquote(match[1]), match.end() - 1
        else:
            start = text.find("<")
            if start < 0:
                return cls._addr_spec(text)
            display = text[:start].strip()
            if display and not all(
                is_token(word) or not word.isascii() for word in display.split()
            ):
                raise ParseError(f"display name needs quotes in {text[:60]!r}")
        end = text.find(">", start)
        if end < 0:
            raise ParseError(f"no closing > in {text[:60]!r}")
        uri = text[start + 1 : end]
        if not uri:
            raise ParseError(f"empty URI in {text[:60]!r}")
        return cls(display, uri, parse_params(text[end + 1 :]))

    @classmethod
    def _addr_spec(cls, text: str) -> NameAddr:
        # RFC 3261 20: without angle brackets all parameters belong to the header, not to the URI
        uri, semicolon, params = text.partition(";")
        uri = uri.rstrip()
        if not uri or "," in uri or "?" in uri or '"' in uri:
            raise ParseError(f"malformed address {text[:60]!r}")
        return cls("", uri, parse_params(semicolon + params))

    @classmethod
    def parse_many(cls, text: str) -> list[NameAddr]:
        """Parse a comma-separated list of addresses."""
        return [cls.parse(item) for item in split_list(text)]

    def __str__(self) -> str:
        display = ""
        if self.display:
            plain = all(is_token(word) for word in self.display.split(" "))
            display = f"{self.display} " if plain else f"{quote(self.display)} "
        return f"{display}<{self.uri_text}>{format_params(self.params)}"

    @property
    def uri(self) -> Uri:
        """The parsed URI; raises ParseError."""
        return Uri.parse(self.uri_text)

    @property
    def tag(self) -> str | None:
        """The tag parameter."""
        return self.params.get("tag")

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with this tag."""
        return replace(self, params={**self.params, "tag": tag})
