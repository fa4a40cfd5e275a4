# SPDX-License-Identifier: Apache-2.0
"""What every language can say, and what is the same in all of them."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Literal, Protocol

from ivr.verbs import Spoken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime, time

__all__ = ["ALL_UNITS", "DIGIT_SETS", "Grammar", "MessageKind", "Unit", "divide", "minor_units", "spell", "telephone"]

MessageKind = Literal["new", "old", "saved", "urgent", "any"]
Unit = Literal["day", "hour", "minute", "second"]
ALL_UNITS: tuple[Unit, ...] = ("hour", "minute", "second")
UNIT_SECONDS: dict[Unit, int] = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}
KEYS = {"*": "digit-star", "#": "digit-pound", "+": "digit-plus"}
DIGIT_SETS = frozenset("0123456789*#+abcdefghijklmnopqrstuvwxyz")
"""What can be spelled; anything else is passed over."""


class Grammar(Protocol):
    """A language. Every method is pure, and tells ids of that language's catalogue."""

    @property
    def language(self) -> str:
        """Its code, as the folder in `prompts/` is called."""

    def number(self, value: int) -> Spoken:
        """A cardinal number, as in counting; digit by digit from a thousand billion on."""

    def digits(self, characters: str) -> Spoken:
        """One after the other: digits, letters, "*", "#", "+"."""

    def telephone(self, number: str) -> Spoken:
        """A telephone number in groups, or the user part of an address spelled; "anonymous": an unknown caller."""

    def money(self, amount: Decimal, currency: str) -> Spoken:
        """An amount in a currency (ISO 4217), cut to the minor unit, so that never more is told than there is."""

    def date(self, day: date) -> Spoken:
        """A date with its year."""

    def time(self, at: time) -> Spoken:
        """A time of day, to the minute."""

    def moment(self, at: datetime, now: datetime) -> Spoken:
        """When something was, told at `now` (both in the listener's time zone): today, yesterday or the date; time."""

    def duration(self, seconds: float, units: Sequence[Unit] = ALL_UNITS) -> Spoken:
        """How long, in the wanted units, cut to the least of them; units that are zero are not told."""

    def messages(self, count: int, kind: MessageKind = "any") -> Spoken:
        """How many messages, as goes on after "vm-you-have"."""


def spell(characters: str) -> Iterator[str]:
    """Prompts of single characters."""
    for character in characters.lower():
        if character in DIGIT_SETS:
            kind = "letter" if character.isalpha() else "digit"
            yield KEYS.get(character) or f"{kind}-{character}"


def telephone(number: str) -> Spoken:
    """Digits in groups with a short pause between them, as people tell them: threes, four at the end."""
    if number.lower() in {"", "anonymous", "unknown"}:
        return Spoken(("anonymous",))
    prefix, digits = ("+", number[1:]) if number.startswith("+") else ("", number)
    if not (digits.isascii() and digits.isdigit()):
        return Spoken(tuple(spell(number)) or ("anonymous",))
    prompts = list(spell(prefix))
    for index, group in enumerate(_groups(digits)):
        prompts += ["pause"] * (index > 0) + list(spell(group))
    return Spoken(tuple(prompts))


def _groups(digits: str) -> list[str]:
    if len(digits) <= 4:
        return [digits]
    if len(digits) == 11 and digits.startswith("1"):  # the North American plan
        return [digits[0], *_groups(digits[1:])]
    first = len(digits) % 3
    tail = 4 if first == 1 else 0
    body = digits[: len(digits) - tail]
    first = len(body) % 3
    threes = [body[at : at + 3] for at in range(first, len(body), 3)]
    return [part for part in (body[:first], *threes, digits[len(digits) - tail :] if tail else "") if part]


def minor_units(amount: Decimal, exponent: int) -> tuple[bool, int, int]:
    """Whether an amount is below zero, its whole units and its minor ones, all that is less cut away."""
    scaled = int((abs(amount) * 10**exponent).to_integral_value(rounding=ROUND_DOWN))
    major, minor = divmod(scaled, 10**exponent)
    return amount < 0 and scaled > 0, major, minor


def divide(seconds: float, units: Sequence[Unit]) -> list[tuple[Unit, int]]:
    """A duration in units, largest first, without those that are zero; "0" of the last unit if nothing is left."""
    rest = max(0, int(seconds))
    found: list[tuple[Unit, int]] = []
    for unit in units:
        count, rest = divmod(rest, UNIT_SECONDS[unit])
        if count:
            found.append((unit, count))
    return found or [(units[-1], 0)]
