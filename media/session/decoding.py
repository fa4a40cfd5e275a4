# SPDX-License-Identifier: Apache-2.0
"""From the frames of a jitter buffer to samples, gaps filled: the sound of one stream as it was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from media.rtp.jitter import Gap
from media.sound.codec import OPUS
from media.sound.concealment import Concealment
from media.sound.opus import concealed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from media.rtp.jitter import Frame
    from media.sound.codec import Codec
    from media.sound.resample import Samples

__all__ = ["Decoding"]

LONGEST_SILENCE_SECONDS: Final = 3600.0


class Decoding:
    """A decoder with its concealment. Samples come at the codec's `sample_rate`."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._decoder = codec.decoder()
        self._concealment = Concealment(codec.sample_rate)
        self._last = b""
        """The last Opus packet: its decoder conceals by itself what is lost after it."""

    def decode(self, frames: Iterable[Frame]) -> Samples:
        """The sound of the next frames."""
        pieces: list[Samples] = []
        payloads: list[bytes] = []
        for frame in frames:
            if not isinstance(frame, Gap):
                payloads.append(frame)
                self._last = frame
            elif frame.is_lost and self.codec is OPUS and self._last:
                payloads += self._lost_packets(frame.ticks)
            else:
                self._decode_payloads(payloads, pieces)
                payloads = []
                pieces.append(self._gap(frame))
        self._decode_payloads(payloads, pieces)
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int16)

    def _decode_payloads(self, payloads: list[bytes], pieces: list[Samples]) -> None:
        if payloads:
            pieces.append(self._concealment.arrived(self._decoder.decode(payloads)))

    def _gap(self, gap: Gap) -> Samples:
        rate, clock_rate = self.codec.sample_rate, self.codec.clock_rate
        count = min(gap.ticks * rate // clock_rate, round(LONGEST_SILENCE_SECONDS * rate))
        return self._concealment.lost(count) if gap.is_lost else self._concealment.silent(count)

    def _lost_packets(self, ticks: int) -> list[bytes]:
        packet = concealed(self._last)
        return [packet] * (ticks // max(self.codec.ticks_in(packet), 1))
