# SPDX-License-Identifier: Apache-2.0
"""One transfer: X, an account of ours, gives Y, with whom he talks, to T (docs/adr/0029-transfers.md).

T is a call of its own, D, which X pays: a new one where the transfer is blind, the one that he has with T already where
it is attended. Either way this call invites D over the transport inside the process, as a forward does, and puts that
leg in X's place once D and Y have agreed on their media. Until then nothing of the call is changed: what fails leaves
the parties as they were.

    ASKING ----> CALLING ----> JOINING ----> over
    (Y, what     (D, with      (Y, with
     he can do)   Y's offer)    D's answer)
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Final

from switch.calls.transfers.change import PartyOffer
from switch.calls.transfers.talks import is_hold, resumed
from switch.relay.ng import CALLER_TAG, NgError, RelayUnavailable
from switch.sip.message.body import DESCRIPTION
from switch.sip.message.flow import INNER_FLOW
from switch.sip.message.message import Request
from switch.sip.message.reason import q850_cause, reason, reason_phrase
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from switch.calls.shared import Shared
    from switch.calls.transfers.change import Changeable
    from switch.calls.transfers.referral import Referral
    from switch.routing.caller import Forwarding
    from switch.sip.session import Answered, Failed, OutgoingInvite, Progressed, Replied, Session

__all__ = ["Transfer"]

_TAGS: Final = (CALLER_TAG, "b")
"""At the relay, of who stays and who comes: a payer who has gone is warned through who stays."""


class Stage(Enum):
    """Where a transfer stands."""

    ASKING = "asking"
    CALLING = "calling"
    JOINING = "joining"
    OVER = "over"


class Transfer:
    """Y stays, X leaves, T comes."""

    __slots__ = (
        "_announce", "_by", "_call", "_dialled", "_forwarding", "_offer", "_relay_name", "_shared", "attempt", "comes",
        "leaves", "referral", "stage", "stays",
    )  # fmt: skip

    def __init__(
        self,
        shared: Shared,
        call: Changeable,
        referral: Referral,
        stays: Session,
        forwarding: Forwarding,
        dialled: str,
        announce: Callable[[Request], None],
    ) -> None:
        """`forwarding` is D's, paid by X; `announce` is told of the INVITE that leads to D before it leaves."""
        self._shared = shared
        self._call = call
        self.referral = referral
        self.leaves = referral.session
        self.stays = stays
        self.comes: Session | None = None
        self._by = forwarding.account
        self._forwarding = forwarding
        self._dialled = dialled
        self._announce = announce
        self._relay_name = call.bridge.fresh_name()
        self._offer: PartyOffer | None = None
        self.attempt: OutgoingInvite | None = None
        self.stage = Stage.ASKING

    async def begin(self) -> None:
        """Call T, with what Y has offered; a Y who never has is asked first what he can do."""
        offered = self._call.bridge.offered(self.stays)
        if offered is None:
            self._offer = PartyOffer(self._call, self._shared.legs, self.stays, b"", self)
        else:
            said = self._call.bridge.said(self.stays)
            await self._invite(offered if said == offered and is_hold(offered) else resumed(offered))

    async def _invite(self, offered: bytes) -> None:
        self.stage = Stage.CALLING
        call, shared = self._call, self._shared
        try:
            source = call.bridge.source(self.stays)
            body = await call.bridge.relay.offer(self._relay_name, CALLER_TAG, offered, source)
        except NgError as error:
            self._fails(*_relay_failure(error))
            return
        request = self._request(body)
        self._announce(request)
        call.bridge.expect_forward(request.call_id, self._forwarding)
        self.attempt = shared.core.agent.invite(request, INNER_FLOW, natted=False, owner=call)
        if call.ladder is not None:
            shared.recorder.ladders.add_leg(call.ladder, request.call_id, INNER_FLOW)
        shared.legs.call(self.attempt)

    def _request(self, body: bytes) -> Request:
        domain, new_token = self._shared.settings.domains[0], self._shared.core.agent.new_token
        target = Uri("sip", self._dialled, domain)
        lines = [
            ("Max-Forwards", "70"),
            ("From", f"<{Uri('sip', self._forwarding.number, domain)}>;tag={new_token()}"),
            ("To", f"<{target}>"),
            ("Call-ID", new_token() + new_token()),
            ("CSeq", "1 INVITE"),
            ("Supported", "timer"),
            ("Content-Type", DESCRIPTION),
        ]
        return Request("INVITE", str(target), lines, body)

    # D ----------------------------------------------------------------------------------------------------------
    async def progressed(self, event: Progressed) -> None:
        """T rings."""
        self.referral.tell(event.response.status)

    def lost(self) -> None:
        """T has gone before Y had taken his description."""
        self._forwarding.is_void = True
        self._fails(480, "Temporarily Unavailable")

    async def failed(self, event: Failed) -> None:
        """There is no D."""
        self._fails(event.response.status, event.response.reason)

    async def answered(self, event: Answered) -> None:
        """D is there: it hears of Y as soon as Y has taken its description."""
        bridge, said = self._call.bridge, event.response.sdp
        self.stage, self.comes = Stage.JOINING, event.session
        try:
            if said is None:
                raise NgError("an answer that is not understood")
            source = bridge.source(event.session)
            await bridge.relay.answer(self._relay_name, *_TAGS, said, source)
            offer = await bridge.relay.offer(self._relay_name, _TAGS[1], said, source)
        except NgError as error:
            self._lets_go()
            self._fails(*_relay_failure(error))
            return
        self._offer = PartyOffer(self._call, self._shared.legs, self.stays, offer, self)

    # Y ----------------------------------------------------------------------------------------------------------
    async def replied(self, event: Replied) -> None:
        """Y has said what he can do, or has taken D's description; or not."""
        response, legs = event.response, self._shared.legs
        if self.stage is Stage.ASKING:
            if response.status < 300:  # what was agreed holds until there is somebody else to agree with
                legs.acknowledge(self.stays, event.request, self.stays.local_sdp or b"")
            offered = response.sdp or self._call.bridge.said(self.stays)
            if offered is None:
                self._fails(488, "Not Acceptable Here")
            else:
                await self._invite(resumed(offered))
        elif response.status >= 300:
            self._lets_go()
            self._fails(response.status, response.reason)
        else:
            await self._agree(event)

    async def _agree(self, event: Replied) -> None:
        legs, bridge, comes = self._shared.legs, self._call.bridge, self.comes
        legs.acknowledge(self.stays, event.request)
        if comes is None or self.attempt is None:
            return
        try:
            if event.response.sdp is None:
                raise NgError("an answer that is not understood")
            source = bridge.source(self.stays)
            await bridge.relay.answer(self._relay_name, _TAGS[1], _TAGS[0], event.response.sdp, source)
        except NgError as error:
            self._lets_go()
            self._fails(*_relay_failure(error))
            return
        legs.acknowledge(comes, self.attempt.request)
        self._succeeds(comes)

    # the end ----------------------------------------------------------------------------------------------------
    def _succeeds(self, comes: Session) -> None:
        call, shared = self._call, self._shared
        self.stage = Stage.OVER
        if self.attempt is not None:
            self.attempt.owner = None  # other forks that answer are none of our business
        former = call.bridge.relay_name
        call.bridge.joins(self.stays, comes, self._relay_name, _TAGS)
        call.gives_way(self.leaves, comes, by=self._by)
        if call.bridge.relay.carries_media:
            self._forwarding.lent = call.bridge.relay, self._relay_name, _TAGS[1]
        if self._forwarding.sent_on is not None:
            call.depth = self._forwarding.sent_on.depth
        call.trace.add("transfer", "{to} answered: account {by} has given the call away", to=self._dialled, by=self._by)
        self.referral.ends_call = True
        self.referral.tell(200)
        if call.bridge.relay.carries_media:
            shared.core.keep(asyncio.get_running_loop().create_task(call.bridge.relay.delete(former)))

    def _lets_go(self) -> None:
        """T has answered, and nobody is connected with him: nobody pays."""
        self._forwarding.is_void = True
        if self.comes is not None and self.attempt is not None:
            self._shared.legs.acknowledge(self.comes, self.attempt.request)
            self._shared.legs.hang_up(self.comes, [reason(88, "Transfer failed")])

    def _fails(self, status: int, text: str) -> None:
        call = self._call
        self._ends()
        call.trace.add("transfer", "{to} is not reached ({status} {text})", to=self._dialled, status=status, text=text)
        self.referral.tell(status, text)
        if self.leaves.is_over:
            call.hang_up("failure", q850_cause(status), "Transfer failed")

    def stop(self) -> None:
        """The call ends."""
        if self.stage is Stage.OVER:
            return
        if self.stage is Stage.CALLING and self.attempt is not None:
            self._shared.legs.give_up(self.attempt, [reason(16, "Caller has gone")])
        elif self.stage is Stage.JOINING:
            self._lets_go()
        self._ends()
        self.referral.tell(487)

    def _ends(self) -> None:
        self.stage = Stage.OVER
        if self._offer is not None:
            self._offer.give_up()
        relay = self._call.bridge.relay
        if self.attempt is not None:
            self.attempt.owner = None
            self._shared.forwards.pop(self.attempt.request.call_id, None)
            self._shared.joinings.pop(self.attempt.request.call_id, None)
        if relay.carries_media:
            self._shared.core.keep(asyncio.get_running_loop().create_task(relay.delete(self._relay_name)))


def _relay_failure(error: NgError) -> tuple[int, str]:
    """How a transfer ends that the media relay does not take part in."""
    status = 503 if isinstance(error, RelayUnavailable) else 488
    return status, reason_phrase(status)
