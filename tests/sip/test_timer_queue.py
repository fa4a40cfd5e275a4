# SPDX-License-Identifier: Apache-2.0
"""The queue of deadlines: nobody oversleeps, and nothing is kept of who is gone."""

from __future__ import annotations

import gc
import weakref

from hypothesis import given, settings
from hypothesis import strategies as st

from switch.sip.timer_queue import TimerQueue
from tests.sip.harness import is_watched


class Sleeper:
    def __init__(self, deadline: float | None = None) -> None:
        self.entry = 0
        self.next_deadline = deadline


def test_the_earliest_is_due_first() -> None:
    queue: TimerQueue[Sleeper] = TimerQueue()
    sleepers = [Sleeper(deadline) for deadline in (3.0, 1.0, 2.0)]
    for sleeper in sleepers:
        queue.update(sleeper)
    assert queue.next_deadline == 1.0
    assert queue.due(0.9) == []
    assert queue.due(2.0) == [sleepers[1], sleepers[2]]
    assert queue.next_deadline == 3.0


def test_who_has_no_deadline_is_not_queued() -> None:
    queue: TimerQueue[Sleeper] = TimerQueue()
    queue.update(Sleeper())
    assert queue.next_deadline is None
    assert len(queue) == 0


def test_a_deadline_that_becomes_earlier_counts() -> None:
    queue: TimerQueue[Sleeper] = TimerQueue()
    sleeper = Sleeper(1800.0)
    queue.update(sleeper)
    sleeper.next_deadline = 0.5
    assert not is_watched(queue, sleeper)
    queue.update(sleeper)
    assert is_watched(queue, sleeper)
    assert queue.due(0.5) == [sleeper]
    assert queue.next_deadline is None


def test_a_deadline_that_moves_away_is_put_off_when_it_comes_up() -> None:
    queue: TimerQueue[Sleeper] = TimerQueue()
    sleeper = Sleeper(1.0)
    queue.update(sleeper)
    sleeper.next_deadline = 5.0
    queue.update(sleeper)
    assert queue.due(1.0) == []
    assert queue.next_deadline == 5.0
    sleeper.next_deadline = None
    assert queue.due(5.0) == []
    assert len(queue) == 0


def test_who_is_discarded_is_let_go_at_once_however_far_the_deadline_was() -> None:
    queue: TimerQueue[Sleeper] = TimerQueue()
    sleeper = Sleeper(1800.0)
    queue.update(sleeper)
    trace = weakref.ref(sleeper)
    queue.discard(sleeper)
    queue.discard(sleeper)
    del sleeper
    gc.collect()
    assert trace() is None
    assert queue.next_deadline is None
    assert queue.due(1e9) == []


def test_stale_entries_do_not_pile_up() -> None:
    queue: TimerQueue[Sleeper] = TimerQueue()
    keeper = Sleeper(0.5)
    queue.update(keeper)
    for number in range(10_000):
        sleeper = Sleeper(1800.0 + number)
        queue.update(sleeper)
        sleeper.next_deadline = 900.0
        queue.update(sleeper)
        queue.discard(sleeper)
    assert len(queue) == 1
    assert len(queue._heap) < 200
    assert queue.due(1.0) == [keeper]


Step = tuple[int, float | None]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.none() | st.floats(0, 10)), max_size=40), st.lists(st.floats(0, 2)))
def test_whatever_happens_everybody_is_woken_in_time(steps: list[Step], pauses: list[float]) -> None:
    queue: TimerQueue[Sleeper] = TimerQueue()
    sleepers = [Sleeper() for _ in range(5)]
    now = 0.0
    for index, (who, after) in enumerate(steps):
        sleeper = sleepers[who]
        sleeper.next_deadline = None if after is None else now + after
        queue.discard(sleeper) if after is None else queue.update(sleeper)
        now += pauses[index] if index < len(pauses) else 0.1
        expected = {id(s) for s in sleepers if s.next_deadline is not None and s.next_deadline <= now}
        woken = queue.due(now)
        assert {id(s) for s in woken} == expected
        for s in woken:
            s.next_deadline = None
            queue.update(s)
        assert all(is_watched(queue, s) for s in sleepers)
        deadlines = [s.next_deadline for s in sleepers if s.next_deadline is not None]
        assert not deadlines or (queue.next_deadline or 0.0) <= min(deadlines)
