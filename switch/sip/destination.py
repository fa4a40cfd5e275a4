# SPDX-License-Identifier: Apache-2.0
"""Where requests may go: one value that every sender asks. Pure.

What a peer writes (Contact, Path, Record-Route, maddr) is a wish. A dialog of an account stays with the address that
the account signals from, one of a carrier with the addresses of that carrier. Nothing that is written leads to another
carrier, to the media server, to a listener of ours, or to an address that means this machine or many at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import INNER
from switch.sip.message.host import canonical, is_near, is_nobody, is_odd_number, literal
from switch.sip.ways import DEFAULT_PORT, House, Warrant, literal_flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from switch.sip.message.flow import Flow
    from switch.sip.message.uri import Uri
    from switch.sip.ways import Permit

    Network = IPv4Network | IPv6Network

__all__ = ["Carrier", "Destinations", "Place"]

_MOST_PLACES: Final = 65_536
_HOUSEKEEPING: Final = frozenset({"OPTIONS", "REGISTER"})
"""What we ask of a carrier without a call."""
_ENDS: Final = frozenset({"ACK", "BYE", "CANCEL", "PRACK"})
"""Methods that open nothing, whatever they carry."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """A gateway, and where it is."""

    gateway_id: int
    name: str
    host: str
    """As configured: an address or a name."""
    port: int
    any_port: bool = True
    """Any port of its addresses is the carrier."""
    addresses: tuple[str, ...] = ()
    """What its name resolves to, where every port of that is the carrier if `any_port` says so."""
    sockets: tuple[tuple[str, int], ...] = ()
    """What its name resolves to, with the ports that are the carrier in any case."""
    networks: tuple[Network, ...] = ()
    """Where else it calls from, by any port."""

    @property
    def hosts(self) -> set[str]:
        """All its addresses, and its name, in the spelling that they are compared in."""
        return {canonical(host) for host in (self.host, *self.addresses, *(host for host, _ in self.sockets))}

    def is_at(self, host: str, port: int) -> bool:
        """Whether it is there; `host` as in `hosts`."""
        if self.covers(host) or (host, port) in self.sockets or (host == canonical(self.host) and port == self.port):
            return True
        return self.any_port and (host == canonical(self.host) or host in map(canonical, self.addresses))

    def covers(self, host: str) -> bool:
        """Whether an address lies within its networks."""
        address = literal(host) if self.networks else None
        return address is not None and any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Place:
    """An address with somebody behind it whom no phone may be sent to."""

    text: str
    """In words, for a log line."""
    carriers: frozenset[int] = frozenset()
    """Identifiers of the gateways there."""
    is_server: bool = False


_SERVER: Final = Place("the media server", is_server=True)
_OWN: Final = Place("a listener of ours")
_CONTROL: Final = Place("the control of a media relay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Who is where, at this moment; made anew when routes or settings change."""

    carriers: tuple[Carrier, ...] = ()
    server: tuple[str, int] | None = None
    """The media server."""
    listeners: tuple[tuple[str, int], ...] = ()
    """What this machine listens on, and what others know it by; an unspecified address stands for all of ours."""
    controls: tuple[tuple[str, int], ...] = ()
    """Where media relays take commands."""
    own_addresses: tuple[str, ...] = ()
    """Of this machine."""
    proxies: tuple[str, ...] = ()
    """Addresses and names of proxies in front of us: their Path and Record-Route are believed."""
    loopback_only: bool = False
    """We listen on loopback alone: then that is the network, and forwards may lead there."""
    _places: dict[tuple[str, int], Place | None] = field(default_factory=dict, compare=False, repr=False)
    _plain: dict[tuple[str, int], bool] = field(default_factory=dict, compare=False, repr=False)
    _at: dict[str, list[Carrier]] = field(default_factory=dict, compare=False, repr=False)
    _hosts: dict[int, set[str]] = field(default_factory=dict, compare=False, repr=False)
    _wide: list[Carrier] = field(default_factory=list, compare=False, repr=False)
    _proxies: set[str] = field(default_factory=set, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._proxies.update(map(canonical, self.proxies))
        self._wide.extend(carrier for carrier in self.carriers if carrier.networks)
        for carrier in self.carriers:
            hosts = carrier.hosts
            self._hosts.setdefault(carrier.gateway_id, set()).update(hosts)
            for host in hosts:
                self._at.setdefault(host, []).append(carrier)

    # who is there -------------------------------------------------------------------------------------------------
    def place(self, host: str, port: int) -> Place | None:
        """Whom nobody is led to by a peer's word is at this address; None: nobody special."""
        return self.at((host, port))

    def at(self, remote: tuple[str, int]) -> Place | None:
        """Who is at the far end of a flow."""
        try:
            return self._places[remote]
        except KeyError:
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            found = self._places[remote] = self._find(*remote)
            return found

    def _find(self, host: str, port: int) -> Place | None:
        name = canonical(host)
        there = [one for one in (*self._at.get(name, ()), *self._wide) if one.is_at(name, port)]
        if there:
            names = ", ".join(dict.fromkeys(one.name for one in there))
            return Place(f"carrier {names}", frozenset(one.gateway_id for one in there))
        if self.server is not None and self._is_at(self.server, host, port):
            return _SERVER
        if any(self._is_at(one, host, port) for one in self.listeners):
            return _OWN
        if any(self._is_at(one, host, port) for one in self.controls):
            return _CONTROL
        return None

    def _is_at(self, known: tuple[str, int], host: str, port: int) -> bool:
        """Whether (host, port) reaches what listens at `known`: where that is this machine, by any name of ours."""
        if port != known[1]:
            return False
        if canonical(host) == canonical(known[0]):
            return True
        there = literal(known[0])
        return there is not None and (there.is_unspecified or self._is_own(known[0])) and self._is_own(host)

    def _is_own(self, host: str) -> bool:
        address = literal(host)
        if address is None:
            return canonical(host) == "localhost"
        return address.is_loopback or address.is_unspecified or canonical(host) in map(canonical, self.own_addresses)

    def is_house(self, host: str) -> bool:
        """Whether something of ours is at this address, at whatever port."""
        known = (*self.listeners, *self.controls, *((self.server,) if self.server is not None else ()))
        return canonical(host) in {canonical(one) for one in (*self.own_addresses, *(place for place, _ in known))}

    def is_proxy(self, host: str) -> bool:
        """Whether this is a proxy in front of us."""
        return bool(self._proxies) and canonical(host) in self._proxies

    # addresses ----------------------------------------------------------------------------------------------------
    def refusal(self, host: str, port: int, *, source: str | None = None) -> str | None:
        """Why no request may go to an address; None: it may.

        `source` is where the party signals from whom the request is for, if it is one that we hear: it is reached
        there and nowhere else. Without it the party is somebody elsewhere: a SIP URI that an account forwards to.
        """
        address = literal(host)
        if address is None:
            return f"{host} is no address"
        place = self.place(host, port)
        if place is not None:
            return f"{host}:{port} is {place.text}"
        if is_nobody(host):
            return f"{host} is no single machine"
        if source is not None:
            near = host == source or canonical(host) == canonical(source)
            return None if near else f"{host} is not {source}, where it signals from"
        if is_near(address) and not (self.loopback_only and address.is_loopback):
            return f"{host} is this machine or its own wire"
        return None

    def forward_refusal(self, uri: Uri) -> str | None:
        """Why nobody's calls are forwarded to a URI, as far as it can be told before its name is resolved."""
        if "maddr" in uri.params:
            return "maddr is not followed"
        if self.is_proxy(uri.address):
            return f"{uri.address} is a proxy in front of us"
        return self._name_refusal(uri, uri.address)

    def elsewhere_refusal(self, host: str, port: int) -> str | None:
        """Why an address that such a URI leads to is not used."""
        return f"{host} is a proxy in front of us" if self.is_proxy(host) else self.refusal(host, port)

    def carrier_refusal(self, host: str, port: int, *, by_name: bool = False) -> str | None:
        """Why what a carrier's host leads to is not used: it is nobody, or ourselves; None: it is used.

        This machine and its wire are a carrier where they are configured as an address, and never by a name.
        """
        address, place = literal(host), self.place(host, port)
        if address is None or is_nobody(host):
            return f"{host} is no single machine"
        if by_name and is_near(address) and not (self.loopback_only and address.is_loopback):
            return f"{host} is this machine or its own wire"
        return f"{host}:{port} is {place.text}" if place is not None and not place.carriers else None

    def _name_refusal(self, uri: Uri, host: str) -> str | None:
        if literal(host) is not None:
            return self.refusal(host, uri.port or DEFAULT_PORT)
        if is_odd_number(host):
            return f"{host} is an address in disguise"
        place = self.place(host, uri.port or DEFAULT_PORT)
        if place is not None:
            return f"{host} is {place.text}"
        if canonical(host) == "localhost" and not self.loopback_only:
            return f"{host} is this machine"
        return None

    # registrations ------------------------------------------------------------------------------------------------
    def path_refusal(self, path: Sequence[str], source: str) -> str | None:
        """Why a Path is not believed that came from an address (RFC 3327); raises ParseError."""
        if not self.is_proxy(source):
            return f"{source} sends Path and is not one of sip.trusted_proxies"
        return next((why for value in path if (why := self._hop_refusal(value))), None)

    def _hop_refusal(self, value: str) -> str | None:
        uri = NameAddr.parse(value if "<" in value else f"<{value}>").uri
        host = uri.params.get("maddr") or uri.address
        if not self.is_proxy(host):
            return f"Path leads to {host}, which is not one of sip.trusted_proxies"
        place = self.place(host, uri.port or DEFAULT_PORT)
        return None if place is None else f"Path leads to {place.text}"

    def binding_refusal(self, contact: Uri, path: Sequence[str], flow: Flow) -> str | None:
        """Why a binding may not be used; `flow` leads to who registered it: the phone, or the proxy that sent Path."""
        if not path and self.is_plain(flow.remote):
            return None
        host, port = flow.remote
        try:
            why = self.path_refusal(path, host) if path else self.refusal(host, port, source=host)
            return why or self.target_refusal(contact, flow)
        except ParseError as error:
            return error.reason

    def is_plain(self, remote: tuple[str, int]) -> bool:
        """Whether who signals from there may be registered, whatever his Contact; kept, as nearly all phones ask."""
        plain = self._plain.get(remote)
        if plain is None:
            if len(self._plain) >= _MOST_PLACES:
                self._plain.clear()
            why = self.refusal(*remote, source=remote[0])
            plain = self._plain[remote] = why is None and not self.is_proxy(remote[0])
        return plain

    # dialogs ------------------------------------------------------------------------------------------------------
    def next_hop(self, uri: Uri, flow: Flow) -> Flow:
        """Where a request goes in a dialog whose peer signals over `flow`: there, or to a neighbour of the same party.

        maddr is not followed.
        """
        if flow.transport == INNER:
            return flow
        there = literal_flow(uri, flow)
        return there if there is flow or self._is_same_party(flow.remote, there.remote) else flow

    def _is_same_party(self, here: tuple[str, int], there: tuple[str, int]) -> bool:
        mine, theirs = self.place(*here), self.place(*there)
        if mine is None and theirs is not None:
            return False
        if mine is not None and mine.carriers:
            return self._hosts_carrier(mine.carriers, there[0]) and (theirs is None or theirs.carriers == mine.carriers)
        if mine is not None:
            return False
        if self.is_proxy(here[0]):
            return self.is_proxy(there[0])
        return canonical(here[0]) == canonical(there[0])

    def _hosts_carrier(self, carriers: Iterable[int], host: str) -> bool:
        name, known = canonical(host), frozenset(carriers)
        return any(name in self._hosts[number] for number in known) or any(
            one.gateway_id in known and one.covers(name) for one in self._wide
        )

    def route_set(self, values: Sequence[str], flow: Flow) -> list[str]:
        """A carrier's whole, as it stays inside his house; a proxy's, up to who is no proxy of ours; a phone's, where
        it begins at the phone's own address. Raises ParseError."""
        if not values or flow.transport == INNER:
            return []
        place = self.place(*flow.remote)
        if place is not None:
            return list(values) if place.carriers else []
        if self.is_proxy(flow.remote[0]):
            believed: list[str] = []
            for value in values:
                if self._hop_refusal(value) is not None:
                    break
                believed.append(value)
            return believed
        first = NameAddr.parse(values[0]).uri
        own = (first.address, first.port or DEFAULT_PORT)
        return list(values) if "maddr" not in first.params and self._is_same_party(flow.remote, own) else []

    def follows(self, old: Flow, new: Flow) -> bool:
        """A phone may change its network, but never becomes a carrier, a proxy, or one of us; the others stay."""
        if old.remote == new.remote:
            return True
        if INNER in (old.transport, new.transport):
            return False
        if self.place(*old.remote) is not None or self.is_proxy(old.remote[0]):
            return self._is_same_party(old.remote, new.remote)
        return self.refusal(*new.remote, source=new.remote[0]) is None and not self.is_proxy(new.remote[0])

    def target_refusal(self, uri: Uri, flow: Flow) -> str | None:
        """A proxy in front of us follows what we tell it: there a Contact must not lead astray.

        Everybody else is reached over his own flow, whatever his Contact says.
        """
        if not self._proxies or flow.transport == INNER or not uri.is_sip or not self.is_proxy(flow.remote[0]):
            return None
        hosts = (uri.address, *filter(None, (uri.params.get("maddr"),)))
        return next((why for host in hosts if (why := self._behind_proxy(uri, host, flow))), None)

    def _behind_proxy(self, uri: Uri, host: str, flow: Flow) -> str | None:
        address, proxy = literal(host), literal(flow.remote[0])
        if address is not None and proxy is not None and address.is_loopback and proxy.is_loopback:
            place = self.place(host, uri.port or DEFAULT_PORT)
            return None if place is None else f"{host} is {place.text}"
        return self._name_refusal(uri, host)

    # the last wall ------------------------------------------------------------------------------------------------
    def fault(self, flow: Flow, method: str, permit: Permit | None, *, opens: bool) -> str | None:
        """Why a request must not leave at all, whoever sends it; None: it may.

        `opens`: it has no To tag. What opens something at a carrier has a warrant, at the media server our own permit.
        """
        if flow.transport == INNER:
            return None
        place = self.place(*flow.remote)
        if place is None:
            return None
        if not place.carriers and not place.is_server:
            return f"{method} to {place.text}"
        if not opens or method in _ENDS:
            return None
        if place.carriers and permit is House.CARRIER and method in _HOUSEKEEPING:
            return None
        if place.carriers and not isinstance(permit, Warrant):
            return f"a new {method} to {place.text} belongs to no call in the store"
        is_ours = permit is not None and permit is not House.CARRIER
        return None if is_ours else f"a new {method} to {place.text} by nobody of us"
