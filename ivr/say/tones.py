# SPDX-License-Identifier: Apache-2.0
"""Sounds that need no recording: the beep."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from media.sound.sound import Sound
from media.sound.tone import SAMPLE_RATE, tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ivr.say.sound import Prompts

__all__ = ["BEEP", "BEEP_HERTZ", "WithTones", "beep"]

BEEP: Final = "beep"
"""The prompt after which a recording begins."""
BEEP_HERTZ: Final = 1000
_BEEP_SECONDS: Final = 0.25


@lru_cache(maxsize=1)
def beep() -> Sound:
    """1000 Hz for a quarter of a second, with a little silence after it, so that no recording begins with its end."""
    samples = np.array(tone(BEEP_HERTZ, _BEEP_SECONDS, level=0.25), dtype=np.int16)
    return Sound.from_samples(np.concatenate([samples, np.zeros(SAMPLE_RATE // 10, dtype=np.int16)]), SAMPLE_RATE)


class WithTones:
    """Prompts of a catalogue, and the beep where that has none."""

    def __init__(self, prompts: Prompts | None = None) -> None:
        self._prompts = prompts

    def sounds(self, prompt: str, language: str) -> Sequence[Sound]:
        """See Prompts."""
        found = self._prompts.sounds(prompt, language) if self._prompts is not None else ()
        return found or ([beep()] if prompt == BEEP else [])
