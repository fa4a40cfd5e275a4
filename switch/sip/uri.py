# SPDX-License-Identifier: Apache-2.0
"""SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

from switch.sip.errors import ParseError
from switch.sip.grammar import format_params

__all__ = ["Uri"]

_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.\-_]*)")
_USER_UNESCAPED = (
    "-_.!~*'()&=+$,;?/"  # RFC 3261 25.1: unreserved marks and user-unreserved
)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    if _ESCAPE.search(text):
        raise ParseError(f"malformed escape in {text[:60]!r}")
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode(
        "utf-8", "surrogateescape"
    )


def _escape(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    return quote_from_bytes(
        text.encode("utf-8", "surrogateescape"), safe=_USER_UNESCAPED
    )


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI; for schemes other than sip, sips and tel only `scheme` and `opaque` are meaningful."""

    scheme: str
    """Lower case."""
    user: str | None
    """Without escapes; the telephone number of a tel URI, the part before any `;` parameter of it."""
    host: str
    """As written, an IPv6 address in its brackets; empty for tel and unknown schemes."""
    port: int | None = None
    params: dict[str, str | None] = field(default_factory=dict)
    headers: str = ""
    """What follows the `?`, as written."""
    password: str | None = None
    opaque: str = ""
    """The text after the scheme of a URI that is neither sip, sips nor tel."""

    @staticmethod
    def parse(text: str) -> Uri:
        """Parse a URI; raises ParseError (400, or 416 for text without any scheme)."""
        return _parse(text)

    def __str__(self) -> str:
        if self.scheme == "tel":
            return f"tel:{self.user or ''}{format_params(self.params)}"
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
            text += format_params(self.params)
        return f"{text}?{self.headers}" if self.headers else text

    @property
    def is_sip(self) -> bool:
        """Whether we can route it: sip or sips."""
        return self.scheme in ("sip", "sips")

    @property
    def address(self) -> str:
        """The host without the brackets of an IPv6 reference."""
        return self.host[1:-1] if self.host.startswith("[") else self.host

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
        for name in ("user", "ttl", "method", "maddr", "transport"):
            if (name in self.params) != (name in other.params):
                return False
        for name in self.params.keys() & other.params.keys():
            if (self.params[name] or "").lower() != (other.params[name] or "").lower():
                return False
        mine, theirs = (
            sorted(headers.split("&")) for headers in (self.headers, other.headers)
        )
        return mine == theirs


@lru_cache(maxsize=8192)
def _parse(text: str) -> Uri:
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if (
        not colon
        or not scheme
        or not scheme[0].isalpha()
        or not scheme.replace("+", "").replace("-", "").replace(".", "").isalnum()
    ):
        raise ParseError(f"not a URI: {text[:60]!r}", 400)
    if any(c in rest for c in ' \t\r\n"<>'):
        raise ParseError(f"forbidden character in the URI {text[:60]!r}")
    if scheme == "tel":
        number, _, tail = rest.partition(";")
        return Uri(scheme, _unescape(number), "", params=_uri_params(tail))
    if scheme not in ("sip", "sips"):
        return Uri(scheme, None, "", opaque=rest)
    userinfo, at, hostpart = rest.rpartition("@")
    user = password = None
    if at:
        if "@" in userinfo or not userinfo:
            raise ParseError(f"malformed user in {text[:60]!r}")
        name, secret, word = userinfo.partition(":")
        user = _unescape(name)
        password = word if secret else None
    else:
        hostpart = rest
    hostpart, _, headers = hostpart.partition("?")
    hostport, _, tail = hostpart.partition(";")
    match = _HOST.match(hostport)
    if match is None:
        raise ParseError(f"malformed host in {text[:60]!r}")
    return Uri(
        scheme,
        user,
        match.group(),
        _port(hostport[match.end() :], text),
        _uri_params(tail),
        headers,
        password,
    )


def _port(text: str, whole: str) -> int | None:
    if not text or text == ":":
        return None
    digits = text[1:]
    if (
        text[0] != ":"
        or not digits.isascii()
        or not digits.isdigit()
        or len(digits) > 5
        or int(digits) > 65535
    ):
        raise ParseError(f"malformed port in {whole[:60]!r}")
    return int(digits)


def _uri_params(text: str) -> dict[str, str | None]:
    params: dict[str, str | None] = {}
    if text:
        for item in text.split(";"):
            name, equals, value = item.partition("=")
            if name:
                params.setdefault(_unescape(name).lower(), value if equals else None)
    return params
