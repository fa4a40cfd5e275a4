# SPDX-License-Identifier: Apache-2.0
"""One heap of deadlines for many owners, with lazy deletion."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final, Generic, Protocol, TypeVar

__all__ = ["Timed", "TimerQueue"]

_FEW: Final = 64
"""So few stale entries are not worth a clean-up."""


class Timed(Protocol):
    """Something that wants to be woken."""

    entry: int
    """Of the queue: the number of the owner's entry, 0 for none."""

    @property
    def next_deadline(self) -> float | None:
        """When, in monotonic seconds; None: never."""


T = TypeVar("T", bound=Timed)


class TimerQueue(Generic[T]):
    """Knows which owner is due next. Call `update` whenever an owner's `next_deadline` may have become earlier.

    An owner has at most one valid entry, never later than its deadline; a deadline that moves away leaves the entry
    alone, which is put off when it comes up. The heap holds numbers only: an owner that is discarded is let go at once,
    and its stale numbers go when they come to the top or outnumber the valid ones.
    """

    __slots__ = ("_heap", "_serial", "_valid")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._valid: dict[int, tuple[float, T]] = {}
        self._serial = 0

    def update(self, owner: T) -> None:
        """Note the owner's deadline; costs next to nothing unless it became earlier."""
        deadline = owner.next_deadline
        if deadline is None:
            return
        if owner.entry:
            if self._valid[owner.entry][0] <= deadline:
                return
            self.discard(owner)
        self._serial += 1
        owner.entry = self._serial
        self._valid[self._serial] = (deadline, owner)
        heappush(self._heap, (deadline, self._serial))

    def discard(self, owner: T) -> None:
        """Forget an owner."""
        if owner.entry:
            del self._valid[owner.entry]
            owner.entry = 0
            if len(self._heap) > 2 * len(self._valid) + _FEW:
                self._heap = [entry for entry in self._heap if entry[1] in self._valid]
                heapify(self._heap)

    @property
    def next_deadline(self) -> float | None:
        """When to call `due`; may be early, never late."""
        while self._heap:
            deadline, serial = self._heap[0]
            if serial in self._valid:
                return deadline
            heappop(self._heap)
        return None

    def due(self, now: float) -> list[T]:
        """The owners whose deadline has come; each must be given to `update` again after it was served."""
        ready: list[T] = []
        while self._heap and self._heap[0][0] <= now:
            _, serial = heappop(self._heap)
            entry = self._valid.pop(serial, None)
            if entry is None:
                continue
            owner = entry[1]
            owner.entry = 0
            deadline = owner.next_deadline
            if deadline is not None and deadline <= now:
                ready.append(owner)
            else:
                self.update(owner)
        return ready

    def __len__(self) -> int:
        return len(self._valid)
