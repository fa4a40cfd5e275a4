# SPDX-License-Identifier: Apache-2.0
"""The jitter buffer: order, loss, duplicates, pauses, restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from media.rtp.jitter import Frame, Gap, JitterBuffer

if TYPE_CHECKING:
    from random import Random

STEP = 160


class Line:
    """A sender of numbered packets and the buffer at its end; time passes by 20 ms a packet."""

    def __init__(self, sequence: int = 65_530, timestamp: int = 2**32 - 1000, depth_seconds: float = 0.1) -> None:
        self.sequence, self.timestamp, self.ssrc, self.now = sequence, timestamp, 7, 100.0
        self.buffer = JitterBuffer(8000, len, depth_seconds, self.now)
        self.out: list[Frame] = []

    def put(self, number: int, *, later: int = 0, ssrc: int = 7) -> None:
        """Packet `number`; its timestamp `later` ticks than usual."""
        self.now += 0.02
        timestamp = (self.timestamp + STEP * number + later) & 0xFFFFFFFF
        self.out += self.buffer.put(ssrc, (self.sequence + number) & 0xFFFF, timestamp, payload(number), self.now)

    def numbers(self) -> list[int | Gap]:
        return [frame if isinstance(frame, Gap) else int.from_bytes(frame[:2], "big") for frame in self.out]


def payload(number: int) -> bytes:
    return number.to_bytes(2, "big") * (STEP // 2)


def ticks(frames: list[Frame]) -> int:
    return sum(frame.ticks if isinstance(frame, Gap) else len(frame) for frame in frames)


def test_packets_in_order_come_out_at_once_across_the_wraps() -> None:
    line = Line()
    for number in range(20):
        line.put(number)
        assert len(line.out) == number + 1
    assert line.numbers() == list(range(20))


def test_packets_that_were_overtaken_are_put_in_order() -> None:
    line = Line()
    for number in (0, 2, 1, 5, 4, 3, 6):
        line.put(number)
    assert line.numbers() == [0, 1, 2, 3, 4, 5, 6]
    assert line.buffer.lost == 0


def test_a_lost_packet_becomes_a_gap_of_its_length() -> None:
    line = Line()
    for number in (0, 1, *range(4, 12)):
        line.put(number)
    assert line.numbers() == [0, 1, Gap(2 * STEP, is_lost=True), *range(4, 12)]
    assert line.buffer.lost == 2


def test_what_is_given_up_and_comes_after_all_is_left_out_and_so_are_duplicates() -> None:
    line = Line()
    for number in (0, *range(2, 9), 1, 8, 8, 9):
        line.put(number)
    assert line.numbers() == [0, Gap(STEP, is_lost=True), *range(2, 10)]
    assert line.buffer.late == 3


def test_a_pause_of_the_sender_is_silence_not_loss() -> None:
    line = Line()
    line.put(0)
    line.now += 1.0
    line.put(1, later=8000)
    assert line.numbers() == [0, Gap(8000, is_lost=False), 1]


def test_timestamps_that_leap_beyond_the_clock_count_by_the_clock() -> None:
    line = Line()
    line.put(0)
    line.now += 1.0
    line.put(1, later=1_000_000_000)
    first, gap, last = line.numbers()
    assert (first, last) == (0, 1)
    assert isinstance(gap, Gap)
    assert 7000 <= gap.ticks <= 9000


def test_another_source_goes_on_where_the_clock_is() -> None:
    line = Line()
    line.put(0)
    line.put(1)
    line.now += 1.0
    line.put(500, ssrc=8)
    line.put(501, ssrc=8)
    assert [n for n in line.numbers() if not isinstance(n, Gap)] == [0, 1, 500, 501]
    assert abs(ticks(line.out) - 4 * STEP - 8000) <= STEP


def test_a_source_that_begins_anew_is_heard_again() -> None:
    line = Line(sequence=30_000)
    for number in range(5):
        line.put(number)
    line.sequence, line.timestamp = 100, 5000
    for number in range(5):
        line.put(number)
    assert [n for n in line.numbers() if not isinstance(n, Gap)] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    line.sequence -= 500  # a small step back: told from stragglers by their number
    for number in range(20):
        line.put(number)
    assert [n for n in line.numbers() if not isinstance(n, Gap)][-3:] == [17, 18, 19]


def test_a_sender_that_falls_silent_is_followed_by_the_clock_and_silence_is_not_counted_twice() -> None:
    line = Line()
    line.put(0)
    began = line.now
    for _ in range(10):
        line.now += 0.2
        line.out += line.buffer.advance(line.now)
    line.now = began + 2.0 - 0.02
    line.put(1, later=16_000 - STEP)
    assert abs(ticks(line.out) - 2 * STEP - 16_000) <= 2 * STEP
    line.put(2, later=16_000 - STEP)
    assert [n for n in line.numbers() if not isinstance(n, Gap)] == [0, 1, 2]


def test_events_keep_the_order_and_leave_silence() -> None:
    line = Line(sequence=10, timestamp=0)
    line.put(0)
    for number in (1, 2, 3):
        line.now += 0.02
        line.out += line.buffer.put(7, 10 + number, STEP, b"", line.now)
    line.put(4)
    assert line.numbers() == [0, Gap(3 * STEP, is_lost=False), 4]
    assert line.buffer.lost == 0


@given(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_the_length_is_right_whatever_is_lost_swapped_or_doubled(sequence: int, timestamp: int, pick: Random) -> None:
    line = Line(sequence, timestamp)
    order = [number for number in range(1, 60) if pick.random() > 0.1]
    for index in range(0, len(order) - 3, 4):
        piece = order[index : index + 4]
        pick.shuffle(piece)
        order[index : index + 4] = piece
    order += [number for number in order if pick.random() < 0.1]
    line.put(0)
    for number in order:
        line.put(number)
    for number in range(60, 70):
        line.put(number)
    heard = [number for number in line.numbers() if not isinstance(number, Gap)]
    assert heard == sorted(set(heard))
    assert ticks(line.out) == 70 * STEP
    assert set(heard) >= set(range(60, 70))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 65535), st.integers(0, 2**32 - 1), st.floats(0, 1))))
def test_any_packets_are_survived_and_give_no_more_than_time_has_passed(
    packets: list[tuple[int, int, int, float]],
) -> None:
    buffer = JitterBuffer(8000, len, 0.1, 0.0)
    now, out = 0.0, 0
    for ssrc, sequence, timestamp, seconds in packets:
        now += seconds
        out += ticks(list(buffer.put(ssrc, sequence, timestamp, bytes(STEP), now)))
    out += ticks(buffer.flush())
    slack = 8000 * (len(packets) + 1) * 2
    assert out <= 8000 * now + slack
