# SPDX-License-Identifier: Apache-2.0
"""Recordings: their length, what silence does, loss, the tone of the key that ends them. On literal packets."""

from __future__ import annotations

import io
import wave
from random import Random

import numpy as np
import pytest

from media.session.recording import Ending, Recorder, wav
from media.sound.codec import CODECS, G722, OPUS, PCMA, PCMU, Codec
from media.sound.resample import Samples, resample
from media.sound.sound import Sound
from tests.media.voices import voice

RATE = 16000


class Take:
    """A recording of packets that come every 20 ms."""

    def __init__(
        self, codec: Codec = PCMU, *, silence_seconds: float = 10.0, most_seconds: float = 180.0, loss: float = 0.0
    ) -> None:
        self.chunks: list[bytes] = []
        self.endings: list[tuple[Ending, float]] = []
        self.codec = codec
        self.now = 50.0
        self.recorder = Recorder(
            self.chunks.append,
            silence_seconds=silence_seconds,
            most_seconds=most_seconds,
            on_end=lambda ending: self.endings.append((ending, self.now - 50.0)),
        )
        self.recorder.begin(codec, self.now)
        self._loss = loss
        self._random = Random(5)
        self._sequence, self._timestamp = 65_000, 2**32 - 7000

    def say(self, samples: Samples) -> None:
        """Samples at 16 kHz."""
        for payload in Sound.from_samples(samples, RATE).payloads(self.codec):
            self.put(payload)

    def put(self, payload: bytes) -> None:
        self.now += 0.02
        if self._random.random() >= self._loss:
            self.recorder.take(9, self._sequence, self._timestamp, payload, self.now)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + self.codec.step) & 0xFFFFFFFF
        if self._sequence % 10 == 0:
            self.recorder.advance(self.now)

    def wait(self, seconds: float) -> None:
        """Nothing comes."""
        for _ in range(round(seconds / 0.2)):
            self.now += 0.2
            self.recorder.advance(self.now)

    def finish(self) -> Samples:
        self.recorder.finish()
        return np.frombuffer(b"".join(self.chunks), dtype="<i2")


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), dtype=np.int16)


def likeness(recorded: Samples, said: Samples) -> float:
    """Correlation of the two, the delay of the codec made up for; both at the same rate."""
    a = np.zeros(len(said) * 2)
    a[: len(recorded)] = recorded[: len(a)]
    b = said.astype(float)
    best = 0.0
    for delay in range(400):
        part = a[delay : delay + len(b)]
        norm = np.sqrt((part @ part) * (b @ b))
        best = max(best, float(part @ b / norm) if norm else 0.0)
    return best


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_a_voice_is_recorded_whole_and_like_itself(codec: Codec) -> None:
    said = voice(4.0, RATE)
    take = Take(codec)
    take.say(said)
    recorded = take.finish()
    rate = take.recorder.rate
    assert rate == (16000 if codec in (G722, OPUS) else 8000)
    assert len(recorded) / rate == pytest.approx(4.0, abs=0.06)
    assert take.recorder.seconds == pytest.approx(4.0, abs=0.06)
    assert likeness(recorded, resample(said, RATE, rate)) > 0.97


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_at_5_percent_loss_a_recording_has_its_length_and_is_like_what_was_said(codec: Codec) -> None:
    said = voice(6.0, RATE)
    take = Take(codec, loss=0.05)
    take.say(said)
    recorded = take.finish()
    rate = take.recorder.rate
    assert len(recorded) / rate == pytest.approx(6.0, abs=0.1)
    assert likeness(recorded, resample(said, RATE, rate)) > 0.9


