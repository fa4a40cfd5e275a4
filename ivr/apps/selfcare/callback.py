# SPDX-License-Identifier: Apache-2.0
"""`callback`: a missed call that costs nothing is rung back, and gets the calling card.

The call is refused at once (486), so no carrier charges it. A moment later the media server calls the number that it
came from, on the account that is known by that number, and whoever answers there is in `calling_card`. Both calls, the
one to the caller and the one that he then makes, are charged like any other of the account.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from ivr.apps.selfcare.desk import access_number, known_account
from ivr.leg import DialRequest

if TYPE_CHECKING:
    from ivr.apps.selfcare.desk import Desk
    from ivr.verbs import CallDetails, Ivr

__all__ = ["CARD", "RingBack", "callback"]

BUSY: Final = 486
CARD: Final = "calling_card"
"""The application that the called caller gets."""


class RingBack(Protocol):
    """Makes a call of the media server's own (`ivr.server.IvrServer.ring_back`)."""

    def __call__(
        self, request: DialRequest, details: CallDetails, *, after_seconds: float, ring_seconds: float
    ) -> bool:
        """Soon, if that number is not about to be rung already; returns at once. Whoever answers gets the application
        of `details`. False: not now."""


async def callback(call: Ivr, *, desk: Desk, ring_back: RingBack) -> None:
    """Refuses everybody, and rings back who is known by his number."""
    details = call.details
    account, settings = known_account(details), desk.of(details)
    if account is not None and details.caller.removeprefix("+").isdecimal():
        called = replace(details, application=CARD, parameters={"access": access_number(details)})
        request = DialRequest(destination=details.caller, account=account, caller=access_number(details))
        ring_back(request, called, after_seconds=settings.callback_seconds, ring_seconds=settings.callback_ring_seconds)
    await call.hangup(BUSY, cause=17)
