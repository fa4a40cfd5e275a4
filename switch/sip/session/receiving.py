# SPDX-License-Identifier: Apache-2.0
"""What the peer does in a session: its requests, and its responses to ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zlib import crc32

from switch.sip.session.exchange import REFRESH
from switch.sip.session.in_flight import OFFERING
from switch.sip.session.session import REFRESHING, Ended, OfSession, Replied, Session, State
from switch.sip.session.timer import min_se, offered_interval, too_small

if TYPE_CHECKING:
    from switch.sip.dialog import Dialog
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.session.context import Context
    from switch.sip.session.outcome import Outcome
    from switch.sip.session.session import PendingInvite
    from switch.sip.transaction import ClientTransaction, ServerTransaction

__all__ = ["Acknowledged", "ReceivingSession", "Refreshed", "Requested", "Withdrawn"]

_RETRY_SECONDS: Final = 11
"""Retry-After is a random number of seconds below this (RFC 3261 section 14.2)."""


class ReceivingSession(Session):
    """A session as the user agent holds it."""

    __slots__ = ()

    def __init__(self, context: Context, dialog: Dialog, owner: object, invite: PendingInvite) -> None:
        super().__init__(context, dialog, owner, invite)
        context.register(dialog.id, self)

    # requests of the peer ---------------------------------------------------------------------------------------
    def receive_request(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> Outcome:
        """An in-dialog request other than ACK and CANCEL; raises ParseError and leaves all as it was."""
        method = request.method
        brief = method in REFRESHING and too_small(request, self._context.session_min_se)
        if not self.dialog.accepts_cseq(request):
            return self._reply(transaction, 500, now)
        if method == "BYE":
            return self._receive_bye(request, transaction, now)
        if self.state is State.ENDING or (method == "PRACK" and not self._acknowledges(request)):
            return self._reply(transaction, 481, now)
        if brief:
            return self._reply(transaction, 422, now, ("Min-SE", str(self._context.session_min_se)))
        glare = self.in_flight.glare(request, self.invite) if method in OFFERING else None
        if glare is not None:
            return self._refuse_glare(transaction, glare, now)
        if method in REFRESHING:
            self.dialog.refresh_target(request, flow)
            self.note_peer(request)
        self.in_flight.received(request, transaction)
        if method == "UPDATE" and request.sdp is None:
            return self.respond(transaction, 200, now)  # a refresh of this leg concerns nobody else
        return [Requested(self, transaction, request)]

    def _acknowledges(self, prack: Request) -> bool:
        if self.invite is not None:
            return self.invite.receive_prack(self, prack)
        expected, self.late_rack = self.late_rack, None
        return expected is not None and (prack.get("RAck") or "").split() == expected.split()

    def _refuse_glare(self, transaction: ServerTransaction, status: int, now: float) -> Outcome:
        if status == 500:
            # as good as random, and the same for a request that is sent again
            seconds = crc32(transaction.request.via.branch.encode()) % _RETRY_SECONDS
            outcome = self._reply(transaction, 500, now, ("Retry-After", str(seconds)))
        else:
            outcome = self._reply(transaction, status, now)
        return outcome if self.invite is None else outcome + self.invite.flush(now)

    def _receive_bye(self, request: Request, transaction: ServerTransaction, now: float) -> Outcome:
        outcome = self._reply(transaction, 200, now)
        if self.invite is not None:
            return outcome + self.invite.receive_bye(self, request, now)
        outcome += self.reject_open_requests(now)
        if self.in_flight.unacknowledged is not None:
            outcome += self.ack(self.in_flight.unacknowledged, now)
        return outcome + self.end("bye", request)

    def receive_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> Outcome:
        """The peer withdraws its re-INVITE (RFC 3261 section 9.2); too late once that is answered."""
        if transaction not in self.in_flight.peers:
            return []
        return [*self._reply(transaction, 487, now), Withdrawn(self, transaction, request)]

    def receive_ack(self, request: Request, now: float) -> Outcome:
        """An ACK to our 2xx; a repeated one is nothing new."""
        waiting = self.in_flight.accepting
        if waiting is None or request.cseq != waiting.transaction.request.cseq:
            return []
        self.in_flight.acknowledged_by_peer(request)
        if self.state is State.ENDING:
            return self.hang_up(now, self._bye_headers)
        if self.state is State.ACCEPTED:
            self.state = State.CONFIRMED
        return [Acknowledged(self, request)]

    # responses to our requests ----------------------------------------------------------------------------------
    def receive_response(
        self, transaction: ClientTransaction, response: Response, relates_to: object, now: float
    ) -> Outcome:
        """A response within the dialog, or the 408 or 503 that stands for a time-out or a transport failure."""
        request, method, status = transaction.request, transaction.request.method, response.status
        if status < 200:
            return []
        if method == "INVITE" and transaction is not self.in_flight.inviting:
            return self.repeat_ack(response)  # a 2xx that we have seen
        self.in_flight.concluded(transaction, response)
        if self.state is State.ENDED:
            return self._after_the_end(request, response, relates_to, now)
        if status < 300 and method in REFRESHING:
            self.dialog.refresh_target(response)
            self.note_peer(response)
            if self.state is not State.EARLY:
                self.timer.settle(response, offered_interval(request), now)
                self._context.watch(self)
        elif status == 422 and method in REFRESHING and min_se(response) > offered_interval(request):
            least = str(min_se(response))
            return self.resend(request, [("Session-Expires", least), ("Min-SE", least)], now, relates_to=relates_to)
        if relates_to is REFRESH:
            outcome = self._refreshed(request, response, now)
        else:
            outcome = [Replied(self, request, response, relates_to)]
        if self._is_lost(method, status):
            told = self.state is State.ENDING
            outcome += self.hang_up(now, [("Reason", f'SIP;cause={status};text="Dialog lost"')])
            outcome += [] if told else [Ended(self, "failed")]
        return outcome

    def _is_lost(self, method: str, status: int) -> bool:
        """RFC 3261 section 12.2.1.2: the dialog is gone, or the peer is."""
        if self.state is State.EARLY or self.in_flight.accepting is not None:
            return False  # the peer may not know the dialog yet
        return (status == 481 and method not in ("PRACK", "NOTIFY")) or (status == 408 and method in REFRESHING)

    def _after_the_end(self, request: Request, response: Response, relates_to: object, now: float) -> Outcome:
        if self.in_flight.unacknowledged is not None:
            return self.ack(request, now)
        challenged = request.method == "BYE" and response.status in (401, 407)
        return [Replied(self, request, response, relates_to)] if challenged else []

    def _refreshed(self, request: Request, response: Response, now: float) -> Outcome:
        if response.status < 300:
            if request.method == "UPDATE":
                return []
            return [*self.ack(request, now), *([Refreshed(self, response)] if response.sdp is not None else [])]
        if response.status in (405, 501) and request.method == "UPDATE" and self.local_sdp is not None:
            self._peer_allows -= {"UPDATE"}
            self.timer.retry(now, 0.0)
        else:
            self.timer.refused(response, now)
        self._context.watch(self)
        return []


# what the owner is told -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Acknowledged(OfSession):
    """The ACK to our 2xx came: to the first INVITE or to a re-INVITE."""

    request: Request


@dataclass(frozen=True, slots=True)
class Requested(OfSession):
    """The peer sent a request within the dialog; it must be answered with `session.respond`.

    BYE, CANCEL and UPDATE without a description have been answered already and are not told this way.
    """

    transaction: ServerTransaction
    request: Request


@dataclass(frozen=True, slots=True)
class Withdrawn(OfSession):
    """The peer cancelled its re-INVITE, which has been answered with 487; the session goes on as it was."""

    transaction: ServerTransaction
    """That of the re-INVITE, as it was told by `Requested`."""
    request: Request
    """The CANCEL."""


@dataclass(frozen=True, slots=True)
class Refreshed(OfSession):
    """We refreshed the session by re-INVITE, and the peer's 2xx describes its media once more, maybe changed."""

    response: Response
