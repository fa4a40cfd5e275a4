# SPDX-License-Identifier: Apache-2.0
"""Recording what a caller says: packets in, pieces of linear PCM out, silence told. Pure; no clock."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from media.rtp.jitter import JitterBuffer
from media.session.decoding import Decoding
from media.sound.codec import OPUS
from media.sound.inband import without_key
from media.sound.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from media.rtp.jitter import Frame
    from media.sound.codec import Codec
    from media.sound.resample import Samples

__all__ = ["Ending", "Recorder", "VoiceDetector", "wav", "wav_header"]

Ending: TypeAlias = 'Literal["silence", "length"]'

FRAME_SECONDS: Final = 0.02
CHUNK_SECONDS: Final = 1.0
DEPTH_SECONDS: Final = 0.2
"""How long the recording waits for packets that were overtaken."""
LEAST_FRAMES: Final = 25
"""So many packets are decoded at once: arithmetic on whole arrays costs the same for few samples as for many."""
OPUS_FRAMES: Final = 40
"""The same for Opus, where each time some are decoded again (`media.sound.opus`)."""
TAIL_SECONDS: Final = 0.2
"""Silence that is left at the end."""
WAV_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")


class VoiceDetector:
    """Tells voice from silence by level: above the noise of the line, which it gets to know."""

    MARGIN_DB: Final = 12.0
    """How far above the noise voice is."""
    LOWEST_DBOV: Final = -52.0
    HIGHEST_DBOV: Final = -32.0
    """Between them is the threshold, whatever the noise."""
    RISE_DB: Final = 0.02
    """How fast the noise is believed to grow, each frame of 20 ms."""
    LEAST_FRAMES: Final = 3
    """So many frames in a row make a voice; less is a click."""

    def __init__(self) -> None:
        self._noise = -60.0
        self._run = 0

    def hear(self, level: float) -> bool:
        """The level of the next 20 ms in dBov. Whether this is voice."""
        self._noise = max(min(level, self._noise + self.RISE_DB), -90.0)
        threshold = min(max(self._noise + self.MARGIN_DB, self.LOWEST_DBOV), self.HIGHEST_DBOV)
        self._run = self._run + 1 if level > threshold else 0
        return self._run >= self.LEAST_FRAMES


class Recorder:
    """One recording. Linear PCM, 16 bits, little-endian, one channel, comes out in pieces of about a second.

    Silence is held back until a voice follows it, so a recording ends with its last word.
    """

    def __init__(
        self,
        on_chunk: Callable[[bytes], None],
        *,
        silence_seconds: float = 10.0,
        most_seconds: float = 180.0,
        on_end: Callable[[Ending], None] | None = None,
    ) -> None:
        """`on_end` is told once when there was silence for `silence_seconds` (0: never), or `most_seconds` are full."""
        self.rate = 8000
        """Samples a second; final once the recording has begun."""
        self.heard_voice = False
        """Whether there was anything but silence."""
        self._on_chunk = on_chunk
        self._on_end = on_end
        self._silence_seconds = silence_seconds
        self._most_seconds = most_seconds
        self._jitter: JitterBuffer | None = None
        self._decoding: Decoding | None = None
        self._resampler: Resampler | None = None
        self._frames: list[Frame] = []
        self._least_frames = 0
        self._worked_at = 0.0
        self._held: list[Samples] = []
        """Sound that has not gone out yet."""
        self._held_count = 0
        self._voiced = 0
        """Of them, samples up to the end of the last voice."""
        self._delivered = 0
        self._silent_frames = 0
        self._detector = VoiceDetector()
        self._rest = np.zeros(0, dtype=np.int16)
        self._ended = False
        self._begun = False

    @property
    def seconds(self) -> float:
        """What has been recorded, without the silence at its end."""
        return (self._delivered + self._voiced) / self.rate

    def begin(self, codec: Codec, now: float) -> None:
        """The stream is in this codec from now on; the first one decides on `rate`."""
        if not self._begun:
            self.rate = codec.sample_rate
            self._begun = True
        elif self._jitter is not None:
            self._frames += self._jitter.flush()
            self._work_off()
        self._jitter = JitterBuffer(codec.clock_rate, codec.ticks_in, DEPTH_SECONDS, now)
        self._decoding = Decoding(codec)
        self._least_frames = OPUS_FRAMES if codec is OPUS else LEAST_FRAMES
        self._resampler = Resampler(codec.sample_rate, self.rate) if codec.sample_rate != self.rate else None

    def take(self, ssrc: int, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """A packet of the stream; an empty payload for one that is not sound."""
        if self._jitter is not None:
            self._frames.extend(self._jitter.put(ssrc, sequence, timestamp, payload, now))

    def advance(self, now: float) -> None:
        """To be called some times a second: decodes what has come, and does what follows from it."""
        if self._jitter is None:
            return
        self._frames.extend(self._jitter.advance(now))
        if len(self._frames) < self._least_frames and now < self._worked_at + CHUNK_SECONDS:
            return
        self._worked_at = now
        self._work_off()
        if not self._ended:
            self._check_end()

    def finish(self) -> None:
        """The recording is over: the rest goes out, without the silence and the key's tone at its end.

        Whoever was told of samples and of the end is let go.
        """
        if self._jitter is not None:
            self._finish(self._jitter)
        self._on_chunk, self._on_end = _nobody, None

    def _finish(self, jitter: JitterBuffer) -> None:
        self._frames += jitter.flush()
        self._work_off()
        self._jitter = None
        samples = np.concatenate([*self._held, self._rest]) if self._held else self._rest
        keep = min(self._voiced + round(TAIL_SECONDS * self.rate), len(samples))
        most = round(self._most_seconds * self.rate) - self._delivered
        samples = without_key(samples[: min(keep, most)], self.rate) if self._voiced else samples[:0]
        self._held, self._held_count, self._voiced = [], 0, 0
        self._deliver(samples)

    def _work_off(self) -> None:
        frames, self._frames = self._frames, []
        if self._ended or self._decoding is None or not frames:
            return
        samples = self._decoding.decode(frames)
        if self._resampler is not None:
            samples = self._resampler.convert(samples)
        if len(self._rest):
            samples = np.concatenate([self._rest, samples])
        size = round(FRAME_SECONDS * self.rate)
        whole = len(samples) - len(samples) % size
        self._rest = samples[whole:]
        if whole:
            self._listen(samples[:whole], size)

    def _listen(self, samples: Samples, size: int) -> None:
        """Find voice and silence in whole frames."""
        by_frame = samples.reshape(-1, size).astype(np.float32)
        powers = np.einsum("ij,ij->i", by_frame, by_frame) / size
        begun = self._held_count
        for index, power in enumerate(powers.tolist()):
            level = 10 * math.log10(power + 1e-3) - 90.31  # dB below 32768, squared
            if self._detector.hear(level):
                self.heard_voice = True
                self._silent_frames = 0
                self._voiced = begun + (index + 1) * size
            else:
                self._silent_frames += 1
        self._held.append(samples)
        self._held_count += len(samples)
        if self._voiced >= CHUNK_SECONDS * self.rate:
            self._deliver_voiced()

    def _deliver_voiced(self) -> None:
        """All but what may be silence or the tone of a key at the end."""
        count = self._voiced - round(TAIL_SECONDS * self.rate)
        samples = np.concatenate(self._held)
        self._held = [samples[count:]]
        self._held_count -= count
        self._voiced -= count
        self._deliver(samples[:count])

    def _deliver(self, samples: Samples) -> None:
        if len(samples):
            self._delivered += len(samples)
            self._on_chunk(samples.astype("<i2").tobytes())

    def _check_end(self) -> None:
        ending: Ending
        if self._delivered + self._held_count >= self._most_seconds * self.rate:
            ending = "length"
        elif 0 < self._silence_seconds <= self._silent_frames * FRAME_SECONDS:
            ending = "silence"
        else:
            return
        self._ended = True
        if self._on_end is not None:
            self._on_end(ending)


def _nobody(_: bytes) -> None:
    """What comes after the end."""


def wav_header(octets: int, rate: int) -> bytes:
    """The 44 octets before `octets` of 16-bit samples of one channel at `rate` Hz."""
    return WAV_HEADER.pack(b"RIFF", 36 + octets, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", octets)


def wav(pcm: bytes, rate: int) -> bytes:
    """A complete WAV file of what `Recorder` gave out."""
    return wav_header(len(pcm), rate) + pcm
