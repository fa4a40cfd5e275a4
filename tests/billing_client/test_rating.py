# SPDX-License-Identifier: Apache-2.0
"""Rating against an independent straightforward implementation in fractions, and the store's formula against both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing_client.rules.rating import billed_seconds, cost, seconds_covered
from tests.store.calls import rate

if TYPE_CHECKING:
    from billing_client.rules.books import Rate

STEP = Decimal("0.00001")

prices = st.decimals(0, 1000, places=5, allow_nan=False)
increments = st.integers(1, 3600)


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    """Any rate."""
    return rate(
        connect_fee=draw(prices),
        first_increment=draw(increments),
        next_increment=draw(increments),
        first_price=draw(prices),
        next_price=draw(prices),
    )


def plain_billed(terms: Rate, seconds: Fraction) -> int:
    """Add increments until the time is covered."""
    if seconds <= 0:
        return 0
    billed = terms.first_increment
    while billed < seconds:
        billed += terms.next_increment
    return billed


def plain_cost(terms: Rate, seconds: Fraction) -> Fraction:
    """The definition, in fractions; half up to five decimals."""
    billed = plain_billed(terms, seconds)
    if billed == 0:
        return Fraction(0)
    exact = (
        Fraction(terms.connect_fee)
        + (
            Fraction(terms.first_price) * terms.first_increment
            + Fraction(terms.next_price) * (billed - terms.first_increment)
        )
        / 60
    )
    return Fraction(floor(exact * 100_000 + Fraction(1, 2)), 100_000)


@given(rates(), st.integers(-1, 20_000))
@example(rate(next_price=Decimal("0.0003"), first_price=Decimal(0)), 2)  # half a step: up
def test_the_charge_is_the_definition(terms: Rate, seconds: int) -> None:
    assert billed_seconds(terms, seconds) == plain_billed(terms, Fraction(seconds))
    assert Fraction(cost(terms, seconds)) == plain_cost(terms, Fraction(seconds))


@given(rates(), st.floats(0.001, 10_000))
def test_a_started_second_counts(terms: Rate, seconds: float) -> None:
    assert billed_seconds(terms, seconds) == plain_billed(terms, Fraction(seconds))


@given(rates(), st.decimals(0, 10_000, places=5, allow_nan=False))
def test_funds_cover_exactly_what_they_pay_for(terms: Rate, amount: Decimal) -> None:
    covered = seconds_covered(terms, amount)
    if covered is None:
        assert terms.next_price == 0
        assert cost(terms, 10**9) <= amount
    elif covered == 0:
        assert cost(terms, 1) > amount
    else:
        assert billed_seconds(terms, covered) == covered
        assert cost(terms, covered) <= amount < cost(terms, covered + 1)


@given(rates(), st.integers(1, 20_000))
def test_the_charge_of_a_time_covers_that_time(terms: Rate, seconds: int) -> None:
    covered = seconds_covered(terms, cost(terms, seconds))
    assert covered is None or covered >= billed_seconds(terms, seconds)


def test_large_amounts_stay_exact() -> None:
    terms = rate(connect_fee=Decimal("999999999999999.99999"), next_price=Decimal("99999999.99999"))
    assert Fraction(cost(terms, 86_400)) == plain_cost(terms, Fraction(86_400))


def test_twenty_cents_pay_for_twenty_seconds() -> None:
    terms = rate()
    assert seconds_covered(terms, Decimal("0.20")) == 20
    assert cost(terms, 20) == Decimal("0.20")
    assert cost(terms, 20.001) == Decimal("0.21")


@pytest.mark.parametrize(
    ("seconds", "charge"), [(0, "0"), (1, "0.10"), (30, "0.10"), (30.5, "0.11"), (36, "0.11"), (37, "0.12")]
)
def test_thirty_six_increments(seconds: float, charge: str) -> None:
    """30/6 at 0.10 a minute after a fee of 0.05: the fee falls due with the answer."""
    terms = rate(
        connect_fee=Decimal("0.05"),
        first_increment=30,
        next_increment=6,
        first_price=Decimal("0.10"),
        next_price=Decimal("0.10"),
    )
    assert cost(terms, seconds) == Decimal(charge)


def test_step_is_what_the_books_hold() -> None:
    assert cost(rate(first_price=Decimal("0.0006")), 1) == STEP


def test_effective_dates_are_half_open() -> None:
    from billing_client.rules.books import RateBook

    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    old = rate(rate_id=1, effective_to=noon)
    new = rate(rate_id=2, effective_from=noon)
    book = RateBook.of({1: [old, new]})
    just_before = book.rate_for(1, "2015", noon - timedelta(microseconds=1))
    assert just_before is not None
    assert just_before.rate_id == 1
    at_noon = book.rate_for(1, "2015", noon)
    assert at_noon is not None
    assert at_noon.rate_id == 2
