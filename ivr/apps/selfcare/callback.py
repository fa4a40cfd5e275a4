# SPDX-License-Identifier: Apache-2.0
"""`callback`: a missed call that costs nothing is rung back, and gets the calling card.

The call is refused at once (486), so no carrier charges it. A moment later the media server calls the number that it
came from, on the account that is known by that number, and whoever answers there is in `calling_card`. Both calls, the
one to the caller and the one that he then makes, are charged like any other of the account.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from billing_client.numbering import digits_of
from billing_client.types import StoreError
from ivr.apps.selfcare.desk import access_number, calling_account, calling_number, is_admitted
from ivr.leg import DialRequest

if TYPE_CHECKING:
    from ivr.apps.selfcare.desk import Desk
    from ivr.verbs import CallDetails, Ivr

__all__ = ["CARD", "RingBack", "callback"]

BUSY: Final = 486
CARD: Final = "calling_card"
"""The application that the called caller gets."""

log = logging.getLogger(__name__)


class RingBack(Protocol):
    """Makes a call of the media server's own (`ivr.server.IvrServer.ring_back`)."""

    def __call__(
        self, request: DialRequest, details: CallDetails, *, after_seconds: float, ring_seconds: float
    ) -> bool:
        """Soon, if that number is not about to be rung already; returns at once. Whoever answers gets the application
        of `details`. False: not now."""


async def callback(call: Ivr, *, desk: Desk, ring_back: RingBack) -> None:
    """Refuses everybody, and rings back who is known by his number."""
    details, settings = call.details, desk.of(call.details)
    request = await _request(call, desk)
    if request is not None:
        called = replace(
            details,
            application=CARD,
            account=request.account,
            target=request.account,
            parameters={"access": access_number(details)},
        )
        ring_back(request, called, after_seconds=settings.callback_seconds, ring_seconds=settings.callback_ring_seconds)
    await call.hangup(BUSY, cause=17)


async def _request(call: Ivr, desk: Desk) -> DialRequest | None:
    """The call to who called; None where nobody is known by that number, or this access number is not for him."""
    settings, number = desk.of(call.details), calling_number(call.details, desk.of(call.details))
    try:
        account = await calling_account(call, desk)
        status = None if account is None else await desk.selfcare.status(account)
    except StoreError:
        log.exception("nobody is rung back: the store does not answer", extra={"call": call.details.call_id})
        return None
    if status is None or not is_admitted(status, settings) or not digits_of(number):
        return None
    return DialRequest(destination=number, account=status.number, caller=access_number(call.details))
