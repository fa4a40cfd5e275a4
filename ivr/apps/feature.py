# SPDX-License-Identifier: Apache-2.0
"""Star codes: an account's own phone switches how its calls are taken, and hears that it was done.

The codes are those that users of Asterisk and FusionPBX know (*72, *90, *92, *94, *78), and those of mobile phones
(3GPP TS 22.030: *21*, *61*, *62*, *67*, switched off by #21# and so on).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from billing_client.answering import AnsweringChange
from billing_client.types import StoreError
from ivr.say import grammar

if TYPE_CHECKING:
    from billing_client.answering import Answering
    from billing_client.rules.incoming import Mode
    from ivr.verbs import Ivr, Playable

__all__ = ["CODES", "Feature", "feature", "feature_of"]

NUMBER = re.compile(r"\+?[0-9]{2,32}")
FORBIDDEN: Final = 403
MODES: dict[str, Mode] = {
    "1": "ring",
    "2": "ring_then_voicemail",
    "3": "ring_then_forward",
    "4": "ring_then_forward_then_voicemail",
    "5": "forward",
    "6": "forward_then_voicemail",
    "7": "voicemail",
}
"""Keys after *70."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What a code does."""

    prompt: str
    """Spoken when it is done; in front of the number that calls are forwarded to."""
    trigger: str | None = None
    """The forward that it switches."""
    takes_number: bool = False
    do_not_disturb: bool | None = None
    sets_mode: bool = False


def _forward(trigger: str, word: str) -> tuple[Feature, Feature]:
    on = Feature(prompt=f"forward-{word}-on", trigger=trigger, takes_number=True)
    return on, Feature(prompt=f"forward-{word}-off", trigger=trigger)


_ALWAYS, _BUSY = _forward("always", "always"), _forward("busy", "busy")
_NO_ANSWER, _UNREGISTERED = _forward("no_answer", "noanswer"), _forward("unregistered", "unregistered")

CODES: dict[str, Feature] = {
    "*78": Feature(prompt="dnd-on", do_not_disturb=True),
    "*79": Feature(prompt="dnd-off", do_not_disturb=False),
    "*72": _ALWAYS[0],
    "*73": _ALWAYS[1],
    "*90": _BUSY[0],
    "*91": _BUSY[1],
    "*92": _NO_ANSWER[0],
    "*93": _NO_ANSWER[1],
    "*94": _UNREGISTERED[0],
    "*95": _UNREGISTERED[1],
    "*21*": _ALWAYS[0],
    "#21#": _ALWAYS[1],
    "*67*": _BUSY[0],
    "#67#": _BUSY[1],
    "*61*": _NO_ANSWER[0],
    "#61#": _NO_ANSWER[1],
    "*62*": _UNREGISTERED[0],
    "#62#": _UNREGISTERED[1],
    "*70": Feature(prompt="", sets_mode=True),
}


def feature_of(dialled: str) -> tuple[str, str] | None:
    """The code that begins what was dialled, and the number after it; None: it is no star code."""
    fitting = [code for code in CODES if dialled.startswith(code)]
    if not fitting:
        return None
    code = max(fitting, key=len)
    return code, dialled[len(code) :].rstrip("#")


async def feature(call: Ivr, *, answering: Answering) -> None:
    """Does what parameter `code` says, with `argument`, for the account that is served; asks for a number that is
    missing. A caller who is nobody of ours hears so in early media."""
    account = call.details.account
    found = CODES.get(call.details.parameters.get("code", ""))
    if account is None or found is None:
        await call.play("not-allowed" if account is None else "feature-unknown")
        await call.hangup(FORBIDDEN if account is None else 404)
        return
    await call.answer()
    argument = call.details.parameters.get("argument", "").rstrip("#")
    if found.sets_mode:
        await _set_mode(call, answering, account, argument)
    elif found.takes_number:
        await _forward_to(call, answering, account, found, argument)
    else:
        change = AnsweringChange(
            do_not_disturb=found.do_not_disturb,
            trigger=found.trigger,
            forward_to=None if found.trigger is None else "",
        )
        await _apply(call, answering, account, change, found.prompt)
    await call.play("goodbye")


async def _forward_to(call: Ivr, answering: Answering, account: str, found: Feature, argument: str) -> None:
    number = argument or await call.ask("forward-enter-number", digits=32, least=2)
    if not number:
        await call.play("no-entry")
    elif not NUMBER.fullmatch(number) or number.lstrip("+") == account:
        await call.play("feature-number-invalid")
    else:
        change = AnsweringChange(trigger=found.trigger, forward_to=number)
        await _apply(call, answering, account, change, found.prompt, grammar(call.language).telephone(number))


async def _set_mode(call: Ivr, answering: Answering, account: str, argument: str) -> None:
    if argument not in {"", *MODES}:
        await call.play("feature-unknown")
        return
    choices = [part for key, name in MODES.items() for part in (f"mode-to-{_word(name)}", f"press-{key}")]
    mode = MODES[argument] if argument else await call.menu(choices, MODES)
    await _apply(call, answering, account, AnsweringChange(mode=mode), f"mode-{_word(mode)}")


async def _apply(call: Ivr, answering: Answering, account: str, change: AnsweringChange, *done: Playable) -> None:
    try:
        if await answering.set_answering(account, change):
            await call.play(*done)
        else:
            await call.play("feature-refused")
    except StoreError:
        await call.play("service-unavailable")


def _word(mode: Mode) -> str:
    return mode.replace("_then_", "-")
