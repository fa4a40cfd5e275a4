# SPDX-License-Identifier: Apache-2.0
"""Longest prefix of tariffs and routes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_client.rules.books import Gateway, RateBook, Route, RouteBook, TariffTable
from tests.store.calls import rate

NOW = datetime(2030, 1, 1, tzinfo=UTC)

prefixes = st.text("012", max_size=5)


@given(st.sets(prefixes), st.text("012", max_size=7))
def test_the_longest_prefix_wins(present: set[str], number: str) -> None:
    book = RateBook.of({1: [rate(prefix=prefix) for prefix in present]})
    matching = [prefix for prefix in present if number.startswith(prefix)]
    found = book.rate_for(1, number, NOW)
    assert (found.prefix if found else None) == (max(matching, key=len) if matching else None)


def test_a_rate_out_of_force_leaves_the_number_to_a_shorter_prefix() -> None:
    future = rate(rate_id=2, prefix="420", effective_from=NOW + timedelta(days=1))
    book = RateBook.of({1: [rate(rate_id=1, prefix="4"), future]})
    found = book.rate_for(1, "420777", NOW)
    assert found is not None
    assert found.rate_id == 1


def test_leading_zeros_of_a_prefix_count() -> None:
    book = RateBook.of({1: [rate(rate_id=1, prefix="0"), rate(rate_id=2, prefix="00"), rate(rate_id=3, prefix="")]})
    found = [book.rate_for(1, number, NOW) for number in ("0042", "042", "42")]
    assert [one.rate_id for one in found if one] == [2, 1, 3]


def test_a_plus_does_not_count_and_a_name_matches_the_empty_prefix_alone() -> None:
    book = RateBook.of({1: [rate(rate_id=1, prefix="420"), rate(rate_id=2, prefix="")]})
    written = ("+420777", "alice", "٤٢٠", "420;ext=5", "420/777", "420²")
    found = [book.rate_for(1, number, NOW) for number in written]
    assert [one.rate_id for one in found if one] == [1, 2, 2, 2, 2, 2]


def test_an_empty_or_unknown_tariff_rates_nothing() -> None:
    book = RateBook.of({1: []})
    assert book.rate_for(1, "1", NOW) is None
    assert book.rate_for(2, "1", NOW) is None
    assert book.currency(1) == "USD"
    assert book.currency(2) is None


def test_terms_in_common_are_held_once() -> None:
    table = RateBook.of({1: [rate(rate_id=number, prefix=str(number)) for number in range(1000)]}).tariffs[1]
    assert len(table) == 1000
    assert len(table._terms) == 1


@pytest.mark.parametrize("prefix", ["4a", "+4", "1234567890123456789", "٤"])
def test_a_prefix_is_up_to_eighteen_digits(prefix: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        RateBook.of({1: [rate(prefix=prefix)]})


def test_rates_must_come_in_order() -> None:
    book = RateBook.of({1: [rate(prefix="5")]})
    terms = book.tariffs[1]._terms[0]
    table = TariffTable()
    table.append(1, "42", terms)
    with pytest.raises(ValueError, match="out of order"):
        table.append(2, "5", terms)


def gateway(number: int, **fields: object) -> Gateway:
    """A gateway at 192.0.2.<number>:5060."""
    values: dict[str, object] = {"host": f"192.0.2.{number}", "port": 5060, "transport": "udp", **fields}
    return Gateway(number, f"gw{number}", **values)  # type: ignore[arg-type]


def test_routes_go_by_longest_prefix_then_order_each_gateway_once() -> None:
    first, second, third = gateway(1), gateway(2), gateway(3)
    book = RouteBook(
        [first, second, third],
        [Route(third, "420", 2), Route(second, "420", 1), Route(first, "4", 1), Route(second, "", 1)],
    )
    assert [route.gateway.gateway_id for route in book.routes_for("+420777")] == [2, 3, 1]
    assert [route.gateway.gateway_id for route in book.routes_for("5")] == [2]


def test_a_disabled_gateway_carries_nothing() -> None:
    disabled, receiving = gateway(1, enabled=False), gateway(2, outbound=False)
    book = RouteBook([disabled, receiving], [Route(disabled, "", 1), Route(receiving, "", 2)])
    assert book.routes_for("1") == ()
    assert book.gateway_at("192.0.2.1", 5060) is None
    assert book.gateway_at("192.0.2.2", 5060) == receiving


def test_a_gateway_is_known_by_address_and_where_it_says_so_by_port() -> None:
    exact, other = gateway(1, any_port=False), gateway(2)
    book = RouteBook([exact, other], [])
    assert book.gateway_at("192.0.2.1", 5060) == exact
    assert book.gateway_at("192.0.2.1", 5099) is None
    assert book.gateway_at("192.0.2.2", 5099) == other


def test_a_route_rewrites_the_number() -> None:
    assert Route(gateway(1), "00", 1, strip=2, prepend="99").number("00420777") == "99420777"
