# SPDX-License-Identifier: Apache-2.0
"""Czech. A counted noun has three forms: of one, of two to four, of all others (CLDR plural rules), so "dvě koruny" but
"pět korun" and "dvacet dva korun"; one and two agree with its gender: "jeden dolar", "jedna koruna", "jedno euro"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from billing_client.rules.currencies import decimals
from ivr.say import common
from ivr.verbs import Spoken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, time
    from decimal import Decimal

    from ivr.say.common import MessageKind, Unit

__all__ = ["Czech"]

Gender = Literal["m", "f", "n"]
CURRENCIES: dict[str, tuple[Gender, Gender]] = {
    "CZK": ("f", "m"),
    "EUR": ("n", "m"),
    "USD": ("m", "m"),
    "GBP": ("f", "f"),
}
"""Gender of the unit and of its hundredth."""
UNITS: dict[Unit, Gender] = {"day": "m", "hour": "f", "minute": "f", "second": "f"}
SCALES: tuple[tuple[int, str, Gender], ...] = (
    (1_000_000_000, "billion", "f"),
    (1_000_000, "million", "m"),
    (1000, "thousand", "m"),
)
MOST = 1_000_000_000_000


class Czech:
    """The grammar of Czech."""

    language = "cs"

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
        """Pět korun třicet haléřů; dvanáct celých pět nula P L N."""
        exponent = decimals(currency)
        negative, major, minor = common.minor_units(amount, exponent)
        prompts = ["minus"] * negative
        if currency not in CURRENCIES:
            fraction = ["point", *common.spell(f"{minor:0{exponent}}")] if minor else []
            return Spoken((*prompts, *_number(major), *fraction, *common.spell(currency)))
        code, (gender, minor_gender) = currency.lower(), CURRENCIES[currency]
        if major or not minor:
            prompts += _counted(major, code, gender)
        if minor:
            prompts += _counted(minor, f"{code}-minor", minor_gender)
        return Spoken(tuple(prompts))

    def date(self, day: date) -> Spoken:
        """Třetího listopadu dva tisíce dvacet šest."""
        return Spoken((f"ordinal-{day.day}", f"month-{day.month}", *_number(day.year)))

    def time(self, at: time) -> Spoken:
        """Čtrnáct hodin třicet minut."""
        minutes = _counted(at.minute, "minute", "f") if at.minute else []
        return Spoken((*_counted(at.hour, "hour", "f"), *minutes))

    def moment(self, at: datetime, now: datetime) -> Spoken:
        """Dnes, čtrnáct hodin; pondělí třetího listopadu, čtrnáct hodin."""
        days = (now.date() - at.date()).days
        if days in {0, 1}:
            day: tuple[str, ...] = ("yesterday" if days else "today",)
        else:
            year = () if at.year == now.year else tuple(_number(at.year))
            day = (f"weekday-{at.isoweekday()}", f"ordinal-{at.day}", f"month-{at.month}", *year)
        return Spoken((*day, *self.time(at.time()).prompts))

    def duration(self, seconds: float, units: Sequence[Unit] = common.ALL_UNITS) -> Spoken:
        """Tři minuty deset sekund."""
        parts = (_counted(count, unit, UNITS[unit]) for unit, count in common.divide(seconds, units))
        return Spoken(tuple(prompt for part in parts for prompt in part))

    def messages(self, count: int, kind: MessageKind = "any") -> Spoken:
        """(Máte) pět nových zpráv, dvě nové zprávy, jednu novou zprávu, žádné nové zprávy."""
        if count <= 0:
            return Spoken((f"vm-{kind}-none",))
        return Spoken(tuple(_counted(count, f"vm-{kind}", "f")))


def _counted(count: int, noun: str, gender: Gender) -> list[str]:
    """The noun of one holds its number, declined as it has to be: "jednu novou zprávu"."""
    if count == 1:
        return [f"{noun}-one"]
    if count == 2:
        return ["number-2" if gender == "m" else "number-2-f", f"{noun}-few"]
    return [*_number(count), f"{noun}-few" if count in {3, 4} else f"{noun}-many"]


def _number(value: int) -> list[str]:
    if value < 0:
        return ["minus", *_number(-value)]
    if value >= MOST:
        return list(common.spell(str(value)))
    prompts: list[str] = []
    rest = value
    for scale, noun, gender in SCALES:
        count, rest = divmod(rest, scale)
        if count:
            prompts += _counted(count, noun, gender)
    return prompts + (_below_thousand(rest) if rest or not prompts else [])


def _below_thousand(value: int) -> list[str]:
    hundreds, rest = divmod(value, 100)
    prompts = [f"hundred-{hundreds}"] if hundreds else []
    return prompts + ([f"number-{rest}"] if rest or not prompts else [])
