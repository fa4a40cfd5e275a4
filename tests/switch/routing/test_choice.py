# SPDX-License-Identifier: Apache-2.0
"""Which carriers a call goes to: by their order or their cost, none below the margin, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from billing_client.rules.books import Gateway, Rate, RateBook, Route
from switch.routing.carriers.choice import chosen
from switch.trace.trace import Trace

if TYPE_CHECKING:
    from billing_client.rules.books import Routing

NOW = datetime(2026, 12, 1, tzinfo=UTC)
SALE, CHEAP, DEAR, EURO, BLOCKED = 1, 2, 3, 4, 5
DIALLED = "420600000001"


def rate(price: str, *, first: int = 1, fee: str = "0", blocked: bool = False) -> Rate:
    """A rate for Czech numbers."""
    return Rate(
        1, "420", "Czech Republic", "", Decimal(fee), first, 1, Decimal(price), Decimal(price), NOW, None, blocked
    )


def route(name: str, tariff: int | None, order: int = 1) -> Route:
    """By a gateway of that cost tariff."""
    gateway = Gateway(order, name, "192.0.2.1", None, "udp", cost_tariff_id=tariff)
    return Route(gateway, "420", order)


def book(routing: Routing = "order", margin: str | None = None) -> RateBook:
    """What calls are sold and bought for."""
    tariffs = {
        SALE: [rate("0.10")],
        CHEAP: [rate("0.04")],
        DEAR: [rate("0.09")],
        BLOCKED: [rate("0.01", blocked=True)],
        EURO: [rate("0.01")],
    }
    rates = RateBook.of(tariffs)
    sale = rates.tariffs[SALE]
    sale.routing, sale.least_margin = routing, None if margin is None else Decimal(margin)
    rates.tariffs[EURO].currency = "EUR"
    return rates


def names(rates: RateBook, *routes: Route) -> tuple[list[str], str]:
    """Who is asked, in order, and what is said of it."""
    trace = Trace()
    found = chosen(routes, rate("0.10"), SALE, rates, DIALLED, NOW, trace)
    return [one.gateway.name for one in found], " | ".join(step.text for step in trace.read())


def test_without_a_wish_the_order_of_the_routes_counts_and_the_cost_is_told() -> None:
    found, said = names(book(), route("dear", DEAR, 1), route("cheap", CHEAP, 2))
    assert found == ["dear", "cheap"]
    assert "a minute by dear costs 0.09000 USD (prefix 420) and leaves 0.01000" in said


def test_by_cost_the_cheapest_is_asked_first_and_one_whose_cost_is_unknown_last() -> None:
    found, _ = names(book("cost"), route("unknown", None, 1), route("dear", DEAR, 2), route("cheap", CHEAP, 3))
    assert found == ["cheap", "dear", "unknown"]


def test_of_equal_cost_the_order_of_the_routes_counts() -> None:
    found, _ = names(book("cost"), route("second", CHEAP, 2), route("first", CHEAP, 1))
    assert found == ["first", "second"]


def test_a_carrier_that_leaves_less_than_the_margin_is_not_taken_and_it_is_said_why() -> None:
    found, said = names(book(margin="0.02"), route("dear", DEAR, 1), route("cheap", CHEAP, 2))
    assert found == ["cheap"]
    assert "dear is not taken: a minute leaves 0.01000 USD, less than 0.02" in said


@pytest.mark.parametrize(
    ("tariff", "why"),
    [(None, "what it costs is not known"), (EURO, "it costs EUR, which is not compared with USD")],
)
def test_where_a_margin_is_wanted_what_cannot_be_compared_is_not_taken(tariff: int | None, why: str) -> None:
    found, said = names(book(margin="0"), route("odd", tariff))
    assert not found
    assert why in said


def test_a_number_that_the_carrier_blocks_is_not_sent_there() -> None:
    found, said = names(book(), route("blocking", BLOCKED, 1), route("cheap", CHEAP, 2))
    assert found == ["cheap"]
    assert "its tariff blocks the number" in said


def test_increments_and_fees_of_the_carrier_count() -> None:
    """A minute of a carrier with a fee at the answer may be dearer than one with a higher price."""
    rates = book("cost")
    rates = RateBook({**rates.tariffs, CHEAP: RateBook.of({1: [rate("0.04", fee="0.06")]}).tariffs[1]})
    found, _ = names(rates, route("fee", CHEAP, 1), route("dear", DEAR, 2))
    assert found == ["dear", "fee"]
