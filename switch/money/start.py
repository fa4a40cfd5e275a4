# SPDX-License-Identifier: Apache-2.0
"""What the store is asked before a call may leave, and what its answer means to the caller.

A live call asks the store itself; an explanation asks in a transaction that is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from billing_client.calls import CallStart
from switch.money.credit import Credit
from switch.routing.plan import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container
    from datetime import datetime

    from billing_client.calls import Grant
    from billing_client.parties import Party
    from switch.routing.caller import Caller
    from switch.routing.plan import Plan
    from switch.settings import CreditSettings
    from switch.trace.trace import Trace

__all__ = ["Asked", "Registered", "authorise"]

_REFUSALS: Final = {
    "funds": Refusal(402, 21, "refused: the funds do not pay for the first increment", "ann-no-funds"),
    "concurrency": Refusal(486, 17, "refused: as many calls as there may be run already", "ann-too-many-calls"),
    "cap": Refusal(402, 21, "refused: the call would cost more than a call may", "ann-no-funds"),
    "spending": Refusal(402, 21, "refused: the customer's spending is at its limit", "ann-no-funds"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that is asked for."""

    call_id: str
    dialled: str
    started_at: datetime
    sip_call_id: str = ""
    beside: str | None = None
    """A call of the payer's that he holds, or gives away by this one."""
    typed: str = ""


@dataclass(frozen=True, slots=True)
class Registered:
    """A call that may leave."""

    credit: Credit
    start: CallStart
    is_told: bool
    """Whether the store has it; else it costs nothing, and the store hears of it later."""


async def authorise(
    plan: Plan,
    payer: Party,
    caller: Caller,
    asked: Asked,
    settings: CreditSettings,
    emergency: Container[str],
    ask: Callable[[CallStart], Awaitable[Grant | None]],
    trace: Trace,
) -> Registered | Refusal:
    """Have a call registered and its first funds locked by `ask` (None: the store is away, and the call is free); or
    say how it ends that the store did not grant. Raises StoreError."""
    credit = Credit(plan.rate, settings, payer.available)
    start = _call_start(plan, payer, caller, credit, asked, emergency)
    grant = await ask(start)
    if grant is None:
        trace.add("funds", "the store is away: the call costs nothing, goes on and is recorded later")
    elif grant.refusal is not None:
        return _REFUSALS.get(grant.refusal) or Refusal(402, 21, f"refused: {grant.refusal}")
    credit.granted(start.want if grant is None else grant.locked)
    _note_grant(trace, credit, payer)
    return Registered(credit, start, is_told=grant is not None)


def _call_start(
    plan: Plan, payer: Party, caller: Caller, credit: Credit, asked: Asked, emergency: Container[str]
) -> CallStart:
    """Registers a planned call and asks for its first funds."""
    forwarding = caller.forwarding if plan.direction == "forwarded" else None
    return CallStart(
        call_id=asked.call_id,
        account_id=payer.account_id,
        balance_id=payer.balance_id,
        caller=caller.number,
        dialled=asked.dialled,
        typed=asked.typed,
        direction=plan.direction,
        started_at=asked.started_at,
        want=credit.first_want,
        minimum=credit.minimum,
        rate=plan.rate,
        destination=plan.rate.destination if plan.rate else "",
        country=plan.rate.country if plan.rate else "",
        sip_call_id=asked.sip_call_id,
        callee_id=plan.callee.account_id if plan.callee and plan.direction in ("internal", "forwarded") else None,
        exempt=asked.dialled in emergency or plan.application is not None,
        forward=forwarding.name if forwarding else None,
        forward_most=forwarding.most if forwarding else 0,
        forwards=forwarding.call_id if forwarding else None,
        transferred_by=payer.number if caller.transfers else None,
        beside=asked.beside,
    )


def _note_grant(trace: Trace, credit: Credit, payer: Party) -> None:
    """Explain the first lock of a call."""
    if credit.paid_seconds is None:
        trace.add("funds", "the call is free: nothing is locked")
        return
    trace.add(
        "funds",
        "locked {locked} of {available} {currency} that account {account} has available, enough for {seconds} s",
        locked=credit.locked,
        available=payer.available,
        currency=payer.currency,
        account=payer.number,
        seconds=credit.paid_seconds,
    )
