# SPDX-License-Identifier: Apache-2.0
"""Where a gateway is, as a URI, and how long anybody waits until its name is resolved. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.sip.message.host import bracketed
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from billing_client.rules.books import Gateway

__all__ = ["RESOLVE_SECONDS", "gateway_uri", "place_uri"]

RESOLVE_SECONDS: Final = 2.0
"""How long a call waits for a name that nobody has resolved yet; it goes on being resolved beside the call."""


def gateway_uri(gateway: Gateway, user: str | None = None) -> Uri:
    """Where a gateway is; without a port, wherever the DNS says (RFC 3263)."""
    host = bracketed(gateway.host)
    return Uri("sip", user, host, gateway.port, _params(gateway))


def place_uri(gateway: Gateway, host: str, port: int | None) -> Uri:
    """Where one of its places is."""
    return Uri("sip", None, bracketed(host), port, _params(gateway))


def _params(gateway: Gateway) -> dict[str, str | None]:
    return {} if gateway.transport == "udp" else {"transport": gateway.transport}
