# SPDX-License-Identifier: Apache-2.0
"""The phone's senses: what it hears, what it tells of SIP messages, and how a ladder is drawn."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from softswitch.phone import Recording, SipMessage, ladder
from softswitch.phone.sound import tone_in

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 16_000
RINGING = "SIP/2.0 180 Ringing\r\nCSeq: 7 INVITE\r\nReason: one\r\nreason: two\r\n\r\n"
OFFER = "INVITE sip:102@x SIP/2.0\r\nCSeq: 7 INVITE\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"


def sine(hertz: float, *, seconds: float = 0.25, level: float = 0.2) -> NDArray[np.int16]:
    """A pure tone."""
    times = np.arange(int(RATE * seconds)) / RATE
    return (np.sin(2 * np.pi * hertz * times) * level * 32767).astype(np.int16)


def noise(level: float) -> NDArray[np.int16]:
    """White noise, the same each time."""
    return (np.random.default_rng(1).normal(0, level, RATE // 4) * 32767).astype(np.int16)


@pytest.mark.parametrize("hertz", [300, 440, 445.3, 880, 3000])
def test_a_tone_is_heard_at_its_frequency_through_noise(hertz: float) -> None:
    heard = tone_in(sine(hertz) + noise(0.01), RATE)
    assert heard.hertz == pytest.approx(hertz, abs=3)
    assert heard.is_at(hertz)
    assert not heard.is_at(hertz + 40)


def test_noise_silence_and_two_tones_are_no_pure_tone() -> None:
    assert not tone_in(noise(0.1), RATE).is_at(440)
    assert not tone_in(sine(440) + sine(880), RATE).is_at(440)
    assert tone_in(np.zeros(RATE, np.int16), RATE).is_silence
    assert tone_in(np.zeros(0, np.int16), RATE).is_silence
    assert str(tone_in(sine(440), RATE)).startswith("440 Hz (100% of the energy")


def test_a_recording_is_read_while_it_grows(tmp_path: Path) -> None:
    file = tmp_path / "heard.wav"
    recording = Recording(file)
    assert recording.latest().is_silence, "not there yet"
    unfinished = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", 0
    )
    file.write_bytes(unfinished + sine(440).tobytes())
    assert recording.latest().is_at(440)
    mark = recording.size
    assert recording.latest(mark).is_silence, "nothing new"
    with file.open("ab") as more:
        more.write(sine(880).tobytes() + b"\0")
    assert recording.latest(mark).is_at(880)
    assert [round(tone.hertz) for tone in recording.tones()] == [440, 880][: len(recording.tones())]


def test_a_message_tells_what_it_is() -> None:
    answer, request = SipMessage(0, False, "x", RINGING), SipMessage(0, True, "x", OFFER)
    assert (answer.status, answer.method, answer.is_request) == (180, "INVITE", False)
    assert (answer.headers("Reason"), answer.header("Via")) == (["one", "two"], "")
    assert (request.status, request.method, request.body) == (0, "INVITE", "v=0\n")
    assert (request.summary, answer.summary) == ("INVITE + SDP", "180 Ringing (INVITE)")


def test_a_ladder_puts_the_messages_of_both_sides_in_the_order_of_time() -> None:
    sent = SipMessage(10.0, True, "s", OFFER)
    passed_on = SipMessage(10.002, False, "s", OFFER)
    rings, heard = SipMessage(10.010, True, "s", RINGING), SipMessage(10.011, False, "s", RINGING)
    heading, *lines = ladder(("101", [sent, heard]), ("102", [passed_on, rings])).splitlines()
    assert heading.split() == ["seconds", "101", "softswitch", "102"]
    assert [line[:8].strip() for line in lines] == ["0.000", "0.002", "0.010", "0.011"]
    assert ["▶" in line for line in lines] == [True, True, False, False]
    assert len({len(line) for line in lines}) == 1
    assert ladder(("101", []), ("102", [])) == "(no messages)"
