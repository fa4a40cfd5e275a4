# SPDX-License-Identifier: Apache-2.0
"""A folder as its owner goes through it in one call: which message is the current one, which are deleted. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.mailboxes.words import Folder, Message

__all__ = ["Inbox"]


class Inbox:
    """The messages of a folder in their order; deleted ones stay where they were until the folder is left."""

    def __init__(self, folder: Folder, messages: Sequence[Message]) -> None:
        self.folder = folder
        self._messages = list(messages)
        self._place = -1
        self._deleted: set[str] = set()
        self._new = {message.message_id for message in messages} if folder == "new" else set()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def current(self) -> Message | None:
        """The message that was listened to last; None before the first."""
        return self._messages[self._place] if self._place >= 0 else None

    @property
    def place(self) -> int:
        """Of the current message, from 1."""
        return self._place + 1

    @property
    def is_last(self) -> bool:
        """Whether no message follows."""
        return self._place + 1 >= len(self._messages)

    def first(self) -> bool:
        """Go to the first message; False where there is none."""
        self._place = 0 if self._messages else -1
        return bool(self._messages)

    def step(self, by: int) -> bool:
        """Go to the next (1) or previous (-1) message; False, and nowhere, where there is none."""
        if not 0 <= self._place + by < len(self._messages):
            return False
        self._place += by
        return True

    @property
    def is_deleted(self) -> bool:
        """Whether the current message is deleted."""
        return self.current is not None and self.current.message_id in self._deleted

    def deleted(self, is_deleted: bool) -> None:
        """The current message has been deleted, or brought back."""
        if self.current is None:
            return
        if is_deleted:
            self._deleted.add(self.current.message_id)
        else:
            self._deleted.discard(self.current.message_id)

    def filed(self, folder: Folder) -> None:
        """The current message is in another folder now, and counts as heard."""
        if self.current is not None:
            self._new.discard(self.current.message_id)
            self._messages[self._place] = replace(self.current, folder=folder)

    @property
    def is_unheard(self) -> bool:
        """Whether the current message has not left "new" yet."""
        return self.current is not None and self.current.message_id in self._new
