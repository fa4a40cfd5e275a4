# SPDX-License-Identifier: Apache-2.0
"""What a document says of a gateway's carrier: where it is, whence it calls, and whether it wants us to register."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from billing.reading.reader import shown
from billing_client.rules.numbering import as_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Network, IPv6Network

    from billing.reading.reader import Reader

__all__ = ["WIDEST", "carrier_columns", "network_of"]

WIDEST: Final = {4: 16, 6: 32}
"""A carrier that calls from a wider network than this has mistyped it: whoever is in there calls without password."""
MOST_ADDRESSES: Final = 16
MOST_SOURCES: Final = 64


def carrier_columns(fields: Reader) -> dict[str, Any]:
    """The columns of a gateway that are its carrier's."""
    if fields.bare("registers") is True and not (fields.bare("username") and fields.bare("password")):
        fields.problem("registers", "needs username and password beside it")
    return {
        "vendor": fields.text("vendor", most=64),
        "addresses": _texts(fields, "addresses", MOST_ADDRESSES, _place_problem),
        "sources": _texts(fields, "sources", MOST_SOURCES, _source_problem),
        "registers": fields.flag("registers"),
        "register_seconds": fields.integer("register_seconds", least=30, most=86_400) or 600,
        "realm": fields.text("realm"),
        "cost_tariff": fields.optional_text("cost_tariff"),
    }


def network_of(text: str) -> IPv4Network | IPv6Network | None:
    """The network that a text means; an address is one of its own."""
    try:
        return ip_network(text)
    except ValueError:
        return None


def _texts(fields: Reader, field: str, most: int, problem_of: Callable[[str], str | None]) -> list[str]:
    """A list of texts, each in the one form in which it is kept."""
    value = fields.bare(field)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        fields.problem(field, f"is not a list of at most {most}")
        return []
    found = [str(one).strip() for one in value]
    for index, one in enumerate(found):
        problem = problem_of(one)
        if problem is not None:
            fields.problem(f"{field}[{index}]", f"{shown(one)} {problem}")
    return list(dict.fromkeys(found))


def _place_problem(text: str) -> str | None:
    """Why this is no HOST, HOST:PORT, [IPV6] or [IPV6]:PORT."""
    host, port = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if as_address(host) is None or (rest and not rest.startswith(":")):
            return "is no address in brackets, with or without :PORT after it"
        port = rest[1:] if rest else "5060"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        return "has no port from 1 to 65535"
    name = host.replace("-", "").replace(".", "")
    if as_address(host) is None and not (name.isascii() and name.isalnum()):
        return "is neither an address nor the name of a host"
    return None


def _source_problem(text: str) -> str | None:
    """Why calls are not taken from there."""
    network = network_of(text)
    if network is None:
        return "is neither an address nor a network such as 192.0.2.0/24"
    if network.prefixlen < WIDEST[network.version]:
        return f"is too wide: whoever is in it calls without password; /{WIDEST[network.version]} at most"
    if network.is_loopback or network.is_multicast or network.is_unspecified:
        return "is no carrier's"
    return None
