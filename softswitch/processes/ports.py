# SPDX-License-Identifier: Apache-2.0
"""Whether the ports of a configuration are free, and who has those that are not."""

from __future__ import annotations

import errno
import random
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from softswitch.config import claims

if TYPE_CHECKING:
    from softswitch.config import Claim, Configuration, Endpoint

__all__ = ["TakenPort", "free_port", "reserve", "taken_ports"]

TRIED_PORTS = range(10_000, 18_000)
"""Below those that Linux gives to clients by itself (net.ipv4.ip_local_port_range), and below the usual media ports."""
_reserved: list[socket.socket] = []
"""Held until this process ends."""


@dataclass(frozen=True, slots=True)
class TakenPort:
    """A port that cannot be opened."""

    claim: Claim
    reason: str
    line: int | None
    file_name: str

    def __str__(self) -> str:
        place = f"{self.file_name}:{self.line}" if self.line else f"{self.file_name} (by default)"
        return f"{self.claim.endpoint} {self.reason}; {place}: {self.claim.path}"


def taken_ports(configuration: Configuration) -> list[TakenPort]:
    """The claimed ports that cannot be opened now."""
    found = []
    for claim in claims(configuration):
        reason = _refusal(claim.endpoint)
        if reason:
            line = configuration.lines.get(claim.path) or configuration.lines.get(claim.path.partition("[")[0])
            found.append(TakenPort(claim, reason, line, configuration.file.name))
    return found


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has now, for UDP and TCP: for systems that are started to be tried or tested.

    It is given out once: nobody on this machine who asks here gets it again while this process runs.
    """
    while True:
        port = random.choice(TRIED_PORTS)
        with ExitStack() as probes:
            try:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    probes.enter_context(socket.socket(socket.AF_INET, kind)).bind((host, port))
            except OSError:
                continue
            if reserve(f"port/{port}"):
                return port


def reserve(name: str) -> bool:
    """Whether a name is this process's alone from now until it ends, among all that share its ports."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0softswitch/{name}")  # an abstract name of Linux: it leaves no file, and goes with the process
    except OSError:
        claim.close()
        return False
    _reserved.append(claim)
    return True


def _refusal(endpoint: Endpoint) -> str | None:
    """Why the address cannot be bound, or None."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    kind = socket.SOCK_DGRAM if endpoint.transport == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:  # as servers do: connections of an earlier run may linger in TIME_WAIT
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((endpoint.host, endpoint.port))
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"is in use{_holder(endpoint)}"
            if error.errno == errno.EADDRNOTAVAIL:
                return "is no address of this machine"
            if error.errno == errno.EACCES:
                return "needs root: ports below 1024 are privileged"
            return f"cannot be opened: {error.strerror}"
    return None


def _holder(endpoint: Endpoint) -> str:
    """` by NAME (process N)` where this user may see it."""
    try:
        for connection in psutil.net_connections(endpoint.transport):
            listens = endpoint.transport == "udp" or connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr and connection.laddr.port == endpoint.port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess, PermissionError):
        pass
    return ""
