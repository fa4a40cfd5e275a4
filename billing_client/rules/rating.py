# SPDX-License-Identifier: Apache-2.0
"""What a call costs: exact arithmetic, no input or output.

Charged time grows in whole increments: `first_increment` seconds as soon as the call is answered, then
`next_increment` at a time. The charge is

    connect_fee + (first_increment * first_price + further seconds * next_price) / 60

with prices per minute, computed exactly and rounded **once, half up, to five decimals**. Nothing else says what a call
costs: that of one whose switch died another switch does (`billing_client.calls.orphan_values`); the store only sees to
it that no more is charged than was locked.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from typing import TYPE_CHECKING

from billing_client.rules.books import RateBook, RouteBook

if TYPE_CHECKING:
    from billing_client.rules.books import Rate

__all__ = ["MONEY_STEP", "RateBook", "RouteBook", "billed_seconds", "cost", "seconds_covered"]

MONEY_STEP = Decimal("0.00001")
"""The smallest amount that the books hold."""

_HALF_STEP = MONEY_STEP / 2

# Amounts have 20 digits and durations 10: at 60 digits nothing but the division by 60 is ever rounded, and that
# so far behind the fifth decimal that rounding again is harmless.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


def billed_seconds(rate: Rate, seconds: float | Decimal) -> int:
    """Charged time of a call that was answered for `seconds`: a started increment counts whole; 0 if unanswered."""
    if seconds <= 0:
        return 0
    further = math.ceil(seconds) - rate.first_increment
    if further <= 0:
        return rate.first_increment
    return rate.first_increment - (-further // rate.next_increment) * rate.next_increment


def cost(rate: Rate, seconds: float | Decimal) -> Decimal:
    """The charge of a call that was answered for `seconds`; 0 if it was not answered."""
    billed = billed_seconds(rate, seconds)
    if billed == 0:
        return Decimal(0)
    with localcontext(_EXACT):
        return (_minutes_cost(rate, billed) / 60).quantize(MONEY_STEP)


def seconds_covered(rate: Rate, amount: Decimal) -> int | None:
    """The longest time, in whole increments, whose `cost` is within `amount`.

    0 if not even the first increment is paid; None if `amount` pays for any length.
    """
    with localcontext(_EXACT):
        # Rounding half up keeps the charge within the amount as long as the exact charge is below this bound.
        bound = (amount.quantize(MONEY_STEP, ROUND_FLOOR) + _HALF_STEP) * 60
        spare = bound - _minutes_cost(rate, rate.first_increment)
        if spare <= 0:
            return 0
        if not rate.next_price:
            return None
        increments = (spare / (rate.next_increment * rate.next_price)).to_integral_value(ROUND_CEILING) - 1
        return rate.first_increment + int(increments) * rate.next_increment


def _minutes_cost(rate: Rate, billed: int) -> Decimal:
    """Sixty times the exact charge of `billed` seconds, so that no division comes before the rounding."""
    further = billed - rate.first_increment
    return rate.connect_fee * 60 + rate.first_increment * rate.first_price + further * rate.next_price
