# SPDX-License-Identifier: Apache-2.0
"""All calls of this switch: their beginning, their supervision, their settlement."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from billing_client.types import CallFinish, StoreError
from switch.calls.call import Call
from switch.sip.message.errors import ParseError
from switch.sip.message.validate import stateless_tag

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing_client.types import EndedBy
    from switch.calls.services import Services
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
        self.services: Services
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
        core, check, request = self.services.core, self.services.check, invite.request
        if self.draining:
            response = request.response(503, to_tag=stateless_tag(request), headers=[("Retry-After", "5")])
            core.perform(invite.refuse(response, core.now()))
            return
        try:
            verdict = check.needs_challenge(request, invite.flow)
        except ParseError as error:
            response = request.response(error.status, error.reason, to_tag=stateless_tag(request))
            core.perform(invite.refuse(response, core.now()))
            return
        if verdict is not None:
            core.perform(invite.refuse(check.challenge(request, invite.flow, verdict), core.now()))
            return
        call = Call(self.services, invite)
        self.calls[call.call_id] = call
        self.attempts += 1
        self._idle.clear()
        call.begin()

    def over(self, call: Call) -> None:
        """A call has ended: forget it and free its media."""
        if self.calls.pop(call.call_id, None) is None:
            return
        self.services.standing.over(call.call_id)
        self.services.occupancy.leave(call.call_id)
        relay = call.bridge.relay
        if relay.carries_media:
            self.services.core.keep(asyncio.get_running_loop().create_task(relay.delete(call.call_id)))
        if not self.calls:
            self._idle.set()

    # money ------------------------------------------------------------------------------------------------------
    def settle(self, finish: CallFinish) -> None:
        """Hand a finished call to the store, or to the journal while the store is away."""
        self.ended[finish.ended_by] = self.ended.get(finish.ended_by, 0) + 1
        self.settlement.settle(finish)

    @property
    def unsettled(self) -> int:
        """Finished calls that the store does not have yet."""
        return self.settlement.waiting

    # supervision ------------------------------------------------------------------------------------------------
    def disconnect(self, call_id: str, text: str, by: EndedBy = "admin", *, heard_at: float | None = None) -> bool:
        """End a call by order; False: it is not here. What came after `heard_at` (monotonic) is not charged."""
        call = self.calls.get(call_id)
        if call is None:
            return False
        call.payment.heard_at = heard_at
        call.trace.add("end", "ended by order: {text}", text=text)
        call.hang_up(by, 31 if by == "media" else 16, text)
        return True

    async def hang_up_left(self) -> None:
        """End the calls that an earlier life of this switch left to themselves: both legs, and the sound."""
        core, standing = self.services.core, self.services.standing
        for number, (call_id, left) in enumerate(standing.left.items(), 1):
            for request, flow in left.farewells:
                core.perform(core.agent.layer.send_request(request, flow, core.now())[1])
            await self.services.relay.delete_everywhere(call_id)
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
                if not await self.services.store.heartbeat():
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
        moved = [moment for call in self.calls.values() if (moment := call.clock_set(seconds)) is not None]
        self.services.core.keep(asyncio.create_task(self._move(moved)))

    async def _move(self, calls: Sequence[tuple[str, datetime, datetime | None]]) -> None:
        try:
            await self.services.store.calls_moved(calls)
        except StoreError as error:
            log.warning("calls stay where they were by the old clock", extra={"reason": str(error)})

    async def _end_lost(self) -> None:
        """End the calls that another switch has settled: nobody pays for them any more."""
        ours = [call.call_id for call in self.calls.values() if call.payment.is_registered]
        for call_id in await self.services.store.lost_calls(ours):
            self.disconnect(call_id, "Settled by another switch", by="failure")

    async def take_over(self, seconds: float, silent_seconds: float) -> None:
        """Now and then settle the calls of switches that have been silent so long that they must be dead."""
        while True:
            await asyncio.sleep(seconds)
            try:
                adopted = await self.services.store.adopt_orphans(silent_seconds)
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
                live = set(await self.services.store.live_calls())
            except StoreError:
                continue
            unknown = live - self.calls.keys() - self.settlement.waiting_calls()
            for call_id in unknown & strangers:  # seen twice: not one that is just being started or settled
                log.warning("a call that never began is finished", extra={"call": call_id})
                self.settle(
                    CallFinish(
                        call_id=call_id,
                        ended_at=self.services.utc(),
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
