# SPDX-License-Identifier: Apache-2.0
"""The tick: absolute, spread over slots, with small bursts only after the process was held up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from media.rtp.pump import Pump
from media.session.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clockwork:
    """A ticker on a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 10.0
        self.pump = Pump(0.002, lambda: self.now)
        self.ticker = Ticker(self.pump, lambda: self.now)

    def run(self, seconds: float, step: float = 0.002) -> None:
        for _ in range(round(seconds / step)):
            self.now += step
            self.ticker.run_due()


class Bell:
    """Notes when it was called."""

    def __init__(self, clockwork: Clockwork) -> None:
        self.clockwork = clockwork
        self.at: list[float] = []
        self.skipped = 0

    def tick(self) -> None:
        self.at.append(self.clockwork.now)

    def skip(self, ticks: int) -> None:
        self.skipped += ticks


@pytest.fixture
def clockwork() -> Iterator[Clockwork]:
    clockwork = Clockwork()
    yield clockwork
    clockwork.pump.close()


def bells(clockwork: Clockwork, count: int) -> list[Bell]:
    made = [Bell(clockwork) for _ in range(count)]
    for bell in made:
        clockwork.ticker.add(bell)
    return made


def test_everybody_is_called_every_20_ms_and_not_all_at_once(clockwork: Clockwork) -> None:
    made = bells(clockwork, 100)
    clockwork.run(1.0)
    assert {len(bell.at) for bell in made} <= {49, 50, 51}
    at = [bell.at[10] for bell in made]
    assert max(at.count(instant) for instant in at) <= 12
    assert max(at) - min(at) == pytest.approx(0.018, abs=1e-6)


def test_who_is_added_is_called_soon_but_not_at_once(clockwork: Clockwork) -> None:
    bells(clockwork, 1)
    for quiet in (0.0, 0.004, 0.01, 0.017):
        clockwork.run(1.0 + quiet, step=0.001)
        (bell,) = bells(clockwork, 1)
        added = clockwork.now
        clockwork.run(0.02, step=0.001)
        assert 0.001 < bell.at[0] - added < 0.011


def test_calls_that_come_one_by_one_are_spread_as_well(clockwork: Clockwork) -> None:
    made = []
    for _ in range(200):
        made += bells(clockwork, 1)
        clockwork.run(0.02)
    at = [bell.at[-1] for bell in made]
    assert max(at.count(instant) for instant in at) <= 24


def test_a_timer_that_is_always_late_does_not_drift(clockwork: Clockwork) -> None:
    (bell,) = bells(clockwork, 1)
    clockwork.run(20.0, step=0.0027)
    assert len(bell.at) == pytest.approx(1000, abs=1)


def test_what_was_missed_for_a_moment_is_made_up_for(clockwork: Clockwork) -> None:
    (bell,) = bells(clockwork, 1)
    clockwork.run(0.1)
    clockwork.now += 0.05
    clockwork.run(0.85)
    assert len(bell.at) == pytest.approx(50, abs=1)
    assert bell.skipped == 0


def test_after_a_long_hold_up_three_packets_come_at_once_and_the_rest_is_skipped(clockwork: Clockwork) -> None:
    (bell,) = bells(clockwork, 1)
    clockwork.run(0.1)
    before = len(bell.at)
    clockwork.now += 5.0
    clockwork.ticker.run_due()
    assert len(bell.at) - before <= 4
    clockwork.run(0.9)
    assert len(bell.at) + bell.skipped == pytest.approx(300, abs=1)
    assert clockwork.ticker.skipped == bell.skipped


def test_who_is_removed_is_called_no_more_even_by_another_one(clockwork: Clockwork) -> None:
    first, second = bells(clockwork, 2)
    clockwork.run(0.1)
    clockwork.ticker.remove(first)
    heard = len(first.at)
    clockwork.run(0.1)
    assert len(first.at) == heard
    assert len(second.at) == 10


def test_who_comes_after_a_quiet_time_is_not_called_for_it(clockwork: Clockwork) -> None:
    clockwork.now += 100.0
    (bell,) = bells(clockwork, 1)
    clockwork.run(0.1)
    assert len(bell.at) == pytest.approx(5, abs=1)
    assert bell.skipped == 0


def test_few_sessions_wake_the_process_only_when_they_send(clockwork: Clockwork) -> None:
    bells(clockwork, 2)
    wakes = 0
    until = clockwork.now + 1.0
    while clockwork.ticker.next_at < until:
        clockwork.now = clockwork.ticker.next_at
        clockwork.ticker.run_due()
        wakes += 1
    assert wakes == pytest.approx(100, abs=2)
    clockwork.ticker.hurry(1)
    assert clockwork.ticker.next_at - clockwork.now == pytest.approx(0.002, abs=1e-6)
