# SPDX-License-Identifier: Apache-2.0
"""How long a call may keep an application busy: the time in which the caller talks to somebody else does not count."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Allowance"]


class Allowance:
    """Seconds that run from the beginning, but not within `with allowance:`."""

    def __init__(self, seconds: float, on_end: Callable[[], None]) -> None:
        """`on_end` is called once, when they are over."""
        self._left = seconds
        self._on_end: Callable[[], None] | None = on_end
        self._loop = asyncio.get_running_loop()
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._run()

    def _run(self) -> None:
        self._since = self._loop.time()
        if self._on_end is not None:
            self._timer = self._loop.call_later(max(0.0, self._left), self._on_end)

    def close(self) -> None:
        """Count no more, for good."""
        self._stop()
        self._on_end = None

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left -= self._loop.time() - self._since

    def __enter__(self) -> None:
        self._stop()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._run()
