# SPDX-License-Identifier: Apache-2.0
"""Change of the sample rate: a polyphase filter, a Kaiser-windowed sinc, for streams and for whole sounds."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Resampler", "Samples", "clipped", "resample"]

Samples: TypeAlias = "NDArray[np.int16]"
"""Linear PCM, one channel, 16 bits."""

CROSSINGS = 24
"""Zero crossings of the sinc on each side: what is above 0.95 of the lower Nyquist frequency is 80 dB down."""
KAISER_BETA = 8.0
CUTOFF = 0.94
"""Of the lower Nyquist frequency."""
PIECE = 1 << 15
"""Output samples that are worked on at once, for the sake of memory."""


@lru_cache(maxsize=32)
def _filters(up: int, down: int) -> NDArray[np.float32]:
    """For each of the `up` phases the weights of the input samples around an output sample."""
    narrow = min(1.0, up / down) * CUTOFF
    half = math.ceil(CROSSINGS / narrow)
    phases = np.arange(up)[:, None] / up
    distance = np.arange(2 * half)[None, :] - (half - 1) - phases
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None))) / np.i0(KAISER_BETA)
    weights = np.sinc(distance * narrow) * window
    filters: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return filters


class Resampler:
    """A stream at another rate. What comes out lags by half of the filter, about 3 ms at 8000 Hz."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        """Rates in Hz."""
        common = math.gcd(rate_in, rate_out)
        self._up, self._down = rate_out // common, rate_in // common
        self._filters = _filters(self._up, self._down)
        self._half = self._filters.shape[1] // 2
        self._kept = np.zeros(self._half - 1, dtype=np.float32)
        self._position = 0
        """Of the next output sample, in 1/up of an input sample, from where its window begins in `_kept`."""

    def convert(self, samples: Samples) -> Samples:
        """The next piece."""
        self._kept = np.concatenate([self._kept, samples.astype(np.float32)])
        pieces: list[Samples] = []
        while (piece := self._piece()) is not None:
            pieces.append(piece)
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int16)

    def finish(self) -> Samples:
        """The end, with silence after it."""
        return self.convert(np.zeros(self._half, dtype=np.int16))

    def _piece(self) -> Samples | None:
        room = len(self._kept) - 2 * self._half + 1  # whole windows
        if room <= 0:
            return None
        count = min(PIECE, -(-(room * self._up - self._position) // self._down))
        if count <= 0:
            return None
        positions = self._position + self._down * np.arange(count)
        windows = np.lib.stride_tricks.sliding_window_view(self._kept, 2 * self._half)
        if self._up == 1:
            result = windows[positions] @ self._filters[0]
        else:
            result = np.einsum("ij,ij->i", windows[positions // self._up], self._filters[positions % self._up])
        following = self._position + self._down * count
        used = min(following // self._up, len(self._kept))
        self._kept = self._kept[used:]
        self._position = following - used * self._up
        return clipped(result)


def clipped(values: NDArray[np.float32] | NDArray[np.float64]) -> Samples:
    """Rounded to 16 bits; what is louder is cut off."""
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def resample(samples: Samples, rate_in: int, rate_out: int) -> Samples:
    """A whole sound at another rate (Hz), in step with the original."""
    if rate_in == rate_out or not len(samples):
        return samples
    resampler = Resampler(rate_in, rate_out)
    result = np.concatenate([resampler.convert(samples), resampler.finish()])
    return result[: round(len(samples) * rate_out / rate_in)]
