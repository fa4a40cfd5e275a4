# SPDX-License-Identifier: Apache-2.0
"""The tone that tells the payer that the funds come to their end: a WAV file, which every ng relay can play."""

from __future__ import annotations

import io
import math
import wave
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from switch.relay.ng import NgError

if TYPE_CHECKING:
    from switch.relay.ng import Relay
    from switch.trace.trace import Trace

__all__ = ["WARNING_HERTZ", "WARNING_TIMES", "warn_payer", "warning_wav"]

WARNING_HERTZ: Final = 1400
"""As of ITU-T E.180's call-in-progress tones that ask for attention."""
WARNING_TIMES: Final = 2
"""A beep and its pause are played so often; sent once, they stay within a few kilobytes."""

_SAMPLE_RATE: Final = 8000
_TONE_SAMPLES: Final = _SAMPLE_RATE // 5
_PAUSE_SAMPLES: Final = _SAMPLE_RATE // 10
_LEVEL: Final = 0.25


@lru_cache(maxsize=1)
def warning_wav() -> bytes:
    """A beep of 200 ms and a pause of 100 ms: 8000 Hz, 16 bits, one channel."""
    step = 2 * math.pi * WARNING_HERTZ / _SAMPLE_RATE
    samples = array("h", [round(_LEVEL * 32767 * math.sin(step * index)) for index in range(_TONE_SAMPLES)])
    samples.extend([0] * _PAUSE_SAMPLES)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(_SAMPLE_RATE)
        writer.writeframes(samples.tobytes())
    return file.getvalue()


async def warn_payer(relay: Relay, call_id: str, tag: str, trace: Trace) -> None:
    """Let one party of a call at a relay hear the tone: the payer, who is always the caller, or whoever is on the line
    that he has given away."""
    try:
        await relay.play(call_id, tag, warning_wav(), WARNING_TIMES)
    except NgError as error:
        trace.add("fault", "the warning tone cannot be heard: {error}", error=error)
