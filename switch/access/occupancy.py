# SPDX-License-Identifier: Apache-2.0
"""Who holds how many calls of the media server, and who may have another one. Pure.

The switch asks before it sends an INVITE there; the media server asks its own, as several switches may send. Calls
count for who began them (`mark.Chain`), however many forwards and applications came between. A part of all calls is
kept for messages: whoever fills the rest keeps nobody from leaving one.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from switch.settings import Limits
    from switch.sip.mark import Chain

__all__ = ["DEPOSIT", "MOST_DEPTH", "Full", "Occupancy"]

DEPOSIT: Final = "voicemail"
"""The application that takes messages."""
MOST_DEPTH: Final = 2
"""So many applications may be part of a call: a menu, and the mailbox of who does not answer it."""


class Full(NamedTuple):
    """Why there is no further call."""

    status: int
    """SIP status: 403, 486 (the caller has enough), or 503 (all are taken)."""
    text: str


class Occupancy:
    """Counts."""

    def __init__(self) -> None:
        self._held: dict[str, list[tuple[str, ...]]] = {}
        """By call, the keys of each of its applications."""
        self._by_key: Counter[str] = Counter()
        self.total = 0

    def __len__(self) -> int:
        return len(self._held) + len(self._by_key)

    def enter(self, call_id: str, chain: Chain, application: str, limits: Limits) -> Full | None:
        """Count one more application of a call; or say why not. `chain` is what led to it, without it."""
        full = self._full(chain, application, limits)
        if full is None:
            keys = tuple(key for key in (chain.by, chain.address) if key)
            self._held.setdefault(call_id, []).append(keys)
            self._by_key.update(keys)
            self.total += 1
        return full

    def leave(self, call_id: str) -> None:
        """A call is over; harmless for one that holds nothing."""
        for keys in self._held.pop(call_id, ()):
            self.total -= 1
            for key in keys:
                self._by_key[key] -= 1
                if not self._by_key[key]:
                    del self._by_key[key]

    def _full(self, chain: Chain, application: str, limits: Limits) -> Full | None:
        if chain.depth >= MOST_DEPTH:
            return Full(403, f"{chain.depth} applications are part of the call already")
        kind, _, name = chain.by.partition(":")
        if self._by_key[chain.by] >= _most(kind, limits):
            who = "callers of carrier" if kind == "carrier" else kind
            return Full(486, f"{who} {name} has {self._by_key[chain.by]} calls with applications already")
        if chain.address and self._by_key[chain.address] >= limits.per_address:
            return Full(486, f"phones at {chain.address} have {limits.per_address} calls with applications already")
        most = limits.total if application == DEPOSIT else limits.total - limits.reserved
        if self.total >= most:
            return Full(503, f"the media server has {self.total} calls; the rest is kept for messages")
        return None


def _most(kind: str, limits: Limits) -> int:
    if kind == "account":
        return limits.per_account
    # Those who withhold their number are not one caller: they share a quarter.
    return limits.per_number if kind == "number" else max(1, limits.total // 4)
