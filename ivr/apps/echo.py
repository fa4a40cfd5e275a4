# SPDX-License-Identifier: Apache-2.0
"""Plays back what one says: whether a phone is heard, and hears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ivr.verbs import Ivr

__all__ = ["echo"]

MOST_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 1.5
ROUNDS: Final = 30
KEYS: Final = "0123456789*#"


async def echo(call: Ivr) -> None:
    """Records until a pause and plays it, again and again until "#"; any other key skips the introduction."""
    await call.answer()
    rounds = 0 if await call.play("echo-intro", interrupt=KEYS) == "#" else ROUNDS
    for _round in range(rounds):
        said = await call.record(most_seconds=MOST_SECONDS, silence_seconds=SILENCE_SECONDS, finish="#", beep=False)
        if said.key == "#":
            break
        if said.seconds and await call.play(said.audio, interrupt="#"):
            break
    await call.play("echo-done", "goodbye")
