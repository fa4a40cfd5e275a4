# SPDX-License-Identifier: Apache-2.0
"""Finding SIP servers by name (RFC 3263): NAPTR, SRV, A and AAAA, asynchronous and cached by their TTL."""

from __future__ import annotations

import ipaddress
import random
from typing import TYPE_CHECKING, Any, Final

import dns.asyncresolver
import dns.exception
import dns.resolver

from switch.sip.flow import Hop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from switch.sip.uri import Uri

__all__ = ["Resolver"]

_SERVICES: Final = {"SIP+D2U": "udp", "SIP+D2T": "tcp"}
_LIFETIME_SECONDS: Final = 3.0


class Resolver:
    """Turns URIs into next hops, best first; an empty list means that the name leads nowhere."""

    def __init__(
        self, *, nameservers: list[str] | None = None, port: int = 53, draw: Callable[[], float] = random.random
    ) -> None:
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._nameservers = nameservers
        self._port = port
        self._draw = draw

    async def resolve(self, uri: Uri) -> list[Hop]:
        """The next hops of a URI by RFC 3263 section 4; literals need no look-up."""
        host = uri.params.get("maddr") or uri.address
        transport = uri.transport
        if uri.scheme == "sips" or transport not in (None, "udp", "tcp"):
            return []  # TLS is not spoken here
        if _is_literal(host):
            return [Hop(transport or "udp", host, uri.port or 5060)]
        if uri.port is not None:  # section 4.1 and 4.2: a port means no NAPTR and no SRV
            return [Hop(transport or "udp", address, uri.port) for address in await self._addresses(host)]
        services = [transport] if transport else await self._transports(host)
        for service in services:
            hops = await self._servers(f"_sip._{service}.{host}", service)
            if hops:
                return hops
        return [Hop(transport or "udp", address, 5060) for address in await self._addresses(host)]

    async def _transports(self, host: str) -> list[str]:
        """Transports that the domain offers, its preference first (section 4.1)."""
        records = sorted(await self._query(host, "NAPTR"), key=lambda record: (record.order, record.preference))
        offered = [_SERVICES.get(record.service.decode("ascii", "replace").upper()) for record in records]
        return list(dict.fromkeys(name for name in offered if name is not None)) or ["udp", "tcp"]

    async def _servers(self, name: str, transport: str) -> list[Hop]:
        records = await self._query(name, "SRV")
        hops: list[Hop] = []
        for record in _by_weight(records, self._draw):
            target = record.target.to_text(omit_final_dot=True)
            hops += [Hop(transport, address, record.port) for address in await self._addresses(target)]
        return hops

    async def _addresses(self, host: str) -> list[str]:
        return [str(record) for kind in ("A", "AAAA") for record in await self._query(host, kind)]

    async def _query(self, name: str, kind: str) -> list[Any]:
        try:
            return list(await self._open().resolve(name, kind, lifetime=_LIFETIME_SECONDS, search=False))
        except dns.exception.DNSException:
            return []

    def _open(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=self._nameservers is None)
            if self._nameservers is not None:
                self._resolver.nameservers = list(self._nameservers)
                self._resolver.port = self._port
            self._resolver.cache = dns.resolver.LRUCache(10_000)
        return self._resolver


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _by_weight(records: Iterable[Any], draw: Callable[[], float]) -> list[Any]:
    """SRV records by priority, and within one priority drawn by weight (RFC 2782)."""
    ordered: list[Any] = []
    left = sorted(records, key=lambda record: (record.priority, record.weight))
    while left:
        group = [record for record in left if record.priority == left[0].priority]
        mark = draw() * sum(record.weight for record in group)
        chosen = group[0]
        for record in group:
            mark -= record.weight
            chosen = record
            if mark < 0:
                break
        ordered.append(chosen)
        left.remove(chosen)
    return ordered
