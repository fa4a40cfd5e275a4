# SPDX-License-Identifier: Apache-2.0
"""A user agent core: transactions below, INVITE sessions inside, and what is left over for the application.

`receive` and `handle_timer` return effects in order: messages to send (`Send`), session events, and `Invited` and
`Arrived` for requests that open something new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.dialog import check_target
from switch.sip.message.address import MAGIC_COOKIE
from switch.sip.message.errors import ParseError
from switch.sip.message.validate import stateless_tag
from switch.sip.session import Context, IncomingInvite, OutgoingInvite
from switch.sip.session.timer import too_small
from switch.sip.timer_queue import TimerQueue
from switch.sip.transaction import (
    ClientTransaction,
    InviteServerTransaction,
    RequestReceived,
    ResponseReceived,
    Send,
    TimedOut,
    TransactionLayer,
    TransportFailed,
)
from switch.sip.transaction import (
    Ended as TransactionEnded,
)
from switch.sip.transaction.timers import Timers
from switch.sip.ways import anywhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from switch.sip.dialog import DialogId
    from switch.sip.login import Login
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.session import Outcome, SessionEvent, Sleeper
    from switch.sip.session.context import Addressed, Late
    from switch.sip.transaction import Effect, ServerTransaction
    from switch.sip.ways import Permit, Ways

__all__ = ["Arrived", "Invited", "ResponseReceiver", "UserAgent"]

_LATE_SECONDS: Final = 300.0
"""How long after we gave an INVITE up its answer may come: a phone that our CANCEL never reached rings no longer."""
_MOST_LATE: Final = 1000
_DIALOG_ONLY: Final = frozenset({"INVITE", "BYE", "PRACK", "UPDATE", "INFO"})
"""Methods that mean nothing without a dialog that we know; INVITE where its To has a tag."""


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
        ways: Callable[[], Ways] = anywhere,
    ) -> None:
        """`ways` gives what dialogs ask before they believe their peers; it is asked anew each time."""
        timers = timers or Timers()
        self.layer = TransactionLayer(sent_by=sent_by, new_branch=lambda: MAGIC_COOKIE + new_token(), timers=timers)
        self._sessions: dict[DialogId, Addressed] = {}
        self._timed: TimerQueue[Sleeper] = TimerQueue()
        self._late: dict[str, tuple[float, Late]] = {}
        """By branch: until when the answer is waited for, oldest first."""
        self._new_token = new_token
        self._min_se = session_min_se
        self._context = Context(
            layer=self.layer,
            timers=timers,
            contact=contact,
            new_tag=new_token,
            register=self._register,
            unregister=self._unregister,
            remember=self._remember,
            watch=self._timed.update,
            sleep=self._timed.discard,
            headers=headers,
            session_expires=session_expires,
            session_min_se=session_min_se,
            ways=ways,
        )

    def use_session_timer(self, expires: int, min_se: int) -> None:
        """Other session timers for what begins from now on; seconds."""
        self._context.session_expires = expires
        self._context.session_min_se = self._min_se = min_se

    # sessions ---------------------------------------------------------------------------------------------------
    def _register(self, dialog_id: DialogId, session: Addressed) -> None:
        self._sessions[dialog_id] = session

    def _unregister(self, dialog_id: DialogId) -> None:
        self._sessions.pop(dialog_id, None)

    def _remember(self, branch: str, invite: Late, now: float) -> None:
        self._forget_late(now)
        if len(self._late) >= _MOST_LATE:
            del self._late[next(iter(self._late))]
        self._late[branch] = (now + _LATE_SECONDS, invite)

    def _forget_late(self, now: float) -> None:
        while self._late and (oldest := next(iter(self._late))) and self._late[oldest][0] <= now:
            del self._late[oldest]

    @property
    def session_count(self) -> int:
        """How many dialogs are held."""
        return len(self._sessions)

    def new_token(self) -> str:
        """A fresh random token: a tag, or a part of a Call-ID."""
        return self._new_token()

    def invite(
        self,
        request: Request,
        flow: Flow,
        *,
        natted: bool,
        owner: object,
        permit: Permit | None = None,
        login: Login | None = None,
    ) -> OutgoingInvite:
        """Prepare an INVITE of ours; its `start` sends it.

        `permit` lets it go to a carrier or the media server, `login` answers challenges there.
        """
        return OutgoingInvite(self._context, request, flow, natted=natted, owner=owner, permit=permit, login=login)

    def watch(self, sleeper: Sleeper) -> None:
        """Serve the timers of something else; those of sessions and INVITEs are seen to by their verbs."""
        self._timed.update(sleeper)

    def forget(self, sleeper: Sleeper) -> None:
        """Serve the timers of something no longer."""
        self._timed.discard(sleeper)

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
            if isinstance(effect, Send):
                out.append(effect)
            elif isinstance(effect, RequestReceived):
                out += self._request(effect, now)
            elif isinstance(effect, ResponseReceived):
                out += self._response(effect, now)
            elif isinstance(effect, TransactionEnded):
                effect.transaction.user = None  # an INVITE and its transaction know each other: let both go at once
            elif isinstance(effect, (TimedOut, TransportFailed)):
                out += self._failed(effect, now)
            else:
                out.append(effect)
        return out

    def _request(self, effect: RequestReceived, now: float) -> Iterable[Effect | SessionEvent | Invited | Arrived]:
        request, transaction = effect.request, effect.transaction
        if transaction is None or request.method == "ACK":
            return self._ack(request, now)
        if request.method == "CANCEL":
            return self._cancel(request, transaction, now)
        if request.to_tag is None and isinstance(transaction, InviteServerTransaction):
            return self._invited(request, effect.flow, transaction, now)
        session = self._find(request)
        if session is None:
            if request.method in _DIALOG_ONLY:
                return self._refuse(transaction, 481)
            return [Arrived(request, effect.flow, transaction)]
        try:
            return session.receive_request(request, transaction, effect.flow, now)
        except ParseError as error:
            return self._reply(transaction, error.status, now)

    def _find(self, request: Request) -> Addressed | None:
        """The session of a request of the peer."""
        tag = request.to_tag
        return None if tag is None else self.session(request.call_id, tag, request.from_tag or "")

    def session(self, call_id: str, local_tag: str, remote_tag: str) -> Addressed | None:
        """The session with that dialog."""
        return self._sessions.get((call_id, local_tag, remote_tag))

    def _invited(
        self, request: Request, flow: Flow, transaction: InviteServerTransaction, now: float
    ) -> Iterable[Effect | Invited]:
        try:
            check_target(request, flow, self._context.ways())
            if too_small(request, self._min_se):
                return self._refuse(transaction, 422, ("Min-SE", str(self._min_se)))
        except ParseError as error:
            reason = f"Bad Request - {error.reason}" if error.status == 400 else None
            return self._refuse(transaction, error.status, reason=reason)
        invite = IncomingInvite(self._context, request, flow, transaction)
        transaction.user = invite
        return [Invited(invite)]

    def _ack(self, request: Request, now: float) -> Outcome:
        session = self._find(request)
        return [] if session is None else session.receive_ack(request, now)

    def _cancel(self, request: Request, transaction: ServerTransaction, now: float) -> Outcome:
        target = self.layer.cancel_target(request)
        if target is None:
            return [*self._refuse(transaction, 481)]
        invite = target.user
        tag = invite.tag if isinstance(invite, IncomingInvite) else None
        outcome: Outcome = [*self._reply(transaction, 200, now, tag=tag)]
        if isinstance(invite, IncomingInvite):
            return outcome + invite.receive_cancel(request, now)
        session = self._find(target.request)
        return outcome if session is None else outcome + session.receive_cancel(target, request, now)

    def _response(self, effect: ResponseReceived, now: float) -> Iterable[Effect | SessionEvent]:
        response, transaction = effect.response, effect.transaction
        try:
            if transaction is None:
                return self._stray(response, now)
            receiver: ResponseReceiver | None = transaction.user
            if receiver is None:
                return []
            return receiver.receive_response(transaction, response, now, local=False)
        except ParseError:
            return []  # RFC 3261 16.7 has no answer to a malformed response: as if it had been lost

    def _stray(self, response: Response, now: float) -> Outcome:
        """A response without transaction: a 2xx may be repeated, or late for an INVITE that we have given up."""
        if response.cseq_method != "INVITE" or not 200 <= response.status < 300:
            return []
        session = self._sessions.get((response.call_id, response.from_tag or "", response.to_tag or ""))
        if session is not None:
            return session.repeat_ack(response)
        self._forget_late(now)
        late = self._late.get(response.via.branch or "")
        return [] if late is None else late[1].receive_late(response, now)

    def _failed(self, effect: TimedOut | TransportFailed, now: float) -> Outcome:
        transaction = effect.transaction
        if not isinstance(transaction, ClientTransaction):
            return []  # a session repeats what must arrive, and gives up by itself
        receiver: ResponseReceiver | None = transaction.user
        if receiver is None:
            return []
        response = transaction.request.response(408 if isinstance(effect, TimedOut) else 503)  # RFC 3261 8.1.3.1
        return receiver.receive_response(transaction, response, now, local=True)

    def _reply(
        self, transaction: ServerTransaction, status: int, now: float, *, tag: str | None = None
    ) -> list[Effect]:
        response = transaction.request.response(status, to_tag=tag or self._new_token())
        return list(self.layer.respond(transaction, response, now))

    def _refuse(
        self, transaction: ServerTransaction, status: int, *headers: tuple[str, str], reason: str | None = None
    ) -> list[Effect]:
        """Answer somebody of whom we know nothing."""
        request = transaction.request
        response = request.response(status, reason, to_tag=stateless_tag(request), headers=headers)
        return self.layer.refuse(transaction, response)
