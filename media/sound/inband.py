# SPDX-License-Identifier: Apache-2.0
"""Keys as tones (ITU-T Q.23, Q.24), for phones that know no telephone events: found in sound, and made."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from media.sound.sound import Sound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from media.sound.resample import Samples

__all__ = ["ToneDetector", "key_of", "tone_of", "without_key"]

ROWS: Final = (697, 770, 852, 941)
COLUMNS: Final = (1209, 1336, 1477, 1633)
KEYS: Final = ("123A", "456B", "789C", "*0#D")

WINDOW_SECONDS: Final = 0.02
HOP_SECONDS: Final = 0.01
HITS: Final = 3
"""Windows in a row that make a key: 40 ms, beginning anywhere, hold so many."""
MISSES: Final = 3
"""Windows in a row that end it."""
LEAST_LEVEL: Final = 32768 * 10 ** (-40 / 20)
"""Root mean square; -40 dBov."""
LEAST_SHARE: Final = 0.68
"""Of the power that the two tones have: speech has more besides."""
LEAST_LEAD: Final = 4.0
"""How far a tone's power is above that of its neighbours: 6 dB."""
MOST_TWIST: Final = 8.0
"""How much stronger one of the tones may be: 9 dB."""
MOST_HARMONIC: Final = 0.15
"""Power of a second harmonic, as a share of the stronger tone's: voices have it, tones do not."""


@lru_cache(maxsize=4)
def _waves(rate: int) -> NDArray[np.complex64]:
    """For each frequency and its double the wave that a window is compared with."""
    size = round(WINDOW_SECONDS * rate)
    frequencies = np.array([*ROWS, *COLUMNS, *(2 * f for f in ROWS), *(2 * f for f in COLUMNS)])
    return np.exp(-2j * np.pi * np.outer(np.arange(size), frequencies) / rate).astype(np.complex64)


def key_of(window: NDArray[np.float32], rate: int) -> str:
    """The key whose tones fill the window of 20 ms, or ""."""
    energy = float(window @ window)
    if energy < LEAST_LEVEL * LEAST_LEVEL * len(window):
        return ""
    sums = window @ _waves(rate)
    shares: list[float] = ((sums.real**2 + sums.imag**2) * (2 / (len(window) * energy))).tolist()
    rows, columns = shares[:4], shares[4:8]
    row, column = max(rows), max(columns)
    if row + column < LEAST_SHARE or row > MOST_TWIST * column or column > MOST_TWIST * row:
        return ""
    i, j = rows.index(row), columns.index(column)
    if sorted(rows)[2] * LEAST_LEAD > row or sorted(columns)[2] * LEAST_LEAD > column:
        return ""
    if max(shares[8 + i], shares[12 + j]) > MOST_HARMONIC * max(row, column):
        return ""
    return KEYS[i][j]


class ToneDetector:
    """Tells each key once, 40 ms after its tone begins."""

    def __init__(self, rate: int) -> None:
        """Samples a second."""
        self._rate = rate
        self._window = round(WINDOW_SECONDS * rate)
        self._hop = round(HOP_SECONDS * rate)
        self._kept = np.zeros(0, dtype=np.float32)
        self._candidate = ""
        self._hits = 0
        self._pressed = ""
        self._misses = 0

    def hear(self, samples: Samples) -> str:
        """The keys that the next samples make known."""
        self._kept = np.concatenate([self._kept, samples.astype(np.float32)])
        keys, start = "", 0
        while start + self._window <= len(self._kept):
            keys += self._next(key_of(self._kept[start : start + self._window], self._rate))
            start += self._hop
        self._kept = self._kept[start:]
        return keys

    def _next(self, key: str) -> str:
        if self._pressed:
            self._misses = 0 if key == self._pressed else self._misses + 1
            if self._misses >= MISSES:
                self._pressed = ""
        self._hits = self._hits + 1 if key and key == self._candidate else 1 if key else 0
        self._candidate = key
        if self._hits < HITS or key == self._pressed:
            return ""
        self._pressed, self._misses = key, 0
        return key


def without_key(samples: Samples, rate: int) -> Samples:
    """Without the tone of a key at the end, and what comes after it."""
    window, hop = round(WINDOW_SECONDS * rate), round(HOP_SECONDS * rate)
    end = len(samples)
    cut = end
    for start in range(end - window, max(end - round(0.5 * rate), 0), -hop):
        if key_of(samples[start : start + window].astype(np.float32), rate):
            cut = max(start - hop, 0)
        elif cut < end:
            break
    return samples[:cut]


@cache
def tone_of(key: str) -> Sound:
    """100 ms of a key's tones."""
    row = next(i for i, keys in enumerate(KEYS) if key in keys)
    low, high = ROWS[row], COLUMNS[KEYS[row].index(key)]
    at = 2 * np.pi * np.arange(1600) / 16000
    wave = np.sin(low * at) + np.sin(high * at)
    return Sound.from_samples((wave * 0.2 * 32767).astype(np.int16), 16000)
