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

__all__ = ["Caller", "Plan", "Refusal", "dialled_number", "plan_call"]

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
    trace: list[str],
) -> Plan | Refusal:
    """Decide; every step appends its reason to `trace`."""
    account = parties.caller
    if account is not None:
        trace.append(f"caller is account {account.number} of {account.customer_name} (by {account.via})")
        if account.refusal is not None:
            return _refuse(trace, 403, 21, f"caller's {account.refusal}")
    else:
        trace.append(f"caller {caller.number} is no account of ours")
    if account is not None and dialled in emergency:
        trace.append(f"{dialled} is an emergency number: free, whatever the funds")
        found = routes.routes_for(dialled)
        return Plan(account, None, "outgoing", None, found) if found else _refuse(trace, 404, 3, "no route")
    if parties.callee is not None:
        return _to_account(parties.callee, account, dialled, caller, rates, at, trace)
    return _to_outside(account, dialled, rates, routes, at, trace)


def _to_account(
    callee: Party,
    account: Party | None,
    dialled: str,
    caller: Caller,
    rates: RateBook,
    at: datetime,
    trace: list[str],
) -> Plan | Refusal:
    trace.append(f"{dialled} is account {callee.number} (by {callee.via})")
    if callee.refusal is not None:
        return _refuse(trace, 480, 20, f"callee's {callee.refusal}")
    if account is None or caller.gateway is not None:
        trace.append("a call from a carrier costs the callee nothing")
        return Plan(callee, None, "incoming", callee, ())
    rate = _rate(account, dialled, rates, at, trace)
    return rate if isinstance(rate, Refusal) else Plan(account, rate, "internal", callee, ())


def _to_outside(
    account: Party | None, dialled: str, rates: RateBook, routes: RouteBook, at: datetime, trace: list[str]
) -> Plan | Refusal:
    if account is None or not account.may_call:
        return _refuse(trace, 404, 1, f"{dialled} is nobody of ours, and the caller may not call out")
    found = routes.routes_for(dialled)
    if not found:
        return _refuse(trace, 404, 1, f"{dialled} is nobody of ours, and no gateway serves it")
    trace.append("routes: " + ", ".join(f"{route.gateway.name} ({route.prefix})" for route in found))
    rate = _rate(account, dialled, rates, at, trace)
    return rate if isinstance(rate, Refusal) else Plan(account, rate, "outgoing", None, found)


def _rate(account: Party, dialled: str, rates: RateBook, at: datetime, trace: list[str]) -> Rate | Refusal:
    rate = None if account.tariff_id is None else rates.rate_for(account.tariff_id, dialled, at)
    if rate is None:
        return _refuse(trace, 403, 21, f"the tariff of {account.number} has no rate for {dialled}")
    if rate.blocked:
        return _refuse(trace, 403, 21, f"calls to {rate.destination} ({rate.prefix}) are blocked")
    price = "free" if rate.is_free else f"{rate.next_price} {account.currency} a minute"
    trace.append(f"rate {rate.prefix} {rate.destination}: {price}")
    return rate


def _refuse(trace: list[str], status: int, cause: int, text: str) -> Refusal:
    trace.append(text)
    return Refusal(status, cause, text)
