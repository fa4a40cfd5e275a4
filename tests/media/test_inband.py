# SPDX-License-Identifier: Apache-2.0
"""Keys as tones: found in what phones send, not in speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.sound.codec import PCMA, PCMU
from media.sound.inband import COLUMNS, KEYS, ROWS, ToneDetector, tone_of, without_key
from media.sound.resample import Samples, resample
from media.sound.sound import Sound

RATE = 8000
ALL_KEYS = "".join(KEYS)
PROMPTS = Path(__file__).parents[2] / "prompts"


def tones(
    key: str, seconds: float, *, row_level: float = 0.15, column_level: float = 0.15, shift: float = 1.0
) -> Samples:
    """A key's tones at 8 kHz; `shift` multiplies their frequencies."""
    row = next(i for i, keys in enumerate(KEYS) if key in keys)
    at = 2 * np.pi * shift * np.arange(round(seconds * RATE)) / RATE
    wave = row_level * np.sin(ROWS[row] * at) + column_level * np.sin(COLUMNS[KEYS[row].index(key)] * at)
    return (wave * 32767).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), dtype=np.int16)


def heard(*pieces: Samples, rate: int = RATE, step: int = 160) -> str:
    detector = ToneDetector(rate)
    sound = np.concatenate(pieces)
    return "".join(detector.hear(sound[start : start + step]) for start in range(0, len(sound), step))


@pytest.mark.parametrize("offset", range(0, 160, 23))
def test_a_tone_of_40_ms_is_found_wherever_it_begins(offset: int) -> None:
    lead = silence(0.05 + offset / RATE)
    assert "".join(heard(lead, tones(key, 0.04), silence(0.1)) for key in ALL_KEYS) == ALL_KEYS


def test_a_tone_of_20_ms_is_none() -> None:
    assert "".join(heard(silence(0.05), tones(key, 0.02), silence(0.1)) for key in ALL_KEYS) == ""


def test_the_same_key_twice_is_two_keys_and_a_long_one_is_one() -> None:
    assert heard(tones("5", 0.06), silence(0.06), tones("5", 0.06), silence(0.1)) == "55"
    assert heard(tones("5", 3.0), silence(0.1)) == "5"


@pytest.mark.parametrize("codec", [PCMU, PCMA], ids=lambda codec: codec.name)
def test_tones_are_found_after_g711_with_noise_and_twist(codec: object) -> None:
    assert codec in (PCMU, PCMA)
    coder = PCMU if codec is PCMU else PCMA
    noise = np.random.default_rng(3)
    for row_level, column_level in ((0.15, 0.15), (0.06, 0.15), (0.15, 0.07), (0.02, 0.02)):
        for key in ALL_KEYS:
            sound = tones(key, 0.08, row_level=row_level, column_level=column_level)
            sound = sound + noise.normal(0, 32767 * min(row_level, column_level) / 10, len(sound)).astype(np.int16)
            assert heard(silence(0.03), coder.decoder().decode(coder.encoder().encode(sound)), silence(0.06)) == key


@pytest.mark.parametrize(("shift", "is_found"), [(1.015, True), (0.985, True), (1.04, False), (0.96, False)])
def test_frequencies_are_accepted_within_1_5_percent_only(shift: float, is_found: bool) -> None:
    assert heard(tones("1", 0.1, shift=shift), silence(0.05)) == ("1" if is_found else "")


def test_one_tone_or_three_are_no_key() -> None:
    at = 2 * np.pi * np.arange(1600) / RATE
    for frequency in (*ROWS, *COLUMNS, 440, 1000):
        assert heard((5000 * np.sin(frequency * at)).astype(np.int16)) == ""
    three = sum((3000 * np.sin(frequency * at) for frequency in (697, 852, 1336)), np.zeros(1600))
    assert heard(three.astype(np.int16)) == ""


def test_voiced_sounds_with_harmonics_on_the_frequencies_are_no_key() -> None:
    at = 2 * np.pi * np.arange(4000) / RATE
    for pitch in range(80, 300, 3):
        harmonics = (np.sin(n * pitch * at) / n for n in range(1, 4000 // pitch))
        voice = sum(harmonics, np.zeros(4000))
        assert heard((voice * 6000).astype(np.int16)) == "", pitch


def test_no_prompt_presses_a_key() -> None:
    """Minutes of speech, in two languages."""
    files = sorted(PROMPTS.rglob("*.ogg"))
    assert len(files) > 500
    for file in files[::7]:
        sound = Sound.read(file.read_bytes())
        assert heard(resample(sound.samples, sound.rate, RATE)) == "", file.name


def test_our_own_tones_are_found_at_both_rates() -> None:
    for key in ALL_KEYS:
        wide = np.concatenate([tone_of(key).samples, np.zeros(1600, dtype=np.int16)])
        assert heard(wide, rate=16000, step=320) == key
        assert heard(resample(wide, 16000, RATE)) == key


def test_a_key_at_the_end_of_a_recording_is_cut_off() -> None:
    speech = np.random.default_rng(1).normal(0, 3000, 8000).astype(np.int16)
    whole = np.concatenate([speech, tones("#", 0.06), silence(0.03)])
    kept = without_key(whole, RATE)
    assert 7840 <= len(kept) <= 8000
    assert without_key(speech, RATE) is not None
    assert len(without_key(speech, RATE)) == 8000
