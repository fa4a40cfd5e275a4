# SPDX-License-Identifier: Apache-2.0
"""The number plan: what a phone dials becomes the one form of the number, and is shown as the phone dials. Pure.

The one form is that of E.164 without its plus: `420777123001`. `read` of `numbering` has taken away how a number is
written (separators, parameters); here stands how it is dialled: `00420...`, `011420...`, `+420...`, `0777...`, `777`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from billing_client.rules.countries import country
from billing_client.rules.numbering import Number, digits_of, e164, is_global

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["LONGEST_INTERNAL", "DialRules", "Dialled", "NumberPlan", "Place", "is_internal", "place_of", "plan_of"]

LONGEST_INTERNAL: Final = 6
"""Digits of an extension: fewer than any number of the world has."""
_LONGEST_LOCAL: Final = 8
_SHORTEST_LOCAL: Final = 5
_SHORTEST: Final = 7
_INCOMPLETE: Final = 484
_ABROAD: Final = "00"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberPlan:
    """How numbers are dialled: on a node, by a customer's phones, by an account's."""

    country: str = field(default="", metadata={"read": "country"})
    """the country (ISO 3166-1, such as `CZ`) as whose people phones dial: its code, its prefixes and lengths are
    known. Without one, only `+` and `00` are understood, everything else is taken as it is dialled"""
    area: str = field(default="", metadata={"read": "digits or none"})
    """the area code, without the trunk prefix: numbers without one are of this area, as in `30` (Berlin), `212` (New
    York)"""
    international: tuple[str, ...] = field(default=(), metadata={"read": "telephone"})
    """what is dialled before numbers of other countries, such as `["00", "009"]`; by default what the country uses"""
    national: str | None = field(default=None, metadata={"read": "digits or none"})
    """the trunk prefix, which is dialled before numbers of the own country and is no part of them: `"0"`, or `none`; by
    default that of the country"""
    short: tuple[str, ...] = field(default=(), metadata={"read": "short number"})
    """numbers that stay as they are dialled, `x` being any digit: `["1188", "116xxx"]`. Only rates and routes for just
    these (prefix `1188`, `116`) serve them"""

    def within(self, wider: NumberPlan) -> NumberPlan:
        """This plan where it says something, else the `wider` one; a plan of another country takes nothing over."""
        if self == EMPTY:
            return wider
        if self.country and self.country != wider.country:
            return self
        said = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) != one.default}
        return NumberPlan(**{one.name: getattr(wider, one.name) for one in fields(self)} | said)

    def normal(self, number: Number, emergency: Container[str] = ()) -> Dialled:
        """The one form of what is dialled. `emergency`: numbers that are never anything else."""
        if number.kind != "number" or number.text in emergency:
            return Dialled(number.text, number.text)
        return _rules(self).normal(number.text, has_plus=number.plus)

    def shown(self, number: str) -> str:
        """A number in the one form as a phone of this plan would dial it; what is none of the world, as it is."""
        return _rules(self).shown(number)


EMPTY: Final = NumberPlan()


@dataclass(frozen=True, slots=True)
class Dialled:
    """What is dialled, in its one form."""

    text: str
    typed: str
    """As it was dialled, without separators."""
    why: str = ""
    """By which rule the one became the other; empty: they are the same."""
    least: int = 0
    """Rates and routes for shorter prefixes than this do not serve it: a short number is none of a country."""
    refusal: int = 0
    """SIP status where it cannot be dialled so."""

    @property
    def internal(self) -> str:
        """What may be an extension of the caller's company; empty: it is none."""
        return self.typed if is_internal(self.typed) else ""


def is_internal(number: str) -> bool:
    """Whether this can be an extension: a few digits."""
    return 0 < len(digits_of(number)) <= LONGEST_INTERNAL


@dataclass(frozen=True, slots=True)
class Place:
    """Where the phones of an account are, for who helps in an emergency."""

    location: str = ""
    """In words, or a URI."""
    callback: str = ""
    """The number to call back; empty: the one that the account shows."""


