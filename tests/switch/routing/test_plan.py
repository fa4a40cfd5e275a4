# SPDX-License-Identifier: Apache-2.0
"""The dial plan: who may call whom, who pays, which way; no store, no network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing_client.parties import Parties, Party
from billing_client.rules.books import Gateway, Rate, Route
from billing_client.rules.rating import RateBook, RouteBook
from switch.routing.caller import Caller, Forwarding
from switch.routing.plan import Application, Applications, DialPlan, Plan, Refusal, dialled_number, plan_call
from switch.trace.trace import Trace

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ALICE = Party(1, "101", "101", "Alice", 1, "Firm", "debit", None, 1, 1, "USD", Decimal(10), "pw", "account", True)
BOB = replace(ALICE, account_id=2, number="102", name="102", balance_id=2)
CARRIER = Gateway(1, "carrier", "192.0.2.1", 5060, "udp")
SECOND = Gateway(2, "second", "192.0.2.2", 5060, "udp")
PHONE = Caller("101", "Alice", None)
OUTSIDE = Caller("42075553333", "", CARRIER)


def rate(prefix: str, price: str, *, blocked: bool = False) -> Rate:
    """A rate of the only tariff."""
    amount = Decimal(price)
    return Rate(
        1, prefix, f"to {prefix}", "", Decimal(0), 1, 1, amount, amount, datetime(2020, 1, 1, tzinfo=UTC), None, blocked
    )


RATES = RateBook.of({1: [rate("10", "0"), rate("420", "0.05"), rate("4209", "9", blocked=True), rate("44", "0.1")]})
ROUTES = RouteBook(
    [CARRIER, SECOND],
    [Route(SECOND, "420", 2), Route(CARRIER, "420", 1, strip=3, prepend="00420"), Route(CARRIER, "112", 1)],
)


def plan(
    caller: Party | None, callee: Party | None, dialled: str, source: Caller = PHONE, trace: Trace | None = None
) -> Plan | Refusal:
    """Decide about a call."""
    parties = Parties(caller, callee, ())
    return plan_call(
        parties, dialled, source, DialPlan(RATES, ROUTES, ("112",)), NOW, Trace() if trace is None else trace
    )


def test_an_account_calls_another_at_the_callers_rate() -> None:
    decided = plan(ALICE, BOB, "102")
    assert isinstance(decided, Plan)
    assert (decided.payer, decided.callee, decided.direction) == (ALICE, BOB, "internal")
    assert decided.rate is not None
    assert decided.rate.is_free


def test_an_outside_number_takes_the_routes_of_its_prefix_in_order() -> None:
    decided = plan(ALICE, None, "420123")
    assert isinstance(decided, Plan)
    assert [route.gateway.name for route in decided.routes] == ["carrier", "second"]
    assert decided.routes[0].number("420123") == "00420123"


def test_a_call_from_a_carrier_costs_the_callee_nothing() -> None:
    decided = plan(None, BOB, "102", OUTSIDE)
    assert isinstance(decided, Plan)
    assert (decided.payer, decided.rate, decided.direction) == (BOB, None, "incoming")


@pytest.mark.parametrize(
    ("caller", "callee", "dialled", "source", "status"),
    [
        (replace(ALICE, refusal="account blocked"), BOB, "102", PHONE, 403),
        (ALICE, replace(BOB, refusal="account blocked"), "102", PHONE, 480),
        (ALICE, None, "777", PHONE, 404),
        (ALICE, None, "4209000", PHONE, 403),
        (replace(ALICE, tariff_id=None), BOB, "102", PHONE, 403),
        (ALICE, replace(BOB, number="333"), "44", PHONE, 403),
        (None, None, "420123", OUTSIDE, 404),
        (replace(ALICE, may_call=False, via="ani"), None, "420123", OUTSIDE, 404),
    ],
)
def test_refusals(caller: Party | None, callee: Party | None, dialled: str, source: Caller, status: int) -> None:
    trace = Trace()
    decided = plan(caller, callee, dialled, source, trace)
    assert isinstance(decided, Refusal)
    assert decided.status == status
    assert decided.text
    assert len(trace) > 0


def test_an_emergency_call_needs_neither_rate_nor_funds() -> None:
    decided = plan(replace(ALICE, tariff_id=None, available=Decimal(0)), None, "112")
    assert isinstance(decided, Plan)
    assert decided.rate is None


def test_nobody_forwards_to_an_emergency_number() -> None:
    forwarded = Caller("101", "", None, Forwarding("102", "always"))
    decided = plan(BOB, None, "112", forwarded)
    assert isinstance(decided, Refusal)
    assert decided.status == 403


def test_a_forwarded_call_is_the_forwarders() -> None:
    decided = plan(BOB, None, "420123", Caller("42075553333", "", None, Forwarding("102", "mobile")))
    assert isinstance(decided, Plan)
    assert (decided.payer, decided.direction) == (BOB, "forwarded")
    to_account = plan(BOB, ALICE, "101", Caller("42075553333", "", None, Forwarding("102", "mobile")))
    assert isinstance(to_account, Plan)
    assert (to_account.payer, to_account.callee, to_account.direction) == (BOB, ALICE, "forwarded")


def test_digits_at_a_strange_host_are_priced_by_the_rate_for_everything_alone() -> None:
    decided = plan(BOB, None, "420123@example.org", Caller("1", "", None, Forwarding("102", "office")))
    assert isinstance(decided, Refusal)
    assert decided.status == 403


@pytest.mark.parametrize(
    ("dialled", "expected"),
    [
        ("*98", Application("voicemail-access")),
        ("*99", Application("menu", params=(("name", "day"),))),
        ("*72", Application("feature", params=(("code", "*72"),))),
        ("*72420600", Application("feature", params=(("code", "*72"), ("argument", "420600")))),
        ("*21*420600#", Application("feature", params=(("code", "*21*"), ("argument", "420600")))),
        ("*9", None),
    ],
)
def test_what_is_dialled_for_applications(dialled: str, expected: Application | None) -> None:
    found = Applications({"*98": "voicemail", "*99": "menu:day"}, ("*7", "*72", "*21*"), is_served=True).find(dialled)
    assert found == expected
    assert Applications({"*98": "voicemail"}).find("*98") is None


@pytest.mark.parametrize(
    ("user", "number"),
    [("+420 123-456", "420123456"), ("(420)123.456", "420123456"), ("*98", "*98"), ("bob.smith", "bob.smith")],
)
def test_numbers_lose_what_only_people_need(user: str, number: str) -> None:
    assert dialled_number(user) == number
