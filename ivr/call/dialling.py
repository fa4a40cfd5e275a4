# SPDX-License-Identifier: Apache-2.0
"""The verb that calls somebody else and connects both."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from ivr.verbs import CallerHungUp, DialFailed, DialResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ivr.call.party import Party
    from ivr.legs.leg import Leg
    from ivr.verbs import DialRequest

__all__ = ["dial"]

NO_ANSWER: Final = 408
DECLINED: Final = 603
"""Status of a call that was answered, but not taken by whom it was for (`on_answer`)."""


async def dial(
    caller: Party,
    request: DialRequest,
    *,
    ring_seconds: float,
    hangup_key: str,
    most_seconds: float | None,
    meet: Callable[[Leg], Awaitable[bool]] | None,
) -> DialResult:
    """Call, wait for the answer, let `meet` talk to who answered, connect, and wait until that ends."""
    caller.check()
    try:
        callee = caller.leg.dial(request)
    except DialFailed as failed:
        return DialResult(False, failed.status)
    watch = _Callee(callee, caller)
    try:
        answered = await watch.answer(ring_seconds)
        if not answered:
            return DialResult(False, watch.status, callee.cause)
        if meet is not None and not await watch.meet(meet):
            return DialResult(False, DECLINED, callee.cause)
        with caller.allowance or nullcontext():
            return await _connected(caller, callee, hangup_key, most_seconds)
    finally:
        caller.leg.stop()
        callee.hang_up()
        callee.listener = None


class _Callee:
    """Watches the called party until it has answered; the caller's hang-up ends everything."""

    def __init__(self, leg: Leg, caller: Party) -> None:
        self._leg = leg
        self._caller = caller
        self._rings = False
        self._hears = False
        self.status = 0
        leg.listener = self

    def digit(self, key: str) -> None:
        """Keys of a called party mean nothing before it is met."""

    def changed(self) -> None:
        """Wake the verb, which waits at the caller."""
        self._caller.changed()

    async def answer(self, ring_seconds: float) -> bool:
        """Wait for the answer, passing on the ringing or the early media."""
        deadline = asyncio.get_running_loop().time() + ring_seconds
        while not self._leg.is_gone and not self._leg.is_answered:
            self._pass_on()
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                self._leg.hang_up()
                self.status = NO_ANSWER
                return False
            await self._caller.next_change(left)
            self._caller.check()
        self.status = self._leg.status
        if self._hears:
            self._caller.leg.unbridge()
        return self._leg.is_answered and not self._leg.is_gone

    def _pass_on(self) -> None:
        caller = self._caller.leg
        if self._leg.is_talking and not self._hears:  # early media: an announcement or the carrier's ringing
            caller.stop()
            if not caller.is_talking:
                caller.progress()
            if caller.is_talking:
                caller.bridge(self._leg)
                self._hears = True
        elif self._leg.is_ringing and not self._rings and not self._hears:
            caller.ring()
            self._rings = True

    async def meet(self, meet: Callable[[Leg], Awaitable[bool]]) -> bool:
        """Let an application talk to the called party; it is hung up on when the caller is gone meanwhile.

        The application then ends by its own CallerHungUp: what it does in the store is not cut off.
        """
        caller = self._caller
        if not self._rings:
            caller.leg.ring()
        task = asyncio.ensure_future(_verdict(meet, self._leg))
        task.add_done_callback(lambda _: caller.changed())
        try:
            while not task.done():
                await caller.next_change(None)
                caller.check()
            return task.result()
        except CallerHungUp:
            self._leg.hang_up()
            await asyncio.wait((task,))
            raise


async def _verdict(meet: Callable[[Leg], Awaitable[bool]], leg: Leg) -> bool:
    try:
        return await meet(leg)
    except CallerHungUp:
        return False


async def _connected(caller: Party, callee: Leg, hangup_key: str, most_seconds: float | None) -> DialResult:
    """Both hear each other until one hangs up, the caller types the key or the time is over."""
    callee.listener = _Quiet(caller)
    caller.leg.stop()
    await caller.answer()
    loop = asyncio.get_running_loop()
    since = loop.time()
    caller.keys.clear()
    caller.leg.bridge(callee)
    typed = ""
    try:
        while not callee.is_gone:
            caller.check()
            key = caller.keys.take()
            typed = (typed + key)[-len(hangup_key) :] if hangup_key else ""
            if hangup_key and typed == hangup_key:
                return DialResult(True, 200, 16, loop.time() - since, "key")
            left = None if most_seconds is None else since + most_seconds - loop.time()
            if left is not None and left <= 0:
                return DialResult(True, 200, 16, loop.time() - since, "length")
            if not key:
                await caller.next_change(left)
        caller.check()
        return DialResult(True, 200, callee.cause, loop.time() - since, "callee")
    finally:
        caller.leg.unbridge()


class _Quiet:
    """The called party while both are connected: only its end matters."""

    def __init__(self, caller: Party) -> None:
        self._caller = caller

    def digit(self, key: str) -> None:
        """Goes to the caller by the bridge."""

    def changed(self) -> None:
        """Wake the verb."""
        self._caller.changed()
