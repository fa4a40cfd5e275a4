# SPDX-License-Identifier: Apache-2.0
"""Reads the fields of a mapping; mistakes are collected with their path instead of raised one by one.

`Fields` is what the documents of `softswitch apply` (`Reader`) and the configuration (`softswitch.config.document`)
have in common: where a field stands, and which fields nobody knows.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from billing.reading import values
from billing.reading.values import MONEY_DECIMALS
from billing_client.rules.numbering import digits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Fields", "Once", "Reader", "did_you_mean", "place_of", "read_list", "shown"]

Item = TypeVar("Item")

PREFIX_DIGITS = 18
LONGEST_TEXT = 120
LONGEST_SHOWN = 60
LONGEST_INTEGER_BITS = 256


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean "udp"?)` for the nearest known word, or nothing."""
    spelled = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower(), spelled, n=1)
    return f' (did you mean "{spelled[near[0]]}"?)' if near else ""


class Fields(ABC):
    """The fields of one mapping, which knows its path and which of its fields were asked for."""

    def __init__(self, mapping: Mapping[str, Any], path: str) -> None:
        self.path = path
        self._mapping = mapping
        self._asked: set[str] = set()

    @abstractmethod
    def problem(self, field: str, text: str) -> None:
        """Note a mistake in a field."""

    def where(self, field: str) -> str:
        """The path of a field."""
        return f"{self.path}.{field}" if self.path else field

    def bare(self, field: str) -> Any:
        """The value of a field as it stands; None: it is absent or null."""
        self._asked.add(field)
        return self._mapping.get(field)

    def end(self) -> None:
        """Name the fields that nobody asked for."""
        known = frozenset(self._asked)
        for field in self._mapping:
            if field not in known:
                hint = did_you_mean(str(field), known)
                others = f"; known here: {', '.join(sorted(known))}" if known and not hint else ""
                self.problem(str(field), f"unknown key{hint}{others}")


class Reader(Fields):
    """One mapping at `path`; every getter returns None (or an empty text) for a field that is absent or wrong."""

    def __init__(self, mapping: object, path: str, problems: list[str]) -> None:
        """Anything but a mapping is a mistake by itself."""
        super().__init__(mapping if isinstance(mapping, dict) else {}, path)
        self.problems = problems
        if not isinstance(mapping, dict):
            problems.append(f"{path or 'document'}: is not a mapping of fields to values")

    def problem(self, field: str, text: str) -> None:
        """Note a mistake in a field."""
        self.problems.append(f"{self.where(field)}: {text}")

    def has(self, field: str) -> bool:
        """True if the field is there, be it empty."""
        return field in self._mapping

    def given(self, **values: Any) -> dict[str, Any]:
        """Those values whose fields are there; a field set to null counts."""
        return {field: value for field, value in values.items() if field in self._mapping}

    def text(self, field: str, *, required: bool = False, most: int = LONGEST_TEXT) -> str:
        """A text of at most so many characters, none of which is a line end or another control character."""
        value = self.bare(field)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return self._checked(field, _digits_of(value), required=required, most=most)
        if value is not None:
            self.problem(field, f"{shown(value)} is not a text")
        elif required:
            self.problem(field, "is missing")
        return ""

    def _checked(self, field: str, text: str, *, required: bool, most: int) -> str:
        if required and not text.strip():
            self.problem(field, "is missing")
        elif len(text) > most:
            self.problem(field, f"has {len(text)} characters, {most} at most")
        elif not text.isprintable():
            self.problem(field, f"{shown(text)} holds a character that cannot be printed")
        else:
            return text
        return ""

    def optional_text(self, field: str, *, most: int = LONGEST_TEXT) -> str | None:
        """A text; None if absent."""
        return None if self.bare(field) is None else self.text(field, most=most)

    def choice(self, field: str, choices: Sequence[str]) -> str | None:
        """One of a few words."""
        value = self.bare(field)
        if value is None or value in choices:
            return None if value is None else str(value)
        self.problem(field, f"{shown(value)} is none of {', '.join(choices)}{did_you_mean(str(value), choices)}")
        return None

    def digits(self, field: str, *, plus: bool = False) -> str:
        """A prefix; `plus`: it may begin with a +."""
        value = self.text(field)
        digits = value.removeprefix("+") if plus else value
        if digits != digits_of(digits) or len(value) > PREFIX_DIGITS:
            after = " after an optional +" if plus else ""
            self.problem(field, f"{shown(value)} is not up to {PREFIX_DIGITS} digits{after}")
            return ""
        return value

    def money(self, field: str) -> Decimal | None:
        """An amount, 0 or more."""
        value = self.bare(field)
        if value is None or value == "":
            return None
        found = None if isinstance(value, bool) else values.amount(_digits_of(value))
        if found is None or found < 0:
            self.problem(field, f"{shown(value)} is not an amount of at most {MONEY_DECIMALS} decimals, 0 or more")
            return None
        return found.quantize(Decimal(1).scaleb(-MONEY_DECIMALS))

    def currency(self, field: str) -> str | None:
        """An ISO 4217 code."""
        value = self.optional_text(field)
        if value is not None and not (len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()):
            self.problem(field, f"{shown(value)} is not a currency code such as USD")
            return None
        return value

    def integer(self, field: str, *, least: int, most: int = 2**31 - 1) -> int | None:
        """A whole number within bounds."""
        value = self.bare(field)
        if value is None or value == "":
            return None
        found = values.whole_number(_digits_of(value)) if isinstance(value, str | int) else None
        if isinstance(value, bool) or found is None or not least <= found <= most:
            self.problem(field, f"{shown(value)} is not a whole number from {least} to {most}")
            return None
        return found

    def flag(self, field: str) -> bool | None:
        """True or false."""
        value = self.bare(field)
        if value is None or value == "":
            return None
        found = values.flag(str(value))
        if found is None:
            self.problem(field, f"{shown(value)} is not true or false")
        return found

    def is_flag(self, field: str) -> bool:
        """Whether true or false stands where a mapping might."""
        value = self.bare(field)
        return isinstance(value, bool) or (isinstance(value, str) and values.flag(value) is not None)

    def day(self, field: str) -> date | None:
        """A date."""
        return self._moment(field, values.day)

    def instant(self, field: str) -> datetime | None:
        """A date or an instant; without an offset it is UTC."""
        return self._moment(field, values.instant)

    def _moment(self, field: str, read: Callable[[str], Item | None]) -> Item | None:
        value = self.bare(field)
        if value is None or value == "":
            return None
        found = read(value.isoformat() if isinstance(value, date) else str(value))
        if found is None:
            self.problem(field, f"{shown(value)} is not a date or an instant such as 2030-01-31T12:00:00Z")
        return found


