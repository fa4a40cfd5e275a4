# SPDX-License-Identifier: Apache-2.0
"""Sounds from a place in the middle to their end: how a caller rewinds and skips."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

from ivr.verbs import Audio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.mailboxes.words import Sound

__all__ = ["duration", "from_second"]


def duration(sounds: Sequence[Sound]) -> float:
    """How long all of them last."""
    return sum(sound.seconds for sound in sounds)


def from_second(sounds: Sequence[Sound], position: float) -> list[Audio]:
    """What is left of sounds that follow one another, after so many seconds.

    One that is no WAV file cannot be cut without decoding it, and is left whole; the server records WAV files only.
    """
    left = []
    for sound in sounds:
        if position <= 0:
            left.append(Audio(sound.format, sound.data))
        elif position < sound.seconds:
            is_wav = sound.format == "wav"
            left.append(Audio(sound.format, _cut_wav(sound.data, position) if is_wav else sound.data))
        position -= sound.seconds
    return left


def _cut_wav(data: bytes, position: float) -> bytes:
    """Frames are copied, not decoded."""
    with wave.open(io.BytesIO(data)) as source:
        parameters = source.getparams()
        source.setpos(min(round(position * parameters.framerate), parameters.nframes))
        frames = source.readframes(parameters.nframes)
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams(parameters)
        file.writeframes(frames)
    return target.getvalue()
