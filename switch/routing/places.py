# SPDX-License-Identifier: Apache-2.0
"""Who is where: `Destinations` made of settings, routes and what is bound, and kept up to date.

Carriers that are known by a name are resolved beside the calls: so who calls from there is known to be one, no phone is
sent there, and the first call need not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, Protocol

from switch.routing.carriers.uris import place_uri
from switch.sip.destination import Carrier, Destinations
from switch.sip.message.host import literal
from switch.sip.ways import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from billing_client.rules.books import Gateway, RouteBook
    from switch.routing.plan import Books
    from switch.settings import SwitchSettings
    from switch.sip.element.core import Core
    from switch.sip.element.resolver import Resolver
    from switch.sip.message.uri import Uri
    from switch.sip.transport.flood import FloodGuard

__all__ = ["PhoneSources", "Phones", "Places", "destinations_of"]

_AGAIN_SECONDS: Final = 5.0
"""How often the names of carriers are looked at; the resolver asks again when the TTL of an answer has run out."""
_PATIENCE_SECONDS: Final = 10.0
_KEPT_SECONDS: Final = 86_400.0
"""How long a name that leads nowhere any more is still what it was (RFC 8767)."""

log = logging.getLogger(__name__)

Name = tuple[str, int | None, str]
"""Host, port and transport of a gateway."""


class Phones(Protocol):
    """Where phones of ours are."""

    def are_at(self, host: str) -> bool:
        """Whether phones log in from an address."""

    def is_at(self, host: str, port: int) -> bool:
        """Whether one is registered from exactly there."""


class Registered(Protocol):
    """The bindings of phones."""

    def is_reached_at(self, host: str, port: int) -> bool:
        """Whether a phone is registered from exactly there."""


class PhoneSources:
    """What the flood guard and the location service know of them."""

    def __init__(self, flood: FloodGuard, location: Registered) -> None:
        self._flood = flood
        self._location = location

    def are_at(self, host: str) -> bool:
        """Whether somebody has lately shown his password from an address."""
        return self._flood.has_phones(host, time.monotonic())

    def is_at(self, host: str, port: int) -> bool:
        """Whether one is registered from exactly there."""
        return self.are_at(host) and self._location.is_reached_at(host, port)


def destinations_of(
    settings: SwitchSettings,
    routes: RouteBook,
    bound: Iterable[tuple[str, str, int]],
    resolved: Mapping[Name, tuple[tuple[str, int], ...]],
    phones: Phones | None = None,
) -> Destinations:
    """Who is where; `bound` are our listeners, `resolved` what carriers' names lead to."""
    own = [(host, port) for _, host, port in bound]
    advertised = [(settings.advertise, port) for _, port in own] if settings.advertise else []
    pages = [(settings.http.host, settings.http.port)] if settings.http is not None else []
    gateways = routes.gateways.values()
    at_addresses = tuple(carrier for one in gateways for carrier in _fixed(one))
    by_names = [(one, name) for one in gateways for name in _names_of(one)]
    made = partial(
        Destinations,
        server=settings.media_server,
        listeners=(*own, *advertised, *pages),
        controls=settings.relay.addresses,
        own_addresses=settings.own_addresses,
        proxies=settings.trusted_proxies,
        loopback_only=bool(own) and all(_is_loopback(host) for host, _ in own),
    )
    fixed = made(carriers=at_addresses)
    if not by_names:
        return fixed
    named = (_named(one, name, resolved.get(name, ()), fixed, routes, phones) for one, name in by_names)
    return made(carriers=(*at_addresses, *named))


def _names_of(gateway: Gateway) -> list[Name]:
    """Its places that are to be resolved."""
    return [(host, port, gateway.transport) for host, port in gateway.places if literal(host) is None]


def _fixed(gateway: Gateway) -> Iterator[Carrier]:
    """Where it is without asking anybody: its addresses, and the networks that it calls from."""
    places = dict.fromkeys(((gateway.host, gateway.port), *gateway.places))
    yield from (_carrier(gateway, host, port) for host, port in places if literal(host) is not None)
    if gateway.sources:
        networks = tuple(ip_network(source, strict=False) for source in gateway.sources)
        yield replace(_carrier(gateway, gateway.host, gateway.port), networks=networks)


def _carrier(gateway: Gateway, host: str, port: int | None) -> Carrier:
    return Carrier(gateway.gateway_id, gateway.name, host, port or DEFAULT_PORT, gateway.any_port)


def _named(
    gateway: Gateway,
    name: Name,
    found: tuple[tuple[str, int], ...],
    fixed: Destinations,
    routes: RouteBook,
    phones: Phones | None,
) -> Carrier:
    """A carrier by name: no name makes one of us, of an account, or of a phone of ours.

    Where phones of ours, or we, share the address with it, only its ports are the carrier.
    """
    sockets = tuple(
        (host, port)
        for host, port in found
        if fixed.carrier_refusal(host, port, by_name=True) is None
        and routes.account_at(host) is None
        and (phones is None or not phones.is_at(host, port))
    )
    alone = (host for host, _ in sockets if not fixed.is_house(host) and (phones is None or not phones.are_at(host)))
    return replace(_carrier(gateway, *name[:2]), addresses=tuple(dict.fromkeys(alone)), sockets=sockets)


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
        phones: Phones | None = None,
    ) -> None:
        self._core = core
        self._books = books
        self.resolver = resolver
        self._settings = settings
        self._bound = bound
        self._phones = phones
        self._resolved: dict[Name, tuple[tuple[str, int], ...]] = {}
        self._seen_at: dict[Name, float] = {}
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Routes or settings have changed, or listeners are bound: what is known counts at once."""
        self._renew()
        self._changed.set()

    def _renew(self) -> None:
        made = destinations_of(self._settings(), self._books.routes, self._bound(), self._resolved, self._phones)
        if made != self._core.destinations:
            self._core.destinations = made

    async def run(self) -> None:
        """Look up the names of carriers, for ever, beside the calls; a name that takes long holds up no other."""
        while True:
            self._changed.clear()
            names = dict(self._names())
            for gone in self._resolved.keys() - names.keys():
                del self._resolved[gone]
            await asyncio.gather(*(self._look_up(name, uri) for name, uri in names.items()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _AGAIN_SECONDS)

    async def _look_up(self, name: Name, uri: Uri) -> None:
        """A name server that fails takes nothing away."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                hops = await self.resolver.resolve(uri, every=True)
        except TimeoutError:
            hops = []
        now = self._core.now()
        if hops:
            self._seen_at[name] = now
            sockets = tuple(sorted({(hop.host, hop.port) for hop in hops}))
            if sockets != self._resolved.get(name):
                log.info("a carrier's name was resolved", extra={"host": name[0], "addresses": sockets})
            self._resolved[name] = sockets
        elif now - self._seen_at.get(name, now) > _KEPT_SECONDS:
            self._resolved.pop(name, None)
        self._renew()

    def _names(self) -> Iterator[tuple[Name, Uri]]:
        for gateway in self._books.routes.gateways.values():
            for name in _names_of(gateway):
                yield name, place_uri(gateway, *name[:2])
