# SPDX-License-Identifier: Apache-2.0
"""What hangs on the transactions of a dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from switch.sip.message import Response
    from switch.sip.session.context import Outcome
    from switch.sip.session.session import Session
    from switch.sip.transaction import ClientTransaction

__all__ = ["REFRESH", "Exchange"]


class Exchange:
    """Ties the response to a request of ours to the session and to what the request was for."""

    __slots__ = ("_relates_to", "_session")

    def __init__(self, session: Session, relates_to: object) -> None:
        self._session = session
        self._relates_to = relates_to

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """See `Session.receive_response`."""
        if local and response.status == 503:
            return self._session.connection_lost(transaction, response, self._relates_to, now)
        return self._session.receive_response(transaction, response, self._relates_to, now)


class _Refresh:
    """Marks a request that only refreshes the session timer."""


REFRESH: Final = _Refresh()
