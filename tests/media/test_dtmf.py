# SPDX-License-Identifier: Apache-2.0
"""Telephone events (RFC 4733): every press is told once, whatever the network does to its packets."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtp.dtmf import DIGITS, EVENT, EventReceiver, EventSender

SSRC = 0x1234


class Event(NamedTuple):
    """A packet of a telephone event."""

    timestamp: int
    code: int
    duration: int
    is_end: bool = False

    @property
    def payload(self) -> bytes:
        return EVENT.pack(self.code, 0x80 | 10 if self.is_end else 10, self.duration)


def press(code: int, timestamp: int, packets: int = 5) -> list[Event]:
    """The packets of a press, its end three times."""
    durations = [160 * count for count in range(1, packets + 1)]
    return [Event(timestamp, code, duration) for duration in durations] + [
        Event(timestamp, code, durations[-1], is_end=True)
    ] * 3


def keys(events: list[Event], receiver: EventReceiver | None = None) -> str:
    receiver = receiver or EventReceiver()
    return "".join(receiver.receive(SSRC, event.timestamp & 0xFFFFFFFF, event.payload) for event in events)


FIVE = press(5, 8000)
FIVE_AGAIN = press(5, 8000 + 1600)
SIX = press(6, 8000 + 3200)


@pytest.mark.parametrize(
    ("events", "heard"),
    [
        pytest.param(FIVE, "5", id="one press, with its end three times"),
        pytest.param(FIVE[:1], "5", id="the first packet alone"),
        pytest.param(FIVE[-1:], "5", id="the last packet alone"),
        pytest.param(FIVE[:5], "5", id="all ends lost"),
        pytest.param(FIVE[:5] + SIX, "56", id="all ends lost, then another key"),
        pytest.param(FIVE[:5] + FIVE_AGAIN, "55", id="all ends lost, then the same key"),
        pytest.param(FIVE + FIVE_AGAIN, "55", id="the same key twice"),
        pytest.param(FIVE[3:] + FIVE_AGAIN[3:], "55", id="the same key twice, first packets lost"),
        pytest.param(FIVE[:2] + FIVE_AGAIN[-1:], "55", id="the same key twice, little of it left"),
        pytest.param([event for event in FIVE for _ in range(2)], "5", id="every packet twice"),
        pytest.param(FIVE[::-1], "5", id="in reverse order"),
        pytest.param(FIVE[:4] + SIX[:1] + FIVE[4:] + SIX[1:], "56", id="ends that come after the next key"),
        pytest.param(press(5, 8000, packets=150), "5", id="held for three seconds"),
        pytest.param(press(5, 2**32 - 400) + press(7, 1200), "57", id="across the wrap of the timestamp"),
        pytest.param([Event(0, 16, 160)], "", id="flash is no key"),
        pytest.param([Event(0, code, 160) for code in (10,)] + [Event(1600, 11, 160)], "*#", id="star and pound"),
    ],
)
def test_every_press_is_told_once(events: list[Event], heard: str) -> None:
    assert keys(events) == heard


def test_a_key_held_longer_than_the_duration_can_count_is_one_press() -> None:
    first = [Event(1000, 5, duration) for duration in range(160, 0xFFFF, 160)] + [Event(1000, 5, 0xFFFF)]
    second = [Event(1000 + 0xFFFF, 5, duration) for duration in (160, 320)]
    assert keys([*first, *second, second[-1]._replace(is_end=True)]) == "5"


def test_a_sender_that_stamps_every_packet_anew_is_understood() -> None:
    restamped = [Event(1000 + 160 * count, 5, 160 * (count + 1)) for count in range(6)]
    end = restamped[-1]._replace(is_end=True)
    assert keys([*restamped, end, end, end]) == "5"
    again = [event._replace(timestamp=event.timestamp + 3200) for event in restamped]
    assert keys([*restamped, end, *again]) == "55"


def test_a_new_source_may_press_the_same_key_at_the_same_time() -> None:
    receiver = EventReceiver()
    assert receiver.receive(1, 1000, FIVE[0].payload) == "5"
    assert receiver.receive(2, 1000, FIVE[0].payload) == "5"


def test_what_is_no_event_is_no_key() -> None:
    receiver = EventReceiver()
    assert receiver.receive(SSRC, 0, b"") == ""
    assert receiver.receive(SSRC, 0, b"\x05\x0a") == ""


@given(
    presses=st.lists(st.tuples(st.integers(0, 15), st.integers(2, 12)), min_size=1, max_size=6),
    pick=st.randoms(use_true_random=False),
)
def test_loss_and_duplicates_neither_add_nor_lose_a_key(presses: list[tuple[int, int]], pick: object) -> None:
    """Of each press at least one packet comes, in order, some of them twice."""
    from random import Random

    assert isinstance(pick, Random)
    at, sent, expected = 0, [], ""
    for code, packets in presses:
        events = press(code, at, packets)
        kept = [event for event in events if pick.random() < 0.5] or [pick.choice(events)]
        sent += [event for event in kept for _ in range(pick.choice((1, 1, 2)))]
        expected += DIGITS[code]
        at += 160 * (packets + 3)
    assert keys(sent) == expected


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=8)), max_size=30))
def test_any_packets_are_survived(packets: list[tuple[int, bytes]]) -> None:
    receiver = EventReceiver()
    for timestamp, payload in packets:
        assert receiver.receive(SSRC, timestamp, payload) in ("", *DIGITS)


def test_keys_that_are_sent_have_one_timestamp_growing_durations_and_three_ends() -> None:
    sender = EventSender(160)
    sender.send("5x#")
    packets = []
    while sender:
        packets.append(sender.packet())
    five = [EVENT.unpack(payload) for payload, _ in packets[:7]]
    assert [begins for _, begins in packets[:7]] == [True, *[False] * 6]
    assert [event for event, _, _ in five] == [5] * 7
    assert [duration for _, _, duration in five] == [160, 320, 480, 640, 800, 800, 800]
    assert [bool(flags & 0x80) for _, flags, _ in five] == [False] * 4 + [True] * 3
    assert packets[7:12] == [(b"", False)] * 5
    assert EVENT.unpack(packets[12][0])[0] == 11
    assert len(packets) == 24
