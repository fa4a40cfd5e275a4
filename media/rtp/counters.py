# SPDX-License-Identifier: Apache-2.0
"""What came on a socket, and how much more of it is allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from media.rtp.bounds import Bound

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """What came from one phone on one socket."""

    packets: int = 0
    octets: int = 0
    errors: int = 0
    """Packets dropped: foreign source, not of the expected protocol, too many, or not to be sent on."""
    last_packet_at: float | None = None
    """Good to the second: brought up to date by `look`."""
    _seen: int = field(default=0, repr=False)
    _packets_end: int = field(default=0, repr=False)
    _octets_end: int = field(default=0, repr=False)

    def look(self, now: float) -> float | None:
        """When a packet came last, as far as the looks at it tell."""
        if self.packets != self._seen:
            self._seen = self.packets
            self.last_packet_at = now
        return self.last_packet_at

    def allow(self, bound: Bound) -> None:
        """From now on so much is allowed, until this is called again: once a second."""
        self._packets_end = self.packets + bound.packets
        self._octets_end = self.octets + bound.octets

    @property
    def exhausted(self) -> bool:
        """Whether all that was allowed came."""
        return self.packets >= self._packets_end or self.octets >= self._octets_end
