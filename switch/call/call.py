# SPDX-License-Identifier: Apache-2.0
"""One call: from the INVITE that asks for it to the record that it leaves.

Events of the legs come in through `receive` and are dealt with one after the other, whatever each of them waits for
(the store, the media relay). A task exists only while there is something to do.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING, Any

from billing_client.types import CallStart, Grant, StoreError, StoreUnavailable
from switch.call.bridge import Bridge
from switch.call.caller import note_caller
from switch.call.credit import Credit
from switch.call.funds import FundsWatch, note_grant
from switch.call.headers import crossing, reason, reason_cause
from switch.call.hunt import Hunt
from switch.call.legs import challenge_answer, falls_back, flow_for, outgoing_request, stages
from switch.call.plan import Refusal, dialled_number, nowhere, plan_call
from switch.call.settlement import call_finish
from switch.call.start import call_start, refused
from switch.call.state import CallState
from switch.call.trace import Trace
from switch.call.warning import warn_payer
from switch.ng import NgError, RelayUnavailable
from switch.sip.digest import Verdict
from switch.sip.errors import ParseError
from switch.sip.session import (
    Acknowledged,
    Answered,
    Cancelled,
    Ended,
    Failed,
    OutgoingInvite,
    Progressed,
    Replied,
    Requested,
    Session,
    State,
    Withdrawn,
)
from switch.sip.status import q850_cause

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing_client.types import EndedBy, Gateway, Parties
    from switch.call.hunt import Branch
    from switch.call.plan import Caller, Plan
    from switch.call.services import Services
    from switch.sip.message import Request
    from switch.sip.session import IncomingInvite, SessionEvent

__all__ = ["Call", "CallState"]

log = logging.getLogger(__name__)


class Call:
    """A B2BUA call with its money."""

    __slots__ = (
        "_asked",
        "_attempts",
        "_bridge",
        "_funds",
        "_inbox",
        "_registered",
        "_stage_timer",
        "_task",
        "answered_at",
        "call_id",
        "callee",
        "caller",
        "credit",
        "dialled",
        "gateway",
        "hunt",
        "invite",
        "ladder",
        "plan",
        "services",
        "started_at",
        "state",
        "trace",
        "unstarted",
    )

    def __init__(self, services: Services, invite: IncomingInvite) -> None:
        self.services = services
        self.invite = invite
        self.call_id = uuid.uuid4().hex
        self.state = CallState.SETUP
        self.trace = Trace()
        self.ladder = services.recorder.begin(invite.request.call_id)
        self.started_at = services.utc()
        self.answered_at: datetime | None = None
        self.dialled = ""
        self.caller: Caller | None = None
        self.plan: Plan | None = None
        self.credit: Credit | None = None
        self.hunt: Hunt | None = None
        self.callee: Session | None = None
        """The leg that answered."""
        self._asked: Request | None = None
        """The INVITE that it answered, until that is acknowledged."""
        self.gateway: Gateway | None = None
        self._attempts: dict[OutgoingInvite, Branch] = {}
        self._bridge = Bridge(services.core, services.relay, self.call_id, invite)
        self._inbox: list[SessionEvent | None] = [None]
        self._task: asyncio.Task[None] | None = None
        self._funds: FundsWatch | None = None
        self._stage_timer: asyncio.TimerHandle | None = None
        self._registered = False
        self.unstarted: CallStart | None = None
        """What the store has not been told, because it was away."""

    @property
    def is_registered(self) -> bool:
        """Whether the store has taken the call; if it does not hold it any more, somebody else has settled it."""
        return self._registered and self.unstarted is None

    # events, one after the other --------------------------------------------------------------------------------
    def begin(self) -> None:
        """Start to set the call up."""
        self.invite.owner = self
        self._wake()

    def receive(self, event: SessionEvent) -> None:
        """Something happened on a leg."""
        self._inbox.append(event)
        self._wake()

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._inbox:
                event = self._inbox.pop(0)
                try:
                    await (self._set_up() if event is None else self._handle(event))
                except ParseError as error:
                    self._abort(error.status, error.reason)
                except RelayUnavailable:
                    self._abort(503, "No media relay answers")
                except NgError as error:
                    self._abort(488, str(error))
                except StoreError as error:
                    self._abort(error.sip_status, "Billing store unavailable")
                except Exception:  # the supervisor of a call: one call's bug must not end the switch
                    log.exception("call failed", extra=self.log_fields())
                    self._abort(500, "Internal error")
        finally:
            self._task = None

    def log_fields(self) -> dict[str, Any]:
        """For log records: which call this is."""
        return {"call": self.call_id, "dialled": self.dialled, "account": self.plan.payer.number if self.plan else None}

    async def _handle(self, event: SessionEvent) -> None:
        match event:
            case Progressed():
                await self._progressed(event)
            case Answered():
                await self._answered(event)
            case Failed():
                await self._failed(event)
            case Cancelled():
                self.trace.add("end", "the caller gave up")
                self._end("caller", reason_cause(event.request) or 16, 487)
            case Ended():
                self._leg_ended(event)
            case Requested():
                await self._bridge.requested(event)
            case Withdrawn():
                self._bridge.withdrawn(event)
            case Replied():
                await self._bridge.replied(event)
            case Acknowledged():
                self.invite.request.forget_parsed()
                await self._bridge.acknowledged(event)

    # setting up -------------------------------------------------------------------------------------------------
    async def _set_up(self) -> None:
        services, request = self.services, self.invite.request
        services.core.perform(self.invite.progress(100, services.core.now()))
        uri = request.uri
        self.dialled = dialled_number(uri.user or "")
        hops = request.max_forwards
        if hops is not None and hops < 1:
            self._refuse(Refusal(483, 25, "Too many hops"))
            return
        parties, caller = await services.check.identify(request, self.invite.flow, self.dialled)
        if isinstance(caller, Verdict) or self.invite.answered:
            if isinstance(caller, Verdict):
                self.trace.add(
                    "caller",
                    "the credentials of {source} are {verdict}",
                    source=self.invite.flow.remote[0],
                    verdict=caller.name.lower(),
                )
                headers = services.check.challenge(request, stale=caller is Verdict.STALE)
                services.core.perform(self.invite.reject(407, services.core.now(), headers=headers))
            self._end("failure", 21, 407)
            return
        self.caller = caller
        note_caller(self.trace, caller, self.invite.flow.remote[0])
        plan = plan_call(
            parties,
            self.dialled,
            caller,
            services.books.rates,
            services.books.routes,
            self.started_at,
            services.settings.emergency_numbers,
            self.trace,
        )
        if isinstance(plan, Refusal):
            if parties.callee is None and services.reach.is_away:
                raise StoreUnavailable(f"{self.dialled} may be an account that is not remembered")
            self._refuse(plan)
            return
        self.plan = plan
        await self._find_ways(plan, caller, parties)

    async def _find_ways(self, plan: Plan, caller: Caller, parties: Parties) -> None:
        self.hunt = Hunt(await stages(self.services, plan, parties, self.dialled))
        if not self.hunt.stages:
            self._refuse(nowhere(plan))
            return
        if self.invite.answered or not await self._authorise(plan, caller):
            return
        await self._ring_next()

    async def _authorise(self, plan: Plan, caller: Caller) -> bool:
        """Register the call and lock its first funds: only then may an INVITE leave."""
        self.credit = Credit(plan.rate, self.services.settings.credit, plan.payer.available)
        start = call_start(
            plan,
            caller,
            self.credit,
            call_id=self.call_id,
            dialled=self.dialled,
            started_at=self.started_at,
            emergency=self.services.settings.emergency_numbers,
            sip_call_id=self.invite.request.call_id,
        )
        grant = await self.services.reach.start_call(start)
        if grant is None:
            self.trace.add("funds", "the store is away: the call costs nothing, goes on and is recorded later")
            self.unstarted, grant = start, Grant(start.want)
        if (refusal := refused(grant)) is not None:
            self._refuse(refusal)
            return False
        self._registered = True
        self.credit.granted(grant.locked)
        self._funds = FundsWatch(
            self.call_id, self.credit, self.services.store, self.trace, self._funds_ended, self._funds_end_soon
        )
        note_grant(self.trace, self.credit, plan)
        if self.invite.answered:
            self._end("caller", 16, 487)
            return False
        return True

    def _refuse(self, refusal: Refusal) -> None:
        self.trace.add("refused", "{status} {text}", status=refusal.status, text=refusal.text)
        self._reject(refusal.status, refusal.cause, refusal.text)
        self._end("failure", refusal.cause, refusal.status)

    def _reject(self, status: int, cause: int, text: str) -> None:
        core = self.services.core
        core.perform(self.invite.reject(status, core.now(), headers=[reason(cause, text)]))

    # hunting ----------------------------------------------------------------------------------------------------
    async def _ring_next(self) -> None:
        stage = self.hunt.next_stage() if self.hunt else None
        if stage is None or self.plan is None or self.caller is None:
            return
        body = await self._bridge.first_offer(self.invite.request.sdp)
        if self.invite.answered:
            return
        self.state = CallState.RINGING
        self.gateway = stage.gateway
        self._ring(stage.branches, body)
        patience = stage.ring_seconds if stage.response_seconds is None else stage.response_seconds
        self._set_stage_timer(patience, silent=stage.response_seconds is not None)

    def _ring(self, branches: Sequence[Branch], body: bytes) -> None:
        core = self.services.core
        for branch in branches:
            request = outgoing_request(self, branch, body)
            flow = flow_for(self.services, branch, request)
            attempt = core.agent.invite(request, flow, natted=branch.natted, owner=self)
            self._attempts[attempt] = branch
            if self.ladder is not None:
                self.services.recorder.ladders.add_leg(self.ladder, request.call_id)
            self.trace.add("ring", "ringing {name} by {transport}", name=branch.name, transport=flow.transport)
            core.perform(attempt.start(core.now()))

    def _set_stage_timer(self, seconds: float, *, silent: bool) -> None:
        if self._stage_timer is not None:
            self._stage_timer.cancel()
        loop = asyncio.get_running_loop()
        self._stage_timer = loop.call_later(seconds, self._gateway_is_silent if silent else self._rang_out)

    def _gateway_is_silent(self) -> None:
        """The gateway gave no sign of life: as if it had answered 408."""
        if self.state is not CallState.RINGING or self.hunt is None:
            return
        core = self.services.core
        for attempt in list(self._attempts):
            if attempt.transaction is not None and attempt.transaction.state in ("Proceeding", "Accepted"):
                self._set_stage_timer(self.hunt.stage.ring_seconds, silent=False)  # 100 came: it lives
                continue
            core.perform(attempt.cancel(core.now()))
            self.receive(Failed(attempt, attempt.request.response(408), local=True))

    def _rang_out(self) -> None:
        if self.state is CallState.RINGING:
            self._refuse(Refusal(480, 19, "No answer"))

    def _cancel_attempts(self, *headers: tuple[str, str], but: OutgoingInvite | None = None) -> None:
        core = self.services.core
        for attempt in list(self._attempts):
            if attempt is not but:
                core.perform(attempt.cancel(core.now(), headers))

    async def _progressed(self, event: Progressed) -> None:
        if self.state is not CallState.RINGING or event.invite not in self._attempts or self.hunt is None:
            return
        stage = self.hunt.stage
        if stage.response_seconds is not None and self._stage_timer is not None:
            self._set_stage_timer(stage.ring_seconds, silent=False)
        await self._bridge.progressed(event)

    async def _answered(self, event: Answered) -> None:
        core = self.services.core
        if self.state is not CallState.RINGING or event.invite not in self._attempts or self.invite.answered:
            core.perform(event.session.ack(event.invite.request, core.now()))
            core.perform(event.session.bye(core.now()))
            return
        branch = self._attempts.pop(event.invite)
        self._cancel_attempts(("Reason", 'SIP;cause=200;text="Call completed elsewhere"'))
        self._attempts.clear()
        self._stop_timers()
        self.state = CallState.ANSWERED
        self.callee, self._asked = event.session, event.invite.request
        event.invite.owner = None  # other forks that answer are none of our business
        self.answered_at = self.services.utc()
        self.services.store.call_answered(self.call_id, self.answered_at)
        self.trace.add("answer", "{name} answered", name=branch.name)
        self.services.recorder.answered(self.trace, self.ladder)
        if self._funds is not None:
            self._funds.start()
        await self._bridge.answered(event.session, event.invite.request, event.response)
        if event.session.state is not State.ACCEPTED:
            self._asked = None
        if self.callee is not None:
            legs = (self.callee, self._bridge.peer(self.callee))
            self.services.standing.answered(self.call_id, legs, reason(41, "Switch was restarted"))

    async def _failed(self, event: Failed) -> None:
        if not event.local and event.invite.transaction is not None:
            event.invite.transaction.user = None  # it lives on for half a minute
        branch = self._attempts.pop(event.invite, None)
        if branch is None or self.state is not CallState.RINGING or self.hunt is None:
            return
        response = event.response
        self.trace.add(
            "hunt", "{name}: {status} {reason}", name=branch.name, status=response.status, reason=response.reason
        )
        if event.local and falls_back(self.services, branch, event.invite.flow):
            self._ring((branch,), await self._bridge.first_offer(self.invite.request.sdp))
            return
        if self._retry_with_credentials(event, branch) or not self.hunt.failed(event.response):
            return
        if self.hunt.should_fail_over():
            self.trace.add("hunt", "that is no word about the callee: the next gateway is tried")
            await self._ring_next()
            return
        result = self.hunt.result()
        self._cancel_attempts(reason(21, result.text))
        headers = [] if result.response is None else crossing(result.response)
        cause = result.cause or (result.response and reason_cause(result.response)) or q850_cause(result.status)
        if not any(name == "Reason" for name, _ in headers):
            headers.append(reason(cause, result.text))
        text = result.text if result.response is not None else None
        core = self.services.core
        core.perform(self.invite.reject(result.status, core.now(), reason=text, headers=headers))
        self._end("callee" if result.response is not None else "failure", cause, result.status)

    def _retry_with_credentials(self, event: Failed, branch: Branch) -> bool:
        """A gateway that challenges us gets an answer, once (RFC 3261 section 22.2)."""
        if branch.gateway is None or event.response.status not in (401, 407) or event.invite.cancelled:
            return False
        core = self.services.core
        line = challenge_answer(branch.gateway, event.invite.request, event.response, core.agent.new_token())
        if line is None or event.invite.request.get(line[0]) is not None:
            return False
        self._attempts[event.invite] = branch
        core.perform(event.invite.resend([line], core.now()))
        return True

    def _funds_ended(self) -> None:
        self.hang_up("funds", 31, "Funds used up")

    def _funds_end_soon(self) -> None:
        warning = warn_payer(self.services.relay, self.call_id, self.trace)
        self.services.core.keep(asyncio.get_running_loop().create_task(warning))

    # the end ----------------------------------------------------------------------------------------------------
    def hang_up(self, by: EndedBy, cause: int, text: str) -> None:
        """End the call from inside: funds, administrator, media time-out, shutdown."""
        if self.state is CallState.ENDED:
            return
        if self.state is not CallState.ANSWERED:
            self._reject(480, cause, text)
        self._end(by, cause, None, text=text)

    def _abort(self, status: int, text: str) -> None:
        if self.state is CallState.ENDED:
            return
        self.trace.add("fault", "{status} {text}", status=status, text=text)
        core = self.services.core
        retry = [("Retry-After", "10")] if status == 503 else []
        core.perform(self.invite.reject(status, core.now(), headers=[reason(q850_cause(status), text), *retry]))
        self._end("failure", q850_cause(status), status, text=text)

    def _leg_ended(self, event: Ended) -> None:
        if self.state is not CallState.ANSWERED:
            self._bridge.early_ended(event.session)
            return
        by: EndedBy = "timer" if event.reason == "timer" else "callee" if event.session is self.callee else "caller"
        if event.reason == "failed" or event.reason == "no-ack":
            by = "failure"
        cause = reason_cause(event.request) if event.request is not None else None
        self.trace.add("end", "{by} ended the call ({reason})", by=by, reason=event.reason)
        headers = [line for line in crossing(event.request) if line[0] == "Reason"] if event.request is not None else []
        self._end(by, cause or (16 if event.reason == "bye" else 31), None, headers=headers)

    def _end(
        self,
        by: EndedBy,
        cause: int,
        status: int | None,
        *,
        text: str = "Normal call clearing",
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        if self.state is CallState.ENDED:
            return
        was_answered, self.state = self.state is CallState.ANSWERED, CallState.ENDED
        self._stop_timers()
        if self._funds is not None:
            self._funds.stop()
        self._cancel_attempts(*(headers or [reason(cause, text)]))
        if was_answered:
            self._bye_both(headers or [reason(cause, text)])
        self.services.over(self)
        if self._registered and self.credit is not None:
            self.services.settle(call_finish(self, self.credit, by, cause, 200 if was_answered else status))
        self.services.recorder.call_ended(self, by, cause, 200 if was_answered else status)
        log.info("call ended", extra=self.log_fields() | {"by": by, "cause": cause, "status": status})
        self._let_go()

    def _let_go(self) -> None:
        """Cut what leads back here: the call's memory goes at once, not with its transactions or the next collection.

        What the legs still have to do, such as BYE and CANCEL, they do by themselves.
        """
        self._funds = None
        for leg in (self.invite, *self.invite.sessions, *self._attempts, self.callee):
            if leg is not None:
                leg.owner = None
        if self.callee is not None:
            self.invite.transaction.user = None

    def _bye_both(self, headers: list[tuple[str, str]]) -> None:
        core = self.services.core
        if self.callee is not None and self.callee.state is State.ACCEPTED and self._asked is not None:
            core.perform(self.callee.ack(self._asked, core.now()))  # RFC 3261 15: no BYE before the ACK
        for session in (self.callee, *self.invite.sessions):
            if session is not None:
                core.perform(session.bye(core.now(), headers))

    def _stop_timers(self) -> None:
        if self._stage_timer is not None:
            self._stage_timer.cancel()
            self._stage_timer = None
