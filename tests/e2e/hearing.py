# SPDX-License-Identifier: Apache-2.0
"""Which prompts somebody heard: the sounds of the catalogue found in a recording, by correlation.

A prompt comes out of a telephone resampled, companded and, where a jitter buffer dropped or stretched a frame, in
pieces that are shifted a little. So a prompt is looked for piece by piece: the first pieces tell where it may begin,
and each piece must be found near where it belongs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile

from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from softswitch.phone import Call

    Signal = NDArray[np.float64]

__all__ = ["RATE", "Ears", "Found", "find", "resampled"]

RATE: Final = 8000
"""All is compared at the rate of a telephone."""
PIECE_SECONDS: Final = 0.3
SLACK_SECONDS: Final = 0.06
"""What jitter buffers may have shifted a piece by."""
QUIET_SHARE: Final = 0.1
"""Pieces that hold less of the mean energy than this tell nothing."""
CANDIDATES: Final = 40
HEARD_SCORE: Final = 0.7
POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Found:
    """Where a sound is in a recording, and how well it matches (1: to the sample)."""

    at_seconds: float
    score: float


def resampled(samples: NDArray[np.int16], rate: int, to_rate: int = RATE) -> Signal:
    """The same sound at another rate, without what that rate cannot hold; level and offset taken out."""
    signal = samples.astype(np.float64)
    count = round(len(signal) * to_rate / rate)
    if count != len(signal) and len(signal):
        spectrum = np.fft.rfft(signal)
        kept = np.zeros(count // 2 + 1, complex)
        most = min(len(kept), len(spectrum))
        kept[:most] = spectrum[:most]
        signal = np.fft.irfft(kept, count)
    return signal - signal.mean() if len(signal) else signal


def find(recording: Signal, sound: Signal, *, since_seconds: float = 0.0) -> Found:
    """The best match of `sound` in `recording` (both at RATE) that begins at or after a time."""
    since = round(since_seconds * RATE)
    recording = recording[since:]
    pieces = _pieces(sound)
    if not pieces or len(recording) < len(sound) // 2:
        return Found(since_seconds, 0.0)
    tracks = [(at, _correlation(recording, piece)) for at, piece in pieces]
    best = Found(since_seconds, 0.0)
    for lead_at, lead in tracks[:3]:
        for lag in np.argsort(lead)[::-1][:CANDIDATES]:
            begin = int(lag) - lead_at
            score = float(np.mean([_near(track, begin + at) for at, track in tracks]))
            if score > best.score:
                best = Found((since + begin) / RATE, score)
    return best


def _pieces(sound: Signal) -> Sequence[tuple[int, Signal]]:
    """The sound in pieces, each with its first sample's number; silent ones left out."""
    size = min(len(sound), round(PIECE_SECONDS * RATE))
    if size == 0:
        return []
    mean = float(np.mean(sound**2))
    starts = range(0, len(sound) - size + 1, size)
    return [
        (at, sound[at : at + size])
        for at in starts
        if float(np.mean(sound[at : at + size] ** 2)) > QUIET_SHARE * mean > 0
    ]


def _correlation(recording: Signal, piece: Signal) -> Signal:
    """The normalised correlation at every position of the recording."""
    count = len(recording) - len(piece) + 1
    if count <= 0:
        return np.zeros(1)
    size = 1 << (len(recording) + len(piece)).bit_length()
    product = np.fft.rfft(recording, size) * np.conj(np.fft.rfft(piece, size))
    raw = np.fft.irfft(product, size)[:count]
    energy = np.concatenate(([0.0], np.cumsum(recording**2)))
    window = energy[len(piece) :] - energy[: -len(piece)]
    floor = 1e-3 * float(window.max(initial=0.0)) + 1e-9
    found: Signal = raw / np.sqrt(np.maximum(window[:count], floor) * float(np.sum(piece**2)))
    return found


def _near(track: Signal, at: int) -> float:
    """The best match of a piece near where it belongs."""
    slack = round(SLACK_SECONDS * RATE)
    around = track[max(0, at - slack) : max(0, at + slack + 1)]
    return float(around.max(initial=0.0))


class Ears:
    """Who knows all prompts of a language, and waits for one in what a phone records."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds ID.ogg files."""
        self._folder = folder

    def _prompt(self, prompt: str) -> Signal:
        samples, rate = soundfile.read(self._folder / f"{prompt}.ogg", dtype="int16")
        return resampled(samples, rate)

    def heard(self, call: Call, prompt: str, *, after: float = 0.0) -> Found:
        """How well a prompt is heard so far, from `after` seconds of the recording on."""
        assert call.recording is not None
        samples, rate = call.recording.samples()
        if not len(samples):
            return Found(after, 0.0)
        recording, sound = resampled(samples, rate), self._prompt(prompt)
        found = find(recording, sound, since_seconds=after)
        is_whole = found.at_seconds + len(sound) / RATE <= len(recording) / RATE + SLACK_SECONDS
        return found if is_whole else Found(found.at_seconds, 0.0)

    def hears(self, call: Call, prompt: str, *, after: float = 0.0, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait for the whole prompt; returns the second of the recording at which it began."""
        deadline = time.monotonic() + seconds
        while (found := self.heard(call, prompt, after=after)).score < HEARD_SCORE:
            assert time.monotonic() < deadline, f'"{prompt}" is not heard after {after:.1f} s: {found}'
            time.sleep(POLL_SECONDS)
        return found.at_seconds
