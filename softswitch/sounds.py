# SPDX-License-Identifier: Apache-2.0
"""Sound files of administrators on their way into the store."""

from __future__ import annotations

from media.session.recording import wav
from media.sound.resample import resample
from media.sound.sound import Sound, SoundError

__all__ = ["SoundError", "stored_wav"]

NARROW, WIDE = 8000, 16000
"""Hz: as calls of G.711, and of G.722 and Opus, are recorded."""
LONGEST_SECONDS = 300.0


def stored_wav(data: bytes) -> tuple[bytes, float]:
    """A sound file of any format as the store keeps recordings (mono WAV, 8 or 16 kHz), and its seconds.

    Raises SoundError for what cannot be read, is empty or lasts more than five minutes.
    """
    sound = Sound.read(data)
    if not 0 < sound.seconds <= LONGEST_SECONDS:
        raise SoundError(f"It lasts {sound.seconds:.0f} seconds; a greeting has 300 at most")
    rate = WIDE if sound.rate >= WIDE else NARROW
    samples = sound.samples if sound.rate == rate else resample(sound.samples, sound.rate, rate)
    return wav(samples.astype("<i2").tobytes(), rate), sound.seconds
