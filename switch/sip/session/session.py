# SPDX-License-Identifier: Apache-2.0
"""An INVITE session: one dialog and the requests that travel in it.

Orthogonal machines side by side instead of one product of states: the dialog, the 2xx that waits for its ACK, the
INVITE that we have sent, the offer that is open, the session timer.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from switch.sip.session.accept import Retransmission
from switch.sip.session.events import Acknowledged, Ended, Replied, Requested
from switch.sip.session.timer import SessionTimer, min_se, too_small
from switch.sip.transaction import InviteServerTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from switch.sip.dialog import Dialog
    from switch.sip.flow import Flow
    from switch.sip.message import Request, Response
    from switch.sip.session.events import SessionEvent
    from switch.sip.session.incoming import IncomingInvite
    from switch.sip.timers import Timers
    from switch.sip.transaction import ClientTransaction, Effect, ServerTransaction, TransactionLayer

__all__ = ["Context", "Outcome", "Session", "State"]

Outcome = list["Effect | SessionEvent"]

_OFFERING: Final = ("INVITE", "UPDATE", "PRACK")


class State(Enum):
    """Where the session stands."""

    EARLY = "early"
    ACCEPTED = "accepted"
    """A 2xx was sent or received; its ACK is still to come or to be sent."""
    CONFIRMED = "confirmed"
    ENDED = "ended"


class Context:
    """What every session needs from the user agent that holds it."""

    __slots__ = (
        "contact",
        "headers",
        "layer",
        "new_tag",
        "register",
        "session_expires",
        "session_min_se",
        "timers",
        "unregister",
    )

    def __init__(
        self,
        *,
        layer: TransactionLayer,
        timers: Timers,
        contact: Callable[[Flow], str],
        new_tag: Callable[[], str],
        register: Callable[[Session], None],
        unregister: Callable[[Session], None],
        headers: Sequence[tuple[str, str]],
        session_expires: int,
        session_min_se: int,
    ) -> None:
        self.layer = layer
        self.timers = timers
        self.contact = contact
        """The Contact value for messages over a flow."""
        self.new_tag = new_tag
        self.register = register
        """Makes in-dialog requests and timers find the session."""
        self.unregister = unregister
        self.headers = headers
        """Header lines of every INVITE, UPDATE and 2xx of ours: Allow, Supported."""
        self.session_expires = session_expires
        self.session_min_se = session_min_se


class Session:
    """One dialog of a call."""

    __slots__ = (
        "_ack",
        "_ack_flow",
        "_answering",
        "_asking",
        "_bye_when_acknowledged",
        "_context",
        "_peer_allows",
        "_retransmission",
        "dialog",
        "invite",
        "local_sdp",
        "owner",
        "state",
        "timer",
    )

    def __init__(self, context: Context, dialog: Dialog, owner: object, state: State = State.EARLY) -> None:
        self._context = context
        self.dialog = dialog
        self.owner = owner
        """The call leg that it belongs to; free for the user of the session."""
        self.state = state
        self.timer = SessionTimer(0)
        self.invite: IncomingInvite | None = None
        """The INVITE that made it, while we have not answered that finally."""
        self.local_sdp: bytes | None = None
        """The session description that we sent last, for refreshes."""
        self._retransmission: Retransmission | None = None
        self._ack: Request | None = None
        self._ack_flow: Flow | None = None
        self._answering: ServerTransaction | None = None
        """The INVITE, or the UPDATE or PRACK with an offer, of the peer that is not answered yet."""
        self._asking: ClientTransaction | None = None
        """Our INVITE, or UPDATE or PRACK with an offer, that is not answered yet."""
        self._bye_when_acknowledged: Sequence[tuple[str, str]] | None = None
        self._peer_allows: frozenset[str] = frozenset()
        context.register(self)

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

        Its final response comes back as `Replied` with `relates_to`.
        """
        lines = list(headers)
        if method in ("INVITE", "UPDATE"):
            lines += self._target_headers()
            lines += self._refresh_headers()
        if body:
            lines.append(("Content-Type", content_type))
            if content_type == "application/sdp":
                self.local_sdp = body
        request = self.dialog.request(method, lines, body)
        transaction, effects = self._context.layer.send_request(request, self.dialog.next_flow(), now)
        transaction.user = _Exchange(self, relates_to)
        if method == "INVITE" or (method in _OFFERING and request.sdp is not None):
            self._asking = transaction
        return [*effects]

    def prack(self, response: Response, now: float, *, body: bytes = b"", relates_to: object = None) -> Outcome:
        """Acknowledge a reliable provisional response to our INVITE (RFC 3262 section 4)."""
        acknowledged = f"{(response.get('RSeq') or '').strip()} {response.cseq} {response.cseq_method}"
        return self.send("PRACK", now, headers=[("RAck", acknowledged)], body=body, relates_to=relates_to)

    def ack(self, request: Request, now: float, body: bytes = b"") -> Outcome:
        """Acknowledge the 2xx to `request`, an INVITE of ours; `body` is the answer to an offer in the 2xx."""
        lines = [("Content-Type", "application/sdp")] if body else []
        if body:
            self.local_sdp = body
        self._ack = self.dialog.request("ACK", [*lines, *self._credentials(request)], body, cseq=request.cseq)
        self._ack_flow = self.dialog.next_flow()
        if self.state is State.ACCEPTED:
            self.state = State.CONFIRMED
        return [*self._context.layer.send_ack(self._ack.copy(), self._ack_flow)]

    def repeat_ack(self, response: Response) -> Outcome:
        """The peer repeated its 2xx: repeat the ACK (RFC 3261 section 13.2.2.4)."""
        if self._ack is None or self._ack_flow is None or self._ack.cseq != response.cseq:
            return []
        return [*self._context.layer.send_ack(self._ack.copy(), self._ack_flow)]

    def bye(self, now: float, headers: Sequence[tuple[str, str]] = ()) -> Outcome:
        """Hang up. A callee waits for the ACK first (RFC 3261 section 15); harmless when the session is over."""
        if self.state is State.ENDED:
            return []
        if self._retransmission is not None and isinstance(self._retransmission.transaction, InviteServerTransaction):
            self._bye_when_acknowledged = headers
            return []
        return self._hang_up(now, headers)

    def _hang_up(self, now: float, headers: Sequence[tuple[str, str]]) -> Outcome:
        self.close()
        outcome = self.reject_open_requests(now)
        request = self.dialog.request("BYE", headers)
        transaction, effects = self._context.layer.send_request(request, self.dialog.next_flow(), now)
        transaction.user = None
        return [*outcome, *effects]

    def close(self) -> None:
        """End the session without a word to the peer."""
        if self.state is not State.ENDED:
            self.state = State.ENDED
            self._retransmission = None
            self.timer = SessionTimer(0)
            self._context.unregister(self)

    def reject_open_requests(self, now: float) -> Outcome:
        """Answer what the peer still waits for with 487, as the session is over (RFC 3261 section 15.1.2)."""
        transaction, self._answering = self._answering, None
        if transaction is None:
            return []
        response = transaction.request.response(487, to_tag=self.dialog.local_tag)
        return [*self._context.layer.respond(transaction, response, now)]

    # requests of the peer ---------------------------------------------------------------------------------------
    def receive_request(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> Outcome:
        """An in-dialog request other than ACK."""
        if not self.dialog.accepts_cseq(request):
            return self._refuse(transaction, 500, now)
        if request.method == "BYE":
            return self._receive_bye(request, transaction, now)
        if request.method == "PRACK" and (self.invite is None or not self.invite.receive_prack(request)):
            return self._refuse(transaction, 481, now)
        if request.method in _OFFERING and (request.method == "INVITE" or request.sdp is not None):
            refused = self._refuse_glare(request, transaction, now)
            if refused is not None:
                return refused
            self._answering = transaction
        if request.method in ("INVITE", "UPDATE"):
            if too_small(request, self._context.session_min_se):
                least = ("Min-SE", str(self._context.session_min_se))
                return self._refuse(transaction, 422, now, least)
            self.dialog.refresh_target(request)
            self.dialog.flow = flow
            self.note_peer(request)
            if request.method == "UPDATE" and request.sdp is None:
                return self.respond(transaction, 200, now)  # a refresh of this leg's timer concerns nobody else
        return [Requested(self, transaction, request)]

    def _receive_bye(self, request: Request, transaction: ServerTransaction, now: float) -> Outcome:
        outcome: Outcome = [*self._context.layer.respond(transaction, request.response(200), now)]
        if self.state is State.ENDED:
            return outcome
        outcome += self.reject_open_requests(now)
        self.close()
        return [*outcome, Ended(self, "bye", request)]

    def _refuse_glare(self, request: Request, transaction: ServerTransaction, now: float) -> Outcome | None:
        """RFC 3261 section 14.2, RFC 3311 section 5.2: one offer at a time."""
        if self._asking is not None:
            return self._refuse(transaction, 491, now)
        if self._answering is not None or (request.method == "INVITE" and self._retransmission is not None):
            return self._refuse(transaction, 500, now, ("Retry-After", "3"))
        return None

    def _refuse(self, transaction: ServerTransaction, status: int, now: float, *headers: tuple[str, str]) -> Outcome:
        if self._answering is transaction:
            self._answering = None
        return [*self._context.layer.respond(transaction, transaction.request.response(status, headers=headers), now)]

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
        """Answer a request that came as `Requested`."""
        request = transaction.request
        lines = list(headers)
        if 200 <= status < 300 and request.method in ("INVITE", "UPDATE"):
            lines += self._target_headers()
            lines += self.timer.answer(request, self._context.session_expires, now)
            self._context.register(self)
        if body:
            lines.append(("Content-Type", content_type))
            if content_type == "application/sdp" and status < 300:
                self.local_sdp = body
        response = request.response(status, reason, to_tag=self.dialog.local_tag, headers=lines, body=body)
        if status >= 200 and self._answering is transaction:
            self._answering = None
        if 200 <= status < 300 and isinstance(transaction, InviteServerTransaction):
            self.await_ack(response, transaction, now)
        return [*self._context.layer.respond(transaction, response, now)]

    def await_ack(self, response: Response, transaction: ServerTransaction, now: float) -> None:
        """Repeat a 2xx to INVITE until its ACK comes (RFC 3261 section 13.3.1.4)."""
        self._retransmission = Retransmission(response, transaction, self._context.timers, now)
        self._context.register(self)

    def receive_ack(self, request: Request, now: float) -> Outcome:
        """An ACK to our 2xx; a repeated one is nothing new."""
        waiting = self._retransmission
        if waiting is None or request.cseq != waiting.transaction.request.cseq:
            return []
        self._retransmission = None
        if self._bye_when_acknowledged is not None:
            return self._hang_up(now, self._bye_when_acknowledged)
        if self.state is State.ACCEPTED:
            self.state = State.CONFIRMED
        return [Acknowledged(self, request)]

    # responses to our requests ----------------------------------------------------------------------------------
    def receive_response(
        self, transaction: ClientTransaction, response: Response, relates_to: object, now: float
    ) -> Outcome:
        """A response within the dialog, or the 408 or 503 that stands for a time-out or a transport failure."""
        if response.status < 200:
            return []
        request = transaction.request
        if self._asking is transaction:
            self._asking = None
        elif request.method == "INVITE" and response.status < 300:
            return self.repeat_ack(response)  # a 2xx that we have seen
        if self.state is State.ENDED:
            return self._acknowledge_and_forget(request, response, now)
        if response.status < 300 and request.method in ("INVITE", "UPDATE"):
            self.dialog.refresh_target(response)
            self.note_peer(response)
            self.timer.settle(response, self._asked(request), now)
            self._context.register(self)
        outcome = self._acknowledge_refresh(request, response, relates_to, now)
        # RFC 3261 12.2.1.2: the dialog is gone, or the peer is
        if response.status == 481 or (response.status == 408 and request.method in ("INVITE", "UPDATE")):
            outcome += self._hang_up(now, [("Reason", 'SIP;cause=408;text="Dialog lost"')])
            outcome.append(Ended(self, "failed"))
        return outcome

    def _acknowledge_refresh(self, request: Request, response: Response, relates_to: object, now: float) -> Outcome:
        if relates_to is not _REFRESH:
            return [Replied(self, request, response, relates_to)]
        if request.method == "INVITE" and response.status < 300:
            return self.ack(request, now)
        if response.status == 422:
            self.timer.interval = max(self.timer.interval, min_se(response))
            self.timer.restart(now)
        return []

    def _acknowledge_and_forget(self, request: Request, response: Response, now: float) -> Outcome:
        if request.method == "INVITE" and response.status < 300:
            return self.ack(request, now)
        return []

    # time -------------------------------------------------------------------------------------------------------
    @property
    def next_deadline(self) -> float | None:
        """When to call `handle_timer`."""
        if self._retransmission is not None:
            return self._retransmission.next_deadline
        return self.timer.next_deadline

    def handle_timer(self, now: float) -> Outcome:
        """Repeat an unacknowledged 2xx, refresh the session, or end it."""
        waiting = self._retransmission
        if waiting is not None:
            if waiting.has_expired(now):
                self._retransmission = None
                return [*self._hang_up(now, [("Reason", 'SIP;cause=408;text="ACK timeout"')]), Ended(self, "no-ack")]
            if waiting.is_due(now):
                return [*self._context.layer.respond(waiting.transaction, waiting.response, now)]
            return []
        if self.timer.expires_at is not None and now >= self.timer.expires_at:
            return [*self._hang_up(now, [("Reason", 'SIP;cause=408;text="Session expired"')]), Ended(self, "timer")]
        if self.timer.refresh_at is not None and now >= self.timer.refresh_at:
            return self._refresh(now)
        return []

    def _refresh(self, now: float) -> Outcome:
        self.timer.refresh_at = None
        if self._asking is not None or self._answering is not None:
            self.timer.refresh_at = now + 2  # an offer is on its way: later
            return []
        if "UPDATE" in self._peer_allows or self.local_sdp is None:
            return self.send("UPDATE", now, relates_to=_REFRESH)
        return self.send("INVITE", now, body=self.local_sdp, relates_to=_REFRESH)

    # headers ----------------------------------------------------------------------------------------------------
    def note_peer(self, message: Request | Response) -> None:
        """Remember which methods the peer takes."""
        allowed = message.values("Allow")
        if allowed:
            self._peer_allows = _methods(",".join(allowed).upper().replace(" ", ""))

    def _target_headers(self) -> list[tuple[str, str]]:
        return [("Contact", self._context.contact(self.dialog.flow)), *self._context.headers]

    def _refresh_headers(self) -> list[tuple[str, str]]:
        interval = self.timer.interval or self._context.session_expires
        if not interval:
            return []
        # RFC 4028 7.4: the refresher stays who it is
        role = "" if not self.timer.interval else f";refresher={'uac' if self.timer.we_refresh else 'uas'}"
        return [("Session-Expires", f"{interval}{role}"), ("Min-SE", str(self._context.session_min_se))]

    def _asked(self, request: Request) -> int:
        value = (request.get("Session-Expires") or "0").partition(";")[0]
        return int(value)

    @staticmethod
    def _credentials(request: Request) -> list[tuple[str, str]]:
        # RFC 3261 13.2.2.4: an ACK carries the credentials of its INVITE
        return [line for line in request.headers if line[0] in ("Authorization", "Proxy-Authorization")]


class _Exchange:
    """Ties the response to a request of ours to the session and to what the request was for."""

    __slots__ = ("_relates_to", "_session")

    def __init__(self, session: Session, relates_to: object) -> None:
        self._session = session
        self._relates_to = relates_to

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """See `Session.receive_response`."""
        return self._session.receive_response(transaction, response, self._relates_to, now)


class _Refresh:
    """Marks a request that only refreshes the session timer."""


_REFRESH: Final = _Refresh()


@lru_cache(maxsize=256)
def _methods(text: str) -> frozenset[str]:
    return frozenset(text.split(","))
