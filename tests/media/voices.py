# SPDX-License-Identifier: Apache-2.0
"""Sound like a voice: a pitch that wanders, harmonics, syllables. Made by arithmetic, so the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from media.sound.resample import Samples

__all__ = ["voice"]


def voice(seconds: float, rate: int, *, pitch: float = 120.0, level: float = 0.3) -> Samples:
    """Voiced sound with five syllables a second, at `level` of full scale at its loudest."""
    at = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * at))) / rate
    wave = np.zeros(len(at))
    for number in range(1, 20):
        formant = sum(np.exp(-(((number * pitch - centre) / 250) ** 2)) for centre in (500, 1500, 2500))
        wave += (0.2 + formant) / number * np.sin(number * phase)
    syllables = 0.25 + 0.75 * np.abs(np.sin(2 * np.pi * 2.5 * at))
    wave *= syllables
    samples: Samples = (wave / np.abs(wave).max() * level * 32767).astype(np.int16)
    return samples
