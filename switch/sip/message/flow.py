# SPDX-License-Identifier: Apache-2.0
"""Where messages come from and go to, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from switch.sip.message.host import with_port

__all__ = ["INNER", "INNER_FLOW", "Flow", "Hop", "Listen"]

INNER: Final = "inner"
"""The transport of what an element sends to itself. Nothing from outside comes by it."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop after RFC 3263: transport ("udp", "tcp"), literal IP address, port."""

    transport: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Listen:
    """A local address: `transport` is "udp" or "tcp", `host` a literal IP address."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport}:{with_port(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class Flow:
    """A path between a local socket and a peer (RFC 5626): two UDP addresses, or one TCP connection."""

    transport: str
    """ "udp", "tcp" or `INNER`."""
    local: tuple[str, int]
    """Address of the listener that received it or that sends it."""
    remote: tuple[str, int]
    connection: int = 0
    """Number of the TCP connection; 0: any connection to `remote`, which is opened when there is none."""

    @property
    def is_reliable(self) -> bool:
        """Whether SIP itself need not retransmit."""
        return self.transport != "udp"

    @property
    def back(self) -> Flow:
        """The same path, seen from its other end."""
        return Flow(self.transport, self.remote, self.local, self.connection)


INNER_FLOW: Final = Flow(INNER, ("127.0.0.1", 1), ("127.0.0.1", 2))
"""What a request to ourselves goes out on; it comes in on `INNER_FLOW.back`. The ports only tell the two ends apart."""
