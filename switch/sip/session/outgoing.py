# SPDX-License-Identifier: Apache-2.0
"""An INVITE that we send, until its final response (RFC 3261 section 13.2, RFC 3262 section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.sip.dialog import Dialog
from switch.sip.session.events import Answered, Failed, Progressed
from switch.sip.session.session import Session, State
from switch.sip.session.timer import min_se

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switch.sip.flow import Flow
    from switch.sip.message import Request, Response
    from switch.sip.session.session import Context, Outcome
    from switch.sip.transaction import ClientTransaction, InviteClientTransaction

__all__ = ["OutgoingInvite"]


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
        "natted",
        "owner",
        "request",
        "transaction",
    )

    def __init__(self, context: Context, request: Request, flow: Flow, *, natted: bool, owner: object) -> None:
        self._context = context
        self.request = request
        """Without Via; has From with tag, To, Call-ID, CSeq; Contact and session timer are added here."""
        self.flow = flow
        self.natted = natted
        self.owner = owner
        self.transaction: InviteClientTransaction | None = None
        self.answered: Session | None = None
        self.cancelled = False
        self.finished = False
        self._cancel_headers: Sequence[tuple[str, str]] = ()
        self._sessions: dict[str, Session] = {}
        self._rseqs: dict[str, int] = {}

    def start(self, now: float) -> Outcome:
        """Send it."""
        self.request.set("Contact", self._context.contact(self.flow))
        for line in self._context.headers:
            if self.request.get(line[0]) is None:
                self.request.add(*line)
        if self._context.session_expires and self.request.get("Session-Expires") is None:
            self.request.add("Session-Expires", str(self._context.session_expires))
            self.request.add("Min-SE", str(self._context.session_min_se))
        return self._transmit(now)

    def _transmit(self, now: float) -> Outcome:
        transaction, effects = self._context.layer.send_request(self.request.copy(), self.flow, now)
        transaction.user = self
        self.transaction = transaction  # type: ignore[assignment]  # the layer makes an INVITE transaction of an INVITE
        return [*effects]

    def resend(self, headers: Sequence[tuple[str, str]], now: float) -> Outcome:
        """Try again in the same call after 401, 407 or 422, with these header lines (RFC 3261 section 8.1.3.5)."""
        self.finished = False
        for name, value in headers:
            self.request.set(name, value)
        self.request.set("CSeq", f"{self.request.cseq + 1} INVITE")
        return self._transmit(now)

    def cancel(self, now: float, headers: Sequence[tuple[str, str]] = ()) -> Outcome:
        """Give up: CANCEL as soon as it may be sent; a 2xx that is already on its way is answered with BYE."""
        if self.finished or self.cancelled or self.transaction is None:
            return []
        self.cancelled = True
        self._cancel_headers = headers
        _, effects = self._context.layer.cancel(self.transaction, now, headers)
        return [*effects]

    # responses --------------------------------------------------------------------------------------------------
    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """A response to the INVITE; `local`: it stands for a time-out (408) or a transport failure (503)."""
        if transaction is not self.transaction:
            return []  # to an INVITE that was sent again with credentials
        if response.status < 200:
            return self._provisional(response)
        if response.status < 300:
            return self._success(response, now)
        return self._failure(response, now, local=local)

    def _provisional(self, response: Response) -> Outcome:
        if response.status == 100 or self.finished or self.cancelled:
            return []
        session = self._session(response) if response.to_tag else None
        reliable = session is not None and "100rel" in response.tokens("Require")
        if reliable and not self._is_next(response):
            return []
        return [Progressed(self, session, response, reliable)]

    def _is_next(self, response: Response) -> bool:
        """Whether a reliable response is new and in order (RFC 3262 section 4)."""
        rseq = (response.get("RSeq") or "").strip()
        if not (rseq.isascii() and rseq.isdigit()) or len(rseq) > 10:
            return False
        tag = response.to_tag or ""
        last = self._rseqs.get(tag)
        if last is not None and int(rseq) != last + 1:
            return False
        self._rseqs[tag] = int(rseq)
        return True

    def _session(self, response: Response) -> Session:
        tag = response.to_tag or ""
        session = self._sessions.get(tag)
        if session is None:
            dialog = Dialog.of_client(self.request, response, self.flow, natted=self.natted)
            session = Session(self._context, dialog, self.owner)
            session.local_sdp = self.request.sdp
            self._sessions[tag] = session
        elif response.contact is not None:
            session.dialog.refresh_target(response)
            session.dialog.route_set = response.values("Record-Route")[::-1]
        session.note_peer(response)
        return session

    def _success(self, response: Response, now: float) -> Outcome:
        known = self._sessions.get(response.to_tag or "")
        if known is not None and known.state is not State.EARLY:
            return known.repeat_ack(response)
        session = self._session(response)
        session.state = State.ACCEPTED
        if self.finished or self.cancelled:
            return self._drop(session, now)
        self.finished, self.answered = True, session
        self._close_others(session)
        asked = int((self.request.get("Session-Expires") or "0").partition(";")[0])
        session.timer.settle(response, asked, now)
        self._context.register(session)
        return [Answered(self, session, response)]

    def _drop(self, session: Session, now: float) -> Outcome:
        """Another fork was faster, or the caller gave up: answer and hang up (RFC 3261 section 13.2.2.4)."""
        outcome = [*session.ack(self.request, now), *session.bye(now, self._cancel_headers)]
        if self.cancelled and not self.finished:
            outcome += self._over(self.request.response(487), local=True)
        return outcome

    def _failure(self, response: Response, now: float, *, local: bool) -> Outcome:
        if self.finished:
            return []
        if response.status == 422 and not self.cancelled and not local:
            wanted = min_se(response)
            if wanted > int((self.request.get("Session-Expires") or "0").partition(";")[0]):
                return self.resend([("Session-Expires", str(wanted)), ("Min-SE", str(wanted))], now)
        return self._over(response, local=local)

    def _over(self, response: Response, *, local: bool) -> Outcome:
        self.finished = True
        self._close_others(None)
        return [Failed(self, response, local)]

    def _close_others(self, winner: Session | None) -> None:
        for session in self._sessions.values():
            if session is not winner and session.state is State.EARLY:
                session.close()
