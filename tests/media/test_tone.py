# SPDX-License-Identifier: Apache-2.0
"""Tones survive G.711, and are told from each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sound import g711
from media.sound.tone import dominant_frequency, power_at, tone

FREQUENCIES = (350.0, 440.0, 697.0, 1004.0)


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a_tone_is_found_through_both_companding_laws(frequency: float) -> None:
    samples = tone(frequency, 0.1)
    ulaw, alaw = g711.ulaw(samples), g711.alaw(samples)
    translated = ulaw.translate(g711.ALAW_FROM_ULAW).translate(g711.ULAW_FROM_ALAW)
    for heard in (g711.linear_from_ulaw(ulaw), g711.linear_from_alaw(alaw), g711.linear_from_ulaw(translated)):
        assert dominant_frequency(heard, FREQUENCIES, least=0.98) == frequency


def test_silence_and_other_tones_are_not_found() -> None:
    assert dominant_frequency([0] * 800, FREQUENCIES) is None
    assert dominant_frequency(tone(2000, 0.1), FREQUENCIES) is None
    assert dominant_frequency([], FREQUENCIES) is None


def test_a_tone_in_pieces_is_the_tone_in_one() -> None:
    whole = tone(440, 0.04)
    assert tone(440, 0.02) + tone(440, 0.02, first_sample=160) == whole


def test_power_is_shared_between_two_tones() -> None:
    both = [a + b for a, b in zip(tone(440, 0.1, level=0.2), tone(1000, 0.1, level=0.2), strict=True)]
    assert power_at(both, 440) == pytest.approx(0.5, abs=0.02)
    assert power_at(both, 1000) == pytest.approx(0.5, abs=0.02)


@given(st.integers(-32768, 32767))
def test_companding_errs_by_less_than_the_step_of_its_segment(sample: int) -> None:
    for encode, decode in ((g711.ulaw, g711.linear_from_ulaw), (g711.alaw, g711.linear_from_alaw)):
        heard = decode(encode([sample]))[0]
        assert abs(heard - sample) <= max(abs(sample) / 16 + 8, 16) + (abs(sample) > 32100) * 700


def test_the_laws_have_the_codes_of_the_recommendation() -> None:
    assert g711.ulaw([0, -1, 32767, -32768]) == bytes([0xFF, 0xFF, 0x80, 0x00])
    assert g711.alaw([8, -8, 32767, -32768]) == bytes([0xD5, 0x55, 0xAA, 0x2A])
