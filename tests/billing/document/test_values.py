# SPDX-License-Identifier: Apache-2.0
"""What stands in a document becomes a value or a mistake with its path, whatever it is (cases E1, H6, I4)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.document.contents import read_document
from billing.reading import values
from billing.reading.reader import Reader


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("10", "10"),
        ("7.50", "7.5"),
        ("+5", "5"),
        ("-2.50", "-2.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0005.100000", "5.1"),
        ("999999999999999.99999", "999999999999999.99999"),
        (" 1 ", "1"),
    ],
)
def test_an_amount_is_digits_with_a_point(written: str, found: str) -> None:
    assert values.amount(written) == Decimal(found)


@pytest.mark.parametrize(
    "written",
    [
        "NaN",
        "nan",
        "sNaN",
        "inf",
        "-Infinity",
        "1e3",
        "1_000",
        "1,5",
        "١٢",
        "１２",
        "²",
        "",
        ".",
        "+",
        "--1",
        "0x10",
        "1 000",
        "1000000000000000",
        "0.000001",
        "5 USD",
        "1.2.3",
        "9" * 5000,
    ],
)
def test_what_is_no_amount_is_none(written: str) -> None:
    assert values.amount(written) is None


@pytest.mark.parametrize(
    "written",
    ["2027-02-31", "2027-13-01", "0000-01-01", "tomorrow", "20270101", "2027-W01-1", "2027-1-1", "٢٠٢٧-٠١-٠١"],
)
def test_what_is_no_day_is_none(written: str) -> None:
    assert values.day(written) is None
    assert values.instant(written) is None


@pytest.mark.parametrize(
    "written", ["2026-12-01 24:00:00", "2026-12-01 12:61", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_instant_is_none(written: str) -> None:
    assert values.instant(written) is None


def test_days_and_instants_are_read_as_people_write_them() -> None:
    assert values.day("2030-01-31") == date(2030, 1, 31)
    assert values.day("2030-01-31 12:00:00") == date(2030, 1, 31)
    at = datetime(2030, 1, 31, 9, 30, tzinfo=UTC)
    for written in ("2030-01-31T09:30:00Z", "2030-01-31 9:30", "2030-01-31 10:30:00 +01:00", "2030-01-31T10:30+0100"):
        assert values.instant(written) == at
    assert values.instant("2030-01-31") == datetime(2030, 1, 31, tzinfo=UTC)


@given(st.text())
def test_any_text_is_a_value_or_none(text: str) -> None:
    found = values.amount(text)
    assert found is None or (found.is_finite() and abs(found) < 10**15 and found == round(found, 5))
    for read in (values.day, values.instant, values.whole_number):
        read(text)


ODD: list[Any] = [
    float("nan"),
    float("inf"),
    -0.0,
    1e308,
    10**400,
    -1,
    True,
    [],
    {},
    [[["x"]]],
    "NaN",
    "9" * 5000,
    "\x00",
    "a\nb",
    "\ud800",
    "٣",
    "x" * 5000,
    date(2030, 1, 1),
    datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
    b"bytes",
    "2027-02-31",
    "24:00:00",
]
FIELDS = {
    "customers": (
        "name",
        "currency",
        "credit_limit",
        "state",
        "max_calls",
        "max_call_price",
        "daily_limit",
        "timezone",
    ),
    "tariffs": ("name", "currency", "rates", "rates_file"),
    "products": ("name", "tariff"),
    "accounts": (
        "number",
        "kind",
        "password",
        "display",
        "activation_date",
        "expiry_date",
        "aliases",
        "answering",
        "voicemail",
        "opening_balance",
        "credit_limit",
        "language",
        "expire_after_last_use_days",
    ),
    "gateways": ("name", "host", "port", "transport", "enabled", "username", "routes"),
}


@pytest.mark.parametrize("section", FIELDS)
@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_odd_values_in_any_field_are_values_or_mistakes_and_never_an_exception(section: str, value: Any) -> None:
    for field in FIELDS[section]:
        problems: list[str] = []
        read_document({section: [{field: value}]}, problems)
        assert all(len(problem) < 300 and problem.isprintable() for problem in problems)


@pytest.mark.parametrize("field", ["credit_limit", "max_call_price"])
def test_no_amount_is_taken_for_a_number_that_is_none(field: str) -> None:
    problems: list[str] = []
    read_document({"customers": [{"name": "A", field: "NaN"}]}, problems)
    assert problems == [f"customers[0].{field}: 'NaN' is not an amount of at most 5 decimals, 0 or more"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_a_reader_takes_anything(value: Any) -> None:
    problems: list[str] = []
    fields = Reader({"a": value}, "", problems)
    for read in (fields.text, fields.money, fields.currency, fields.flag, fields.day, fields.instant, fields.digits):
        read("a")
    fields.integer("a", least=0)
    fields.choice("a", ("b", "c"))
