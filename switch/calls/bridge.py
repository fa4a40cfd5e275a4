# SPDX-License-Identifier: Apache-2.0
"""Two legs as one conversation: offers, answers and requests of one side become those of the other.

Everything crosses by transaction: a re-INVITE becomes a re-INVITE, its response the response, its ACK the ACK; so hold,
codec changes, late offers, PRACK, UPDATE, INFO and T.38 work as if the two phones were connected, while dialogs,
addresses and tags stay those of one leg, and session descriptions pass the media relay.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.calls.crossing import answer_within, replied, too_many, within_lines
from switch.relay.ng import CALLER_TAG, NgError, NoRelay, RelayUnavailable
from switch.sip.message.body import DESCRIPTION
from switch.sip.message.flow import INNER
from switch.sip.message.message import Response
from switch.sip.session import OFFERING, IncomingInvite, Session, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence

    from switch.calls.crossing import Answer
    from switch.calls.leg import Legs
    from switch.relay.ng import Relay
    from switch.routing.caller import Forwarding
    from switch.sip.message.message import Request
    from switch.sip.session import Acknowledged, Progressed, Replied, Requested, Withdrawn
    from switch.sip.transaction import ServerTransaction

__all__ = ["Bridge"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Relayed:
    """A request of one side that was passed to the other."""

    session: Session
    transaction: ServerTransaction


class Bridge:
    """The links between the caller's dialogs and the callees', and what is on its way between them."""

    __slots__ = (
        "_awaiting_ack",
        "_call_id",
        "_described",
        "_expected",
        "_forks",
        "_forwarding",
        "_held_back",
        "_invite",
        "_legs",
        "_links",
        "_names",
        "_offers",
        "_parked",
        "_said",
        "_tags",
        "_upstream",
        "relay",
        "relay_name",
    )

    def __init__(self, legs: Legs, relay: Relay, call_id: str, invite: IncomingInvite) -> None:
        self._legs = legs
        self.relay = relay
        self.relay_name = call_id
        """Of the call at the relay."""
        self._names = 0
        self._call_id = call_id
        self._invite = invite
        self._forwarding: Forwarding | None = None
        """Given where this call is itself the leg of a call that is forwarded."""
        self._expected: dict[str, Forwarding] = {}
        """By Call-ID: legs of ours that are calls themselves."""
        self._links: dict[Session, Session] = {}
        self._forks: dict[Session, Hashable] = {}
        """Which of the caller's early dialogs stands for a callee's."""
        self._described: set[Session] = set()
        """The callees' dialogs that had a session description before the answer."""
        self._tags: dict[Session, str] = {}
        """Names of the callees' dialogs towards the relay."""
        self._awaiting_ack: dict[Session, tuple[Session, Request]] = {}
        """By the dialog whose ACK brings the answer: the dialog and INVITE that this answer belongs to."""
        self._parked: dict[Session, list[Requested]] = {}
        """By the dialog that has to acknowledge our 2xx first: what is to be sent in it then."""
        self._offers: dict[Session, bytes] = {}
        """What each side offered last, within the call."""
        self._said: dict[Session, bytes] = {}
        """How each side described itself last, be it as offer or as answer."""
        self._upstream: Session | None = None
        """The side to which this call is a leg of another one, where that is not the caller's."""
        self._held_back = False
        """Whether the relay lets the caller only listen: there is early media."""

    def is_forward_of(self, forwarding: Forwarding) -> None:
        """This call is a leg of a call that is forwarded: the relay of that one serves both."""
        self._forwarding, self.relay = forwarding, NoRelay()

    def expect_forward(self, call_id: str, forwarding: Forwarding) -> None:
        """The leg with this Call-ID is a call of its own here."""
        self._expected[call_id] = forwarding

    def void_forwards(self) -> None:
        """Nobody is connected, though one of our legs that are calls themselves may have been answered: none pays."""
        for forwarding in self._expected.values():
            forwarding.is_void = True

    def peer(self, session: Session) -> Session | None:
        """The other side of a dialog."""
        return self._links.get(session)

    # who talks with whom ----------------------------------------------------------------------------------------
    def offered(self, session: Session) -> bytes | None:
        """What a side offered last; None: it has never made an offer."""
        said = self._offers.get(session)
        return self._invite.request.sdp if said is None and session in self._invite.sessions else said

    def said(self, session: Session) -> bytes | None:
        """How a side described itself last."""
        said = self._said.get(session)
        return self._invite.request.sdp if said is None and session in self._invite.sessions else said

    def said_since(self, session: Session) -> bytes | None:
        """How a side described itself last within the call; None: it is as it was when the call was set up."""
        return self._said.get(session)

    def fresh_name(self) -> str:
        """A name at the relay that this call has not had yet: for another pair, while the present one talks on."""
        self._names += 1
        return f"{self._call_id}.{self._names}"

    def joins(self, stays: Session, comes: Session, relay_name: str, tags: tuple[str, str]) -> Session | None:
        """`comes` talks with `stays` from now on, under that name at the relay, where their `tags` are these; returns
        whose place that was."""
        leaves = self._links.pop(stays, None)
        if leaves is not None:
            self._links.pop(leaves, None)
        self._links |= {stays: comes, comes: stays}
        self._tags |= dict(zip((stays, comes), tags, strict=True))
        self.relay_name = relay_name
        return leaves

    def is_leg_of(self, forwarding: Forwarding | None, upstream: Session | None, relay: Relay) -> None:
        """By that side this call is the leg of another one, whose relay serves both; without a forwarding it is none
        any more, and `relay` serves it."""
        if self._forwarding is None or self._upstream is not None:
            self._forwarding, self._upstream, self.relay = forwarding, upstream, relay

    @property
    def payer_at(self) -> tuple[Relay, str, str]:
        """By which relay, name and tag the payer is heard, or who is left of his call."""
        lent = None if self._forwarding is None else self._forwarding.lent
        return (self.relay, self.relay_name, CALLER_TAG) if lent is None else lent

    def awaits_answer(self, session: Session, peer: Session, request: Request) -> None:
        """The ACK of one side will bring the answer to what the other side's 2xx to `request` offered."""
        self._awaiting_ack[session] = (peer, request)

    def tag(self, session: Session) -> str:
        """Of a side at the relay."""
        tag = self._tags.get(session)
        if tag is None and session in self._forks:
            tag = self._tags[session] = f"b{len(self._tags) + 1}"
        return tag or CALLER_TAG

    # session descriptions ---------------------------------------------------------------------------------------
    async def first_offer(self, sdp: bytes | None) -> bytes:
        """The caller's offer as the callees get it; empty without one."""
        return (
            b""
            if sdp is None
            else await self.relay.offer(self.relay_name, CALLER_TAG, sdp, self._invite.flow.remote[0])
        )

    def source(self, session: Session) -> str:
        """The address that a party's signalling comes from, and so its media but for NAT."""
        flow = session.dialog.flow
        if flow.transport != INNER:
            host = flow.remote[0]
        else:
            expected = self._expected.get(session.dialog.call_id)
            host = flow.remote[0] if expected is None else expected.media_host
        is_downstream = session in self._forks if self._upstream is None else session is not self._upstream
        if self._forwarding is not None and is_downstream:
            self._forwarding.media_host = host
        return host

    async def _offer(self, session: Session, sdp: bytes | None) -> bytes:
        if sdp is None:
            return b""
        self._offers[session] = self._said[session] = sdp
        return await self.relay.offer(self.relay_name, self.tag(session), sdp, self.source(session))

    async def _answer(self, offerer: Session | None, answerer: Session, sdp: bytes | None) -> bytes:
        if sdp is None:
            return b""
        self._said[answerer] = sdp
        offering = CALLER_TAG if offerer is None else self.tag(offerer)
        return await self.relay.answer(self.relay_name, offering, self.tag(answerer), sdp, self.source(answerer))

    async def _hold_back(self) -> None:
        """Before the final answer sound goes to the caller only: an unanswered call that both can talk in is free."""
        if not (self._held_back or self._invite.answered):
            self._held_back = True
            await self._tell_relay(self.relay.hold_back(self.relay_name, CALLER_TAG))

    async def _let_through(self) -> None:
        if self._held_back:
            self._held_back = False
            await self._tell_relay(self.relay.let_through(self.relay_name, CALLER_TAG))

    async def _tell_relay(self, command: Awaitable[None]) -> None:
        """A relay that does not know a command is no reason to end a call."""
        try:
            await command
        except RelayUnavailable:
            raise
        except NgError as error:
            log.warning("the relay keeps no early sound back", extra={"call": self._call_id, "reason": str(error)})

    # the first INVITE -------------------------------------------------------------------------------------------
    def _link(self, session: Session) -> Hashable:
        """The caller's dialog for a callee's: the common one, unless another callee's description went into that."""
        if session not in self._forks:
            self._forks[session] = session if None in self._forks.values() else None
        fork = self._forks[session]
        mine = self._invite.session(fork)
        self._links[session] = mine
        self._links[mine] = session
        return fork

    async def progressed(self, event: Progressed) -> None:
        """Pass ringing and early media on to the caller."""
        invite, session, response = self._invite, event.session, event.response
        if session is None:
            self._legs.ring(invite, response.status, headers=replied(response)[2])
            return
        reliable = event.reliable and invite.accepts_reliable
        if event.reliable and not reliable:
            self._legs.acknowledge_ringing(session, response)
        fork: Hashable = None
        body = b""
        if response.sdp is not None or reliable:
            fork = self._link(session)
            if response.sdp is not None and (event.reliable or event.invite.request.sdp is not None):
                self._described.add(session)
            if event.invite.request.sdp is not None:
                await self._hold_back()
            body = await self._response_body(session, event.invite.request, response, reliable=event.reliable)
        if invite.answered:
            return
        self._legs.ring(
            invite,
            response.status,
            fork=fork,
            headers=replied(response)[2],
            body=body,
            relates_to=response if reliable else None,
        )

    async def _response_body(self, session: Session, request: Request, response: Response, *, reliable: bool) -> bytes:
        if request.sdp is not None:
            return await self._answer(None, session, response.sdp)
        # RFC 3261 13.2.1: without an offer in the INVITE the first reliable response makes one
        return await self._offer(session, response.sdp) if reliable else b""

    def connects(self, session: Session, response: Response) -> bool:
        """Whether a callee's 2xx leads to a call that is heard: it, or a response before it, describes a session."""
        return response.sdp is not None or session in self._described

    async def answered(self, session: Session, request: Request, response: Response) -> None:
        """The callee answered `request`: so do we, and acknowledge when the answer is complete."""
        fork = self._link(session)
        caller = self._invite.session(fork)
        body = await self._response_body(session, request, response, reliable=True)
        await self._let_through()
        if request.sdp is not None or response.sdp is None:
            self._legs.acknowledge(session, request)
        else:
            self._awaiting_ack[caller] = (session, request)
        self._legs.answer(self._invite, fork=fork, headers=replied(response)[2], body=body)
        for early in [other for other in self._links if other not in (session, caller)]:
            self._links.pop(early, None)

    # requests within the dialogs --------------------------------------------------------------------------------
    async def requested(
        self, event: Requested, *, to_account: bool, wait: Callable[[Iterable[Hashable]], int | None]
    ) -> None:
        """A request of one side: it crosses if it is one of those that may, or is answered by us. `wait` says how many
        seconds too early another message of a call comes."""
        answer = answer_within(event.request, to_account=to_account)
        if answer is None and event.request.method == "MESSAGE":
            seconds = wait((self._call_id,))
            answer = None if seconds is None else too_many(seconds)
        if answer is None:
            await self._pass_on(event)
        else:
            self.refuse(event, answer)

    async def _pass_on(self, event: Requested) -> None:
        session, transaction, request = event.session, event.transaction, event.request
        peer = self._links.get(session)
        told = self._invite.acknowledged(session) if request.method == "PRACK" else None
        unpracked = told if isinstance(told, Response) else None
        if request.method == "PRACK" and (unpracked is None or peer is None):
            # of a response that only we sent reliably: a new offer would have to go where no PRACK can
            self._respond(session, transaction, 200 if session.in_flight.owing is not transaction else 488)
            self._flush()
            return
        if peer is None or peer.state is State.ENDED:
            self._respond(session, transaction, 481 if session.state is not State.EARLY else 500)
            return
        if request.method == "INFO" and session not in self._forks and not self._invite.answered:
            self._respond(session, transaction, 403)  # keys before the answer are a free call too
            return
        if peer.in_flight.accepting is not None and request.method in ("INVITE", "UPDATE"):
            # Between two phones this would arrive after the ACK that is still on its way to us: it is no glare.
            self._parked.setdefault(peer, []).append(event)
            return
        try:
            body = await self._request_body(session, peer, request, unpracked)
        except RelayUnavailable:
            self._respond(session, transaction, 503)
            return
        except NgError:
            self._respond(session, transaction, 488)
            return
        relates_to = _Relayed(session, transaction)
        if unpracked is not None:
            self._legs.acknowledge_ringing(peer, unpracked, body=body, relates_to=relates_to)
            return
        content_type = DESCRIPTION if request.method in OFFERING else request.get("Content-Type") or ""
        self._legs.ask(peer, request.method, within_lines(request), body, content_type, relates_to)

    def refuse(self, event: Requested, answer: Answer) -> None:
        """Answer a request of one side that does not cross."""
        self._respond(event.session, event.transaction, answer.status, headers=answer.headers)

    async def _request_body(
        self, session: Session, peer: Session, request: Request, unpracked: Response | None
    ) -> bytes:
        if request.sdp is None:
            return b"" if request.method in OFFERING else request.body
        first = self._invite.request.sdp
        if unpracked is not None and unpracked.sdp is not None and first is None:
            answer = await self._answer(peer, session, request.sdp)  # the reliable response was the offer
            await self._hold_back()
            return answer
        return await self._offer(session, request.sdp)

    async def early_ended(self, session: Session) -> None:
        """One of several early dialogs is over, the call is not: what it was connected to ends too."""
        peer = self._links.pop(session, None)
        if peer is not None:
            self._links.pop(peer, None)
            self._legs.hang_up(peer)

    async def withdrawn(self, event: Withdrawn) -> None:
        """One side cancelled its re-INVITE: so is the one that it became."""
        peer = self._links.get(event.session)
        if peer is not None:
            self._legs.withdraw(peer)

    async def replied(self, event: Replied) -> None:
        """Pass the response back to the side that asked."""
        relayed, response, request = event.relates_to, event.response, event.request
        if not isinstance(relayed, _Relayed):
            return
        session, transaction = relayed.session, relayed.transaction
        try:
            body = await self._reply_body(session, event)
        except NgError as error:
            # What a relay refuses ends this transaction; the session stays as it was (RFC 3261 section 14.1).
            log.info("a description is refused", extra={"call": self._call_id, "reason": str(error)})
            if request.method == "INVITE":
                kept = b"" if request.sdp is not None else event.session.local_sdp or b""
                self._legs.acknowledge(event.session, request, kept)
            self._respond(session, transaction, 503 if isinstance(error, RelayUnavailable) else 488)
            if request.method == "PRACK":
                self._flush()
            return
        if request.method == "INVITE" and response.status < 300:
            if request.sdp is not None or response.sdp is None or session.state is State.ENDED:
                self._legs.acknowledge(event.session, request)
            else:
                self._awaiting_ack[session] = (event.session, request)
        status, text, headers = replied(response)
        self._respond(session, transaction, status, reason=text, headers=headers, body=body)
        if request.method == "PRACK":
            self._flush()

    async def _reply_body(self, session: Session, event: Replied) -> bytes:
        response = event.response
        if _is_mute(event.request, response):
            raise NgError("a 2xx without a description that is understood")
        if response.sdp is None or response.status >= 300:
            return b""
        if event.request.sdp is not None:
            return await self._answer(session, event.session, response.sdp)
        return await self._offer(event.session, response.sdp)

    async def acknowledged(self, event: Acknowledged) -> None:
        """An ACK, which may bring the answer to the other side's offer, or be what a request waits for."""
        waiting = self._awaiting_ack.pop(event.session, None)
        if waiting is not None:
            peer, request = waiting
            try:
                if event.request.sdp is None:
                    raise NgError("an ACK without a description that is understood")
                body = await self._answer(peer, event.session, event.request.sdp)
            except NgError:
                if request.to_tag is None:
                    raise  # the first one: nothing was agreed on that could go on
                body = peer.local_sdp or b""
            self._legs.acknowledge(peer, request, body)
        for parked in self._parked.pop(event.session, ()):
            if parked.transaction in parked.session.in_flight.peers:
                await self._pass_on(parked)

    def _respond(
        self,
        session: Session,
        transaction: ServerTransaction,
        status: int,
        *,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        if session.state is State.ENDED and transaction.request.method == "INVITE":
            return  # it was answered with 487 when the session ended
        self._legs.respond(session, transaction, status, reason=reason, headers=headers, body=body)

    def _flush(self) -> None:
        self._legs.flush(self._invite)


def _is_mute(request: Request, response: Response) -> bool:
    """Whether a 2xx within the call lacks the description that it must have, or has one that is not understood."""
    if response.status >= 300 or request.method not in OFFERING or response.sdp is not None:
        return False
    return bool(response.body) or (request.sdp is not None and request.method != "PRACK")
