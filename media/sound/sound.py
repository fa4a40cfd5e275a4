# SPDX-License-Identifier: Apache-2.0
"""Sounds to be played: read from files of any format, encoded once for each codec."""

from __future__ import annotations

import io
import warnings
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from media.sound.resample import Resampler, Samples, clipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from media.sound.codec import Codec, Encoder

__all__ = ["Encoding", "Sound", "SoundError"]

RATES = range(1000, 384_001)
PIECE_SECONDS = 0.1


class SoundError(ValueError):
    """The sound cannot be read; the text says why."""


class Encoding:
    """A sound in one codec, encoded as far as it was asked for.

    It goes on a piece at a time, so a long prompt that is played for the first time does not hold up other calls.
    Several threads may use it.
    """

    __slots__ = ("_encoder", "_left", "_lock", "_position", "_rate", "_resampler", "_samples", "frames")

    def __init__(self, samples: Samples, rate: int, codec: Codec) -> None:
        """It knows the samples, not the `Sound` that keeps it: a message that was played goes with its last use."""
        self.frames: list[bytes] = []
        """What is encoded by now; 20 ms each."""
        self._samples = samples
        self._rate = rate
        self._encoder: Encoder | None = codec.encoder()
        self._resampler = Resampler(rate, codec.encoded_rate) if rate != codec.encoded_rate else None
        self._left = round(len(samples) * codec.encoded_rate / rate)
        """Samples of the new rate that are still to be encoded."""
        self._position = 0
        self._lock = Lock()

    def more(self) -> bool:
        """Encode the next piece. Returns whether there was one."""
        with self._lock:
            if self._encoder is None:
                return False
            piece = self._samples[self._position : self._position + round(self._rate * PIECE_SECONDS)]
            self._position += len(piece)
            if self._resampler is not None:
                piece = self._resampler.convert(piece) if len(piece) else self._resampler.finish()
                piece = piece[: self._left]
            self._left -= len(piece)
            self.frames += self._encoder.encode(piece)
            if self._left <= 0:
                self.frames += self._encoder.finish()
                self._encoder = self._resampler = None
            return True


class Sound:
    """Mono sound, encoded on first use for each codec and kept: playing costs no codec work. Not to be changed."""

    __slots__ = ("_encodings", "rate", "samples", "seconds")

    def __init__(self, samples: Samples, rate: int) -> None:
        self.samples = samples
        self.rate = rate
        """Hz."""
        self.seconds = len(samples) / rate
        self._encodings: dict[Codec, Encoding] = {}

    @classmethod
    def from_samples(cls, samples: Samples, rate: int) -> Sound:
        """16-bit samples of one channel at `rate` Hz. Raises SoundError."""
        if rate not in RATES:
            raise SoundError(f"{rate} Hz is no sample rate")
        kept = np.array(samples, dtype=np.int16)
        kept.flags.writeable = False
        return cls(kept, rate)

    @classmethod
    def read(cls, data: bytes) -> Sound:
        """A complete file: WAV, FLAC, Ogg, MP3, ...; what libsndfile cannot read (M4A, AAC) by ffmpeg if that is there.

        Channels are mixed. Raises SoundError.
        """
        try:
            frames, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
            return _read_by_ffmpeg(data, str(error))
        if not len(frames):
            raise SoundError("The file has no samples")
        return cls.from_samples(clipped(frames.mean(axis=1) * 32768), rate)

    def encoding(self, codec: Codec) -> Encoding:
        """The sound in frames of 20 ms, as far as they were made; the last one is filled up with silence."""
        encoding = self._encodings.get(codec)
        if encoding is None:
            encoding = self._encodings.setdefault(codec, Encoding(self.samples, self.rate, codec))
        return encoding

    def frames(self, codec: Codec) -> Sequence[bytes]:
        """All frames (see `media.sound.codec`). Takes some 16 ms a second of sound in Opus, so not where others
        wait."""
        encoding = self.encoding(codec)
        while encoding.more():
            pass
        return encoding.frames

    def payloads(self, codec: Codec) -> Sequence[bytes]:
        """The whole sound in packets of a stream of its own."""
        frames = self.frames(codec)
        return frames if codec.live is None else list(map(codec.live(), frames))


def _read_by_ffmpeg(data: bytes, why: str) -> Sound:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library about itself, and that there is no ffmpeg
        from pydub import AudioSegment  # slow to import, and rarely needed
        from pydub.exceptions import CouldntDecodeError

        try:
            segment = AudioSegment.from_file(io.BytesIO(data)).set_channels(1).set_sample_width(2)
        except FileNotFoundError:
            raise SoundError(f"The sound cannot be read ({why}); ffmpeg, which may know it, is missing") from None
        except (CouldntDecodeError, IndexError, KeyError, ValueError, OSError):
            raise SoundError(f"The sound cannot be read: {why}") from None
    return Sound.from_samples(np.array(segment.get_array_of_samples(), dtype=np.int16), segment.frame_rate)
