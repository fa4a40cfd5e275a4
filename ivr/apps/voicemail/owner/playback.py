# SPDX-License-Identifier: Apache-2.0
"""A message being played, with the keys that pause it and move in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ivr.apps.voicemail.keymaps import Action, State
from ivr.apps.voicemail.owner.cut import duration, from_second

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.mailboxes.words import Sound
    from ivr.apps.voicemail.desk import Desk
    from ivr.verbs import Playable

__all__ = ["PAUSE_SECONDS", "play_envelope", "play_message"]

PAUSE_SECONDS: Final = 60.0
"""A pause that nobody ends is over after so long."""


async def play_envelope(desk: Desk, envelope: Sequence[Playable]) -> Action | None:
    """Say who called and when; the action of the key that ended it for something else than to hear the message."""
    skip = desk.keys.states[State.ENVELOPE]
    keys = {**{key: choice.action for key, choice in desk.keys.states[State.MESSAGE].items()}}
    keys.update({key: choice.action for key, choice in skip.items()})
    action = keys.get(await desk.call.play(*envelope, interrupt="".join(keys)))
    return None if action is Action.SKIP_INFO else action


async def play_message(desk: Desk, sounds: Sequence[Sound]) -> Action | None:
    """Play to the end, or until a key asks for something else, whose action is returned."""
    controls = {key: choice.action for key, choice in desk.keys.states[State.PLAYING].items()}
    keys = {key: choice.action for key, choice in desk.keys.states[State.MESSAGE].items()} | controls
    clock = asyncio.get_running_loop().time
    length = duration(sounds)
    position = 0.0
    while position < length:
        started = clock()
        key = await desk.call.play(*from_second(sounds, position), interrupt="".join(keys))
        if not key:
            return None
        position = min(position + clock() - started, length)
        action = keys[key]
        if action is Action.PAUSE:
            action = await _pause(desk, keys)
        if action not in controls.values():
            return action
        position = _moved(action, position, desk.settings.skip_seconds)
    return None


async def _pause(desk: Desk, keys: dict[str, Action]) -> Action:
    """Wait for the key that resumes; another one does what it does while the message is played."""
    key = await desk.call.collect(1, finish="", first_seconds=PAUSE_SECONDS)
    return keys.get(key, Action.PAUSE)


def _moved(action: Action, position: float, skip: float) -> float:
    if action is Action.RESTART:
        return 0.0
    if action is Action.REWIND:
        return max(0.0, position - skip)
    if action is Action.FAST_FORWARD:
        return position + skip
    return position
