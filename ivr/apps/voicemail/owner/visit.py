# SPDX-License-Identifier: Apache-2.0
"""An owner's visit to its mailbox: the open folder, and what is to be done to it in the store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from billing_client.types import StoreError
from ivr.apps.voicemail import spoken
from ivr.apps.voicemail.owner.inbox import Inbox
from ivr.verbs import Audio

if TYPE_CHECKING:
    from billing_client.mailboxes.words import Folder, Mailbox, Message, Sound
    from ivr.apps.voicemail.desk import Desk
    from ivr.verbs import Playable

__all__ = ["Visit"]


class Visit:
    """One owner, from the greeting to the goodbye."""

    def __init__(self, desk: Desk, mailbox: Mailbox) -> None:
        self.desk = desk
        self.mailbox = mailbox
        self.inbox = Inbox("new", [])
        self._unmoved: list[str] = []
        """Heard, but the store was away when they were to be moved."""

    @property
    def current_id(self) -> str:
        """Of the message that was listened to."""
        assert self.inbox.current is not None
        return self.inbox.current.message_id

    async def say(self, *playables: Playable) -> None:
        """Say something that any key may cut short, and then asks for."""
        await self.desk.call.play(*playables, interrupt="any")

    async def open(self, folder: Folder) -> None:
        """Open a folder as the store has it now."""
        await self._move_heard()
        self.inbox = Inbox(folder, await self.desk.mailboxes.messages(self.mailbox.number, folder))

    def leave_folder(self) -> None:
        """No folder is open: the next message is the first new one."""
        self.inbox = Inbox("new", [])

    async def sounds(self, message: Message) -> list[Sound]:
        """What is played of a message: itself and the one that it introduces."""
        found = []
        for sound_id in (message.message_id, message.comment_of):
            sound = await self.desk.mailboxes.sound(sound_id) if sound_id else None
            if sound is not None:
                found.append(sound)
        return found

    async def envelope(self, message: Message, *, full: bool = False) -> list[Playable]:
        """When and from whom; a caller with a mailbox of its own is said by its recorded name."""
        name = None
        with suppress(StoreError):
            name = await self.desk.mailboxes.greeting(message.caller, "name")
        return spoken.envelope(
            message,
            place=self.inbox.place,
            name=None if name is None else Audio(name.format, name.data),
            now=self.desk.now(),
            timezone=self.mailbox.timezone,
            language=self.desk.call.language,
            full=full,
        )

    async def file(self, folder: Folder) -> None:
        """Put the current message into a folder."""
        await self.desk.mailboxes.move([self.current_id], folder)
        if self.current_id in self._unmoved:
            self._unmoved.remove(self.current_id)
        self.inbox.filed(folder)

    async def heard(self) -> None:
        """The current message is new no longer."""
        if self.inbox.is_unheard:
            self._unmoved.append(self.current_id)
            self.inbox.filed("old")
        await self.settle()

    async def settle(self) -> None:
        """Move what was heard, if the store is there."""
        with suppress(StoreError):
            await self._move_heard()

    async def _move_heard(self) -> None:
        if self._unmoved:
            await self.desk.mailboxes.move(list(self._unmoved), "old")
            self._unmoved.clear()
