# SPDX-License-Identifier: Apache-2.0
"""A session over real sockets, on a virtual clock: what callers hear, and what is heard of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from media.session.recording import Recorder
from media.sound.codec import G722, OPUS, PCMA, PCMU, Codec
from media.sound.resample import Samples, resample
from media.sound.sound import Sound
from media.sound.tone import dominant_frequency
from tests.media.callers import ALL_CODECS, Caller, Studio

if TYPE_CHECKING:
    from collections.abc import Iterator

CANDIDATES = (440.0, 620.0, 1000.0, 1400.0)


@pytest.fixture
def studio() -> Iterator[Studio]:
    studio = Studio()
    yield studio
    studio.close()


def tone(frequency: float, seconds: float = 1.0, rate: int = 16000) -> Sound:
    at = np.arange(round(seconds * rate)) / rate
    return Sound.from_samples((8000 * np.sin(2 * np.pi * frequency * at)).astype(np.int16), rate)


def pitch(payloads: list[bytes], codec: Codec) -> float | None:
    """The frequency in the middle of what was heard."""
    return pitch_of(codec.decoder().decode(payloads), codec.sample_rate)


def pitch_of(samples: Samples, rate: int) -> float | None:
    heard = resample(samples, rate, 8000)
    middle = len(heard) // 2
    return dominant_frequency(heard[middle - 800 : middle + 800].tolist(), CANDIDATES, least=0.8)


def recorded(studio: Studio, caller: Caller, payloads: list[bytes]) -> tuple[Samples, int]:
    """What a recording of the caller has, and its rate."""
    chunks: list[bytes] = []
    session = studio.session(caller)
    recorder = Recorder(chunks.append)
    session.record(recorder)
    caller.say(payloads, studio)
    session.stop_recording()
    return np.frombuffer(b"".join(chunks), dtype="<i2"), recorder.rate


@pytest.mark.parametrize("codec", ALL_CODECS, ids=lambda codec: codec.name)
def test_a_prompt_is_heard_in_every_codec(studio: Studio, codec: Codec) -> None:
    caller = studio.caller(codec)
    session = studio.session(caller)
    played: list[float] = []
    session.on_played = lambda: played.append(studio.now)
    session.play([tone(440, 0.5), tone(440, 0.5)])
    assert session.is_playing
    studio.pass_time(1.5)
    assert pitch(caller.sound()[:50], codec) == 440
    assert played == [pytest.approx(1001.02, abs=0.03)]
    assert not session.is_playing


def test_packets_follow_each_other_every_20_ms_under_one_source(studio: Studio) -> None:
    caller = studio.caller(PCMA)
    session = studio.session(caller)
    studio.pass_time(0.5)
    session.play([tone(620)])
    studio.pass_time(2)
    heard = caller.heard
    assert len(heard) in (124, 125, 126)
    assert {packet.ssrc for packet in heard} == {heard[0].ssrc}
    assert [packet.marker for packet in heard] == [True] + [False] * (len(heard) - 1)
    for before, after in itertools.pairwise(heard):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 160
        assert after.at - before.at == pytest.approx(0.02, abs=0.003)


def test_a_prompt_that_is_stopped_is_silent_at_once_and_not_told_as_played(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.session(caller)
    played: list[bool] = []
    session.on_played = lambda: played.append(True)
    session.play([tone(440)])
    studio.pass_time(0.3)
    session.stop_playing()
    heard = len(caller.heard)
    studio.pass_time(0.3)
    assert not played
    assert set(caller.sound()[heard:]) == {PCMU.silence}


def test_pressed_keys_are_told_once_even_where_packets_are_lost(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.session(caller)
    digits: list[str] = []
    session.on_digit = digits.append
    caller.press("12", studio)
    caller.press("2#", studio, lost=(0, 1, 4, 5, 6, 7, 8, 9))
    assert digits == ["1", "2", "2", "#"]


@pytest.mark.parametrize("codec", ALL_CODECS, ids=lambda codec: codec.name)
def test_what_a_caller_says_is_recorded(studio: Studio, codec: Codec) -> None:
    caller = studio.caller(codec)
    samples, rate = recorded(studio, caller, list(tone(1000, 3).payloads(codec)))
    assert rate == (16000 if codec in (G722, OPUS) else 8000)
    assert len(samples) / rate == pytest.approx(3, abs=0.05)
    assert pitch_of(samples, rate) == 1000


@pytest.mark.parametrize("codec", [PCMU, PCMA], ids=lambda codec: codec.name)
def test_a_recording_in_g711_has_every_sample_that_was_sent(studio: Studio, codec: Codec) -> None:
    payloads = list(tone(1000, 2.5).payloads(codec))
    samples, _ = recorded(studio, studio.caller(codec), payloads)
    assert samples.tolist() == codec.decoder().decode(payloads).tolist()
