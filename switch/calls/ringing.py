# SPDX-License-Identifier: Apache-2.0
"""The legs of a call while nobody has answered: who is rung, for how long, and what comes after."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from switch.access.unanswered import EarlySound, without_sound
from switch.calls.hunt import Hunt, is_final
from switch.calls.invitation import login_for
from switch.calls.onward import Onward
from switch.calls.transfers.moved import MOST_MOVES, forward_of, within_carrier
from switch.calls.view import CallState
from switch.routing.answering import Happened, RingPhones, happened
from switch.routing.plan import Application
from switch.sip.message.reason import reason
from switch.sip.session import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from billing_client.parties import Parties
    from switch.calls.hunt import Result
    from switch.calls.shared import Shared
    from switch.calls.view import CallView
    from switch.routing.carriers.gateways import GatewayWays
    from switch.routing.plan import Plan, Refusal
    from switch.routing.ways import Branch, Stage
    from switch.sip.message.message import HeaderLines, Response
    from switch.sip.session import Answered, OutgoingInvite, Progressed

__all__ = ["Ringing"]

log = logging.getLogger(__name__)


_NOT_HIS: Final = frozenset({402, 403, 407})
"""The funds and rights of who forwards are not the caller's."""
_NOT_HIS_MOVED: Final = _NOT_HIS | {404}
"""Nor is the number that a phone has moved to."""


