# SPDX-License-Identifier: Apache-2.0
"""`callback`: a missed call that costs nothing is rung back, and gets the calling card.

The call is refused at once (486), so no carrier charges it. A moment later the media server calls the number that it
came from, on the account that is known by that number. Whoever answers there and presses the key is in `calling_card`.
Both calls, the one to the caller and the one that he then makes, are charged like any other of the account, the first
only if he presses the key; who presses none is not rung again for a while.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError
from ivr.apps.guessing import access_number
from ivr.apps.selfcare.desk import RING_BACK, calling_account, calling_number, is_admitted
from ivr.verbs import DialRequest

if TYPE_CHECKING:
    from ivr.apps.selfcare.desk import Desk
    from ivr.verbs import Ivr

__all__ = ["CARD", "callback"]

BUSY: Final = 486
CARD: Final = "calling_card"
"""The application that the called caller gets."""

log = logging.getLogger(__name__)


async def callback(call: Ivr, *, desk: Desk) -> None:
    """Refuses everybody, and rings back who is known by his number."""
    details, settings = call.details, desk.of(call.details)
    found = await _request(call, desk)
    if found is not None and desk.ring_back is not None:
        request, ring_back, language = found
        called = replace(
            details,
            application=CARD,
            account=request.account,
            target=request.account,
            language=language or details.language,
            parameters={**details.origin, "access": access_number(details), RING_BACK: str(ring_back)},
        )
        desk.ring_back(
            request, called, after_seconds=settings.callback_seconds, ring_seconds=settings.callback_ring_seconds
        )
    await call.hangup(BUSY, cause=17)


async def _request(call: Ivr, desk: Desk) -> tuple[DialRequest, int, str] | None:
    """The call to who called, its count and his language; None where nobody is known by that number, this access number
    is not for him, or he was rung often enough of late: anybody may have shown his number."""
    settings, number = desk.of(call.details), calling_number(call.details, desk.of(call.details))
    try:
        account = await calling_account(call, desk)
        status = None if account is None else await desk.selfcare.status(account)
        if status is None or not is_admitted(status, settings) or not (number.isascii() and number.isdecimal()):
            return None
        ring_back = await desk.selfcare.take_ring_back(status.number, number, settings.callback_an_hour)
    except StoreError:
        log.exception("nobody is rung back: the store does not answer", extra={"call": call.details.call_id})
        return None
    if ring_back is None:
        log.info("nobody is rung back: it was done often enough", extra={"number": number})
        return None
    request = DialRequest(
        destination=number,
        account=status.number,
        caller=access_number(call.details),
        is_number_only=True,
        is_charged_on_acceptance=True,
    )
    return request, ring_back, status.language