def test_pieces_of_about_a_second_come_out_while_it_is_recorded() -> None:
    take = Take()
    take.say(voice(5.0, RATE))
    assert len(take.chunks) >= 3
    assert all(6000 <= len(chunk) // 2 <= 12_000 for chunk in take.chunks)


def test_silence_at_the_end_is_left_out_but_not_between_words() -> None:
    take = Take()
    for piece in (voice(1.0, RATE), silence(2.0), voice(1.0, RATE), silence(3.0)):
        take.say(piece)
    assert len(take.finish()) / 8000 == pytest.approx(4.2, abs=0.1)


def test_silence_for_so_long_ends_it_and_is_told_once() -> None:
    take = Take(silence_seconds=3.0)
    take.say(voice(1.0, RATE))
    take.say(silence(5.0))
    ((ending, at),) = take.endings
    assert ending == "silence"
    assert at == pytest.approx(4.0, abs=0.6)
    assert len(take.finish()) / 8000 == pytest.approx(1.2, abs=0.1)


def test_who_never_speaks_leaves_an_empty_recording() -> None:
    take = Take(silence_seconds=2.0)
    take.say(silence(3.0))
    assert [ending for ending, _ in take.endings] == ["silence"]
    assert not take.recorder.heard_voice
    assert len(take.finish()) == 0
    assert take.recorder.seconds == 0


def test_noise_of_the_line_is_silence_and_a_voice_above_it_is_none() -> None:
    noise = np.random.default_rng(2).normal(0, 60, RATE * 4).astype(np.int16)
    take = Take(silence_seconds=3.0)
    take.say(voice(1.5, RATE) + noise[: int(1.5 * RATE)])
    take.say(noise)
    assert [ending for ending, _ in take.endings] == ["silence"]
    assert len(take.finish()) / 8000 == pytest.approx(1.7, abs=0.2)


def test_a_phone_that_sends_nothing_is_silent_and_time_counts() -> None:
    take = Take(silence_seconds=2.0)
    take.say(voice(1.0, RATE))
    take.wait(3.0)
    assert [ending for ending, _ in take.endings] == ["silence"]


def test_a_phone_that_sends_nothing_between_words_leaves_the_pause() -> None:
    take = Take()
    take.say(voice(1.0, RATE))
    take.wait(2.0)
    take._timestamp = (take._timestamp + 16_000) & 0xFFFFFFFF
    take.say(voice(1.0, RATE))
    assert len(take.finish()) / 8000 == pytest.approx(4.0, abs=0.15)


def test_the_longest_recording_is_cut_there_and_told_once() -> None:
    take = Take(most_seconds=2.0)
    take.say(voice(4.0, RATE))
    ((ending, at),) = take.endings
    assert ending == "length"
    assert at == pytest.approx(2.0, abs=0.6)
    assert len(take.finish()) == 16_000
    assert take.recorder.seconds == 2.0


def test_a_recorder_that_heard_nothing_at_all_ends_quietly() -> None:
    take = Take()
    assert len(take.finish()) == 0
    take.recorder.finish()
    take.recorder.advance(take.now)


def test_the_tone_of_the_key_that_ends_it_is_not_in_the_recording() -> None:
    at = 2 * np.pi * np.arange(round(0.06 * RATE)) / RATE
    key = (4000 * (np.sin(941 * at) + np.sin(1477 * at))).astype(np.int16)
    take = Take(PCMA)
    take.say(voice(1.5, RATE))
    take.say(silence(0.1))
    take.say(key)
    assert len(take.finish()) / 8000 == pytest.approx(1.6, abs=0.05)


def test_a_codec_that_changes_within_a_recording_keeps_its_rate() -> None:
    take = Take(PCMU)
    take.say(voice(1.0, RATE))
    take.codec = G722
    take.recorder.begin(G722, take.now)
    take.say(voice(1.0, RATE))
    assert take.recorder.rate == 8000
    assert len(take.finish()) / 8000 == pytest.approx(2.0, abs=0.1)


def test_a_wav_file_is_read_by_others() -> None:
    samples = voice(0.5, 8000)
    with wave.open(io.BytesIO(wav(samples.tobytes(), 8000))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.readframes(10_000) == samples.tobytes()
