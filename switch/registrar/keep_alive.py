# SPDX-License-Identifier: Apache-2.0
"""What the location service comes back to: bindings that expire, and flows through NATs that pings keep open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from switch.sip.message.flow import Flow

__all__ = ["EXPIRY_SPAN_SECONDS", "Expiries", "PingRing"]

_PING_SLOTS: Final = 100
"""25 s between two pings, below the 30 s after which many NATs forget a UDP flow (RFC 5626 section 4.4.2)."""
EXPIRY_SPAN_SECONDS: Final = 8
"""Expired bindings are forgotten this late; nobody sees them meanwhile."""


class Expiries:
    """Addresses of record by the time at which something of them expires, in spans, so that nothing is searched."""

    def __init__(self) -> None:
        self._spans: dict[int, set[str]] = {}

    def add(self, aor: str, expires_at: float) -> None:
        """Look at this address of record again after that time."""
        self._spans.setdefault(int(expires_at // EXPIRY_SPAN_SECONDS), set()).add(aor)

    def due(self, now: float) -> list[str]:
        """Take out what is to be looked at."""
        before = int(now // EXPIRY_SPAN_SECONDS)
        spans = [span for span in self._spans if span < before]
        return [aor for span in spans for aor in self._spans.pop(span)]


class PingRing:
    """UDP flows to ping, each in the slot of one tick; accounts on the same flow share its ping."""

    def __init__(self) -> None:
        self._slots: list[dict[Flow, float]] = [{} for _ in range(_PING_SLOTS)]
        self._slot_of: dict[Flow, int] = {}
        self._next_slot = 0
        self._now_slot = 0

    def add(self, flow: Flow, until: float) -> None:
        """Ping a flow until then."""
        slot = self._slot_of.get(flow)
        if slot is None:
            slot = self._slot_of[flow] = self._next_slot
            self._next_slot = (slot + 1) % _PING_SLOTS
        slots = self._slots[slot]
        slots[flow] = max(until, slots.get(flow, 0.0))

    def due(self, now: float) -> list[Flow]:
        """The flows of this tick."""
        slot = self._slots[self._now_slot]
        self._now_slot = (self._now_slot + 1) % _PING_SLOTS
        over = [flow for flow, until in slot.items() if until <= now]
        for flow in over:
            del slot[flow], self._slot_of[flow]
        return list(slot)
