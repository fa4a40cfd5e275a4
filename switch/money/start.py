# SPDX-License-Identifier: Apache-2.0
"""What the store is asked before a call may leave, and what its refusals mean to the caller. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing_client.types import CallStart
from switch.routing.plan import Refusal

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import datetime

    from billing_client.types import Grant, Party
    from switch.money.credit import Credit
    from switch.routing.plan import Caller, Plan

__all__ = ["call_start", "refused"]

_REFUSALS: Final = {
    "funds": Refusal(402, 21, "refused: the funds do not pay for the first increment", "ann-no-funds"),
    "concurrency": Refusal(486, 17, "refused: as many calls as there may be run already", "ann-too-many-calls"),
    "cap": Refusal(402, 21, "refused: the call would cost more than a call may", "ann-no-funds"),
    "spending": Refusal(402, 21, "refused: the customer's spending is at its limit", "ann-no-funds"),
}


def call_start(
    plan: Plan,
    payer: Party,
    caller: Caller,
    credit: Credit,
    *,
    call_id: str,
    dialled: str,
    started_at: datetime,
    emergency: Container[str],
    sip_call_id: str = "",
) -> CallStart:
    """Registers a planned call and asks for its first funds."""
    forwarding = caller.forwarding if plan.direction == "forwarded" else None
    return CallStart(
        call_id=call_id,
        account_id=payer.account_id,
        balance_id=payer.balance_id,
        caller=caller.number,
        dialled=dialled,
        direction=plan.direction,
        started_at=started_at,
        want=credit.first_want,
        minimum=credit.minimum,
        rate=plan.rate,
        destination=plan.rate.destination if plan.rate else "",
        country=plan.rate.country if plan.rate else "",
        sip_call_id=sip_call_id,
        callee_id=plan.callee.account_id if plan.callee and plan.direction in ("internal", "forwarded") else None,
        exempt=dialled in emergency or plan.application is not None,
        forward=forwarding.name if forwarding else None,
        forward_most=forwarding.most if forwarding else 0,
        forwards=forwarding.call_id if forwarding else None,
    )


def refused(grant: Grant) -> Refusal | None:
    """How a call ends that the store did not grant; None: it did."""
    if grant.refusal is None:
        return None
    return _REFUSALS.get(grant.refusal) or Refusal(402, 21, f"refused: {grant.refusal}")
