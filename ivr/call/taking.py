# SPDX-License-Identifier: Apache-2.0
"""The verb that records."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Literal

from ivr.say.tones import BEEP
from ivr.verbs import Audio, Recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from ivr.call.party import Party
    from ivr.legs.leg import Take

__all__ = ["record", "wav"]


def wav(samples: bytes, rate: int) -> bytes:
    """A WAV file of mono samples, signed 16 bit little endian."""
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(samples)
    return file.getvalue()


async def record(
    party: Party,
    *,
    most_seconds: float,
    silence_seconds: float,
    finish: str,
    beep: bool,
    on_samples: Callable[[bytes, int], None] | None,
) -> Recording:
    """Record until a key, silence, the length or a hang-up ends it.

    Keys from before the beep's end are forgotten: the one that skipped a greeting must not end the recording.
    `on_samples` is given the samples as they come, with their rate.
    """
    if beep:
        await party.play([BEEP])
    else:
        await party.open()
    party.keys.clear()
    take = party.leg.record(most_seconds=most_seconds, silence_seconds=silence_seconds, on_samples=on_samples)
    try:
        ended_by, key = await _until_the_end(party, take, finish)
    finally:
        samples, seconds = take.finish()
    return Recording(Audio("wav", wav(samples, take.rate)), seconds, ended_by, key)


async def _until_the_end(
    party: Party, take: Take, finish: str
) -> tuple[Literal["key", "silence", "length", "hangup"], str]:
    while True:
        if party.is_leaving:
            return "hangup", ""
        if take.ended_by is not None:
            return take.ended_by, ""
        key = party.keys.take()
        if key and key in finish:
            return "key", key
        if not key:
            await party.next_change(None)
