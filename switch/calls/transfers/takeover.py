# SPDX-License-Identifier: Apache-2.0
"""Somebody takes a place in a call that runs (RFC 3891): a phone of the same customer, or another call of ours, for an
attended transfer.

The party that stays is offered what the newcomer offers; what it answers is the newcomer's answer. Who leaves is hung
up on once the newcomer has acknowledged that, and is back in his place where the newcomer goes before.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from switch.calls.transfers.change import PartyOffer
from switch.relay.ng import CALLER_TAG, NgError, NoRelay, RelayUnavailable
from switch.sip.message.reason import q850_cause, reason

if TYPE_CHECKING:
    from switch.calls.shared import Shared
    from switch.calls.transfers.change import Joining
    from switch.relay.ng import Relay
    from switch.sip.session import IncomingInvite, Replied, Session

__all__ = ["TakeOver"]


class TakeOver:
    """One INVITE that replaces a dialog."""

    __slots__ = (
        "_former_relay", "_former_tags", "_joining", "_offer", "_relay_name", "_shared", "_tags", "_told", "comes",
        "former_name", "is_over", "stays",
    )  # fmt: skip

    def __init__(self, shared: Shared, joining: Joining, stays: Session) -> None:
        self._shared = shared
        self._joining = joining
        self.stays = stays
        self.comes: Session | None = None
        self.is_over = False
        bridge = joining.call.bridge
        self._former_relay: Relay = bridge.relay
        self.former_name = bridge.relay_name
        self._relay_name = bridge.fresh_name()
        # a payer who calls is warned: he, or whoever comes into his place
        takes_caller = joining.leaves in joining.call.invite.sessions
        self._tags = ("b", CALLER_TAG) if takes_caller else (CALLER_TAG, "b")
        self._former_tags = bridge.tag(stays), bridge.tag(joining.leaves)
        self._told = stays.local_sdp or b""
        """How who leaves was described to whoever stays: what brings them back."""
        self._offer: PartyOffer | None = None

    @property
    def invite(self) -> IncomingInvite:
        """The INVITE."""
        return self._joining.invite

    @property
    def leaves(self) -> Session:
        """Who leaves."""
        return self._joining.leaves

    @property
    def _relay(self) -> Relay:
        """One relay serves both calls of a transfer: the other one's."""
        return self._former_relay if self._joining.forwarding is None else NoRelay()

    async def begin(self) -> None:
        """Offer the newcomer's description to who stays."""
        joining = self._joining
        sdp = joining.invite.request.sdp
        try:
            source = joining.invite.flow.remote[0]
            body = b"" if sdp is None else await self._relay.offer(self._relay_name, self._tags[1], sdp, source)
        except NgError as error:
            self._refuse(503 if isinstance(error, RelayUnavailable) else 488)
            return
        self._offer = PartyOffer(joining.call, self._shared.legs, self.stays, body, self)

    async def replied(self, event: Replied) -> None:
        """Who stays has answered."""
        joining, legs, bridge = self._joining, self._shared.legs, self._joining.call.bridge
        said, status = event.response.sdp, event.response.status
        if status >= 300 or said is None:
            if status < 300:
                legs.acknowledge(self.stays, event.request)
            self._refuse(status if status >= 300 else 488)
            return
        source = bridge.source(self.stays)
        if joining.forwarding is not None:
            joining.forwarding.media_host = source
        is_answer = event.request.sdp is not None
        try:
            if is_answer:
                body = await self._relay.answer(self._relay_name, self._tags[1], self._tags[0], said, source)
            else:
                body = await self._relay.offer(self._relay_name, self._tags[0], said, source)
        except NgError as error:
            legs.acknowledge(self.stays, event.request, b"" if is_answer else self._told)
            self._refuse(503 if isinstance(error, RelayUnavailable) else 488)
            return
        self.comes = joining.invite.session()
        self._changes_places(self.comes)
        if is_answer:
            legs.acknowledge(self.stays, event.request)
        else:
            bridge.awaits_answer(self.comes, self.stays, event.request)
        legs.answer(joining.invite, fork=None, headers=(), body=body)

    def _changes_places(self, comes: Session) -> None:
        joining, call = self._joining, self._joining.call
        if joining.forwarding is not None:
            call.bridge.is_leg_of(joining.forwarding, comes, NoRelay())
        call.bridge.joins(self.stays, comes, self._relay_name, self._tags)
        call.gives_way(joining.leaves, comes, by=joining.by, party=joining.party)

    def acknowledged(self) -> None:
        """The newcomer talks: who leaves is let go."""
        joining, call = self._joining, self._joining.call
        if joining.forwarding is not None and joining.forwarding.is_void:
            return  # only so that it can hang up: nobody could be connected
        self.is_over = True
        call.depth = max(call.depth + 1, joining.depth)
        call.trace.add("transfer", "account {by} has given the place of {who} away", by=joining.by, who=self._who)
        self._shared.legs.hang_up(joining.leaves, [reason(16, "Call was transferred")])
        self._forget(self._former_relay, self.former_name)

    @property
    def _who(self) -> str:
        return "the caller" if self._joining.leaves in self._joining.call.invite.sessions else "the callee"

    def fell_through(self) -> bool:
        """The newcomer has gone before he came; whether who leaves is back in his place."""
        joining, call = self._joining, self._joining.call
        self.is_over = True
        if joining.leaves.is_over or self.comes is None:
            return False
        call.bridge.joins(self.stays, joining.leaves, self.former_name, self._former_tags)
        call.bridge.is_leg_of(None, None, self._former_relay)
        call.gives_way(self.comes, joining.leaves, by=None)
        PartyOffer(call, self._shared.legs, self.stays, self._told, None)
        self._forget(self._relay, self._relay_name)
        return True

    def _refuse(self, status: int) -> None:
        self.is_over = True
        joining = self._joining
        joining.call.trace.add("transfer", "nobody takes a place in the call: {status}", status=status)
        self._shared.legs.reject(joining.invite, status, [reason(q850_cause(status), "Nobody was replaced")])
        joining.invite.owner = None
        self._forget(self._relay, self._relay_name)

    def stop(self) -> None:
        """The call ends, or the newcomer gave up."""
        if self._offer is not None:
            self._offer.give_up()
        if not self.is_over:
            self._refuse(487)

    def _forget(self, relay: Relay, name: str) -> None:
        if relay.carries_media:
            self._shared.core.keep(asyncio.get_running_loop().create_task(relay.delete(name)))
