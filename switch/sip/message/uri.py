# SPDX-License-Identifier: Apache-2.0
"""SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966).

Parsed URIs are shared values: the same text gives the same object, whose parameters cannot be changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import HOST, check_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Uri"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*")
_FORBIDDEN = re.compile(r'[\x00-\x20\x7f"<>]')
_HOST_PORT = re.compile(rf"({HOST})(?::([0-9]{{1,5}}))?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 3261 25.1: unreserved marks with user-unreserved, and with param-unreserved
_USER_UNESCAPED: Final = "-_.!~*'()&=+$,;?/"
_PARAM_UNESCAPED: Final = "-_.!~*'()[]/:&+$"
_CACHED_CHARACTERS: Final = 256
"""Longer texts are parsed anew each time, so that nobody can make the cache large."""
_NO_PARAMS: Final[Mapping[str, str | None]] = MappingProxyType({})
_MUST_MATCH: Final = ("user", "ttl", "method", "maddr", "transport")


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise ParseError("malformed escape in a URI")
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _escape(text: str, unescaped: str = _USER_UNESCAPED) -> str:
    if text.isalnum() and text.isascii():
        return text
    return quote_from_bytes(text.encode("utf-8", "surrogateescape"), safe=unescaped)


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI; for schemes other than sip, sips and tel only `scheme` and `opaque` are meaningful."""

    scheme: str
    """Lower case."""
    user: str | None
    """Without escapes, so it may hold any character, NUL too; the telephone number of a tel URI, without parameters."""
    host: str
    """As written, an IPv6 address in its brackets; empty for tel and unknown schemes."""
    port: int | None = None
    params: Mapping[str, str | None] = field(default_factory=lambda: _NO_PARAMS)
    """Names in lower case and without escapes, values as written."""
    headers: str = ""
    """What follows the `?`, as written."""
    password: str | None = None
    """As written."""
    opaque: str = ""
    """The text after the scheme of a URI that is neither sip, sips nor tel."""

    @staticmethod
    def parse(text: str) -> Uri:
        """Parse a URI; raises ParseError."""
        return _parse(text) if len(text) <= _CACHED_CHARACTERS else _parse.__wrapped__(text)

    @staticmethod
    def forget() -> None:
        """Empty the cache of parsed URIs."""
        _parse.cache_clear()

    def __str__(self) -> str:
        if self.scheme == "tel":
            return f"tel:{_escape(self.user or '')}{_format_params(self.params)}"
        if self.scheme not in ("sip", "sips"):
            return f"{self.scheme}:{self.opaque}"
        text = f"{self.scheme}:"
        if self.user is not None:
            text += _escape(self.user)
            if self.password is not None:
                text += ":" + self.password
            text += "@"
        text += self.host
        if self.port is not None:
            text += f":{self.port}"
        if self.params:
            text += _format_params(self.params)
        return f"{text}?{self.headers}" if self.headers else text

    @property
    def is_sip(self) -> bool:
        """Whether we can route it: sip or sips."""
        return self.scheme in ("sip", "sips")

    @property
    def is_emergency(self) -> bool:
        """Whether it is an emergency service: `urn:service:sos`, `urn:service:sos.police` (RFC 5031 section 4.2)."""
        service = self.opaque.lower()
        return self.scheme == "urn" and (service == "service:sos" or service.startswith("service:sos."))

    @property
    def address(self) -> str:
        """The host without the brackets of an IPv6 reference, as `ipaddress` reads it."""
        return self.host[1:-1].replace(":::", "::") if self.host.startswith("[") else self.host

    @property
    def transport(self) -> str | None:
        """The transport parameter in lower case."""
        value = self.params.get("transport")
        return value.lower() if value else None

    def equivalent(self, other: Uri) -> bool:
        """Compare by the rules of RFC 3261 section 19.1.4."""
        if (self.scheme, self.user, self.password, self.port, self.opaque) != (
            other.scheme,
            other.user,
            other.password,
            other.port,
            other.opaque,
        ) or self.host.lower() != other.host.lower():
            return False
        mine, theirs = self.params, other.params
        if any((name in mine) != (name in theirs) for name in _MUST_MATCH):
            return False
        if any(_comparable(mine[name]) != _comparable(theirs[name]) for name in mine.keys() & theirs.keys()):
            return False
        return _headers(self.headers) == _headers(other.headers)


def _comparable(value: str | None) -> str:
    return _unescape(value or "").lower()


def _headers(text: str) -> list[tuple[str, str]]:
    """The headers of a URI in an order of their own: theirs does not matter."""
    pairs: Iterable[tuple[str, str, str]] = (item.partition("=") for item in text.split("&") if item)
    return sorted((_unescape(name).lower(), _unescape(value)) for name, _, value in pairs)


def _format_params(params: Mapping[str, str | None]) -> str:
    return "".join(
        f";{_escape(name, _PARAM_UNESCAPED)}" if value is None else f";{_escape(name, _PARAM_UNESCAPED)}={value}"
        for name, value in params.items()
    )


@lru_cache(maxsize=2048)
def _parse(text: str) -> Uri:
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        raise ParseError("not a URI")
    if _FORBIDDEN.search(rest):
        raise ParseError("forbidden character in a URI")
    scheme = scheme.lower()
    if scheme == "tel":
        number, _, tail = rest.partition(";")
        if not number:
            raise ParseError("tel URI without a number")
        return Uri(scheme, _unescape(number), "", params=_params(tail))
    if scheme not in ("sip", "sips"):
        return Uri(scheme, None, "", opaque=rest)
    # 19.1.1: the user part may hold `;` and `?`, so it is cut off first
    userinfo, at, hostpart = rest.rpartition("@")
    user = password = None
    if at:
        name, secret, word = userinfo.partition(":")
        if not name or "@" in userinfo:
            raise ParseError("malformed user in a URI")
        user = _unescape(name)
        if secret:
            _unescape(word)
            password = word
    hostpart, _, headers = hostpart.partition("?")
    hostport, _, tail = hostpart.partition(";")
    match = _HOST_PORT.fullmatch(hostport)
    if match is None:
        raise ParseError("malformed host or port in a URI")
    host, digits = match.groups()
    check_host(host)
    port = int(digits) if digits else None
    if port is not None and port > 65_535:
        raise ParseError("malformed port in a URI")
    if "%" in headers:
        _unescape(headers)
    return Uri(scheme, user, host, port, _params(tail), headers, password)


def _params(text: str) -> Mapping[str, str | None]:
    if not text:
        return _NO_PARAMS
    params: dict[str, str | None] = {}
    for item in text.split(";"):
        name, equals, value = item.partition("=")
        if name:
            if "%" in value:
                _unescape(value)
            params.setdefault(_unescape(name).lower(), value if equals else None)
    return MappingProxyType(params)
