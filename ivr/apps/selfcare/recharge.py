# SPDX-License-Identifier: Apache-2.0
"""`recharge`: a voucher's code by keys, and its worth is the account's.

Money moves in one transaction of the store, under a key that names this call and this attempt. A caller who hangs up
while the store works is credited all the same (a hang-up cancels nothing), and asking again with the same key after the
store did not answer moves nothing twice.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError, StoreUnavailable
from billing_client.vouchers.words import Redeemed
from ivr.apps.guessing import guess_source, wait
from ivr.apps.selfcare.desk import (
    FIRST_SECONDS,
    NEXT_SECONDS,
    calling_account,
    is_admitted,
    log_in,
    wanted_receipts,
)
from ivr.apps.selfcare.telling import tell_balance, tell_expiry
from ivr.say import grammar

if TYPE_CHECKING:
    from billing_client.selfcare import AccountStatus
    from billing_client.vouchers.words import VoucherRejected, Vouchers
    from ivr.apps.selfcare.desk import Desk
    from ivr.verbs import Ivr, Playable

__all__ = ["recharge", "top_up"]

MOST_DIGITS: Final = 64
STORE_TRIES: Final = 4
STORE_SECONDS: Final = 2.0
"""Between two tries to reach the store."""
LONGEST_KEY: Final = 128
TOLD: Final = {"kind": "recharge-refused", "account": "recharge-refused", "unavailable": "service-unavailable",
               "pending": "recharge-pending"}  # fmt: skip
"""Reasons that have nothing to do with whether the code is right; all others sound alike."""

log = logging.getLogger(__name__)


async def recharge(call: Ivr, *, desk: Desk) -> None:
    """Recharges the account that calls; anybody else gives number and PIN."""
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
        await top_up(call, desk, status.number)
    await call.play("goodbye")


async def top_up(call: Ivr, desk: Desk, account: str, *, first_attempt: int = 1) -> bool:
    """Ask for a code and redeem it, three times; whether the account was recharged.

    `first_attempt`: attempts of one call are numbered, and a further round goes on counting.
    """
    if desk.vouchers is None:
        await call.play("service-unavailable")
        return False
    if call.details.vouched:  # who is known by his number alone hears whose account the money goes to
        await call.play("recharge-account", grammar(call.language).digits(account), interrupt="any")
    tries = desk.of(call.details).max_recharge_attempts
    for attempt in range(first_attempt, first_attempt + tries):
        code = await enter_code(call)
        if not code:
            await call.play("no-entry", interrupt="any")
            continue
        answer = await _redeem(call, desk, desk.vouchers, code, account, _key(call.details.call_id, attempt))
        if answer is None:
            await call.play("service-unavailable")
            return False
        await wait(call, answer.delay_seconds)
        if isinstance(answer, Redeemed):
            await _tell(call, desk, account, answer)
            return True
        known = TOLD.get(answer.reason)
        await call.play(known or "recharge-invalid", interrupt="any")
        if known:
            return False
    await call.play("too-many-attempts")
    return False


async def enter_code(call: Ivr) -> str:
    """Digits until # or a pause; * forgets them and starts over. What was typed ahead counts."""
    while True:
        await call.play("recharge-enter-code", interrupt="any")
        code = ""
        while len(code) < MOST_DIGITS:
            key = await call.collect(
                1, finish="", first_seconds=NEXT_SECONDS if code else FIRST_SECONDS, next_seconds=NEXT_SECONDS
            )
            if key in ("", "#", "*"):
                break
            code += key
        else:
            key = ""
        if key != "*":
            return code


async def _redeem(
    call: Ivr, desk: Desk, vouchers: Vouchers, code: str, account: str, key: str
) -> Redeemed | VoucherRejected | None:
    """The store's answer; None where it gives none. A store that does not answer is asked again with the same key."""
    source, receipts = guess_source(call.details), wanted_receipts(call, desk.of(call.details))
    for left in reversed(range(STORE_TRIES)):
        try:
            answer = await vouchers.redeem(code, account, key, source, receipts)
        except StoreUnavailable:
            if left:
                await call.play("one-moment")
                await call.sleep(STORE_SECONDS)
            continue
        except StoreError:
            log.exception("a voucher cannot be redeemed", extra={"call": call.details.call_id})
            return None
        if isinstance(answer, Redeemed):
            log.info("recharged", extra={"account": account, "amount": str(answer.amount), "key": key})
        return answer
    return None


async def _tell(call: Ivr, desk: Desk, account: str, answer: Redeemed) -> None:
    await call.play(
        "recharge-done",
        "recharge-amount",
        grammar(call.language).money(answer.amount, answer.currency),
        interrupt="any",
    )
    try:
        status = await desk.selfcare.status(account)
    except StoreError:
        return
    if status is not None:
        await call.play(*_news(status, call.language), interrupt="any")


def _news(status: AccountStatus, language: str) -> list[Playable]:
    return [
        *tell_balance(status, language, new=True),
        *tell_expiry(status.expires_on, status.days_left, language),
    ]


def _key(call_id: str, attempt: int) -> str:
    """Names an attempt in all calls; Call-IDs may be longer than a key."""
    key = f"{call_id} {attempt}"
    return key if len(key) <= LONGEST_KEY else f"{hashlib.sha256(call_id.encode()).hexdigest()} {attempt}"
