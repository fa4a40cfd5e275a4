# SPDX-License-Identifier: Apache-2.0
"""The Via header (RFC 3261 section 20.42, RFC 3581)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from switch.sip.errors import ParseError
from switch.sip.grammar import TOKEN, format_params, parse_params

__all__ = ["MAGIC_COOKIE", "Via"]

MAGIC_COOKIE = "z9hG4bK"

_VIA = re.compile(
    rf"\s*SIP\s*/\s*2\.0\s*/\s*(?P<transport>{TOKEN})\s+"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-_]+)(?:\s*:\s*(?P<port>\d{1,5}))?\s*(?P<params>;.*)?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value."""

    transport: str
    """Upper case: UDP, TCP, TLS, WS, WSS, SCTP."""
    host: str
    port: int | None = None
    params: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Via:
        """Parse one Via value; raises ParseError."""
        match = _VIA.fullmatch(text)
        if match is None:
            raise ParseError(f"malformed Via {text[:60]!r}")
        port = int(match["port"]) if match["port"] else None
        if port is not None and port > 65535:
            raise ParseError(f"malformed port in Via {text[:60]!r}")
        return cls(
            match["transport"].upper(),
            match["host"],
            port,
            parse_params(match["params"] or ""),
        )

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{format_params(self.params)}"

    @property
    def branch(self) -> str:
        """The branch parameter, empty when missing."""
        return self.params.get("branch") or ""

    @property
    def sent_by(self) -> str:
        """host:port in lower case, with the default port filled in."""
        return f"{self.host.lower()}:{self.port or (5061 if self.transport in ('TLS', 'WSS') else 5060)}"

    @property
    def is_reliable(self) -> bool:
        """Whether the transport delivers by itself, so that SIP does not retransmit."""
        return self.transport != "UDP"
