# SPDX-License-Identifier: Apache-2.0
"""Balances, told by account type in both languages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.selfcare import Quote
from ivr.apps.selfcare.balance import balance
from ivr.apps.selfcare.desk import Desk
from ivr.apps.selfcare.settings import CardSettings
from ivr.apps.selfcare.telling import tell_balance, tell_time
from ivr.say import grammar
from ivr.scripted.scripted import ScriptedCaller
from tests.ivr.selfcare_memory import MemorySelfCare, debit

if TYPE_CHECKING:
    from billing_client.selfcare import AccountStatus
    from ivr.verbs import Playable

BOTH = pytest.mark.parametrize("language", ["en", "cs"])


def credit(owed: str, available: str, limit: str = "20", **changes: Any) -> AccountStatus:
    kind = changes.pop("kind", "credit")
    return debit(kind=kind, balance=owed, available=Decimal(available), credit_limit=Decimal(limit), **changes)


def hears(status: AccountStatus, language: str, *told: Playable) -> None:
    selfcare = MemorySelfCare({"101": status})
    caller = ScriptedCaller("101", account="101", target="101", language=language).dials("*123")
    caller.is_answered().hears(*told, "goodbye").is_hung_up_on().run(partial(balance, desk=desk_of(selfcare)))


def desk_of(selfcare: MemorySelfCare) -> Desk:
    return Desk(selfcare=selfcare, vouchers=None)


@BOTH
def test_a_debit_account_hears_what_is_left(language: str) -> None:
    hears(debit(balance="12.345"), language, "balance-is", grammar(language).money(Decimal("12.34"), "USD"))


@BOTH
def test_a_credit_account_hears_what_it_owes_what_it_may_spend_and_its_limit(language: str) -> None:
    money = grammar(language).money
    hears(
        credit("3.50", "16.50"),
        language,
        *("owed-is", money(Decimal("3.50"), "USD"), "available-is", money(Decimal("16.50"), "USD")),
        *("credit-limit-is", money(Decimal(20), "USD")),
    )


@BOTH
def test_a_secured_credit_account_hears_of_its_deposit_and_of_no_limit(language: str) -> None:
    money = grammar(language).money
    told = ("deposit-is", money(Decimal(7), "USD"), "available-is", money(Decimal(7), "USD"))
    hears(credit("-7", "7", "0"), language, *told)


@BOTH
def test_a_subordinate_account_hears_its_customers_funds(language: str) -> None:
    money = grammar(language).money
    told = ("owes-nothing", "available-is", money(Decimal(20), "USD"), "credit-limit-is", money(Decimal(20), "USD"))
    hears(credit("0", "20", kind="subordinate"), language, *told)


@BOTH
def test_expiry_is_told_as_a_date_and_in_days_when_few_are_left(language: str) -> None:
    say = grammar(language)
    told: tuple[Playable, ...] = (
        "balance-is",
        say.money(Decimal(10), "USD"),
        "expires-on",
        say.date(date(2027, 6, 30)),
    )
    hears(debit(expires_on=date(2027, 6, 30), days_left=120), language, *told)
    few = ("days-left-are", say.duration(86_400, ("day",)))
    hears(debit(expires_on=date(2027, 6, 30), days_left=1), language, *told, *few)


def test_the_accounts_own_language_is_spoken() -> None:
    hears(debit(language="cs"), "en", "balance-is", grammar("cs").money(Decimal(10), "USD"))


def test_funds_or_balance_of_credit_accounts_is_a_matter_of_settings() -> None:
    status = credit("3", "17")
    assert [part for part in tell_balance(status, "en", "funds") if isinstance(part, str)] == ["available-is"]
    assert [part for part in tell_balance(status, "en", "balance") if isinstance(part, str)] == ["owed-is"]


@pytest.mark.parametrize(
    ("seconds", "settings", "units"),
    [
        (50, {}, ("second",)),
        (50, {"announce_seconds": False}, ("second",)),
        (90, {}, ("minute", "second")),
        (90, {"announce_seconds": False}, ("minute",)),
        (3700, {}, ("hour", "minute")),
        (3700, {"announce_hours": False}, ("minute",)),
    ],
)
def test_time_is_told_in_minutes_from_a_minute_on_where_seconds_are_not_wanted(
    seconds: int, settings: dict[str, bool], units: tuple[Any, ...]
) -> None:
    told = tell_time(Quote("ok", seconds), "en", CardSettings(max_call_seconds=0, **settings))  # type: ignore[arg-type]
    assert told == ["card-you-have", grammar("en").duration(seconds, units), "card-for-this-call"]


def test_a_stranger_gives_number_and_pin() -> None:
    selfcare = MemorySelfCare()
    selfcare.add(debit(), pin="4829")
    script = ScriptedCaller("42075553333").dials("*123").hears("card-enter-account").presses("101#")
    script.hears("card-enter-pin").presses("4829#").hears("balance-is", ...).run(
        partial(balance, desk=desk_of(selfcare))
    )


def test_a_store_that_is_away_is_told_of() -> None:
    selfcare = MemorySelfCare(is_away=True)
    script = ScriptedCaller("101", account="101", target="101").hears("service-unavailable").is_hung_up_on()
    script.run(partial(balance, desk=desk_of(selfcare)))
