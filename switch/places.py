# SPDX-License-Identifier: Apache-2.0
"""Who is where: `Destinations` made of settings, routes and what is bound, and kept up to date.

Carriers that are known by a name are resolved beside the calls, so that no phone is sent to an address that is one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from switch.sip.destination import Carrier, Destinations, literal
from switch.sip.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from billing_client.books import RouteBook
    from switch.call.services import Books
    from switch.core import Core
    from switch.resolver import Resolver
    from switch.settings import SwitchSettings

__all__ = ["Places", "destinations_of"]

_AGAIN_SECONDS: Final = 60.0
"""How often the names of carriers are looked up; the resolver keeps answers by their TTL."""


def destinations_of(
    settings: SwitchSettings,
    routes: RouteBook,
    bound: Iterable[tuple[str, str, int]],
    resolved: Mapping[str, tuple[str, ...]],
) -> Destinations:
    """Who is where; `bound` are our listeners, `resolved` the addresses of carriers' names."""
    own = [(host, port) for _, host, port in bound]
    advertised = [(settings.advertise, port) for _, port in own] if settings.advertise else []
    pages = [(settings.http.host, settings.http.port)] if settings.http is not None else []
    return Destinations(
        carriers=tuple(
            Carrier(one.gateway_id, one.name, one.host, one.port, one.any_port, resolved.get(one.host, ()))
            for one in routes.gateways.values()
        ),
        server=settings.media_server,
        listeners=(*own, *advertised, *pages),
        controls=settings.relay.addresses,
        own_addresses=settings.own_addresses,
        proxies=settings.trusted_proxies,
        loopback_only=bool(own) and all(_is_loopback(host) for host, _ in own),
    )


def _is_loopback(host: str) -> bool:
    address = literal(host)
    return address is not None and address.is_loopback


class Places:
    """Gives the core new `Destinations` whenever something has changed."""

    def __init__(
        self,
        core: Core,
        books: Books,
        resolver: Resolver,
        settings: Callable[[], SwitchSettings],
        bound: Callable[[], Iterable[tuple[str, str, int]]],
    ) -> None:
        self._core = core
        self._books = books
        self._resolver = resolver
        self._settings = settings
        self._bound = bound
        self._resolved: dict[str, tuple[str, ...]] = {}
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Routes or settings have changed, or listeners are bound: what is known counts at once."""
        self._renew()
        self._changed.set()

    def _renew(self) -> None:
        made = destinations_of(self._settings(), self._books.routes, self._bound(), self._resolved)
        if made != self._core.destinations:
            self._core.destinations = made

    async def run(self) -> None:
        """Look up the names of carriers, for ever."""
        while True:
            self._changed.clear()
            for host, uri in dict(self._names()).items():
                hops = await self._resolver.resolve(uri)
                if hops:  # a name server that fails takes nothing away
                    self._resolved[host] = tuple(dict.fromkeys(hop.host for hop in hops))
            self._renew()
            try:
                await asyncio.wait_for(self._changed.wait(), _AGAIN_SECONDS)
            except TimeoutError:
                continue

    def _names(self) -> Iterator[tuple[str, Uri]]:
        for gateway in self._books.routes.gateways.values():
            if literal(gateway.host) is None:
                params = {} if gateway.transport == "udp" else {"transport": gateway.transport}
                yield gateway.host, Uri("sip", None, gateway.host, gateway.port, params)
