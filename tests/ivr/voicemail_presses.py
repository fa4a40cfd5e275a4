# SPDX-License-Identifier: Apache-2.0
"""What each key of the key maps does, as a caller notices it; test_voicemail_keys.py presses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from ivr.apps.voicemail.keymaps import State
from ivr.scripted.scripted import RECORDING, ScriptedCaller
from ivr.scripted.scripted_leg import seconds_of
from tests.ivr.voicemail_stage import OPERATOR, STRANGER, Stage

if TYPE_CHECKING:
    from ivr.apps.voicemail.keymaps import KeyMapName
    from ivr.scripted.scripted import Story

__all__ = ["PRESSES", "Press"]

Part = Callable[[ScriptedCaller], object]
Look = Callable[[Stage, "Story"], object]


@dataclass(frozen=True, slots=True)
class Press:
    """What follows when a key is pressed."""

    hears: tuple[str, ...] = ()
    """With other prompts in between."""
    then: Part = lambda caller: None
    """What the caller does next."""
    look: Look = lambda stage, story: True
    """What is true in the end."""
    before: Part = lambda caller: None
    """What the caller does before the key."""


def talks(number: str) -> Part:
    """Be connected to somebody."""
    return lambda caller: caller.answers_dial(number, talks=5).talks_to(number)


def says(seconds: float, *, finish: str = "") -> Part:
    """Record something: then hang up, or press keys until the application is done."""

    def part(caller: ScriptedCaller) -> None:
        caller.until("beep").says(seconds)
        if finish:
            caller.presses(finish, each=1.0).listens()
        else:
            caller.hangs_up()

    return part


def dialled(number: str, account: str = "101", caller: str = "101") -> Look:
    """One call was made, paid by an account, with this number shown."""

    def look(_: Stage, story: Story) -> bool:
        return [(one.destination, one.account, one.caller) for one in story.dialled] == [(number, account, caller)]

    return look


def plays(*seconds: float) -> Look:
    """So long were the recordings that began to sound."""
    return lambda _, story: [seconds_of(one) for one in story.recordings] == pytest.approx(seconds)


def greeted(*kinds: str) -> Look:
    """These greetings are recorded."""
    return lambda stage, _: stage.mailboxes.greetings("101") == set(kinds)


def folders(*expected: str) -> Look:
    """Where the messages of 101 are."""
    return lambda stage, _: stage.folders() == list(expected)


def urgent(*expected: bool) -> Look:
    """Which messages of 101 are urgent."""
    return lambda stage, _: [one.urgent for one in stage.mailboxes.listed("101")] == list(expected)


def left_for_102(*callers: str, introduces: float | None = None) -> Look:
    """From whom the messages of 102 are; how long the message is that the first introduces."""

    def look(stage: Stage, _: Story) -> bool:
        there = stage.mailboxes.listed("102")
        heard = [stage.mailboxes.heard(one.comment_of).seconds for one in there if one.comment_of]
        return [one.caller for one in there] == list(callers) and heard == ([introduces] if introduces else [])

    return look


def both(*looks: Look) -> Look:
    """All of these."""
    return lambda stage, story: all(look(stage, story) for look in looks)


def unsaid(prompt: str) -> Look:
    """A prompt was not begun."""
    return lambda _, story: prompt not in story.heard


def greeting(kind: str, accept: str) -> Press:
    """Record a greeting and accept it."""
    saved = "vm-name-saved" if kind == "name" else "vm-greeting-saved"
    return Press(
        (f"vm-record-{kind}", "beep"),
        lambda caller: caller.says(3).presses("#").until("vm-to-accept").presses(accept).until(saved),
        greeted(kind),
    )


NEW_MESSAGE: Final = folders("new", "new", "new")
REACHES_OPERATOR: Final = Press(then=talks(OPERATOR), look=dialled(OPERATOR, "101", STRANGER))
STORES_AND_REACHES_OPERATOR: Final = Press(
    then=talks(OPERATOR), look=both(dialled(OPERATOR, "101", STRANGER), NEW_MESSAGE)
)
SKIPS_GREETING: Final = Press(then=says(5), look=both(NEW_MESSAGE, unsaid("vm-intro")))
LOGS_IN: Final = Press(("vm-password",), lambda caller: caller.presses("4829#").until("vm-you-have"))
HEARS_AGAIN: Final = Press((RECORDING, "vm-to-accept"), look=both(plays(5), NEW_MESSAGE))
RECORDS_AGAIN: Final = Press(
    then=says(8),
    look=both(NEW_MESSAGE, lambda stage, _: stage.mailboxes.listed("101")[-1].seconds == pytest.approx(8, abs=0.2)),
)
CALLS_OUT: Final = Press(
    ("vm-enter-number",),
    lambda caller: (
        caller.answers_dial("420273333444", talks=5)
        .presses("420273333444#")
        .talks_to("420273333444")
        .until("vm-to-exit")
    ),
    dialled("420273333444"),
)
CALLS_BACK: Final = Press(
    ("vm-calling",),
    lambda caller: caller.answers_dial("102", talks=5).talks_to("102").until("vm-to-delete"),
    dialled("102"),
)
CHANGES_PIN: Final = Press(
    ("vm-newpassword",),
    lambda caller: caller.presses("60713#").until("vm-reenterpassword").presses("60713#").until("vm-passchanged"),
    lambda stage, _: stage.mailboxes.pin("101") == "60713",
)
FIRST_MESSAGE: Final = Press(("number-1", RECORDING))
SECOND_MESSAGE: Final = Press(("number-2", RECORDING))
SAYS_ENVELOPE: Final = Press(("vm-received", "vm-from", "vm-duration", "number-10"), look=plays(10))
SKIPS_INFO: Final = Press((RECORDING,), look=unsaid("vm-from"))
REWINDS: Final = Press((RECORDING,), before=lambda caller: caller.waits(6), look=plays(10, 6.8))
SKIPS_FORWARD: Final = Press((RECORDING,), look=plays(10, 6.8))
RESTARTS: Final = Press((RECORDING,), look=plays(10, 10))
PAUSES: Final = Press(then=lambda caller: caller.hears_nothing(20).presses("0").until(RECORDING), look=plays(10, 9.8))
MENU_OF_MESSAGE: Final = Press(("vm-to-delete",))
ENDS: Final = Press(("vm-goodbye",), lambda caller: caller.is_hung_up_on())
RETURNS: Final = Press(("vm-to-exit",))
REVIEW_GREETING: Final = {
    "accept": Press(("vm-greeting-saved",), look=greeted("unavailable")),
    "listen": Press((RECORDING, "vm-to-accept"), look=both(plays(3), greeted())),
    "again": Press(
        ("vm-record-unavailable", "beep"), lambda caller: caller.says(4).presses("#").until("vm-to-accept"), greeted()
    ),
    "remove": Press(("vm-greeting-removed",), look=greeted()),
    "cancel": Press(("vm-cancelled", "vm-to-record-name"), look=greeted()),
}
SENDS: Final = Press(("vm-message-forwarded",), look=left_for_102("102"))
CANCELS_FORWARD: Final = Press(("vm-cancelled", "vm-to-delete"), look=left_for_102())


def comments(accept: str) -> Press:
    """Record an introduction and send it."""
    return Press(("vm-record-comment",), says(4, finish="#" + accept), left_for_102("101", introduces=10.0))


COMEDIAN: Final[dict[State, dict[str, Press]]] = {
    State.GREETING: {"#": SKIPS_GREETING, "0": REACHES_OPERATOR, "*": LOGS_IN},
    State.REVIEW: {
        "1": Press(("vm-msg-saved",), look=NEW_MESSAGE),
        "2": HEARS_AGAIN,
        "3": RECORDS_AGAIN,
        "4": Press(
            ("vm-message-urgent",),
            lambda caller: (
                caller.presses("4").until("vm-message-not-urgent").presses("41", each=1).until("vm-msg-saved")
            ),
            urgent(False, False, True),
        ),
        "0": STORES_AND_REACHES_OPERATOR,
    },
    State.MAIN: {
        "1": FIRST_MESSAGE,
        "2": Press(("vm-which-folder",), lambda caller: caller.presses("1").until("vm-opened-folder", "vm-folder-old")),
        "3": Press(("vm-to-dial-out",), look=unsaid("vm-to-reply")),
        "0": Press(("vm-to-record-unavailable",)),
        "*": Press(("vm-to-listen",)),
        "#": ENDS,
    },
    State.ENVELOPE: {"#": SKIPS_INFO},
    State.PLAYING: {"*": REWINDS, "#": SKIPS_FORWARD, "0": PAUSES, "2": RESTARTS},
    State.MESSAGE: {
        "1": FIRST_MESSAGE,
        "2": Press(("vm-which-folder",)),
        "3": Press(("vm-to-reply",)),
        "4": Press(("vm-no-previous", "vm-to-delete")),
        "5": FIRST_MESSAGE,
        "6": SECOND_MESSAGE,
        "7": Press(
            ("vm-message-deleted", "vm-to-undelete"),
            lambda caller: caller.presses("7").until("vm-message-undeleted").until("vm-to-delete"),
            folders("old", "new"),
        ),
        "8": Press(("vm-enter-destination",)),
        "9": Press(("vm-which-folder",)),
        "0": Press(("vm-to-record-unavailable",)),
        "*": MENU_OF_MESSAGE,
        "#": ENDS,
    },
    State.ADVANCED: {
        "1": Press(("vm-intro",), says(5), left_for_102("101")),
        "2": CALLS_BACK,
        "3": SAYS_ENVELOPE,
        "4": CALLS_OUT,
        "5": Press(
            ("vm-enter-destination",), lambda caller: says(5, finish="#1")(caller.presses("102#")), left_for_102("101")
        ),
        "*": RETURNS,
    },
    State.OPTIONS: {
        "1": greeting("unavailable", "1"),
        "2": greeting("busy", "1"),
        "3": greeting("name", "1"),
        "4": greeting("temporary", "1"),
        "5": CHANGES_PIN,
        "*": RETURNS,
    },
    State.FOLDER: {
        "0": Press(("vm-saved-to", "vm-folder-new"), look=folders("new", "new")),
        "1": Press(("vm-saved-to", "vm-folder-old"), look=folders("old", "new")),
        "2": Press(("vm-saved-to", "vm-folder-work"), look=folders("work", "new")),
        "3": Press(("vm-saved-to", "vm-folder-family"), look=folders("family", "new")),
        "4": Press(("vm-saved-to", "vm-folder-friends"), look=folders("friends", "new")),
        "#": MENU_OF_MESSAGE,
    },
    State.FORWARD: {"1": comments("1"), "2": SENDS, "*": CANCELS_FORWARD},
    State.GREETING_REVIEW: {
        "1": REVIEW_GREETING["accept"],
        "2": REVIEW_GREETING["listen"],
        "3": REVIEW_GREETING["again"],
        "4": REVIEW_GREETING["remove"],
        "*": REVIEW_GREETING["cancel"],
    },
    State.TEMPORARY: {
        "1": Press(("vm-record-temporary", "beep"), look=greeted("temporary")),
        "2": Press(("vm-greeting-removed",), look=greeted()),
        "*": Press(("vm-to-record-name",), look=greeted("temporary")),
    },
}
FREESWITCH: Final[dict[State, dict[str, Press]]] = {
    State.GREETING: {"#": SKIPS_GREETING, "0": REACHES_OPERATOR, "9": REACHES_OPERATOR, "*": LOGS_IN},
    State.REVIEW: {
        "1": HEARS_AGAIN,
        "2": Press(("vm-to-mark-urgent",), lambda caller: caller.presses("#").until("vm-msg-saved"), NEW_MESSAGE),
        "3": RECORDS_AGAIN,
        "9": STORES_AND_REACHES_OPERATOR,
    },
    State.URGENT: {
        "*": Press(("vm-msg-saved",), look=urgent(False, False, True)),
        "#": Press(("vm-msg-saved",), look=urgent(False, False, False)),
    },
    State.MAIN: {
        "1": FIRST_MESSAGE,
        "2": Press(("vm-folder-empty",)),
        "3": CALLS_OUT,
        "5": Press(("vm-to-record-greeting",)),
        "0": Press(("vm-to-listen-new",)),
        "#": ENDS,
    },
    State.ENVELOPE: {"*": SKIPS_INFO},
    State.PLAYING: {"1": RESTARTS, "4": REWINDS, "6": SKIPS_FORWARD, "0": PAUSES},
    State.MESSAGE: {
        "1": FIRST_MESSAGE,
        "2": Press(("vm-message-saved", "number-2"), look=folders("old", "new")),
        "3": SAYS_ENVELOPE,
        "4": Press(("vm-message-emailed",), look=lambda stage, _: len(stage.mailboxes.emailed) == 1),
        "5": CALLS_BACK,
        "7": Press(("vm-message-deleted", "vm-to-undelete"), look=folders("new")),
        "8": Press(("vm-enter-destination",)),
        "9": Press(then=talks(OPERATOR), look=dialled(OPERATOR)),
        "0": MENU_OF_MESSAGE,
        "*": Press(("vm-to-listen-new",)),
        "#": SECOND_MESSAGE,
    },
    State.OPTIONS: {
        "1": Press(("vm-to-record-unavailable",)),
        "2": Press(("vm-choose-greeting",)),
        "3": greeting("name", "2"),
        "6": CHANGES_PIN,
        "0": RETURNS,
    },
    State.SLOT: {
        "1": greeting("unavailable", "2"),
        "2": greeting("busy", "2"),
        "3": greeting("temporary", "2"),
        "0": Press(("vm-to-record-greeting",)),
    },
    State.CHOOSE: {
        "1": Press(("vm-greeting-chosen", "number-1"), look=greeted("unavailable", "busy")),
        "2": Press(("vm-greeting-chosen", "number-2"), look=greeted("unavailable", "busy", "temporary")),
        "3": Press(("vm-greeting-unknown",), look=greeted("unavailable", "busy")),
        "9": Press(("vm-greeting-removed",), look=greeted()),
        "0": Press(("vm-to-record-greeting",), look=greeted("unavailable", "busy")),
    },
    State.FORWARD: {"1": comments("2#"), "2": SENDS, "0": CANCELS_FORWARD},
    State.GREETING_REVIEW: {
        "1": REVIEW_GREETING["listen"],
        "2": REVIEW_GREETING["accept"],
        "3": REVIEW_GREETING["again"],
        "7": REVIEW_GREETING["remove"],
        "0": REVIEW_GREETING["cancel"],
    },
}
PRESSES: Final[dict[KeyMapName, dict[State, dict[str, Press]]]] = {"comedian": COMEDIAN, "freeswitch": FREESWITCH}
