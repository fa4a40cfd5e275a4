# SPDX-License-Identifier: Apache-2.0
"""Balance, limit and expiry in words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ivr.say import grammar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from billing_client.selfcare import AccountStatus, Quote
    from ivr.apps.selfcare.settings import BalanceMode, CardSettings
    from ivr.say.common import Unit
    from ivr.verbs import Playable

__all__ = ["tell_balance", "tell_expiry", "tell_limit", "tell_price", "tell_time"]

FEW_DAYS: Final = 30
"""So many days or fewer are told beside the date."""
HOUR: Final = 3600
MINUTE: Final = 60


def tell_balance(
    status: AccountStatus, language: str, mode: BalanceMode = "both", *, new: bool = False
) -> list[Playable]:
    """What is left of a debit account; what is owed by a credit account and what it may still spend, as `mode` has it.

    `new`: it has just changed.
    """
    money = grammar(language).money
    if status.kind == "debit":
        return ["new-balance-is" if new else "balance-is", money(status.available, status.currency)]
    found: list[Playable] = []
    if mode != "funds":
        if status.balance < 0:
            found += ["deposit-is", money(-status.balance, status.currency)]
        elif status.balance == 0:
            found.append("owes-nothing")
        else:
            found += ["owed-is", money(status.balance, status.currency)]
    if mode != "balance":
        found += ["available-is", money(status.available, status.currency)]
    return found


def tell_limit(status: AccountStatus, language: str) -> list[Playable]:
    """The limit of a credit account; nothing for one that is secured by a deposit, or a debit account."""
    if not status.credit_limit:
        return []
    return ["credit-limit-is", grammar(language).money(status.credit_limit, status.currency)]


def tell_expiry(expires_on: date | None, days: int | None, language: str) -> list[Playable]:
    """When an account expires, and how many days are left when these are few."""
    if expires_on is None:
        return []
    say = grammar(language)
    found: list[Playable] = ["expires-on", say.date(expires_on)]
    if days is not None and 0 < days <= FEW_DAYS:
        found += ["days-left-are", say.duration(days * 86_400, ("day",))]
    return found


def tell_time(quote: Quote, language: str, settings: CardSettings) -> list[Playable]:
    """The longest time of a call: whole minutes where seconds are not wanted and a minute is reached."""
    limits = [seconds for seconds in (quote.seconds, settings.max_call_seconds or None) if seconds is not None]
    if not limits:
        return ["card-unlimited"]
    seconds = min(limits)
    units: Sequence[Unit] = ("hour", "minute", "second") if settings.announce_hours else ("minute", "second")
    if seconds >= MINUTE and (not settings.announce_seconds or seconds >= HOUR):
        units = units[:-1]
    return ["card-you-have", grammar(language).duration(seconds, units), "card-for-this-call"]


def tell_price(quote: Quote, language: str) -> list[Playable]:
    """What a minute costs."""
    if quote.price is None:
        return []
    return ["card-calling-rate", grammar(language).money(quote.price, quote.currency)]
