# SPDX-License-Identifier: Apache-2.0
"""Reads the fields of a mapping; mistakes are collected with their path instead of raised one by one."""

from __future__ import annotations

import difflib
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Reader", "read_list"]

Item = TypeVar("Item")

MONEY_DECIMALS = 5
MONEY_DIGITS = 20
PREFIX_DIGITS = 18


class Reader:
    """One mapping at `path`; every getter returns None (or an empty text) for a field that is absent or wrong."""

    def __init__(self, mapping: object, path: str, problems: list[str]) -> None:
        """Anything but a mapping is a mistake by itself."""
        self.path = path
        self.problems = problems
        self._asked: set[str] = set()
        self._mapping: Mapping[str, Any] = mapping if isinstance(mapping, dict) else {}
        if not isinstance(mapping, dict):
            problems.append(f"{path or 'document'}: is not a mapping of fields to values")

    def problem(self, field: str, text: str) -> None:
        """Note a mistake in a field."""
        self.problems.append(f"{self.where(field)}: {text}")

    def where(self, field: str) -> str:
        """The path of a field."""
        return f"{self.path}.{field}" if self.path else field

    def has(self, field: str) -> bool:
        """True if the field is there, be it empty."""
        return field in self._mapping

    def given(self, **values: Any) -> dict[str, Any]:
        """Those values whose fields are there; a field set to null counts."""
        return {field: value for field, value in values.items() if field in self._mapping}

    def end(self) -> None:
        """Name the fields that nobody asked for."""
        for field in self._mapping:
            if field not in self._asked:
                near = difflib.get_close_matches(str(field), self._asked, n=1)
                self.problem(str(field), "is unknown" + (f"; did you mean {near[0]}?" if near else ""))

    def value(self, field: str) -> Any:
        """The bare value."""
        self._asked.add(field)
        return self._mapping.get(field)

    def text(self, field: str, *, required: bool = False) -> str:
        """A text, or a whole number written without quotes."""
        value = self.value(field)
        if isinstance(value, str | int) and not isinstance(value, bool):
            if not (required and value == ""):
                return str(value)
        elif value is not None:
            self.problem(field, f"{value!r} is not a text")
            return ""
        if required:
            self.problem(field, "is missing")
        return ""

    def optional_text(self, field: str) -> str | None:
        """A text; None if absent."""
        return None if self.value(field) is None else self.text(field)

    def choice(self, field: str, choices: Sequence[str]) -> str | None:
        """One of a few words."""
        value = self.value(field)
        if value is None or value in choices:
            return None if value is None else str(value)
        near = difflib.get_close_matches(str(value), choices, n=1)
        self.problem(
            field, f"{value!r} is none of {', '.join(choices)}" + (f"; did you mean {near[0]}?" if near else "")
        )
        return None

    def digits(self, field: str) -> str:
        """A prefix; one that begins with 0 must be quoted, or YAML reads a number."""
        value = self.text(field)
        if value and not (value.isascii() and value.isdigit() and len(value) <= PREFIX_DIGITS):
            self.problem(field, f"{value!r} is not up to {PREFIX_DIGITS} digits")
            return ""
        return value

    def money(self, field: str) -> Decimal | None:
        """An amount of at most five decimals; a float of YAML is taken for the digits that it was written with."""
        value = self.value(field)
        if value is None or value == "":
            return None
        try:
            amount = Decimal(str(value))
            whole = amount.quantize(Decimal(1).scaleb(-MONEY_DECIMALS))
        except InvalidOperation:
            self.problem(field, f"{value!r} is not an amount")
            return None
        if isinstance(value, bool) or amount < 0 or whole != amount or len(whole.as_tuple().digits) > MONEY_DIGITS:
            self.problem(field, f"{value!r} is not an amount of at most {MONEY_DECIMALS} decimals, 0 or more")
            return None
        return whole

    def currency(self, field: str) -> str | None:
        """An ISO 4217 code."""
        value = self.optional_text(field)
        if value is not None and not (len(value) == 3 and value.isalpha() and value.isupper()):
            self.problem(field, f"{value!r} is not a currency code such as USD")
            return None
        return value

    def integer(self, field: str, *, least: int, most: int = 2**31 - 1) -> int | None:
        """A whole number within bounds."""
        value = self.value(field)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.problem(field, f"{value!r} is not a whole number from {least} to {most}")
            return None
        return value

    def flag(self, field: str) -> bool | None:
        """True or false."""
        value = self.value(field)
        if isinstance(value, str) and value in {"true", "false", ""}:
            return value == "true" if value else None
        if value is not None and not isinstance(value, bool):
            self.problem(field, f"{value!r} is not true or false")
            return None
        return value

    def day(self, field: str) -> date | None:
        """A date."""
        moment = self._moment(field)
        return moment.date() if isinstance(moment, datetime) else moment

    def instant(self, field: str) -> datetime | None:
        """A date or an instant; without an offset it is UTC."""
        moment = self._moment(field)
        if moment is None:
            return None
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 (made aware below)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    def _moment(self, field: str) -> date | None:
        value = self.value(field)
        if value is None or value == "" or isinstance(value, date):
            return value or None
        try:
            return datetime.fromisoformat(str(value))
        except ValueError:
            self.problem(field, f"{value!r} is not a date or an instant such as 2030-01-31T12:00:00Z")
            return None


def read_list(
    reader: Reader, field: str, read: Callable[[Reader], Item], *, short: str | None = None
) -> tuple[Item, ...]:
    """Read a list of mappings; with `short`, a bare text stands for a mapping with that field alone."""
    value = reader.value(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        reader.problem(field, "is not a list")
        return ()
    items = []
    for index, element in enumerate(value):
        mapping = {short: element} if short and isinstance(element, str | int) else element
        fields = Reader(mapping, f"{reader.where(field)}[{index}]", reader.problems)
        items.append(read(fields))
        fields.end()
    return tuple(items)
