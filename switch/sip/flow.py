# SPDX-License-Identifier: Apache-2.0
"""Where messages come from and go to, as values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Flow", "Hop"]


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop after RFC 3263: transport ("udp", "tcp"), literal IP address, port."""

    transport: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Flow:
    """A path between a local socket and a peer (RFC 5626): two UDP addresses, or one TCP connection."""

    transport: str
    """ "udp" or "tcp"."""
    local: tuple[str, int]
    """Address of the listener that received it or that sends it."""
    remote: tuple[str, int]
    connection: int = 0
    """Number of the TCP connection; 0: any connection to `remote`, which is opened when there is none."""

    @property
    def is_reliable(self) -> bool:
        """Whether SIP itself need not retransmit."""
        return self.transport != "udp"