@dataclass(frozen=True, slots=True)
class DialRules:
    """A number plan with what is known of its country, ready to be applied."""

    code: str
    trunk: str
    area: str
    abroad: re.Pattern[str]
    dialled_abroad: str
    number: re.Pattern[str] | None
    """None: no country is set."""
    short: tuple[tuple[re.Pattern[str], int], ...]
    """Patterns of short numbers, and how many digits at the beginning of each are fixed."""

    def _has(self, number: str) -> bool:
        return self.number is not None and self.number.fullmatch(number) is not None

    def normal(self, typed: str, *, has_plus: bool) -> Dialled:
        """The rules, in their order; the first that fits counts."""
        if has_plus and typed[0] != "0":
            return Dialled(typed, typed)
        for pattern, fixed in self.short:
            if pattern.fullmatch(typed):
                return Dialled(typed, typed, "a short number stays as it is dialled", least=fixed)
        abroad = self.abroad.match(typed)
        if abroad is not None and abroad.end() < len(typed):
            return self._from_abroad(typed, abroad[0])
        if self.number is None:
            return Dialled(typed, typed)
        return self._at_home(typed)

    @staticmethod
    def _from_abroad(typed: str, prefix: str) -> Dialled:
        rest = typed[len(prefix) :]
        refusal = _INCOMPLETE if len(rest) < _SHORTEST or rest[0] == "0" else 0
        return Dialled(rest, typed, f"{prefix} is dialled before numbers of the world", refusal=refusal)

    def _at_home(self, typed: str) -> Dialled:
        code, trunk = self.code, self.trunk
        rest = typed.removeprefix(trunk) if trunk and typed.startswith(trunk) else ""
        if rest and (trunk[0] == "0" or self._has(rest)):
            return Dialled(code + rest, typed, f"{trunk} begins a number of the country, whose code is {code}")
        if self.area and self._is_local(typed):
            number = code + self.area + typed
            return Dialled(number, typed, f"a number of the own area, {self.area}, in the country {code}")
        is_own = typed.startswith(code) and self._has(typed[len(code) :])
        if self._has(typed) and not (is_own and trunk[:1] == "0"):
            return Dialled(code + typed, typed, f"a number of the country, whose code is {code}")
        if is_own or len(typed) >= _SHORTEST:
            return Dialled(typed, typed)
        return Dialled(typed, typed, "a short number stays as it is dialled", least=len(typed))

    def _is_local(self, typed: str) -> bool:
        return _SHORTEST_LOCAL <= len(typed) <= _LONGEST_LOCAL and self._has(self.area + typed)

    def shown(self, number: str) -> str:
        """The other way round; where that is not sure to come back to the same number, with its plus."""
        if self.number is None or not is_global(number):
            return number
        rest = number.removeprefix(self.code) if number.startswith(self.code) else ""
        dialled = self.trunk + rest if rest and self._has(rest) else self.dialled_abroad + number
        return dialled if self.normal(dialled, has_plus=False).text == number else e164(number)


@lru_cache(maxsize=4096)
def _rules(plan: NumberPlan) -> DialRules:
    facts = country(plan.country) if plan.country else None
    abroad = re.compile("|".join(map(re.escape, sorted(plan.international, key=len, reverse=True))) or _ABROAD)
    own_abroad = plan.international[0] if plan.international else _ABROAD
    short = tuple((re.compile(one.replace("x", "[0-9]")), len(one.partition("x")[0])) for one in plan.short)
    if facts is None:
        return DialRules("", "", plan.area, abroad, own_abroad, None, short)
    trunk = facts.trunk if plan.national is None else plan.national
    if plan.international:
        return DialRules(facts.code, trunk, plan.area, abroad, own_abroad, facts.number, short)
    return DialRules(facts.code, trunk, plan.area, facts.abroad, facts.dialled_abroad, facts.number, short)


@lru_cache(maxsize=4096)
def plan_of(written: str | None) -> NumberPlan:
    """The plan that the store has for an account (JSON); null: none of its own."""
    if not written:
        return EMPTY
    said: dict[str, Any] = json.loads(written)
    plan: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return NumberPlan(**plan)


@lru_cache(maxsize=4096)
def place_of(written: str | None) -> Place:
    """The place that the store has for an account (JSON); null: none."""
    return Place(**json.loads(written)) if written else _NO_PLACE


_NO_PLACE: Final = Place()
