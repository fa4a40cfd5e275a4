# SPDX-License-Identifier: Apache-2.0
"""The gateways of a call to the outside, each when its turn comes.

A name is resolved then and not before: the name server of the second carrier cannot hold up the first. Addresses that
rest are asked when no other is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.routing.carriers.uris import RESOLVE_SECONDS, gateway_uri, place_uri
from switch.routing.ways import Branch, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from billing_client.rules.books import Gateway, Route
    from switch.routing.carriers.lines import Lines
    from switch.routing.carriers.rests import Rest, Rests
    from switch.sip.element.core import Core
    from switch.sip.element.resolver import Resolver
    from switch.sip.message.flow import Hop
    from switch.trace.trace import Trace

__all__ = [
    "GATEWAY_RESPONSE_SECONDS",
    "GATEWAY_RING_SECONDS",
    "MAX_ADDRESSES",
    "GatewayWays",
]

GATEWAY_RING_SECONDS: Final = 180.0
GATEWAY_RESPONSE_SECONDS: Final = 5.0
"""A carrier sends 100 within 200 ms (RFC 3261 section 17.2.1); after this long it is taken for dead."""
MAX_ADDRESSES: Final = 4
"""Of one gateway that are tried."""


class GatewayWays:
    """The addresses of the gateways of one call, as stages, in the order to try."""

    __slots__ = ("_core", "_dialled", "_lines", "_resolver", "_resting", "_rests", "_routes", "_trace")

    def __init__(
        self,
        core: Core,
        resolver: Resolver,
        rests: Rests,
        lines: Lines,
        routes: Sequence[Route],
        dialled: str,
        trace: Trace,
    ) -> None:
        self._core = core
        self._resolver = resolver
        self._rests = rests
        self._lines = lines
        self._routes = list(routes)
        self._dialled = dialled
        self._trace = trace
        self._resting: list[tuple[float, Stage]] = []

    async def more(self) -> list[Stage]:
        """What comes next: a stage for each address of the next gateway that has any; empty: nothing is left."""
        while self._routes:
            stages = await self._of(self._routes.pop(0))
            if stages:
                return stages
        # what was said to rest soonest ends first
        resting, self._resting = sorted(self._resting, key=lambda one: one[0]), []
        return [stage for _, stage in resting]

    async def _of(self, route: Route) -> list[Stage]:
        """The addresses of a gateway in the order of RFC 3263; none that rests, is ours, or cannot be reached by us."""
        core, gateway = self._core, route.gateway
        uri = str(gateway_uri(gateway, route.number(self._dialled)))
        now, unregistered = core.now(), self._lines.refusal(gateway)
        if unregistered is not None:
            self._trace.add("route", "{name} is asked last: {why}", name=gateway.name, why=unregistered)
        found: list[Stage] = []
        async for hop, by_name in self._hops(gateway):
            refusal = core.destinations.carrier_refusal(hop.host, hop.port, by_name=by_name)
            if refusal is not None:
                self._trace.add("route", "{name}: {why}", name=gateway.name, why=refusal)
                continue
            try:
                flow = core.transport.flow_to(hop)
            except LookupError:
                continue
            branch = Branch(uri, flow, gateway=gateway, hop=hop, route=route)
            stage = Stage((branch,), GATEWAY_RING_SECONDS, GATEWAY_RESPONSE_SECONDS)
            rest = self._rests.at(hop, now)
            if unregistered is not None:
                self._resting.append((now if rest is None else rest.until, stage))
            elif rest is None:
                found.append(stage)
            else:
                self._note(rest, gateway, now)
                self._resting.append((rest.until, stage))
        return found

    async def _hops(self, gateway: Gateway) -> AsyncIterator[tuple[Hop, bool]]:
        """Where it is, each only once, and whether a name led there; a name is resolved when its turn comes."""
        known: set[Hop] = set()
        for host, port in gateway.places:
            uri = place_uri(gateway, host, port)
            hops = await self._resolver.find(uri, RESOLVE_SECONDS)
            if not hops:
                text = "{name} is passed over: no address of {host} is known"
                self._trace.add("route", text, name=gateway.name, host=uri.host)
            for hop in hops:
                if len(known) < MAX_ADDRESSES and hop not in known:
                    known.add(hop)
                    yield hop, hop.host != uri.address

    def _note(self, rest: Rest, gateway: Gateway, now: float) -> None:
        self._trace.add(
            "route",
            "{name} at {address} rests for another {seconds:.0f} s, as {why}: asked last",
            name=gateway.name,
            address=rest.address,
            seconds=max(0.0, rest.until - now),
            why=rest.why,
        )
