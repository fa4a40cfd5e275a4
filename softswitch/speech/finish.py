# SPDX-License-Identifier: Apache-2.0
"""What is done to the sound that an engine made, so that prompts are equally loud and join without gaps. Pure."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import soundfile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from softswitch.speech.catalogue import Tone

    Signal: TypeAlias = "NDArray[np.float64]"

__all__ = [
    "PEAK_DBFS",
    "RATE",
    "SPEECH_DBFS",
    "decoded",
    "encoded",
    "finished",
    "level_dbfs",
    "seconds",
    "synthesised",
    "title",
]

RATE = 16_000
"""Hz: all that G.722 carries, twice what G.711 does."""
SPEECH_DBFS = -20.0
"""Root mean square of the parts with speech, relative to a full-scale square wave."""
PEAK_DBFS = -3.0
FRAME = RATE // 100
"""10 ms."""
QUIET_DB = -38.0
"""Below the loudest frame: silence at the ends."""
SENTENCE_SECONDS = (0.06, 0.12)
"""Silence that is left before and after a sentence."""
FRAGMENT_SECONDS = (0.03, 0.04)
"""The same for what others follow or precede: "you have" - "five" - "new messages"."""
PRESENCE = ((0.0, 0.0), (900.0, 0.0), (2200.0, 5.0), (5000.0, 6.0), (8000.0, 3.0))
"""Hz, dB. The voices of Debian are dull for a telephone, whose listener understands by 1 to 3.4 kHz; and what is below
the telephone's band costs level only."""
RUMBLE_HERTZ = 80.0
TONE_DBFS = -15.0
FADE_SECONDS = 0.005


def finished(sound: bytes, *, is_sentence: bool) -> Signal:
    """An engine's sound at 16 kHz: resampled, equalised, trimmed, levelled."""
    samples, rate = soundfile.read(io.BytesIO(sound), always_2d=True)
    signal = _equalised(_resampled(samples.mean(axis=1), rate))
    before, after = SENTENCE_SECONDS if is_sentence else FRAGMENT_SECONDS
    return _levelled(_faded(_trimmed(signal, before, after)))


def synthesised(tone: Tone) -> Signal:
    """A tone of our own making, or silence."""
    times = np.arange(round(tone.seconds * RATE)) / RATE
    signal = np.sin(2 * np.pi * tone.hertz * times) * 10 ** (TONE_DBFS / 20) * np.sqrt(2)
    return _faded(signal) if tone.hertz else np.zeros(len(times))


def encoded(signal: Signal, said: str) -> bytes:
    """Ogg/Opus, about 32 kbit/s; `said` is kept as its title, so that a changed text is noticed."""
    target = io.BytesIO()
    with soundfile.SoundFile(
        target, "w", samplerate=RATE, channels=1, format="OGG", subtype="OPUS", compression_level=0.9
    ) as file:
        file.title = said
        file.write(signal)
    return target.getvalue()


def decoded(sound: bytes) -> tuple[Signal, int]:
    """The samples of a file, mixed to one channel, and their rate. Raises soundfile.SoundFileError."""
    samples, rate = soundfile.read(io.BytesIO(sound), always_2d=True)
    return samples.mean(axis=1), rate


def seconds(sound: bytes) -> float:
    """How long a file lasts."""
    with soundfile.SoundFile(io.BytesIO(sound)) as file:
        return float(len(file) / file.samplerate)


def title(sound: bytes) -> str:
    """What the file says it says."""
    with soundfile.SoundFile(io.BytesIO(sound)) as file:
        return str(file.title)


def level_dbfs(signal: Signal) -> float:
    """Level of the frames that hold speech, dBFS; -120 of silence."""
    powers = _powers(signal)
    loud = powers[powers > powers.max(initial=0) * 10 ** (-25 / 10)]
    return float(10 * np.log10(max(loud.mean(), 1e-12))) if len(loud) else -120.0


def _powers(signal: Signal) -> Signal:
    whole = len(signal) // FRAME * FRAME
    return np.asarray((signal[:whole].reshape(-1, FRAME) ** 2).mean(axis=1))


def _resampled(signal: Signal, rate: int) -> Signal:
    """By the spectrum of the whole: exact, and time is no matter here. The ends are silent, so nothing wraps around."""
    if rate == RATE:
        return signal
    length = round(len(signal) * RATE / rate)
    spectrum = np.fft.rfft(signal)
    wanted = length // 2 + 1
    spectrum = np.pad(spectrum[:wanted], (0, max(0, wanted - len(spectrum))))
    return np.asarray(np.fft.irfft(spectrum, length) * (length / len(signal)))


def _equalised(signal: Signal) -> Signal:
    padded = np.pad(signal, (0, RATE // 4))
    frequencies = np.fft.rfftfreq(len(padded), 1 / RATE)
    corners, decibels = zip(*PRESENCE, strict=True)
    gains = np.interp(frequencies, np.array(corners), np.array(decibels))
    gains = 10 ** (gains / 20) * np.clip((frequencies / RUMBLE_HERTZ) ** 2, 0, 1)
    return np.asarray(np.fft.irfft(np.fft.rfft(padded) * gains, len(padded))[: len(signal)])


def _trimmed(signal: Signal, before: float, after: float) -> Signal:
    powers = _powers(signal)
    heard = np.flatnonzero(powers > powers.max(initial=0) * 10 ** (QUIET_DB / 10))
    if not len(heard):
        return signal[:0]
    begin, end = heard[0] * FRAME - round(before * RATE), (heard[-1] + 1) * FRAME + round(after * RATE)
    padding = (max(0, -begin), max(0, end - len(signal)))
    return np.pad(signal[max(0, begin) : end], padding)


def _faded(signal: Signal) -> Signal:
    length = min(round(FADE_SECONDS * RATE), len(signal) // 2)
    ramp = np.linspace(0, 1, length)
    shape = np.ones(len(signal))
    shape[:length], shape[len(signal) - length :] = ramp, ramp[::-1]
    return signal * shape


def _levelled(signal: Signal) -> Signal:
    """To the level of speech; what would exceed the peak is bent, by a knee 6 dB below it, which nobody hears."""
    if not signal.any():
        return signal
    louder = signal * 10 ** ((SPEECH_DBFS - level_dbfs(signal)) / 20)
    most = 10 ** (PEAK_DBFS / 20)
    knee = most / 2
    over = np.maximum(np.abs(louder) - knee, 0)
    bent = knee + (most - knee) * np.tanh(over / (most - knee))
    return np.where(over > 0, np.sign(louder) * bent, louder)
