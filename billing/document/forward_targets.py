# SPDX-License-Identifier: Apache-2.0
"""Where an account's calls may be forwarded to, as far as it can be said when it is written down.

The switch asks again at each call, when names are resolved (`switch.sip.destination`). Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from billing_client.rules.numbering import as_address

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GatewayPlace", "at_gateway", "forward_problem"]

_HOST: Final = re.compile(r"sips?:[^\s<>]*@(\[[^\]]*\]|[^\s<>;:?\[\]]+)(?::(\d{1,5}))?(.*)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.*", re.IGNORECASE)
DEFAULT_PORT: Final = 5060


@dataclass(frozen=True, slots=True)
class GatewayPlace:
    """A gateway, and where it is."""

    name: str
    host: str
    port: int | None
    any_port: bool


def forward_problem(to: str) -> str | None:
    """What is wrong with a number or SIP URI that calls are to be forwarded to; None: nothing."""
    match = _HOST.fullmatch(to)
    if match is None:
        return "is no SIP URI such as sip:desk@pbx.example.net" if to.lower().startswith(("sip:", "sips:")) else None
    host, params = match[1], match[3]
    address = as_address(host)
    if "maddr" in (part.partition("=")[0].strip().lower() for part in re.split("[;?]", params)):
        return "has maddr, which is not followed"
    if address is None:
        return "has an address in disguise: write it as 192.0.2.1" if _NUMBER.fullmatch(host) else None
    return "leads to no single machine" if _is_nobody(address) else None


def _is_nobody(address: IPv4Address | IPv6Address) -> bool:
    reserved = isinstance(address, IPv4Address) and address.is_reserved
    return address.is_unspecified or address.is_multicast or address.is_link_local or reserved


def at_gateway(to: str, gateways: Iterable[GatewayPlace]) -> str | None:
    """The name of the gateway that a SIP URI is at: its number is to be dialled, and rated, as a number."""
    match = _HOST.fullmatch(to)
    if match is None:
        return None
    host, port = _spelling(match[1]), int(match[2] or DEFAULT_PORT)
    found = (
        one.name
        for one in gateways
        if _spelling(one.host) == host and (one.any_port or (one.port or DEFAULT_PORT) == port)
    )
    return next(found, None)


def _spelling(host: str) -> str:
    address = as_address(host)
    return host.rstrip(".").lower() if address is None else str(address)
