# SPDX-License-Identifier: Apache-2.0
"""Whoever wants to change the parties of a call asks here: who may, and what is under way.

A REFER within a call is ours to do (docs/transfer.md): only an account of ours transfers, and it pays for the new leg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from billing_client.rules.numbering import read
from billing_client.rules.sending_on import may_send_on
from switch.calls.crossing import Answer, not_understood
from switch.calls.transfers.change import Joining, PartyOffer, TryAgain
from switch.calls.transfers.referral import Referral
from switch.calls.transfers.takeover import TakeOver
from switch.calls.transfers.transfer import Stage, Transfer
from switch.calls.view import CallState
from switch.routing.caller import Forwarding, SentOn
from switch.routing.number import number_of
from switch.routing.plan import Refusal
from switch.sip.digest import Verdict
from switch.sip.message.errors import ParseError
from switch.sip.message.host import bare
from switch.sip.message.reason import reason
from switch.sip.message.refer import read_refer, referred_by, replaced_dialog
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
)
from switch.sip.session.receiving import ReceivingSession

if TYPE_CHECKING:
    from billing_client.parties import Party
    from switch.calls.decide import Hands
    from switch.calls.shared import Shared
    from switch.calls.transfers.change import Changeable
    from switch.calls.view import CallView
    from switch.sip.message.message import Request
    from switch.sip.message.refer import Referred, Replaced
    from switch.sip.message.uri import Uri
    from switch.sip.session import SessionEvent

__all__ = ["Desk", "asks_to_replace", "is_change"]

MOST_SENT_ON: Final = 5
"""So often is a call sent on."""
_PENDING: Final = Answer(491)
_FORBIDDEN: Final = Answer(403)


class Desk:
    """The transfers of one call, one at a time."""

    __slots__ = ("_call", "_departing", "_referrals", "_shared", "_takeover", "_transfer")

    def __init__(self, shared: Shared, call: Changeable) -> None:
        self._shared = shared
        self._call = call
        self._transfer: Transfer | None = None
        self._takeover: TakeOver | None = None
        self._referrals = 0
        self._departing: list[Session] = []
        """Who gives his place away, or has, and may not have been hung up on yet."""

    @property
    def _is_busy(self) -> bool:
        is_transferring = self._transfer is not None and self._transfer.stage is not Stage.OVER
        return is_transferring or (self._takeover is not None and not self._takeover.is_over)

    # REFER ------------------------------------------------------------------------------------------------------
    async def _asks(self, event: Requested | Ended | Acknowledged) -> bool:
        """Whether somebody in the call asks for a change."""
        if not is_change(event) or not isinstance(event, Requested):
            return False
        refusal = await self._refer(event)
        if refusal is not None:
            self._call.bridge.refuse(event, refusal)
        return True

    async def _refer(self, asked: Requested) -> Answer | None:
        """Somebody in the call sends a REFER; how it is refused, None: it is being done."""
        call, party = self._call, self._call.party_at(asked.session)
        stays = call.bridge.peer(asked.session)
        if party is None or stays is None or party.refusal is not None or party.transfers == "nowhere":
            return _FORBIDDEN
        unknown = not_understood(asked.request)
        if unknown is not None:
            return unknown
        try:
            referred = read_refer(asked.request)
        except ParseError as error:
            return Answer(error.status)
        if self._is_busy or any(side.state is not State.CONFIRMED for side in (asked.session, stays)):
            return _PENDING
        if call.depth >= MOST_SENT_ON:
            return Answer(482)
        if referred.replaced is not None:
            return await self._attended(asked, referred, party, stays)
        if not self._is_ours(referred.uri, asked.session):
            return _FORBIDDEN
        await self._blind(asked, referred, party, stays, number_of(referred.uri).text)
        return None

    def _is_ours(self, uri: Uri, session: Session) -> bool:
        """Whether a URI is in a domain of ours, or at the address by which the phone knows us."""
        shared, flow = self._shared, session.dialog.flow
        if uri.scheme == "tel" or uri.host in shared.settings.domains:
            return True
        host, _, port = shared.core.transport.sent_by(flow).rpartition(":")
        return bare(uri.host) == bare(host if port.isdigit() else f"{host}:{port}")

    async def _blind(self, asked: Requested, referred: Referred, party: Party, stays: Session, dialled: str) -> None:
        shared, call = self._shared, self._call
        sent_on = SentOn(call.call_id, call.depth + 1)
        forwarding = self._forwarding(asked, party, sent_on)

        def announce(request: Request) -> None:
            shared.forwards[request.call_id] = forwarding

        self._note(asked, party, dialled, "blind")
        referral = self._referral(asked, referred)
        self._transfer = Transfer(shared, call, referral, stays, forwarding, dialled, announce)
        await self._transfer.begin()

    async def _attended(self, asked: Requested, referred: Referred, party: Party, stays: Session) -> Answer | None:
        shared, call = self._shared, self._call
        found = None if referred.replaced is None else _find(shared, referred.replaced)
        if found is None:
            return _FORBIDDEN
        other, leaves = found
        owner = other.party_at(leaves)
        if other is call or owner is None or owner.account_id != party.account_id:
            return _FORBIDDEN
        if other.state is CallState.RINGING and leaves in other.invite.sessions:
            other.hang_up("caller", 16, "Call was transferred")  # nobody to be joined with yet: called again, blindly
            await self._blind(asked, referred, party, stays, other.dialled)
            return None
        depth = max(call.depth, other.depth) + 1
        if other.state is not CallState.ANSWERED or not _may_join(party, other, leaves):
            return _FORBIDDEN
        if depth > MOST_SENT_ON:
            return Answer(482)
        forwarding = self._forwarding(asked, party, SentOn(call.call_id, depth))

        def announce(request: Request) -> None:
            shared.joinings[request.call_id] = lambda invite: other.receive(
                Joining(other, invite, leaves, party.number, forwarding=forwarding, depth=depth)
            )

        self._note(asked, party, other.dialled, "attended")
        referral = self._referral(asked, referred)
        self._transfer = Transfer(shared, call, referral, stays, forwarding, other.dialled, announce)
        await self._transfer.begin()
        return None

    def _forwarding(self, asked: Requested, party: Party, sent_on: SentOn) -> Forwarding:
        """X calls, though he is not there."""
        call = self._call
        caller = call.caller if asked.session in call.invite.sessions else None
        return Forwarding(
            party.number,
            "transfer",
            number=party.name if caller is None else caller.number,
            display=party.display,
            hides=party.shows.hides if caller is None else caller.is_hidden,
            call_id=call.call_id,
            chain=call.chain,
            language=party.language,
            sent_on=sent_on,
        )

    def _referral(self, asked: Requested, referred: Referred) -> Referral:
        self._referrals += 1
        self._departing.append(asked.session)
        return Referral(self._shared.legs, asked, is_told=referred.is_told, is_first=self._referrals == 1)

    def _note(self, asked: Requested, party: Party, to: str, kind: str) -> None:
        said = referred_by(asked.request)
        text = "account {account} transfers the call to {to}, {kind}"
        text += ", and says that {said} wants it: that counts for nothing" if said else ""
        self._call.trace.add("transfer", text, account=party.number, to=to, kind=kind, said=said)

    # what happens -----------------------------------------------------------------------------------------------
    async def takes(self, event: SessionEvent) -> bool:
        """Deal with what concerns a change of parties; False: it concerns the call."""
        match event:
            case Joining():
                await self._joins(event)
            case TryAgain():
                event.what.try_again()
            case Replied() if isinstance(event.relates_to, PartyOffer):
                await event.relates_to.replied(event)
            case Replied() if isinstance(event.relates_to, Referral):
                event.relates_to.heard()
            case Progressed() | Answered() | Failed():
                return await self._of_attempt(event)
            case Cancelled() if self._takeover is not None and event.invite is self._takeover.invite:
                self._takeover.stop()
            case Requested() | Ended() | Acknowledged():
                return self._of_newcomer(event) or await self._asks(event)
            case _:
                return False
        return True

    async def _of_attempt(self, event: Progressed | Answered | Failed) -> bool:
        transfer = self._transfer
        if transfer is None or event.invite is not transfer.attempt:
            return False
        if transfer.stage is not Stage.CALLING:
            return isinstance(event, Progressed)
        if isinstance(event, Progressed):
            await transfer.progressed(event)
        elif isinstance(event, Answered):
            await transfer.answered(event)
        else:
            await transfer.failed(event)
        return True

    def _of_newcomer(self, event: Requested | Ended | Acknowledged) -> bool:
        """What comes from somebody who has no place in the call yet, or none any more."""
        transfer, takeover, session = self._transfer, self._takeover, event.session
        if takeover is not None and session is takeover.comes and not takeover.is_over:
            if isinstance(event, Acknowledged):
                takeover.acknowledged()
            return isinstance(event, Ended) and takeover.fell_through()
        is_joining = transfer is not None and session is transfer.comes and transfer.stage is Stage.JOINING
        if isinstance(event, Ended):
            if is_joining and transfer is not None:
                transfer.lost()
            leaves_early = transfer is not None and transfer.stage is not Stage.OVER and session is transfer.leaves
            return is_joining or leaves_early or self._call.bridge.peer(session) is None
        has_left = session in self._departing and self._call.bridge.peer(session) is None
        if isinstance(event, Requested) and (is_joining or has_left):
            status = 491 if is_joining else 481
            self._shared.legs.respond(session, event.transaction, status)
            return True
        return False

    async def _joins(self, joining: Joining) -> None:
        call, legs, invite = self._call, self._shared.legs, joining.invite
        stays = call.bridge.peer(joining.leaves)
        if invite.answered:
            return
        if stays is None or joining.leaves.is_over:
            legs.reject(invite, 481, [reason(41, "No such call")])
        elif self._is_busy or any(side.state is not State.CONFIRMED for side in (joining.leaves, stays)):
            legs.reject(invite, 491, [reason(41, "The call is being changed")])
        else:
            invite.owner = call
            legs.ring(invite, 100)
            self._departing.append(joining.leaves)
            self._takeover = TakeOver(self._shared, joining, stays)
            await self._takeover.begin()

    def stop(self) -> None:
        """The call ends."""
        if self._transfer is not None:
            self._transfer.stop()
        if self._takeover is not None:
            self._takeover.stop()
            self._takeover.invite.owner = None
        for session in self._departing:
            self._shared.legs.hang_up(session)
            session.owner = None


def is_change(event: SessionEvent) -> bool:
    """Whether somebody wants to change the parties of a call."""
    return isinstance(event, Joining) or (isinstance(event, Requested) and event.request.method == "REFER")


async def asks_to_replace(shared: Shared, call: CallView, hands: Hands) -> Joining | Refusal | Verdict | None:
    """What becomes of an INVITE with Replaces (RFC 3891): a phone may take the place of one of the same customer; None:
    nobody waits for it any more. Raises ParseError, StoreError."""
    replaced = replaced_dialog(call.invite.request)
    identified = await hands.identify(read(call.dialled))
    if isinstance(identified, Verdict) or replaced is None or hands.is_over():
        return identified if isinstance(identified, Verdict) else None
    ends, caller = identified
    account, found = ends.caller, _find(shared, replaced)
    if account is None or account.refusal is not None or not caller.is_own or caller.gateway is not None:
        return Refusal(403, 21, "only a phone of ours takes a place in a call")
    owner = None if found is None else found[0].party_at(found[1])
    if found is None or owner is None or owner.customer_id != account.customer_id:
        return Refusal(481, 41, "there is no such dialog of this customer")
    if found[0].state is not CallState.ANSWERED:
        return Refusal(481, 41, "the dialog is not answered yet")
    if replaced.early_only:
        return Refusal(486, 17, "the dialog is answered already")
    return Joining(found[0], call.invite, found[1], account.number, party=account)


def _find(shared: Shared, replaced: Replaced) -> tuple[Changeable, Session] | None:
    """The call of ours, and its leg, that a Replaces names; None: there is none."""
    session = shared.core.agent.session(replaced.call_id, replaced.local_tag, replaced.remote_tag)
    owner = session.owner if isinstance(session, ReceivingSession) else None
    if owner is None or not isinstance(session, ReceivingSession):
        return None
    return cast("Changeable", owner), session  # all our sessions are legs of calls


def _may_join(party: Party, other: Changeable, leaves: Session) -> bool:
    """Whether an account may give a call away to whoever it talks with in that other one."""
    stays = other.bridge.peer(leaves)
    is_outside = other.gateway is not None if leaves in other.invite.sessions else _came_from_outside(other)
    return stays is not None and may_send_on(party.transfers, inside=not is_outside)


def _came_from_outside(call: Changeable) -> bool:
    return call.caller is not None and call.caller.gateway is not None
