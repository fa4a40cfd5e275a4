# SPDX-License-Identifier: Apache-2.0
"""One call: from the INVITE that asks for it to the record that it leaves.

Events of the legs come in through `receive` and are dealt with one after the other, whatever each of them waits for
(the store, the media relay). A task exists only while there is something to do.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING, Any, Final

from billing_client.types import StoreError
from switch.access.caller import as_dialled, chain_of, dialled_uri, is_unproven
from switch.access.unheard import ACK_SECONDS
from switch.calls.bridge import Bridge
from switch.calls.crossing import Answer, reason_lines
from switch.calls.decide import decide
from switch.calls.invitation import login_for
from switch.calls.ringing import Ringing
from switch.calls.setup import SetUp, was_not_heard
from switch.calls.transfers.change import Joining, TryAgain
from switch.calls.transfers.desk import Desk, asks_to_replace, is_change
from switch.calls.transfers.sides import Sides
from switch.calls.view import CallState, Timed, is_acceptance, leads_to_account, log_fields
from switch.money.payment import Payment
from switch.money.warning import warn_payer
from switch.relay.ng import NgError, RelayUnavailable
from switch.routing.plan import Refusal, called
from switch.sip.digest import Verdict
from switch.sip.mark import NOBODY
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import INNER
from switch.sip.message.reason import q850_cause, reason, reason_cause
from switch.sip.session import (
    Acknowledged,
    Answered,
    Cancelled,
    Ended,
    Failed,
    Progressed,
    Refreshed,
    Replied,
    Requested,
    Session,
    State,
    Withdrawn,
)
from switch.trace.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from billing_client.calls import EndedBy
    from billing_client.parties import Parties, Party
    from billing_client.rules.books import Gateway
    from switch.access.caller import Shown
    from switch.calls.hunt import Result
    from switch.calls.shared import Shared
    from switch.routing.caller import Caller
    from switch.routing.plan import Plan
    from switch.sip.message.message import Request
    from switch.sip.session import IncomingInvite, SessionEvent
    from switch.sip.ways import Warrant

    Handler = Callable[["Call", Any], Awaitable[None]]

__all__ = ["Call", "CallState"]

log = logging.getLogger(__name__)

SETUP, RINGING, ANSWERED, ENDED = CallState

_RETRY: Final = {503: (("Retry-After", "10"),)}


class Call(Timed):
    """A B2BUA call with its money."""

    __slots__ = (
        "_asked", "_desk", "_inbox", "_refusal", "_ringing", "_shared", "_shown", "_task", "account", "bridge",
        "call_id", "caller", "chain", "depth", "dialled", "gateway", "invite", "ladder", "limit", "payment", "plan",
        "sides", "state", "trace", "typed",
    )  # fmt: skip

    def __init__(self, shared: Shared, invite: IncomingInvite, shown: Shown) -> None:
        """`shown`: what the INVITE brings that may identify its sender."""
        super().__init__(shared.utc(), shared.core.now)
        self._shared = shared
        self._shown = shown
        self.invite = invite
        self.call_id = uuid.uuid4().hex
        self.state = SETUP
        self.trace = Trace()
        self.ladder = shared.recorder.begin(invite.request.call_id, invite.flow)
        self.dialled = self.typed = ""
        self.caller: Caller | None = None
        self.chain = NOBODY
        """Who began all this, and through how many applications."""
        self.limit: Refusal | None = None
        """Why the media server was not asked for what the call wanted of it."""
        self.account: Party | None = None
        """The account of ours that calls."""
        self.plan: Plan | None = None
        self.payment = Payment(shared.till, self.call_id)
        self._ringing: Ringing | None = None
        self._refusal: Refusal | None = None
        """Given while the caller hears why the call is refused."""
        self.sides = Sides(invite)
        """Who talks on either side."""
        self._desk: Desk | None = None
        """What changes its parties, once somebody wants that."""
        self.depth = 0
        """How many calls one after the other were sent on for it."""
        self._asked: Request | None = None
        """The INVITE that it answered, until that is acknowledged."""
        self.gateway: Gateway | None = None
        self.bridge = Bridge(shared.legs, shared.relay, self.call_id, invite)
        self._inbox: list[SessionEvent | None] = [None]
        self._task: asyncio.Task[None] | None = None

    @property
    def warrant(self) -> Warrant | None:
        """What INVITEs to carriers show; None: they may not leave."""
        return self.payment.warrant

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
                    await (self._set_up() if event is None else self._deal_with(event))
                except ParseError as error:
                    self._abort(error.status, error.reason)
                except RelayUnavailable as error:
                    self._abort(503, str(error))
                except NgError as error:
                    self.answered_at = None  # within a call it is raised where the first answer never came
                    self.payment.waive()
                    self._abort(488, str(error))
                except StoreError as error:
                    self._abort(error.sip_status, "Billing store unavailable")
                except Exception:  # the supervisor of a call: one call's bug must not end the switch
                    log.exception("call failed", extra=log_fields(self))
                    self._abort(500, "Internal error")
        finally:
            self._task = None

    async def _deal_with(self, event: SessionEvent) -> None:
        if self._desk is None and self.state is ANSWERED and is_change(event):
            self._desk = Desk(self._shared, self)
        if self._desk is None or not await self._desk.takes(event):
            await TABLE[type(event)][self.state](self, event)

    async def _requested(self, event: Requested) -> None:
        """A request within the call."""
        if self.payment.awaits_acceptance and is_acceptance(self, event):
            self.payment.awaits_acceptance = False
            self.trace.add("funds", "whoever was rung has accepted: the call is charged")
            self.bridge.refuse(event, Answer(200))
        else:
            to_account = leads_to_account(self, event.session)
            await self.bridge.requested(event, to_account=to_account, wait=self._shared.messages.wait)

    async def _acknowledged(self, event: Acknowledged) -> None:
        if self.invite.ack_seconds is not None and event.session is not self.sides.callee:
            self._shared.check.unheard.acknowledged(self.invite.request, self.invite.flow)
        self.invite.request.forget_parsed()
        await self.bridge.acknowledged(event)

    async def _passed_over(self, event: SessionEvent) -> None:
        """It changes nothing, or comes too late to."""

    async def _too_late_to_join(self, event: Joining) -> None:
        self._shared.legs.reject(event.invite, 481, [reason(41, "No such call")])

    # setting up -------------------------------------------------------------------------------------------------
    async def _set_up(self) -> None:
        shared, request, flow = self._shared, self.invite.request, self.invite.flow
        shared.legs.ring(self.invite, 100)
        settings = shared.settings
        asked = dialled_uri(request, self._shown)
        destination = called(asked, settings.domains, flow, settings.emergency, settings.caller_id)
        self.dialled = destination.number
        if request.max_forwards is not None and request.max_forwards < 1:
            await self._refuse(Refusal(483, 25, "Too many hops"))
            return
        hands = SetUp(shared, self, self.payment, as_dialled(self._shown, destination.hides))
        is_call = request.get("Replaces") is None
        decision = await (decide(destination, hands) if is_call else asks_to_replace(shared, self, hands))
        if isinstance(decision, Refusal):
            await self._refuse(decision)
        elif isinstance(decision, Verdict):
            self._end("failure", 21, 407)
        elif isinstance(decision, Joining) and self.state is SETUP:
            self._end("caller", 16, None)
            decision.call.receive(decision)
        elif decision is not None and self.state is SETUP:
            self._ringing = hands.ringing
            await self._ringing.ring()

    def is_from(self, caller: Caller, ends: Parties) -> None:
        """Who calls is known, and by his number plan who is called."""
        self.caller, self.account = caller, (account := ends.caller)
        if ends.dialled is not None and ends.dialled.text != self.dialled:
            self.dialled, self.typed = ends.dialled.text, ends.dialled.typed
        flow = self.invite.flow
        if account is not None and caller.is_own and caller.gateway is None:
            self._shared.talks.begins(self, account.account_id)
        if caller.sent_on is not None:
            self.depth = caller.sent_on.depth
        self.chain = chain_of(caller, account, flow)
        self.invite.login = login_for(caller.gateway, self._shared.core.agent.new_token)
        if caller.forwarding is not None and flow.transport == INNER:
            self.bridge.is_forward_of(caller.forwarding)
        if is_unproven(caller, flow):
            self.invite.ack_seconds = ACK_SECONDS

    def goes_by(self, plan: Plan) -> None:
        """The dial plan lets it go on."""
        self.plan = plan

    async def _refuse(self, refusal: Refusal) -> None:
        self.trace.add("refused", "{status} {text}", status=refusal.status, text=refusal.text)
        ringing = Ringing(self._shared, self)
        if await ringing.announce(refusal):
            self._ringing, self._refusal = ringing, refusal
        else:
            self._end_refused(refusal)

    def _end_refused(self, refusal: Refusal) -> None:
        self._reject(refusal.status, refusal.cause, refusal.text)
        self._end("failure", refusal.cause, refusal.status)

    def _reject(self, status: int, cause: int, text: str) -> None:
        self._shared.legs.reject(self.invite, status, [reason(cause, text), *_RETRY.get(status, ())])

    def is_limited(self, refusal: Refusal) -> None:
        """The media server was not asked for what the call wanted of it; it is refused so where nothing else rings."""
        self.limit = refusal

    # ringing ----------------------------------------------------------------------------------------------------
    def rings(self, gateway: Gateway | None) -> None:
        """Somebody is being rung: phones, or this carrier."""
        self.state, self.gateway = RINGING, gateway

    async def _progressed(self, event: Progressed) -> None:
        heard = self._ringing.progressed(event) if self._ringing is not None else None
        if heard is not None:
            await self.bridge.progressed(heard)

    async def _answered(self, event: Answered) -> None:
        ringing = self._ringing if not self.invite.answered else None
        if ringing is not None and ringing.is_mute(event):
            await self._failed(ringing.hung_up(event))
            return
        found = ringing.answered(event) if ringing is not None else None
        if found is None or self._refusal is not None:
            self._shared.legs.hang_up(event.session)  # with the ACK
            if found is not None and self._refusal is not None:  # announcements are never answered: nobody would pay
                event.invite.owner = None
                self._end_refused(self._refusal)
            return
        branch, response = found
        self._ringing = None
        self.state = ANSWERED
        self._asked = event.invite.request
        self.sides.answered(event.session, self.plan.callee if branch.is_phone and self.plan is not None else None)
        event.invite.owner = None  # other forks that answer are none of our business
        self.trace.add("answer", "{name} answered", name=branch.name)
        await self.bridge.answered(event.session, event.invite.request, response)
        if event.session.state is not State.ACCEPTED:
            self._asked = None
        if self.state is ANSWERED:
            self._begin_to_pay()

    async def _answered_late(self, event: Answered) -> None:
        self._shared.legs.hang_up(event.session)  # with the ACK

    def _begin_to_pay(self) -> None:
        """Both sides have the answer: who cannot be connected, because the relay refused, owes nothing."""
        self.answered_at = self.utc()
        self._shared.recorder.answered(self.trace, self.ladder)
        self.payment.answered(self.answered_at, self._lasts_too_long)
        self._stand()

    def _stand(self) -> None:
        """Write down what the next life needs to hang up on both sides."""
        if self.sides.callee is not None and self.answered_at is not None:
            legs = (self.sides.callee, self.bridge.peer(self.sides.callee))
            why, will = reason(41, "Switch was restarted"), self.payment.will(self.times, self.gateway)
            self._shared.standing.answered(self.call_id, legs, why, answered_at=self.answered_at, will=will)

    # other parties ----------------------------------------------------------------------------------------------
    def party_at(self, session: Session) -> Party | None:
        """The account of ours whose phone is on that side; None: somebody else is, or nobody can say."""
        caller = self.caller
        if self.plan is None or self.plan.is_emergency:
            return None
        is_phone = caller is not None and caller.is_own and caller.gateway is None
        return self.sides.phone_at(session, self.account if is_phone else None)

    def gives_way(self, old: Session, new: Session, *, by: str | None, party: Party | None = None) -> None:
        """`new` talks in the place of `old` from now on, `by` whose will; `party`: whose phone it is."""
        self.sides.change(old, new, party)
        self.payment.transferred_by = by
        self._stand()

    async def _failed(self, event: Failed) -> None:
        await self._failed_late(event)
        result = await self._ringing.failed(event) if self._ringing is not None else None
        if result is not None and self._refusal is not None:
            self._end_refused(self._refusal)
        elif result is not None:
            self._nobody_answered(result)

    async def _failed_late(self, event: Failed) -> None:
        if not event.local and event.invite.answered is None and event.invite.transaction is not None:
            event.invite.transaction.user = None  # it lives on for half a minute

    def _nobody_answered(self, result: Result) -> None:
        text = result.text if result.response is not None else None
        self._shared.legs.reject(self.invite, result.status, result.headers, text)
        by: EndedBy = "callee" if result.response is not None else "failure"
        self._end(by, result.q850, result.status, text=result.text)

    def funds_ended(self) -> None:
        """The paid time is over."""
        self.hang_up("funds", 31, "Funds used up")

    def _lasts_too_long(self) -> None:
        self.hang_up("timer", 31, "Longest call that nobody pays for")

    def funds_end_soon(self) -> None:
        """The payer is to be warned."""
        warning = warn_payer(*self.bridge.payer_at, self.trace)
        self._shared.core.keep(asyncio.get_running_loop().create_task(warning))

    # the end ----------------------------------------------------------------------------------------------------
    def hang_up(self, by: EndedBy, cause: int, text: str, *, heard_at: float | None = None) -> None:
        """End the call from inside: funds, administrator, media time-out, shutdown. What came after `heard_at`
        (monotonic) is not charged."""
        if self.state is ENDED:
            return
        self.payment.heard_at = heard_at
        self._reject(480, cause, text)  # nothing, where it was answered
        self._end(by, cause, None, text=text)

    def _abort(self, status: int, text: str) -> None:
        if self.state is ENDED:
            return
        self.trace.add("fault", "{status} {text}", status=status, text=text)
        if self.answered_at is None:
            self.bridge.void_forwards()
        self._reject(status, q850_cause(status), text)
        self._end("failure", q850_cause(status), status, text=text)

    async def _given_up(self, event: Cancelled) -> None:
        self.trace.add("end", "the caller gave up")
        self._end("caller", reason_cause(event.request.all("Reason")) or 16, 487)

    async def _leg_ended(self, event: Ended) -> None:
        by: EndedBy = (
            "timer" if event.reason == "timer" else "callee" if event.session is self.sides.callee else "caller"
        )
        if event.reason == "failed" or event.reason == "no-ack":
            by = "failure"
        if event.reason == "no-ack" and event.session is not self.sides.callee and self.invite.ack_seconds is not None:
            was_not_heard(self._shared.check, self, self.payment)
        cause = reason_cause(event.request.all("Reason")) if event.request is not None else None
        self.trace.add("end", "{by} ended the call ({reason})", by=by, reason=event.reason)
        self._end(by, cause or (16 if event.reason == "bye" else 31), None, headers=reason_lines(event.request))

    def _end(
        self,
        by: EndedBy,
        cause: int,
        status: int | None,
        *,
        text: str = "Normal call clearing",
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        if self.state is ENDED:
            return
        was_answered, self.state = self.state is ANSWERED, ENDED
        self.payment.ended()
        self._shared.emergencies.ended(self.call_id)
        if self.caller is not None and self.caller.forwarding is not None and self.caller.forwarding.is_void:
            self.bridge.void_forwards()
            self.answered_at = None
            self.payment.waive()
        if self._desk is not None:
            self._desk.stop()
        if self._ringing is not None:
            self._ringing.stop(*(headers or [reason(cause, text)]))
        if was_answered:
            self.sides.hang_up(self._shared.legs, self._asked, headers or [reason(cause, text)])
        final = status if self.answered_at is None else 200
        # before it is over: whoever is killed between them has told it
        self.payment.settle(self.times, self.gateway, by, cause, final)
        self._shared.over(self, by, cause, final)
        log.info("call ended", extra=log_fields(self) | {"by": by, "cause": cause, "status": status})
        self._let_go()

    def _let_go(self) -> None:
        """Cut what leads back here: the call's memory goes at once, not with its transactions or the next collection.

        What the legs still have to do, such as BYE and CANCEL, they do by themselves.
        """
        self._ringing = self._desk = None
        self.sides.let_go()


def _always(handler: Handler) -> dict[CallState, Handler]:
    return dict.fromkeys(CallState, handler)


TABLE: Final[dict[type[Any], dict[CallState, Handler]]] = {
    Progressed: _always(Call._passed_over) | {RINGING: Call._progressed},
    Answered: _always(Call._answered_late) | {RINGING: Call._answered},
    Failed: _always(Call._failed_late) | {RINGING: Call._failed},
    Cancelled: _always(Call._given_up) | {ENDED: Call._passed_over},
    Ended: _always(lambda call, event: call.bridge.early_ended(event.session)) | {ANSWERED: Call._leg_ended},
    Refreshed: _always(Call._passed_over),
    Requested: _always(Call._requested),
    Withdrawn: _always(lambda call, event: call.bridge.withdrawn(event)),
    Replied: _always(lambda call, event: call.bridge.replied(event)),
    Acknowledged: _always(Call._acknowledged),
    Joining: _always(Call._too_late_to_join),
    TryAgain: _always(Call._passed_over),
}
"""What an event does to a call, by the state in which it finds it. What changes the state: `rings` (also when the next
one is rung), `_answered`, and `_end`, from any state and once; nothing leads back."""
