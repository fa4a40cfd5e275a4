# SPDX-License-Identifier: Apache-2.0
"""The verbs that ask for keys: collect, ask, menu."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ivr.legs.keys import ANY
from ivr.verbs import TooManyTries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ivr.call.party import Party
    from ivr.verbs import Playable

__all__ = ["ask", "collect", "menu"]

Answer = TypeVar("Answer")


async def collect(party: Party, digits: int, finish: str, first_seconds: float, next_seconds: float) -> str:
    """Keys until there are `digits`, or one of `finish`, or a pause."""
    found = ""
    await party.open()
    while len(found) < digits:
        key = await party.key(next_seconds if found else first_seconds)
        if not key or key in finish:
            break
        found += key
    return found


async def ask(
    party: Party,
    playables: Sequence[Playable],
    *,
    digits: int,
    least: int,
    finish: str,
    first_seconds: float,
    next_seconds: float,
    tries: int,
) -> str:
    """Prompt and collect, again while fewer than `least` keys come."""
    found = ""
    for _try in range(tries):
        await party.play(playables, ANY)
        found = await collect(party, digits, finish, first_seconds, next_seconds)
        if len(found) >= least:
            break
    return found


async def menu(
    party: Party,
    playables: Sequence[Playable],
    keys: Mapping[str, Answer],
    *,
    tries: int,
    seconds: float,
    invalid: Playable,
) -> Answer:
    """What the pressed key stands for.

    After a wrong key whatever was typed ahead of the prompt that follows is forgotten: it was meant for another menu.
    """
    for _try in range(tries):
        await party.play(playables, ANY)
        key = await party.key(seconds)
        if key in keys:
            return keys[key]
        if key:
            party.keys.clear()
            await party.play([invalid], ANY)
    raise TooManyTries
