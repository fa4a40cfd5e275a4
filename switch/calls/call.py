# SPDX-License-Identifier: Apache-2.0
"""One call: from the INVITE that asks for it to the record that it leaves.

Events of the legs come in through `receive` and are dealt with one after the other, whatever each of them waits for
(the store, the media relay). A task exists only while there is something to do.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from billing_client.types import StoreError, StoreUnavailable
from switch.access.caller import chain_of, is_unproven, note_caller
from switch.access.unheard import ACK_SECONDS
from switch.calls.bridge import Bridge
from switch.calls.crossing import Answer, Side, answer_within, reason_lines, replied
from switch.calls.legs import login_for
from switch.calls.ringing import Ringing
from switch.calls.state import CallState
from switch.calls.warning import warn_payer
from switch.money.payment import Payment
from switch.relay.ng import NgError, RelayUnavailable
from switch.routing.plan import Refusal, called, nowhere, plan_call
from switch.sip.digest import Verdict
from switch.sip.mark import ACCEPTED, NOBODY
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import INNER
from switch.sip.message.reason import reason, reason_cause
from switch.sip.message.status import q850_cause
from switch.sip.session import (
    Acknowledged,
    Answered,
    Cancelled,
    Ended,
    Failed,
    Progressed,
    Replied,
    Requested,
    Session,
    State,
    Withdrawn,
)
from switch.trace.trace import Trace

if TYPE_CHECKING:
    from datetime import datetime

    from billing_client.rules.books import Gateway
    from billing_client.types import EndedBy, Parties, Party
    from switch.calls.hunt import Result
    from switch.calls.services import Services
    from switch.money.credit import Credit
    from switch.routing.plan import Caller, Plan
    from switch.sip.message.message import Request
    from switch.sip.session import IncomingInvite, SessionEvent

__all__ = ["Call", "CallState"]

log = logging.getLogger(__name__)

_RETRY: Final = {503: (("Retry-After", "10"),)}


class Call:
    """A B2BUA call with its money."""

    __slots__ = (
        "_asked",
        "_inbox",
        "_refusal",
        "_task",
        "account",
        "answered_at",
        "began",
        "bridge",
        "call_id",
        "callee",
        "caller",
        "chain",
        "dialled",
        "gateway",
        "invite",
        "ladder",
        "limited",
        "payment",
        "plan",
        "ringing",
        "services",
        "started_at",
        "state",
        "trace",
    )

    def __init__(self, services: Services, invite: IncomingInvite) -> None:
        self.services = services
        self.invite = invite
        self.call_id = uuid.uuid4().hex
        self.state = CallState.SETUP
        self.trace = Trace()
        self.ladder = services.recorder.begin(invite.request.call_id, invite.flow)
        self.started_at = services.utc()
        self.began = services.core.now()
        """The same moment in monotonic seconds."""
        self.answered_at: datetime | None = None
        self.dialled = ""
        self.caller: Caller | None = None
        self.chain = NOBODY
        """Who began all this, and through how many applications."""
        self.limited: Refusal | None = None
        """Why the media server was not asked for what the call wanted of it."""
        self.account: Party | None = None
        """The account of ours that calls."""
        self.plan: Plan | None = None
        self.payment = Payment(services)
        self.ringing: Ringing | None = None
        self._refusal: Refusal | None = None
        """Given while the caller hears why the call is refused."""
        self.callee: Session | None = None
        """The leg that answered."""
        self._asked: Request | None = None
        """The INVITE that it answered, until that is acknowledged."""
        self.gateway: Gateway | None = None
        self.bridge = Bridge(services.core, services.relay, self.call_id, invite)
        self._inbox: list[SessionEvent | None] = [None]
        self._task: asyncio.Task[None] | None = None

    @property
    def source(self) -> Side:
        """Who sent the INVITE."""
        caller = self.caller
        if caller is not None and not caller.is_own:
            return Side.OURSELVES
        return Side.PHONE if caller is None or caller.gateway is None else Side.CARRIER

    @property
    def own_request(self) -> Request | None:
        """The INVITE where it is one of our own, so that what it says of its way is true."""
        return self.invite.request if self.source is Side.OURSELVES else None

    @property
    def credit(self) -> Credit | None:
        """The funds that the call holds."""
        return self.payment.credit

    def clock_set(self, seconds: float) -> tuple[str, datetime, datetime | None] | None:
        """The clock of all records was set; returns what the store is to know of it, if it has the call."""
        self.started_at += timedelta(seconds=seconds)
        if self.answered_at is not None:
            self.answered_at += timedelta(seconds=seconds)
        return (self.call_id, self.started_at, self.answered_at) if self.payment.is_registered else None

    def utc(self) -> datetime:
        """Now, by this call's own clock: the wall's when it began, and monotonic since.

        So start, answer and end of a call are as far apart as they were, whatever happens to the wall's clock.
        """
        return self.started_at + timedelta(seconds=self.services.core.now() - self.began)

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
                    self.answered_at = None  # within a call it is raised where the first answer never came
                    self.payment.void()
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
        payer = self.plan.payer if self.plan is not None else None
        account = payer.number if payer else None
        sip_call_id = self.invite.request.call_id
        return {"call": self.call_id, "sip_call_id": sip_call_id, "dialled": self.dialled, "account": account}

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
                await self._requested(event)
            case Withdrawn():
                self.bridge.withdrawn(event)
            case Replied():
                await self.bridge.replied(event)
            case Acknowledged():
                if self.invite.ack_seconds is not None and event.session is not self.callee:
                    self.services.check.unheard.acknowledged(self.invite.request, self.invite.flow)
                self.invite.request.forget_parsed()
                await self.bridge.acknowledged(event)

    async def _requested(self, event: Requested) -> None:
        """A request within the call: it crosses if it is one of those that may, or is answered by us."""
        if self._is_acceptance(event):
            self.payment.awaits_acceptance = False
            self.trace.add("funds", "whoever was rung has accepted: the call is charged")
            self.bridge.refuse(event, Answer(200))
            return
        answer = answer_within(event.request, to_account=self._leads_to_account(event.session))
        if answer is None and event.request.method == "MESSAGE":
            answer = self.services.messages.refusal((self.call_id,))
        if answer is None:
            await self.bridge.requested(event)
        else:
            self.bridge.refuse(event, answer)

    def _is_acceptance(self, event: Requested) -> bool:
        """Whether the media server says that its call was accepted."""
        return (
            self.payment.awaits_acceptance
            and event.session in self.invite.sessions
            and event.request.method == "INFO"
            and event.request.get(ACCEPTED) is not None
        )

    def _leads_to_account(self, session: Session) -> bool:
        """Whether what comes by one leg goes to an account of ours, or to a call of ours that may lead to one."""
        if session in self.invite.sessions:
            return self.plan is not None and self.plan.callee is not None
        return self.source is not Side.CARRIER

    # setting up -------------------------------------------------------------------------------------------------
    async def _set_up(self) -> None:
        services, request = self.services, self.invite.request
        services.core.perform(self.invite.progress(100, services.core.now()))
        settings = services.settings
        destination = called(request.uri, settings.domains, self.invite.flow, settings.emergency)
        self.dialled = destination.number
        hops = request.max_forwards
        if hops is not None and hops < 1:
            await self._refuse(Refusal(483, 25, "Too many hops"))
            return
        if destination.refusal is not None:
            await self._refuse(destination.refusal)
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
                challenge = services.check.challenge(request, self.invite.flow, caller)
                services.core.perform(self.invite.refuse(challenge, services.core.now()))
            self._end("failure", 21, 407)
            return
        self.caller, self.account = caller, parties.caller
        self.invite.login = login_for(caller.gateway, services.core)
        self.chain = chain_of(caller, parties.caller, self.invite.flow)
        if caller.forwarding is not None and self.invite.flow.transport == INNER:
            self.bridge.is_forward_of(caller.forwarding)
        if is_unproven(caller, self.invite.flow):
            self.invite.ack_seconds = ACK_SECONDS
        note_caller(self.trace, caller, self.invite.flow.remote[0])
        plan = plan_call(parties, self.dialled, caller, services.dial_plan, self.started_at, self.trace)
        if isinstance(plan, Refusal):
            if parties.callee is None and services.reach.is_away:
                raise StoreUnavailable(f"{self.dialled} may be an account that is not remembered")
            await self._refuse(plan)
            return
        self.plan = plan
        await self._find_ways(plan, caller, parties)

    async def _find_ways(self, plan: Plan, caller: Caller, parties: Parties) -> None:
        self.ringing = Ringing(self)
        if not await self.ringing.look_around(plan, parties):
            await self._refuse(self.limited or nowhere(plan))
            return
        if not self.invite.answered and await self._authorise(plan, caller):
            await self.ringing.ring()

    async def _authorise(self, plan: Plan, caller: Caller) -> bool:
        """Register the call and lock its first funds: only then may an INVITE leave."""
        if plan.is_emergency and plan.payer is not None:
            refusal = self._admit_emergency(plan.payer, caller)
            if refusal is not None:
                await self._refuse(refusal)
                return False
        refusal = await self.payment.authorise(self, plan, caller, self._funds_ended, self._funds_end_soon)
        if refusal is not None:
            await self._refuse(refusal)
        elif self.invite.answered:
            self._end("caller", 16, 487)
        return self.state is CallState.SETUP

    def _admit_emergency(self, account: Party, caller: Caller) -> Refusal | None:
        """Let two emergency calls of an account run, and two that come from the address of a carrier."""
        emergencies, now = self.services.emergencies, self.services.core.now()
        callers = [f"account {account.number}"]
        if caller.gateway is not None:
            callers.append(f"address {self.invite.flow.remote[0]}")
        busy = emergencies.begin(self.call_id, callers, now)
        if emergencies.is_alarming(callers, now):
            log.warning("many emergency calls", extra=self.log_fields() | {"callers": callers, "refused": bool(busy)})
        if busy is None:
            return None
        return Refusal(486, 17, f"refused: two emergency calls of {busy} run already", "ann-too-many-calls")

    async def _refuse(self, refusal: Refusal) -> None:
        self.trace.add("refused", "{status} {text}", status=refusal.status, text=refusal.text)
        ringing = Ringing(self)
        if self._may_announce(refusal) and await ringing.announce(refusal):
            self.ringing, self._refusal = ringing, refusal
        else:
            self._end_refused(refusal)

    def _may_announce(self, refusal: Refusal) -> bool:
        """Whether a phone of ours is told in words, in early media, before it gets the refusal."""
        caller, settings = self.caller, self.services.settings
        is_phone = caller is not None and caller.is_own and caller.gateway is None
        return bool(settings.announcements and refusal.prompt and is_phone and self.invite.request.sdp)

    def _end_refused(self, refusal: Refusal) -> None:
        self._reject(refusal.status, refusal.cause, refusal.text, *_RETRY.get(refusal.status, ()))
        self._end("failure", refusal.cause, refusal.status)

    def _reject(self, status: int, cause: int, text: str, *headers: tuple[str, str]) -> None:
        core = self.services.core
        core.perform(self.invite.reject(status, core.now(), headers=[reason(cause, text), *headers]))

    # ringing ----------------------------------------------------------------------------------------------------
    async def _progressed(self, event: Progressed) -> None:
        if self.state is CallState.RINGING and self.ringing is not None:
            heard = self.ringing.progressed(event)
            if heard is not None:
                await self.bridge.progressed(heard)

    async def _answered(self, event: Answered) -> None:
        ringing = self.ringing if self.state is CallState.RINGING and not self.invite.answered else None
        if ringing is not None and ringing.is_mute(event):
            await self._failed(ringing.hung_up(event))
            return
        found = ringing.answered(event) if ringing is not None else None
        if found is None or self._refusal is not None:
            self.services.core.perform(event.session.bye(self.services.core.now()))  # with the ACK
            if found is not None and self._refusal is not None:  # announcements are never answered: nobody would pay
                event.invite.owner = None
                self._end_refused(self._refusal)
            return
        branch, response = found
        self.ringing = None
        self.state = CallState.ANSWERED
        self.callee, self._asked = event.session, event.invite.request
        event.invite.owner = None  # other forks that answer are none of our business
        self.trace.add("answer", "{name} answered", name=branch.name)
        await self.bridge.answered(event.session, event.invite.request, response)
        if event.session.state is not State.ACCEPTED:
            self._asked = None
        if self.state is CallState.ANSWERED:
            self._begin_to_pay()

    def _begin_to_pay(self) -> None:
        """Both sides have the answer: who cannot be connected, because the relay refused, owes nothing."""
        self.answered_at = self.utc()
        self.services.store.call_answered(self.call_id, self.answered_at)
        self.services.recorder.answered(self.trace, self.ladder)
        self.payment.answered(self._lasts_too_long)
        if self.callee is not None:
            legs = (self.callee, self.bridge.peer(self.callee))
            self.services.standing.answered(
                self.call_id,
                legs,
                reason(41, "Switch was restarted"),
                answered_at=self.answered_at,
                will=self.payment.will(self),
            )

    async def _failed(self, event: Failed) -> None:
        if not event.local and event.invite.answered is None and event.invite.transaction is not None:
            event.invite.transaction.user = None  # it lives on for half a minute
        result = await self.ringing.failed(event) if self.ringing is not None else None
        if result is not None and self._refusal is not None:
            self._end_refused(self._refusal)
        elif result is not None:
            self._nobody_answered(result)

    def _nobody_answered(self, result: Result) -> None:
        headers = [] if result.response is None else replied(result.response)[2]
        cause = result.cause or (result.response and reason_cause(result.response)) or q850_cause(result.status)
        if not any(name == "Reason" for name, _ in headers):
            headers.append(reason(cause, result.text))
        text = result.text if result.response is not None else None
        core = self.services.core
        core.perform(self.invite.reject(result.status, core.now(), reason=text, headers=headers))
        self._end("callee" if result.response is not None else "failure", cause, result.status, text=result.text)

    def _funds_ended(self) -> None:
        self.hang_up("funds", 31, "Funds used up")

    def _lasts_too_long(self) -> None:
        self.hang_up("timer", 31, "Longest call that nobody pays for")

    def _funds_end_soon(self) -> None:
        warning = warn_payer(self.bridge.relay, self.call_id, self.trace)
        self.services.core.keep(asyncio.get_running_loop().create_task(warning))

    # the end ----------------------------------------------------------------------------------------------------
    def hang_up(self, by: EndedBy, cause: int, text: str) -> None:
        """End the call from inside: funds, administrator, media time-out, shutdown."""
        if self.state is CallState.ENDED:
            return
        self._reject(480, cause, text)  # nothing, where it was answered
        self._end(by, cause, None, text=text)

    def _abort(self, status: int, text: str) -> None:
        if self.state is CallState.ENDED:
            return
        self.trace.add("fault", "{status} {text}", status=status, text=text)
        if self.answered_at is None:
            self.bridge.void_forwards()
        core = self.services.core
        retry = _RETRY.get(status, ())
        core.perform(self.invite.reject(status, core.now(), headers=[reason(q850_cause(status), text), *retry]))
        self._end("failure", q850_cause(status), status, text=text)

    def _leg_ended(self, event: Ended) -> None:
        if self.state is not CallState.ANSWERED:
            self.bridge.early_ended(event.session)
            return
        by: EndedBy = "timer" if event.reason == "timer" else "callee" if event.session is self.callee else "caller"
        if event.reason == "failed" or event.reason == "no-ack":
            by = "failure"
        if event.reason == "no-ack" and event.session is not self.callee and self.invite.ack_seconds is not None:
            self._was_not_heard()
        cause = reason_cause(event.request) if event.request is not None else None
        self.trace.add("end", "{by} ended the call ({reason})", by=by, reason=event.reason)
        self._end(by, cause or (16 if event.reason == "bye" else 31), None, headers=reason_lines(event.request))

    def _was_not_heard(self) -> None:
        """Nobody acknowledged the answer at an address that somebody may have only written into a packet."""
        self.payment.waive()
        self.trace.add(
            "funds", "the answer was not acknowledged in {seconds:.0f} s: nothing is charged", seconds=ACK_SECONDS
        )
        if self.caller is None or self.caller.is_application:
            return  # the media server, by its mark: nobody pretends to be it
        check, flow, now = self.services.check, self.invite.flow, self.services.core.now()
        if check.unheard.not_acknowledged(self.invite.request, flow, now):
            log.warning("calls of an address are not acknowledged", extra={"source": flow.remote[0]})

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
        self.payment.ended()
        self.services.emergencies.ended(self.call_id)
        if self.caller is not None and self.caller.forwarding is not None and self.caller.forwarding.is_void:
            self.bridge.void_forwards()
            self.answered_at = None
            self.payment.void()
        if self.ringing is not None:
            self.ringing.stop(*(headers or [reason(cause, text)]))
        if was_answered:
            self._bye_both(headers or [reason(cause, text)])
        final = status if self.answered_at is None else 200
        self.payment.settle(self, by, cause, final)  # before it is over: whoever is killed between them has told it
        self.services.over(self)
        self.services.recorder.call_ended(self, by, cause, final)
        log.info("call ended", extra=self.log_fields() | {"by": by, "cause": cause, "status": status})
        self._let_go()

    def _let_go(self) -> None:
        """Cut what leads back here: the call's memory goes at once, not with its transactions or the next collection.

        What the legs still have to do, such as BYE and CANCEL, they do by themselves.
        """
        self.ringing = None
        for leg in (self.invite, *self.invite.sessions, self.callee):
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
