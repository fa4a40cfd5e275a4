# SPDX-License-Identifier: Apache-2.0
"""What one phone says, decoded as it comes: for keys that are tones, and for a phone with another codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from media.rtp.jitter import Gap, JitterBuffer
from media.session.decoding import Decoding

if TYPE_CHECKING:
    from collections.abc import Callable

    from media.sound.codec import Codec
    from media.sound.resample import Samples

__all__ = ["Hearing"]

DEPTH_SECONDS: Final = 0.06


class Hearing:
    """A stream's samples, in order, at its codec's `sample_rate`. Where the sender pauses nothing comes."""

    def __init__(self, codec: Codec, on_samples: Callable[[Samples], None], now: float) -> None:
        self.codec = codec
        self._jitter = JitterBuffer(codec.clock_rate, codec.ticks_in, DEPTH_SECONDS, now)
        self._decoding = Decoding(codec)
        self._on_samples = on_samples

    def take(self, ssrc: int, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """A packet of the stream; an empty payload for one that is not sound."""
        frames = self._jitter.put(ssrc, sequence, timestamp, payload, now)
        heard = [frame for frame in frames if not isinstance(frame, Gap) or frame.is_lost]
        if heard:
            self._on_samples(self._decoding.decode(heard))
