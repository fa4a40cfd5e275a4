# SPDX-License-Identifier: Apache-2.0
"""Media belongs to who was signalled: from whom one side of a stream takes packets, and whereto it sends.

A phone behind NAT sends from an address that its SDP does not name, so the address is learnt from packets (symmetric
RTP, RFC 4961); who sprays our ports must not be learnt, and whom an SDP merely names must not be flooded. `verdict` is
the whole rule of who may take over from whom:

* The signalled address takes over from everybody, at any time, with one packet.
* A known host (the one signalled, the one that SIP came from) takes over from all but the signalled address and another
  port of a known host, with two packets in sequence; from those too, once they are silent: a NAT that gave out a new
  port.
* The former source, after an offer or answer that named a new address, passes for a while, draws sound no longer than
  until the answer, and is kept only if nothing comes from the new one.
* A stranger is learnt after the final answer alone, only as long as nothing better was ever heard at this address,
  with two packets in sequence; it is forgotten when it is silent.

Sound to a signalled address that has sent nothing ends after `UNHEARD_SECONDS`, unless it is the host that signals.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final, TypeAlias

__all__ = ["UNHEARD_SECONDS", "Rank", "Source", "SourceLock", "Sources", "Verdict", "verdict"]

Source: TypeAlias = tuple[str, int]
"""IP address and port."""

UNHEARD_SECONDS: Final = 2.0
MAX_STEP: Final = 5
"""How far the sequence number of the second packet may be from the first one's."""


class Rank(IntEnum):
    """How well a source is known."""

    STRANGER = 1
    FORMER = 2
    KNOWN_HOST = 3
    SIGNALLED = 4


class Verdict(Enum):
    """What becomes of a packet."""

    DROPPED = "dropped"
    PASSES = "passes"
    """It is of this stream, but sound goes elsewhere."""
    ON_PROBATION = "on probation"
    """The second one in sequence takes over."""
    TAKES_OVER = "takes over"


def verdict(newcomer: Rank, incumbent: Rank | None, *, silent: bool, strangers: bool, settled: bool) -> Verdict:
    """What becomes of a packet of `newcomer`, while `incumbent` (none: nobody yet) is the source.

    `silent`: the incumbent has sent nothing for a while; `strangers`: the call is answered, and nothing better than a
    stranger was heard; `settled`: the last change of the signalled address is some seconds old.
    """
    if newcomer is Rank.SIGNALLED:
        return Verdict.TAKES_OVER
    if newcomer is Rank.FORMER and incumbent is None:
        return Verdict.TAKES_OVER if settled else Verdict.PASSES
    if newcomer is Rank.STRANGER and (incumbent is not None or not strangers):
        return Verdict.DROPPED
    if incumbent is None or newcomer > incumbent or (silent and newcomer is Rank.KNOWN_HOST):
        return Verdict.ON_PROBATION
    return Verdict.DROPPED


