# SPDX-License-Identifier: Apache-2.0
"""Credit control of a call on a virtual clock: slices, the end of the paid time, the charge."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_client.rules.books import Rate
from billing_client.rules.rating import cost
from switch.money.credit import Credit
from switch.settings import CreditSettings

SETTINGS = CreditSettings(slice_seconds=30)


def rate(price: str = "0.60", *, fee: str = "0", first: int = 1, following: int = 1) -> Rate:
    """A rate of so much a minute."""
    return Rate(
        1,
        "20",
        "Somewhere",
        "",
        Decimal(fee),
        first,
        following,
        Decimal(price),
        Decimal(price),
        datetime.now(UTC),
        None,
    )


def lock(credit: Credit, funds: Decimal) -> Decimal:
    """What a store with these funds left would lock for the next slice; returns what remains there."""
    want, minimum = (credit.first_want, credit.minimum) if credit.paid_seconds is None else credit.next_want()
    if funds < minimum:
        credit.refused()
        return funds
    taken = min(want, funds)
    credit.granted(credit.locked + taken)
    return funds - taken


def answered(funds: Decimal, at: float, settings: CreditSettings = SETTINGS) -> tuple[Credit, Decimal]:
    """A call that was answered, as far as the store is asked at that instant; and the funds that remain."""
    credit = Credit(rate(), settings, funds)
    left = lock(credit, funds)
    credit.answered(at)
    if credit.ask_at == at:
        left = lock(credit, left)
    return credit, left


@pytest.mark.parametrize(
    ("first", "fee", "want", "minimum", "ask_at"),
    [
        (1, "0", "0.10", "0.01", 105.0),
        (1, "5", "5.10", "5.01", 105.0),
        (30, "0", "0.30", "0.30", 120.0),
        (60, "0.02", "0.62", "0.62", 150.0),
        (600, "0", "6.00", "6.00", 690.0),
    ],
)
def test_what_rings_locks_ten_seconds_or_the_first_increment_and_the_slice_comes_when_it_is_talked(
    first: int, fee: str, want: str, minimum: str, ask_at: float
) -> None:
    """Case L15."""
    credit = Credit(rate(fee=fee, first=first), SETTINGS)
    assert (credit.first_want, credit.minimum) == (Decimal(want), Decimal(minimum))
    credit.granted(Decimal(want))
    ringing = credit.ask_at
    credit.answered(100.0)
    assert (credit.end_at, ringing, credit.ask_at) == (100.0 + max(10, first), None, ask_at)


def test_what_rings_locks_no_more_where_the_funds_are_short_and_all_of_them_at_the_answer() -> None:
    """Case L15, its neighbour: a dear number, for which the company's funds are a minute."""
    funds = Decimal("0.60")
    credit = Credit(rate(), SETTINGS, funds)
    left = lock(credit, funds)
    assert left == Decimal("0.50")
    credit.answered(100.0)
    assert credit.ask_at == 100.0
    assert lock(credit, left) == 0
    assert (credit.end_at, credit.warn_at) == (160.0, 101.0)


def test_the_second_slice_brings_the_rest_of_the_first() -> None:
    credit = Credit(rate(), SETTINGS)
    lock(credit, Decimal(9))
    credit.answered(0.0)
    ends = []
    for _ in range(3):
        lock(credit, Decimal(9))
        ends.append((credit.end_at, credit.ask_at))
    assert ends == [(60.0, 50.0), (90.0, 80.0), (120.0, 110.0)]


def test_a_slice_of_few_seconds_is_what_a_call_locks_while_it_rings() -> None:
    credit = Credit(rate(), CreditSettings(slice_seconds=2))
    lock(credit, Decimal(9))
    credit.answered(0.0)
    assert (credit.locked, credit.end_at, credit.ask_at) == (Decimal("0.02"), 2.0, 1.0)


def test_what_is_left_after_a_part_of_a_slice_ends_the_call() -> None:
    credit = Credit(rate(), SETTINGS)
    credit.granted(Decimal("0.10"))
    credit.answered(100.0)
    credit.granted(Decimal("0.20"))
    assert credit.exhausted
    assert (credit.end_at, credit.ask_at) == (120.0, None)
    assert (credit.charge(120.004).billed_seconds, credit.charge(120.004).amount) == (20, Decimal("0.20000"))


def test_a_call_may_be_ended_some_seconds_before_the_funds_are() -> None:
    credit = Credit(rate(), CreditSettings(disconnect_before_zero_seconds=5))
    assert credit.first_want == Decimal("0.15"), "what rings must not end at the answer"
    credit.granted(Decimal("0.15"))
    credit.answered(0.0)
    assert (credit.end_at, credit.ask_at) == (10.0, 5.0)


def test_a_free_call_has_no_end_and_costs_nothing() -> None:
    for price in (None, rate("0")):
        credit = Credit(price, SETTINGS)
        assert credit.first_want == credit.minimum == 0
        credit.granted(Decimal(0))
        credit.answered(5.0)
        assert credit.end_at is None
        assert (credit.charge(7.2).billed_seconds, credit.charge(7.2).amount) == (3, Decimal(0))


