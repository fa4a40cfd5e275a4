# SPDX-License-Identifier: Apache-2.0
"""How often something happened lately, by name: bounded in number and in time. Pure: `now` is an argument."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MOST_NAMES", "Lately"]

MOST_NAMES: Final = 10_000


class Lately:
    """Remembers the last `times` instants of each name, for `seconds`; of `MOST_NAMES` names, those it heard last."""

    def __init__(self, times: int, seconds: float) -> None:
        self._times = times
        self._seconds = seconds
        self._instants: dict[str, deque[float]] = {}
        """In the order in which the names were heard last."""

    def __len__(self) -> int:
        return len(self._instants)

    def happened(self, names: Iterable[str], now: float) -> None:
        """Once more, to each of these."""
        instants = self._instants
        for name in names:
            times = instants.pop(name, None) or deque(maxlen=self._times)
            times.append(now)
            instants[name] = times
        while instants:
            oldest = next(iter(instants))
            if len(instants) <= MOST_NAMES and now - instants[oldest][-1] < self._seconds:
                return
            del instants[oldest]

    def is_full(self, name: str, now: float) -> bool:
        """Whether it happened so many times within so many seconds."""
        times = self._instants.get(name)
        return times is not None and len(times) == self._times and now - times[0] < self._seconds
