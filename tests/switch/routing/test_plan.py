# SPDX-License-Identifier: Apache-2.0
"""The dial plan: who may call whom, who pays, which way; no store, no network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing_client.parties import Parties, Party
from billing_client.rules.books import Gateway, Rate, Route
from billing_client.rules.dialling import Dialled
from billing_client.rules.rating import RateBook, RouteBook
from switch.routing.caller import Caller, Forwarding
from switch.routing.plan import Application, Applications, DialPlan, Plan, Refusal, dialled_number, plan_call
from switch.trace.trace import Trace

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ALICE = Party(1, "101", "101", "Alice", 1, "Firm", "debit", None, 1, 1, "USD", Decimal(10), "pw", "account", True)
ALICE = replace(ALICE, inside_id=1)
BOB = replace(ALICE, account_id=2, number="102", name="102", balance_id=2)
CAROL = replace(BOB, account_id=3, number="42077555", customer_id=2, customer_name="Other firm")
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
        (replace(ALICE, inside_id=3), BOB, "102", PHONE, 403),
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


def test_two_lines_of_one_company_do_not_pay_the_price_of_a_call_to_the_usa_for_calling_each_other() -> None:
    usa = DialPlan(RateBook.of({1: [rate("1", "0.5")]}), ROUTES)
    account = replace(ALICE, inside_id=None)
    decided = plan_call(Parties(account, BOB, ()), "102", PHONE, usa, NOW, Trace())
    assert isinstance(decided, Plan)
    assert (decided.payer, decided.rate, decided.direction) == (account, None, "internal")


def test_a_call_to_another_company_is_priced_by_its_own_tariff_for_that() -> None:
    rates = RateBook.of({1: [rate("", "9"), rate("42", "9")], 2: [rate("42", "0.2"), rate("", "0.3")]})
    account = replace(ALICE, between_id=2)
    for callee, price in ((CAROL, "0.2"), (replace(CAROL, number="desk"), "0.3")):
        decided = plan_call(Parties(account, callee, ()), "777", PHONE, DialPlan(rates, ROUTES), NOW, Trace())
        assert isinstance(decided, Plan)
        assert decided.rate is not None
        assert decided.rate.next_price == Decimal(price)


@pytest.mark.parametrize(
    ("number", "dialled", "price"),
    [
        ("42077555", "desk", "0.05"),  # its public number counts, whatever was dialled
        ("12001", "42077555", "0.05"),  # where it has none itself, that which was dialled
        ("12001", "12001", "0.7"),  # other digits are no beginning of a country
        ("desk", "desk", "0.7"),
    ],
)
def test_without_such_a_tariff_another_company_costs_what_its_public_number_costs(
    number: str, dialled: str, price: str
) -> None:
    rates = RateBook.of({1: [rate("", "0.7"), rate("1", "0.5"), rate("420", "0.05")]})
    callee = replace(CAROL, number=number)
    decided = plan_call(Parties(ALICE, callee, ()), dialled, PHONE, DialPlan(rates, ROUTES), NOW, Trace())
    assert isinstance(decided, Plan)
    assert decided.rate is not None
    assert decided.rate.next_price == Decimal(price)


def test_a_short_number_goes_by_what_is_said_of_it_alone_and_never_by_the_prefix_of_a_country() -> None:
    rates = RateBook.of({1: [rate("1", "0.5"), rate("1188", "2")]})
    usa, here = Route(CARRIER, "1", 1), Route(SECOND, "1188", 1)
    short = Parties(ALICE, None, (), dialled=Dialled("1188", "1188", least=4))
    decided = plan_call(short, "1188", PHONE, DialPlan(rates, RouteBook([CARRIER, SECOND], [usa, here])), NOW, Trace())
    assert isinstance(decided, Plan)
    assert [route.gateway.name for route in decided.routes] == ["second"]
    assert decided.rate is not None
    assert decided.rate.next_price == 2
    other = Parties(ALICE, None, (), dialled=Dialled("1189", "1189", least=4))
    refused = plan_call(other, "1189", PHONE, DialPlan(rates, RouteBook([CARRIER], [usa])), NOW, Trace())
    assert isinstance(refused, Refusal)
