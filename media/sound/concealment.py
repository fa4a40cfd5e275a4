# SPDX-License-Identifier: Apache-2.0
"""What is heard in place of lost packets: the last pitch period, repeated and faded (after G.711 appendix I)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from media.sound.resample import clipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from media.sound.resample import Samples

__all__ = ["Concealment"]

HISTORY_SECONDS: Final = 0.048
LOWEST_PITCH_HZ: Final = 66
HIGHEST_PITCH_HZ: Final = 200
"""Higher voices are found at a multiple of their period, which repeats as well."""
COMPARED_SECONDS: Final = 0.02
HOLD_SECONDS: Final = 0.01
"""At full loudness; then it fades."""
FADE_SECONDS: Final = 0.05
OVERLAP_SECONDS: Final = 0.004
"""Over which what is made up gives way to what arrived."""


class Concealment:
    """Follows one stream of samples and fills its gaps."""

    def __init__(self, rate: int) -> None:
        """Hz."""
        self._rate = rate
        self._history = np.zeros(round(HISTORY_SECONDS * rate), dtype=np.float32)
        self._period: NDArray[np.float32] | None = None
        self._made = 0
        """Samples made up since the last that arrived."""

    def arrived(self, samples: Samples) -> Samples:
        """Samples that did arrive; their beginning is blended with what was made up before them."""
        if self._period is not None and len(samples):
            overlap = min(round(OVERLAP_SECONDS * self._rate), len(samples))
            made_up = self._continued(overlap)
            share = np.arange(1, overlap + 1, dtype=np.float32) / (overlap + 1)
            samples = samples.copy()
            samples[:overlap] = clipped(samples[:overlap] * share + made_up * (1 - share))
            self._period, self._made = None, 0
        self._keep(samples)
        return samples

    def lost(self, count: int) -> Samples:
        """So many samples in place of those that were lost."""
        if self._period is None:
            self._period = self._last_period()
        made_up = clipped(self._continued(count))
        self._made += count
        return made_up

    def silent(self, count: int) -> Samples:
        """So many samples of silence: the sender had paused."""
        samples = np.zeros(count, dtype=np.int16)
        self._period, self._made = None, 0
        self._keep(samples)
        return samples

    def _keep(self, samples: Samples) -> None:
        size = len(self._history)
        if len(samples) >= size:
            self._history = samples[-size:].astype(np.float32)
        elif len(samples):
            self._history = np.concatenate([self._history[len(samples) :], samples.astype(np.float32)])

    def _last_period(self) -> NDArray[np.float32]:
        """The end of what was heard, as long as the period that it repeats best with; its ends fit together."""
        history = self._history
        compared = round(COMPARED_SECONDS * self._rate)
        shortest, longest = self._rate // HIGHEST_PITCH_HZ, self._rate // LOWEST_PITCH_HZ
        longest = min(longest, len(history) - compared)
        recent = history[-compared:]
        windows = np.lib.stride_tricks.sliding_window_view(history, compared)
        # Window i is that of a delay of (number of windows - 1 - i).
        earlier = windows[len(windows) - 1 - longest : len(windows) - shortest]
        energy = np.einsum("ij,ij->i", earlier, earlier) + 1.0
        likeness = earlier @ recent / np.sqrt(energy)
        delay = longest - int(np.argmax(likeness))
        period = history[-delay:].copy()
        overlap = min(delay // 4, len(history) - delay)
        share = np.arange(1, overlap + 1, dtype=np.float32) / (overlap + 1)
        before = history[len(history) - delay - overlap : len(history) - delay]
        period[delay - overlap :] = period[delay - overlap :] * (1 - share) + before * share
        return period

    def _continued(self, count: int) -> NDArray[np.float32]:
        """The period over and over, from where it was left, fading."""
        assert self._period is not None
        at = self._made + np.arange(count)
        repeated = self._period[at % len(self._period)]
        hold, fade = HOLD_SECONDS * self._rate, FADE_SECONDS * self._rate
        faded: NDArray[np.float32] = (repeated * np.clip(1 - (at - hold) / fade, 0, 1)).astype(np.float32)
        return faded
