# SPDX-License-Identifier: Apache-2.0
"""The hands of a live call while it is decided about."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from billing_client.emergencies import EmergencyNote
from billing_client.types import StoreError, StoreUnavailable
from switch.access.unheard import ACK_SECONDS
from switch.calls.ringing import Ringing
from switch.money.start import Asked
from switch.routing.plan import DialPlan, Refusal, nowhere
from switch.sip.digest import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from billing_client.parties import Parties, Party
    from billing_client.rules.numbering import Number
    from switch.access.caller import Shown
    from switch.access.check import CallerCheck
    from switch.calls.shared import Shared
    from switch.calls.view import CallView
    from switch.money.payment import Payment
    from switch.routing.caller import Caller
    from switch.routing.plan import Plan
    from switch.trace.trace import Trace

__all__ = ["SetUp", "was_not_heard"]

log = logging.getLogger(__name__)

NOTED_AGAIN_SECONDS: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)


class SetUp:
    """Implements `switch.calls.decide.Hands`."""

    def __init__(self, shared: Shared, call: CallView, payment: Payment, shown: Shown) -> None:
        """`shown`: what the INVITE brings that may identify its sender."""
        self._shared = shared
        self._call = call
        self._payment = payment
        self._shown = shown
        self.ringing = Ringing(shared, call)
        """Whom it will ring."""

    @property
    def at(self) -> datetime:
        """When it began."""
        return self._call.started_at

    @property
    def trace(self) -> Trace:
        """Its own."""
        return self._call.trace

    @property
    def source(self) -> str:
        """The address that the INVITE came from."""
        return self._call.invite.flow.remote[0]

    def is_over(self) -> bool:
        """The caller has been answered meanwhile, because he gave up."""
        return self._call.invite.answered

    async def identify(self, dialled: Number) -> tuple[Parties, Caller] | Verdict:
        """By what the INVITE shows."""
        invite = self._call.invite
        found = await self._shared.check.identify(self._shown, invite.request, invite.flow, dialled)
        if isinstance(found, Verdict):
            self._challenge(found)
        elif not self.is_over():
            ends, caller = found
            self._call.is_from(caller, ends)
        return found

    def _challenge(self, verdict: Verdict) -> None:
        """Whoever calls has not shown who he is."""
        call, text = self._call, "the credentials of {source} are {verdict}"
        call.trace.add("caller", text, source=self.source, verdict=verdict.name.lower())
        challenge = self._shared.check.challenge(call.invite.request, call.invite.flow, verdict)
        self._shared.legs.turn_away(call.invite, challenge)

    async def dial_plan(self, ends: Parties, dialled: str) -> DialPlan:
        """The tariffs and routes that the switch holds."""
        return DialPlan.of(self._shared.settings, self._shared.books)

    async def planned(self, ends: Parties, plan: Plan | Refusal) -> None:
        """A callee who is not remembered is no stranger while the store is away; whoever calls for help is told of."""
        if ends.caller is not None and self._call.dialled in self._shared.settings.emergency_numbers:
            self._tell_of_emergency(ends.caller, plan)
        if not isinstance(plan, Refusal):
            self._call.goes_by(plan)
        elif ends.callee is None and self._shared.till.reach.is_away:
            raise StoreUnavailable(f"{self._call.dialled} may be an account that is not remembered")

    async def find_ways(self, plan: Plan, caller: Caller, ends: Parties) -> Refusal | None:
        """The first stage to ring."""
        return None if await self.ringing.look_around(plan, ends) else self._call.limit or nowhere(plan)

    async def authorise(self, plan: Plan, payer: Party, caller: Caller) -> Refusal | None:
        """Only then may an INVITE leave."""
        call, busy = self._call, self._admit_emergency(payer, caller) if plan.is_emergency else None
        if busy is not None:
            return busy
        sent_on = caller.sent_on
        beside = self._shared.talks.held_by(payer.account_id) if sent_on is None else sent_on.call_id
        asked = Asked(call.call_id, call.dialled, call.started_at, call.invite.request.call_id, beside, call.typed)
        return await self._payment.authorise(
            plan, payer, caller, asked, call.trace, call.funds_ended, call.funds_end_soon
        )

    def _tell_of_emergency(self, account: Party, plan: Plan | Refusal) -> None:
        """An alarm, and an e-mail, whatever becomes of the call."""
        call, shared, place = self._call, self._shared, account.place
        ways = () if isinstance(plan, Refusal) else plan.routes
        note = EmergencyNote(
            call_id=call.call_id,
            account=account.number,
            customer=account.customer_name,
            dialled=call.dialled,
            callback=place.callback,
            location=place.location,
            gateways=", ".join(route.gateway.name for route in ways)[:255],
        )
        shared.emergencies.count += 1
        log.warning("an emergency call", extra={"call": note.call_id, **asdict(note)})
        if not shared.emergencies.is_to_be_told(account.number, shared.core.now()):
            return
        shared.core.keep(asyncio.get_running_loop().create_task(self._note_emergency(note)))

    async def _note_emergency(self, note: EmergencyNote) -> None:
        """In the store; while that is away, again and again for a while."""
        for seconds in NOTED_AGAIN_SECONDS:
            try:
                await self._shared.till.store.note_emergency(note, self._shared.settings.emergency_mail)
            except StoreError as error:
                log.warning("an emergency call is not noted yet", extra={"call": note.call_id, "reason": str(error)})
                await asyncio.sleep(seconds)
            else:
                return

    def _admit_emergency(self, account: Party, caller: Caller) -> Refusal | None:
        """Let two emergency calls of an account run, and two that come from the address of a carrier."""
        call, emergencies, now = self._call, self._shared.emergencies, self._shared.core.now()
        callers = [f"account {account.number}"]
        if caller.gateway is not None:
            callers.append(f"address {self.source}")
        busy = emergencies.begin(call.call_id, callers, now)
        if emergencies.is_alarming(callers, now):
            extra = {"call": call.call_id, "dialled": call.dialled, "callers": callers, "refused": bool(busy)}
            log.warning("many emergency calls", extra=extra)
        if busy is None:
            return None
        return Refusal(486, 17, f"refused: two emergency calls of {busy} run already", "ann-too-many-calls")


def was_not_heard(check: CallerCheck, call: CallView, payment: Payment) -> None:
    """Nobody acknowledged the answer at an address that somebody may have only written into a packet."""
    payment.waive()
    call.trace.add(
        "funds", "the answer was not acknowledged in {seconds:.0f} s: nothing is charged", seconds=ACK_SECONDS
    )
    if call.caller is not None and not call.caller.is_application:  # the media server has shown its mark
        check.not_acknowledged(call.invite.request, call.invite.flow)
