# SPDX-License-Identifier: Apache-2.0
"""An INVITE that we send, until its final response (RFC 3261 section 13.2, RFC 3262 section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from switch.sip.dialog import Dialog
from switch.sip.message.grammar import whole_number
from switch.sip.session.outcome import SessionEvent
from switch.sip.session.receiving import ReceivingSession
from switch.sip.session.session import State
from switch.sip.session.timer import min_se, offered_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switch.sip.login import Login
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.session.context import Context
    from switch.sip.session.outcome import Outcome
    from switch.sip.session.session import Session
    from switch.sip.transaction import ClientTransaction, InviteClientTransaction
    from switch.sip.ways import Permit

__all__ = ["Answered", "Failed", "OutgoingInvite", "Progressed"]

_MOST_FORKS: Final = 64
"""Early dialogs of one INVITE; a callee that makes more is not believed."""
_BAD_GATEWAY: Final = 502
"""How an answer counts that makes no dialog."""


class OutgoingInvite:
    """The client side of a first INVITE; the callee may fork, so several early dialogs may arise."""

    __slots__ = (
        "_cancel_headers",
        "_context",
        "_rseqs",
        "_sessions",
        "answered",
        "cancelled",
        "finished",
        "flow",
        "login",
        "natted",
        "owner",
        "permit",
        "request",
        "rounds",
        "transaction",
    )

    def __init__(
        self,
        context: Context,
        request: Request,
        flow: Flow,
        *,
        natted: bool,
        owner: object,
        permit: Permit | None = None,
        login: Login | None = None,
    ) -> None:
        self._context = context
        self.request = request
        """Without Via; has From with tag, To, Call-ID, CSeq; Contact and session timer are added here."""
        self.flow = flow
        self.natted = natted
        self.owner = owner
        self.permit = permit
        """What lets it go to a carrier or to the media server."""
        self.login = login
        """What answers challenges to it, and to requests in its dialogs."""
        self.rounds = 0
        """How often it was sent again."""
        self.transaction: InviteClientTransaction | None = None
        self.answered: Session | None = None
        self.cancelled = False
        self.finished = False
        """The final response was told: `Answered` or `Failed`."""
        self._cancel_headers: Sequence[tuple[str, str]] = ()
        self._sessions: dict[str, Session] = {}
        self._rseqs: dict[str, int] = {}

    @property
    def sessions(self) -> list[Session]:
        """The dialogs that answers have made so far."""
        return list(self._sessions.values())

    # verbs ------------------------------------------------------------------------------------------------------
    def start(self, now: float) -> Outcome:
        """Send it."""
        context, names = self._context, {name for name, _ in self.request.headers}
        lines = [line for line in context.headers if line[0] not in names]
        if context.session_expires and "Session-Expires" not in names:
            lines.append(("Session-Expires", str(context.session_expires)))
            lines.append(("Min-SE", str(context.session_min_se)))
        self.request.headers += lines
        self.request.set("Contact", context.contact(self.flow))
        return self._transmit(now)

    def _transmit(self, now: float) -> Outcome:
        transaction, effects = self._context.layer.send_request(self.request.copy(), self.flow, now, permit=self.permit)
        transaction.user = self
        self.transaction = transaction  # type: ignore[assignment]  # the layer makes an INVITE transaction of an INVITE
        return [*effects]

    def resend(self, headers: Sequence[tuple[str, str]], now: float) -> Outcome:
        """Try again in the same call after 401, 407 or 422, with these header lines (RFC 3261 section 8.1.3.5).

        Harmless once the call was given up.
        """
        if self.cancelled or self.answered is not None:
            return []
        self.finished = False
        self._sessions.clear()
        self._rseqs.clear()
        for name in {name for name, _ in headers}:
            self.request.remove(name)
        for name, value in headers:
            self.request.add(name, value)
        self.rounds += 1
        self.request.set("CSeq", f"{self.request.cseq + 1} INVITE")
        return self._transmit(now)

    def cancel(self, now: float, headers: Sequence[tuple[str, str]] = ()) -> Outcome:
        """Give up: CANCEL as soon as it may be sent; a 2xx that is already on its way is answered with BYE."""
        if self.finished or self.cancelled or self.transaction is None:
            return []
        self.cancelled = True
        self._cancel_headers = headers
        return [*self._context.layer.cancel(self.transaction, now, headers)[1]]

    # responses --------------------------------------------------------------------------------------------------
    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """A response to the INVITE; `local`: it stands for a time-out (408) or a transport failure (503)."""
        if transaction is not self.transaction:
            return []  # to an INVITE that was sent again with credentials
        if response.status < 200:
            return self._provisional(response, now)
        if response.status < 300:
            return self._success(response, now)
        return self._failure(response, now, local=local)

    def _provisional(self, response: Response, now: float) -> Outcome:
        if response.status == 100 or self.finished or self.cancelled:
            return []
        tag = response.to_tag
        session = (
            self._session(response) if tag and (tag in self._sessions or len(self._sessions) < _MOST_FORKS) else None
        )
        if session is not None and session.state is not State.EARLY:
            return []
        reliable = session is not None and "100rel" in response.tokens("Require")
        if session is not None and reliable:
            if not self._is_next(response):
                return []
            session.in_flight.offers.receive_first(response.sdp)
        outcome: Outcome = []
        if session is not None and response.status == 199:  # RFC 6228: the other dialogs ring on
            outcome += session.reject_open_requests(now)
            session.close()
        return [*outcome, Progressed(self, session, response, reliable)]

    def _is_next(self, response: Response) -> bool:
        """Whether a reliable response is new and in order (RFC 3262 section 4)."""
        rseq = whole_number((response.get("RSeq") or "").strip(), 10)
        if rseq is None:
            return False
        tag = response.to_tag or ""
        last = self._rseqs.get(tag)
        if last is not None and rseq != last + 1:
            return False
        self._rseqs[tag] = rseq
        return True

    def _session(self, response: Response) -> Session:
        tag = response.to_tag or ""
        session = self._sessions.get(tag)
        if session is None:
            dialog = self._dialog(response)
            session = self._sessions[tag] = ReceivingSession(self._context, dialog, self.owner, self)
            session.in_flight.offers.send_first(self.request.sdp)
        session.note_peer(response)
        return session

    def _dialog(self, response: Response) -> Dialog:
        return Dialog.of_client(self.request, response, self.flow, natted=self.natted, ways=self._context.ways)

    def _success(self, response: Response, now: float) -> Outcome:
        if not response.to_tag:
            return self._untagged(response, now)
        session = self._session(response)
        if session.is_accepted:
            return session.repeat_ack(response)
        session.accepted(self.request, response, now)
        if self.finished or self.cancelled:
            return self._drop_fork(session, now)
        self.finished, self.answered = True, session
        return [*self._close_others(session, now), Answered(self, session, response)]

    def _untagged(self, response: Response, now: float) -> Outcome:
        """A 2xx without To tag makes no dialog (RFC 3261 section 12.1.2): who answered is let go, the INVITE failed.

        What comes again after that is left to its sender's patience: BYE was sent until it was answered.
        """
        if self.finished:
            return []
        layer, dialog = self._context.layer, self._dialog(response)
        outcome: Outcome = [*layer.send_ack(dialog.request("ACK", cseq=self.request.cseq), dialog.next_flow())]
        outcome += layer.send_request(dialog.request("BYE"), dialog.next_flow(), now)[1]
        status = 487 if self.cancelled else _BAD_GATEWAY
        return outcome + self._over(self.request.response(status), now, local=self.cancelled)

    def _drop_fork(self, session: Session, now: float) -> Outcome:
        """Another fork was faster, or the caller gave up: answer and hang up (RFC 3261 section 13.2.2.4)."""
        outcome = session.hang_up(now, self._cancel_headers)
        if self.cancelled and not self.finished:
            outcome += self._over(self.request.response(487), now, local=True)
        return outcome

    def _failure(self, response: Response, now: float, *, local: bool) -> Outcome:
        if self.finished:
            return []
        if response.status == 422 and not self.cancelled and not local:
            wanted = min_se(response)
            if wanted > offered_interval(self.request):
                closing = self._close_others(None, now)
                return closing + self.resend([("Session-Expires", str(wanted)), ("Min-SE", str(wanted))], now)
        return self._over(response, now, local=local)

    def _over(self, response: Response, now: float, *, local: bool) -> Outcome:
        self.finished = True
        closing = self._close_others(None, now)
        if local and response.status == 408 and self.transaction is not None:
            self._context.remember(self.transaction.request.via.branch, self._remains(), now)
        return [*closing, Failed(self, response, local)]

    def _remains(self) -> OutgoingInvite:
        """What is kept of an INVITE that never had a final response, as one may come yet: nothing of whose it was."""
        request = self.request.copy()
        request.body = b""
        left = OutgoingInvite(self._context, request, self.flow, natted=self.natted, owner=None, login=self.login)
        left.finished = left.cancelled = True
        left._cancel_headers = self._cancel_headers
        left._sessions = dict(self._sessions)
        for session in left._sessions.values():
            session.owner = None
        return left

    def receive_late(self, response: Response, now: float) -> Outcome:
        """A 2xx to what has been given up for good: whoever answered is acknowledged and let go (13.2.2.4)."""
        return self._success(response, now)

    def _close_others(self, winner: Session | None, now: float) -> Outcome:
        outcome: Outcome = []
        for session in self._sessions.values():
            if session is not winner and session.state is State.EARLY:
                outcome += session.reject_open_requests(now)
                session.close()
        return outcome

    # early dialogs ------------------------------------------------------------------------------------------------
    @property
    def glare_status(self) -> int:
        """RFC 3261 section 14.2: an INVITE that meets ours."""
        return 491

    def receive_prack(self, session: Session, request: Request) -> bool:
        """Only a caller acknowledges."""
        return False

    def receive_bye(self, session: Session, request: Request, now: float) -> Outcome:
        """The callee gave up waiting for the ACK to a 2xx that never reached us; without other dialogs that was all."""
        outcome = [*session.reject_open_requests(now), *session.end("bye", request)]
        if any(other.state is State.EARLY for other in self._sessions.values()):
            return outcome
        return outcome + self.cancel(now)

    def drop(self, session: Session, now: float, headers: Sequence[tuple[str, str]]) -> Outcome:
        """End one early dialog of several by BYE (RFC 3261 section 15); the last one goes with the whole INVITE."""
        if any(other is not session and other.state is State.EARLY for other in self._sessions.values()):
            return session.hang_up(now, headers)
        return self.cancel(now, headers)

    def flush(self, now: float) -> Outcome:
        """Nothing of a caller waits for an answer to PRACK."""
        return []


# what the owner is told -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class OfInvite(SessionEvent):
    """Told of an INVITE of ours."""

    invite: OutgoingInvite

    @property
    def owner(self) -> object:
        """The call leg."""
        return self.invite.owner


@dataclass(frozen=True, slots=True)
class Progressed(OfInvite):
    """A provisional response to our INVITE, other than 100; a repeated reliable one is not told again.

    After a 199 its early dialog is over (RFC 6228).
    """

    session: Session | None
    """The early dialog; None when the response had no To tag."""
    response: Response
    reliable: bool
    """It must be acknowledged with `session.prack`."""


@dataclass(frozen=True, slots=True)
class Answered(OfInvite):
    """The first 2xx to our INVITE; it must be acknowledged with `session.ack`."""

    session: Session
    response: Response


@dataclass(frozen=True, slots=True)
class Failed(OfInvite):
    """Our INVITE failed: 3xx to 6xx, a time-out (408) or a transport failure (503)."""

    response: Response
    local: bool
    """The response was not received but stands for a time-out or a transport failure."""
