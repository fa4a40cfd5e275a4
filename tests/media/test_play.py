# SPDX-License-Identifier: Apache-2.0
"""Sound that the relay plays to one party: what it hears, when, and as which RTP source."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

import pytest

from media.relay.player import Outlet
from media.rtp.rtp import HEADER, HEADER_SIZE
from media.sound.g711 import linear_from_alaw, linear_from_ulaw
from media.sound.tone import power_at, tone
from tests.media.phones import audio, port_in
from tests.media.test_ng import failure

if TYPE_CHECKING:
    from array import array

    from tests.media.phones import Desk, Phone


def wav(seconds: float = 0.2, frequency: float = 1000.0, *, rate: int = 8000, channels: int = 1) -> bytes:
    """A WAV file with a tone."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(tone(frequency, seconds).tobytes() * channels)
    return file.getvalue()


def listen(desk: Desk, phone: Phone, packets: int) -> list[bytes]:
    """What a phone hears while the relay's clock passes so many packets."""
    heard = []
    for _ in range(packets):
        desk.relay.play_due()
        heard += phone.heard()
        desk.now += 0.020001
    return heard


def samples(packets: list[bytes]) -> array[int]:
    decode = linear_from_alaw if packets[0][1] & 0x7F == 8 else linear_from_ulaw
    return decode(b"".join(packet[HEADER_SIZE:] for packet in packets))


def play(desk: Desk, blob: bytes, **keys: object) -> object:
    return desk.ask("play media", **{"call_id": "call", "from_tag": "a", "blob": blob, **keys})  # type: ignore[arg-type]


@pytest.fixture
def talking(desk: Desk, caller: Phone, callee: Phone) -> Desk:
    """A call with packets of both sides."""
    desk.connect(caller, callee)
    for _ in range(3):
        caller.send(5)
        callee.send(5)
        desk.flow()
        desk.advance(2)
    caller.heard()
    callee.heard()
    return desk


@pytest.mark.parametrize("codec", ["8", "0"])
def test_the_party_hears_the_tone_in_its_codec_and_the_other_one_does_not(
    desk: Desk, caller: Phone, callee: Phone, codec: str
) -> None:
    callee.relay_port = port_in(desk.signal("offer", audio(caller, formats=codec)))
    caller.relay_port = port_in(desk.signal("answer", audio(callee, formats=codec), to_tag="b"))
    assert play(desk, wav()) == {"result": "ok", "duration": 200}
    heard = listen(desk, caller, 15)
    assert len(heard) == 10
    assert {packet[1] & 0x7F for packet in heard} == {int(codec)}
    assert power_at(samples(heard), 1000) > 0.95
    assert callee.heard() == []


def test_the_packets_are_those_of_one_source_that_goes_on_with_the_next_piece(talking: Desk, caller: Phone) -> None:
    play(talking, wav(0.1))
    heard = listen(talking, caller, 10)
    play(talking, wav(0.1))
    heard += listen(talking, caller, 10)
    headers = [HEADER.unpack_from(packet) for packet in heard]
    first = headers[0]
    assert [bool(second & 0x80) for _, second, *_ in headers] == [True, *[False] * 4, True, *[False] * 4]
    assert [(header[2] - first[2]) & 0xFFFF for header in headers] == list(range(10))
    assert [(header[3] - first[3]) & 0xFFFFFFFF for header in headers] == [
        160 * packet for packet in [*range(5), *range(10, 15)]
    ]
    assert {header[4] for header in headers} == {first[4]}
    assert first[4] not in (0x1234, 0x5678)


def test_with_block_egress_the_other_party_is_silent_until_the_end(talking: Desk, caller: Phone, callee: Phone) -> None:
    play(talking, wav(0.1), flags=["block-egress"])
    callee.send(3)
    caller.send(2)
    talking.flow()
    heard = listen(talking, caller, 4)
    assert len(heard) == 4
    assert len(callee.heard()) == 2
    assert listen(talking, caller, 3) != []
    callee.send(3)
    talking.flow()
    assert caller.heard_hosts() == ["127.0.0.3"] * 3
    assert talking.side(1).rtp.errors == 0
    assert talking.side(1).rtp.packets == 21


def test_without_it_both_are_heard(talking: Desk, caller: Phone, callee: Phone) -> None:
    play(talking, wav(0.1))
    callee.send(3)
    talking.flow()
    assert len(listen(talking, caller, 2)) == 5


def test_both_parties_hear_what_is_played_to_all(talking: Desk, caller: Phone, callee: Phone) -> None:
    assert play(talking, wav(0.1), flags=["all"]) == {"result": "ok", "duration": 100}
    assert len(listen(talking, caller, 6)) == 5
    assert len(callee.heard()) == 5


def test_it_is_stopped_and_repeated_as_told(talking: Desk, caller: Phone) -> None:
    assert play(talking, wav(0.1), repeat_times=3) == {"result": "ok", "duration": 300}
    assert len(listen(talking, caller, 12)) == 12
    assert talking.ask("stop media", call_id="call", from_tag="a") == {"result": "ok"}
    assert listen(talking, caller, 5) == []
    assert talking.relay.play_due() is None


def test_a_call_may_end_while_something_is_played(talking: Desk, caller: Phone) -> None:
    play(talking, wav())
    listen(talking, caller, 2)
    talking.ask("delete", call_id="call", from_tag="a")
    assert talking.relay.play_due() is None


def test_a_late_relay_leaves_out_what_is_past(talking: Desk, caller: Phone) -> None:
    play(talking, wav(1.0))
    talking.now += 0.5
    assert 0 < len(listen(talking, caller, 1)) <= 11


def test_what_cannot_be_played_is_refused_with_the_reason(desk: Desk, caller: Phone, callee: Phone) -> None:
    assert "Unknown call-id" in failure(play(desk, wav()))  # type: ignore[arg-type]
    desk.signal("offer", audio(caller, formats="9 101"))
    desk.signal("answer", audio(callee, formats="9 101"), to_tag="b")
    refusals = {
        "Only PCMU and PCMA can be played, not payload types 9 101": play(desk, wav()),
        "The blob is no WAV file": play(desk, b"RIFF"),
        "Only WAV files of 8000 Hz": play(desk, wav(rate=16000)),
        "Unknown from-tag": play(desk, wav(), from_tag="nobody"),
        "Only a WAV file in the key blob": desk.ask("play media", call_id="call", from_tag="a", file="/etc/passwd"),
        "repeat-times": play(desk, wav(), repeat_times=0),
    }
    for reason, reply in refusals.items():
        assert reason in failure(reply)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "protocol", "reason"),
    [("a=sendonly", "RTP/AVP", "on hold"), ("a=sendrecv", "RTP/SAVP", "encrypted")],
)
def test_nothing_is_played_on_hold_or_into_encrypted_streams(
    desk: Desk, caller: Phone, callee: Phone, line: str, protocol: str, reason: str
) -> None:
    desk.signal("offer", audio(caller, line, protocol=protocol))
    desk.signal("answer", audio(callee, protocol=protocol), to_tag="b")
    assert reason in failure(play(desk, wav()))  # type: ignore[arg-type]


def test_sequence_numbers_and_timestamps_wrap() -> None:
    outlet = Outlet(1, 0xFFFF, 0xFFFFFFFF, 0.0)
    packets = [HEADER.unpack_from(outlet.packet(8, b"", at, is_first=False)) for at in (0.0, 0.02)]
    assert [packet[2:4] for packet in packets] == [(0, 0xFFFFFFFF), (1, 159)]