def shown(value: object) -> str:
    """A value that was refused, as a message shows it."""
    match value:
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case str():
            text = repr(str(value[: LONGEST_SHOWN + 1]))
        case _:
            text = _digits_of(value) if isinstance(value, int) and not isinstance(value, bool) else repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _digits_of(value: object) -> str:
    """A number that is no text: of a float the digits that it was written with."""
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER_BITS:
        return "a number of very many digits"  # which Python would refuse to write
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else str(value)


class Once:
    """Things that no two may have the same key of."""

    def __init__(self, what: str) -> None:
        """`what` they are, in one word or two."""
        self._what = what
        self._first: dict[object, str] = {}

    def second(self, key: object, place: str, name: str | None = None) -> str | None:
        """What is wrong if the key was there before; `place` is where this one is, `name` how its key reads."""
        first = self._first.setdefault(key, place)
        return None if first is place else f"{self._what} {name or shown(key)} is there twice, first in {first}"


def place_of(element: object, path: str) -> str:
    """Where something stands: its line, if its text was read from a file."""
    line = getattr(element, "line", None)
    return path if line is None else f"line {line}"


def read_list(
    reader: Reader,
    field: str,
    read: Callable[[Reader], Item],
    *,
    short: str | None = None,
    key: str | None = None,
) -> tuple[Item, ...]:
    """Read a list of mappings; with `short`, a bare text stands for a mapping with that field alone.

    `key` is the field that names an item: no two have the same.
    """
    value = reader.bare(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        reader.problem(field, "is not a list")
        return ()
    items = []
    once = Once(key or "")
    for index, element in enumerate(value):
        is_bare = isinstance(element, str | int) and not isinstance(element, bool)
        mapping = {short: element} if short and is_bare else element
        fields = Reader(mapping, f"{reader.where(field)}[{index}]", reader.problems)
        items.append(read(fields))
        fields.end()
        if key and isinstance(fields.bare(key), str | int) and fields.bare(key) != "":
            twice = once.second(str(fields.bare(key)), place_of(element, fields.path))
            if twice is not None:
                fields.problem(key, twice)
    return tuple(items)
