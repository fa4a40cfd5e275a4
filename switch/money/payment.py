# SPDX-License-Identifier: Apache-2.0
"""The money of one call: registered with the store, funds locked slice by slice, settled once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from billing_client.calls import CallFinish
from switch.money.funds import FundsWatch
from switch.money.start import Registered, authorise
from switch.sip.ways import Warrant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from billing_client.calls import CallStart, EndedBy, Grant
    from billing_client.parties import Party
    from billing_client.rules.books import Gateway
    from billing_client.store import Store
    from switch.access.reach import StoreReach
    from switch.money.credit import Credit
    from switch.money.start import Asked
    from switch.routing.caller import Caller
    from switch.routing.plan import Plan, Refusal
    from switch.settings import SwitchSettings
    from switch.trace.trace import Trace

__all__ = ["Payment", "Till", "Times"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """Where the calls of a switch are paid."""

    store: Store
    reach: StoreReach
    settings: Callable[[], SwitchSettings]
    settle: Callable[[CallFinish], None]
    """Hands a finished call to the store, again and again until the store has it."""
    caught_up: Callable[[], Awaitable[bool]]
    """Waits a moment for ended calls that are on their way to the store; False: there are none."""
    clock: Callable[[], float]
    """Monotonic seconds."""

    async def ask(self, start: CallStart) -> Grant | None:
        """Have the store register a call; None: it is away, and the call is free. Raises StoreError."""
        grant = await self.reach.start_call(start)
        if grant is not None and grant.refusal is not None and await self.caught_up():
            # who dials again at once does not find his own call, which has ended, in the way
            grant = await self.reach.start_call(start)
        return grant


class Times(NamedTuple):
    """Of a call, by the clock of all records."""

    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime


class Payment:
    """What a call's payer pays; nothing of it where nobody of ours does."""

    __slots__ = (
        "_bound",
        "_call_id",
        "_is_emergency",
        "_is_taken",
        "_is_told",
        "_till",
        "_watch",
        "awaits_acceptance",
        "credit",
        "heard_at",
        "start",
        "transferred_by",
        "warrant",
    )

    def __init__(self, till: Till, call_id: str) -> None:
        self._till = till
        self._call_id = call_id
        self._is_taken = self._is_told = False
        self._watch: FundsWatch | None = None
        self._bound: asyncio.TimerHandle | None = None
        self._is_emergency = False
        self.awaits_acceptance = False
        """The call costs nothing unless whoever is rung accepts it."""
        self.credit: Credit | None = None
        self.warrant: Warrant | None = None
        """What INVITEs to carriers show: given when the store has the call, or is to be told of it; until its end."""
        self.heard_at: float | None = None
        """Monotonic: when a call was last heard of that ends because its sound was lost; the silence since is free."""
        self.transferred_by: str | None = None
        """Number of the account that gave the call away while it ran."""
        self.start: CallStart | None = None
        """What the store was told of the call, or, as it was away, is to be told at its end."""

    @property
    def is_registered(self) -> bool:
        """Whether the store has taken the call; if it does not hold it any more, somebody else has settled it."""
        return self._is_taken and self._is_told

    async def authorise(
        self,
        plan: Plan,
        payer: Party,
        caller: Caller,
        asked: Asked,
        trace: Trace,
        on_end: Callable[[], None],
        on_warn: Callable[[], None],
    ) -> Refusal | None:
        """Register a call and lock its first funds: only then may an INVITE leave. Raises StoreError."""
        self.awaits_acceptance = caller.is_charged_on_acceptance
        till, settings = self._till, self._till.settings()
        found = await authorise(
            plan, payer, caller, asked, settings.credit, settings.emergency_numbers, till.ask, trace
        )
        if not isinstance(found, Registered):
            return found
        self._is_taken, self._is_told, self.start, self.credit = True, found.is_told, found.start, found.credit
        self._is_emergency = plan.is_emergency
        self.warrant = Warrant(self._call_id)
        self._watch = FundsWatch(self._call_id, found.credit, till.store, trace, on_end, on_warn)
        return None

    def answered(self, at: datetime, on_too_long: Callable[[], None]) -> None:
        """The paid time runs; `on_too_long` is called once a call that nobody pays for has lasted long enough."""
        self._till.store.call_answered(self._call_id, at)
        if self._watch is not None:
            self._watch.start()
        is_paid = self.credit is not None and self.credit.paid_seconds is not None
        if not is_paid and not self._is_emergency:
            longest = self._till.settings().max_unpaid_call_seconds
            self._bound = asyncio.get_running_loop().call_later(longest, on_too_long)

    def gained(self) -> None:
        """The payer was topped up, perhaps."""
        if self._watch is not None:
            self._watch.gained()

    def waive(self) -> None:
        """The call costs nothing: nobody was connected, or nobody has shown to have made it."""
        if self.credit is not None:
            self.credit.answered_at = None

    def ended(self) -> None:
        """The paid time is over."""
        self.warrant = None
        if self._bound is not None:
            self._bound.cancel()
            self._bound = None
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def will(self, times: Times, gateway: Gateway | None) -> CallFinish | None:
        """What is recorded of an answered call if this process is killed in it and the store was not told of it."""
        if not self._is_taken or self._is_told or self.credit is None:
            return None
        return self._finish(self.credit, times, gateway, "orphan", 41, None)

    def settle(self, times: Times, gateway: Gateway | None, by: EndedBy, cause: int, status: int | None) -> None:
        """Hand the call, which ends now, over to be charged and recorded."""
        if self._is_taken and self.credit is not None:
            if self.awaits_acceptance:
                self.waive()
            self._till.settle(self._finish(self.credit, times, gateway, by, cause, status))

    def _finish(
        self, credit: Credit, times: Times, gateway: Gateway | None, by: EndedBy, cause: int, status: int | None
    ) -> CallFinish:
        """The end of a call that ends now, and what it costs: up to the last moment at which it was heard of."""
        now = self._till.clock()
        charge = credit.charge(now if self.heard_at is None else min(now, self.heard_at))
        start = self.start
        if start is not None and start.started_at != times.started_at:  # the clock was set meanwhile
            start = replace(start, started_at=times.started_at)
        return CallFinish(
            call_id=self._call_id,
            ended_at=times.ended_at,
            answered_at=times.answered_at,
            billed_seconds=charge.billed_seconds,
            amount=charge.amount,
            cause=cause,
            sip_status=status,
            ended_by=by,
            gateway_id=gateway.gateway_id if gateway else None,
            start=start,
            is_started=self.is_registered,
            transferred_by=self.transferred_by,
        )
