# SPDX-License-Identifier: Apache-2.0
"""Which carriers a call goes to, in which order: by their order or by what they cost, none below the margin. Pure.

What a carrier costs is the rate of its gateway's cost tariff, with increments of its own. Carriers are compared by a
call of one minute. What the payer's tariff says (`routing`, `least_margin`) counts for all accounts whose product has
it.

With many carriers that takes a millisecond; so what was chosen is kept with the tariffs that it was chosen by, for
numbers that begin alike, and holds for a minute: a cost rate that comes into force moves calls so late.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from billing_client.rules.books import prefixed
from billing_client.rules.rating import cost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing_client.rules.books import Rate, RateBook, Route, TariffTable
    from switch.trace.trace import Trace

__all__ = ["COMPARED_SECONDS", "chosen", "minute"]

COMPARED_SECONDS: Final = 60
_UNKNOWN: Final = Decimal("Infinity")
_HOLDS_SECONDS: Final = 60.0
_MOST_KEPT: Final = 20_000
_MOST_TOLD: Final = 10
"""Carriers of which a call's trace tells."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """What was chosen."""

    at: datetime
    asked: tuple[Route, ...]
    """Kept, so that nothing else gets their identities."""
    taken: tuple[Route, ...]
    said: str


def minute(rate: Rate) -> Decimal:
    """What a call of one minute comes to."""
    return cost(rate, COMPARED_SECONDS)


def chosen(
    routes: Sequence[Route], sale: Rate, tariff_id: int, rates: RateBook, dialled: str, at: datetime, trace: Trace
) -> tuple[Route, ...]:
    """The routes of a call to be asked, in order, each with what it costs; `sale` is what the payer pays."""
    policy = rates.tariffs.get(tariff_id)
    if policy is None or not (
        policy.routing == "cost"
        or policy.least_margin is not None
        or any(route.gateway.cost_tariff_id is not None for route in routes)
    ):
        return tuple(routes)
    key = (tariff_id, sale.rate_id, prefixed(dialled)[: rates.longest], *map(id, routes))
    found = rates.choices.get(key)
    if not isinstance(found, _Choice) or abs((at - found.at).total_seconds()) >= _HOLDS_SECONDS:
        if len(rates.choices) >= _MOST_KEPT:
            rates.choices.clear()
        found = rates.choices[key] = _choose(tuple(routes), sale, policy, rates, dialled, at)
    if found.said:
        trace.add("route", "{said}", said=found.said)
    return found.taken


def _choose(
    routes: tuple[Route, ...], sale: Rate, policy: TariffTable, rates: RateBook, dialled: str, at: datetime
) -> _Choice:
    price = minute(sale)
    kept: list[tuple[Decimal, int, Route]] = []
    refused: list[str] = []
    for route in routes:
        costed = _costed(route, rates, dialled, at)
        paid = _UNKNOWN if costed.cost is None else minute(costed.cost)
        why = _refusal(costed, policy, price, paid, rates)
        if why is None:
            kept.append((paid, route.order, costed))
        else:
            refused.append(f"{route.gateway.name} is not taken: {why}")
    if policy.routing == "cost":
        kept.sort(key=lambda one: one[:2])
    said = [_told(route, paid, price, policy, rates) for paid, _, route in kept if route.cost is not None]
    said += refused
    more = [f"{len(said) - _MOST_TOLD} more"] if len(said) > _MOST_TOLD else []
    return _Choice(at, routes, tuple(route for _, _, route in kept), "; ".join([*said[:_MOST_TOLD], *more]))


def _costed(route: Route, rates: RateBook, dialled: str, at: datetime) -> Route:
    tariff_id = route.gateway.cost_tariff_id
    rate = None if tariff_id is None else rates.rate_for(tariff_id, dialled, at)
    return route if rate is None else replace(route, cost=rate)


def _refusal(route: Route, policy: TariffTable, price: Decimal, paid: Decimal, rates: RateBook) -> str | None:
    """Why a carrier is not taken; None: it is."""
    least, rate, tariff_id = policy.least_margin, route.cost, route.gateway.cost_tariff_id
    if rate is not None and rate.blocked:
        return "its tariff blocks the number"
    if least is None:
        return None
    if rate is None or tariff_id is None:
        return "what it costs is not known, and a margin is wanted"
    currency = rates.currency(tariff_id)
    if currency != policy.currency:
        return f"it costs {currency}, which is not compared with {policy.currency}, and a margin is wanted"
    if price - paid < least:
        return f"a minute leaves {price - paid} {currency}, less than {least}"
    return None


def _told(route: Route, paid: Decimal, price: Decimal, policy: TariffTable, rates: RateBook) -> str:
    rate, tariff_id = route.cost, route.gateway.cost_tariff_id
    currency = None if tariff_id is None else rates.currency(tariff_id)
    prefix = "(any)" if rate is None or not rate.prefix else rate.prefix
    leaves = f" and leaves {price - paid}" if currency == policy.currency else ""
    return f"a minute by {route.gateway.name} costs {paid} {currency} (prefix {prefix}){leaves}"
