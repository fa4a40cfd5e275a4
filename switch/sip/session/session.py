# SPDX-License-Identifier: Apache-2.0
"""An INVITE session: one dialog, what its owner does in it, and what the time does.

Orthogonal machines side by side instead of one product of states: the dialog, the 2xx that waits for its ACK, the
offer that waits for its answer, the session timer, and the requests of either side that are not answered yet. What the
peer does stands in `switch.sip.session.receiving`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.session.accept import Retransmission
from switch.sip.session.exchange import REFRESH, Exchange
from switch.sip.session.in_flight import OFFERING, InFlight
from switch.sip.session.outcome import SessionEvent
from switch.sip.session.timer import SessionTimer, offered_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from switch.sip.dialog import Dialog
    from switch.sip.login import Login
    from switch.sip.message.message import HeaderLines, Request, Response
    from switch.sip.session.context import Context
    from switch.sip.session.outcome import Outcome
    from switch.sip.transaction import ClientTransaction, Effect, ServerTransaction

__all__ = ["REFRESHING", "Ended", "OfSession", "PendingInvite", "Replied", "Session", "State"]

REFRESHING: Final = ("INVITE", "UPDATE")
"""Requests that move the target and set the session timer."""


class State(Enum):
    """Where the session stands."""

    EARLY = "early"
    ACCEPTED = "accepted"
    """A 2xx was sent or received; its ACK is still to come or to be sent."""
    CONFIRMED = "confirmed"
    ENDING = "ending"
    """We hung up, but the BYE must wait for the ACK to our 2xx."""
    ENDED = "ended"


class PendingInvite(Protocol):
    """The INVITE that made an early dialog, ours or the peer's, while it has no final response."""

    login: Login | None
    """What answers challenges of the peer; None: nothing."""

    @property
    def glare_status(self) -> int:
        """How to answer a further INVITE of the peer meanwhile (RFC 3261 section 14.2)."""

    def receive_prack(self, session: Session, request: Request) -> bool:
        """Whether a PRACK acknowledges what waits for it."""

    def receive_bye(self, session: Session, request: Request, now: float) -> Outcome:
        """The peer ended the early dialog."""

    def drop(self, session: Session, now: float, headers: Sequence[tuple[str, str]]) -> Outcome:
        """We end the early dialog."""

    def flush(self, now: float) -> Outcome:
        """Send what waited for a PRACK or UPDATE to be answered."""


