# SPDX-License-Identifier: Apache-2.0
"""What is said to the legs of calls. Each verb is said now, by the element's clock, and sent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from switch.sip.element.core import Core
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import HeaderLines, Request, Response
    from switch.sip.session import IncomingInvite, OutgoingInvite, Session
    from switch.sip.transaction import ServerTransaction

__all__ = ["Legs"]

FRAGMENT: Final = "message/sipfrag;version=2.0"
"""A part of a message, such as a status line (RFC 3420)."""


class Legs:
    """Speaks to all legs of one switch; what is said too late is not said."""

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        self._core = core

    # to the caller, who waits for an answer ---------------------------------------------------------------------
    def ring(
        self,
        invite: IncomingInvite,
        status: int = 180,
        *,
        fork: Hashable = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        relates_to: Response | None = None,
    ) -> None:
        """Tell how it goes, reliably where that `relates_to` a reliable response of a callee."""
        core, reliable = self._core, relates_to is not None
        outcome = invite.progress(
            status, core.now(), fork=fork, headers=headers, body=body, reliable=reliable, relates_to=relates_to
        )
        core.perform(outcome)

    def answer(
        self, invite: IncomingInvite, *, fork: Hashable, headers: Sequence[tuple[str, str]], body: bytes
    ) -> None:
        """200: both sides talk."""
        self._core.perform(invite.accept(self._core.now(), fork=fork, headers=headers, body=body))

    def reject(
        self, invite: IncomingInvite, status: int, headers: Sequence[tuple[str, str]], text: str | None = None
    ) -> None:
        """There is no call."""
        self._core.perform(invite.reject(status, self._core.now(), reason=text, headers=headers))

    def turn_away(self, invite: IncomingInvite, response: Response | None) -> None:
        """Answer a stranger, or give him no answer: without state."""
        self._core.perform(invite.refuse(response, self._core.now()))

    def flush(self, invite: IncomingInvite) -> None:
        """Send what waited for a PRACK."""
        self._core.perform(invite.flush(self._core.now()))

    # to whoever is rung -----------------------------------------------------------------------------------------
    def call(self, attempt: OutgoingInvite) -> None:
        """Send the INVITE."""
        self._core.perform(attempt.start(self._core.now()))

    def call_again(self, attempt: OutgoingInvite, lines: HeaderLines) -> None:
        """Send it once more, with these header lines."""
        self._core.perform(attempt.resend(lines, self._core.now()))

    def give_up(self, attempt: OutgoingInvite, headers: Sequence[tuple[str, str]] = ()) -> None:
        """CANCEL."""
        self._core.perform(attempt.cancel(self._core.now(), headers))

    # within a dialog --------------------------------------------------------------------------------------------
    def acknowledge(self, session: Session, request: Request, body: bytes = b"") -> None:
        """ACK to the 2xx of an INVITE of ours."""
        self._core.perform(session.ack(request, self._core.now(), body))

    def acknowledge_ringing(
        self, session: Session, response: Response, *, body: bytes = b"", relates_to: object = None
    ) -> None:
        """PRACK to a reliable provisional response."""
        self._core.perform(session.prack(response, self._core.now(), body=body, relates_to=relates_to))

    def ask(
        self,
        session: Session,
        method: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        content_type: str,
        relates_to: object,
    ) -> None:
        """A request: hold, codecs, keys, and whatever else crosses."""
        now = self._core.now()
        outcome = session.send(
            method, now, headers=headers, body=body, content_type=content_type, relates_to=relates_to
        )
        self._core.perform(outcome)

    def notify(self, session: Session, event: str, state: str, fragment: str, relates_to: object) -> None:
        """NOTIFY: how it goes with what somebody asked for within a call (RFC 3515)."""
        core = self._core
        headers = (("Event", event), ("Subscription-State", state), ("Contact", core.contact(session.dialog.flow)))
        self.ask(session, "NOTIFY", headers, fragment.encode(), FRAGMENT, relates_to)

    def withdraw(self, session: Session) -> None:
        """CANCEL of a re-INVITE."""
        self._core.perform(session.cancel(self._core.now()))

    def respond(
        self,
        session: Session,
        transaction: ServerTransaction,
        status: int,
        *,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """Answer a request."""
        now = self._core.now()
        self._core.perform(session.respond(transaction, status, now, reason=reason, headers=headers, body=body))

    def hang_up(self, session: Session, headers: Sequence[tuple[str, str]] = ()) -> None:
        """BYE, or what stands for it before the answer."""
        self._core.perform(session.bye(self._core.now(), headers))

    def hang_up_left(self, request: Request, flow: Flow) -> None:
        """BYE in a dialog of an earlier life."""
        core = self._core
        core.perform(core.agent.layer.send_request(request, flow, core.now())[1])
