# SPDX-License-Identifier: Apache-2.0
"""Periods of forwards, on the clock of the account's time zone and across its changes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from billing_client.rules.incoming import AnsweringRules, Forward, Period, read_rules

WORK = Period(frozenset(range(5)), 9 * 60, 17 * 60)
NIGHT = Period(frozenset({4}), 22 * 60, 6 * 60)
PRAGUE = AnsweringRules(timezone="Europe/Prague")


def due(period: Period, at: str, rules: AnsweringRules = PRAGUE) -> bool:
    """Whether a forward with this period is used at an instant (UTC)."""
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return Forward(name="x", to="1", periods=(period,)).is_due(rules.local(instant))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-05T07:59", False),  # a Monday in winter: 08:59 in Prague
        ("2026-01-05T08:00", True),
        ("2026-01-05T15:59", True),
        ("2026-01-05T16:00", False),
        ("2026-07-06T06:59", False),  # in summer the same clock is an hour earlier in UTC
        ("2026-07-06T07:00", True),
        ("2026-07-06T15:00", False),
        ("2026-01-04T10:00", False),  # Sunday
        ("2026-03-30T07:00", True),  # the Monday after the clock went forward
        ("2026-03-27T07:59", False),  # the Friday before
    ],
)
def test_working_hours_follow_the_clock_on_the_wall(at: str, expected: bool) -> None:
    assert due(WORK, at) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-02T20:59", False),  # Friday, 21:59
        ("2026-01-02T21:00", True),
        ("2026-01-03T04:59", True),  # Saturday, 05:59: still Friday's night
        ("2026-01-03T05:00", False),
        ("2026-01-03T22:00", False),  # Saturday's own night
    ],
)
def test_a_period_that_ends_before_it_begins_goes_past_midnight(at: str, expected: bool) -> None:
    assert due(NIGHT, at) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-29T00:59", False),  # 01:59, and the next minute is 03:00: two o'clock never comes
        ("2026-03-29T01:00", False),
        ("2026-10-25T00:30", True),  # 02:30 summer time
        ("2026-10-25T01:30", True),  # 02:30 again
        ("2026-10-25T02:00", False),
    ],
)
def test_an_hour_that_is_skipped_never_comes_and_one_that_repeats_counts_twice(at: str, expected: bool) -> None:
    assert due(Period(frozenset({6}), 2 * 60, 3 * 60), at) is expected


def test_without_periods_a_forward_is_always_used_unless_it_is_switched_off() -> None:
    now = PRAGUE.local(datetime(2026, 1, 1, tzinfo=UTC))
    assert Forward(name="x", to="1").is_due(now)
    assert not Forward(name="x", to="1", active=False).is_due(now)


def test_a_time_zone_that_nobody_knows_is_utc() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert AnsweringRules(timezone="Mars/Olympus").local(now).hour == 12
    assert AnsweringRules(timezone="America/New_York").local(now).hour == 7


def test_what_the_store_writes_otherwise_is_as_by_default() -> None:
    assert read_rules('{"mode": "sing", "follow_me": {"order": "?", "entries": [{"name": "x"}]}}') == AnsweringRules()
    assert read_rules('{"mailbox": true}').mode == "ring_then_voicemail"
    assert read_rules('{"mailbox": true, "mode": "ring"}').mode == "ring"
    assert not read_rules('{"mailbox": false}').has_mailbox
