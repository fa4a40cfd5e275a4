# SPDX-License-Identifier: Apache-2.0
"""The store's clock, which all nodes share, as one process knows it between two words of the store.

It runs with the monotonic clock of the machine, so the machine's own wall clock may be wrong or be set without anything
noticing. Each heartbeat says what time it is at the store. Where that clock was set itself, who keeps instants in the
store is told: durations go on as they were, and what is written there is put right.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StoreClock"]

log = logging.getLogger(__name__)

_STEP_SECONDS: Final = 2.0
"""A clock that is off by less has drifted; by more, somebody has set it."""
_CLOSE_SECONDS: Final = 0.1
"""A clock that is no more off is left alone: on a machine that has the store it is the same one."""


class StoreClock:
    """Call it for the Unix time at the store; before the store has said anything it is the machine's."""

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._began = self._offset = wall() - monotonic()
        self._is_set = False
        self._wall_offset = self._offset
        """Of the machine's own clock, when the store was last heard."""
        self.on_step: list[Callable[[float], None]] = []
        """Told by how many seconds the store's clock was set forward; back where that is negative."""

    def __call__(self) -> float:
        return self._monotonic() + self._offset

    def utc(self) -> datetime:
        """The same as an instant."""
        return datetime.fromtimestamp(self(), UTC)

    def steady(self) -> float:
        """Unix seconds that nobody sets: by the store's clock when this process began, and monotonic since then."""
        return self._monotonic() + self._began

    def ahead(self) -> float:
        """By how many seconds the store's clock has run away from the steady one."""
        return self._offset - self._began

    def is_doubtful(self) -> bool:
        """Whether this machine's clock was set since the store was last heard: the store's may be the same one."""
        return abs(self._wall() - self._monotonic() - self._wall_offset) > _STEP_SECONDS

    def heard(self, at: datetime, asked_at: float) -> None:
        """The store said that it is `at`, to somebody who asked at `asked_at` (monotonic)."""
        now = self._monotonic()
        self._wall_offset = self._wall() - now
        doubt = (now - asked_at) / 2
        error = at.timestamp() - (asked_at + doubt) - self._offset
        if abs(error) <= _CLOSE_SECONDS + doubt:
            error = 0.0
        self._offset += error
        if not self._is_set:
            self._is_set = True
            self._began = self._offset
        elif abs(error) > _STEP_SECONDS + doubt:
            log.warning("the clock of the store was set", extra={"seconds": round(error, 1)})
            for tell in self.on_step:
                tell(error)
