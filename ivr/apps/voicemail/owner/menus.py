# SPDX-License-Identifier: Apache-2.0
"""The menus of an owner: what each action of the key maps does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError
from ivr.apps.voicemail import spoken
from ivr.apps.voicemail.desk import TRY_LATER
from ivr.apps.voicemail.greetings import KINDS, change_greeting, choose_greeting, record_into_slot
from ivr.apps.voicemail.keymaps import NEEDS_MESSAGE, Action, State
from ivr.apps.voicemail.owner import calling
from ivr.apps.voicemail.owner.pins import change_pin
from ivr.apps.voicemail.owner.playback import play_envelope, play_message
from ivr.apps.voicemail.owner.sending import forward, leave_for, reply
from ivr.apps.voicemail.owner.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from billing_client.mailboxes.words import Folder

__all__ = ["FOLDERS", "Visit", "visit"]

FOLDERS: Final[Mapping[Action, Folder]] = {
    Action.FOLDER_NEW: "new",
    Action.FOLDER_OLD: "old",
    Action.FOLDER_WORK: "work",
    Action.FOLDER_FAMILY: "family",
    Action.FOLDER_FRIENDS: "friends",
}


async def visit(owner: Visit) -> None:
    """Say what there is and do what the keys ask for, until the owner ends it.

    Where the store is away at some step the owner is told, and is in the menu again. Whatever ends the visit, the
    messages that were heard are old afterwards.
    """
    desk = owner.desk
    try:
        lead = spoken.counts(owner.mailbox, desk.call.language)
        state = State.MAIN
        action: Action | None = None
        while action is not Action.EXIT:
            if action is None:
                action = await desk.choose(state, *lead, is_deleted=owner.inbox.is_deleted)
                lead = []
                continue
            try:
                action = await _do(owner, action)
            except StoreError:
                action = None
                lead = [TRY_LATER]
            state = State.MAIN if owner.inbox.current is None else State.MESSAGE
    finally:
        await owner.settle()


async def _do(owner: Visit, action: Action) -> Action | None:
    """Do one thing; what is returned is done next, None: the menu is offered."""
    follows = await _DOING[action](owner)
    return Action.NEXT if action in owner.desk.keys.then_next else follows


# listening --------------------------------------------------------------------------------------------------------
async def _listen(owner: Visit) -> Action | None:
    """New messages, or the others where there is none."""
    if not len(owner.inbox) and owner.inbox.folder == "new":
        await owner.open("new")
        if not len(owner.inbox):
            await owner.open("old")
    return await _first(owner)


async def _listen_in(owner: Visit, folder: Folder) -> Action | None:
    await owner.open(folder)
    return await _first(owner)


async def _first(owner: Visit) -> Action | None:
    if not owner.inbox.first():
        await owner.say("vm-folder-empty")
        return None
    return await hear(owner)


async def _step(owner: Visit, by: int) -> Action | None:
    if not owner.inbox.step(by):
        await owner.say("vm-no-more" if by > 0 else "vm-no-previous")
        if by > 0 and owner.desk.keys.then_next:
            owner.leave_folder()
        return None
    return await hear(owner)


async def hear(owner: Visit) -> Action | None:
    """The current message: its envelope, then itself. Heard, to the end or skipped, it is new no longer."""
    message = owner.inbox.current
    if message is None:
        await owner.say("vm-no-messages")
        return None
    desk = owner.desk
    sounds = await owner.sounds(message)
    action = await play_envelope(desk, await owner.envelope(message))
    if action is None:
        action = await play_message(desk, sounds)
    await owner.heard()
    return action


async def _hear_envelope(owner: Visit) -> Action | None:
    message = owner.inbox.current
    assert message is not None
    return await play_envelope(owner.desk, await owner.envelope(message, full=True))


# doing something with a message -------------------------------------------------------------------------------------
async def _delete_or_undelete(owner: Visit) -> None:
    await (_undelete if owner.inbox.is_deleted else _delete)(owner)


async def _delete(owner: Visit) -> None:
    await owner.desk.mailboxes.delete([owner.current_id])
    owner.inbox.deleted(True)
    await owner.say("vm-message-deleted")


async def _undelete(owner: Visit) -> None:
    await owner.desk.mailboxes.undelete([owner.current_id])
    owner.inbox.deleted(False)
    await owner.say("vm-message-undeleted")


async def _undelete_or_forward(owner: Visit) -> None:
    await (_undelete if owner.inbox.is_deleted else forward)(owner)


async def _save(owner: Visit) -> None:
    await owner.file("old")
    await owner.say("vm-message-saved")


async def _save_to_folder(owner: Visit) -> None:
    action = await owner.desk.choose(State.FOLDER, "vm-which-folder")
    if action in FOLDERS:
        folder = FOLDERS[action]
        await owner.file(folder)
        await owner.say("vm-saved-to", f"vm-folder-{folder}")


async def _email(owner: Visit) -> None:
    is_sent = await owner.desk.mailboxes.email(owner.current_id)
    await owner.say("vm-message-emailed" if is_sent else "vm-no-email")


# menus below the main one -------------------------------------------------------------------------------------------
async def _change_folder(owner: Visit) -> None:
    action = await owner.desk.choose(State.FOLDER, "vm-which-folder")
    if action in FOLDERS:
        await owner.open(FOLDERS[action])
        count = spoken.messages(len(owner.inbox), owner.desk.call.language)
        await owner.say("vm-opened-folder", f"vm-folder-{owner.inbox.folder}", count)


async def _advanced(owner: Visit) -> Action | None:
    without = frozenset() if owner.inbox.current else NEEDS_MESSAGE
    action = await owner.desk.choose(State.ADVANCED, without=without)
    return None if action is Action.RETURN else action


async def _options(owner: Visit) -> None:
    """Stays in this menu until the owner returns from it."""
    desk, number = owner.desk, owner.mailbox.number
    lead: list[str] = []
    while (action := await desk.choose(State.OPTIONS, *lead)) is not Action.RETURN:
        lead = []
        try:
            if action is Action.CHANGE_PIN:
                await change_pin(desk, number)
            elif action is Action.RECORD_GREETING:
                await record_into_slot(desk, number)
            elif action is Action.CHOOSE_GREETING:
                await choose_greeting(desk, number)
            else:
                await change_greeting(desk, number, KINDS[action])
        except StoreError:
            lead = [TRY_LATER]


async def _return(owner: Visit) -> None:
    """To the main menu: no message is the current one."""
    owner.leave_folder()


async def _nothing(owner: Visit) -> None:
    """The choices are offered again."""


_DOING: Final[Mapping[Action, Callable[[Visit], Awaitable[Action | None]]]] = {
    Action.LISTEN: _listen,
    Action.LISTEN_NEW: lambda owner: _listen_in(owner, "new"),
    Action.LISTEN_SAVED: lambda owner: _listen_in(owner, "old"),
    Action.PREVIOUS: lambda owner: _step(owner, -1),
    Action.NEXT: lambda owner: _step(owner, 1),
    Action.REPEAT: hear,
    Action.ENVELOPE: _hear_envelope,
    Action.CHANGE_FOLDER: _change_folder,
    Action.ADVANCED: _advanced,
    Action.OPTIONS: _options,
    Action.DELETE: _delete_or_undelete,
    Action.DELETE_ONLY: _delete,
    Action.UNDELETE_OR_FORWARD: _undelete_or_forward,
    Action.FORWARD: forward,
    Action.SAVE_TO_FOLDER: _save_to_folder,
    Action.SAVE: _save,
    Action.EMAIL: _email,
    Action.REPLY: reply,
    Action.LEAVE_MESSAGE: leave_for,
    Action.CALL_BACK: calling.call_back,
    Action.DIAL_OUT: calling.dial_out,
    Action.OPERATOR: calling.operator,
    Action.HELP: _nothing,
    Action.RETURN: _return,
}
