# SPDX-License-Identifier: Apache-2.0
"""Tones as 8 kHz samples: made by phase accumulation, measured by the Goertzel algorithm."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["SAMPLE_RATE", "dominant_frequency", "power_at", "tone"]

SAMPLE_RATE = 8000


def tone(frequency: float, seconds: float, *, level: float = 0.5, first_sample: int = 0) -> array[int]:
    """A sine of `frequency` Hz at `level` of full scale; `first_sample` continues the phase of an earlier piece."""
    step = 2 * math.pi * frequency / SAMPLE_RATE
    amplitude = level * 32767
    count = round(seconds * SAMPLE_RATE)
    return array("h", [round(amplitude * math.sin(step * i)) for i in range(first_sample, first_sample + count)])


def power_at(samples: Sequence[int], frequency: float) -> float:
    """The share of the signal's power at `frequency` Hz: about 1 for a pure tone, about 0 where it is absent."""
    energy = sum(sample * sample for sample in samples)
    if not energy:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * frequency / SAMPLE_RATE)
    before, last = 0.0, 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    power = last * last + before * before - coefficient * last * before
    return 2 * power / (len(samples) * energy)


def dominant_frequency(samples: Sequence[int], candidates: Iterable[float], *, least: float = 0.5) -> float | None:
    """The candidate with most of the power, or none where every one has less than `least` of it."""
    power, frequency = max(((power_at(samples, candidate), candidate) for candidate in candidates), default=(0.0, 0.0))
    return frequency if power >= least else None
