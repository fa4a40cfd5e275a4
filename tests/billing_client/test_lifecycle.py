# SPDX-License-Identifier: Apache-2.0
"""The life cycle of accounts as pure code: the examples that it was specified by, and its laws over all time zones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_client.rules.lifecycle import MOVES, LifeTerms, expiry, next_state, refusal, status

ZONES = sorted(available_timezones() - {"localtime"})
SOON = timedelta(seconds=1)


def at(zone: str, *when: int) -> datetime:
    """An instant by the clock of a zone."""
    return datetime(*when, tzinfo=ZoneInfo(zone)).astimezone(UTC)  # type: ignore[arg-type,misc]


def is_usable(terms: LifeTerms, *when: int, zone: str = "UTC") -> bool:
    """Whether services can be used then."""
    return refusal(terms, at(zone, *when)) is None


def test_an_account_without_an_expiration_date_never_expires() -> None:
    """The specification: "setting the expiration date is optional, so you may create accounts that have no
    expiration date" """
    terms = LifeTerms(first_used_at=at("UTC", 2020, 1, 1), last_used_at=at("UTC", 2020, 1, 1))
    assert expiry(terms) is None
    assert is_usable(terms, 2999, 1, 1)
    assert LifeTerms.parse(None) is None
    assert refusal(None, at("UTC", 2999, 1, 1)) is None


def test_cards_printed_in_november_are_activated_on_a_day_in_december() -> None:
    """The specification: "you print Christmas promotion cards in November, but set the activation date for
    December 23rd so that it can't be used earlier" """
    cards = LifeTerms(activation_date=date(2026, 12, 23))
    assert refusal(cards, at("UTC", 2026, 11, 15)) == "account not yet active: it is from 2026-12-23"
    assert status(cards, at("UTC", 2026, 12, 22, 23, 59)) == "not yet active"
    assert is_usable(cards, 2026, 12, 23)
    assert status(cards, at("UTC", 2026, 12, 23)) == "active"


def test_the_day_of_activation_begins_in_the_customers_billing_time_zone() -> None:
    """The specification: "if you are in Sydney and your customer is in New York, the Christmas promotion cards
    you have created will be activated on December 23rd New York time" """
    cards = LifeTerms(activation_date=date(2026, 12, 23), timezone="America/New_York")
    assert not is_usable(cards, 2026, 12, 23, 0, 0, zone="Australia/Sydney")
    assert not is_usable(cards, 2026, 12, 22, 23, 59, 59, zone="America/New_York")
    assert is_usable(cards, 2026, 12, 23, 0, 0, zone="America/New_York")
    assert at("America/New_York", 2026, 12, 23) == at("Australia/Sydney", 2026, 12, 23, 16)


def test_the_day_of_expiration_is_the_first_without_service() -> None:
    """The specification: "the administrator sets March 20th as the expiration day, so the end user can use the
    services until 23:59 on March 19th. After that, the account expires." """
    terms = LifeTerms(expiry_date=date(2027, 3, 20), timezone="Europe/Prague")
    assert is_usable(terms, 2027, 3, 19, 23, 59, 59, zone="Europe/Prague")
    assert refusal(terms, at("Europe/Prague", 2027, 3, 20)) == "account expired on 2027-03-20: its expiry date"
    assert status(terms, at("Europe/Prague", 2027, 3, 20)) == "expired"


CALLED = {"first_used_at": at("Europe/Prague", 2027, 3, 1, 11), "last_used_at": at("Europe/Prague", 2027, 3, 25, 9)}


def test_days_after_the_first_usage_end_however_often_it_is_used() -> None:
    """The specification: "the period for using the calling card service is defined as 25 days. An end user makes
    the first call on the 1st of March at 11:00 and uses the calling card daily. Therefore, the 26th of March
    23:59 is the last time when the end user can use this calling card, and on the 27th of March, the card
    expires." """
    card = LifeTerms(after_first_use_days=25, timezone="Europe/Prague", **CALLED)  # type: ignore[arg-type]
    assert is_usable(card, 2027, 3, 26, 23, 59, 59, zone="Europe/Prague")
    assert (
        refusal(card, at("Europe/Prague", 2027, 3, 27)) == "account expired on 2027-03-27: 25 days after its first use"
    )


def test_a_card_that_was_never_used_does_not_expire_by_its_usage() -> None:
    """The specification: "the number of days that the services will be available after the first usage" """
    assert expiry(LifeTerms(after_first_use_days=25, after_last_use_days=25)) is None


def test_days_after_the_last_usage_begin_with_every_use() -> None:
    """The specification: "this period equals 25 days. The end user makes their first call on the 21st of
    February. They also make calls for the last time on the 1st of March at 11:00. Therefore, the 26th of March
    23:59 is the last time when the end user can use this calling card, and on the 27th of March, the card
    expires." """
    card = LifeTerms(
        after_last_use_days=25,
        first_used_at=at("UTC", 2027, 2, 21, 8),
        last_used_at=at("UTC", 2027, 3, 1, 11),
    )
    assert is_usable(card, 2027, 3, 26, 23, 59, 59)
    assert refusal(card, at("UTC", 2027, 3, 27)) == "account expired on 2027-03-27: 25 days after its last use"


