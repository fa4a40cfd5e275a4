# SPDX-License-Identifier: Apache-2.0
"""What happens to a session in a call: hold, another address or codec, silence, strangers, two phones bridged."""

from __future__ import annotations

import itertools
import socket
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.rtp.ports import NoPortsError
from media.rtp.rtcp import read
from media.rtp.rtp import HEADER
from media.session.negotiation import NoCodecError
from media.session.recording import Recorder
from media.sound.codec import G722, OPUS, PCMA, PCMU, Codec
from media.sound.sound import Sound
from tests.media.callers import ALL_CODECS, SETTINGS, Caller, Studio, description
from tests.media.test_session import pitch, pitch_of, tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from media.session.session import MediaSession


@pytest.fixture
def studio() -> Iterator[Studio]:
    studio = Studio()
    yield studio
    studio.close()


def bridged(studio: Studio, first: Caller, second: Caller) -> tuple[MediaSession, MediaSession]:
    one, other = studio.session(first), studio.session(second)
    one.bridge(other)
    first.heard.clear()
    second.heard.clear()
    return one, other


# Offer and answer


def test_a_phone_on_hold_hears_nothing_and_then_goes_on(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.session(caller)
    session.play([tone(440, 10)])
    studio.pass_time(0.5)
    assert b"a=recvonly" in session.answer(caller.offer("sendonly"))
    heard = len(caller.heard)
    studio.pass_time(0.5)
    assert len(caller.heard) == heard
    session.answer(caller.offer())
    studio.pass_time(0.5)
    assert len(caller.heard) == pytest.approx(heard + 25, abs=1)
    assert (caller.heard[-1].sequence - caller.heard[0].sequence) & 0xFFFF == len(caller.heard) - 1
    assert caller.heard[-1].timestamp - caller.heard[0].timestamp == pytest.approx(1.5 * 8000, abs=320)


def test_the_version_counts_up_only_where_the_answer_differs(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.session(caller)

    def version(offer: bytes) -> int:
        return int(session.answer(offer).split(b"\r\n")[1].split()[2])

    assert version(caller.offer()) == 0
    assert version(caller.offer("sendonly")) == 1
    assert version(caller.offer("sendonly")) == 1
    assert version(caller.offer()) == 2


def test_a_new_address_is_talked_to_at_once(studio: Studio) -> None:
    caller, moved = studio.caller(), studio.caller(host="127.0.0.5")
    session = studio.session(caller)
    caller.say([PCMU.silence] * 5, studio)
    moved.learn(session.answer(moved.offer()))
    moved.target = caller.target
    heard = len(caller.heard)
    studio.pass_time(0.2)
    assert len(caller.heard) == heard
    assert len(moved.heard) == 10
    digits: list[str] = []
    session.on_digit = digits.append
    moved.press("7", studio)
    assert digits == ["7"]


def test_another_codec_is_spoken_from_the_next_packet_on(studio: Studio) -> None:
    caller = studio.caller(PCMU)
    session = studio.session(caller)
    session.play([tone(440, 5)])
    chunks: list[bytes] = []
    recorder = Recorder(chunks.append)
    session.record(recorder)
    caller.say(tone(1000, 1).payloads(PCMU)[:50], studio)
    caller.codec = G722
    session.answer(caller.offer())
    caller.heard.clear()
    caller.say(tone(1000, 1).payloads(G722)[:50], studio)
    session.stop_recording()
    assert pitch(caller.sound(), G722) == 440
    assert recorder.rate == 8000
    samples = np.frombuffer(b"".join(chunks), dtype="<i2")
    assert len(samples) / 8000 == pytest.approx(2.0, abs=0.1)
    assert pitch_of(samples[:8000], 8000) == pitch_of(samples[8000:], 8000) == 1000


def test_we_can_offer_and_take_the_answer(studio: Studio) -> None:
    caller = studio.caller(PCMA)
    session = studio.engine.open()
    offer = session.offer()
    assert b"m=audio" in offer
    caller.learn(offer)
    session.play([tone(620)])
    studio.pass_time(0.2)
    assert not caller.heard
    session.accept(description(caller))
    studio.pass_time(1.0)
    assert pitch(caller.sound(), PCMA) == 620
    with pytest.raises(NoCodecError):
        session.accept(description(caller).replace(b"m=audio %d" % caller.port, b"m=audio 0"))


def answered_as(studio: Studio, caller: Caller, audio: str) -> MediaSession:
    """A session whose offer the caller answered with these lines, its port in the place of PORT."""
    session = studio.engine.open()
    caller.learn(session.offer())
    lines = ("v=0", "o=phone 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", audio)
    session.accept("".join(f"{line}\r\n" for line in lines).replace("PORT", str(caller.port)).encode())
    return session


def test_keys_are_understood_under_our_number_where_the_phone_wants_another_one(studio: Studio) -> None:
    """Case C4: our offer has telephone-event 101, the phone answers 96 and sends keys as 101."""
    caller = studio.caller()
    session = answered_as(studio, caller, "m=audio PORT RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000")
    digits: list[str] = []
    session.on_digit = digits.append
    caller.press("42#", studio)
    assert digits == ["4", "2", "#"]
    session.send_digits("7")
    caller.heard.clear()
    studio.pass_time(1)
    assert {packet.payload_type for packet in caller.heard} == {0, 96}, "it hears them under its own"


@pytest.mark.parametrize("number", [0, 97])
def test_sound_is_recorded_under_our_number_where_the_phone_wants_another_one(studio: Studio, number: int) -> None:
    """Case C5: our offer has PCMU 0, the phone answers `97 PCMU/8000` and sends 0."""
    caller = studio.caller()
    session = answered_as(studio, caller, "m=audio PORT RTP/AVP 97\r\na=rtpmap:97 PCMU/8000")
    chunks: list[bytes] = []
    session.record(Recorder(chunks.append))
    for payload in tone(1000, 1).payloads(PCMU)[:50]:
        assert isinstance(payload, bytes)
        caller.send(payload, payload_type=number)
        studio.pass_time(0.02)
    session.stop_recording()
    samples = np.frombuffer(b"".join(chunks), dtype="<i2")
    assert len(samples) / 8000 == pytest.approx(1.0, abs=0.1)
    assert pitch_of(samples, 8000) == 1000
    assert {packet.payload_type for packet in caller.heard} == {97}


def test_a_phone_may_change_between_the_codecs_that_it_answered(studio: Studio) -> None:
    """A neighbour of C5: an answer of two codecs means either."""
    caller = studio.caller()
    session = answered_as(studio, caller, "m=audio PORT RTP/AVP 8 0")
    chunks: list[bytes] = []
    session.record(Recorder(chunks.append))
    for codec in (PCMU, PCMA, PCMU):
        for payload in tone(1000, 1).payloads(codec)[:50]:
            assert isinstance(payload, bytes)
            caller.send(payload, payload_type=codec.payload_type)
            studio.pass_time(0.02)
    session.stop_recording()
    samples = np.frombuffer(b"".join(chunks), dtype="<i2")
    assert len(samples) / 8000 == pytest.approx(3.0, abs=0.2)
    for start in range(0, 24_000 - 8000, 4000):
        assert pitch_of(samples[start : start + 4000], 8000) == pytest.approx(1000, abs=5)


def test_a_phone_that_changes_its_codec_with_every_packet_does_no_harm(studio: Studio) -> None:
    caller = studio.caller()
    session = answered_as(studio, caller, "m=audio PORT RTP/AVP 8 0 9 111\r\na=rtpmap:111 opus/48000/2")
    session.record(Recorder(lambda _: None))
    for number in range(200):
        caller.send(bytes(160), payload_type=(0, 8, 9, 111)[number % 4])
        studio.pass_time(0.02)
    session.stop_recording()
    assert session.received == 200


def test_ipv6_works_as_ipv4_does(studio: Studio) -> None:
    caller = studio.caller(host="::1")
    session = studio.session(caller)
    session.play([tone(440)])
    digits: list[str] = []
    session.on_digit = digits.append
    caller.press("4", studio)
    studio.pass_time(0.5)
    assert digits == ["4"]
    assert pitch(caller.sound(), PCMU) == 440


# Who is heard


def test_a_phone_behind_nat_is_answered_where_it_sends_from(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.engine.open()
    caller.learn(session.answer(caller.offer(address="192.0.2.77")))
    caller.say([PCMU.silence] * 10, studio)
    assert not caller.heard, "not before the final answer: nobody signals from there"
    session.begin()
    caller.say([PCMU.silence] * 10, studio)
    assert len(caller.heard) >= 5


def test_a_stranger_is_neither_heard_nor_answered(studio: Studio) -> None:
    caller, stranger = studio.caller(), studio.caller(host="127.0.0.6")
    session = studio.session(caller)
    digits: list[str] = []
    session.on_digit = digits.append
    caller.say([PCMU.silence] * 5, studio)
    stranger.target = caller.target
    stranger.press("9", studio)
    caller.press("1", studio)
    assert digits == ["1"]
    assert not stranger.heard
    assert session.statistics().packets_received == 5 + 7


def test_many_callers_on_one_address_and_port_are_told_apart_by_their_sessions(studio: Studio) -> None:
    caller = studio.caller()
    sessions = [studio.session(caller) for _ in range(5)]
    pressed: list[tuple[int, str]] = []
    for number, session in enumerate(sessions):
        session.on_digit = lambda digit, number=number: pressed.append((number, digit))
        session.play([tone(440)])
    for number, session in enumerate(sessions):
        caller.target = (caller.host, session.pair.port)
        caller.press(str(number), studio)
    assert pressed == [(number, str(number)) for number in range(5)]
    assert len({packet.ssrc for packet in caller.heard}) == 5


def test_packets_that_are_no_rtp_or_of_another_payload_type_do_no_harm(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.session(caller)
    session.record(Recorder(lambda _: None))
    caller.say([PCMU.silence] * 5, studio)
    for packet in (
        b"",
        b"\0",
        b"\x80",
        bytes(12),
        b"\x80\x00" + bytes(9),
        b"\x8f\x00" + bytes(20),
        b"\x90\0" + bytes(10),
    ):
        caller.send_raw(packet)
    caller.send(b"x", payload_type=96)
    caller.send(b"", payload_type=101)
    caller.send_raw(HEADER.pack(0xA0, 0, 1, 1, 1) + b"\xff")
    studio.pass_time(0.5)
    session.stop_recording()


# Silence, statistics, the end


def test_a_phone_that_sends_nothing_more_is_told_once_and_not_while_on_hold(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.session(caller)
    silent: list[float] = []
    session.on_silent = lambda: silent.append(studio.now)
    caller.say([PCMU.silence] * 10, studio)
    session.answer(caller.offer("sendonly"))
    studio.engine.ticker.run_due()
    for _ in range(40):
        studio.now += 5
        studio.pass_time(0.4)
    assert not silent
    session.answer(caller.offer())
    began = studio.now
    for _ in range(30):
        studio.now += 5
        studio.pass_time(0.4)
    (at,) = silent
    assert at - began == pytest.approx(SETTINGS.timeout_seconds, abs=6)


def test_reports_are_exchanged_and_a_farewell_is_said(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.session(caller)
    for number in range(300):
        if number % 10:
            caller.send(PCMU.silence)
        else:
            caller.packet(PCMU.silence)  # lost
        studio.pass_time(0.02)
    (compound,) = caller.rtcp
    reports = read(compound, len(compound))
    assert reports.sender_ntp is not None
    (block,) = reports.blocks
    assert block.ssrc == caller.ssrc
    assert block.fraction_lost == pytest.approx(0.1, abs=0.03)
    statistics = session.statistics()
    assert statistics.codec == "PCMU"
    assert statistics.packets_received == 270
    assert statistics.lost == pytest.approx(30, abs=2)
    assert statistics.packets_sent == len(caller.heard)
    session.close()
    session.close()
    caller.take(studio.now)
    assert read(caller.rtcp[-1], len(caller.rtcp[-1])).is_bye


def test_what_the_phone_reports_is_in_the_statistics(studio: Studio) -> None:
    from media.rtp.rtcp import ReceptionBlock, report

    caller = studio.caller()
    session = studio.session(caller)
    while not caller.rtcp:
        caller.say([PCMU.silence], studio)
    sent_at = studio.now
    caller.say([PCMU.silence] * 20, studio)
    sent = read(caller.rtcp[0], len(caller.rtcp[0]))
    assert sent.sender_ntp is not None
    ours = caller.heard[0].ssrc
    block = ReceptionBlock(ours, 0.1, 12, 99, 80, last_report=sent.sender_ntp, delay=0.05)
    caller.rtcp_socket.sendto(report(7, None, (block,), "x"), (caller.host, session.pair.port + 1))
    studio.pass_time(0.02)
    statistics = session.statistics()
    assert statistics.remote_lost == 12
    assert statistics.remote_jitter_seconds == 0.01
    assert statistics.round_trip_seconds is not None
    assert statistics.round_trip_seconds == pytest.approx(studio.now - sent_at - 0.05, abs=0.03)


def test_a_closed_session_gives_its_ports_back_and_ends_its_recording(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.session(caller)
    chunks: list[bytes] = []
    session.record(Recorder(chunks.append))
    caller.say(tone(1000, 0.5).payloads(PCMU)[:25], studio)
    port = session.pair.port
    session.close()
    assert sum(map(len, chunks)) == pytest.approx(2 * 4000, abs=400)
    assert not studio.engine.sessions
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", port))


def test_without_ports_no_session_opens() -> None:
    from dataclasses import replace

    studio = Studio(replace(SETTINGS, rtp_ports=(20000, 20003)))
    studio.engine.open()
    studio.engine.open()
    with pytest.raises(NoPortsError):
        studio.engine.open()
    studio.close()


def test_a_phone_without_telephone_events_presses_keys_by_tones(studio: Studio) -> None:
    caller = studio.caller(PCMA, events=False)
    session = studio.session(caller)
    digits: list[str] = []
    session.on_digit = digits.append
    sender = studio.caller(PCMA, events=False)
    dialling = studio.session(sender)
    dialling.send_digits("15#")
    studio.pass_time(1.0)
    caller.say(sender.sound(), studio)
    assert digits == ["1", "5", "#"]


@pytest.mark.parametrize("codec", ALL_CODECS, ids=lambda codec: codec.name)
def test_keys_that_we_press_arrive_as_events_within_the_stream(studio: Studio, codec: Codec) -> None:
    caller = studio.caller(codec)
    session = studio.session(caller)
    session.play([tone(440, 0.5)])
    studio.pass_time(0.1)
    session.send_digits("5#")
    studio.pass_time(2)
    events = [packet for packet in caller.heard if packet.payload_type == 101]
    assert [packet.payload[0] for packet in events] == [5] * 7 + [11] * 7
    assert len({packet.timestamp for packet in events}) == 2
    assert [packet.marker for packet in events] == [True, *[False] * 6] * 2
    numbers = [packet.sequence for packet in caller.heard]
    assert [(b - a) & 0xFFFF for a, b in itertools.pairwise(numbers)] == [1] * (len(numbers) - 1)
    assert len(caller.sound()) == pytest.approx(105 - 14, abs=2)


# Two phones


@pytest.mark.parametrize(
    ("one", "other"),
    [(a, b) for a in ALL_CODECS for b in ALL_CODECS],
    ids=lambda codec: codec.name,
)
def test_two_bridged_phones_hear_each_other_whatever_they_speak(studio: Studio, one: Codec, other: Codec) -> None:
    first, second = studio.caller(one), studio.caller(other)
    bridged(studio, first, second)
    for mine, theirs in zip(tone(440, 2).payloads(one), tone(1000, 2).payloads(other), strict=False):
        first.send(mine)
        second.send(theirs)
        studio.pass_time(0.02)
    assert pitch(first.sound(), one) == 1000
    assert pitch(second.sound(), other) == 440
    assert len(first.sound()) == pytest.approx(100, abs=6)
    assert {packet.ssrc for packet in second.heard} != {first.ssrc}


def test_what_passes_keeps_loss_order_and_distance_under_our_own_numbers(studio: Studio) -> None:
    first, second = studio.caller(PCMU), studio.caller(PCMU)
    bridged(studio, first, second)
    packets = [first.packet(bytes([number]) * 160) for number in range(10)]
    for number in (0, 1, 2, 5, 4, 7, 8, 9):
        first.send_raw(packets[number])
        studio.pass_time(0.02)
    heard = second.heard
    assert [packet.payload[0] for packet in heard] == [0, 1, 2, 5, 4, 7, 8, 9]
    assert [(packet.sequence - heard[0].sequence) & 0xFFFF for packet in heard] == [0, 1, 2, 5, 4, 7, 8, 9]
    assert [(packet.timestamp - heard[0].timestamp) & 0xFFFFFFFF for packet in heard] == [
        160 * number for number in (0, 1, 2, 5, 4, 7, 8, 9)
    ]


@pytest.mark.parametrize("other", [PCMU, PCMA, G722, OPUS], ids=lambda codec: codec.name)
def test_keys_are_told_and_reach_the_other_phone(studio: Studio, other: Codec) -> None:
    first, second = studio.caller(PCMU), studio.caller(other)
    one, _ = bridged(studio, first, second)
    digits: list[str] = []
    one.on_digit = digits.append
    first.press("*8", studio)
    studio.pass_time(1.0)
    assert digits == ["*", "8"]
    events = [packet for packet in second.heard if packet.payload_type == 101]
    assert {packet.payload[0] for packet in events} == {10, 8}
    assert len({packet.timestamp for packet in events}) == 2


def test_what_is_played_to_one_of_them_is_heard_instead_and_then_they_go_on(studio: Studio) -> None:
    first, second = studio.caller(PCMU), studio.caller(PCMU)
    _, other = bridged(studio, first, second)
    first.say(tone(440, 0.2).payloads(PCMU), studio)
    other.play([tone(1000, 0.2)])
    second.heard.clear()
    first.say(tone(440, 1.0).payloads(PCMU), studio)
    assert pitch(second.sound()[:9], PCMU) == 1000 or len(second.sound()) >= 40
    numbers = [packet.sequence for packet in second.heard]
    assert [(b - a) & 0xFFFF for a, b in itertools.pairwise(numbers)] == [1] * (len(numbers) - 1)


def test_after_parting_each_hears_silence_and_prompts_again(studio: Studio) -> None:
    first, second = studio.caller(PCMU), studio.caller(PCMA)
    one, other = bridged(studio, first, second)
    first.say(tone(440, 0.4).payloads(PCMU), studio)
    one.unbridge()
    second.heard.clear()
    first.say(tone(440, 0.4).payloads(PCMU), studio)
    assert set(second.sound()) == {PCMA.silence}
    other.play([tone(1000, 1)])
    second.heard.clear()
    studio.pass_time(1)
    assert pitch(second.sound(), PCMA) == 1000
    other.close()
    studio.pass_time(0.1)
    one.unbridge()


def test_a_bridge_lives_through_a_change_of_codec_and_ends_with_one_of_the_sessions(studio: Studio) -> None:
    first, second = studio.caller(PCMU), studio.caller(PCMU)
    _, other = bridged(studio, first, second)
    second.codec = OPUS
    other.answer(second.offer())
    second.heard.clear()
    first.say(tone(440, 1.5).payloads(PCMU), studio)
    assert pitch(second.sound(), OPUS) == 440
    other.close()
    first.heard.clear()
    first.say([PCMU.silence] * 10, studio)
    assert len(first.heard) >= 9


def test_a_bridged_phone_can_be_recorded(studio: Studio) -> None:
    first, second = studio.caller(PCMU), studio.caller(OPUS)
    one, _ = bridged(studio, first, second)
    chunks: list[bytes] = []
    one.record(Recorder(chunks.append))
    first.say(tone(1000, 1.5).payloads(PCMU), studio)
    one.stop_recording()
    assert sum(map(len, chunks)) / 16_000 == pytest.approx(1.5, abs=0.05)


def test_a_prompt_begins_where_the_sound_of_it_is_asked_for_first(studio: Studio) -> None:
    """A long sound is encoded while it is played, not before."""
    sound = Sound.from_samples(np.zeros(16_000 * 600, dtype=np.int16), 16_000)
    caller = studio.caller(PCMU)
    session = studio.session(caller)
    session.play([sound])
    studio.pass_time(0.2)
    assert 5 <= len(sound.encoding(PCMU).frames) < 50
    assert len(caller.heard) >= 9


def test_a_bridged_phone_on_hold_hears_nothing_and_its_numbers_go_on_without_a_gap(studio: Studio) -> None:
    first, second = studio.caller(PCMU), studio.caller(PCMU)
    _, other = bridged(studio, first, second)
    first.say([PCMU.silence] * 10, studio)
    other.answer(second.offer("sendonly"))
    first.say([PCMU.silence] * 10, studio)
    other.answer(second.offer())
    first.say([PCMU.silence] * 10, studio)
    numbers = [packet.sequence for packet in second.heard]
    assert len(numbers) == pytest.approx(20, abs=1)
    assert [(b - a) & 0xFFFF for a, b in itertools.pairwise(numbers)] == [1] * (len(numbers) - 1)


def test_comfort_noise_is_neither_sound_nor_loss(studio: Studio) -> None:
    caller = studio.caller()
    session = studio.session(caller)
    chunks: list[bytes] = []
    session.record(Recorder(chunks.append))
    caller.say(tone(1000, 0.5).payloads(PCMU)[:25], studio)
    for _ in range(10):
        caller.send(b"\x40", payload_type=13)
        studio.pass_time(0.02)
    caller.say(tone(1000, 0.5).payloads(PCMU)[:25], studio)
    session.stop_recording()
    samples = np.frombuffer(b"".join(chunks), dtype="<i2")
    assert len(samples) / 8000 == pytest.approx(1.2, abs=0.02)
    assert not samples[4200:5400].any()


def test_a_phone_of_the_other_family_is_refused(studio: Studio) -> None:
    session = studio.engine.open()
    with pytest.raises(NoCodecError, match="family"):
        session.answer(studio.caller(host="::1").offer())


@given(packets=st.lists(st.one_of(st.binary(max_size=40), st.binary(max_size=30).map(lambda rest: b"\x80\x00" + rest))))
@settings(max_examples=40)
def test_any_datagrams_are_survived_by_a_session_that_listens_to_everything(packets: list[bytes]) -> None:
    studio = Studio()
    caller = studio.caller(events=False)
    session = studio.session(caller)
    session.record(Recorder(lambda _: None))
    session.bridge(studio.session(studio.caller(OPUS)))
    for packet in packets:
        caller.send_raw(packet)
        caller.rtcp_socket.sendto(packet, (caller.host, session.pair.port + 1))
        studio.pass_time(0.02)
    studio.pass_time(1.0)
    studio.close()
