# SPDX-License-Identifier: Apache-2.0
"""A carrier's call records, read from its CSV. Pure.

The first line names the columns, in any order and by the names that carriers use; others are passed over. Separated by
commas, semicolons or tabs.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

__all__ = ["BadLine", "CarrierRecord", "MissingColumnsError", "digits_of", "read_records"]

COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "number": (
        *("number", "called", "callednumber", "callee", "to", "destinationnumber", "destination", "dialled", "dialed"),
        *("cld", "dst", "bnumber", "calledparty"),
    ),
    "start": (
        *("start", "started", "startedat", "starttime", "startdate", "datetime", "timestamp", "calltime", "calldate"),
        *("answered", "answeredat", "answertime", "connecttime", "setuptime", "date"),
    ),
    "time": ("time", "timeofday"),
    "seconds": (
        *("seconds", "duration", "durationseconds", "durations", "durationsec", "billsec", "billedseconds", "billed"),
        *("billableseconds", "billedduration", "sec", "length"),
    ),
    "amount": ("amount", "cost", "price", "charge", "total"),
    "caller": ("caller", "from", "cli", "ani", "src", "callingnumber", "anumber", "callingparty", "callerid"),
}
"""What a column is called, in small letters and without anything between them; the first that is there counts."""
DATES: Final = ("date", "startdate", "calldate")
"""Columns that a column of the time of day belongs to."""
NEEDED: Final = ("number", "start", "seconds")
LONGEST_SECONDS: Final = 10_000_000
_DAY_FIRST: Final = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})(.*)", re.DOTALL)
_CLOCK: Final = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2})(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CarrierRecord:
    """One call, as the carrier has it."""

    line: int
    number: str
    """Digits only."""
    started_at: datetime
    seconds: Decimal
    amount: Decimal | None = None
    caller: str = ""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no call record."""

    line: int
    text: str
    """What is wrong with it."""


class MissingColumnsError(Exception):
    """The first line does not name what is needed."""


def read_records(lines: Iterable[str], zone: ZoneInfo) -> tuple[list[CarrierRecord], list[BadLine]]:
    """Read the lines of a file; `zone` is that of times that name none. Raises MissingColumnsError."""
    source = iter(lines)
    first = next(source, "")
    delimiter = max(",;\t", key=first.count)
    names = [_name(cell) for cell in next(csv.reader([first], delimiter=delimiter), [])]
    places = {field: next((names.index(one) for one in known if one in names), -1) for field, known in COLUMNS.items()}
    if places["start"] < 0 or names[places["start"]] not in DATES:
        places["time"] = -1
    missing = [field for field in NEEDED if places[field] < 0]
    if missing:
        raise MissingColumnsError(
            f"the first line names no column for {', '.join(missing)}; "
            + "; ".join(f"{field}: {', '.join(COLUMNS[field][:6])} ..." for field in missing)
        )
    records: list[CarrierRecord] = []
    bad: list[BadLine] = []
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        try:
            row = next(reader, None)
            if row is None:
                return records, bad
            if any(cell.strip() for cell in row):
                records.append(_record(row, places, reader.line_num + 1, zone))
        except (ValueError, csv.Error) as error:
            bad.append(BadLine(reader.line_num + 1, str(error)))


def _name(cell: str) -> str:
    return "".join(letter for letter in cell.strip().lower() if letter.isalnum())


def _record(row: Sequence[str], places: Mapping[str, int], line: int, zone: ZoneInfo) -> CarrierRecord:
    """Raises ValueError."""

    def cell(field: str) -> str:
        return row[places[field]].strip() if 0 <= places[field] < len(row) else ""

    number = digits_of(cell("number"))
    if not number:
        raise ValueError(f"{cell('number')!r} is no number")
    start = f"{cell('start')} {cell('time')}".strip() if places["time"] >= 0 else cell("start")
    amount = cell("amount").replace(",", ".")
    return CarrierRecord(
        line,
        number,
        _instant(start, zone),
        _seconds(cell("seconds")),
        _decimal(amount, "amount") if amount else None,
        cell("caller"),
    )


def digits_of(written: str) -> str:
    """A number without +, 00 and what people put between digits; empty where it has other characters."""
    bare = re.sub(r"[\s\-./()]", "", written.strip().strip("'\"="))
    digits = bare.removeprefix("+") if bare.startswith("+") else bare.removeprefix("00")
    return digits if digits.isascii() and digits.isdigit() else ""


def _instant(text: str, zone: ZoneInfo) -> datetime:
    if text.isascii() and text.isdigit() and len(text) in (10, 13):
        return datetime.fromtimestamp(int(text[:10]), UTC)
    match = _DAY_FIRST.fullmatch(text)
    iso = text if match is None else f"{match[3]}-{int(match[2]):02}-{int(match[1]):02}{match[4]}"
    try:
        found = datetime.fromisoformat(iso.replace(" UTC", "+00:00").strip())
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time such as 2026-11-30 18:45:02") from None


def _seconds(text: str) -> Decimal:
    match = _CLOCK.fullmatch(text)
    if match is not None:
        return Decimal(int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3]))
    found = _decimal(text.replace(",", "."), "duration")
    if not 0 <= found <= LONGEST_SECONDS:
        raise ValueError(f"{text!r} is no duration")
    return found


def _decimal(text: str, what: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no {what}") from None
    if not found.is_finite():
        raise ValueError(f"{text!r} is no {what}")
    return found
