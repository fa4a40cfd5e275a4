# SPDX-License-Identifier: Apache-2.0
"""The steps of a script: what a party hears, presses, says and waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Self

from ivr.scripted.scripted_leg import RECORDING, flattened
from ivr.scripted.story import StoryFailed
from ivr.verbs import Audio, Spoken

if TYPE_CHECKING:
    from types import EllipsisType

    from ivr.scripted.story import Run, Step
    from ivr.verbs import Playable

__all__ = ["Script"]

REACTION_SECONDS: Final = 0.2
KEY_SECONDS: Final = 0.2


class Script:
    """Steps of a party, in order; every method returns the script, so that they chain."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def _add(self, name: str, step: Callable[[Run], Awaitable[None]]) -> Self:
        self._steps.append((name, step))
        return self

    def hears(self, *prompts: Playable | EllipsisType) -> Self:
        """The next prompts that begin to sound are these, and no others; waits for them.

        `...` stands for any number of other prompts. A `Spoken` stands for all its prompts, an `Audio` for exactly that
        recording, RECORDING for any. The step is done when the last one begins, so that keys which follow interrupt it.
        """
        expected: list[tuple[str, Audio | None] | None] = []
        for prompt in prompts:
            if prompt is ...:
                expected.append(None)
            else:
                expected += flattened([prompt])

        async def step(run: Run) -> None:
            anything = False
            for item in expected:
                if item is None:
                    anything = True
                    continue
                await _hear(run, item, anything=anything)
                anything = False

        return self._add(f"hears {_named(prompts)}", step)

    def until(self, *prompts: Playable) -> Self:
        """Whatever comes before, at last these are heard: `hears(..., *prompts)`."""
        return self.hears(..., *prompts)

    def listens(self) -> Self:
        """Listen until nothing is played any more, without interrupting."""

        async def step(run: Run) -> None:
            await run.until(lambda: not run.leg.is_playing, "listens to the end")
            run.cursor = len(run.leg.heard)

        return self._add("listens", step)

    def hears_nothing(self, seconds: float) -> Self:
        """Nothing new is played for so long."""

        async def step(run: Run) -> None:
            before = len(run.leg.heard)
            await asyncio.sleep(seconds)
            if len(run.leg.heard) > before:
                raise StoryFailed(f"heard {run.leg.heard[before].what}")

        return self._add(f"hears nothing for {seconds:g} s", step)

    def presses(self, keys: str, *, after: float = REACTION_SECONDS, each: float = KEY_SECONDS) -> Self:
        """Press keys one by one, the first after `after` seconds: during a prompt that has begun."""

        async def step(run: Run) -> None:
            for place, key in enumerate(keys):
                pause = each if place else after
                if pause:
                    await asyncio.sleep(pause)
                if run.leg.is_gone:
                    raise StoryFailed("the call is over")
                run.note(f"presses {key}")
                run.leg.press(key)
            await asyncio.sleep(0)

        return self._add(f"presses {keys}", step)

    def says(self, seconds: float, *, tone: int = 440) -> Self:
        """Say something (a tone) for so long, once a recording has begun."""

        async def step(run: Run) -> None:
            leg = run.leg
            await run.until(lambda: leg.take is not None and not leg.take.is_over, "is recorded")
            run.note(f"says something for {seconds:g} s")
            leg.says_hertz = tone
            await asyncio.sleep(seconds)
            leg.says_hertz = None

        return self._add(f"says something for {seconds:g} s", step)

    def waits(self, seconds: float) -> Self:
        """Do nothing for so long."""

        async def step(run: Run) -> None:
            run.note(f"waits {seconds:g} s")
            await asyncio.sleep(seconds)

        return self._add(f"waits {seconds:g} s", step)

    def does(self, action: Callable[[], Awaitable[Any] | Any]) -> Self:
        """Call a function (or await what it returns) at this point: to look at a store, or to change it."""

        async def step(_: Run) -> None:
            result = action()
            if isinstance(result, Awaitable):
                await result

        return self._add("does something", step)

    def hangs_up(self) -> Self:
        """Hang up."""

        async def step(run: Run) -> None:
            if run.leg.is_gone:
                raise StoryFailed("the call is over already")
            run.note("hangs up")
            run.leg.leave()
            await asyncio.sleep(0)

        return self._add("hangs up", step)

    def is_hung_up_on(self, status: int | None = None) -> Self:
        """The other side ends the call, with this final status where one is named."""

        async def step(run: Run) -> None:
            await run.until(lambda: run.leg.is_gone, "is hung up on")
            if status is not None and run.leg.status != status:
                raise StoryFailed(f"got status {run.leg.status}")

        return self._add("is hung up on" + (f" with {status}" if status else ""), step)


async def _hear(run: Run, item: tuple[str, Audio | None], *, anything: bool) -> None:
    what, audio = item
    skipped: list[str] = []
    while True:
        try:
            heard = await run.next_heard(what)
        except StoryFailed as failed:
            inbetween = f" (but {', '.join(skipped)})" if skipped else ""
            raise StoryFailed(f"did not hear {what}{inbetween}: {failed}") from None
        if heard.what == what and (audio is None or audio == heard.audio):
            return
        if not anything:
            raise StoryFailed(f"heard {heard.what} at {heard.at:.1f} s where {what} was expected")
        skipped.append(heard.what)


def _named(prompts: tuple[Playable | EllipsisType, ...]) -> str:
    return ", ".join(
        "..."
        if prompt is ...
        else RECORDING
        if isinstance(prompt, Audio)
        else " ".join(prompt.prompts)
        if isinstance(prompt, Spoken)
        else str(prompt)
        for prompt in prompts
    )
