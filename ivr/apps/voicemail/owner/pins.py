# SPDX-License-Identifier: Apache-2.0
"""Who may open a mailbox, and the change of its PIN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing_client.rules.pins import weak_pin
from ivr.apps.guessing import guess_source, wait

if TYPE_CHECKING:
    from ivr.apps.voicemail.desk import Desk

__all__ = ["change_pin", "log_in", "right_pin"]

MOST_DIGITS: Final = 32
CHANGE_TRIES: Final = 3


async def log_in(desk: Desk) -> str | None:
    """Ask for mailbox and PIN; the number of the mailbox, or None when all tries are used up.

    A wrong PIN, a mailbox that does not exist, has no PIN or is locked are refused in the same words after the same
    questions.
    """
    lead: list[str] = []
    for _try in range(desk.settings.max_logins):
        number = await desk.call.ask(*lead, "vm-login", digits=MOST_DIGITS, tries=1)
        pin = await desk.call.ask("vm-password", digits=MOST_DIGITS, tries=1)
        if await _is_right(desk, number, pin):
            return number
        lead = ["vm-incorrect"]
    await desk.call.play("vm-incorrect")
    return None


async def right_pin(desk: Desk, number: str) -> bool:
    """Ask for the PIN of a mailbox that is known."""
    lead: list[str] = []
    for _try in range(desk.settings.max_logins):
        pin = await desk.call.ask(*lead, "vm-password", digits=MOST_DIGITS, tries=1)
        if await _is_right(desk, number, pin):
            return True
        lead = ["vm-incorrect"]
    await desk.call.play("vm-incorrect")
    return False


async def _is_right(desk: Desk, number: str, pin: str) -> bool:
    """An empty PIN, or none, is a failure that is not counted: nobody guesses like that."""
    if not number or not pin:
        return False
    answer = await desk.mailboxes.check_pin(number, pin, guess_source(desk.call.details))
    await wait(desk.call, answer.delay_seconds)
    if answer.verdict == "right":
        desk.call.prove()
    return answer.verdict == "right"


async def change_pin(desk: Desk, number: str) -> bool:
    """Ask for a new PIN twice and set it; false where the caller gave none."""
    for _try in range(CHANGE_TRIES):
        pin = await desk.call.ask("vm-newpassword", digits=MOST_DIGITS, tries=1)
        if not pin:
            await desk.call.play("vm-cancelled", interrupt="any")
            return False
        if weak_pin(pin, number):
            await desk.call.play("vm-weak", interrupt="any")
            continue
        if await desk.call.ask("vm-reenterpassword", digits=MOST_DIGITS, tries=1) != pin:
            await desk.call.play("vm-mismatch", interrupt="any")
            continue
        await desk.mailboxes.set_pin(number, pin)
        await desk.call.play("vm-passchanged", interrupt="any")
        return True
    return False