def test_a_call_that_was_not_answered_costs_nothing() -> None:
    credit = Credit(rate(fee="1"), SETTINGS)
    credit.granted(Decimal(5))
    assert credit.charge(50.0).amount == 0


@pytest.mark.parametrize(("seconds", "charge"), [(0.0, "0.32"), (30.0, "0.32"), (30.01, "0.38"), (36.0, "0.38")])
def test_increments_and_the_connect_fee_are_charged(seconds: float, charge: str) -> None:
    credit = Credit(rate(fee="0.02", first=30, following=6), SETTINGS)
    credit.granted(Decimal(5))
    credit.answered(10.0)
    assert credit.charge(10.0 + seconds).amount == Decimal(charge)


@given(
    price=st.decimals("0.00001", 50, places=5),
    fee=st.decimals(0, 5, places=5),
    first=st.integers(1, 120),
    following=st.integers(1, 120),
    funds=st.decimals(0, 100, places=5),
    ends=st.floats(0, 4000),
)
def test_no_call_costs_more_than_it_has_locked_or_lasts_longer_than_it_has_paid(
    price: Decimal, fee: Decimal, first: int, following: int, funds: Decimal, ends: float
) -> None:
    terms = rate(str(price), fee=str(fee), first=first, following=following)
    credit = Credit(terms, SETTINGS)
    left = lock(credit, funds)
    if credit.paid_seconds is None:
        assert funds < cost(terms, first)
        return
    credit.answered(0.0)
    for _ in range(200):
        if credit.ask_at is None or credit.ask_at > ends:
            break
        before = credit.end_at or 0.0
        left = lock(credit, left)
        assert (credit.end_at or 0.0) >= before
    assert credit.locked + left == funds
    end = credit.end_at
    assert end is not None
    charge = credit.charge(min(ends, end) + 0.01)
    assert charge.amount <= credit.locked <= funds
    if charge.amount:
        assert charge.amount == cost(terms, charge.billed_seconds)


def test_towards_the_end_of_the_funds_more_is_locked_so_that_the_warning_comes_in_time() -> None:
    funds = Decimal("3.00")
    credit = Credit(rate(), SETTINGS, funds)
    left, now = lock(credit, funds), 0.0
    assert credit.locked == Decimal("0.10")
    credit.answered(now)
    asked = 0
    while (ask_at := credit.ask_at) is not None:
        now, asked = ask_at, asked + 1
        left = lock(credit, left)
    assert (credit.end_at, left) == (300.0, Decimal(0))
    assert (now, credit.warn_at) == (200.0, 240.0)
    assert asked == 7, "not more than one for each slice"


def test_the_warning_comes_a_minute_before_the_end_and_again_after_thirty_seconds() -> None:
    credit, _ = answered(Decimal("0.90"), 100.0)
    assert (credit.exhausted, credit.end_at, credit.warn_at) == (True, 190.0, 130.0)
    due: list[float | None] = []
    for at in (130.0, 160.0):
        credit.warned(at)
        due.append(credit.warn_at)
    assert due == [160.0, None]
    assert credit.retry_at == 187.0


def test_the_warning_may_come_once_or_at_other_intervals() -> None:
    due: dict[int, list[float | None]] = {}
    for again in (0, 10):
        settings = CreditSettings(warn_seconds=60, warn_again_seconds=again)
        credit, _ = answered(Decimal("0.90"), 100.0, settings)
        credit.warned(130.0)
        due[again] = [credit.warn_at]
        credit.warned(140.0)
        due[again].append(credit.warn_at)
    assert due == {0: [None, None], 10: [140.0, 150.0]}


def test_before_the_end_the_store_is_asked_once_more() -> None:
    credit, _ = answered(Decimal("0.90"), 100.0)
    assert credit.retry_at == 187.0
    credit.retried()
    assert credit.retry_at is None


def test_who_can_hardly_pay_for_the_call_is_warned_at_its_beginning_unless_it_is_over_at_once() -> None:
    for funds, warn_at in ((Decimal("0.20"), 101.0), (Decimal("0.05"), None)):
        credit, _ = answered(funds, 100.0)
        assert credit.warn_at == warn_at


def test_a_top_up_makes_the_call_go_on_and_the_warning_comes_again_before_the_new_end() -> None:
    credit, _ = answered(Decimal("0.90"), 0.0)
    credit.warned(30.0)
    lock(credit, Decimal(5))
    assert (credit.exhausted, credit.end_at, credit.warn_at) == (False, 120.0, None)
    assert credit.ask_at == 50.0, "from now on it is known in time"
    lock(credit, Decimal("0.10"))
    assert (credit.exhausted, credit.end_at, credit.warn_at) == (True, 130.0, 70.0)


def test_without_warnings_no_more_than_a_slice_is_locked() -> None:
    credit = Credit(rate(), CreditSettings(slice_seconds=30, warn_seconds=0), Decimal("0.90"))
    lock(credit, Decimal("0.10"))
    credit.answered(0.0)
    assert credit.next_want() == (Decimal("0.50000"), Decimal("0.01000"))
    lock(credit, Decimal("0.20"))
    assert credit.warn_at is None
