# SPDX-License-Identifier: Apache-2.0
"""What hangs on the transactions of a dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switch.sip.dialog import Dialog
    from switch.sip.login import Login
    from switch.sip.message.message import Request, Response
    from switch.sip.session.in_flight import InFlight
    from switch.sip.session.outcome import Outcome
    from switch.sip.transaction import ClientTransaction

__all__ = ["REFRESH", "Exchange"]


class Exchanging(Protocol):
    """A session, as far as its exchanges know it."""

    dialog: Dialog
    in_flight: InFlight
    login: Login | None

    @property
    def is_over(self) -> bool:
        """It has ended; a BYE of ours may still be on its way."""

    def resend(
        self,
        request: Request,
        headers: Sequence[tuple[str, str]],
        now: float,
        *,
        relates_to: object = None,
        rounds: int = 0,
    ) -> Outcome:
        """Send a request of ours again, with these header lines."""

    def receive_response(
        self, transaction: ClientTransaction, response: Response, relates_to: object, now: float
    ) -> Outcome:
        """What cannot be mended here."""


class Exchange:
    """Ties the response to a request of ours to the session and to what the request was for."""

    __slots__ = ("_relates_to", "_rounds", "_session")

    def __init__(self, session: Exchanging, relates_to: object, rounds: int) -> None:
        """`rounds`: how often the request was sent again with credentials."""
        self._session = session
        self._relates_to = relates_to
        self._rounds = rounds

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """What can be mended is sent again; see `Session.receive_response` for the rest."""
        again = None
        if self._is_open(transaction):
            if local and response.status == 503:
                again = self._over_new_connection(transaction, response, now)
            elif response.status in (401, 407):
                again = self._with_credentials(transaction, response, now)
        if again is not None:
            return again
        return self._session.receive_response(transaction, response, self._relates_to, now)

    def _is_open(self, transaction: ClientTransaction) -> bool:
        """An INVITE fails once; what comes after that is about its ACK."""
        return transaction.request.method != "INVITE" or transaction is self._session.in_flight.inviting

    def _over_new_connection(self, transaction: ClientTransaction, response: Response, now: float) -> Outcome | None:
        """A request could not be sent: send it again over a new connection, if there can be one."""
        session = self._session
        if not session.dialog.reconnect():
            return None
        session.in_flight.concluded(transaction, response)
        return session.resend(transaction.request, (), now, relates_to=self._relates_to, rounds=self._rounds)

    def _with_credentials(self, transaction: ClientTransaction, response: Response, now: float) -> Outcome | None:
        """The peer challenges us: answer, if we can and may (RFC 3261 section 22.2). BYE is sent when all is over."""
        session, request = self._session, transaction.request
        if session.login is None or (session.is_over and request.method != "BYE"):
            return None
        lines = session.login.answers(request, response, self._rounds)
        if lines is None:
            return None
        session.in_flight.concluded(transaction, response)
        return session.resend(request, lines, now, relates_to=self._relates_to, rounds=self._rounds + 1)


class _Refresh:
    """Marks a request that only refreshes the session timer."""


REFRESH: Final = _Refresh()
