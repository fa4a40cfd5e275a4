# SPDX-License-Identifier: Apache-2.0
"""Opening hours: pure, by the clock on the wall of a time zone; a day on which clocks change is as any other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DAYS", "WHOLE_DAY", "Hours", "Opening", "Span", "opening_at"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WHOLE_DAY = 24 * 60
Opening = Literal["open", "closed", "holiday"]


@dataclass(frozen=True, slots=True)
class Span:
    """From a minute of the day until another, which is not in it; past midnight where it is not later."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When somebody is there."""

    timezone: str = "UTC"
    open: Mapping[int, tuple[Span, ...]]
    """By day of the week, Monday 0; a day that is missing is closed."""
    holidays: frozenset[date] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()
    """Holidays of every year: month, day."""


def opening_at(hours: Hours, now: datetime) -> Opening:
    """Whether it is open at an instant. A span past midnight belongs to the day on which it begins."""
    local = now.astimezone(ZoneInfo(hours.timezone) if hours.timezone != "UTC" else UTC)
    minute, today = local.hour * 60 + local.minute, local.date()
    if _is_in(hours, today, minute) or _is_in(hours, today - timedelta(days=1), minute + WHOLE_DAY):
        return "open"
    return "holiday" if _is_holiday(hours, today) else "closed"


def _is_in(hours: Hours, day: date, minute: int) -> bool:
    """Whether a minute, counted from the midnight that begins `day`, is in a span of that day."""
    if _is_holiday(hours, day):
        return False
    spans = hours.open.get(day.weekday(), ())
    return any(span.begin <= minute < _end(span) for span in spans)


def _end(span: Span) -> int:
    return span.end if span.end > span.begin else span.end + WHOLE_DAY


def _is_holiday(hours: Hours, day: date) -> bool:
    return day in hours.holidays or (day.month, day.day) in hours.yearly
