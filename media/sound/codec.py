# SPDX-License-Identifier: Apache-2.0
"""The codecs of the media server: PCMU, PCMA, G.722 (RFC 3551) and Opus (RFC 7587), in packets of 20 ms.

Sounds are encoded beforehand into frames. A frame is the payload itself, but for G.722: its decoder follows the coder
step by step over all that was ever sent, so a sound that was coded by itself begins with a crash. Its frames are linear
PCM, and each session codes them, silence too, one after the other as it sends them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from G722 import G722 as G722Coder  # noqa: N811 (a class)

from media.sound.g711 import ALAW_CODES, ALAW_SAMPLES, ULAW_CODES, ULAW_SAMPLES
from media.sound.opus import SILENCE as OPUS_SILENCE
from media.sound.opus import OpusDecoder, OpusEncoder, samples_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from media.sound.resample import Samples

__all__ = ["CODECS", "G722", "OPUS", "PACKET_SECONDS", "PCMA", "PCMU", "Codec", "Decoder", "Encoder"]

PACKET_SECONDS: Final = 0.02
PACKETS_PER_SECOND: Final = 50


class Encoder(Protocol):
    """Frames of 20 ms from a stream of samples at the codec's `encoded_rate`."""

    def encode(self, samples: Samples) -> list[bytes]:
        """The frames that are complete."""

    def finish(self) -> list[bytes]:
        """The rest, filled up with silence. Nothing may be encoded afterwards."""

    def close(self) -> None:
        """Let go of it without the rest."""


class Decoder(Protocol):
    """Samples at the codec's `sample_rate` from the payloads of a stream, in order."""

    def decode(self, payloads: Sequence[bytes]) -> Samples:
        """The sound of the next payloads."""


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """How sound is put into payloads. There is one object for each codec."""

    name: str
    """As in SDP."""
    payload_type: int
    """The static one (RFC 3551 section 6), or the one that we offer."""
    clock_rate: int
    """Of RTP timestamps, Hz."""
    sample_rate: int
    """Of decoded sound, Hz."""
    encoded_rate: int
    """Of sound to be encoded, Hz."""
    silence: bytes = field(repr=False)
    """A frame of silence."""
    encoder: Callable[[], Encoder] = field(repr=False)
    decoder: Callable[[], Decoder] = field(repr=False)
    ticks_in: Callable[[bytes], int] = field(repr=False)
    """The duration of a payload by the RTP clock; 0 where it is malformed."""
    live: Callable[[], Callable[[bytes], bytes]] | None = field(default=None, repr=False)
    """Makes the coder that turns the frames of one stream into payloads; none: they are payloads already."""
    channels: str = ""
    """What `a=rtpmap` says after the clock rate; always 2 for Opus (RFC 7587 section 7)."""

    @property
    def step(self) -> int:
        """The RTP clock's ticks in a packet."""
        return self.clock_rate // PACKETS_PER_SECOND

    @property
    def rtpmap(self) -> str:
        """Encoding name, clock rate, channels (RFC 8866 section 6.6)."""
        return f"{self.name}/{self.clock_rate}{self.channels}"


class Framing:
    """Cuts encoded octets into frames."""

    def __init__(self, code: Callable[[Samples], bytes], silence: bytes) -> None:
        """`silence`: a frame of it."""
        self._code = code
        self._silence = silence
        self._rest = b""

    def encode(self, samples: Samples) -> list[bytes]:
        octets, size = self._rest + self._code(samples), len(self._silence)
        whole = len(octets) - len(octets) % size
        self._rest = octets[whole:]
        return [octets[start : start + size] for start in range(0, whole, size)]

    def finish(self) -> list[bytes]:
        return [(self._rest + self._silence)[: len(self._silence)]] if self._rest else []

    def close(self) -> None:
        self._rest = b""


class TableDecoder:
    """G.711."""

    def __init__(self, table: NDArray[np.int16]) -> None:
        self._table = table

    def decode(self, payloads: Sequence[bytes]) -> Samples:
        return self._table[np.frombuffer(b"".join(payloads), dtype=np.uint8)]


class G722Decoder:
    """G.722 at 64 kbit/s."""

    def __init__(self) -> None:
        self._coder = G722Coder(16000, 64000)

    def decode(self, payloads: Sequence[bytes]) -> Samples:
        return np.asarray(self._coder.decode(b"".join(payloads)), dtype=np.int16)


def _g711(name: str, payload_type: int, codes: bytes, samples: list[int]) -> Codec:
    to_code = np.frombuffer(codes, dtype=np.uint8)
    to_sample = np.array(samples, dtype=np.int16)

    def code(pcm: Samples) -> bytes:
        return bytes(to_code[(pcm >> 2) + np.int16(8192)])

    silence = code(np.zeros(160, dtype=np.int16))
    return Codec(
        name=name,
        payload_type=payload_type,
        clock_rate=8000,
        sample_rate=8000,
        encoded_rate=8000,
        silence=silence,
        encoder=lambda: Framing(code, silence),
        decoder=lambda: TableDecoder(to_sample),
        ticks_in=len,
    )


def _linear(pcm: Samples) -> bytes:
    return pcm.tobytes()


def _g722_coder() -> Callable[[bytes], bytes]:
    encode = G722Coder(16000, 64000).encode

    def code(frame: bytes) -> bytes:
        return bytes(encode(np.frombuffer(frame, dtype=np.int16)))

    return code


G722_SILENCE: Final = bytes(640)

PCMU: Final = _g711("PCMU", 0, ULAW_CODES, ULAW_SAMPLES)
PCMA: Final = _g711("PCMA", 8, ALAW_CODES, ALAW_SAMPLES)
G722: Final = Codec(
    name="G722",
    payload_type=9,
    clock_rate=8000,  # although it samples at 16000 Hz: RFC 3551 section 4.5.2
    sample_rate=16000,
    encoded_rate=16000,
    silence=G722_SILENCE,
    encoder=lambda: Framing(_linear, G722_SILENCE),
    decoder=G722Decoder,
    ticks_in=len,
    live=_g722_coder,
)
OPUS: Final = Codec(
    name="opus",
    payload_type=111,
    clock_rate=48000,
    sample_rate=16000,
    encoded_rate=48000,
    silence=OPUS_SILENCE,
    encoder=OpusEncoder,
    decoder=OpusDecoder,
    ticks_in=samples_in,
    channels="/2",
)

CODECS: Final = {codec.name.lower(): codec for codec in (PCMU, PCMA, G722, OPUS)}
"""By lower-case name."""
