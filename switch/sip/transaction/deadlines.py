# SPDX-License-Identifier: Apache-2.0
"""A queue of the deadlines of transactions: one heap with lazy deletion."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from switch.sip.transaction.machine import Machine

__all__ = ["Deadlines"]

_FEW: Final = 64
"""So few stale entries are not worth a rebuild."""


class Deadlines:
    """When which transaction is due.

    A transaction has at most one valid entry, never later than its deadline. A deadline that moves away leaves its
    entry alone; the entry is put off when it comes up. Entries of transactions that ended or that became due earlier
    are stale; when they outnumber the valid ones, they are swept out.
    """

    __slots__ = ("_due_at", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Machine]] = []
        self._due_at: dict[int, float] = {}
        """Of the valid entries: serial number to deadline."""
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_deadline(self) -> float | None:
        """When to call `pop_due`; it may find nothing due."""
        return self._heap[0][0] if self._heap else None

    def update(self, transaction: Machine) -> None:
        """Note that the deadline of a transaction may have changed."""
        deadline = transaction.next_deadline
        if deadline is None:
            return
        if deadline < self._due_at.get(transaction.entry, inf):
            self.discard(transaction)
            self._serial += 1
            transaction.entry = self._serial
            self._due_at[self._serial] = deadline
            heappush(self._heap, (deadline, self._serial, transaction))

    def discard(self, transaction: Machine) -> None:
        """Forget a transaction."""
        if transaction.entry and self._due_at.pop(transaction.entry, None) is not None:
            transaction.entry = 0
            if len(self._heap) > 2 * len(self._due_at) + _FEW:
                self._heap = [entry for entry in self._heap if entry[1] in self._due_at]
                heapify(self._heap)

    def pop_due(self, now: float) -> Iterator[Machine]:
        """The transactions that are due, in the order of their deadlines; call `update` for each afterwards."""
        while self._heap and self._heap[0][0] <= now:
            _, serial, transaction = heappop(self._heap)
            if self._due_at.pop(serial, None) is None:
                continue
            transaction.entry = 0
            deadline = transaction.next_deadline
            if deadline is not None and deadline <= now:
                yield transaction
            else:
                self.update(transaction)
