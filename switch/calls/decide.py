# SPDX-License-Identifier: Apache-2.0
"""What decides about a call: who asks, what the dial plan says, whom it may ring, who pays.

One coroutine says in which order and by which rules. A live call drives it (`switch.calls.setup`), and so does an
explanation of a call that is not made (`switch.explain`); each brings its own hands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from switch.access.caller import note_caller
from switch.routing.plan import Refusal, plan_call
from switch.sip.digest import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from billing_client.parties import Parties, Party
    from billing_client.rules.numbering import Number
    from switch.routing.caller import Caller
    from switch.routing.plan import Called, DialPlan, Plan
    from switch.trace.trace import Trace

__all__ = ["Hands", "decide"]


class Hands(Protocol):
    """What one who wants a decision does for it."""

    @property
    def at(self) -> datetime:
        """When the call is made: the rates of then count."""

    @property
    def trace(self) -> Trace:
        """Where every step says why."""

    @property
    def source(self) -> str:
        """Where the call comes from, in words."""

    def is_over(self) -> bool:
        """Nobody waits for the decision any more: the caller has hung up."""

    async def identify(self, dialled: Number) -> tuple[Parties, Caller] | Verdict:
        """Both ends of the call, and who asks for it; or why that is not known. Raises StoreError."""

    async def dial_plan(self, ends: Parties, dialled: str) -> DialPlan:
        """What the plan follows from. Raises StoreError."""

    async def planned(self, ends: Parties, plan: Plan | Refusal) -> None:
        """The dial plan has spoken. Raises StoreError."""

    async def find_ways(self, plan: Plan, caller: Caller, ends: Parties) -> Refusal | None:
        """Find whom to ring; why there is nobody. Raises StoreError."""

    async def authorise(self, plan: Plan, payer: Party, caller: Caller) -> Refusal | None:
        """Have the call registered and its first funds locked; why not. Raises StoreError."""


async def decide(called: Called, hands: Hands) -> Plan | Refusal | Verdict | None:
    """The plan of a call that may ring; or why it may not; None: it was over before. Raises StoreError, ParseError."""
    if called.refusal is not None:
        return called.refusal
    found = await hands.identify(called.meant)
    if isinstance(found, Verdict):
        return found
    if hands.is_over():
        return None
    ends, caller = found
    note_caller(hands.trace, caller, hands.source)
    number = _number(ends, called, hands.trace)
    if isinstance(number, Refusal):
        return number
    dial_plan = await hands.dial_plan(ends, number)
    plan = plan_call(ends, number, caller, dial_plan, hands.at, hands.trace)
    await hands.planned(ends, plan)
    if isinstance(plan, Refusal):
        return plan
    refusal = await hands.find_ways(plan, caller, ends)
    if refusal is None and plan.payer is not None and not hands.is_over():
        refusal = await hands.authorise(plan, plan.payer, caller)
    if refusal is not None:
        return refusal
    return None if hands.is_over() else plan


def _number(ends: Parties, called: Called, trace: Trace) -> str | Refusal:
    """The number in its one form, and why it is that."""
    dialled = ends.dialled
    if dialled is None:
        return called.number
    if dialled.why:
        trace.add("number", "{typed} is {number}: {why}", typed=dialled.typed, number=dialled.text, why=dialled.why)
    if ends.apart:
        trace.add("number", "{why}", why=ends.apart)
    if dialled.refusal:
        text = f"{dialled.typed} is no whole number: {dialled.why}"
        return Refusal(dialled.refusal, 28, text, "ann-invalid-number")
    return dialled.text