class SourceLock:
    """The source of one side. Times are monotonic seconds, given by the caller."""

    __slots__ = (
        "_answered",
        "_better_heard",
        "_candidates",
        "_former",
        "_hosts",
        "_opened_at",
        "_pending",
        "_probation",
        "_rank",
        "_settle_seconds",
        "_silent",
        "_unheard_since",
        "_vouched",
        "signalled",
        "source",
    )

    def __init__(self, settle_seconds: float, *, probation: bool = True) -> None:
        """Without `probation`, for packets that have no sequence numbers, one packet does where two should."""
        self.signalled: Source | None = None
        self.source: Source | None = None
        """The learnt address; none until a packet was admitted."""
        self._settle_seconds = settle_seconds
        self._probation = probation
        self._hosts: frozenset[str] = frozenset()
        self._vouched: frozenset[str] = frozenset()
        self._former: Source | None = None
        self._rank = Rank.STRANGER
        self._silent = False
        self._answered = False
        self._better_heard = False
        self._pending = False
        """Whether the signalled address is only offered: until the answer, sound goes where it went."""
        self._opened_at: float | None = None
        self._unheard_since: float | None = None
        self._candidates: dict[Rank, tuple[Source, int, int]] = {}

    @property
    def final(self) -> bool:
        """Whether nobody can take over: the signalled address itself is heard."""
        return self.source is not None and self._rank is Rank.SIGNALLED and not self._silent

    @property
    def silent(self) -> bool:
        """Whether its like may take over from the source."""
        return self._silent

    @property
    def target(self) -> Source | None:
        """Where packets for this side go."""
        return self.source or (self._former if self._pending else None) or self.signalled

    def destination(self, now: float, also_heard: str | None = None) -> Source | None:
        """Where a packet may go at this moment: `target`, unless that is a third party that has sent nothing for long.

        `also_heard`: a host that was heard on the other port of the pair.
        """
        target = self.target
        if target is None or target != self.signalled or self.source is not None:
            return target
        if target[0] in self._vouched or target[0] == also_heard:
            return target
        if self._unheard_since is None:
            self._unheard_since = now
        return target if now - self._unheard_since < UNHEARD_SECONDS else None

    def signal(
        self,
        signalled: Source | None,
        sip_hosts: frozenset[str],
        trusted: frozenset[str] = frozenset(),
        *,
        confirmed: bool = True,
    ) -> bool:
        """An offer or answer named an address. Returns whether that opened the lock.

        `sip_hosts`: hosts that this party signals from; they are known. There, and to `trusted` ones, sound may go
        unasked. Not `confirmed`: it is an offer, which may be refused; `confirm` when its answer came.
        """
        if signalled is None:
            return False  # held in the manner of RFC 2543: what was learnt stays
        self._vouched = sip_hosts | trusted
        self._hosts = sip_hosts | {signalled[0]}
        same, self.signalled = signalled == self.signalled, signalled
        if self.source == signalled:
            self._rank = Rank.SIGNALLED
            return False
        moved = self.source is not None and self._rank is Rank.KNOWN_HOST and self.source[0] not in self._hosts
        if same and not moved:
            return False
        self._former = self.source if self.source is not None and self._rank is not Rank.STRANGER else None
        self.source = None
        self._pending = not confirmed
        self._silent = self._better_heard = False
        self._opened_at = None
        self._candidates.clear()
        return True

    def confirm(self) -> None:
        """The answer to the offer that named the address came: sound goes there."""
        self._pending = False

    def answer(self) -> None:
        """The final answer came: strangers may be learnt; what was learnt so far but the signalled address shows anew
        that it lives."""
        if not self._answered:
            self._answered = True
            self._silent = self._rank is not Rank.SIGNALLED

    def unanswer(self) -> None:
        """The call is not answered after all: no stranger stays."""
        self._answered = False
        if self.source is not None and self._rank is Rank.STRANGER:
            self.source = None

    def admit(self, source: Source, stream: int, sequence: int, now: float) -> bool:
        """Whether a valid packet from `source` passes; learns from it. `stream` is the SSRC."""
        if source == self.source:
            self._silent = False
            return True
        rank = self.rank_of(source)
        if self._opened_at is None:
            self._opened_at = now
        found = verdict(
            rank,
            None if self.source is None else self._rank,
            silent=self._silent,
            strangers=self._answered and not self._better_heard,
            settled=now - self._opened_at >= self._settle_seconds,
        )
        if found is Verdict.DROPPED:
            return False
        if found is Verdict.PASSES:
            return True
        if found is Verdict.ON_PROBATION and self._probation and not self._in_sequence(rank, source, stream, sequence):
            return False
        self._take(source, rank)
        return True

    def open_after_silence(self) -> bool:
        """The source has been silent for long. Returns whether that opened the lock for its like."""
        if self.source is None or self._silent:
            return False
        self._silent = True
        if self._rank is Rank.STRANGER:
            self.source = None
        return True

    def forget(self) -> None:
        """Learn anew."""
        self.source = None
        self._silent = False

    def rank_of(self, source: Source) -> Rank:
        """How well a source is known."""
        if source == self.signalled:
            return Rank.SIGNALLED
        if source == self._former:
            return Rank.FORMER
        return Rank.KNOWN_HOST if source[0] in self._hosts else Rank.STRANGER

    def knows_host(self, host: str) -> bool:
        """Whether packets of RTCP may come from `host`: the source's, before a source is well known a known one."""
        if self.source is not None and (host == self.source[0] or self._rank is not Rank.STRANGER):
            return host == self.source[0]
        return host in self._hosts

    def _take(self, source: Source, rank: Rank) -> None:
        self.source = source
        self._rank = rank
        self._silent = False
        self._better_heard |= rank is not Rank.STRANGER
        self._unheard_since = None
        self._candidates.clear()

    def _in_sequence(self, rank: Rank, source: Source, stream: int, sequence: int) -> bool:
        """Whether this packet follows one of the same source (the probation of RFC 3550 appendix A.1).

        One candidate a rank: a stranger's flood does not keep a known host on probation.
        """
        candidate = self._candidates.get(rank)
        self._candidates[rank] = source, stream, sequence
        return (
            candidate is not None
            and candidate[:2] == (source, stream)
            and 0 < (sequence - candidate[2]) & 0xFFFF <= MAX_STEP
        )


class Sources:
    """The sources of RTP and of RTCP of one side: two locks, the second one led by the first."""

    __slots__ = ("rtcp", "rtp")

    def __init__(self, settle_seconds: float) -> None:
        self.rtp = SourceLock(settle_seconds)
        self.rtcp = SourceLock(settle_seconds, probation=False)

    def signal(
        self,
        rtp: Source | None,
        rtcp: Source | None,
        sip_hosts: frozenset[str],
        trusted: frozenset[str] = frozenset(),
        *,
        confirmed: bool = True,
    ) -> bool:
        """As `SourceLock.signal`; returns whether the lock of RTP was opened."""
        opened = self.rtp.signal(rtp, sip_hosts, trusted, confirmed=confirmed)
        self.rtcp.signal(rtcp, sip_hosts, trusted, confirmed=confirmed)
        if opened and confirmed:
            self.rtcp.forget()
        return opened

    def confirm(self) -> None:
        """The answer to the offer that named the addresses came."""
        self.rtp.confirm()
        self.rtcp.confirm()

    def answer(self, *, answered: bool) -> None:
        """The final answer came, or the call is not answered after all."""
        for lock in (self.rtp, self.rtcp):
            if answered:
                lock.answer()
            else:
                lock.unanswer()

    def admit_rtcp(self, source: Source, now: float) -> bool:
        """Whether a packet of RTCP passes: NAT gives it a port of its own, so it is known by its host."""
        if not self.rtp.knows_host(source[0]):
            return False
        if self.rtcp.source is not None and not self.rtp.knows_host(self.rtcp.source[0]):
            self.rtcp.forget()
        return self.rtcp.admit(source, 0, 0, now)

    def destination(self, now: float) -> Source | None:
        """Where RTP may go at this moment."""
        return self.rtp.destination(now, None if self.rtcp.source is None else self.rtcp.source[0])

    def rtcp_destination(self, now: float) -> Source | None:
        """Where RTCP may go at this moment."""
        rtp, rtcp = self.rtp.source, self.rtcp.source
        if rtcp is not None and not self.rtp.knows_host(rtcp[0]):
            self.rtcp.forget()
        return self.rtcp.destination(now, None if rtp is None else rtp[0])
