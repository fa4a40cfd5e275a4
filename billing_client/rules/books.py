# SPDX-License-Identifier: Apache-2.0
"""Rates and routes, and snapshots of them that are held in memory and searched by longest prefix.

A prefix of up to 18 digits is kept as one integer (a 1, then its digits), sorted, 20 bytes a rate in all: looking up
takes one binary search for each length of prefix that the tariff has, so a million rates cost what a hundred do but
for a logarithm. Terms that many rates share (name, prices, dates) are held once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from typing import TYPE_CHECKING, Literal, NamedTuple

from billing_client.rules.callerid import NO_STYLE
from billing_client.rules.numbering import as_address, digits_of, e164, is_global

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from billing_client.rules.callerid import CarrierStyle
    from billing_client.rules.vouching import Identifies

__all__ = [
    "EmergencyRoute",
    "ForwardedCaller",
    "Gateway",
    "NumberFormat",
    "Rate",
    "RateBook",
    "Route",
    "RouteBook",
    "Routing",
    "TariffTable",
    "Terms",
    "prefixed",
]

ForwardedCaller = Literal["original", "forwarder"]
Routing = Literal["order", "cost"]
"""The order of the routes, or what the carriers cost."""
NumberFormat = Literal["digits", "e164"]
"""`420777123001` or `+420777123001`."""

MAX_PREFIX_DIGITS = 18
DEFAULT_PORT = 5060


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of calls to numbers that begin with `prefix`; prices are per minute."""

    rate_id: int
    prefix: str
    destination: str
    country: str
    connect_fee: Decimal
    first_increment: int
    """Seconds that are charged as soon as the call is answered; at least 1."""
    next_increment: int
    """Seconds by which the charged time grows after that; at least 1."""
    first_price: Decimal
    next_price: Decimal
    effective_from: datetime
    effective_to: datetime | None
    """First instant at which the rate no longer holds."""
    blocked: bool = False
    """Calls to this destination are refused."""

    @property
    def is_free(self) -> bool:
        """True if a call costs nothing however long it lasts."""
        return not (self.connect_fee or self.first_price or self.next_price)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A connection to a carrier, known by its address."""

    gateway_id: int
    name: str
    host: str
    port: int | None
    """None: the usual one of an address; of a name whatever the DNS says (RFC 3263)."""
    transport: str
    enabled: bool = True
    inbound: bool = True
    """Calls from its address are accepted without authentication."""
    outbound: bool = True
    any_port: bool = True
    """Calls from any source port of the address are this gateway's, not only from `port`."""
    username: str | None = None
    password: str | None = None
    number_format: NumberFormat = "digits"
    """How it wants numbers of the whole world, in Request-URI, To and identities."""
    forwarded_caller: ForwardedCaller = "original"
    """What it gets in From of a call whose caller is somebody else than the account that pays: the caller's number, or
    the account's."""
    identifies: Identifies = "no"
    """Whether the numbers that it brings say who calls."""
    style: CarrierStyle = NO_STYLE
    """How it wants to be told who calls."""
    vendor: str = ""
    """Whose connection it is."""
    addresses: tuple[str, ...] = ()
    """Where requests to it are sent instead of to `host`, in this order: HOST or HOST:PORT."""
    sources: tuple[str, ...] = ()
    """Where else calls of it come from: addresses and networks."""
    registers: bool = False
    """It wants us to register."""
    register_seconds: int = 600
    """How long a registration shall last."""
    realm: str = ""
    """The only realm whose challenges are answered; empty: any."""
    cost_tariff_id: int | None = None
    """What its calls cost us; None: not known."""

    @property
    def places(self) -> tuple[tuple[str, int | None], ...]:
        """Where requests to it are sent, in the order to try."""
        return tuple(map(_host_and_port, self.addresses)) or ((self.host, self.port),)

    @property
    def line(self) -> str:
        """The user part of our Contact where we register: what tells several lines at one address apart."""
        return f"line-{self.gateway_id}"

    def __repr__(self) -> str:
        """Without the credentials, so that they cannot reach a log."""
        return f"Gateway({self.name!r}, {self.transport}:{self.place})"

    @property
    def place(self) -> str:
        """Host and port, as far as they are set."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Route:
    """Numbers that begin with `prefix` may leave through `gateway`, lower `order` first."""

    gateway: Gateway
    prefix: str
    order: int
    strip: int = 0
    """Leading digits to remove."""
    prepend: str = ""
    """Digits to put before the rest; they may begin with a +, which is for numbers of E.164."""
    cost: Rate | None = None
    """What a call costs us there, where that has been looked up."""

    @property
    def _has_plus(self) -> bool:
        return self.gateway.number_format == "e164" or self.prepend.startswith("+")

    def number(self, dialled: str) -> str:
        """The dialled number as this gateway wants it."""
        number = self.prepend + dialled[self.strip :]
        return e164(number) if self.gateway.number_format == "e164" else number

    def identity(self, number: str) -> str:
        """The number of a caller, or of who was called first, as this gateway wants it."""
        return e164(number) if self._has_plus else number

    def caller(self, number: str) -> str:
        """The number of a caller, where this gateway has a wish of its own for those."""
        wanted = self.gateway.style.number_format
        return e164(number) if wanted == "e164" or (not wanted and self._has_plus) else number


class Terms(NamedTuple):
    """What a rate says apart from its prefix; field for field as in `Rate`."""

    destination: str
    country: str
    connect_fee: Decimal
    first_increment: int
    next_increment: int
    first_price: Decimal
    next_price: Decimal
    effective_from: datetime
    effective_to: datetime | None
    blocked: bool

    def hold_at(self, at: datetime) -> bool:
        """True if `at` lies within the effective dates (from inclusive, to exclusive)."""
        return self.effective_from <= at and (self.effective_to is None or at < self.effective_to)


class TariffTable:
    """The rates of one tariff; `append` them by length of prefix, then prefix, then newest first."""

    __slots__ = (
        "_ids", "_index", "_keys", "_lengths", "_shared", "_terms", "currency", "least_margin", "revision", "routing",
    )  # fmt: skip

    def __init__(self, currency: str = "", revision: int = 0) -> None:
        """`revision` tells one state of the tariff from another."""
        self.currency = currency
        self.revision = revision
        self.routing: Routing = "order"
        """By what the carriers of a call are put in order."""
        self.least_margin: Decimal | None = None
        """What a minute must leave of its price; None: anything, also less than nothing."""
        self._keys = array("Q")
        self._ids = array("q")
        self._index = array("I")
        self._terms: list[Terms] = []
        self._shared: dict[Terms, int] = {}
        self._lengths: list[int] = []

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def longest(self) -> int:
        """Digits of its longest prefix."""
        return self._lengths[-1] if self._lengths else 0

    def append(self, rate_id: int, prefix: str, terms: Terms) -> None:
        """Add a rate after those before it; ValueError if it is out of order or the prefix is not digits."""
        key = _key(prefix)
        if self._keys and key < self._keys[-1]:
            raise ValueError(f"rate {prefix} is out of order")
        index = self._shared.setdefault(terms, len(self._terms))
        if index == len(self._terms):
            self._terms.append(terms)
        self._keys.append(key)
        self._ids.append(rate_id)
        self._index.append(index)
        if not self._lengths or self._lengths[-1] != len(prefix):
            self._lengths.append(len(prefix))

    def rate_for(self, digits: str, at: datetime) -> Rate | None:
        """The rate of the longest prefix that holds at `at`."""
        for length in reversed(self._lengths):
            if length > len(digits):
                continue
            prefix = digits[:length]
            key = int("1" + prefix)
            position = bisect_left(self._keys, key)
            while position < len(self._keys) and self._keys[position] == key:
                terms = self._terms[self._index[position]]
                if terms.hold_at(at):
                    return Rate(self._ids[position], prefix, *terms)
                position += 1
        return None

    def matching(self, digits: str) -> list[Rate]:
        """Every rate whose prefix matches, in force or not: longest prefix first, then newest."""
        found: list[Rate] = []
        for length in reversed(self._lengths):
            if length > len(digits):
                continue
            key = int("1" + digits[:length])
            position = bisect_left(self._keys, key)
            while position < len(self._keys) and self._keys[position] == key:
                found.append(Rate(self._ids[position], digits[:length], *self._terms[self._index[position]]))
                position += 1
        return found


class RateBook:
    """All tariffs."""

    def __init__(self, tariffs: Mapping[int, TariffTable]) -> None:
        """`tariffs` by identifier."""
        self.tariffs = tariffs
        self.choices: dict[tuple[object, ...], object] = {}
        """What was chosen by these tariffs, kept by whoever chooses."""

    @cached_property
    def longest(self) -> int:
        """Digits of the longest prefix of all."""
        return max((table.longest for table in self.tariffs.values()), default=0)

    @classmethod
    def of(cls, tariffs: Mapping[int, Iterable[Rate]], currency: str = "USD") -> RateBook:
        """A book of a few given rates, in any order."""
        return cls({tariff_id: _table(rates, currency) for tariff_id, rates in tariffs.items()})

    def __len__(self) -> int:
        return sum(map(len, self.tariffs.values()))

    def currency(self, tariff_id: int) -> str | None:
        """The currency of a tariff; None if there is no such tariff."""
        table = self.tariffs.get(tariff_id)
        return None if table is None else table.currency

    def rate_for(self, tariff_id: int, number: str, at: datetime) -> Rate | None:
        """The rate of the longest prefix of `number` that is in force at `at`; None if there is none.

        A leading + does not count. What is no number, be it that a number begins it, matches the empty prefix alone.
        """
        table = self.tariffs.get(tariff_id)
        return None if table is None else table.rate_for(prefixed(number), at)

    def matching(self, tariff_id: int, number: str) -> list[Rate]:
        """Every rate of a tariff whose prefix `number` begins with, in force or not, longest prefix first."""
        table = self.tariffs.get(tariff_id)
        return [] if table is None else table.matching(prefixed(number))


@dataclass(frozen=True, slots=True)
class EmergencyRoute:
    """Calls for help of phones in a country and area may leave through `gateway`, lower `order` first."""

    gateway: Gateway
    number: str
    """The emergency number; empty: any. The same of the next two."""
    country: str
    area: str
    order: int
    send: str = ""
    """The number that the gateway gets; empty: as it was dialled."""

    def serves(self, number: str, country: str, area: str) -> bool:
        """Whether it is for this number, dialled there."""
        is_there = self.country in {"", country} and self.area in {"", area}
        return is_there and self.number in {"", number} and self.gateway.enabled and self.gateway.outbound

    @property
    def rank(self) -> tuple[bool, bool, bool, int]:
        """What is said of one place, then of one number, goes before what is said of all."""
        return not self.area, not self.country, not self.number, self.order


class RouteBook:
    """Gateways and the prefixes that they serve, and the addresses that accounts call from."""

    def __init__(
        self,
        gateways: Iterable[Gateway],
        routes: Iterable[Route],
        addresses: Iterable[str] = (),
        networks: Iterable[tuple[str, str]] = (),
        emergency: Iterable[EmergencyRoute] = (),
    ) -> None:
        """Disabled gateways and routes through them are left out. `addresses`: names of accounts that are IP addresses;
        what only looks like one is left out. `networks` of trunks, each with the number of its account."""
        self._networks: dict[tuple[int, int], dict[int, str]] = {}
        for written, number in networks:
            network = ip_network(written)
            shift = network.max_prefixlen - network.prefixlen
            held = self._networks.setdefault((network.version, shift), {})
            held[int(network.network_address) >> shift] = number
        self._accounts = {address: name for name in addresses if (address := as_address(name)) is not None}
        self.gateways = {gateway.gateway_id: gateway for gateway in gateways}
        enabled = [gateway for gateway in self.gateways.values() if gateway.enabled]
        inbound = [gateway for gateway in enabled if gateway.inbound]
        self.lines = {gateway.line: gateway for gateway in inbound if gateway.registers}
        """By the user part of our Contact there."""
        self._by_address = {(gateway.host, gateway.port or DEFAULT_PORT): gateway for gateway in inbound}
        self._by_host = {gateway.host: gateway for gateway in inbound if gateway.any_port}
        self._by_prefix: dict[str, list[Route]] = {}
        self._closed: list[Route] = []
        for route in sorted(routes, key=lambda route: route.order):
            if not (route.gateway.enabled and route.gateway.outbound):
                self._closed.append(route)
            else:
                self._by_prefix.setdefault(route.prefix, []).append(route)
        self._longest = max(map(len, self._by_prefix), default=0)
        self._emergency = sorted(emergency, key=lambda one: one.rank)

    def routes_for(self, number: str, alone: Container[str] = ()) -> tuple[Route, ...]:
        """Routes in the order to try: longest prefix first, then by `order`; a gateway at most once.

        A prefix in `alone` (an emergency number) serves that number and no longer one.
        """
        digits = prefixed(number)
        found: dict[int, Route] = {}
        for length in range(min(self._longest, len(digits)), -1, -1):
            prefix = digits[:length]
            if length < len(digits) and prefix in alone:
                continue
            for route in self._by_prefix.get(prefix, ()):
                found.setdefault(route.gateway.gateway_id, route)
        return tuple(found.values())

    def emergency_routes_for(self, number: str, country: str, area: str) -> tuple[Route, ...]:
        """Routes of a call for help from there, in the order to try; a gateway at most once. After those of the place
        come routes for just this number, then those for everything: never those that it only begins like."""
        found: dict[int, Route] = {}
        for one in self._emergency:
            if one.serves(number, country, area):
                route = Route(one.gateway, number, one.order, strip=len(number), prepend=one.send or number)
                found.setdefault(one.gateway.gateway_id, route)
        for route in self.routes_for(number):
            # a short number begins like the numbers of some country, and is none of it
            if is_global(number) or route.prefix in (number, ""):
                found.setdefault(route.gateway.gateway_id, route)
        return tuple(found.values())

    def closed_routes_for(self, number: str) -> list[Route]:
        """Routes that would serve the number, were their gateway not disabled or for incoming calls only."""
        digits = prefixed(number)
        return [route for route in self._closed if digits.startswith(route.prefix)]

    def gateway_at(self, host: str, port: int) -> Gateway | None:
        """The gateway that sends from this address; one that names the port goes first."""
        return self._by_address.get((host, port)) or self._by_host.get(host)

    def account_at(self, host: str) -> str | None:
        """The name of the account whose calls come from this IP address."""
        if not (self._accounts or self._networks):
            return None
        address = as_address(host)
        if address is None:
            return None
        name, number = self._accounts.get(address), int(address)
        found = (held.get(number >> shift) for (version, shift), held in self._networks.items()
                 if version == address.version)  # fmt: skip
        return name or next(filter(None, found), None)


def _table(rates: Iterable[Rate], currency: str) -> TariffTable:
    table = TariffTable(currency)
    newest_first = sorted(rates, key=lambda rate: rate.effective_from, reverse=True)
    for rate in sorted(newest_first, key=lambda rate: (len(rate.prefix), rate.prefix)):
        terms = Terms._make(getattr(rate, field) for field in Terms._fields)
        table.append(rate.rate_id, rate.prefix, terms)
    return table


def _host_and_port(text: str) -> tuple[str, int | None]:
    """HOST, HOST:PORT or [HOST]:PORT; the document has seen to the spelling."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, int(port[1:]) if port else None
    host, colon, port = text.partition(":")
    return (text, None) if ":" in port else (host, int(port) if colon else None)


def _key(prefix: str) -> int:
    if len(prefix) > MAX_PREFIX_DIGITS or prefix != digits_of(prefix):
        raise ValueError(f"prefix {prefix!r} is not up to {MAX_PREFIX_DIGITS} digits")
    return int("1" + prefix)


def prefixed(number: str) -> str:
    """The digits of a number, without its +: what prefixes are compared with. Empty for what is no number: nothing is
    priced or routed by how it begins."""
    return digits_of(number.removeprefix("+"))
