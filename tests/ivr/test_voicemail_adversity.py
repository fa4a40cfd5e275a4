# SPDX-License-Identifier: Apache-2.0
"""Owners whose store goes away, or who hang up, at any step: they are told, and nothing is lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ivr.scripted.scripted import RECORDING
from tests.ivr.voicemail_stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from ivr.apps.voicemail.keymaps import KeyMapName
    from ivr.scripted.scripted import ScriptedCaller

LATER = "service-unavailable"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that an owner asks for, and the operation of the store that it takes."""

    operation: str
    keys: KeyMapName
    way: Callable[[ScriptedCaller], ScriptedCaller]
    """To the last key before the operation."""
    key: str
    again: str
    """The menu that is offered after the announcement."""
    done: str
    """What is heard when it is tried again, with the store back."""


def main(caller: ScriptedCaller) -> ScriptedCaller:
    return caller.until("vm-you-have").until("vm-to-exit")


def message(caller: ScriptedCaller) -> ScriptedCaller:
    return main(caller).presses("1").until(RECORDING).until("vm-to-delete")


def options(caller: ScriptedCaller) -> ScriptedCaller:
    return main(caller).presses("0").until("vm-to-record-name")


def recorded(caller: ScriptedCaller) -> ScriptedCaller:
    return options(caller).presses("1").until("beep").says(3).presses("#").until("vm-to-accept")


def forwarding(caller: ScriptedCaller) -> ScriptedCaller:
    return message(caller).presses("8").until("vm-enter-destination").presses("102#").until("vm-to-add-comment")


def folder(caller: ScriptedCaller) -> ScriptedCaller:
    return message(caller).presses("9").until("vm-which-folder")


STEPS = {
    "listen": Step("messages", "comedian", main, "1", "vm-to-listen", "vm-received"),
    "play": Step("sound", "comedian", main, "1", "vm-to-delete", "vm-received"),
    "delete": Step("delete", "comedian", message, "7", "vm-to-delete", "vm-message-deleted"),
    "save": Step("move", "comedian", folder, "2", "vm-to-delete", "vm-which-folder"),
    "forward": Step("forward", "comedian", forwarding, "2", "vm-to-send-now", "vm-message-forwarded"),
    "forward to whom": Step("mailbox", "comedian", message, "8102#", "vm-to-delete", "vm-enter-destination"),
    "accept a greeting": Step("set_greeting", "comedian", recorded, "1", "vm-to-accept", "vm-greeting-saved"),
    "remove a greeting": Step("set_greeting", "comedian", recorded, "4", "vm-to-accept", "vm-greeting-removed"),
    "temporary greeting": Step("mailbox", "comedian", options, "4", "vm-to-record-name", "vm-record-temporary"),
    "e-mail": Step("email", "freeswitch", message, "4", "vm-to-delete", "vm-message-emailed"),
    "save, other keys": Step("move", "freeswitch", message, "2", "vm-to-delete", "vm-message-saved"),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_an_owner_whose_store_is_away_is_told_and_can_try_again(step: Step) -> None:
    stage = Stage(step.keys)

    def away() -> None:
        stage.mailboxes.away = {step.operation}

    def back() -> None:
        stage.mailboxes.away = set()

    caller = step.way(stage.owner()).does(away).presses(step.key).until(LATER).until(step.again).does(back)
    caller.presses(step.key).until(step.done).run(stage.access)
    assert len(stage.mailboxes.listed("101")) + (step.operation == "delete") == 2


def test_a_new_pin_that_the_store_does_not_take_is_not_said_to_be_changed() -> None:
    stage = Stage()
    stage.mailboxes.away = {"set_pin"}
    caller = options(stage.owner()).presses("5").until("vm-newpassword").presses("60713#")
    story = caller.until("vm-reenterpassword").presses("60713#").until(LATER, "vm-to-record-unavailable")
    assert "vm-passchanged" not in story.run(stage.access).heard


def test_an_undelete_that_fails_leaves_the_message_deleted_and_says_so() -> None:
    stage = Stage()
    stage.mailboxes.away = {"undelete"}
    caller = message(stage.owner()).presses("7").until("vm-to-undelete").presses("7").until(LATER)
    caller.until("vm-to-undelete").run(stage.access)


def test_what_was_heard_while_the_store_was_away_is_old_when_it_is_back() -> None:
    stage = Stage()

    def away() -> None:
        stage.mailboxes.away = {"move"}

    def back() -> None:
        stage.mailboxes.away = set()

    caller = main(stage.owner()).does(away).presses("1").until(RECORDING).until("vm-to-delete").does(back)
    caller.hangs_up().run(stage.access)
    assert stage.folders() == ["old", "new"]


def test_a_reply_recorded_while_the_store_is_away_is_delivered_later() -> None:
    stage = Stage()

    def away() -> None:
        stage.mailboxes.away = {"deposit"}

    caller = message(stage.owner()).presses("3").until("vm-to-reply").does(away).presses("1").until("beep").says(5)
    caller.presses("#1", each=1.0).until("vm-message-sent").run(stage.access)
    stage.mailboxes.away = set()
    asyncio.run(stage.outbox.deliver())
    assert [one.caller for one in stage.mailboxes.listed("102")] == ["101"]


MOMENTS = [half / 2 + 0.25 for half in range(160)]


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_owner_may_hang_up_at_any_moment_without_losing_a_message(moment: float) -> None:
    """Listens, saves, goes on, deletes, forwards with a comment."""
    stage = Stage()
    script: list[tuple[float, str | float]] = [
        (8.0, "1"), (25.0, "9"), (27.0, "2"), (31.0, "6"), (45.0, "7"), (48.0, "8"), (51.0, "102#"), (54.0, "1"),
        (58.0, 6.0), (64.5, "#"), (66.0, "1"),
    ]  # fmt: skip
    caller, now = stage.owner(), 0.0
    for at, what in script:
        if at >= moment:
            break
        caller.waits(at - now)
        now = at
        if isinstance(what, str):
            caller.presses(what, after=0.0, each=0.05)
            now += 0.05 * (len(what) - 1)
        else:
            seconds = max(0.0, min(what, moment - at))
            caller.says(seconds)
            now += seconds
    caller.waits(max(0.0, moment - now)).hangs_up().run(stage.access)
    first = "new" if moment < 25 else "old" if moment < 27 else "work"
    second = "new" if moment < 45 else None
    assert stage.folders() == [folder for folder in (first, second) if folder]
    is_long_enough = moment > 56 + 3  # since the beep
    assert [one.caller for one in stage.mailboxes.listed("102")] == ["101"] * is_long_enough
    assert not stage.outbox.growing
