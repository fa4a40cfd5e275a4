# SPDX-License-Identifier: Apache-2.0
"""Finding a SIP server by its URI (RFC 3263 section 4), as a plan that asks questions and is told the answers. Pure.

`locate` is a generator: it yields questions to the DNS, is sent the records, and returns the next hops, best first. A
URI with an IP address is located without a question.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from switch.sip.message.errors import SipError
from switch.sip.message.flow import Hop

if TYPE_CHECKING:
    from switch.sip.message.uri import Uri

__all__ = ["Naptr", "Plan", "Question", "Record", "Srv", "UnsupportedTargetError", "locate", "weighted"]

_SERVICES: Final = {"SIP+D2U": "udp", "SIP+D2T": "tcp"}
_TRANSPORTS: Final = ("udp", "tcp")
_DEFAULT_PORT: Final = 5060


class UnsupportedTargetError(SipError):
    """A URI that needs a scheme or a transport that we do not speak."""


@dataclass(frozen=True, slots=True)
class Question:
    """A name and a type: NAPTR, SRV, A or AAAA."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Naptr:
    """What RFC 3263 uses of a NAPTR record."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


Record = Naptr | Srv | str
"""Addresses are text."""
Plan = Generator[Sequence[Question], Sequence[Sequence[Record]], list[Hop]]


def locate(
    uri: Uri,
    *,
    draw: Callable[[], float],
    transports: Sequence[str] = _TRANSPORTS,
    families: Sequence[str] = ("A", "AAAA"),
    every: bool = False,
) -> Plan:
    """Plan the way to a URI; `draw` gives random numbers below 1, `families` the address records that are of use.

    A service none of whose targets has an address gives way to the next. `every`: the targets of all services are
    wanted, as somebody may send from any of them.

    Raises UnsupportedTargetError. An empty list means that the name leads nowhere.
    """
    transport = uri.transport
    if uri.scheme != "sip":
        raise UnsupportedTargetError(f"{uri.scheme} is not supported")
    if transport is not None and transport not in transports:
        raise UnsupportedTargetError(f"no transport {transport}")
    host = uri.params.get("maddr") or uri.address
    if _is_literal(host):
        return [Hop(transport or transports[0], host, uri.port or _DEFAULT_PORT)]
    if uri.port is not None:  # 4.1, 4.2: a port rules NAPTR and SRV out
        return (yield from _addresses(host, transport or transports[0], uri.port, families))
    if transport is not None:
        services = [(transport, f"_sip._{transport}.{host}")]
    else:
        services = yield from _services(host, transports)
    hops: list[Hop] = []
    is_served = False
    for kind, name in services:
        (records,) = yield [Question(name, "SRV")]
        servers = [record for record in records if isinstance(record, Srv)]
        is_served = is_served or bool(servers)
        for server in weighted(servers, draw):
            if server.target.strip("."):  # RFC 2782: "." says that there is no such service
                hops += yield from _addresses(server.target, kind, server.port, families)
        if hops and not every:
            break
    if is_served:
        return hops
    return (yield from _addresses(host, transport or transports[0], _DEFAULT_PORT, families))


def _services(
    host: str, transports: Sequence[str]
) -> Generator[Sequence[Question], Sequence[Sequence[Record]], list[tuple[str, str]]]:
    """Section 4.1: transports and SRV names by NAPTR, what the domain prefers first, or else by guessing."""
    (records,) = yield [Question(host, "NAPTR")]
    offered = sorted(
        (record for record in records if isinstance(record, Naptr) and record.flags.lower() == "s"),
        key=lambda record: (record.order, record.preference),
    )
    found = [(_SERVICES.get(record.service.upper(), ""), record.replacement) for record in offered]
    usable = [(kind, name) for kind, name in found if kind in transports]
    return usable or [(kind, f"_sip._{kind}.{host}") for kind in transports]


def _addresses(host: str, transport: str, port: int, families: Sequence[str]) -> Plan:
    if _is_literal(host):
        return [Hop(transport, host, port)]
    answers = yield [Question(host, kind) for kind in families]
    return [Hop(transport, address, port) for records in answers for address in records if isinstance(address, str)]


def weighted(records: Iterable[Srv], draw: Callable[[], float]) -> list[Srv]:
    """SRV records by priority, and within one priority drawn in proportion to their weights (RFC 2782)."""
    ordered: list[Srv] = []
    # those without weight first, so that they have a small chance of being drawn
    left = sorted(records, key=lambda record: (record.priority, record.weight))
    while left:
        group = [record for record in left if record.priority == left[0].priority]
        mark = draw() * sum(record.weight for record in group)
        total = 0
        for chosen in group:
            total += chosen.weight
            if total >= mark:
                break
        ordered.append(chosen)
        left.remove(chosen)
    return ordered


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
