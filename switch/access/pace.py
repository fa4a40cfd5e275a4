# SPDX-License-Identifier: Apache-2.0
"""How fast messages may be sent: so many a minute by one sender, and so many to one account."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from switch.settings import MessageSettings

__all__ = ["MOST_COUNTED", "Pace"]

MOST_COUNTED: Final = 100_000


class Pace:
    """Counts messages from one start of a period to the next; whoever reaches his share waits for that.

    It holds as many entries as there were senders and recipients in one period, `MOST_COUNTED` at most: whoever was
    counted first is then forgotten.
    """

    def __init__(self, settings: Callable[[], MessageSettings], clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._settings = settings
        self._clock = clock
        self._began = clock()
        self._counts: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def wait(self, senders: Iterable[Hashable], recipients: Iterable[Hashable] = ()) -> int | None:
        """Count one more message; how many seconds to wait if it is one too many, None if it is not."""
        settings, now = self._settings(), self._clock()
        if now - self._began >= settings.per_seconds:
            self._began = now
            self._counts.clear()
        shares = [(key, settings.from_one) for key in senders] + [(key, settings.to_one) for key in recipients]
        for key, share in shares:
            if self._counts.get(key, 0) >= share:
                return max(ceil(self._began + settings.per_seconds - now), 1)
        for key, _ in shares:
            if key not in self._counts and len(self._counts) >= MOST_COUNTED:
                del self._counts[next(iter(self._counts))]
            self._counts[key] = self._counts.get(key, 0) + 1
        return None
