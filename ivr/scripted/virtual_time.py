# SPDX-License-Identifier: Apache-2.0
"""An event loop whose clock jumps: when nobody has anything to do before the next timer, it is that late at once.

An hour of waiting costs microseconds. What really takes its time (a thread of the executor) is waited for: the clock
stands still meanwhile. A loop on which nothing will ever happen again raises RuntimeError instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["VirtualLoop", "run_virtually"]

Result = TypeVar("Result")

_STUCK_SECONDS: Final = 10.0
"""Real time for which a loop without timers waits for its sockets and threads."""


class _Jumping(selectors.DefaultSelector):
    """Turns waiting for a timer into a jump of the clock."""

    def __init__(self, patience_seconds: float) -> None:
        super().__init__()
        self.now = 0.0
        self.busy_threads = 0
        self._patience = patience_seconds

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; the clock jumps by `timeout` where nothing is."""
        ready = super().select(self._patience if timeout is None or timeout > 0 else 0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self.busy_threads:
            ready = super().select(_STUCK_SECONDS)
            if not ready:
                raise RuntimeError("nothing will ever happen again: every task waits for another")
            return ready
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See above; `time()` begins at 0. `patience_seconds`: real time that sockets get before each jump of the clock."""

    def __init__(self, patience_seconds: float = 0.0) -> None:
        self._jumping = _Jumping(patience_seconds)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._jumping.now

    def run_in_executor(  # type: ignore[override]  # the types of the arguments are no matter here
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """The clock stands still until the thread is done."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.busy_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: object) -> None:
        self._jumping.busy_threads -= 1


def run_virtually(coroutine: Coroutine[Any, Any, Result], *, patience_seconds: float = 0.0) -> Result:
    """Run a coroutine to its end on a virtual clock."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(patience_seconds)) as runner:
        return runner.run(coroutine)
