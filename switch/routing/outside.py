# SPDX-License-Identifier: Apache-2.0
"""Ways out of the house: the gateways of carriers, and SIP addresses of somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.routing.carriers.gateways import (
    GATEWAY_RESPONSE_SECONDS,
    GATEWAY_RING_SECONDS,
    MAX_ADDRESSES,
    GatewayWays,
)
from switch.routing.carriers.uris import RESOLVE_SECONDS
from switch.routing.ways import Branch, Stage
from switch.sip.message.host import bracketed
from switch.sip.message.uri import Uri
from switch.sip.message.wire import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from billing_client.rules.books import Route
    from billing_client.rules.trunks import Trunk
    from switch.routing.carriers.lines import Lines
    from switch.routing.carriers.rests import Rests
    from switch.sip.element.core import Core
    from switch.sip.element.resolver import Resolver
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request
    from switch.trace.trace import Trace

__all__ = ["Outside"]

OWN_LINES_BYTES: Final = 300
"""What Via, Contact and their kin add to a request."""


class Outside:
    """Finds ways out, for one switch."""

    def __init__(self, core: Core, resolver: Resolver, rests: Rests, lines: Lines) -> None:
        self._core = core
        self.resolver = resolver
        self.lines = lines
        """Our registrations at carriers."""
        self.rests = rests
        """Addresses of carriers that are left in peace for a while."""

    def gateways(self, routes: Sequence[Route], dialled: str, trace: Trace) -> GatewayWays:
        """The gateways of one call, each when its turn comes."""
        return GatewayWays(self._core, self.resolver, self.rests, self.lines, routes, dialled, trace)

    async def trunk(self, trunk: Trunk, number: str, seconds: float, random: Random, trace: Trace) -> list[Stage]:
        """The addresses of a customer's telephone system, as stages: in their order, or each in turn first; those that
        rest last. None of a carrier, of ours, or of this machine."""
        core, now = self._core, self._core.now()
        places = list(trunk.to)
        if trunk.sharing == "share":
            first = random.randrange(len(places))
            places = [*places[first:], *places[:first]]
        found: list[tuple[float, Stage]] = []
        for place in places:
            params = {} if place.transport == "udp" else {"transport": place.transport}
            uri = Uri("sip", trunk.number(number), bracketed(place.host), place.port, params)
            for hop in (await self.resolver.find(uri, RESOLVE_SECONDS))[:MAX_ADDRESSES]:
                refusal, rest = core.destinations.elsewhere_refusal(hop.host, hop.port), self.rests.at(hop, now)
                if refusal is not None:
                    trace.add("ring", "the trunk's address {place} is not called: {why}", place=str(place), why=refusal)
                    continue
                try:
                    branch = Branch(str(uri), core.transport.flow_to(hop), hop=hop, trunk=trunk)
                except LookupError:
                    continue
                stage = Stage((branch,), seconds, GATEWAY_RESPONSE_SECONDS, is_trunk=True)
                found.append((0.0 if rest is None else rest.until, stage))
        return [stage for _, stage in sorted(found, key=lambda one: one[0])]

    async def elsewhere(self, uri: str, trace: Trace) -> list[Stage]:
        """The addresses of a SIP URI of somebody else, as stages; none of a carrier, of ours, or of this machine."""
        found: list[Stage] = []
        target, destinations = Uri.parse(uri), self._core.destinations
        refusal = destinations.forward_refusal(target)
        hops = [] if refusal is not None else (await self.resolver.resolve(target))[:MAX_ADDRESSES]
        for hop in hops:
            refusal = destinations.elsewhere_refusal(hop.host, hop.port)
            if refusal is not None:
                continue
            try:
                branch = Branch(uri, self._core.transport.flow_to(hop))
            except LookupError:
                continue
            found.append(Stage((branch,), GATEWAY_RING_SECONDS, GATEWAY_RESPONSE_SECONDS))
        if refusal is not None:
            trace.add("route", "{uri} is not called: {why}", uri=uri, why=refusal)
        return found

    def flow_for(self, branch: Branch, request: Request) -> Flow:
        """The flow that a request of a branch takes: TCP where it is too large for UDP (RFC 3261 section 18.1.1)."""
        if branch.hop is None:
            return branch.flow
        return self._core.transport.flow_to(branch.hop, len(request.to_bytes()) + OWN_LINES_BYTES)

    def falls_back(self, branch: Branch, failed: Flow) -> bool:
        """Whether a request that could not be sent by TCP for its size should go by UDP after all (RFC 3261
        section 18.1.1)."""
        hop = branch.hop
        if hop is None or failed.transport == hop.transport:
            return False
        return self._core.transport.flow_to(hop, MAX_MESSAGE_BYTES).transport == hop.transport
