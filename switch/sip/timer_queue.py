# SPDX-License-Identifier: Apache-2.0
"""One heap of deadlines for many owners, with lazy deletion."""

from __future__ import annotations

import heapq
from itertools import count
from typing import Generic, Protocol, TypeVar

__all__ = ["Timed", "TimerQueue"]


class Timed(Protocol):
    """Something that wants to be woken."""

    @property
    def next_deadline(self) -> float | None:
        """When, in monotonic seconds; None: never."""


T = TypeVar("T", bound=Timed)


class TimerQueue(Generic[T]):
    """Knows which owner is due next. Call `update` whenever an owner's `next_deadline` may have changed."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._queued: dict[int, float] = {}
        self._order = count()

    def update(self, owner: T) -> None:
        """Note the owner's deadline; costs nothing unless it became earlier."""
        deadline = owner.next_deadline
        if deadline is None:
            return
        queued = self._queued.get(id(owner))
        if queued is None or deadline < queued:
            self._queued[id(owner)] = deadline
            heapq.heappush(self._heap, (deadline, next(self._order), owner))

    def discard(self, owner: T) -> None:
        """Forget an owner that is over; its heap entries go with the next clean-up."""
        self._queued.pop(id(owner), None)
        if len(self._heap) > 2 * len(self._queued) + 64:
            self._heap = [entry for entry in self._heap if self._queued.get(id(entry[2])) == entry[0]]
            heapq.heapify(self._heap)

    @property
    def next_deadline(self) -> float | None:
        """When to call `due`; may be early, never late."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[T]:
        """The owners whose deadline has come; each must be given to `update` again after it was served."""
        ready: list[T] = []
        while self._heap and self._heap[0][0] <= now:
            deadline, _, owner = heapq.heappop(self._heap)
            if self._queued.get(id(owner)) != deadline:
                continue  # an earlier deadline of the same owner was served meanwhile
            del self._queued[id(owner)]
            wanted = owner.next_deadline
            if wanted is None:
                continue
            if wanted <= now:
                ready.append(owner)
            else:
                self.update(owner)
        return ready

    def __len__(self) -> int:
        return len(self._queued)
