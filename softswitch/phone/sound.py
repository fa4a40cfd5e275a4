# SPDX-License-Identifier: Apache-2.0
"""What a phone hears, told by frequency: a recording that grows, and the tone that fills its end."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Recording", "Tone", "tone_in"]

SILENCE_DBFS: Final = -50.0
WINDOW_SECONDS: Final = 0.25
POLL_SECONDS: Final = 0.03
PURE_SHARE: Final = 0.8
"""What part of the energy a tone must hold to be heard alone; codecs add some noise."""
WIDTH_HZ: Final = 25.0
HEAR_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 0.5
"""Longer than a window and what a recorder holds back."""


@dataclass(frozen=True, slots=True)
class Tone:
    """What fills a piece of sound: the strongest frequency, how much of the energy it holds, how loud all is."""

    hertz: float
    share: float
    dbfs: float

    @property
    def is_silence(self) -> bool:
        """Nothing that a person would hear."""
        return self.dbfs < SILENCE_DBFS

    def is_at(self, hertz: float, tolerance_hertz: float = 12.0) -> bool:
        """Whether it is this pure tone."""
        return not self.is_silence and self.share >= PURE_SHARE and abs(self.hertz - hertz) <= tolerance_hertz

    def __str__(self) -> str:
        if self.is_silence:
            return "silence"
        return f"{self.hertz:.0f} Hz ({self.share:.0%} of the energy, {self.dbfs:.0f} dBFS)"


NOTHING: Final = Tone(0.0, 0.0, -120.0)


def tone_in(samples: NDArray[np.int16], rate: int) -> Tone:
    """The tone in linear samples of one channel."""
    if len(samples) < rate // 50:
        return NOTHING
    signal = samples.astype(np.float64) / 32768.0
    level = 20 * np.log10(max(float(np.sqrt(np.mean(signal**2))), 1e-6))
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    spectrum[0] = 0.0
    total = float(spectrum.sum())
    if total <= 0.0:
        return NOTHING
    hertz_a_bin = rate / len(signal)
    peak = int(spectrum.argmax())
    width = max(2, round(WIDTH_HZ / hertz_a_bin))
    around = slice(max(0, peak - width), peak + width + 1)
    near = spectrum[around]
    center = float((near * np.arange(around.start, around.start + len(near))).sum() / near.sum())
    return Tone(center * hertz_a_bin, float(near.sum()) / total, float(level))


class Recording:
    """A WAV file (16 bit, one channel) that somebody is still writing."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def _read(self, start: int) -> tuple[NDArray[np.int16], int]:
        """Samples from a byte offset of the sound on, and the rate; header sizes are not believed while it grows."""
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            return np.zeros(0, np.int16), 0
        at = data.find(b"data")
        if at < 0 or data[:4] != b"RIFF":
            return np.zeros(0, np.int16), 0
        (rate,) = struct.unpack_from("<I", data, 24)
        sound = data[at + 8 + start :]
        return np.frombuffer(sound[: len(sound) & ~1], "<i2"), int(rate)

    def samples(self) -> tuple[NDArray[np.int16], int]:
        """All of it so far, and the rate."""
        return self._read(0)

    @property
    def size(self) -> int:
        """Bytes of sound so far."""
        samples, _ = self._read(0)
        return 2 * len(samples)

    def tones(self) -> list[Tone]:
        """All of it, window by window."""
        samples, rate = self._read(0)
        step = int(rate * WINDOW_SECONDS)
        return [tone_in(samples[at : at + step], rate) for at in range(0, len(samples) - step, step)] if step else []

    def latest(self, since: int = 0) -> Tone:
        """The tone at the end; only what was recorded from byte `since` on counts."""
        samples, rate = self._read(since)
        count = int(rate * WINDOW_SECONDS)
        return tone_in(samples[-count:], rate) if 0 < count <= len(samples) else NOTHING

    def hears(self, hertz: float, *, seconds: float = HEAR_SECONDS) -> bool:
        """Waits until a pure tone has filled the recording from now on."""
        since, deadline = self.size, time.monotonic() + seconds
        while not self.latest(since).is_at(hertz):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def hears_nothing(self, *, seconds: float = HEAR_SECONDS) -> bool:
        """Waits until the recording goes on in silence, or does not go on."""
        deadline = time.monotonic() + seconds
        while True:
            since = self.size
            time.sleep(SETTLE_SECONDS)
            if self.latest(since).is_silence:
                return True
            if time.monotonic() > deadline:
                return False