class Ringing:
    """The attempts of one call, stage by stage."""

    __slots__ = (
        "_alive",
        "_attempts",
        "_call",
        "_gateways",
        "_hunt",
        "_moves",
        "_onward",
        "_shared",
        "_sound",
        "_sound_timer",
        "_timers",
    )

    def __init__(self, shared: Shared, call: CallView) -> None:
        self._shared = shared
        self._call = call
        self._hunt = Hunt([], frozenset(shared.settings.routing.failover))
        self._gateways: GatewayWays | None = None
        """Where else the call may go."""
        self._onward: Onward | None = None
        self._moves = 0
        """Redirections that were followed."""
        self._attempts: dict[OutgoingInvite, Branch] = {}
        self._timers: dict[OutgoingInvite, asyncio.TimerHandle] = {}
        self._alive: set[OutgoingInvite] = set()
        """Attempts that have given a sign of life."""
        self._sound = EarlySound(shared.settings.early_media_seconds)
        self._sound_timer: asyncio.TimerHandle | None = None

    # where to ---------------------------------------------------------------------------------------------------
    async def look_around(self, plan: Plan, parties: Parties) -> bool:
        """Find whom to ring first; False: nobody."""
        shared, call = self._shared, self._call
        if plan.application is not None:
            self._hunt.stages = [shared.inside.application(call, plan.application)]
        elif plan.callee is not None:
            self._onward = Onward(shared.inside, call, plan.callee, parties.bindings)
            self._hunt.stages = await self._next_step(None)
        elif plan.routes:
            self._hunt.tries_every = plan.is_emergency
            self._gateways = shared.outside.gateways(plan.routes, call.dialled, call.trace)
            self._hunt.stages = await self._gateways.more()
        else:
            self._hunt.stages = await shared.outside.elsewhere(call.invite.request.uri_text, call.trace)
        stage = self._hunt.next_stage()
        return stage is not None and bool(stage.branches)

    async def announce(self, refusal: Refusal) -> bool:
        """Have the media server tell a phone of ours, in early media, why the call is refused; False: it is
        not told."""
        call, settings, caller = self._call, self._shared.settings, self._call.caller
        is_phone = caller is not None and caller.is_own and caller.gateway is None
        if not (settings.announcements and refusal.prompt and is_phone and call.invite.request.sdp):
            return False
        params = (("prompt", refusal.prompt), ("status", str(refusal.status)), ("cause", str(refusal.cause)))
        stage = self._shared.inside.application(self._call, Application("announcement", params=params))
        if not stage.branches:
            return False
        self._hunt.stages = [stage]
        self._hunt.next_stage()
        await self.ring()
        return True

    async def _next_step(self, last: Happened | None) -> list[Stage]:
        """The next step of how the account answers that leads somewhere: a stage, of a trunk one for each address."""
        onward = self._onward
        if onward is None:
            return []
        step = onward.course.next(last)
        while step is not None:
            trunk = onward.trunk if isinstance(step, RingPhones) else None
            if isinstance(step, RingPhones) and trunk is not None:
                stages = await self._shared.outside.trunk(
                    trunk, self._call.dialled, step.seconds, self._shared.inside.random, self._call.trace
                )
            else:
                stages = [onward.stage(step)]
            if stages and stages[0].branches:
                return stages
            step = onward.course.next(Happened.UNREGISTERED if isinstance(step, RingPhones) else Happened.FAILED)
        return []

    # ringing ----------------------------------------------------------------------------------------------------
    async def ring(self) -> None:
        """Ring the present stage."""
        call, stage = self._call, self._hunt.stage
        body = await call.bridge.first_offer(call.invite.request.sdp)
        if call.invite.answered:
            return
        call.rings(stage.gateway)
        if stage.forwards:
            self._shared.legs.ring(call.invite, 181)
        self._ring(stage.branches, body)

    def _ring(self, branches: Sequence[Branch], body: bytes) -> None:
        call, shared = self._call, self._shared
        for branch in branches:
            request = shared.invitations.request(call, branch, body)
            flow = shared.outside.flow_for(branch, request)
            permit = shared.invitations.permit(call, branch)
            login = login_for(branch.gateway, shared.core.agent.new_token)
            attempt = shared.core.agent.invite(
                request, flow, natted=branch.natted, owner=call, permit=permit, login=login
            )
            self._attempts[attempt] = branch
            forwarding = branch.invitation.forwarding if branch.invitation is not None else None
            if forwarding is not None:
                shared.forwards[request.call_id] = forwarding
                call.bridge.expect_forward(request.call_id, forwarding)
            if call.ladder is not None:
                shared.recorder.ladders.add_leg(call.ladder, request.call_id, flow)
            self._note(branch, flow.transport)
            self._start_timer(attempt, branch)
            shared.legs.call(attempt)

    def _note(self, branch: Branch, transport: str) -> None:
        trace, special = self._call.trace, branch.invitation
        if special is None:
            trace.add("ring", "ringing {name} by {transport}", name=branch.name, transport=transport)
        elif special.number is None:
            trace.add("ring", "the media server is asked for {name}", name=branch.name)
        else:
            seconds = self._patience(branch)
            trace.add(
                "forward",
                "{name}, which rings {seconds:.0f} s and sees {number}",
                name=branch.name,
                seconds=seconds,
                number=special.number,
            )

    def _patience(self, branch: Branch) -> float:
        return self._hunt.stage.ring_seconds if branch.ring_seconds is None else branch.ring_seconds

    def _start_timer(self, attempt: OutgoingInvite, branch: Branch) -> None:
        silence = self._hunt.stage.response_seconds
        if silence is None:
            self._set_timer(attempt, self._patience(branch), self._rang_out)
        else:
            self._set_timer(attempt, silence, self._is_silent)

    def _set_timer(self, attempt: OutgoingInvite, seconds: float, due: Callable[[OutgoingInvite], None]) -> None:
        self._stop_timer(attempt)
        self._timers[attempt] = asyncio.get_running_loop().call_later(seconds, due, attempt)

    def _stop_timer(self, attempt: OutgoingInvite) -> None:
        timer = self._timers.pop(attempt, None)
        if timer is not None:
            timer.cancel()

    def _is_silent(self, attempt: OutgoingInvite) -> None:
        """No sign of life came: as if it had answered 408."""
        transaction, branch = attempt.transaction, self._attempts.get(attempt)
        if branch is not None and transaction is not None and transaction.state in ("Proceeding", "Accepted"):
            self._lives(branch)
            self._set_timer(attempt, self._patience(branch), self._rang_out)  # 100 came
        else:
            self._give_up(attempt, 408)

    def _lives(self, branch: Branch) -> None:
        if branch.hop is not None:
            self._shared.outside.rests.lives(branch.hop)

    def _rang_out(self, attempt: OutgoingInvite) -> None:
        self._give_up(attempt, 487, reason(19, "No answer"))

    def _give_up(self, attempt: OutgoingInvite, status: int, *headers: tuple[str, str]) -> None:
        self._shared.legs.give_up(attempt, headers)
        self._call.receive(Failed(attempt, attempt.request.response(status), local=True))

    # what comes of it -------------------------------------------------------------------------------------------
    def progressed(self, event: Progressed) -> Progressed | None:
        """What the caller is to get of a provisional response; None: it is of one that is not rung."""
        attempt = event.invite
        branch = self._attempts.get(attempt)
        if branch is None:
            return None
        if self._hunt.stage.response_seconds is not None and attempt in self._timers and attempt not in self._alive:
            self._lives(branch)
            self._alive.add(attempt)  # from the first one on: who goes on sending them does not ring for ever
            self._set_timer(attempt, self._patience(branch), self._rang_out)
        return event if event.response.sdp is None else self._sounds(event, branch)

    def is_mute(self, event: Answered) -> bool:
        """Whether one that is rung answered with nothing that describes a session, now or before."""
        is_rung, withheld = event.invite in self._attempts, self._sound.withheld.get(event.invite)
        return is_rung and withheld is None and not self._call.bridge.connects(event.session, event.response)

    def hung_up(self, event: Answered) -> Failed:
        """What becomes of a mute answer: nobody would hear anybody, so it is none."""
        legs, invite, why = self._shared.legs, event.invite, reason(88, "Answer is not understood")
        content = event.response.content_type or "no body"
        self._call.trace.add("hunt", "an answer is not understood: {content}", content=content)
        legs.acknowledge(event.session, invite.request)
        legs.hang_up(event.session, [why])
        return Failed(invite, invite.request.response(502, "Answer is not understood", headers=[why]), local=False)

    def answered(self, event: Answered) -> tuple[Branch, Response] | None:
        """The branch that answered, when all others have been given up, and its answer with the session description
        that it has given before; None: it is not rung any more."""
        branch = self._attempts.pop(event.invite, None)
        if branch is None:
            return None
        self._lives(branch)
        response, withheld = event.response, self._sound.withheld.get(event.invite)
        if withheld is not None and response.sdp is None:
            response = response.copy()
            response.describe(withheld)
        self._stop_timer(event.invite)
        self._sound.legs.clear()  # it was answered: no unanswered sound
        self.stop(("Reason", 'SIP;cause=200;text="Call completed elsewhere"'))
        return branch, response

    # sound before the answer ------------------------------------------------------------------------------------
    def _sounds(self, event: Progressed, branch: Branch) -> Progressed:
        """A callee has sound: the caller hears it for so long in all of a call, unless one of both is known for it."""
        call, attempt = self._call, event.invite
        shared, now = self._shared, self._shared.core.now()
        if branch.flow.remote[:2] == shared.settings.media_server:
            return event  # announcements of ours end by themselves
        names = [name for name in (self._sounding(branch), self._listening) if name.startswith("account")]
        is_muted = self._sound.left(now) <= 0 or any(shared.unanswered.is_muted(name, now) for name in names)
        description = event.response.sdp
        if is_muted and attempt.request.sdp is not None and description is not None:
            call.trace.add("hunt", "{name} is not heard before it answers", name=branch.name)
            self._sound.withheld[attempt] = description
            return replace(event, response=without_sound(event.response))
        if self._sound.began(attempt, now):
            left = max(0.0, self._sound.left(now))
            self._sound_timer = asyncio.get_running_loop().call_later(left, self._sounded_out)
        return event

    def _sounded_out(self) -> None:
        """The caller has heard enough of those that do not answer."""
        legs = [attempt for attempt in self._attempts if attempt in self._sound.legs]
        self._tell_of_sound(self._listening)
        for attempt in legs:
            name = self._attempts[attempt].name
            self._call.trace.add("hunt", "{name} was heard for too long without an answer: given up", name=name)
            self._silenced(attempt)
            self._rang_out(attempt)

    def _silenced(self, attempt: OutgoingInvite) -> None:
        if self._sound.ended(attempt, self._shared.core.now()) and self._sound_timer is not None:
            self._sound_timer.cancel()
            self._sound_timer = None

    def _tell_of_sound(self, *others: str) -> None:
        """Count long sound of those that are heard now, and have not answered, and of `others`."""
        now = self._shared.core.now()
        names = {self._sounding(branch) for attempt, branch in self._attempts.items() if attempt in self._sound.legs}
        names = {name for name in {*names, *others} if name}
        self._shared.unanswered.heard(names, now)
        found = {"call": self._call.call_id, "who": sorted(names), "seconds": round(self._sound.seconds(now))}
        log.warning("long sound without an answer", extra=found)

    def _sounding(self, branch: Branch) -> str:
        """Who is heard; empty where that is a call of its own, which tells of it."""
        if branch.gateway is not None:
            return f"carrier {branch.gateway.name}"
        plan = self._call.plan
        is_phone = branch.invitation is None and plan is not None and plan.callee is not None
        return f"account {plan.callee.number}" if is_phone and plan and plan.callee else ""

    @property
    def _listening(self) -> str:
        """The account that calls, or forwards; empty where it is none of ours."""
        return f"account {self._call.account.number}" if self._call.account is not None else ""

    async def failed(self, event: Failed) -> Result | None:
        """A branch came to nothing; the result where that was the last hope."""
        call, hunt = self._call, self._hunt
        self._stop_timer(event.invite)
        self._silenced(event.invite)
        self._shared.forwards.pop(event.invite.request.call_id, None)
        branch = self._attempts.pop(event.invite, None)
        if branch is None or call.state is not CallState.RINGING:
            return None
        response = event.response
        call.trace.add(
            "hunt", "{name}: {status} {reason}", name=branch.name, status=response.status, reason=response.reason
        )
        if event.local and response.status != 487 and self._shared.outside.falls_back(branch, event.invite.flow):
            self._ring((branch,), await call.bridge.first_offer(call.invite.request.sdp))
            return None
        if self._retry_with_credentials(event, branch) or self._retry_reliably(event, branch):
            return None
        moved = self._moved(response, branch) if 300 <= response.status < 400 else None
        if moved is not None:
            self._ring((moved,), await call.bridge.first_offer(call.invite.request.sdp))
            return None
        if branch.invitation is not None and response.status in (_NOT_HIS_MOVED if branch.is_moved else _NOT_HIS):
            response = event.invite.request.response(480)
        self._learn(event, branch)
        if not hunt.failed(response):
            return None
        if is_final(hunt, call, branch.name, self._shared.settings.routing, self._shared.core.now()):
            return hunt.result()
        if self._gateways is not None and hunt.is_last and hunt.says_nothing():
            hunt.stages = [*hunt.stages, *await self._gateways.more()]
            if call.invite.answered:
                return None  # the call was ended meanwhile
        if hunt.should_fail_over():
            what = "address" if hunt.stage.is_trunk else "gateway"
            call.trace.add("hunt", "that is no word about the callee: the next {what} is tried", what=what)
            hunt.next_stage()
            await self.ring()
            return None
        is_dead = hunt.stage.is_trunk and hunt.says_nothing()
        stages = await self._next_step(Happened.UNREGISTERED if is_dead else happened(hunt.best.status))
        if call.invite.answered:
            return None  # the call was ended meanwhile
        if not stages:
            return hunt.result()
        self.stop(reason(19, "No answer"))
        hunt.go_on(*stages)
        await self.ring()
        return None

    def _moved(self, response: Response, branch: Branch) -> Branch | None:
        """Where a redirection leads that is followed."""
        call, shared = self._call, self._shared
        if self._moves >= MOST_MOVES:
            return None
        found: Branch | None = None
        if branch.gateway is not None:
            found = within_carrier(response, branch, shared.core)
            said = "a redirection to {to}, its own address, is followed" if found else "its redirection is not followed"
        elif branch.is_phone and self._onward is not None:
            forward = forward_of(
                response, shared.settings.domains, branch.ring_seconds or self._hunt.stage.ring_seconds
            )
            found = None if forward is None else self._onward.moved(forward)
            said = "it has moved: the account sends the call on" if found else "it has moved, and may not send calls on"
        else:
            return None
        call.trace.add("hunt", f"{{name}}: {said}", name=branch.name, to=found.uri if found else "")
        self._moves += found is not None
        return found

    def _learn(self, event: Failed, branch: Branch) -> None:
        """What a carrier or a trunk says of itself counts for later calls too."""
        if branch.hop is None:
            return
        call = self._call
        if branch.gateway is not None and event.response.status in (401, 403, 407) and not event.local:
            self._shared.outside.lines.lost(branch.gateway)
        now = self._shared.core.now()
        rest = self._shared.outside.rests.failed(branch.name, branch.hop, event.response, now, local=event.local)
        if rest is not None:
            call.trace.add(
                "route",
                "{name} at {address} rests for {seconds:.0f} s, as {why}",
                name=branch.name,
                address=rest.address,
                seconds=rest.until - now,
                why=rest.why,
            )

    def _retry_with_credentials(self, event: Failed, branch: Branch) -> bool:
        """A gateway that challenges us gets an answer (RFC 3261 section 22.2)."""
        invite = event.invite
        if invite.login is None or event.response.status not in (401, 407) or invite.cancelled:
            return False
        lines = invite.login.answers(invite.request, event.response, invite.rounds)
        if lines is not None:
            self._again(invite, branch, lines)
        return lines is not None

    def _retry_reliably(self, event: Failed, branch: Branch) -> bool:
        """Who insists on reliable provisional responses (421) sends them to us, whatever the caller knows."""
        invite = event.invite
        supported = invite.request.tokens("Supported")
        if event.response.status != 421 or invite.cancelled or "100rel" in supported:
            return False
        if event.response.tokens("Require") != {"100rel"}:
            return False
        self._again(invite, branch, [("Supported", ", ".join(sorted({*supported, "100rel"})))])
        return True

    def _again(self, invite: OutgoingInvite, branch: Branch, lines: HeaderLines) -> None:
        self._attempts[invite] = branch
        self._start_timer(invite, branch)
        self._shared.legs.call_again(invite, lines)

    def stop(self, *headers: tuple[str, str]) -> None:
        """Give up all that ring, with these header lines."""
        core, forwards = self._shared.core, self._shared.forwards
        if self._sound.legs and self._sound.seconds(core.now()) >= self._sound.limit / 2:
            self._tell_of_sound()
        if self._sound_timer is not None:
            self._sound_timer.cancel()
            self._sound_timer = None
        for attempt in list(self._attempts):
            self._stop_timer(attempt)
            forwards.pop(attempt.request.call_id, None)
            self._shared.legs.give_up(attempt, headers)
            attempt.owner = None
            self._sound.ended(attempt, core.now())
        self._attempts.clear()
