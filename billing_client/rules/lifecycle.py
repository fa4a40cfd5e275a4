# SPDX-License-Identifier: Apache-2.0
"""The life cycle of an account: when it may be used, when it expires and why. Pure; `now` is an argument.

Days are those of the customer's billing time zone. A day begins at its first instant: at midnight, or where the clock
jumps over midnight, when it has done so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal, Self, get_args
from zoneinfo import ZoneInfo

__all__ = [
    "LONGEST_DAYS",
    "MOVES",
    "STATES",
    "Expiry",
    "LifeTerms",
    "State",
    "expiry",
    "next_state",
    "refusal",
    "status",
    "zone_of",
]

State = Literal["active", "inactive", "blocked", "suspended", "closed"]
STATES: Final[tuple[State, ...]] = get_args(State)

LONGEST_DAYS: Final = 36_500
"""The most days that a term may have."""

MOVES: Final[dict[str, dict[str, str]]] = {
    "activate": {"inactive": "active"},
    "block": {"active": "blocked", "inactive": "blocked", "suspended": "blocked"},
    "unblock": {"blocked": "active", "suspended": "active"},
    "suspend": {"active": "suspended"},
    "close": {"active": "closed", "inactive": "closed", "blocked": "closed", "suspended": "closed"},
}
"""What may be done with an account: from which state, to which. A closed account stays closed."""


@dataclass(frozen=True, slots=True)
class LifeTerms:
    """Everything that decides whether an account may be used."""

    kind: str = "debit"
    state: str = "active"
    customer_state: str = "active"
    activation_date: date | None = None
    """First day of use."""
    expiry_date: date | None = None
    """First day on which it cannot be used."""
    after_first_use_days: int | None = None
    after_last_use_days: int | None = None
    """So many days after the day of that use it can be used."""
    first_used_at: datetime | None = None
    last_used_at: datetime | None = None
    renewed_at: datetime | None = None
    """When it was last recharged."""
    timezone: str = "UTC"
    """The customer's billing time zone, an IANA name."""

    @classmethod
    def parse(cls, written: str | None) -> Self | None:
        """As the view `account_with_terms` writes them; None: nothing forbids the use of the account, ever."""
        if written is None:
            return None
        kind, state, customer_state, activation, ending, first_days, last_days, first, last, renewed, zone = json.loads(
            written
        )
        return cls(
            kind, state, customer_state, _day(activation), _day(ending), first_days, last_days, _instant(first),
            _instant(last), _instant(renewed), zone,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expiry:
    """The end of an account's life."""

    at: datetime
    """First instant at which it cannot be used, in UTC."""
    day: date
    """The day that begins then, in the billing time zone."""
    reason: str
    """"its expiry date", or "25 days after its last use"."""


def expiry(terms: LifeTerms) -> Expiry | None:
    """When the account expires as things stand, by the term that ends first; None: never."""
    found = [(day, reason) for day, reason in (_by_date(terms), _by_first_use(terms), _by_last_use(terms)) if day]
    if not found:
        return None
    day, reason = min(found, key=lambda end: end[0])
    return Expiry(_beginning(day, zone_of(terms.timezone)), day, reason)


def refusal(terms: LifeTerms | None, now: datetime) -> str | None:
    """Why the account may not be used at `now`, such as "account blocked"; None: it may."""
    if terms is None:
        return None
    if terms.state != "active":
        return f"account {terms.state}"
    if terms.customer_state != "active":
        return f"customer {terms.customer_state}"
    begins = terms.activation_date
    if begins is not None and now < _beginning(begins, zone_of(terms.timezone)):
        return f"account not yet active: it is from {begins}"
    end = expiry(terms)
    if end is not None and now >= end.at:
        return f"account expired on {end.day}: {end.reason}"
    return None


def briefly(reason: str) -> str:
    """A refusal as strangers may hear it, without dates and terms: "account expired"."""
    return reason.partition(":")[0].partition(" on ")[0]


def status(terms: LifeTerms | None, now: datetime) -> str:
    """In a word: its state, and where that is active what the days make of it ("not yet active", "expired")."""
    if terms is None:
        return "active"
    if terms.state != "active":
        return terms.state
    begins = terms.activation_date
    if begins is not None and now < _beginning(begins, zone_of(terms.timezone)):
        return "not yet active"
    end = expiry(terms)
    return "expired" if end is not None and now >= end.at else "active"


def next_state(state: str, move: str) -> str | None:
    """The state after a move ("block", "unblock", ...); None: that cannot be done in this state."""
    return MOVES[move].get(state)


def _by_date(terms: LifeTerms) -> tuple[date | None, str]:
    return terms.expiry_date, "its expiry date"


def _by_first_use(terms: LifeTerms) -> tuple[date | None, str]:
    days, first, renewed = terms.after_first_use_days, terms.first_used_at, terms.renewed_at
    if days is None or first is None:
        return None, ""
    # A recharge starts the term anew; it does not start one that has not begun.
    if renewed is None or renewed < first:
        return _after(first, days, terms.timezone), f"{_days(days)} after its first use"
    return _after(renewed, days, terms.timezone), f"{_days(days)} after it was recharged"


def _by_last_use(terms: LifeTerms) -> tuple[date | None, str]:
    days, last, renewed = terms.after_last_use_days, terms.last_used_at, terms.renewed_at
    if days is None or (last is None and renewed is None):
        return None, ""
    if last is not None and (renewed is None or renewed < last):
        return _after(last, days, terms.timezone), f"{_days(days)} after its last use"
    assert renewed is not None
    return _after(renewed, days, terms.timezone), f"{_days(days)} after it was recharged"


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _after(use: datetime, days: int, timezone: str) -> date:
    """The first day without service: that of the use does not count, and the last of the term is a whole one."""
    return use.astimezone(zone_of(timezone)).date() + timedelta(days=days + 1)


@lru_cache(maxsize=4096)
def _beginning(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day, in UTC."""
    midnight = datetime.combine(day, time(), zone)
    late = midnight.astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return late
    # The clock jumps over midnight: the day begins with the jump, which is between the two ways to read that time.
    early = midnight.replace(fold=1).astimezone(UTC)
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        early, late = (early, middle) if middle.astimezone(zone).date() >= day else (middle, late)
    return late


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """A zone by its name; UTC where this system does not know it (the store may know more)."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _day(written: str | None) -> date | None:
    return None if written is None else date.fromisoformat(written)


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
