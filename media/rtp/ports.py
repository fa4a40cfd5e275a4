# SPDX-License-Identifier: Apache-2.0
"""UDP ports for media: even and odd pairs (RFC 3550 section 11) in random order, resting between two calls."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
from collections import deque
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Protocol, TypeAlias

from media.rtp.localaddress import report_local_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

__all__ = [
    "Bound",
    "NoPortsError",
    "Opener",
    "PortPair",
    "PortPool",
    "address_of_default_route",
    "addresses_of",
    "allow_many_sockets",
    "hosts_of",
    "open_pair",
]

MAX_TRIES = 64
"""How many occupied pairs are skipped for one request."""
IPTOS_DSCP_SHIFT = 2


class NoPortsError(Exception):
    """No pair of ports is to be had now."""


@dataclass(frozen=True, slots=True)
class PortPair:
    """Two bound non-blocking UDP sockets: RTP on the even port, RTCP on the next."""

    rtp: socket.socket
    rtcp: socket.socket
    port: int
    family: int
    """4 or 6."""

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


Opener: TypeAlias = "Callable[[int, int], PortPair]"
"""Opens the pair that begins at a port, for family 4 or 6; OSError where one of the two is in use."""


class PortPool:
    """The pairs within `ports` (first and last). Those in use by others on this machine are skipped."""

    def __init__(self, ports: tuple[int, int], opener: Opener, quarantine_seconds: float, random: Random) -> None:
        self._opener = opener
        self._quarantine_seconds = quarantine_seconds
        self._random = random
        self._taken: set[int] = set()
        self._resting: deque[tuple[float, int]] = deque()
        self._free: deque[int] = deque()
        self._ports: tuple[int, int] = (0, 0)
        self.set_ports(ports)

    def set_ports(self, ports: tuple[int, int]) -> None:
        """Take pairs from another range from now on; those in use stay until they are released."""
        if ports == self._ports:
            return
        self._ports = ports
        busy = self._taken | {port for _, port in self._resting}
        pairs = [port for port in range(ports[0] + ports[0] % 2, ports[1], 2) if port not in busy]
        self._random.shuffle(pairs)  # predictable ports would invite injection
        self._free = deque(pairs)

    def take(self, family: int, now: float) -> PortPair:
        """A bound pair. Raises NoPortsError."""
        self._wake(now)
        for _ in range(min(MAX_TRIES, len(self._free))):
            port = self._free.popleft()
            try:
                pair = self._opener(port, family)
            except OSError as error:
                self._resting.append((now + self._quarantine_seconds, port))
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise NoPortsError(f"no media port can be opened: {error.strerror or error}") from error
            self._taken.add(port)
            return pair
        raise NoPortsError(f"all media ports of {self._ports[0]}-{self._ports[1]} are in use or resting")

    def release(self, pair: PortPair, now: float) -> None:
        """Close the pair; its ports rest before they are given out again."""
        pair.close()
        self._taken.discard(pair.port)
        self._resting.append((now + self._quarantine_seconds, pair.port))

    def _wake(self, now: float) -> None:
        while self._resting and self._resting[0][0] <= now:
            _, port = self._resting.popleft()
            if self._ports[0] <= port < self._ports[1]:
                self._free.append(port)


def open_pair(hosts: dict[int, str], dscp: int) -> Opener:
    """An opener that binds to the host of a family (4 or 6)."""

    def opener(port: int, family: int) -> PortPair:
        rtp = _bind(hosts[family], port, dscp)
        try:
            return PortPair(rtp, _bind(hosts[family], port + 1, dscp), port, family)
        except OSError:
            rtp.close()
            raise

    return opener


def _bind(host: str, port: int, dscp: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << IPTOS_DSCP_SHIFT)
        else:
            bound.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << IPTOS_DSCP_SHIFT)
        report_local_address(bound, enabled=True)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def address_of_default_route(family: int) -> IPv4Address | IPv6Address:
    """The local address that packets to the outside leave from; the loopback address on a machine without a route."""
    # Documentation addresses (RFC 5737, RFC 3849): connecting a UDP socket sends nothing.
    kind, outside = (socket.AF_INET6, "2001:db8::1") if family == 6 else (socket.AF_INET, "192.0.2.1")
    parse = IPv6Address if family == 6 else IPv4Address
    with socket.socket(kind, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((outside, 9))
        except OSError:
            return parse("::1" if family == 6 else "127.0.0.1")
        return parse(probe.getsockname()[0])


class Bound(Protocol):
    """Settings that say where media sockets are; see `media.settings`."""

    @property
    def rtp_host(self) -> str: ...
    @property
    def advertise(self) -> str | None: ...
    @property
    def rtp_host_ipv6(self) -> str | None: ...
    @property
    def advertise_ipv6(self) -> str | None: ...


def hosts_of(settings: Bound) -> dict[int, str]:
    """Bind addresses by family."""
    hosts = {4: settings.rtp_host}
    if settings.rtp_host_ipv6 is not None:
        hosts[6] = settings.rtp_host_ipv6
    return hosts


def addresses_of(settings: Bound) -> dict[int, IPv4Address | IPv6Address]:
    """The addresses that go into SDP, by family."""
    advertised = {4: settings.advertise, 6: settings.advertise_ipv6}
    return {family: _own_address(family, host, advertised[family]) for family, host in hosts_of(settings).items()}


def _own_address(family: int, host: str, advertised: str | None) -> IPv4Address | IPv6Address:
    address = ip_address(advertised or host)
    return address_of_default_route(family) if address.is_unspecified else address


def allow_many_sockets() -> None:
    """A relayed call takes four sockets a stream, a session two; the usual soft limit of 1024 files is soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
