# SPDX-License-Identifier: Apache-2.0
"""Where a leg gets the sounds of prompts from."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from ivr.verbs import Audio, Spoken
from media.sound.sound import Sound, SoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ivr.verbs import Playable

__all__ = ["Prompts", "SoundSource"]

log = logging.getLogger(__name__)


class Prompts(Protocol):
    """All prompts, loaded."""

    def sounds(self, prompt: str, language: str) -> Sequence[Sound]:
        """What is played for a prompt; nothing where it is missing."""


class SoundSource:
    """Turns what an application plays into sounds."""

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts

    def at_hand(self, playables: Sequence[Playable], language: str) -> list[Sound] | None:
        """The sounds, where none must be decoded first."""
        found: list[Sound] = []
        for playable in playables:
            if isinstance(playable, Audio):
                return None
            names = playable.prompts if isinstance(playable, Spoken) else (playable,)
            for name in names:
                found += self.prompts.sounds(name, language)
        return found

    async def decoded(self, playables: Sequence[Playable], language: str) -> list[Sound]:
        """The sounds; recordings are decoded in a thread, so that no other call waits for it."""
        loop = asyncio.get_running_loop()
        found: list[Sound] = []
        for playable in playables:
            if not isinstance(playable, Audio):
                found += self.at_hand([playable], language) or ()
                continue
            try:
                found.append(await loop.run_in_executor(None, Sound.read, playable.data))
            except SoundError as error:
                log.warning("a recording cannot be played", extra={"format": playable.format, "reason": str(error)})
        return found
