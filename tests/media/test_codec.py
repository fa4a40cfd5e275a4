# SPDX-License-Identifier: Apache-2.0
"""Codecs, sample rates, files of sound, and what is made up for lost packets."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from media.rtp.jitter import Gap
from media.session.decoding import Decoding
from media.sound.codec import CODECS, OPUS, PCMA, Codec
from media.sound.opus import OpusDecoder, samples_in
from media.sound.resample import Resampler, Samples, resample
from media.sound.sound import Sound, SoundError
from media.sound.tone import dominant_frequency
from tests.media.voices import voice

if TYPE_CHECKING:
    from media.rtp.jitter import Frame


def sine(frequency: float, seconds: float, rate: int, level: float = 0.25) -> Samples:
    at = np.arange(round(seconds * rate)) / rate
    return (level * 32767 * np.sin(2 * np.pi * frequency * at)).astype(np.int16)


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_tone_in_is_tone_out(codec: Codec) -> None:
    payloads = Sound.from_samples(sine(1000, 1.0, 48_000), 48_000).payloads(codec)
    assert len(payloads) in (50, 51)
    heard = resample(codec.decoder().decode(payloads), codec.sample_rate, 8000)
    assert dominant_frequency(heard[800:7200].tolist(), (500, 1000, 2000), least=0.98) == 1000
    assert rms(heard[800:7200]) == pytest.approx(0.25 * 32767 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_every_payload_is_20_ms_and_silence_is_silent(codec: Codec) -> None:
    payloads = Sound.from_samples(voice(0.77, 16_000), 16_000).payloads(codec)
    assert {codec.ticks_in(payload) for payload in payloads} == {codec.step}
    frames = [codec.silence] * 50
    silent = frames if codec.live is None else list(map(codec.live(), frames))
    assert {codec.ticks_in(payload) for payload in silent} == {codec.step}
    assert rms(codec.decoder().decode(silent)) < 10


def test_a_sound_is_encoded_once_for_each_codec() -> None:
    sound = Sound.from_samples(sine(440, 0.5, 8000), 8000)
    assert sound.frames(PCMA) is sound.frames(PCMA)
    assert sound.encoding(OPUS) is sound.encoding(OPUS)


def test_a_sound_is_encoded_piece_by_piece_to_the_same() -> None:
    sound = Sound.from_samples(voice(1.03, 44_100), 44_100)
    at_once = PCMA.encoder()
    whole = resample(sound.samples, 44_100, 8000)
    assert sound.payloads(PCMA) == at_once.encode(whole) + at_once.finish()


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_sounds_follow_each_other_without_a_crash(codec: Codec) -> None:
    first, second = (Sound.from_samples(sine(frequency, 0.5, 16_000), 16_000) for frequency in (440, 1000))
    frames = [*first.frames(codec), *second.frames(codec), *[codec.silence] * 10, *first.frames(codec)]
    payloads = frames if codec.live is None else list(map(codec.live(), frames))
    assert np.abs(codec.decoder().decode(payloads).astype(int)).max() < 0.25 * 32767 * 1.3


@pytest.mark.parametrize("rates", [(8000, 16_000), (16_000, 8000), (48_000, 8000), (44_100, 16_000), (11_025, 48_000)])
def test_a_change_of_rate_keeps_what_both_can_hold(rates: tuple[int, int]) -> None:
    before, after = rates
    nyquist = min(rates) / 2
    kept = resample(sine(0.6 * nyquist, 0.5, before), before, after)
    assert len(kept) == pytest.approx(0.5 * after, abs=3)
    middle = slice(len(kept) // 4, 3 * len(kept) // 4)
    assert np.abs(kept[middle].astype(int) - sine(0.6 * nyquist, 0.5, after)[middle]).max() < 60


def test_what_the_lower_rate_cannot_hold_is_filtered_out() -> None:
    assert rms(resample(sine(5500, 0.5, 48_000), 48_000, 8000)[500:-500]) < 2


@given(st.lists(st.integers(0, 700), max_size=12), st.sampled_from([(8000, 16_000), (16_000, 8000), (8000, 48_000)]))
def test_a_stream_in_pieces_is_resampled_like_the_whole(sizes: list[int], rates: tuple[int, int]) -> None:
    whole = np.random.default_rng(1).integers(-9000, 9000, sum(sizes)).astype(np.int16)
    resampler, pieces, start = Resampler(*rates), [], 0
    for size in sizes:
        pieces.append(resampler.convert(whole[start : start + size]))
        start += size
    pieces.append(resampler.finish())
    joined = np.concatenate(pieces)
    expected = resample(whole, *rates)
    assert np.abs(joined[: len(expected)].astype(int) - expected).max(initial=0) <= 1
    assert len(joined) >= len(expected)


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "OPUS")])
def test_files_of_many_formats_are_read_and_their_channels_mixed(form: str, subtype: str) -> None:
    left, right = sine(440, 1.0, 48_000), np.zeros(48_000, dtype=np.int16)
    file = io.BytesIO()
    soundfile.write(file, np.column_stack([left, right]), 48_000, format=form, subtype=subtype)
    sound = Sound.read(file.getvalue())
    assert sound.rate == 48_000
    assert sound.seconds == pytest.approx(1.0, abs=0.1)
    heard = resample(sound.samples, 48_000, 8000)
    assert dominant_frequency(heard[2000:6000].tolist(), (440, 880), least=0.9) == 440
    assert rms(heard[2000:6000]) == pytest.approx(0.125 * 32767 / np.sqrt(2), rel=0.05)


def test_an_mp3_file_is_read() -> None:
    file = io.BytesIO()
    soundfile.write(file, sine(440, 1.0, 16_000), 16_000, format="MP3")
    sound = Sound.read(file.getvalue())
    assert sound.seconds == pytest.approx(1.0, abs=0.1)
    heard = resample(sound.samples, sound.rate, 8000)
    assert dominant_frequency(heard[2000:6000].tolist(), (440, 880)) == 440


@pytest.mark.parametrize("data", [b"", b"no sound", b"RIFF\x24\0\0\0WAVE"])
def test_a_file_that_is_no_sound_is_told_so(data: bytes) -> None:
    with pytest.raises(SoundError):
        Sound.read(data)


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"\xf8\xff\xfe", 960),
        (b"\xf0\x00", 480),
        (b"\x08", 960),
        (b"\x18", 2880),
        (b"\xf9\x00\x00", 1920),
        (b"\xfb\x03abc", 2880),
        (b"\xfb", 0),
        (b"\xfb\x3f", 0),
        (b"", 0),
    ],
)
def test_the_duration_of_an_opus_packet_is_told_by_its_first_octets(payload: bytes, samples: int) -> None:
    assert samples_in(payload) == samples


def test_opus_decoded_in_pieces_is_as_decoded_whole() -> None:
    payloads = list(Sound.from_samples(voice(2.0, 48_000), 48_000).payloads(OPUS))
    whole = OpusDecoder().decode(payloads)
    decoder = OpusDecoder()
    pieces = np.concatenate([decoder.decode(payloads[at : at + 10]) for at in range(0, len(payloads), 10)])
    assert len(pieces) == len(whole)
    assert rms((pieces - whole).astype(np.int16)) < 0.03 * rms(whole)


def test_octets_that_are_no_opus_are_silence_of_their_length() -> None:
    assert len(OpusDecoder().decode([b"\xf8" + bytes(range(200))])) == 320


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_a_lost_packet_is_made_up_for_from_what_was_heard(codec: Codec) -> None:
    payloads: list[Frame] = list(Sound.from_samples(voice(1.0, 16_000), 16_000).payloads(codec))
    whole = Decoding(codec).decode(payloads)
    gapped: list[Frame] = [*payloads[:20], Gap(codec.step, is_lost=True), *payloads[21:]]
    heard = Decoding(codec).decode(gapped)
    assert len(heard) == len(whole)
    lost = slice(20 * codec.sample_rate // 50, 21 * codec.sample_rate // 50)
    assert rms(heard[lost]) > 0.4 * rms(whole[lost])
    a, b = heard[lost].astype(float), whole[lost].astype(float)
    assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.5


def test_a_long_loss_fades_to_silence_and_a_pause_is_silent() -> None:
    payloads: list[Frame] = list(Sound.from_samples(voice(0.4, 8000), 8000).payloads(PCMA))
    heard = Decoding(PCMA).decode([*payloads, Gap(1600, is_lost=True), Gap(800, is_lost=False)])
    assert len(heard) == 3200 + 2400
    assert rms(heard[3200:3280]) > 100
    assert rms(heard[3200 + 800 :]) == 0


def test_the_seam_after_a_loss_has_no_click() -> None:
    payloads: list[Frame] = list(Sound.from_samples(sine(200, 0.4, 8000), 8000).payloads(PCMA))
    heard = Decoding(PCMA).decode([*payloads[:10], Gap(160, is_lost=True), *payloads[11:]])
    steps = np.abs(np.diff(heard.astype(int)))
    assert steps[1500:1900].max() < 2.5 * steps[:1500].max()
