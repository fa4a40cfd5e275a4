# SPDX-License-Identifier: Apache-2.0
"""Playing sound to one phone: a WAV file in, RTP packets of a source of our own out. No sockets, no clock."""

from __future__ import annotations

import io
import sys
import wave
from array import array
from typing import TYPE_CHECKING, Final, TypeAlias

from media.rtp.rtp import HEADER
from media.sound.g711 import alaw, ulaw
from media.sound.tone import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from media.sdp import MediaDescription

__all__ = ["PACKET_SECONDS", "Outlet", "Player", "UnplayableError", "payload_type_for", "payloads", "read_wav"]

PACKET_SECONDS: Final = 0.02
PACKET_SAMPLES: Final = round(SAMPLE_RATE * PACKET_SECONDS)
ENCODERS: Final = {("pcmu", 8000): ulaw, ("pcma", 8000): alaw}
"""By encoding name in lower case and clock rate."""
MARKER: Final = 0x80
BEHIND_SECONDS: Final = 0.2
"""What is later than this is left out: a burst would not be heard as it was meant."""


class UnplayableError(ValueError):
    """The sound cannot be played; the text says why."""


def read_wav(blob: bytes) -> array[int]:
    """The samples of a WAV file of 8000 Hz, 16 bits, one channel. Raises UnplayableError."""
    try:
        with wave.open(io.BytesIO(blob)) as file:
            form = file.getframerate(), file.getsampwidth(), file.getnchannels()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise UnplayableError(f"The blob is no WAV file: {str(error) or 'it is cut short'}") from error
    if form != (SAMPLE_RATE, 2, 1):
        raise UnplayableError("Only WAV files of 8000 Hz, 16 bits and one channel can be played")
    samples = array("h", frames[: len(frames) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
    if not samples:
        raise UnplayableError("The WAV file has no samples")
    return samples


Encoding: TypeAlias = tuple[str, int]
"""Encoding name in lower case and clock rate."""


def payload_type_for(receiver: MediaDescription, sender: MediaDescription | None) -> tuple[int, Encoding]:
    """The payload type that a phone hears sound in, and what it stands for: the first one that was agreed on.

    Numbers are the phone's own; the other one may call the same encoding by another. Raises UnplayableError.
    """
    if "SAVP" in receiver.protocol.upper():
        raise UnplayableError("Nothing can be played into an encrypted stream")
    if receiver.direction in ("sendonly", "inactive") or receiver.address is None or receiver.address.is_unspecified:
        raise UnplayableError("The stream is on hold")
    known = None if sender is None else {(name.lower(), rate) for _, name, rate in sender.encodings}
    agreed = [(number, (name.lower(), rate)) for number, name, rate in receiver.encodings]
    agreed = [each for each in agreed if known is None or each[1] in known]
    for each in agreed:
        if each[1] in ENCODERS:
            return each
    raise UnplayableError(f"Only PCMU and PCMA can be played, not payload types {' '.join(receiver.formats)}")


def payloads(samples: Sequence[int], encoding: Encoding) -> list[bytes]:
    """The samples, encoded and cut into packets; the last one is filled up with silence."""
    octets = ENCODERS[encoding](samples)
    silence = ENCODERS[encoding]([0])
    octets += silence * (-len(octets) % PACKET_SAMPLES)
    return [octets[start : start + PACKET_SAMPLES] for start in range(0, len(octets), PACKET_SAMPLES)]


class Outlet:
    """Our own RTP source towards one phone (RFC 3550 section 5.1).

    Sequence numbers follow each other from piece to piece; timestamps count the time between pieces.
    """

    __slots__ = ("_sequence", "_started_at", "_timestamp", "ssrc")

    def __init__(self, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        """The first numbers should be random."""
        self.ssrc = ssrc
        self._sequence = sequence
        self._timestamp = timestamp
        self._started_at = now

    def packet(self, payload_type: int, payload: bytes, at: float, *, is_first: bool) -> bytes:
        """The packet of an instant; `is_first` marks the beginning of a piece."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        timestamp = self._timestamp + round((at - self._started_at) * SAMPLE_RATE) & 0xFFFFFFFF
        second = payload_type | MARKER if is_first else payload_type
        return HEADER.pack(0x80, second, self._sequence, timestamp, self.ssrc) + payload


class Player:
    """A piece on its way to a phone, a packet every 20 ms."""

    __slots__ = ("_index", "_outlet", "_payload_type", "_payloads", "_started_at", "_times")

    def __init__(self, outlet: Outlet, payload_type: int, pieces: list[bytes], times: int, now: float) -> None:
        """Play `pieces` so many times, from now on."""
        self._outlet = outlet
        self._payload_type = payload_type
        self._payloads = pieces
        self._times = times
        self._started_at = now
        self._index = 0

    @property
    def next_at(self) -> float | None:
        """When the next packet is due; None: all were."""
        if self._index >= len(self._payloads) * self._times:
            return None
        return self._started_at + self._index * PACKET_SECONDS

    def due(self, now: float) -> Iterator[bytes]:
        """The packets that are due by now."""
        while (at := self.next_at) is not None and at <= now:
            index, self._index = self._index, self._index + 1
            if now - at < BEHIND_SECONDS:
                payload = self._payloads[index % len(self._payloads)]
                yield self._outlet.packet(self._payload_type, payload, at, is_first=index == 0)
