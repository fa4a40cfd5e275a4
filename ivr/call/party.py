# SPDX-License-Identifier: Apache-2.0
"""A party whom a verb waits for: its keys, its hang-up, and the end of what is played to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ivr.legs.keys import KeyBuffer
from ivr.verbs import CallerHungUp, OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ivr.call.allowance import Allowance
    from ivr.legs.leg import Leg
    from ivr.verbs import Playable

__all__ = ["Party"]


class Party:
    """Listens to a leg; one verb at a time waits here."""

    def __init__(self, leg: Leg, language: str) -> None:
        self.leg = leg
        self.language = language
        self.keys = KeyBuffer()
        self.on_change: Callable[[], None] | None = None
        """Told of every change too: how a verb of one party watches another."""
        self.allowance: Allowance | None = None
        """How long it may go on; None: as long as it likes."""
        self.is_over = False
        """It has had that."""
        self._waiter: asyncio.Future[None] | None = None
        if not leg.is_gone:  # else nobody would tell it that this ended
            leg.listener = self

    # listener ---------------------------------------------------------------------------------------------------
    def digit(self, key: str) -> None:
        """A key was pressed."""
        self.keys.press(key)
        self.changed()

    def changed(self) -> None:
        """Wake the verb that waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self.on_change is not None:
            self.on_change()

    # waiting ----------------------------------------------------------------------------------------------------
    def check(self) -> None:
        """Raise CallerHungUp where the party is gone, OutOfTime where it has had its time."""
        if self.leg.is_gone:
            raise CallerHungUp
        if self.is_over:
            raise OutOfTime

    @property
    def is_leaving(self) -> bool:
        """Whether nothing more is to be had from it."""
        return self.leg.is_gone or self.is_over

    def end(self) -> None:
        """Its time is over: the verb that waits says so, and so does every further one."""
        self.is_over = True
        self.changed()

    async def wait(self, until: Callable[[], bool], seconds: float | None = None, *, raises: bool = True) -> bool:
        """Wait until something is so; False where it was not within `seconds`.

        Raises CallerHungUp when the party is gone; with `raises` false it returns then, like a time-out.
        """
        loop = asyncio.get_running_loop()
        deadline = None if seconds is None else loop.time() + seconds
        while True:
            if raises:
                self.check()
            if until():
                return True
            if self.is_leaving:
                return False
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return False
            await self.next_change(left)

    async def next_change(self, seconds: float | None) -> None:
        """Wait for whatever happens next to the leg, or for the time to be over."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((self._waiter,), timeout=seconds)
        finally:
            self._waiter = None

    async def key(self, seconds: float) -> str:
        """The next key, waited for so long; "" where none came."""
        await self.wait(lambda: len(self.keys) > 0, seconds)
        return self.keys.take()

    # sound ------------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Make sound possible: early media where the caller is not answered yet."""
        self.check()
        if not self.leg.is_talking:
            self.leg.progress()
            await self.wait(lambda: self.leg.is_talking)

    async def answer(self) -> None:
        """Answer, and wait until the other side's description is known (a late offer is answered in the ACK)."""
        self.check()
        self.leg.answer()
        await self.wait(lambda: self.leg.is_answered and self.leg.is_talking)

    async def play(self, playables: Sequence[Playable], interrupt: str = "") -> str:
        """Play until the end or until a key of `interrupt`, which is returned."""
        await self.open()
        mark = self.keys.mark
        key = self.keys.interrupting(interrupt, mark)
        if key or not playables:
            return key
        self.leg.play(playables, self.language)
        try:
            while self.leg.is_playing:
                key = self.keys.interrupting(interrupt, mark)
                if key:
                    return key
                await self.next_change(None)
                self.check()
            self.check()
        finally:
            self.leg.stop()
        return ""
