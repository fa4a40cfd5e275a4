# SPDX-License-Identifier: Apache-2.0
"""A user agent core: transactions below, INVITE sessions inside, and what is left over for the application.

`receive` and `handle_timer` return effects in order: messages to send (`Send`), session events, and `Invited` and
`Arrived` for requests that open something new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.errors import ParseError
from switch.sip.session import Context, IncomingInvite, OutgoingInvite, Session
from switch.sip.session.timer import too_small
from switch.sip.timer_queue import TimerQueue
from switch.sip.timers import Timers
from switch.sip.transaction import (
    Ended as TransactionEnded,
)
from switch.sip.transaction import (
    InviteServerTransaction,
    RequestReceived,
    ResponseReceived,
    TimedOut,
    TransactionLayer,
    TransportFailed,
)
from switch.sip.via import MAGIC_COOKIE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from switch.sip.dialog import DialogId
    from switch.sip.flow import Flow
    from switch.sip.message import Request, Response
    from switch.sip.session import Outcome, SessionEvent
    from switch.sip.transaction import ClientTransaction, Effect, ServerTransaction

__all__ = ["Arrived", "Invited", "ResponseReceiver", "UserAgent"]

METHODS: Final = ("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO", "OPTIONS", "REFER", "NOTIFY", "MESSAGE")


@dataclass(frozen=True, slots=True)
class Invited:
    """An INVITE outside any dialog."""

    invite: IncomingInvite


@dataclass(frozen=True, slots=True)
class Arrived:
    """Any other request outside our dialogs; answer it through its transaction."""

    request: Request
    flow: Flow
    transaction: ServerTransaction


class ResponseReceiver(Protocol):
    """What hangs on a client transaction: it gets the responses."""

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """`local`: no answer came (408) or it could not be sent (503)."""


class UserAgent:
    """Owns the transactions, the dialogs and their timers of one SIP element."""

    def __init__(
        self,
        *,
        sent_by: Callable[[Flow], str],
        contact: Callable[[Flow], str],
        new_token: Callable[[], str],
        timers: Timers | None = None,
        headers: Sequence[tuple[str, str]] = (),
        session_expires: int = 1800,
        session_min_se: int = 90,
    ) -> None:
        timers = timers or Timers()
        self.layer = TransactionLayer(sent_by=sent_by, new_branch=lambda: MAGIC_COOKIE + new_token(), timers=timers)
        self._sessions: dict[DialogId, Session] = {}
        self._timed: TimerQueue[Session | IncomingInvite] = TimerQueue()
        self._new_token = new_token
        self._min_se = session_min_se
        self._context = Context(
            layer=self.layer,
            timers=timers,
            contact=contact,
            new_tag=new_token,
            register=self._register,
            unregister=self._unregister,
            headers=headers,
            session_expires=session_expires,
            session_min_se=session_min_se,
        )

    # sessions ---------------------------------------------------------------------------------------------------
    def _register(self, session: Session) -> None:
        self._sessions[session.dialog.id] = session
        self._timed.update(session)

    def _unregister(self, session: Session) -> None:
        self._sessions.pop(session.dialog.id, None)
        self._timed.discard(session)

    def session(self, dialog_id: DialogId) -> Session | None:
        """The session of a dialog."""
        return self._sessions.get(dialog_id)

    @property
    def session_count(self) -> int:
        """How many dialogs are held."""
        return len(self._sessions)

    def new_token(self) -> str:
        """A fresh random token: a tag, or a part of a Call-ID."""
        return self._new_token()

    def invite(self, request: Request, flow: Flow, *, natted: bool, owner: object) -> OutgoingInvite:
        """Prepare an INVITE of ours; its `start` sends it."""
        return OutgoingInvite(self._context, request, flow, natted=natted, owner=owner)

    def watch(self, invite: IncomingInvite | Session) -> None:
        """A verb was called on it: its deadline may have changed."""
        self._timed.update(invite)

    # input ------------------------------------------------------------------------------------------------------
    def receive(
        self, message: Request | Response, flow: Flow, now: float
    ) -> list[Effect | SessionEvent | Invited | Arrived]:
        """A message from the wire."""
        return self._digest(self.layer.receive(message, flow, now), now)

    @property
    def next_deadline(self) -> float | None:
        """When to call `handle_timer`."""
        ours, layers = self._timed.next_deadline, self.layer.next_deadline
        if ours is None or layers is None:
            return layers if ours is None else ours
        return min(ours, layers)

    def handle_timer(self, now: float) -> list[Effect | SessionEvent | Invited | Arrived]:
        """Serve all timers that are due."""
        out = self._digest(self.layer.handle_timer(now), now)
        for owner in self._timed.due(now):
            out += self._digest(owner.handle_timer(now), now)
            self._timed.update(owner)
        return out

    def send_failed(self, data: bytes, now: float) -> list[Effect | SessionEvent | Invited | Arrived]:
        """The transport could not deliver these bytes."""
        return self._digest(self.layer.sending_failed(data, now), now)

    def _digest(
        self, effects: Iterable[Effect | SessionEvent], now: float
    ) -> list[Effect | SessionEvent | Invited | Arrived]:
        out: list[Effect | SessionEvent | Invited | Arrived] = []
        for effect in effects:
            if isinstance(effect, RequestReceived):
                out += self._request(effect, now)
            elif isinstance(effect, ResponseReceived):
                out += self._response(effect, now)
            elif isinstance(effect, TimedOut | TransportFailed):
                out += self._failed(effect, now)
            elif not isinstance(effect, TransactionEnded):
                out.append(effect)
        return out

    def _request(self, effect: RequestReceived, now: float) -> Iterable[Effect | SessionEvent | Invited | Arrived]:
        request, transaction = effect.request, effect.transaction
        if transaction is None:
            return self._ack(request, now)
        if request.method == "CANCEL":
            return self._cancel(request, transaction, now)
        if request.to_tag is None:
            if isinstance(transaction, InviteServerTransaction):
                return self._invited(request, effect.flow, transaction, now)
            return [Arrived(request, effect.flow, transaction)]
        session = self._sessions.get((request.call_id, request.to_tag, request.from_tag or ""))
        if session is None:
            if request.method in ("INVITE", "BYE", "PRACK", "UPDATE", "INFO", "CANCEL"):
                return self._reply(transaction, 481, now)
            return [Arrived(request, effect.flow, transaction)]
        try:
            outcome = session.receive_request(request, transaction, effect.flow, now)
        except ParseError as error:
            return self._reply(transaction, error.status, now)
        self._timed.update(session)
        return outcome

    def _invited(
        self, request: Request, flow: Flow, transaction: InviteServerTransaction, now: float
    ) -> Iterable[Effect | Invited]:
        try:
            if request.contact is None:
                return self._reply(transaction, 400, now, reason="Missing Contact")
            if too_small(request, self._min_se):
                return self._reply(transaction, 422, now, ("Min-SE", str(self._min_se)))
        except ParseError as error:
            return self._reply(transaction, error.status, now)
        invite = IncomingInvite(self._context, request, flow, transaction)
        transaction.user = invite
        return [Invited(invite)]

    def _ack(self, request: Request, now: float) -> Outcome:
        session = self._sessions.get((request.call_id, request.to_tag or "", request.from_tag or ""))
        if session is None:
            return []
        outcome = session.receive_ack(request, now)
        self._timed.update(session)
        return outcome

    def _cancel(self, request: Request, transaction: ServerTransaction, now: float) -> Outcome:
        target = self.layer.cancel_target(request)
        if target is None:
            return [*self._reply(transaction, 481, now)]
        invite = target.user
        if isinstance(invite, IncomingInvite):
            tag = invite.sessions[0].dialog.local_tag if invite.sessions else self._new_token()
            out: Outcome = [*self.layer.respond(transaction, request.response(200, to_tag=tag), now)]
            return out + invite.receive_cancel(request, now)
        out = [*self.layer.respond(transaction, request.response(200, to_tag=self._new_token()), now)]
        if target.request.to_tag is not None:  # a re-INVITE is withdrawn: its peer hears 487, the call goes on
            session = self._sessions.get((request.call_id, request.to_tag or "", request.from_tag or ""))
            if session is not None:
                out += session.reject_open_requests(now)
        return out

    def _response(self, effect: ResponseReceived, now: float) -> Iterable[Effect | SessionEvent]:
        response, transaction = effect.response, effect.transaction
        try:
            if transaction is None:
                session = self._sessions.get((response.call_id, response.from_tag or "", response.to_tag or ""))
                is_success = response.cseq_method == "INVITE" and 200 <= response.status < 300
                return session.repeat_ack(response) if session and is_success else []
            receiver: ResponseReceiver | None = transaction.user
            if receiver is None:
                return []
            return receiver.receive_response(transaction, response, now, local=False)
        except ParseError:
            return []  # RFC 3261 16.7 has no answer to a malformed response: as if it had been lost

    def _failed(self, effect: TimedOut | TransportFailed, now: float) -> Outcome:
        transaction = effect.transaction
        if not hasattr(transaction, "respond") and transaction.user is not None:
            status = 408 if isinstance(effect, TimedOut) else 503  # RFC 3261 8.1.3.1
            response = transaction.request.response(status, to_tag=None)
            receiver: ResponseReceiver = transaction.user
            return receiver.receive_response(transaction, response, now, local=True)  # type: ignore[arg-type]
        return []

    def _reply(
        self,
        transaction: ServerTransaction,
        status: int,
        now: float,
        *headers: tuple[str, str],
        reason: str | None = None,
    ) -> list[Effect]:
        response = transaction.request.response(status, reason, to_tag=self._new_token(), headers=headers)
        return list(self.layer.respond(transaction, response, now))
