# SPDX-License-Identifier: Apache-2.0
"""From one phone to the other, when two sessions are bridged: one direction of it. No sockets.

Where both speak the same codec, or the two laws of G.711, payloads pass, with loss and order as they came, under our
own source, sequence numbers and timestamps. Else the sound is decoded, resampled and encoded anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from media.sound.codec import PCMA, PCMU
from media.sound.g711 import ALAW_FROM_ULAW, ULAW_FROM_ALAW
from media.sound.resample import Resampler

if TYPE_CHECKING:
    from media.session.outgoing import Outgoing
    from media.sound.codec import Codec
    from media.sound.resample import Samples

__all__ = ["Passage", "Transcoder", "can_pass"]

MAX_JUMP: Final = 3000
"""Of the sequence number; beyond it the source began anew."""


def can_pass(source: Codec, destination: Codec) -> bool:
    """Whether payloads can pass without being decoded."""
    return source is destination or {source, destination} == {PCMU, PCMA}


class Passage:
    """Gives each packet of one source its place in what another session sends."""

    __slots__ = ("_last", "_outgoing", "_sequence_offset", "_ssrc", "_timestamp_offset", "_translation")

    def __init__(self, source: Codec, outgoing: Outgoing, destination: Codec) -> None:
        self._outgoing = outgoing
        self._translation: bytes | None = None
        if source is not destination:
            self._translation = ALAW_FROM_ULAW if source is PCMU else ULAW_FROM_ALAW
        self._ssrc: int | None = None
        self._last = 0
        self._sequence_offset = 0
        self._timestamp_offset = 0

    def sound(self, ssrc: int, sequence: int, timestamp: int, marker: int, payload: bytes) -> bytes:
        """The packet to send; b"" where the other session has something of its own to say."""
        if self._translation is not None:
            payload = payload.translate(self._translation)
        return self._packet(ssrc, sequence, timestamp, self._outgoing.payload_type | marker, payload)

    def event(self, ssrc: int, sequence: int, timestamp: int, marker: int, payload: bytes) -> bytes:
        """The same for a telephone event."""
        number = self._outgoing.event_type
        if number is None:
            return b""
        return self._packet(ssrc, sequence, timestamp, number | marker, payload)

    def _packet(self, ssrc: int, sequence: int, timestamp: int, second: int, payload: bytes) -> bytes:
        outgoing = self._outgoing
        if outgoing.is_busy or outgoing.on_hold:
            self._ssrc = None  # what comes after it follows on it
            return b""
        step = (sequence - self._last) & 0xFFFF
        if ssrc != self._ssrc or MAX_JUMP < step < 0x10000 - MAX_JUMP:
            self._ssrc = ssrc
            self._sequence_offset = outgoing.sequence + 1 - sequence
            self._timestamp_offset = outgoing.timestamp - timestamp
            second |= 0x80
        self._last = sequence
        return outgoing.relayed(
            second,
            (sequence + self._sequence_offset) & 0xFFFF,
            (timestamp + self._timestamp_offset) & 0xFFFFFFFF,
            payload,
        )


class Transcoder:
    """Puts samples of one codec's rate into another session's codec, to be sent at its ticks."""

    __slots__ = ("_encoder", "_outgoing", "_resampler")

    def __init__(self, source: Codec, outgoing: Outgoing, destination: Codec) -> None:
        self._outgoing = outgoing
        self._encoder = destination.encoder()
        rates = source.sample_rate, destination.encoded_rate
        self._resampler = Resampler(*rates) if rates[0] != rates[1] else None

    def take(self, samples: Samples) -> None:
        """The next samples."""
        if self._resampler is not None:
            samples = self._resampler.convert(samples)
        frames = self._encoder.encode(samples)
        if frames:
            self._outgoing.feed(frames)

    def close(self) -> None:
        self._encoder.close()
