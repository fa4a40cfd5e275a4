# SPDX-License-Identifier: Apache-2.0
"""Source locking: from whom one side of a stream takes packets (symmetric RTP, RFC 4961), against RTP injection.

A phone behind NAT sends from an address that its SDP does not name, so the relay learns the address from packets; an
attacker who sprays the relay's ports must not be learnt. The rule:

* The signalled address locks with its first packet.
* Another port of a known host (the signalled one, the one that SIP came from, the one locked before) and, only until
  something was locked since the last offer or answer that named a new address, a stranger are learnt *provisionally*,
  after two packets of one stream in sequence; the better known one prevails.
* A provisional source is final after `settle_seconds`. A final one stays; packets of others are dropped.
* After `relearn_seconds` of silence the lock opens for known hosts only (a NAT that gave out a new port).
* An offer or answer that names a new address opens the lock for everybody; the old source passes until then.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

__all__ = ["Source", "SourceLock"]

Source: TypeAlias = tuple[str, int]
"""IP address and port."""

MAX_STEP = 5
"""How far the sequence number of the second packet may be from the first one's."""


class Rank(IntEnum):
    """How well a source is known."""

    STRANGER = 1
    KNOWN_HOST = 2
    SIGNALLED = 3


class SourceLock:
    """The source of one side. Times are monotonic seconds, given by the caller."""

    __slots__ = (
        "_candidate",
        "_hosts",
        "_previous",
        "_rank",
        "_settle_seconds",
        "_strangers_welcome",
        "_taken_at",
        "final",
        "signalled",
        "source",
    )

    def __init__(self, settle_seconds: float) -> None:
        self.signalled: Source | None = None
        self.source: Source | None = None
        """The learnt address; none until a packet was admitted."""
        self.final = False
        self._settle_seconds = settle_seconds
        self._hosts: frozenset[str] = frozenset()
        self._previous: Source | None = None
        self._rank = Rank.STRANGER
        self._strangers_welcome = True
        self._taken_at = 0.0
        self._candidate: tuple[Source, int, int] | None = None

    @property
    def target(self) -> Source | None:
        """Where packets for this side go."""
        return self.source or self.signalled

    def signal(self, signalled: Source | None, hosts: frozenset[str]) -> bool:
        """An offer or answer named an address. Returns whether that opened the lock."""
        self._hosts = hosts
        if signalled is None or signalled == self.signalled:
            return False  # held, or nothing new: what was learnt stays
        self.signalled = signalled
        if signalled == self.source:
            return False
        self._open(strangers_welcome=True)
        return True

    def admit(self, source: Source, stream: int, sequence: int, now: float) -> bool:
        """Whether a valid packet from `source` passes; learns from it. `stream` is the SSRC."""
        if source == self.source:
            return True
        if self.final:
            return False
        rank = self._rank_of(source)
        if rank is Rank.SIGNALLED:
            self._take(source, rank, now, final=True)
            return True
        if self.source is None and source == self._previous:
            # After silence nobody else is signalled; after a new offer the new address may still take over.
            self._take(source, Rank.STRANGER, now, final=not self._strangers_welcome)
            return True
        if self._outranked(rank) or not self._in_sequence(source, stream, sequence):
            return False
        self._take(source, rank, now, final=False)
        return True

    def settle(self, now: float) -> bool:
        """Make a provisional source final once its time has come. Returns whether it did."""
        if self.source is None or self.final or now < self._taken_at + self._settle_seconds:
            return False
        self.final = True
        return True

    def open_after_silence(self) -> bool:
        """The source was silent for `relearn_seconds`. Returns whether that opened the lock."""
        if not self.final:
            return False
        self._open(strangers_welcome=False)
        return True

    def knows_host(self, host: str) -> bool:
        """Whether packets of RTCP may come from `host`: the locked one, before that a known one."""
        return host == self.source[0] if self.source else host in self._hosts

    def _open(self, *, strangers_welcome: bool) -> None:
        self._previous = self.source or self._previous
        self._strangers_welcome = strangers_welcome
        self.source = None
        self.final = False
        self._candidate = None

    def _take(self, source: Source, rank: Rank, now: float, *, final: bool) -> None:
        self.source = source
        self.final = final
        self._rank = rank
        self._taken_at = now
        self._candidate = None

    def _rank_of(self, source: Source) -> Rank:
        if source == self.signalled:
            return Rank.SIGNALLED
        if source == self._previous:
            return Rank.STRANGER
        if source[0] in self._hosts or (self._previous is not None and source[0] == self._previous[0]):
            return Rank.KNOWN_HOST
        return Rank.STRANGER

    def _outranked(self, rank: Rank) -> bool:
        if self.source is not None:
            return rank <= self._rank
        return rank is Rank.STRANGER and not self._strangers_welcome

    def _in_sequence(self, source: Source, stream: int, sequence: int) -> bool:
        """Whether this packet follows one of the same source (the probation of RFC 3550 appendix A.1)."""
        candidate, self._candidate = self._candidate, (source, stream, sequence)
        return (
            candidate is not None
            and candidate[:2] == (source, stream)
            and 0 < (sequence - candidate[2]) & 0xFFFF <= MAX_STEP
        )
