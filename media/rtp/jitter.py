# SPDX-License-Identifier: Apache-2.0
"""A small jitter buffer: packets of one stream in, their payloads in order and the gaps between them out. Pure.

It is driven by what arrives, not by a playing clock: payloads come out as soon as they are in order, and what is
missing is given up for lost when packets `depth_seconds` younger have come. So a recording has the right length, and
nothing waits longer than it must.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Frame", "Gap", "JitterBuffer"]

MAX_DROPOUT: Final = 3000
"""A greater step of the sequence number is a restart of the sender (RFC 3550 appendix A.1)."""
STRAGGLERS: Final = 8
"""So many packets in sequence, all of them too old, are a restart as well."""
CLOCK_SLACK_SECONDS: Final = 1.0
"""How much longer a gap may be by timestamps than by the clock."""
SILENT_AFTER_SECONDS: Final = 0.3
"""Without a packet for so long the sender is taken to be silent."""


class Gap(NamedTuple):
    """Time without sound."""

    ticks: int
    """By the RTP clock."""
    is_lost: bool
    """There was sound, but it did not arrive; else the sender was silent."""


Frame: TypeAlias = "bytes | Gap"
"""A payload, or time without."""


class JitterBuffer:
    """Puts packets in order. Times are monotonic seconds."""

    __slots__ = (
        "_clock_rate",
        "_depth",
        "_expected",
        "_filled_at",
        "_heard_at",
        "_next_timestamp",
        "_ssrc",
        "_straggler",
        "_stragglers",
        "_ticks_in",
        "_waiting",
        "late",
        "lost",
    )

    def __init__(self, clock_rate: int, ticks_in: Callable[[bytes], int], depth_seconds: float, now: float) -> None:
        """`ticks_in` tells the duration of a payload by the RTP clock of `clock_rate` Hz."""
        self.lost = 0
        """Packets given up."""
        self.late = 0
        """Packets that came after they had been given up, or twice."""
        self._clock_rate = clock_rate
        self._ticks_in = ticks_in
        self._depth = round(depth_seconds * clock_rate)
        self._ssrc: int | None = None
        self._expected = 0
        self._next_timestamp = 0
        self._waiting: dict[int, tuple[int, bytes]] = {}
        """By sequence number: timestamp and payload of what came too early."""
        self._heard_at = now
        self._filled_at = now
        """Up to when, by the clock, time has come out."""
        self._straggler = 0
        self._stragglers = 0

    def put(self, ssrc: int, sequence: int, timestamp: int, payload: bytes, now: float) -> Sequence[Frame]:
        """A packet; returns what comes out. An empty payload, such as for a telephone event, only keeps the order."""
        step = (sequence - self._expected) & 0xFFFF
        if ssrc == self._ssrc and not step and timestamp == self._next_timestamp and not self._waiting and payload:
            self._expected = (sequence + 1) & 0xFFFF  # the usual case
            self._next_timestamp = (timestamp + self._ticks_in(payload)) & 0xFFFFFFFF
            self._heard_at = self._filled_at = now
            return (payload,)
        frames: list[Frame] = []
        if ssrc != self._ssrc or MAX_DROPOUT < step < 0x10000 - MAX_DROPOUT or self._is_restart(step, sequence):
            self._restart(ssrc, sequence, timestamp, payload, now, frames)
        elif step >= 0x8000 or sequence in self._waiting:
            self.late += 1
            return ()
        self._waiting[sequence] = timestamp, payload
        self._heard_at = now
        self._release(now, frames)
        while self._waiting and self._is_overdue(timestamp):
            self._give_up(frames)
            self._release(now, frames)
        return frames

    def advance(self, now: float) -> Sequence[Frame]:
        """Time passes. Without packets for a while, silence comes out instead."""
        if now - self._heard_at < SILENT_AFTER_SECONDS:
            return ()
        frames = self.flush()
        ticks = round((now - self._filled_at) * self._clock_rate)
        if ticks > 0:
            frames.append(Gap(ticks, is_lost=False))
            self._next_timestamp = (self._next_timestamp + ticks) & 0xFFFFFFFF
            self._filled_at = now
        return frames

    def flush(self) -> list[Frame]:
        """What waits for packets that are not to be waited for any longer."""
        frames: list[Frame] = []
        while self._waiting:
            self._give_up(frames)
            self._release(self._heard_at, frames)
        return frames

    def _is_restart(self, step: int, sequence: int) -> bool:
        """Whether the sender began anew with a lower sequence number: many stragglers, one after the other."""
        if step < 0x8000:
            self._stragglers = 0
            return False
        follows = (sequence - self._straggler) & 0xFFFF == 1
        self._straggler = sequence
        self._stragglers = self._stragglers + 1 if follows else 1
        return self._stragglers >= STRAGGLERS

    def _restart(
        self, ssrc: int, sequence: int, timestamp: int, payload: bytes, now: float, frames: list[Frame]
    ) -> None:
        """Another source, or the same anew: its first packet comes when the clock says."""
        frames += self.flush()
        gap = round((now - self._filled_at) * self._clock_rate) - self._ticks_in(payload)
        if gap > round(SILENT_AFTER_SECONDS * self._clock_rate):
            frames.append(Gap(gap, is_lost=False))
        self._ssrc, self._expected, self._next_timestamp = ssrc, sequence, timestamp
        self._stragglers = 0

    def _is_overdue(self, newest: int) -> bool:
        return self._after(newest) > self._depth or len(self._waiting) > 100

    def _after(self, timestamp: int) -> int:
        """Ticks from the next sound to `timestamp`; negative: before it."""
        return ((timestamp - self._next_timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    def _release(self, now: float, frames: list[Frame]) -> None:
        """Let out what is in order."""
        while (packet := self._waiting.pop(self._expected, None)) is not None:
            self._expected = (self._expected + 1) & 0xFFFF
            timestamp, payload = packet
            if not payload:
                continue
            gap = self._after(timestamp)
            longest = now - self._filled_at + CLOCK_SLACK_SECONDS
            if gap > longest * self._clock_rate:
                gap = round((longest - CLOCK_SLACK_SECONDS) * self._clock_rate)  # timestamps began anew
            if gap > 0:
                frames.append(Gap(gap, is_lost=False))
            frames.append(payload)
            self._next_timestamp = (timestamp + self._ticks_in(payload)) & 0xFFFFFFFF
            self._filled_at = now

    def _give_up(self, frames: list[Frame]) -> None:
        """Count the packets before the first one that waits as lost; their sound is what its timestamp says."""
        first = min(self._waiting, key=lambda sequence: (sequence - self._expected) & 0xFFFF)
        missing = (first - self._expected) & 0xFFFF
        self._expected = first
        if not missing:
            return
        self.lost += missing
        timestamp, payload = self._waiting[first]
        typical = self._ticks_in(payload) or self._clock_rate // 50
        longest = round((self._heard_at - self._filled_at + CLOCK_SLACK_SECONDS) * self._clock_rate)
        ticks = min(
            self._after(timestamp), missing * typical, longest
        )  # what is beyond it is silence, or no time at all
        if ticks > 0:
            frames.append(Gap(ticks, is_lost=True))
            self._next_timestamp = (self._next_timestamp + ticks) & 0xFFFFFFFF
