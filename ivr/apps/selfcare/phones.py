# SPDX-License-Identifier: Apache-2.0
"""Phones that are recognised in future: claimed by who calls from them, and proven by a call to them.

Anybody can show any number to us. Who came by PIN may claim the number that he shows; it dials on his card then, and
does no more. He is told a code, and after the call the number is rung: who answers there and types the code has proved
it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError
from ivr.apps.guessing import access_number
from ivr.apps.selfcare.desk import RING_BACK, calling_number
from ivr.say import grammar
from ivr.verbs import DialRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.selfcare import Claim
    from ivr.apps.selfcare.desk import Desk
    from ivr.verbs import Ivr, Playable

__all__ = ["NUMBER", "PROVE", "prove_phone", "register_phone"]

NUMBER: Final = re.compile(r"[0-9]{3,32}")
PROVE: Final = "prove_phone"
"""The application that a called number gets."""
CODE: Final = "code"
CODE_DIGITS: Final = 4
CODE_TRIES: Final = 2
AFTER_SECONDS: Final = 5.0
"""After the caller has hung up."""
RING_SECONDS: Final = 30.0
OUTCOMES: Final[dict[Claim, str]] = {
    "known": "card-phone-registered",
    "claimed": "card-phone-registered",
    "full": "card-phones-full",
}


async def register_phone(call: Ivr, desk: Desk, account: str) -> Callable[[], bool] | None:
    """Recognise this phone in future, if its owner wants so. Who withholds his number, or comes by a carrier whose
    numbers identify nobody, is not asked. Returns what rings the number, once the caller is gone; None: nothing does.
    Raises StoreError, TooManyTries."""
    details, settings = call.details, desk.of(call.details)
    caller = calling_number(details, settings)
    if not NUMBER.fullmatch(caller) or (details.gateway and not details.is_identified):
        return None
    wanted = settings.ask_register == "always" or await call.menu(
        ("card-to-register-phone", "press-1", "vm-to-continue", "press-2"),
        {"1": True, "2": False},
        tries=settings.max_timeouts,
    )
    if not wanted:
        return None
    outcome = await desk.selfcare.claim_phone(account, caller, details.gateway)
    await call.play(OUTCOMES.get(outcome, "card-phone-taken"), interrupt="any")
    return await _tell_code(call, desk, account, caller) if outcome == "claimed" else None


async def _tell_code(call: Ivr, desk: Desk, account: str, caller: str) -> Callable[[], bool] | None:
    """Tell the code that will be asked for where the number is rung."""
    settings = desk.of(call.details)
    ring_back = await desk.selfcare.take_ring_back(account, caller, settings.callback_an_hour)
    if ring_back is None or desk.ring_back is None:
        return None
    code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))
    access = access_number(call.details)
    called = replace(
        call.details,
        application=PROVE,
        account=account,
        target=account,
        language=call.language,
        parameters={"access": access, RING_BACK: str(ring_back), CODE: code, "number": caller},
    )
    request = DialRequest(
        destination=caller, account=account, caller=access, is_number_only=True, is_charged_on_acceptance=True
    )
    told: list[Playable] = ["card-phone-code", grammar(call.language).digits(code)]
    await call.play(*told, *told, interrupt="#")
    return partial(desk.ring_back, request, called, after_seconds=AFTER_SECONDS, ring_seconds=RING_SECONDS)


async def prove_phone(call: Ivr, *, desk: Desk) -> None:
    """A number that was claimed is called: who types the code that was told has claimed it."""
    parameters, account = call.details.parameters, call.details.account or ""
    await call.answer()
    typed = await call.ask(
        "card-confirm-phone", digits=CODE_DIGITS, least=CODE_DIGITS, first_seconds=10.0, tries=CODE_TRIES
    )
    try:
        if hmac.compare_digest(typed.encode(), parameters[CODE].encode()):
            call.accept_charge()
            await desk.selfcare.ring_back_used(int(parameters[RING_BACK]))
            await desk.selfcare.phone_proven(account, parameters["number"])
            await call.play("card-phone-registered")
        else:
            await call.play("card-wrong-code")
    except StoreError:
        await call.play("service-unavailable")
    await call.play("goodbye")
