# SPDX-License-Identifier: Apache-2.0
"""How long tests wait for what must come: long, as it says nothing about how soon it comes.

On a machine that has much else to do a process stands still for seconds. What is to come soon is told by a clock of the
test's own, by the order of events, by what came first, or by the time that the test's loop has lived (fixture `lived`):

    began = lived.seconds
    await alice.expect(Failed)
    assert lived.seconds - began < 1.0
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["PATIENCE_SECONDS", "Lived"]

PATIENCE_SECONDS: Final = 40.0
"""More than the 32 seconds that SIP tries to send something again (RFC 3261 17.1.2.2, 64 times T1)."""
_BEAT_SECONDS: Final = 0.01
_LONGEST_BEAT_SECONDS: Final = 0.02


class Lived:
    """Seconds in which this loop ran. What it stood still for, with all that happens in it, does not count."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Within, it counts."""
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            now = loop.time()
            self.seconds += min(now - before, _LONGEST_BEAT_SECONDS)
            before = now
