# SPDX-License-Identifier: Apache-2.0
"""The dial plan: from what the store knows of both ends to who pays, at which rate, and where the call goes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import datetime

    from billing_client.books import RateBook, RouteBook
    from billing_client.types import Direction, Gateway, Parties, Party, Rate, Route
    from switch.call.trace import Trace

__all__ = ["Caller", "Plan", "Refusal", "dialled_number", "nowhere", "plan_call"]

_MATCH: Final = "{destination} by prefix {prefix}, the longest one in force (since {since}): "
_PAID: Final = (
    _MATCH + "{connect_fee} at the answer, {first_price} {currency} a minute for the first {first_increment} s, "
    "then {next_price} by {next_increment} s"
)
_FREE: Final = _MATCH + "free"
_BLOCKED: Final = _MATCH + "blocked"
_SEPARATORS: Final = str.maketrans("", "", "-. ()")


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a call came from, after authentication."""

    number: str
    """What the callee sees (CLI)."""
    display: str
    gateway: Gateway | None
    """The carrier that it came through; None: a phone of ours."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there will be no call."""

    status: int
    cause: int
    """Q.850."""
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A call that may be made."""

    payer: Party
    rate: Rate | None
    """None: free."""
    direction: Direction
    callee: Party | None
    """The account to ring; None: the call leaves by `routes`."""
    routes: tuple[Route, ...]


def dialled_number(user: str) -> str:
    """The number as billing and routing know it: no `+`, no visual separators; names stay as they are."""
    digits = user.translate(_SEPARATORS)
    digits = digits.removeprefix("+")
    return digits if digits.isdigit() else user


def plan_call(
    parties: Parties,
    dialled: str,
    caller: Caller,
    rates: RateBook,
    routes: RouteBook,
    at: datetime,
    emergency: Container[str],
    trace: Trace,
) -> Plan | Refusal:
    """Decide; every step appends its reason to `trace`."""
    account = parties.caller
    if account is None:
        trace.add("account", "caller {number} is no account of ours", number=caller.number)
    else:
        trace.add(
            "account",
            "caller is account {account} of {customer} (by {via}), {kind}, {available} {currency} available",
            account=account.number,
            customer=account.customer_name,
            via=account.via,
            kind=account.kind,
            available=account.available,
            currency=account.currency,
        )
        if account.refusal is not None:
            return Refusal(403, 21, f"caller's {account.refusal}")
    if account is not None and dialled in emergency:
        trace.add("rate", "{dialled} is an emergency number: free, whatever the funds", dialled=dialled)
        found = routes.routes_for(dialled)
        return Plan(account, None, "outgoing", None, found) if found else Refusal(404, 3, "no route")
    if parties.callee is not None:
        return _to_account(parties.callee, account, dialled, caller, rates, at, trace)
    return _to_outside(account, dialled, rates, routes, at, trace)


def nowhere(plan: Plan) -> Refusal:
    """There is nothing to ring."""
    return Refusal(480, 20, f"{plan.callee.number} is not registered" if plan.callee else "No route")


def _to_account(
    callee: Party,
    account: Party | None,
    dialled: str,
    caller: Caller,
    rates: RateBook,
    at: datetime,
    trace: Trace,
) -> Plan | Refusal:
    trace.add(
        "callee", "{dialled} is account {account} (by {via})", dialled=dialled, account=callee.number, via=callee.via
    )
    if callee.refusal is not None:
        return Refusal(480, 20, f"callee's {callee.refusal}")
    if account is None or caller.gateway is not None:
        trace.add("rate", "a call from a carrier costs the callee nothing")
        return Plan(callee, None, "incoming", callee, ())
    rate = _rate(account, dialled, rates, at, trace)
    return rate if isinstance(rate, Refusal) else Plan(account, rate, "internal", callee, ())


def _to_outside(
    account: Party | None, dialled: str, rates: RateBook, routes: RouteBook, at: datetime, trace: Trace
) -> Plan | Refusal:
    trace.add("callee", "{dialled} is no account of ours", dialled=dialled)
    if account is None or not account.may_call:
        return Refusal(404, 1, f"{dialled} is nobody of ours, and the caller may not call out")
    found = routes.routes_for(dialled)
    if not found:
        return Refusal(404, 1, f"{dialled} is nobody of ours, and no gateway serves it")
    for route in found:
        trace.add(
            "route",
            "{gateway} serves {prefix}, order {order}: as {number}",
            gateway=route.gateway.name,
            prefix=route.prefix or "everything",
            order=route.order,
            number=route.number(dialled),
        )
    rate = _rate(account, dialled, rates, at, trace)
    return rate if isinstance(rate, Refusal) else Plan(account, rate, "outgoing", None, found)


def _rate(account: Party, dialled: str, rates: RateBook, at: datetime, trace: Trace) -> Rate | Refusal:
    rate = None if account.tariff_id is None else rates.rate_for(account.tariff_id, dialled, at)
    if rate is None:
        return Refusal(403, 21, f"the tariff of {account.number} has no rate for {dialled}")
    trace.add(
        "rate",
        _BLOCKED if rate.blocked else _FREE if rate.is_free else _PAID,
        destination=rate.destination or "elsewhere",
        prefix=rate.prefix or "(any)",
        since=rate.effective_from.date(),
        connect_fee=rate.connect_fee,
        first_price=rate.first_price,
        first_increment=rate.first_increment,
        next_price=rate.next_price,
        next_increment=rate.next_increment,
        currency=account.currency,
    )
    return Refusal(403, 21, f"calls to {rate.destination} are blocked") if rate.blocked else rate
