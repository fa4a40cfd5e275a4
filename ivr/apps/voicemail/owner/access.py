# SPDX-License-Identifier: Apache-2.0
"""The application `voicemail-access`: an owner in its mailbox, from the login to the goodbye."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError
from ivr.apps.voicemail.desk import TRY_LATER, Desk
from ivr.apps.voicemail.greetings import record_greeting
from ivr.apps.voicemail.owner.menus import Visit, visit
from ivr.apps.voicemail.owner.pins import change_pin, log_in, right_pin

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from billing_client.mailboxes.words import Mailbox, Mailboxes
    from ivr.apps.voicemail.outbox import Outbox
    from ivr.apps.voicemail.settings import VoicemailSettings
    from ivr.verbs import Ivr

__all__ = ["access", "open_from_deposit"]

NOT_FOUND: Final = 404
FORBIDDEN: Final = 403
SERVICE_UNAVAILABLE: Final = 503


async def access(
    call: Ivr,
    *,
    mailboxes: Mailboxes,
    outbox: Outbox,
    settings: VoicemailSettings,
    now: Callable[[], datetime],
    new_id: Callable[[], str],
) -> None:
    """Open a mailbox: the one that the switch knows the caller to own (`target`, else the account that is served), or
    any, by its number and PIN.

    What cannot be opened is announced in early media: the call fails and costs nothing.
    """
    desk = Desk(call=call, mailboxes=mailboxes, outbox=outbox, settings=settings, now=now, new_id=new_id)
    own = call.details.target or call.details.account
    try:
        if own is None:
            await call.answer()
            await _open_any(desk)
        else:
            await _open_own(desk, own)
    except StoreError:
        await call.play(TRY_LATER)
        await call.hangup(SERVICE_UNAVAILABLE)


async def _open_own(desk: Desk, number: str) -> None:
    call = desk.call
    mailbox = await desk.mailboxes.mailbox(number)
    if mailbox is None or mailbox.usable is not None:
        await call.play("vm-no-such-mailbox" if mailbox is None else "not-allowed")
        await call.hangup(NOT_FOUND if mailbox is None else FORBIDDEN)
        return
    if mailbox.language:
        call.speak(mailbox.language)
    await call.answer()
    if mailbox.ask_pin and mailbox.has_pin and not await right_pin(desk, mailbox.number):
        await _goodbye(desk)
        return
    await _enter(desk, mailbox)


async def _open_any(desk: Desk) -> None:
    number = await log_in(desk)
    mailbox = await desk.mailboxes.mailbox(number) if number else None
    if mailbox is None or mailbox.usable is not None:
        if mailbox is not None:
            await desk.call.play("not-allowed")
        await _goodbye(desk)
        return
    if mailbox.language:
        desk.call.speak(mailbox.language)
    await _enter(desk, mailbox)


async def open_from_deposit(desk: Desk, number: str) -> None:
    """The owner has called its own number from elsewhere and pressed the key to log in."""
    try:
        mailbox = await desk.mailboxes.mailbox(number) if await right_pin(desk, number) else None
        if mailbox is None:
            await _goodbye(desk)
            return
        if mailbox.language:
            desk.call.speak(mailbox.language)
        await _enter(desk, mailbox)
    except StoreError:
        await desk.call.play(TRY_LATER)
        await desk.call.hangup()


async def _enter(desk: Desk, mailbox: Mailbox) -> None:
    """First what the configuration demands of a new owner, then the menus."""
    if desk.settings.force_pin and not mailbox.has_pin:
        await change_pin(desk, mailbox.number)
    if desk.settings.force_name and "name" not in mailbox.greetings:
        await record_greeting(desk, mailbox.number, "name")
    await visit(Visit(desk, mailbox))
    await _goodbye(desk)


async def _goodbye(desk: Desk) -> None:
    await desk.call.play("vm-goodbye")
    await desk.call.hangup()
