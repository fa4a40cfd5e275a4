# SPDX-License-Identifier: Apache-2.0
"""The Via header (RFC 3261 section 20.42, RFC 3581)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from switch.sip.message.errors import ParseError
from switch.sip.message.grammar import HOST, TOKEN, check_host, format_params, parse_params
from switch.sip.message.host import bare

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAGIC_COOKIE", "Via"]

MAGIC_COOKIE = "z9hG4bK"

_VIA = re.compile(
    rf"[ \t]*SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*(?P<transport>{TOKEN})[ \t]+"
    rf"(?P<host>{HOST})(?:[ \t]*:[ \t]*(?P<port>[0-9]{{1,5}}))?[ \t]*(?P<params>;.*)?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)


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
