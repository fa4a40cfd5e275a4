# SPDX-License-Identifier: Apache-2.0
"""Carriers for tests: the two gateways of the demo tenant played by us, by a name, and a name server that knows it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from switch.sip.element.resolver import Resolver
from tests.patience import PATIENCE_SECONDS
from tests.switch.routing.test_gateways import OUTSIDE, carriers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.switch.conftest import World

__all__ = ["OUTSIDE", "NameServer", "carriers", "name_server", "named", "until_at"]

SOA = "ns.test. admin.test. 1 3600 600 86400 1"


class NameServer(asyncio.DatagramProtocol):
    """Serves `zone`; names that contain one of `silent` get no answer, and all get none while it is dead."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        """Records by name, without the last dot, and type."""
        self.silent: set[str] = set()
        self.is_dead = False
        self.asked: Counter[tuple[str, str]] = Counter()
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        if self.is_dead or any(part in name for part in self.silent):
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        records = self.zone.get((name, kind))
        if records:
            response.answer.append(dns.rrset.from_text(f"{name}.", 1, "IN", kind, *records))
        else:
            response.authority.append(dns.rrset.from_text("test.", 1, "IN", "SOA", SOA))
            if not any(owner == name for owner, _ in self.zone):
                response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def name_server(world: World) -> AsyncIterator[NameServer]:
    """A name server that the switch asks from now on."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    resolver = Resolver(nameservers=["127.0.0.1"], port=port, hosts={})
    switch = world.switch
    switch.resolver = switch.outside.resolver = switch.places.resolver = switch.lines.resolver = resolver
    try:
        yield server
    finally:
        transport.close()


async def named(world: World, host: str, *, port: int | None = None, gateway: str = "sample-carrier") -> None:
    """Let a gateway be known by a name."""
    await world.sql.execute("UPDATE billing_gateway SET host = $2, port = $3 WHERE name = $1", gateway, host, port)
    await world.routes_reloaded()


async def until_at(world: World, address: tuple[str, int], *, known: bool = True) -> None:
    """Wait until the switch takes an address for a carrier's, or does so no longer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            place = world.switch.core.destinations.place(*address)
            if (place is not None and bool(place.carriers)) is known:
                return
            await asyncio.sleep(0.02)
