# SPDX-License-Identifier: Apache-2.0
"""An INVITE that we answer, until its final response (RFC 3261 section 13.3, RFC 3262 section 3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from switch.sip.dialog import Dialog
from switch.sip.session.accept import Retransmission
from switch.sip.session.events import Cancelled
from switch.sip.session.session import Session, State

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from switch.sip.flow import Flow
    from switch.sip.message import Request, Response
    from switch.sip.session.session import Context, Outcome
    from switch.sip.transaction import InviteServerTransaction

__all__ = ["IncomingInvite"]

_REPEAT_SECONDS: Final = 60.0  # RFC 3261 13.3.1.1: keeps proxies from giving up


class IncomingInvite:
    """The server side of a first INVITE.

    A B2BUA may have several callees: `fork` names one of them, and each gets an early dialog (To tag) of its own, so
    that offers and answers of different callees never mix (RFC 3261 section 12.1, RFC 6228).
    """

    __slots__ = (
        "_context",
        "_last",
        "_pending",
        "_repeat_at",
        "_retransmission",
        "_rseq",
        "_sessions",
        "answered",
        "cancelled",
        "flow",
        "owner",
        "request",
        "transaction",
    )

    def __init__(self, context: Context, request: Request, flow: Flow, transaction: InviteServerTransaction) -> None:
        self._context = context
        self.request = request
        self.flow = flow
        self.transaction = transaction
        self.owner: object = None
        self.answered = False
        """A final response was sent."""
        self.cancelled = False
        self._sessions: dict[Hashable, Session] = {}
        self._retransmission: Retransmission | None = None
        self._pending: list[Callable[[float], Outcome]] = []
        self._rseq = 0
        self._last: Response | None = None
        self._repeat_at: float | None = None

    @property
    def accepts_reliable(self) -> bool:
        """Whether the caller supports reliable provisional responses."""
        return "100rel" in self.request.tokens("Supported") | self.request.tokens("Require")

    def session(self, fork: Hashable = None) -> Session:
        """The early dialog that `fork` has with the caller; raises ParseError when the INVITE can make none."""
        session = self._sessions.get(fork)
        if session is None:
            dialog = Dialog.of_server(self.request, self._context.new_tag(), self.flow)
            session = Session(self._context, dialog, self.owner)
            session.invite = self
            session.note_peer(self.request)
            self._sessions[fork] = session
        return session

    @property
    def sessions(self) -> list[Session]:
        """The early dialogs so far."""
        return list(self._sessions.values())

    # verbs ------------------------------------------------------------------------------------------------------
    def progress(
        self,
        status: int,
        now: float,
        *,
        fork: Hashable = None,
        reason: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        reliable: bool = False,
    ) -> Outcome:
        """Send a provisional response; a reliable one is repeated until its PRACK, one at a time."""
        if self.answered:
            return []
        if status == 100:
            return [*self._context.layer.respond(self.transaction, self.request.response(100), now)]
        if self._retransmission is not None and reliable:
            self._pending.append(
                lambda at: self.progress(
                    status, at, fork=fork, reason=reason, headers=headers, body=body, reliable=reliable
                )
            )
            return []
        session = self.session(fork)
        lines = [("Contact", self._context.contact(self.flow)), *self._context.headers, *headers]
        if reliable:
            self._rseq += 1
            lines += [("Require", "100rel"), ("RSeq", str(self._rseq))]
        if body:
            lines.append(("Content-Type", "application/sdp"))
            session.local_sdp = body
        response = self.request.response(status, reason, to_tag=session.dialog.local_tag, headers=lines, body=body)
        if reliable:
            self._retransmission = Retransmission(
                response, self.transaction, self._context.timers, now, ceiling=math.inf
            )
        else:
            self._last, self._repeat_at = response, now + _REPEAT_SECONDS
        return [*self._context.layer.respond(self.transaction, response, now)]

    def accept(
        self, now: float, *, fork: Hashable = None, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Outcome:
        """Answer with 200 in the dialog of `fork`; the other early dialogs are over."""
        if self.answered:
            return []
        if self._retransmission is not None and self._retransmission.response.sdp is not None:
            # RFC 3262 3: not before the description in the provisional response is acknowledged
            self._pending.append(lambda at: self.accept(at, fork=fork, headers=headers, body=body))
            return []
        session = self.session(fork)
        self._finish(keep=session)
        session.state = State.ACCEPTED
        return session.respond(self.transaction, 200, now, headers=headers, body=body)

    def reject(
        self,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Outcome:
        """Answer with a 3xx to 6xx; ends all early dialogs."""
        if self.answered:
            return []
        tag = next((session.dialog.local_tag for session in self._sessions.values()), None) or self._context.new_tag()
        response = self.request.response(status, reason, to_tag=tag, headers=headers, body=body)
        open_requests = [effect for session in self.sessions for effect in session.reject_open_requests(now)]
        self._finish()
        return [*open_requests, *self._context.layer.respond(self.transaction, response, now)]

    def _finish(self, keep: Session | None = None) -> None:
        self.answered = True
        self._retransmission = self._repeat_at = self._last = None
        self._pending.clear()
        for session in self._sessions.values():
            session.invite = None
            if session is not keep:
                session.close()

    # events -----------------------------------------------------------------------------------------------------
    def receive_cancel(self, request: Request, now: float) -> Outcome:
        """CANCEL: the INVITE is answered with 487, unless it has been answered already (RFC 3261 section 9.2)."""
        if self.answered:
            return []
        self.cancelled = True
        return [*self.reject(487, now), Cancelled(self, request)]

    def receive_prack(self, request: Request) -> bool:
        """Whether a PRACK acknowledges the reliable response that is waiting (RFC 3262 section 3)."""
        waiting = self._retransmission
        parts = (request.get("RAck") or "").split()
        expected = [str(self._rseq), str(self.request.cseq), "INVITE"]
        if waiting is None or parts != expected:
            return False
        self._retransmission = None
        return True

    def flush(self, now: float) -> Outcome:
        """Send what waited for the PRACK, once that is answered."""
        outcome: Outcome = []
        while self._pending and self._retransmission is None and not self.answered:
            outcome += self._pending.pop(0)(now)
        return outcome

    @property
    def next_deadline(self) -> float | None:
        """When to call `handle_timer`."""
        if self._retransmission is not None:
            return self._retransmission.next_deadline
        return self._repeat_at

    def handle_timer(self, now: float) -> Outcome:
        """Repeat a provisional response: a reliable one until its PRACK, any other once a minute."""
        waiting = self._retransmission
        if waiting is not None:
            if waiting.has_expired(now):
                return [*self.reject(504, now), Cancelled(self, self.request)]
            return (
                [*self._context.layer.respond(waiting.transaction, waiting.response, now)]
                if waiting.is_due(now)
                else []
            )
        if self._last is None or self._repeat_at is None or now < self._repeat_at:
            return []
        self._repeat_at = now + _REPEAT_SECONDS
        return [*self._context.layer.respond(self.transaction, self._last, now)]
