# SPDX-License-Identifier: Apache-2.0
"""The ears of the end-to-end tests: prompts are told apart, whatever a telephone does to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from media.sound.g711 import linear_from_ulaw, ulaw
from tests.e2e.hearing import RATE, find, resampled

if TYPE_CHECKING:
    from numpy.typing import NDArray


def speech(seed: int, seconds: float, rate: int = 16000) -> NDArray[np.int16]:
    """Noise with the spectrum and the syllables of speech."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal(int(seconds * rate))
    smooth = np.convolve(noise, np.hanning(24), "same")
    syllables = np.repeat(random.uniform(0.1, 1.0, int(seconds * 5) + 1), rate // 5)[: len(smooth)]
    signal = smooth * syllables
    return np.asarray(signal / np.abs(signal).max() * 12000, np.int16)


def telephoned(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    narrow = resampled(samples, 16000)
    return np.asarray(linear_from_ulaw(ulaw(narrow.astype(int).tolist())), np.float64)


def test_a_prompt_is_found_where_it_was_played() -> None:
    prompt = speech(1, 1.5)
    recording = np.concatenate([np.zeros(4000), telephoned(speech(2, 2.0)), telephoned(prompt), np.zeros(2000)])
    found = find(recording, resampled(prompt, 16000))
    assert found.score > 0.9
    assert found.at_seconds == pytest.approx(2.5, abs=0.02)


def test_a_prompt_that_was_not_played_is_not_found() -> None:
    recording = np.concatenate([telephoned(speech(n, 1.5)) for n in range(5)])
    assert find(recording, resampled(speech(99, 1.2), 16000)).score < 0.5


def test_a_prompt_with_a_lost_frame_is_still_found() -> None:
    heard = telephoned(speech(3, 1.6))
    cut = RATE // 2
    recording = np.concatenate([np.zeros(1000), heard[:cut], heard[cut + 160 :], np.zeros(1000)])
    assert find(recording, resampled(speech(3, 1.6), 16000)).score > 0.8
