# SPDX-License-Identifier: Apache-2.0
"""Messages that an owner sends to other mailboxes: forwarded, in reply, or new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError
from ivr.apps.voicemail.desk import TRY_LATER
from ivr.apps.voicemail.drafting import Draft, Outcome, leave_message
from ivr.apps.voicemail.keymaps import Action, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing_client.mailboxes.words import Sound
    from ivr.apps.voicemail.owner.visit import Visit

__all__ = ["forward", "leave_for", "reply"]

MOST_DIGITS: Final = 32
REFUSED: Final[Mapping[Outcome, str]] = {"full": "vm-cannot-forward", "unknown": "vm-no-such-mailbox"}


async def forward(owner: Visit) -> None:
    """Copy the current message into another mailbox, with a comment before it or without."""
    number = await _ask_mailbox(owner)
    if number is None:
        return
    lead: list[str] = []
    copy_id = owner.desk.new_id()
    while True:
        action = await owner.desk.choose(State.FORWARD, *lead)
        if action is Action.RETURN:
            await owner.say("vm-cancelled")
            return
        if action is Action.COMMENT:
            await _introduce(owner, number)
            return
        try:
            outcome = await owner.desk.mailboxes.forward(
                owner.current_id, number, owner.mailbox.number, None, copy_id=copy_id
            )
        except StoreError:
            lead = [TRY_LATER]
            continue
        await owner.say(REFUSED.get(outcome, "vm-message-forwarded"))
        return


async def _introduce(owner: Visit, number: str) -> None:
    """Send a comment together with the current message; a comment that this one had itself is left out."""
    assert owner.inbox.current is not None
    sounds = await owner.sounds(owner.inbox.current)
    await _compose(owner, number, "vm-record-comment", "vm-message-forwarded", forwarded=sounds[-1] if sounds else None)


async def reply(owner: Visit) -> None:
    """Leave a message in the mailbox of who left the current one."""
    assert owner.inbox.current is not None
    mailbox = await owner.desk.mailboxes.mailbox(owner.inbox.current.caller)
    if mailbox is None or mailbox.usable is not None:
        await owner.say("vm-no-such-mailbox")
        return
    await _compose(owner, mailbox.number, "vm-intro", "vm-message-sent")


async def leave_for(owner: Visit) -> None:
    """Leave a message in any mailbox."""
    number = await _ask_mailbox(owner)
    if number is not None:
        await _compose(owner, number, "vm-intro", "vm-message-sent")


async def _ask_mailbox(owner: Visit) -> str | None:
    """The number of a mailbox that takes messages; None where none was given."""
    number = await owner.desk.call.ask("vm-enter-destination", digits=MOST_DIGITS, tries=1)
    if not number:
        await owner.say("vm-cancelled")
        return None
    mailbox = await owner.desk.mailboxes.mailbox(number)
    if mailbox is None or mailbox.usable is not None:
        await owner.say("vm-no-such-mailbox")
        return None
    if mailbox.new + mailbox.old >= mailbox.max_messages:
        await owner.say("vm-cannot-forward")
        return None
    return mailbox.number


async def _compose(owner: Visit, number: str, lead: str, done: str, forwarded: Sound | None = None) -> None:
    desk = owner.desk
    await owner.say(lead)
    draft = Draft(
        mailbox=number,
        caller=owner.mailbox.number,
        caller_name=owner.mailbox.display,
        received_at=desk.now(),
        forwarded=forwarded,
    )
    outcome = await leave_message(desk, draft, most_seconds=desk.settings.max_seconds, operator=False)
    await owner.say("vm-cancelled" if outcome == "nothing" else REFUSED.get(outcome, done))