@pytest.mark.parametrize(
    ("terms", "day", "reason"),
    [
        ({"expiry_date": date(2027, 3, 20)}, date(2027, 3, 20), "its expiry date"),
        ({"after_first_use_days": 5}, date(2027, 3, 7), "5 days after its first use"),
        ({"after_last_use_days": 1}, date(2027, 3, 27), "1 day after its last use"),
        (
            {"expiry_date": date(2027, 3, 20), "after_first_use_days": 5, "after_last_use_days": 1},
            date(2027, 3, 7),
            "5 days after its first use",
        ),
        (
            {"expiry_date": date(2027, 3, 20), "after_first_use_days": 90, "after_last_use_days": 1},
            date(2027, 3, 20),
            "its expiry date",
        ),
        (
            {"expiry_date": date(2027, 5, 1), "after_first_use_days": 90, "after_last_use_days": 1},
            date(2027, 3, 27),
            "1 day after its last use",
        ),
    ],
)
def test_the_term_that_ends_first_counts(terms: dict[str, Any], day: date, reason: str) -> None:
    """The specification: "either select one or combine several expiration options. They have equal priority: an
    account expires according to which event occurs first." """
    end = expiry(LifeTerms(**CALLED, **terms))  # type: ignore[arg-type]
    assert end is not None
    assert (end.day, end.reason) == (day, reason)


def test_a_longer_period_revives_an_account_that_has_expired() -> None:
    """The specification: "the account expired 10 days after the last usage. If you need to activate it, set "20"
    value for the Account availability after the last usage option to prolong the account life cycle for 10 more
    days." """
    ten = LifeTerms(after_last_use_days=10, last_used_at=at("UTC", 2027, 3, 1, 11))
    assert not is_usable(ten, 2027, 3, 12)
    twenty = replace(ten, after_last_use_days=20)
    assert is_usable(twenty, 2027, 3, 12)
    before, after = expiry(ten), expiry(twenty)
    assert before is not None
    assert after is not None
    assert after.at - before.at == timedelta(days=10)


def test_a_later_expiry_date_revives_an_account_that_has_expired() -> None:
    """The specification: "you can change the expiration date that was set earlier or extend the existing
    availability period" """
    terms = LifeTerms(expiry_date=date(2027, 3, 20))
    assert not is_usable(terms, 2027, 3, 25)
    assert is_usable(replace(terms, expiry_date=date(2027, 4, 20)), 2027, 3, 25)


def test_a_recharge_starts_the_days_after_the_first_usage_anew() -> None:
    """The specification: "if an account is adjusted to be available for 60 days after the first use, and the
    account's owner recharges the account 57 days after the date of its first use, the service is extended for
    another 60 days" """
    first = at("UTC", 2027, 1, 1, 12)
    terms = LifeTerms(after_first_use_days=60, first_used_at=first, last_used_at=first)
    recharged = replace(terms, renewed_at=first + timedelta(days=57))
    end = expiry(recharged)
    assert end is not None
    assert (end.day, end.reason) == (date(2027, 1, 1) + timedelta(days=57 + 61), "60 days after it was recharged")
    assert expiry(replace(terms, first_used_at=None, renewed_at=first)) is None  # not used yet: the term has not begun


def test_a_recharge_counts_as_a_use_for_the_days_after_the_last_usage() -> None:
    """The specification: "The account recharge works analogically for account expiration after the last
    usage." """
    terms = LifeTerms(after_last_use_days=60, last_used_at=at("UTC", 2027, 1, 1, 12))
    end = expiry(replace(terms, renewed_at=at("UTC", 2027, 2, 1, 12)))
    assert end is not None
    assert (end.day, end.reason) == (date(2027, 4, 3), "60 days after it was recharged")
    used_since = expiry(replace(terms, renewed_at=at("UTC", 2026, 12, 1)))
    assert used_since is not None
    assert used_since.reason == "60 days after its last use"


def test_a_recharge_does_not_move_a_specific_expiry_date() -> None:
    terms = LifeTerms(expiry_date=date(2027, 3, 20), renewed_at=at("UTC", 2027, 3, 19))
    assert not is_usable(terms, 2027, 3, 20)


@pytest.mark.parametrize("state", ["inactive", "blocked", "suspended", "closed"])
def test_no_state_but_active_is_usable(state: str) -> None:
    """The specification: "An account may be created in an inactive state. [...] the service can only be used once
    the account is activated." """
    assert refusal(LifeTerms(state=state), at("UTC", 2027, 1, 1)) == f"account {state}"
    assert status(LifeTerms(state=state), at("UTC", 2027, 1, 1)) == state
    assert refusal(LifeTerms(customer_state=state), at("UTC", 2027, 1, 1)) == f"customer {state}"


