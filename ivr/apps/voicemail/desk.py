# SPDX-License-Identifier: Apache-2.0
"""What every part of voicemail works with: the caller, the store, the outbox, and the menus of the key map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ivr.apps.voicemail.keymaps import KEY_MAPS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from billing_client.mailboxes.words import Mailboxes
    from ivr.apps.voicemail.keymaps import Action, KeyMap, State
    from ivr.apps.voicemail.outbox import Outbox
    from ivr.apps.voicemail.settings import VoicemailSettings
    from ivr.verbs import Ivr, Playable

__all__ = ["TRY_LATER", "Desk", "offered", "press"]

TRY_LATER: Final = "service-unavailable"
"""Said where the store is away."""
_NAMES: Final = {"*": "star", "#": "pound"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One call of voicemail."""

    call: Ivr
    mailboxes: Mailboxes
    outbox: Outbox
    settings: VoicemailSettings
    now: Callable[[], datetime]
    """The time, in UTC."""
    new_id: Callable[[], str]
    """A UUID that was never given before."""

    @property
    def keys(self) -> KeyMap:
        """The key map that callers find."""
        return KEY_MAPS[self.settings.keys]

    async def choose(
        self, state: State, *lead: Playable, without: AbstractSet[Action] = frozenset(), is_deleted: bool = False
    ) -> Action:
        """Offer the keys of a state, after `lead`. Raises TooManyTries.

        `is_deleted`: the message that the menu is about is.
        """
        keys = {key: choice.action for key, choice in self.keys.states[state].items() if choice.action not in without}
        return await self.call.menu([*lead, *offered(self.keys, state, without, is_deleted)], keys)


def press(key: str) -> str:
    """The prompt that says which key to press."""
    return f"press-{_NAMES.get(key, key)}"


def offered(
    keys: KeyMap, state: State, without: AbstractSet[Action] = frozenset(), is_deleted: bool = False
) -> Sequence[str]:
    """The prompts of a menu: what a key is for, then "press" and the key."""
    return [
        prompt
        for key, choice in keys.states[state].items()
        if choice.prompt and choice.action not in without
        for prompt in ((is_deleted and choice.when_deleted) or choice.prompt, press(key))
    ]
