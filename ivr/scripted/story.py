# SPDX-License-Identifier: Apache-2.0
"""What happens in a scripted call: the story as it is told, and a party at work on its script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ivr.scripted.scripted_leg import Heard, ScriptedLeg
    from ivr.verbs import Audio, DialRequest

__all__ = ["Run", "Step", "Story", "StoryFailed"]

PATIENCE_SECONDS: Final = 120.0
"""How long a party waits for what it should hear."""


class StoryFailed(AssertionError):  # noqa: N818 (pytest shows it as a failed assertion)
    """The call went otherwise than the script says."""


@dataclass(slots=True)
class Story:
    """What happened in a call."""

    lines: list[str] = field(default_factory=list)
    """For people: one line for each thing that happened, with its time."""
    heard: list[str] = field(default_factory=list)
    """Ids of the prompts, in order; RECORDING for recordings. One that was interrupted counts."""
    recordings: list[Audio] = field(default_factory=list)
    """The recordings that were heard."""
    dialled: list[DialRequest] = field(default_factory=list)
    """Calls that the application made."""
    answered: bool = False
    is_charge_accepted: bool = False
    """Whoever was rung accepted the call."""
    status: int = 0
    """Final SIP status that the caller got; 200 where it was answered."""
    ended_by: str = ""
    """"caller" or "application"."""
    seconds: float = 0.0

    def __str__(self) -> str:
        return "\n".join(self.lines)


Step = tuple[str, Callable[["Run"], Awaitable[None]]]


class Run:
    """A script at work on a leg."""

    def __init__(self, who: str, leg: ScriptedLeg, story: Story) -> None:
        self.who, self.leg, self.story = who, leg, story
        self.cursor = 0
        self._waiter: asyncio.Future[None] | None = None
        self._written = 0
        leg.on_event = self._event

    def _event(self) -> None:
        for heard in self.leg.heard[self._written :]:
            self.note(f"hears {heard.what}", heard.at)
        self._written = len(self.leg.heard)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def note(self, line: str, at: float | None = None) -> None:
        """Write the story on."""
        time = asyncio.get_running_loop().time() if at is None else at
        self.story.lines.append(f"{time:8.1f} s  {self.who}{line}")

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until something is so; raises StoryFailed where it never is."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not condition():
            if self.leg.is_gone:
                raise StoryFailed(f"{what}: but the call is over")
            if loop.time() >= deadline:
                raise StoryFailed(f"{what}: not within {seconds:g} s")
            self._waiter = loop.create_future()
            await asyncio.wait((self._waiter,), timeout=deadline - loop.time())
            self._waiter = None

    async def next_heard(self, what: str) -> Heard:
        """The next thing that is said to the party."""
        while True:
            await self.until(lambda: len(self.leg.heard) > self.cursor, what)
            heard = self.leg.heard[self.cursor]
            self.cursor += 1
            if not heard.is_background or heard.what == what:
                return heard

    async def play_out(self, steps: list[Step]) -> None:
        """Do the steps in order."""
        for number, (name, step) in enumerate(steps, 1):
            try:
                await step(self)
            except StoryFailed as failed:
                raise StoryFailed(
                    f"{self.who}step {number}, {name}: {failed}\nThe story so far:\n{self.story}"
                ) from None
