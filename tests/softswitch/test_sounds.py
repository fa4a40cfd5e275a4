# SPDX-License-Identifier: Apache-2.0
"""Sound files of administrators become what the store keeps."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from softswitch.sounds import SoundError, stored_wav


def written(samples: object, rate: int, form: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "rate", "stored_rate"),
    [("WAV", 8000, 8000), ("WAV", 11025, 8000), ("MP3", 44100, 16000), ("OGG", 48000, 16000), ("FLAC", 16000, 16000)],
)
def test_a_file_of_any_format_becomes_mono_wav_of_8_or_16_khz(form: str, rate: int, stored_rate: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate) * 0.5
    data, seconds = stored_wav(written(np.stack([tone, tone], axis=1), rate, form))
    samples, found_rate = soundfile.read(io.BytesIO(data))
    assert (found_rate, samples.ndim) == (stored_rate, 1)
    assert 0.95 < len(samples) / found_rate < 1.15
    assert abs(len(samples) / found_rate - seconds) < 0.02
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    assert abs(np.argmax(np.abs(np.fft.rfft(middle))) * found_rate / len(middle) - 440) < 5
    assert 0.4 < np.abs(middle).max() < 0.6


def test_what_cannot_be_a_greeting_is_refused_in_words() -> None:
    with pytest.raises(SoundError, match="cannot be read"):
        stored_wav(b"no sound")
    with pytest.raises(SoundError, match="300 at most"):
        stored_wav(written(np.zeros(8000 * 301, np.int16), 8000, "WAV"))
