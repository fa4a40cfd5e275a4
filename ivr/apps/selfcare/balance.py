# SPDX-License-Identifier: Apache-2.0
"""`balance`: what is left, what is owed, until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing_client.types import StoreError
from ivr.apps.selfcare.desk import calling_account, is_admitted, log_in
from ivr.apps.selfcare.telling import tell_balance, tell_expiry, tell_limit

if TYPE_CHECKING:
    from ivr.apps.selfcare.desk import Desk
    from ivr.verbs import Ivr

__all__ = ["balance"]


async def balance(call: Ivr, *, desk: Desk) -> None:
    """Tells an account's own phone at once; anybody else gives number and PIN."""
    await call.answer()
    try:
        number = await calling_account(call, desk) or await log_in(call, desk, by_number=True)
        status = None if number is None else await desk.selfcare.status(number)
    except StoreError:
        await call.play("service-unavailable")
        return
    if status is not None and not is_admitted(status, desk.of(call.details)):
        await call.play("not-allowed")
    elif status is not None:
        if status.language:
            call.speak(status.language)
        language = call.language
        told = [
            *tell_balance(status, language),
            *tell_limit(status, language),
            *tell_expiry(status.expires_on, status.days_left, language),
        ]
        await call.play(*told, interrupt="any")
    await call.play("goodbye")
