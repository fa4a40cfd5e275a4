# SPDX-License-Identifier: Apache-2.0
"""Which carriers a call goes to, in which order: by their order or by what they cost, none below the margin. Pure.

What a carrier costs is the rate of its gateway's cost tariff, with increments of its own. Carriers are compared by a
call of one minute. What the payer's tariff says (`routing`, `least_margin`) counts for all accounts whose product has
it.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from billing_client.rules.rating import cost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing_client.rules.books import Rate, RateBook, Route, TariffTable
    from switch.trace.trace import Trace

__all__ = ["COMPARED_SECONDS", "chosen", "minute"]

COMPARED_SECONDS: Final = 60
_UNKNOWN: Final = Decimal("Infinity")


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
    price, kept = minute(sale), []
    for route in routes:
        costed = _costed(route, rates, dialled, at)
        why = _refusal(costed, policy, price, rates)
        if why is None:
            kept.append(costed)
        else:
            trace.add("route", "{gateway} is not taken: {why}", gateway=route.gateway.name, why=why)
    if policy.routing == "cost":
        kept.sort(key=_by_cost)
    for route in kept:
        _note(route, policy, price, rates, trace)
    return tuple(kept)


def _costed(route: Route, rates: RateBook, dialled: str, at: datetime) -> Route:
    tariff_id = route.gateway.cost_tariff_id
    rate = None if tariff_id is None else rates.rate_for(tariff_id, dialled, at)
    return route if rate is None else replace(route, cost=rate)


def _by_cost(route: Route) -> tuple[Decimal, int]:
    return (_UNKNOWN if route.cost is None else minute(route.cost)), route.order


def _refusal(route: Route, policy: TariffTable, price: Decimal, rates: RateBook) -> str | None:
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
    margin = price - minute(rate)
    if margin < least:
        return f"a minute leaves {margin} {currency}, less than {least}"
    return None


def _note(route: Route, policy: TariffTable, price: Decimal, rates: RateBook, trace: Trace) -> None:
    tariff_id, rate = route.gateway.cost_tariff_id, route.cost
    if rate is None or tariff_id is None:
        return
    currency = rates.currency(tariff_id)
    text = "a minute by {gateway} costs {cost} {currency} (prefix {prefix})"
    text += " and leaves {margin}" if currency == policy.currency else ""
    trace.add(
        "route",
        text,
        gateway=route.gateway.name,
        cost=minute(rate),
        currency=currency,
        prefix=rate.prefix or "(any)",
        margin=price - minute(rate),
    )
