# SPDX-License-Identifier: Apache-2.0
"""An INVITE that we answer, until its final response (RFC 3261 section 13.3, RFC 3262 section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from switch.sip.dialog import Dialog
from switch.sip.session.accept import Retransmission
from switch.sip.session.outcome import SessionEvent
from switch.sip.session.receiving import ReceivingSession
from switch.sip.session.session import State

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from switch.sip.login import Login
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import HeaderLines, Request, Response
    from switch.sip.session.context import Context
    from switch.sip.session.outcome import Outcome
    from switch.sip.session.session import Session
    from switch.sip.transaction import InviteServerTransaction

__all__ = ["Cancelled", "IncomingInvite"]

_LATE_ANSWER_SECONDS: Final = 1.0
"""How long a 2xx waits for the answer to an offer that the caller has sent meanwhile: the callee may have sent it, and
it come after the 2xx."""
_REPEAT_SECONDS: Final = 60.0  # RFC 3261 13.3.1.1: keeps proxies from giving up


class _Fork:
    """An early dialog and its reliable responses, of which one at a time waits for its PRACK."""

    __slots__ = ("description", "queue", "rseq", "session", "told", "waiting")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rseq = 0
        self.waiting: Retransmission | None = None
        self.queue: list[tuple[Response, object]] = []
        self.told: object = None
        """What the reliable response that was sent last relates to."""
        self.description = b""
        """What an unreliable response said of us last: the 2xx must say it again (RFC 3261 section 13.2.1)."""

    @property
    def holds_back_2xx(self) -> bool:
        """RFC 3262 section 3: not before a description in a provisional response is acknowledged."""
        waits = self.waiting is not None and self.waiting.response.sdp is not None
        return waits or any(response.sdp is not None for response, _ in self.queue)

    @property
    def rack(self) -> str | None:
        """The RAck of the PRACK that is waited for."""
        return None if self.waiting is None else f"{self.rseq} {self.waiting.response.cseq} INVITE"


class IncomingInvite:
    """The server side of a first INVITE.

    A B2BUA may have several callees: `fork` names one of them, and each gets an early dialog (To tag) of its own, so
    that offers and answers of different callees never mix (RFC 3261 section 12.1, RFC 6228).
    """

    __slots__ = (
        "_accepted",
        "_context",
        "_forks",
        "_last",
        "_late_at",
        "_repeat_at",
        "_tag",
        "ack_seconds",
        "answered",
        "cancelled",
        "entry",
        "flow",
        "login",
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
        self.login: Login | None = None
        """What answers challenges of the caller to requests of ours: that is for carriers."""
        self.answered = False
        """A final response was sent."""
        self.cancelled = False
        self.entry = 0
        self.ack_seconds: float | None = None
        """How long a 2xx waits for its ACK; None: 64*T1 (RFC 3261 section 13.3.1.4)."""
        self._tag: str | None = None
        self._forks: dict[Hashable, _Fork] = {}
        self._accepted: tuple[_Fork, HeaderLines, bytes] | None = None
        """The 2xx that waits: for a PRACK, or for the answer to an offer of the caller."""
        self._late_at: float | None = None
        """Until when it waits for such an answer."""
        self._last: Response | None = None
        self._repeat_at: float | None = None

    @property
    def accepts_reliable(self) -> bool:
        """Whether the caller supports reliable provisional responses."""
        return "100rel" in self.request.tokens("Supported") or self._requires_reliable

    @property
    def _requires_reliable(self) -> bool:
        return "100rel" in self.request.tokens("Require")

    @property
    def tag(self) -> str:
        """Our tag where no particular early dialog is meant: that of the first one."""
        if self._tag is None:
            self._tag = self._context.new_tag()
        return self._tag

    def session(self, fork: Hashable = None) -> Session:
        """The early dialog that `fork` has with the caller."""
        return self._fork(fork).session

    def _fork(self, name: Hashable) -> _Fork:
        fork = self._forks.get(name)
        if fork is None:
            tag = self._context.new_tag() if self._forks else self.tag
            dialog = Dialog.of_server(self.request, tag, self.flow, self._context.ways)
            session = ReceivingSession(self._context, dialog, self.owner, self)
            session.note_peer(self.request)
            session.in_flight.offers.receive_first(self.request.sdp)
            fork = self._forks[name] = _Fork(session)
        return fork

    @property
    def sessions(self) -> list[Session]:
        """The early dialogs so far."""
        return [fork.session for fork in self._forks.values()]

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
        relates_to: object = None,
    ) -> Outcome:
        """Send a provisional response; a reliable one is repeated until its PRACK, one at a time.

        What it `relates_to` is given by `acknowledged` when its PRACK has come. It is sent reliably where the caller
        requires that, and unreliably where the caller does not know how. 199 ends the early dialog (RFC 6228).
        """
        if self.answered:
            return []
        if status == 100:
            return [*self._context.layer.respond(self.transaction, self.request.response(100), now)]
        early = self._fork(fork)
        if early.session.state is not State.EARLY:
            return []
        if status == 199:
            return self.drop(early.session, now, [*headers])
        lines = [("Contact", self._context.contact(self.flow)), *self._context.headers, *headers]
        if body:
            lines.append(("Content-Type", "application/sdp"))
        tag = early.session.dialog.local_tag
        response = self.request.response(status, reason, to_tag=tag, headers=lines, body=body)
        if (reliable and self.accepts_reliable) or self._requires_reliable:
            early.queue.append((response, relates_to))
            return self._send_next(early, now)
        early.description = body or early.description
        return self._send(response, now)

    def _send(self, response: Response, now: float) -> Outcome:
        self._last, self._repeat_at = response, now + _REPEAT_SECONDS
        self._context.watch(self)
        return [*self._context.layer.respond(self.transaction, response, now)]

    def _send_next(self, fork: _Fork, now: float) -> Outcome:
        if fork.waiting is not None or not fork.queue:
            return []
        response, fork.told = fork.queue.pop(0)
        fork.rseq += 1
        response.add("Require", "100rel")
        response.add("RSeq", str(fork.rseq))
        fork.session.in_flight.offers.send_first(response.sdp)
        fork.waiting = Retransmission(response, self.transaction, self._context.timers, now, ceiling=math.inf)
        return self._send(response, now)

    def accept(
        self, now: float, *, fork: Hashable = None, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Outcome:
        """Answer with 200 in the dialog of `fork`; the other early dialogs are over.

        Without a body it repeats the description that unreliable responses have given, if the answer is still due.
        """
        return [] if self.answered else self._accept(self._fork(fork), list(headers), body, now)

    def _accept(self, fork: _Fork, headers: HeaderLines, body: bytes, now: float) -> Outcome:
        session = fork.session
        if session.state is not State.EARLY:
            return []
        if fork.holds_back_2xx:
            self._accepted = fork, headers, body
            return []
        # the answer of a callee counts, whatever he says or does not say to requests that came before it
        outcome = session.finish_pracks(now)
        if session.in_flight.owing is not None:
            if self._late_at is None:
                self._late_at = now + _LATE_ANSWER_SECONDS
                self._context.watch(self)
            self._accepted = fork, headers, body
            return outcome
        if not body and not session.in_flight.offers.settled:
            body = fork.description
        session.late_rack = fork.rack
        outcome += self._finish(now, keep=session)
        outcome += session.accept(self.transaction, now, headers, body)
        if self.ack_seconds is not None and session.in_flight.accepting is not None:
            session.in_flight.accepting.give_up_after(self.ack_seconds, now)
        return outcome

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
        response = self.request.response(status, reason, to_tag=self.tag, headers=headers, body=body)
        return [*self._finish(now), *self._context.layer.respond(self.transaction, response, now)]

    def refuse(self, response: Response | None, now: float) -> Outcome:
        """Answer somebody who has not shown who he is, or give him no answer: once, and without a trace (8.2.7)."""
        if self.answered:
            return []
        return [*self._finish(now), *self._context.layer.refuse(self.transaction, response)]

    def flush(self, now: float) -> Outcome:
        """Send what waited for a PRACK or UPDATE to be answered; happens by itself when that is."""
        outcome: Outcome = []
        for fork in self._forks.values():
            outcome += self._send_next(fork, now)
        if self._accepted is not None:
            outcome += self._accept(*self._accepted, now)
        return outcome

    def _finish(self, now: float, keep: Session | None = None) -> Outcome:
        self.answered = True
        self._repeat_at = self._last = self._accepted = self._late_at = None
        self._context.sleep(self)
        outcome: Outcome = []
        for fork in self._forks.values():
            fork.waiting = None
            fork.queue.clear()
            if fork.session is not keep:
                outcome += fork.session.reject_open_requests(now)
                fork.session.close()
        return outcome

    # early dialogs ------------------------------------------------------------------------------------------------
    @property
    def glare_status(self) -> int:
        """RFC 3261 section 14.2: a second INVITE before the final response to the first."""
        return 500

    def drop(self, session: Session, now: float, headers: Sequence[tuple[str, str]]) -> Outcome:
        """A callee is out of it: its early dialog ends, with a 199 if the caller understands it (RFC 6228).

        If it had accepted and the 2xx waits for a PRACK, nobody is left to answer.
        """
        if self._accepted is not None and self._accepted[0].session is session:
            return self.reject(480, now, headers=headers)
        outcome = session.reject_open_requests(now)
        self._forget(session)
        if self.answered or self._requires_reliable or "199" not in self.request.tokens("Supported"):
            return outcome
        lines = [("Contact", self._context.contact(self.flow)), *headers]
        response = self.request.response(199, to_tag=session.dialog.local_tag, headers=lines)
        return [*outcome, *self._context.layer.respond(self.transaction, response, now)]

    def _forget(self, session: Session) -> None:
        session.close()
        for fork in self._forks.values():
            if fork.session is session:
                fork.waiting = None
                fork.queue.clear()
        if self._last is not None and self._last.to_tag == session.dialog.local_tag:
            self._last = self._repeat_at = None  # repeated, it would bring the dialog to life again

    def receive_bye(self, session: Session, request: Request, now: float) -> Outcome:
        """The caller ends an early dialog (RFC 3261 section 15.1.2): with the last one goes the INVITE."""
        if any(other is not session and other.state is State.EARLY for other in self.sessions):
            outcome = [*session.reject_open_requests(now), *session.end("bye", request)]
            self._forget(session)
            return outcome
        self.cancelled = True
        return [*self.reject(487, now), Cancelled(self, request)]

    def receive_cancel(self, request: Request, now: float) -> Outcome:
        """CANCEL: the INVITE is answered with 487, unless it has been answered already (RFC 3261 section 9.2)."""
        if self.answered:
            return []
        self.cancelled = True
        return [*self.reject(487, now), Cancelled(self, request)]

    def _refuse_late_answer(self, now: float) -> Outcome:
        """The answer to the caller's offer did not come: what was agreed before stays, and the 2xx goes."""
        self._late_at = None
        session = None if self._accepted is None else self._accepted[0].session
        owing = None if session is None else session.in_flight.owing
        return [] if session is None or owing is None else session.respond(owing, 504, now)

    def receive_prack(self, session: Session, request: Request) -> bool:
        """Whether a PRACK acknowledges the reliable response that waits in its dialog (RFC 3262 section 3)."""
        fork = next((fork for fork in self._forks.values() if fork.session is session), None)
        if fork is None or fork.rack is None or (request.get("RAck") or "").split() != fork.rack.split():
            return False
        fork.waiting = None
        return True

    def acknowledged(self, session: Session) -> object:
        """What the reliable response that a PRACK has acknowledged related to; once."""
        for fork in self._forks.values():
            if fork.session is session:
                told, fork.told = fork.told, None
                return told
        return None

    # time -------------------------------------------------------------------------------------------------------
    @property
    def next_deadline(self) -> float | None:
        """When to call `handle_timer`."""
        deadlines = [fork.waiting.next_deadline for fork in self._forks.values() if fork.waiting is not None]
        deadlines += [at for at in (self._repeat_at, self._late_at) if at is not None]
        return min(deadlines, default=None)

    def handle_timer(self, now: float) -> Outcome:
        """Repeat reliable responses until their PRACK, and the last response once a minute."""
        outcome: Outcome = []
        if self._late_at is not None and now >= self._late_at:
            outcome += self._refuse_late_answer(now)
        for fork in self._forks.values():
            waiting = fork.waiting
            if waiting is None:
                continue
            if waiting.has_expired(now):  # RFC 3262 section 3: "the UAS SHOULD reject with a 5xx response"
                return [*outcome, *self.reject(504, now), Cancelled(self, self.request)]
            if waiting.is_due(now):
                outcome += self._context.layer.respond(self.transaction, waiting.response, now)
        if self._last is not None and self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = now + _REPEAT_SECONDS
            outcome += self._context.layer.respond(self.transaction, self._last, now)
        return outcome


@dataclass(frozen=True, slots=True)
class Cancelled(SessionEvent):
    """The caller gave up, by CANCEL or BYE, or never acknowledged a reliable response; the INVITE has been answered."""

    invite: IncomingInvite
    request: Request
    """CANCEL or BYE; the INVITE itself when it was answered 504 for want of a PRACK."""

    @property
    def owner(self) -> object:
        """The call leg."""
        return self.invite.owner