def test_what_may_be_done_with_an_account_depends_on_its_state() -> None:
    assert next_state("inactive", "activate") == "active"
    assert next_state("blocked", "unblock") == next_state("suspended", "unblock") == "active"
    assert {next_state("closed", move) for move in MOVES} == {None}
    assert {next_state(state, "close") for state in ("inactive", "active", "blocked", "suspended")} == {"closed"}


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        # The clock goes from 24:00 to 1:00: the day has no midnight.
        ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3, tzinfo=UTC)),
        ("Asia/Beirut", date(2026, 3, 29), datetime(2026, 3, 28, 22, tzinfo=UTC)),
        # It goes from 24:00 back to 23:00: the day before is 25 hours long.
        ("America/Sao_Paulo", date(2018, 2, 18), datetime(2018, 2, 18, 3, tzinfo=UTC)),
        # It goes from 1:00 back to 0:00: there are two midnights, and the day begins with the first.
        ("America/Havana", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC)),
        # It goes from 23:30 to 0:30.
        ("America/Toronto", date(1919, 3, 31), datetime(1919, 3, 31, 4, 30, tzinfo=UTC)),
        # A day that was left out ends when it would have begun.
        ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_its_first_instant_whatever_the_clock_does(zone: str, day: date, begins: datetime) -> None:
    end = expiry(LifeTerms(expiry_date=day, timezone=zone))
    assert end is not None
    assert end.at == begins


def test_a_time_zone_that_this_system_does_not_know_is_utc() -> None:
    for zone in ("Mars/Olympus_Mons", "", "../etc/passwd", "Europe"):
        end = expiry(LifeTerms(expiry_date=date(2027, 3, 20), timezone=zone))
        assert end is not None
        assert end.at == at("UTC", 2027, 3, 20)


INSTANTS = st.integers(15_000, 25_000).flatmap(
    lambda day: st.integers(0, 86_399).map(lambda second: datetime.fromtimestamp(day * 86_400 + second, UTC))
)
DAYS = st.none() | st.integers(1, 400)
TERMS = st.builds(
    LifeTerms,
    activation_date=st.none() | st.dates(date(2012, 1, 1), date(2037, 12, 31)),
    expiry_date=st.none() | st.dates(date(2012, 1, 1), date(2037, 12, 31)),
    after_first_use_days=DAYS,
    after_last_use_days=DAYS,
    first_used_at=st.none() | INSTANTS,
    last_used_at=st.none() | INSTANTS,
    renewed_at=st.none() | INSTANTS,
    timezone=st.sampled_from(ZONES),
)


@settings(max_examples=300)
@given(terms=TERMS)
def test_it_expires_at_one_instant_at_which_a_day_begins(terms: LifeTerms) -> None:
    """Usable to the last second of the day before, never again after it; the reason names the day."""
    end = expiry(replace(terms, activation_date=None))
    if end is None:
        return
    zone, alive = ZoneInfo(terms.timezone), replace(terms, activation_date=None)
    assert (end.at - SOON).astimezone(zone).date() < end.day <= end.at.astimezone(zone).date()
    assert refusal(alive, end.at - SOON) is None
    for later in (timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(days=4000)):
        assert refusal(alive, end.at + later) == f"account expired on {end.day}: {end.reason}"


@settings(max_examples=300)
@given(terms=TERMS, days=st.integers(1, 100), now=INSTANTS)
def test_a_use_or_a_longer_term_never_shortens_a_life(terms: LifeTerms, days: int, now: datetime) -> None:
    end = expiry(terms)
    used = replace(terms, first_used_at=terms.first_used_at or now, last_used_at=max(terms.last_used_at or now, now))
    longer = replace(
        used,
        after_first_use_days=used.after_first_use_days and used.after_first_use_days + days,
        after_last_use_days=used.after_last_use_days and used.after_last_use_days + days,
    )
    renewed = replace(used, renewed_at=max(used.renewed_at or now, now))
    before = expiry(used)
    if before is None:
        assert end is None
        return
    for extended in (expiry(longer), expiry(renewed)):
        assert extended is not None
        assert extended.at >= before.at


@settings(max_examples=200)
@given(use=INSTANTS, days=st.integers(1, 400), zone=st.sampled_from(ZONES))
def test_the_last_day_is_so_many_days_after_the_day_of_the_use(use: datetime, days: int, zone: str) -> None:
    end = expiry(LifeTerms(after_last_use_days=days, last_used_at=use, timezone=zone))
    assert end is not None
    assert (end.day - use.astimezone(ZoneInfo(zone)).date()).days == days + 1
    assert end.at - use > timedelta(days=days) - timedelta(hours=2)
