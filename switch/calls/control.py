# SPDX-License-Identifier: Apache-2.0
"""All calls of this switch: their beginning, their supervision, their settlement."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from billing_client.calls import CallFinish
from billing_client.types import StoreError
from switch.calls.call import Call
from switch.calls.view import CallState
from switch.relay.watch import Relayed
from switch.sip.digest import Verdict
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import INNER
from switch.sip.message.validate import stateless_tag
from switch.trace.recorder import Ended

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing_client.calls import EndedBy
    from switch.calls.shared import Shared
    from switch.calls.view import CallView
    from switch.money.settlement import Settlement
    from switch.sip.session import IncomingInvite

__all__ = ["CallControl"]

log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0
_AT_A_TIME: Final = 50
_PAUSE_SECONDS: Final = 0.02


class CallControl:
    """Owns the calls."""

    def __init__(self) -> None:
        self.shared: Shared
        self.settlement: Settlement
        self.calls: dict[str, Call] = {}
        self.draining = False
        self.attempts = 0
        """INVITEs that became calls, since the start."""
        self.ended: dict[str, int] = {}
        """Calls by who ended them, since the start."""
        self._idle = asyncio.Event()
        self._idle.set()

    # beginning and end ------------------------------------------------------------------------------------------
    def invited(self, invite: IncomingInvite) -> None:
        """A new INVITE."""
        legs, check, request = self.shared.legs, self.shared.check, invite.request
        joins = self.shared.joinings.pop(request.call_id, None) if invite.flow.transport == INNER else None
        if joins is not None:
            joins(invite)
            return
        if self.draining:
            response = request.response(503, to_tag=stateless_tag(request), headers=[("Retry-After", "5")])
            legs.turn_away(invite, response)
            return
        try:
            shown = check.shown(request, invite.flow)
        except ParseError as error:
            response = request.response(error.status, error.reason, to_tag=stateless_tag(request))
            legs.turn_away(invite, response)
            return
        if isinstance(shown, Verdict):
            legs.turn_away(invite, check.challenge(request, invite.flow, shown))
            return
        call = Call(self.shared, invite, shown)
        self.calls[call.call_id] = call
        self.attempts += 1
        self._idle.clear()
        call.begin()

    def over(self, call: CallView, by: EndedBy, cause: int, status: int | None) -> None:
        """A call has ended: record it, free its media, and forget it."""
        self._record(call, by, cause, status)
        call_id, relay = call.call_id, call.bridge.relay
        self.calls.pop(call_id, None)
        self.shared.standing.over(call_id)
        self.shared.inside.occupancy.leave(call_id)
        self.shared.talks.over(call)
        if relay.carries_media:
            self.shared.core.keep(asyncio.get_running_loop().create_task(relay.delete(call.bridge.relay_name)))
        if not self.calls:
            self._idle.set()

    def _record(self, call: CallView, by: EndedBy, cause: int, status: int | None) -> None:
        """Hand its reasons and messages over to whoever keeps them."""
        payer, times = call.plan.payer if call.plan is not None else None, call.times
        ended = Ended(
            call_id=call.call_id,
            account=payer.number if payer is not None else "",
            caller=call.caller.number if call.caller is not None else call.invite.request.from_.uri.user or "",
            dialled=call.dialled,
            started_at=times.started_at,
            answered_at=times.answered_at,
            ended_at=times.ended_at,
            cause=cause,
            status=status,
            ended_by=by,
        )
        self.shared.recorder.ended(ended, call.trace, call.ladder)

    # money ------------------------------------------------------------------------------------------------------
    def settle(self, finish: CallFinish) -> None:
        """Hand a finished call to the store, or to the journal while the store is away."""
        self.ended[finish.ended_by] = self.ended.get(finish.ended_by, 0) + 1
        self.settlement.settle(finish)

    @property
    def unsettled(self) -> int:
        """Finished calls that the store does not have yet."""
        return self.settlement.waiting

    # what watches them asks -------------------------------------------------------------------------------------
    def relayed(self) -> list[Relayed]:
        """Those whose sound passes a relay."""
        return [
            Relayed(
                call.call_id,
                call.state is CallState.RINGING,
                call.state is CallState.ANSWERED,
                call.bridge.relay_name,
            )
            for call in self.calls.values()
            if call.bridge.relay.carries_media
        ]

    def began_with(self, place: tuple[str, int]) -> dict[str, float]:
        """The answered calls that have a leg with that address, and since when (monotonic, which no step of the clock
        moves)."""
        found = ((call.call_id, _since_with(call, place)) for call in self.calls.values())
        return {call_id: since for call_id, since in found if since is not None}

    # supervision ------------------------------------------------------------------------------------------------
    def disconnect(self, call_id: str, text: str, by: EndedBy = "admin", *, heard_at: float | None = None) -> bool:
        """End a call by order; False: it is not here. What came after `heard_at` (monotonic) is not charged."""
        call = self.calls.get(call_id)
        if call is None:
            return False
        call.trace.add("end", "ended by order: {text}", text=text)
        call.hang_up(by, 31 if by == "media" else 16, text, heard_at=heard_at)
        return True

    def payer_changed(self, number: str) -> None:
        """Something of an account changed, its funds perhaps: its calls need not wait for their next slice to know."""
        for call in self.calls.values():
            if call.plan is not None and call.plan.payer is not None and call.plan.payer.number == number:
                call.payment.gained()

    async def hang_up_left(self) -> None:
        """End the calls that an earlier life of this switch left to themselves: both legs, and the sound."""
        standing = self.shared.standing
        for number, (call_id, left) in enumerate(standing.left.items(), 1):
            for request, flow in left.farewells:
                self.shared.legs.hang_up_left(request, flow)
            await self.shared.relay.delete_everywhere(call_id)
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(_PAUSE_SECONDS)
        if standing.left:
            log.warning("hung up calls of an earlier life", extra={"calls": len(standing.left)})
        standing.forget_left()

    async def beat(self, seconds: float) -> None:
        """Tell the store that we live, so that another switch does not settle our calls; end those that one has."""
        taken_for_dead = False
        while True:
            try:
                if not await self.shared.till.store.heartbeat():
                    log.warning("another switch took this one for dead")
                    taken_for_dead = True
                if taken_for_dead:
                    await self._end_lost()
                    taken_for_dead = False
            except StoreError as error:
                log.warning("no heartbeat", extra={"reason": str(error)})
                await asyncio.sleep(min(seconds, _RETRY_SECONDS))
            else:
                await asyncio.sleep(seconds)

    def clock_set(self, seconds: float) -> None:
        """The store's clock was set: calls that run began so much earlier or later by it."""
        for call in self.calls.values():
            call.move(seconds)
        known = [call for call in self.calls.values() if call.payment.is_registered]
        moved = [(call.call_id, call.started_at, call.answered_at) for call in known]
        self.shared.core.keep(asyncio.create_task(self._move(moved)))

    async def _move(self, calls: Sequence[tuple[str, datetime, datetime | None]]) -> None:
        try:
            await self.shared.till.store.calls_moved(calls)
        except StoreError as error:
            log.warning("calls stay where they were by the old clock", extra={"reason": str(error)})

    async def _end_lost(self) -> None:
        """End the calls that another switch has settled: nobody pays for them any more."""
        ours = [call.call_id for call in self.calls.values() if call.payment.is_registered]
        for call_id in await self.shared.till.store.lost_calls(ours):
            self.disconnect(call_id, "Settled by another switch", by="failure")

    async def take_over(self, seconds: float, silent_seconds: float) -> None:
        """Now and then settle the calls of switches that have been silent so long that they must be dead."""
        while True:
            await asyncio.sleep(seconds)
            try:
                adopted = await self.shared.till.store.adopt_orphans(silent_seconds)
            except StoreError as error:
                log.warning("nobody's calls are taken over", extra={"reason": str(error)})
                continue
            if adopted:
                log.warning("settled calls of a switch that died", extra={"calls": adopted})

    async def reconcile(self, seconds: float) -> None:
        """Finish what the store takes for a call of ours and we do not know: its start outlived our patience."""
        strangers: set[str] = set()
        while True:
            await asyncio.sleep(seconds)
            try:
                live = set(await self.shared.till.store.live_calls())
            except StoreError:
                continue
            unknown = live - self.calls.keys() - self.settlement.waiting_calls()
            for call_id in unknown & strangers:  # seen twice: not one that is just being started or settled
                log.warning("a call that never began is finished", extra={"call": call_id})
                self.settle(
                    CallFinish(
                        call_id=call_id,
                        ended_at=self.shared.utc(),
                        answered_at=None,
                        billed_seconds=0,
                        amount=Decimal(0),
                        cause=41,
                        sip_status=503,
                        ended_by="failure",
                    )
                )
            strangers = unknown

    async def drain(self, seconds: float) -> None:
        """Take no new calls, wait for the running ones, then end what is left."""
        self.draining = True
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            for call in list(self.calls.values()):
                call.hang_up("shutdown", 41, "Switch is shutting down")


def _since_with(call: Call, place: tuple[str, int]) -> float | None:
    """Since when (monotonic) a call is answered and has a leg with that address; None: it has none."""
    if call.state is not CallState.ANSWERED:
        return None
    if call.invite.flow.remote[:2] == place:
        return call.began  # it was there before it sent the INVITE
    if call.sides.callee is not None and call.sides.callee.dialog.flow.remote[:2] == place:
        return call.began + ((call.answered_at or call.started_at) - call.started_at).total_seconds()
    return None
