# SPDX-License-Identifier: Apache-2.0
"""English, as it is told by telephone in North America: twelve-hour times, month before day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing_client.rules.currencies import decimals
from ivr.say import common
from ivr.verbs import Spoken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, time
    from decimal import Decimal

    from ivr.say.common import MessageKind, Unit

__all__ = ["English"]

CURRENCIES = frozenset({"USD", "EUR", "CZK", "GBP"})
SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1000, "thousand"))
MOST = 1_000_000_000_000


class English:
    """The grammar of English."""

    language = "en"

    def number(self, value: int) -> Spoken:
        """See `Grammar`."""
        return Spoken(tuple(_number(value)))

    def digits(self, characters: str) -> Spoken:
        """See `Grammar`."""
        return Spoken(tuple(common.spell(characters)))

    def telephone(self, number: str) -> Spoken:
        """See `Grammar`."""
        return common.telephone(number)

    def money(self, amount: Decimal, currency: str) -> Spoken:
        """Five dollars and thirty cents; twelve point five zero P L N."""
        exponent = decimals(currency)
        negative, major, minor = common.minor_units(amount, exponent)
        prompts = ["minus"] * negative
        if currency not in CURRENCIES:
            fraction = ["point", *common.spell(f"{minor:0{exponent}}")] if minor else []
            return Spoken((*prompts, *_number(major), *fraction, *common.spell(currency)))
        code = currency.lower()
        if major or not minor:
            prompts += _counted(major, code)
        if major and minor:
            prompts.append("and")
        if minor:
            prompts += _counted(minor, f"{code}-minor")
        return Spoken(tuple(prompts))

    def date(self, day: date) -> Spoken:
        """November third, twenty twenty-six."""
        return Spoken((f"month-{day.month}", f"ordinal-{day.day}", *_year(day.year)))

    def time(self, at: time) -> Spoken:
        """Nine o'clock A M, two thirty P M, ten oh five A M, noon."""
        if at.minute == 0 and at.hour in {0, 12}:
            return Spoken(("noon" if at.hour else "midnight",))
        minute = "oclock" if at.minute == 0 else f"minute-{at.minute:02}" if at.minute < 10 else f"number-{at.minute}"
        return Spoken((f"number-{at.hour % 12 or 12}", minute, "pm" if at.hour >= 12 else "am"))

    def moment(self, at: datetime, now: datetime) -> Spoken:
        """Today at nine o'clock A M; Monday, November third at ..."""
        days = (now.date() - at.date()).days
        if days in {0, 1}:
            day: tuple[str, ...] = ("yesterday" if days else "today",)
        else:
            year = () if at.year == now.year else _year(at.year)
            day = (f"weekday-{at.isoweekday()}", f"month-{at.month}", f"ordinal-{at.day}", *year)
        return Spoken((*day, "at", *self.time(at.time()).prompts))

    def duration(self, seconds: float, units: Sequence[Unit] = common.ALL_UNITS) -> Spoken:
        """Three minutes and ten seconds."""
        parts = [_counted(count, unit) for unit, count in common.divide(seconds, units)]
        if len(parts) > 1:
            parts.insert(-1, ["and"])
        return Spoken(tuple(prompt for part in parts for prompt in part))

    def messages(self, count: int, kind: MessageKind = "any") -> Spoken:
        """(You have) five new messages, one new message, no new messages."""
        if count <= 0:
            return Spoken((f"vm-{kind}-none",))
        return Spoken(tuple(_counted(count, f"vm-{kind}")))


def _counted(count: int, noun: str) -> list[str]:
    """The noun of one holds its number: "one minute" is said in a breath."""
    return [f"{noun}-one"] if count == 1 else [*_number(count), f"{noun}-many"]


def _number(value: int) -> list[str]:
    if value < 0:
        return ["minus", *_number(-value)]
    if value >= MOST:
        return list(common.spell(str(value)))
    prompts: list[str] = []
    rest = value
    for scale, word in SCALES:
        count, rest = divmod(rest, scale)
        if count:
            prompts += [*_below_thousand(count), word]
    return prompts + (_below_thousand(rest) if rest or not prompts else [])


def _below_thousand(value: int) -> list[str]:
    hundreds, rest = divmod(value, 100)
    prompts = [f"hundred-{hundreds}"] if hundreds else []
    return prompts + ([f"number-{rest}"] if rest or not prompts else [])


def _year(year: int) -> tuple[str, ...]:
    """Twenty twenty-six, nineteen oh five, two thousand nine."""
    century, rest = divmod(year, 100)
    if rest == 0 or (century % 10 == 0 and rest < 10):
        return tuple(_number(year))
    return (f"number-{century}", f"minute-{rest:02}" if rest < 10 else f"number-{rest}")
