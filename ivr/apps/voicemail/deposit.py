# SPDX-License-Identifier: Apache-2.0
"""The application `voicemail`: a caller who did not reach somebody leaves a message (RFC 4458)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError
from ivr.apps.voicemail import spoken
from ivr.apps.voicemail.desk import Desk
from ivr.apps.voicemail.drafting import Draft, Outcome, leave_message
from ivr.apps.voicemail.keymaps import Action, State
from ivr.apps.voicemail.owner.access import open_from_deposit
from ivr.verbs import Audio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from billing_client.mailboxes.words import GreetingKind, Mailbox, Mailboxes
    from ivr.apps.voicemail.outbox import Outbox
    from ivr.apps.voicemail.settings import VoicemailSettings
    from ivr.verbs import Ivr, Playable

__all__ = ["deposit"]

BUSY: Final = 486
NOT_FOUND: Final = 404
UNAVAILABLE: Final = 480
DONE: Final[Mapping[Outcome, str]] = {
    "full": "vm-mailbox-full",
    "unknown": "vm-no-mailbox",
    "nothing": "vm-goodbye",
}


async def deposit(
    call: Ivr,
    *,
    mailboxes: Mailboxes,
    outbox: Outbox,
    settings: VoicemailSettings,
    now: Callable[[], datetime],
    new_id: Callable[[], str],
) -> None:
    """Greet the caller of a mailbox and take a message.

    A mailbox that is unknown, unusable or full is announced in early media: the call fails and costs nothing.
    """
    desk = Desk(call=call, mailboxes=mailboxes, outbox=outbox, settings=settings, now=now, new_id=new_id)
    number = call.details.target or ""
    try:
        mailbox = await mailboxes.mailbox(number)
        is_known = mailbox is not None and mailbox.usable is None
    except StoreError:
        mailbox, is_known = None, bool(number)
    if not is_known:
        await _refuse(call, "vm-no-mailbox", NOT_FOUND)
    elif mailbox is not None and mailbox.new + mailbox.old >= mailbox.max_messages:
        _speak(call, mailbox)
        await _refuse(call, "vm-mailbox-full", UNAVAILABLE)
    else:
        await _take_message(desk, number, mailbox)


async def _refuse(call: Ivr, prompt: str, status: int) -> None:
    await call.play(prompt)
    await call.hangup(status)


def _speak(call: Ivr, mailbox: Mailbox) -> None:
    """A caller of ours hears its own language, any other that of the mailbox, which a menu may have led to."""
    details = call.details
    if not details.has_language and details.account is None and mailbox.language:
        call.speak(mailbox.language)


async def _take_message(desk: Desk, number: str, mailbox: Mailbox | None) -> None:
    """`mailbox` is None where the store is away: the outbox delivers what is recorded later."""
    call = desk.call
    if mailbox is not None:
        _speak(call, mailbox)
        number = mailbox.number
    await call.answer()
    key = await call.play(
        *await _greeting(desk, number, mailbox), "vm-intro", interrupt="".join(desk.keys.states[State.GREETING])
    )
    action = desk.keys.states[State.GREETING][key].action if key else None
    if action is Action.OPERATOR and await _operator(desk, mailbox):
        return
    if action is Action.LOGIN:
        await open_from_deposit(desk, number)
        return
    draft = Draft(
        mailbox=number,
        caller=call.details.caller,
        caller_name=call.details.caller_name,
        received_at=desk.now(),
    )
    most_seconds = desk.settings.max_seconds if mailbox is None else mailbox.max_seconds
    has_operator = mailbox is not None and bool(mailbox.operator)
    outcome = await leave_message(desk, draft, most_seconds=most_seconds, operator=has_operator)
    if outcome == "operator" and await _operator(desk, mailbox):
        return
    await call.play(DONE.get(outcome, "vm-msg-saved"))
    await call.hangup()


async def _greeting(desk: Desk, number: str, mailbox: Mailbox | None) -> list[Playable]:
    """The temporary greeting, else that for the cause, else the name or the number and what keeps its owner."""
    is_busy = desk.call.details.cause == BUSY
    for kind in _kinds(is_busy, mailbox):
        try:
            sound = await desk.mailboxes.greeting(number, kind)
        except StoreError:
            break
        if sound is not None:
            greeting: list[Playable] = [Audio(sound.format, sound.data)]
            return [*greeting, _state(is_busy)] if kind == "name" else greeting
    return ["vm-theperson", spoken.telephone(number, desk.call.language), _state(is_busy)]


def _kinds(is_busy: bool, mailbox: Mailbox | None) -> list[GreetingKind]:
    order: tuple[GreetingKind, ...] = ("temporary", "busy" if is_busy else "unavailable", "name")
    return [kind for kind in order if mailbox is not None and kind in mailbox.greetings]


def _state(is_busy: bool) -> str:
    return "vm-isonphone" if is_busy else "vm-isunavail"


async def _operator(desk: Desk, mailbox: Mailbox | None) -> bool:
    """Connect the caller to the mailbox's operator; false where it has none or that failed.

    A caller of ours pays itself; for any other the call is forwarded on behalf of the mailbox's account.
    """
    call = desk.call
    if mailbox is None or not mailbox.operator:
        return False
    own = call.details.account
    result = await call.dial(
        mailbox.operator,
        account=own or mailbox.number,
        caller=call.details.caller,
        caller_name=call.details.caller_name,
        diverted=own is None,
    )
    if result.answered:
        await call.hangup()
        return True
    await call.play("vm-call-failed")
    return False
