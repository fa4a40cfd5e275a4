# SPDX-License-Identifier: Apache-2.0
"""The echo test: the caller says something and hears it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ivr.verbs import Ivr

__all__ = ["echo"]

MOST_SECONDS: Final = 30.0
ROUNDS: Final = 20
"""Nobody tests for longer; a line that was left open must end."""


async def echo(call: Ivr) -> None:
    """After each beep say something, until you are silent for two seconds or press a key."""
    await call.answer()
    for _ in range(ROUNDS):
        recording = await call.record(most_seconds=MOST_SECONDS, silence_seconds=2.0)
        if recording.seconds:
            await call.play(recording.audio, interrupt="any")
