# SPDX-License-Identifier: Apache-2.0
"""Addresses with parameters: From, To, Contact, Route and their kin (RFC 3261, 20.10); Via (20.42, RFC 3581).

Parsed addresses are shared values, as URIs are: all messages of a dialog bring the same From and To.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import (
    HOST,
    QUOTED_STRING,
    TOKEN,
    check_host,
    format_params,
    is_token,
    parse_params,
    quote,
    unquote,
)
from switch.sip.message.host import bare
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAGIC_COOKIE", "NameAddr", "Via"]

MAGIC_COOKIE: Final = "z9hG4bK"
"""What the branches of RFC 3261 begin with (section 8.1.1.7)."""

_NAME_ADDR = re.compile(
    rf"[ \t]*+(?:(?P<quoted>{QUOTED_STRING})[ \t]*+|(?P<plain>[^\"<]*))<(?P<uri>[^<>\"\x00-\x20\x7f]+)>(?P<params>.*)",
    re.DOTALL,
)
_ADDR_SPEC = re.compile(r'[^<>",?\x00-\x20\x7f]+')
# *(token LWS), and the letters beyond ASCII that the field does not quote
_PLAIN_DISPLAY = re.compile(r"[A-Za-z0-9\-.!%*_+`'~ \t\u0080-\U0010ffff]*")

_VIA = re.compile(
    rf"[ \t]*SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*(?P<transport>{TOKEN})[ \t]+"
    rf"(?P<host>{HOST})(?:[ \t]*:[ \t]*(?P<port>[0-9]{{1,5}}))?[ \t]*(?P<params>;.*)?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)

_CACHED_CHARACTERS: Final = 256
"""Longer texts are parsed anew each time, so that nobody can make the cache large."""
_NO_PARAMS: Final[Mapping[str, str | None]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class NameAddr:
    """One address: display name, URI, header parameters."""

    display: str
    """Without quotes; empty when there is none."""
    uri_text: str
    """The URI exactly as received; `uri` parses it."""
    params: Mapping[str, str | None] = field(default_factory=lambda: _NO_PARAMS)
    """Names in lower case; a value that is a quoted-string keeps its quotes."""
    _uri: Uri | None = field(default=None, init=False, compare=False, repr=False)

    @staticmethod
    def parse(text: str) -> NameAddr:
        """Parse one address; raises ParseError."""
        return _parse(text) if len(text) <= _CACHED_CHARACTERS else _parse.__wrapped__(text)

    @staticmethod
    def forget() -> None:
        """Empty the cache of parsed addresses."""
        _parse.cache_clear()

    def __str__(self) -> str:
        display = ""
        if self.display:
            plain = all(is_token(word) for word in self.display.split(" "))
            display = f"{self.display} " if plain else f"{quote(self.display)} "
        return f"{display}<{self.uri_text}>{format_params(self.params)}"

    @property
    def uri(self) -> Uri:
        """The parsed URI; raises ParseError."""
        uri = self._uri
        if uri is None:
            uri = Uri.parse(self.uri_text)
            object.__setattr__(self, "_uri", uri)  # no change: it is what the text says
        return uri

    @property
    def tag(self) -> str | None:
        """The tag parameter."""
        return self.params.get("tag")

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with this tag."""
        return replace(self, params={**self.params, "tag": tag})


@lru_cache(maxsize=2048)
def _parse(text: str) -> NameAddr:
    match = _NAME_ADDR.fullmatch(text)
    if match is None:
        return _parse_addr_spec(text.strip(" \t"))
    quoted, plain, uri, params = match.groups()
    if quoted is not None:
        display = unquote(quoted)
    else:
        display = plain.rstrip(" \t")
        if display and not _PLAIN_DISPLAY.fullmatch(display):
            raise ParseError("display name needs quotes")
    return NameAddr(display, uri, MappingProxyType(parse_params(params)) if params else _NO_PARAMS)


def _parse_addr_spec(text: str) -> NameAddr:
    # RFC 3261 20: without angle brackets all parameters belong to the header, not to the URI
    uri, semicolon, params = text.partition(";")
    uri = uri.rstrip(" \t")
    if not _ADDR_SPEC.fullmatch(uri):
        raise ParseError("malformed address")
    return NameAddr("", uri, MappingProxyType(parse_params(semicolon + params)) if params else _NO_PARAMS)


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value."""

    transport: str
    """Upper case: UDP, TCP, TLS, WS, WSS, SCTP."""
    host: str
    """As written, an IPv6 address in its brackets."""
    port: int | None = None
    params: Mapping[str, str | None] = field(default_factory=dict)
    """Names in lower case."""

    @classmethod
    def parse(cls, text: str) -> Via:
        """Parse one Via value; raises ParseError."""
        match = _VIA.fullmatch(text)
        if match is None:
            raise ParseError("malformed Via")
        transport, host, digits, params = match.groups()
        if host[0] == "[":
            check_host(host)
        port = int(digits) if digits else None
        if port is not None and port > 65_535:
            raise ParseError("malformed port")
        return cls(transport.upper(), host, port, parse_params(params or ""))

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{format_params(self.params)}"

    @property
    def branch(self) -> str:
        """The branch parameter, empty when missing."""
        return self.params.get("branch") or ""

    @property
    def received(self) -> str | None:
        """The address of the `received` parameter, with or without the brackets that RFC 5118 4.5 tells to accept."""
        value = self.params.get("received")
        return bare(value) if value else None

    @property
    def sent_by(self) -> str:
        """host:port in lower case, with the default port filled in."""
        return f"{self.host.lower()}:{self.port or (5061 if self.transport in ('TLS', 'WSS') else 5060)}"

    @property
    def is_reliable(self) -> bool:
        """Whether the transport delivers by itself, so that SIP does not retransmit."""
        return self.transport != "UDP"
