# SPDX-License-Identifier: Apache-2.0
"""The money of one call: registered with the store, funds locked slice by slice, settled once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from billing_client.types import Grant
from switch.money.credit import Credit
from switch.money.funds import FundsWatch, note_grant
from switch.money.settlement import call_finish
from switch.money.start import call_start, refused
from switch.sip.ways import Warrant

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.types import CallFinish, CallStart, EndedBy
    from switch.calls.call import Call
    from switch.calls.services import Services
    from switch.routing.plan import Caller, Plan, Refusal

__all__ = ["Payment"]


class Payment:
    """What a call's payer pays; nothing of it where nobody of ours does."""

    __slots__ = (
        "_bound",
        "_is_emergency",
        "_is_taken",
        "_is_told",
        "_services",
        "_watch",
        "awaits_acceptance",
        "credit",
        "heard_at",
        "start",
        "warrant",
    )

    def __init__(self, services: Services) -> None:
        self._services = services
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
        self.start: CallStart | None = None
        """What the store was told of the call, or, as it was away, is to be told at its end."""

    @property
    def is_registered(self) -> bool:
        """Whether the store has taken the call; if it does not hold it any more, somebody else has settled it."""
        return self._is_taken and self._is_told

    async def authorise(
        self, call: Call, plan: Plan, caller: Caller, on_end: Callable[[], None], on_warn: Callable[[], None]
    ) -> Refusal | None:
        """Register a call and lock its first funds: only then may an INVITE leave. Raises StoreError."""
        if plan.payer is None:
            return None
        self.awaits_acceptance = caller.is_charged_on_acceptance
        services, settings = self._services, self._services.settings
        credit = Credit(plan.rate, settings.credit, plan.payer.available)
        start = call_start(
            plan,
            plan.payer,
            caller,
            credit,
            call_id=call.call_id,
            dialled=call.dialled,
            started_at=call.started_at,
            emergency=settings.emergency_numbers,
            sip_call_id=call.invite.request.call_id,
        )
        grant = await services.reach.start_call(start)
        if grant is not None and grant.refusal is not None and await services.caught_up():
            # who dials again at once does not find his own call, which has ended, in the way
            grant = await services.reach.start_call(start)
        if grant is None:
            call.trace.add("funds", "the store is away: the call costs nothing, goes on and is recorded later")
        self._is_told, grant = grant is not None, grant or Grant(start.want)
        if (refusal := refused(grant)) is not None:
            return refusal
        self._is_taken, self.start, self.credit = True, start, credit
        self._is_emergency = plan.is_emergency
        self.warrant = Warrant(call.call_id)
        credit.granted(grant.locked)
        self._watch = FundsWatch(call.call_id, credit, services.store, call.trace, on_end, on_warn)
        note_grant(call.trace, credit, plan.payer)
        return None

    def answered(self, on_too_long: Callable[[], None]) -> None:
        """The paid time runs; `on_too_long` is called once a call that nobody pays for has lasted long enough."""
        if self._watch is not None:
            self._watch.start()
        is_paid = self.credit is not None and self.credit.paid_seconds is not None
        if not is_paid and not self._is_emergency:
            longest = self._services.settings.max_unpaid_call_seconds
            self._bound = asyncio.get_running_loop().call_later(longest, on_too_long)

    def void(self) -> None:
        """Nobody was connected: the call costs nothing."""
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

    def waive(self) -> None:
        """The call costs nothing, although it was answered: nobody has shown to have made it."""
        if self.credit is not None:
            self.credit.answered_at = None

    def will(self, call: Call) -> CallFinish | None:
        """What is recorded of an answered call if this process is killed in it and the store was not told of it."""
        if not self._is_taken or self._is_told or self.credit is None:
            return None
        return call_finish(call, self.credit, "orphan", 41, None)

    def settle(self, call: Call, by: EndedBy, cause: int, status: int | None) -> None:
        """Hand the finished call over to be charged and recorded."""
        if self._is_taken and self.credit is not None:
            if self.awaits_acceptance:
                self.waive()
            self._services.settle(call_finish(call, self.credit, by, cause, status))
