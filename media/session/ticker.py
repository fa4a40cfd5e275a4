# SPDX-License-Identifier: Apache-2.0
"""The media server's one timer: every session sends a packet every 20 ms, each at its place within them.

The 20 ms are ten slots of 2 ms, and a session belongs to one of them; so hundreds of sessions do not send at once. The
sockets are read every 2 ms, with few sessions when one of them sends (docs/adr/0012-media-sessions.md). The schedule is
absolute: it does not drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from media.sound.codec import PACKET_SECONDS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from media.rtp.pump import Pump

__all__ = ["Ticked", "Ticker"]

SLOTS: Final = 10
SLOT_SECONDS: Final = PACKET_SECONDS / SLOTS
FIRST_AHEAD: Final = 2
"""A session's first packet goes out so many slots after it was added: its phone hears it soon, but not before the relay
in between knows the answer, which would drop it."""
CATCH_UP_SECONDS: Final = 3 * PACKET_SECONDS
"""What is later than this is not made up for: every session would send a burst."""


class Ticked(Protocol):
    """Who wants to be called every 20 ms."""

    def tick(self) -> None:
        """The next 20 ms begin. Must not raise."""

    def skip(self, ticks: int) -> None:
        """So many ticks will never come: the process was held up."""


class Ticker:
    """Calls the sessions, and reads their sockets."""

    def __init__(self, pump: Pump, clock: Callable[[], float]) -> None:
        self.skipped = 0
        """Ticks that never came, of all sessions together."""
        self._pump = pump
        self._clock = clock
        self._slots: list[tuple[Ticked, ...]] = [()] * SLOTS
        self._slot_of: dict[Ticked, int] = {}
        self._origin = clock()
        self._count = 0
        """Slots since `_origin`."""
        self._hurried = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def next_at(self) -> float:
        """When the next slot begins in which there is something to do."""
        return self._origin + (self._count + self._empty_slots()) * SLOT_SECONDS

    def hurry(self, change: int) -> None:
        """So many more (or fewer) sessions want their packets read at every slot, as another phone hears them."""
        self._hurried += change

    def add(self, ticked: Ticked) -> None:
        """Call `ticked` from now on, soon; but in a slot that has about as few as any."""
        if not self._slot_of:
            self._begin_again()
        slot = self._soon()
        self._slot_of[ticked] = slot
        self._slots[slot] = (*self._slots[slot], ticked)
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(0, self._run)

    def remove(self, ticked: Ticked) -> None:
        """Call it no more."""
        slot = self._slot_of.pop(ticked)
        self._slots[slot] = tuple(one for one in self._slots[slot] if one is not ticked)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        if self._slot_of:
            self._timer = loop.call_later(0, self._run)

    def close(self) -> None:
        """End the ticks."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop = self._timer = None

    def run_due(self) -> None:
        """All slots that have come, then the packets that have come."""
        now = self._clock()
        if now - self._origin - self._count * SLOT_SECONDS > CATCH_UP_SECONDS + PACKET_SECONDS:
            self._leave_out(now)
        slots = self._slots
        while self._origin + self._count * SLOT_SECONDS <= now:
            slot = self._count % SLOTS
            self._count += 1
            for ticked in slots[slot]:
                ticked.tick()
        self._pump.round()

    def _soon(self) -> int:
        fewest = min(map(len, self._slots))
        most = fewest + fewest // 8
        first = self._count + FIRST_AHEAD
        return next(slot % SLOTS for slot in range(first, first + SLOTS) if len(self._slots[slot % SLOTS]) <= most)

    def _empty_slots(self) -> int:
        """How many of the next slots need no waking up for: few sessions should cost little."""
        if not self._hurried:
            for ahead in range(SLOTS):
                if self._slots[(self._count + ahead) % SLOTS]:
                    return ahead
        return 0

    def _begin_again(self) -> None:
        """There was nobody to be called, so nothing is late."""
        self._origin, self._count = self._clock(), 0

    def _leave_out(self, now: float) -> None:
        """Go on by whole periods, so that at most `CATCH_UP_SECONDS` are made up for."""
        behind = now - self._origin - self._count * SLOT_SECONDS
        periods = int((behind - CATCH_UP_SECONDS) / PACKET_SECONDS)
        self._count += periods * SLOTS
        for ticked in self._slot_of:
            ticked.skip(periods)
        self.skipped += periods * len(self._slot_of)

    def _run(self) -> None:
        try:
            self.run_due()
        finally:  # a fault in one session must not silence the others
            if self._loop is not None and self._slot_of:
                self._timer = self._loop.call_later(max(self.next_at - self._clock(), 0.0), self._run)
            else:
                self._timer = None