class Session:
    """One dialog of a call, as its owner sees it."""

    __slots__ = (
        "_ack",
        "_bye_headers",
        "_context",
        "_peer_allows",
        "dialog",
        "entry",
        "in_flight",
        "invite",
        "late_rack",
        "login",
        "owner",
        "state",
        "timer",
    )

    def __init__(self, context: Context, dialog: Dialog, owner: object, invite: PendingInvite) -> None:
        self._context = context
        self.dialog = dialog
        self.owner = owner
        """The call leg that it belongs to; free for the user of the session."""
        self.state = State.EARLY
        self.timer = SessionTimer()
        self.invite: PendingInvite | None = invite
        """The INVITE that made it, while that has no final response."""
        self.late_rack: str | None = None
        """The RAck of a PRACK that may still come although the INVITE is answered (RFC 3262 section 3)."""
        self.login = invite.login
        self.entry = 0
        self.in_flight = InFlight()
        self._bye_headers: Sequence[tuple[str, str]] = ()
        self._ack: tuple[int, list[Effect]] | None = None
        """CSeq of our last ACK, and how to send it again."""
        self._peer_allows: frozenset[str] = frozenset()

    @property
    def local_sdp(self) -> bytes | None:
        """Our session description that is in force."""
        return self.in_flight.offers.local

    @property
    def is_over(self) -> bool:
        """It has ended; a BYE of ours may still be on its way."""
        return self.state is State.ENDED

    # requests of ours -------------------------------------------------------------------------------------------
    def send(
        self,
        method: str,
        now: float,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
        relates_to: object = None,
    ) -> Outcome:
        """Send INVITE (modify), UPDATE, INFO, PRACK or any other request within the dialog.

        Its final response comes back as `Replied` with `relates_to`: at once, if the request must not be sent now.
        """
        lines = list(headers)
        if method in REFRESHING:
            lines += self._target_headers(self._context.modify_headers)
            if self.state is not State.EARLY:
                lines += self.timer.request_headers(self._context.session_expires, self._context.session_min_se)
        if body and content_type:
            lines.append(("Content-Type", content_type))
        request = self.dialog.request(method, lines, body, cseq=self.dialog.local_cseq + 1)
        refusal = self._refusal(method, is_offer=method in OFFERING and request.sdp is not None)
        if refusal is not None:
            return [Replied(self, request, request.response(refusal), relates_to)]
        return self._transmit(request, relates_to, now)

    def _refusal(self, method: str, *, is_offer: bool) -> int | None:
        """How the peer would have to answer such a request now (RFC 3261 section 14.1, RFC 3311 section 5.1)."""
        if self.state in (State.ENDING, State.ENDED):
            # what somebody asked for within a call may outlast it: RFC 5057 section 5.3
            return None if method == "NOTIFY" else 481
        if self.state is State.ACCEPTED and method == "UPDATE":
            return 491  # it could arrive before our 2xx, in a dialog that the peer does not know yet
        return None if self.in_flight.may_send(method, self.invite, is_offer=is_offer) else 491

    def _transmit(self, request: Request, relates_to: object, now: float, rounds: int = 0) -> Outcome:
        self.dialog.local_cseq = request.cseq
        transaction, effects = self._context.layer.send_request(request, self.dialog.next_flow(), now)
        transaction.user = Exchange(self, relates_to, rounds)
        self.in_flight.sent(transaction)
        return [*effects]

    def resend(
        self,
        request: Request,
        headers: Sequence[tuple[str, str]],
        now: float,
        *,
        relates_to: object = None,
        rounds: int = 0,
    ) -> Outcome:
        """Send a request of ours again that was refused with 401, 407 or 422, with these header lines.

        Works for BYE too, although the session is over then.
        """
        names = {"Via", "CSeq", *(name for name, _ in headers)}
        lines: HeaderLines = [line for line in request.headers if line[0] not in names]
        lines += [("CSeq", f"{self.dialog.local_cseq + 1} {request.method}"), *headers]
        again = type(request)(request.method, request.uri_text, lines, request.body)
        if self.state is State.ENDED and request.method != "BYE":
            return [Replied(self, again, again.response(481), relates_to)]
        return self._transmit(again, relates_to, now, rounds)

    def prack(self, response: Response, now: float, *, body: bytes = b"", relates_to: object = None) -> Outcome:
        """Acknowledge a reliable provisional response to our INVITE (RFC 3262 section 4)."""
        acknowledged = f"{(response.get('RSeq') or '').strip()} {response.cseq} {response.cseq_method}"
        return self.send("PRACK", now, headers=[("RAck", acknowledged)], body=body, relates_to=relates_to)

    def cancel(self, now: float, headers: Sequence[tuple[str, str]] = ()) -> Outcome:
        """Withdraw our re-INVITE, whose final response comes as `Replied` all the same; harmless without one."""
        inviting = self.in_flight.inviting
        return [] if inviting is None else [*self._context.layer.cancel(inviting, now, headers)[1]]

    def ack(self, request: Request, now: float, body: bytes = b"") -> Outcome:
        """Acknowledge the 2xx to `request`, an INVITE of ours; `body` is the answer to an offer in the 2xx."""
        if self.state is State.ENDED and self.in_flight.unacknowledged is None:
            return []
        # RFC 3261 13.2.2.4: an ACK carries the credentials of its INVITE
        lines = [line for line in request.headers if line[0] in ("Authorization", "Proxy-Authorization")]
        if body:
            lines.append(("Content-Type", "application/sdp"))
        ack = self.dialog.request("ACK", lines, body, cseq=request.cseq)
        effects = self._context.layer.send_ack(ack, self.dialog.next_flow())
        self._ack = request.cseq, effects
        self.in_flight.acknowledged_by_us(body)
        if self.state is State.ACCEPTED:
            self.state = State.CONFIRMED
        return [*effects]

    def repeat_ack(self, response: Response) -> Outcome:
        """The peer repeated its 2xx: repeat the ACK (RFC 3261 section 13.2.2.4)."""
        if self._ack is None or self._ack[0] != response.cseq:
            return []
        return [*self._ack[1]]

    # the end ----------------------------------------------------------------------------------------------------
    def bye(self, now: float, headers: Sequence[tuple[str, str]] = ()) -> Outcome:
        """Hang up; harmless when that was done already.

        A callee waits for the ACK first (RFC 3261 section 15). Of several early dialogs only this one ends: the caller
        sends BYE, the callee tells it by 199 to a caller who supports that. The caller's last one ends by CANCEL.
        """
        if self.state in (State.ENDING, State.ENDED):
            return []
        if self.invite is not None:
            return self.invite.drop(self, now, headers)
        if self.in_flight.accepting is not None:
            self.state = State.ENDING
            self._bye_headers = headers
            return self.reject_open_requests(now)
        return self.hang_up(now, headers)

    def hang_up(self, now: float, headers: Sequence[tuple[str, str]] = ()) -> Outcome:
        """Send BYE whatever the state, and the ACK before it where the owner still owes one."""
        outcome = self.reject_open_requests(now)
        if self.in_flight.unacknowledged is not None:
            outcome += self.ack(self.in_flight.unacknowledged, now)
        self.close()
        return outcome + self._transmit(self.dialog.request("BYE", headers, cseq=self.dialog.local_cseq + 1), None, now)

    def close(self) -> None:
        """End the session without a word to the peer; requests that are open can still be answered."""
        if self.state is not State.ENDED:
            self.state = State.ENDED
            self.invite = None
            self.in_flight.accepting = None
            self.timer = SessionTimer()
            self._context.unregister(self.dialog.id)
            self._context.sleep(self)

    def end(self, reason: str, request: Request | None = None) -> Outcome:
        """Close, and tell the owner unless it hung up itself."""
        told = self.state in (State.ENDING, State.ENDED)
        self.close()
        return [] if told else [Ended(self, reason, request)]

    def finish_pracks(self, now: float) -> Outcome:
        """Answer PRACKs that wait for somebody else to answer: all but one with an offer have done their work."""
        owing = self.in_flight.owing
        pracks = [one for one in self.in_flight.peers if one.request.method == "PRACK" and one is not owing]
        return [effect for transaction in pracks for effect in self._reply(transaction, 200, now)]

    def reject_open_requests(self, now: float) -> Outcome:
        """Answer what the peer still waits for with 487, as the session is over (RFC 3261 section 15.1.2)."""
        return [effect for transaction in self.in_flight.peers for effect in self._reply(transaction, 487, now)]

    # answers to the peer ----------------------------------------------------------------------------------------
    def respond(
        self,
        transaction: ServerTransaction,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
    ) -> Outcome:
        """Answer a request that came as `Requested`; harmless if it has been answered meanwhile."""
        if transaction not in self.in_flight.peers:
            return []
        request = transaction.request
        lines = list(headers)
        if 200 <= status < 300 and request.method in REFRESHING:
            lines += self._success_headers(request, now)
        if body and content_type:
            lines.append(("Content-Type", content_type))
        response = request.response(status, reason, to_tag=self.dialog.local_tag, headers=lines, body=body)
        if status >= 200:
            self.in_flight.answered(transaction, response)
            if 200 <= status < 300 and request.method == "INVITE":
                self._await_ack(response, transaction, now)
        outcome: Outcome = [*self._context.layer.respond(transaction, response, now)]
        return outcome if self.invite is None or status < 200 else outcome + self.invite.flush(now)

    def _reply(self, transaction: ServerTransaction, status: int, now: float, *headers: tuple[str, str]) -> Outcome:
        response = transaction.request.response(status, to_tag=self.dialog.local_tag, headers=headers)
        self.in_flight.answered(transaction, response)
        return [*self._context.layer.respond(transaction, response, now)]

    # the first 2xx ----------------------------------------------------------------------------------------------
    def accept(
        self, transaction: ServerTransaction, now: float, headers: Iterable[tuple[str, str]], body: bytes
    ) -> Outcome:
        """Answer the first INVITE with 200."""
        self.state, self.invite = State.ACCEPTED, None
        request = transaction.request
        lines = [*headers, *self._success_headers(request, now)]
        if body:
            lines.append(("Content-Type", "application/sdp"))
        response = request.response(200, to_tag=self.dialog.local_tag, headers=lines, body=body)
        self.in_flight.offers.accept(body)
        self._await_ack(response, transaction, now)
        return [*self._context.layer.respond(transaction, response, now)]

    def accepted(self, request: Request, response: Response, now: float) -> None:
        """Our first INVITE got its 2xx in this dialog."""
        self.dialog.confirm(response)
        self.note_peer(response)
        self.in_flight.offers.accepted(response.sdp)
        self.in_flight.unacknowledged = request
        self.invite = None
        if self.state is State.EARLY:
            self.state = State.ACCEPTED
            self.timer.settle(response, offered_interval(request), now)
            self._context.watch(self)

    @property
    def is_accepted(self) -> bool:
        """The 2xx to our first INVITE has come."""
        return self.in_flight.unacknowledged is not None or self._ack is not None

    def _await_ack(self, response: Response, transaction: ServerTransaction, now: float) -> None:
        """Repeat a 2xx to INVITE until its ACK comes (RFC 3261 section 13.3.1.4)."""
        self.in_flight.accepting = Retransmission(response, transaction, self._context.timers, now)
        self._context.watch(self)

    # time -------------------------------------------------------------------------------------------------------
    @property
    def next_deadline(self) -> float | None:
        """When to call `handle_timer`."""
        if self.in_flight.accepting is not None:
            return self.in_flight.accepting.next_deadline
        return self.timer.next_deadline

    def handle_timer(self, now: float) -> Outcome:
        """Repeat an unacknowledged 2xx, refresh the session, or end it."""
        waiting = self.in_flight.accepting
        if waiting is not None:
            if waiting.has_expired(now):
                return self._give_up(now, "no-ack", "ACK timeout")
            if waiting.is_due(now):
                return [*self._context.layer.respond(waiting.transaction, waiting.response, now)]
            return []
        if self.timer.expires_at is not None and now >= self.timer.expires_at:
            return self._give_up(now, "timer", "Session expired")
        if self.timer.refresh_at is not None and now >= self.timer.refresh_at:
            return self._refresh(now)
        return []

    def _give_up(self, now: float, reason: str, text: str) -> Outcome:
        told = self.state is State.ENDING
        headers = self._bye_headers if told else [("Reason", f'SIP;cause=408;text="{text}"')]
        outcome = self.hang_up(now, headers)
        return outcome if told else [*outcome, Ended(self, reason)]

    def _refresh(self, now: float) -> Outcome:
        self.timer.refresh_at = None
        local = self.in_flight.offers.local
        by_update = "UPDATE" in self._peer_allows or local is None
        method, body = ("UPDATE", b"") if by_update or local is None else ("INVITE", local)
        if self._refusal(method, is_offer=bool(body)) is not None:
            self.timer.retry(now, 2.0)
            return []
        return self.send(method, now, body=body, relates_to=REFRESH)

    # headers ----------------------------------------------------------------------------------------------------
    def note_peer(self, message: Request | Response) -> None:
        """Remember which methods the peer takes."""
        allowed = message.get("Allow")
        if allowed is not None:
            self._peer_allows = _methods(",".join(message.all("Allow")))

    def _target_headers(self, headers: Sequence[tuple[str, str]]) -> HeaderLines:
        return [("Contact", self._context.contact(self.dialog.flow)), *headers]

    def _success_headers(self, request: Request, now: float) -> HeaderLines:
        """What a 2xx to INVITE or UPDATE says about us and the session timer."""
        lines = self._target_headers(self._context.headers)
        if self.state is not State.EARLY:
            lines += self.timer.answer(request, self._context.session_expires, now)
            self._context.watch(self)
        return lines

    def receive_response(
        self, transaction: ClientTransaction, response: Response, relates_to: object, now: float
    ) -> Outcome:
        """See `ReceivingSession`."""
        raise NotImplementedError


@lru_cache(maxsize=256)
def _methods(text: str) -> frozenset[str]:
    return frozenset(text.upper().replace(" ", "").split(","))


# what the owner is told -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class OfSession(SessionEvent):
    """Told of a session."""

    session: Session

    @property
    def owner(self) -> object:
        """The call leg."""
        return self.session.owner


@dataclass(frozen=True, slots=True)
class Replied(OfSession):
    """The final response to a request that we sent within the dialog; a 2xx to INVITE wants `session.ack`.

    A request that must not be sent now gets the response of the peer that it would meet: 491 while another offer is
    open, 481 when the session is over.
    """

    request: Request
    response: Response
    relates_to: object
    """What was given to `session.send` as `relates_to`."""


@dataclass(frozen=True, slots=True)
class Ended(OfSession):
    """The session is over without our asking: BYE received, its refresh failed, or our 2xx was never acknowledged."""

    reason: str
    """ "bye", "timer", "no-ack", "failed"."""
    request: Request | None = None
    """The BYE."""
