# SPDX-License-Identifier: Apache-2.0
"""Greetings and the name: record, listen, accept, remove; and which greeting is played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError
from ivr.apps.voicemail.desk import TRY_LATER
from ivr.apps.voicemail.drafting import RECORD_TRIES, sound_of
from ivr.apps.voicemail.keymaps import Action, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing_client.mailboxes.words import GreetingKind, Sound
    from ivr.apps.voicemail.desk import Desk
    from ivr.verbs import Recording

__all__ = ["KINDS", "change_greeting", "choose_greeting", "record_greeting", "record_into_slot"]

KINDS: Final[Mapping[Action, GreetingKind]] = {
    Action.GREET_UNAVAILABLE: "unavailable",
    Action.GREET_BUSY: "busy",
    Action.GREET_NAME: "name",
    Action.GREET_TEMPORARY: "temporary",
}
MIN_SECONDS: Final = 0.5
"""A name is short."""


async def change_greeting(desk: Desk, number: str, kind: GreetingKind) -> None:
    """Record a greeting; a temporary one that is in force can be removed instead."""
    if kind == "temporary" and State.TEMPORARY in desk.keys.states:
        mailbox = await desk.mailboxes.mailbox(number)
        if mailbox is not None and kind in mailbox.greetings:
            action = await desk.choose(State.TEMPORARY, "vm-temporary-in-force")
            if action is Action.REMOVE_GREETING:
                await _remove(desk, number, kind)
            if action is not Action.RECORD:
                return
    await record_greeting(desk, number, kind)


async def record_greeting(desk: Desk, number: str, kind: GreetingKind) -> None:
    """Record until the caller accepts it; while the store is away it can be accepted again."""
    recording = await _record(desk, kind)
    lead: list[str] = []
    while recording is not None:
        action = await desk.choose(State.GREETING_REVIEW, *lead)
        lead = []
        if action is Action.HEAR_RECORDING:
            await desk.call.play(recording.audio, interrupt="any")
        elif action is Action.RE_RECORD:
            recording = await _record(desk, kind) or recording
        elif action is Action.RETURN:
            await desk.call.play("vm-cancelled", interrupt="any")
            return
        else:
            try:
                if action is Action.ACCEPT:
                    await desk.mailboxes.set_greeting(number, kind, sound_of(recording))
                    await desk.call.play("vm-name-saved" if kind == "name" else "vm-greeting-saved", interrupt="any")
                else:
                    await _remove(desk, number, kind)
            except StoreError:
                lead = [TRY_LATER]
            else:
                return


async def _record(desk: Desk, kind: GreetingKind) -> Recording | None:
    for _try in range(RECORD_TRIES):
        await desk.call.play(f"vm-record-{kind}", interrupt="any")
        recording = await desk.call.record(
            most_seconds=desk.settings.greeting_seconds, silence_seconds=desk.settings.silence_seconds
        )
        if recording.seconds >= MIN_SECONDS:
            return recording
        await desk.call.play("vm-too-short", interrupt="any")
    return None


async def _remove(desk: Desk, number: str, kind: GreetingKind) -> None:
    await desk.mailboxes.set_greeting(number, kind, None)
    await desk.call.play("vm-greeting-removed", interrupt="any")


async def record_into_slot(desk: Desk, number: str) -> None:
    """Key map `freeswitch`: ask which of the numbered greetings is to be recorded, and record it."""
    kind = KINDS.get(await desk.choose(State.SLOT))
    if kind is not None:
        await record_greeting(desk, number, kind)


async def choose_greeting(desk: Desk, number: str) -> None:
    """Key map `freeswitch`: ask which greeting callers hear.

    1 is what they hear if nothing is chosen. The busy greeting is chosen for all callers by making it the temporary
    one; the standard greeting by removing all that are recorded.
    """
    action = await desk.choose(State.CHOOSE, "vm-choose-greeting")
    if action is Action.RETURN:
        return
    if action is Action.GREET_STANDARD:
        for kind in ("temporary", "unavailable", "busy"):
            await desk.mailboxes.set_greeting(number, kind, None)
        await desk.call.play("vm-greeting-removed", interrupt="any")
        return
    sound: Sound | None = await desk.mailboxes.greeting(number, KINDS[action])
    if sound is None:
        await desk.call.play("vm-greeting-unknown", interrupt="any")
        return
    if action is not Action.GREET_TEMPORARY:
        await desk.mailboxes.set_greeting(number, "temporary", sound if action is Action.GREET_BUSY else None)
    place = ("unavailable", "busy", "temporary").index(KINDS[action]) + 1
    await desk.call.play("vm-greeting-chosen", f"number-{place}", interrupt="any")
