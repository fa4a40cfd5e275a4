# SPDX-License-Identifier: Apache-2.0
"""Calls that an owner makes out of its mailbox: its account pays, and the called party sees its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing_client.rules.numbering import read
from ivr.apps.guessing import PIN_WANTED
from ivr.apps.voicemail import spoken
from ivr.apps.voicemail.owner.pins import right_pin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ivr.apps.voicemail.owner.visit import Visit
    from ivr.verbs import DialResult

__all__ = ["HANGUP_KEY", "call_back", "dial_out", "operator"]

HANGUP_KEY: Final = "**"
"""By which the owner ends such a call and is in the menu again."""
MOST_DIGITS: Final = 32
FAILED: Final[Mapping[int, str]] = {
    408: "vm-call-no-answer",
    480: "vm-call-no-answer",
    486: "vm-call-busy",
    600: "vm-call-busy",
}


async def call_back(owner: Visit) -> None:
    """Call who left the current message."""
    assert owner.inbox.current is not None
    number = owner.inbox.current.caller
    if read(number).outside:
        await owner.say("vm-no-number")
        return
    await owner.say("vm-calling", spoken.telephone(number, owner.desk.call.language))
    await _dial(owner, number)


async def dial_out(owner: Visit) -> None:
    """Ask for a number and call it."""
    number = await owner.desk.call.ask("vm-enter-number", digits=MOST_DIGITS, tries=1, first_seconds=10.0)
    if number:
        await _dial(owner, number)
    else:
        await owner.say("vm-cancelled")


async def operator(owner: Visit) -> None:
    """Call the mailbox's operator."""
    if owner.mailbox.operator:
        await _dial(owner, owner.mailbox.operator)
    else:
        await owner.say("vm-call-failed")


async def _dial(owner: Visit, number: str) -> None:
    result = await _call(owner, number)
    if result.status == PIN_WANTED and await right_pin(owner.desk, owner.mailbox.number):
        result = await _call(owner, number)
    if not result.answered:
        await owner.say(FAILED.get(result.status, "vm-call-failed"))


async def _call(owner: Visit, number: str) -> DialResult:
    return await owner.desk.call.dial(
        number,
        account=owner.mailbox.number,
        caller=owner.mailbox.number,
        caller_name=owner.mailbox.display,
        hangup_key=HANGUP_KEY,
    )
