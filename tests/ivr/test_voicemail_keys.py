# SPDX-License-Identifier: Apache-2.0
"""Every key of every menu of both key maps, pressed by a scripted caller."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs import make_key_maps
from ivr.apps.voicemail import keymaps
from ivr.apps.voicemail.desk import press
from ivr.apps.voicemail.keymaps import KEY_MAPS, State
from ivr.scripted.scripted import RECORDING
from prompts import FOLDER
from softswitch.speech.catalogue import read_catalogue
from tests.ivr.voicemail_presses import PRESSES
from tests.ivr.voicemail_stage import BEGIN, Stage

if TYPE_CHECKING:
    from ivr.apps.voicemail.keymaps import KeyMapName
    from ivr.scripted.scripted import ScriptedCaller

CALLER_STATES = frozenset({State.GREETING, State.REVIEW, State.URGENT})
"""Those of whoever leaves a message; the others are the owner's."""
MESSAGE_STATES = frozenset({State.ENVELOPE, State.PLAYING, State.MESSAGE, State.FORWARD, State.FOLDER, State.ADVANCED})
OPTIONS = {"comedian": "0", "freeswitch": "5"}
ALL_KEYS = [
    (keys, state, key)
    for keys, key_map in KEY_MAPS.items()
    for state, choices in key_map.states.items()
    for key in choices
]


def test_there_is_a_scripted_caller_for_every_key() -> None:
    pressed = {(keys, state, key) for keys, states in PRESSES.items() for state in states for key in states[state]}
    assert pressed == set(ALL_KEYS)


@pytest.mark.parametrize(("keys", "state", "key"), ALL_KEYS, ids=lambda part: str(part))
def test_each_key_does_what_the_key_map_says(keys: KeyMapName, state: State, key: str) -> None:
    stage = Stage(keys)
    if state is State.TEMPORARY:
        stage.greet("temporary")
    if state is State.CHOOSE:
        stage.greet("unavailable")
        stage.greet("busy")
    press = PRESSES[keys][state][key]
    caller = stage.stranger() if state in CALLER_STATES else stage.owner()
    come(caller, keys, state)
    press.before(caller)
    caller.presses(key)
    for prompt in press.hears:
        caller.until(prompt)
    press.then(caller)
    story = caller.run(stage.deposit if state in CALLER_STATES else stage.access)
    assert press.look(stage, story), story


def test_the_tables_of_the_documentation_are_those_of_the_key_maps() -> None:
    text = make_key_maps.PAGE.read_text(encoding="utf-8")
    assert text == make_key_maps.page(text), "run python -m docs.make_key_maps"
    assert all(f"| `{key}` |" in text for _, _, key in ALL_KEYS)


@pytest.mark.parametrize("language", ["en", "cs"])
def test_all_that_voicemail_says_can_be_said_in_every_language(language: str) -> None:
    offered = [
        prompt
        for key_map in KEY_MAPS.values()
        for choices in key_map.states.values()
        for key, choice in choices.items()
        for prompt in (choice.prompt, choice.when_deleted, press(key))
        if prompt
    ]
    sources = [file.read_text(encoding="utf-8") for file in Path(keymaps.__file__).parent.glob("*.py")]
    said = [prompt for source in sources for prompt in re.findall(r'"((?:vm|press)-[a-z-]+[a-z])"', source)]
    known = read_catalogue(FOLDER / language / "catalogue.yaml").prompts
    assert sorted({*offered, *said} - set(known)) == []
    assert len(said) > 80


@pytest.mark.parametrize("language", ["en", "cs"])
@pytest.mark.parametrize("keys", ["comedian", "freeswitch"])
def test_an_owner_and_a_caller_hear_nothing_that_their_language_does_not_have(keys: KeyMapName, language: str) -> None:
    stage = Stage(keys, messages=0)
    stage.mailboxes.add("101", language=language, timezone="Europe/Prague")
    for place, number in enumerate(("102", "anonymous", "+420733123456")):
        stage.give(place, caller=number, urgent=not place, received_at=BEGIN - timedelta(days=place))
    following = {"comedian": "6", "freeswitch": "#"}[keys]
    owner = stage.owner().until("vm-to-exit").presses("1").until(RECORDING).until("vm-to-delete")
    for _ in range(2):
        owner.presses(following).until(RECORDING).until("vm-to-delete")
    heard = owner.run(stage.access).heard
    heard += stage.stranger(cause=486).until("beep").says(5).presses("#").until("vm-review").run(stage.deposit).heard
    known = read_catalogue(FOLDER / language / "catalogue.yaml").prompts
    assert set(heard) - set(known) - {RECORDING} == set()


def come(caller: ScriptedCaller, keys: KeyMapName, state: State) -> None:
    """The way into a state."""
    if state in CALLER_STATES:
        caller.until("vm-theperson")
        if state is not State.GREETING:
            caller.until("beep").says(5).presses("#").until("vm-review")
        if state is State.URGENT:
            caller.presses("2").until("vm-to-mark-urgent")
        return
    caller.until("vm-you-have").until("vm-to-exit")
    if state in MESSAGE_STATES:
        _come_to_message(caller, state)
    elif state is not State.MAIN:
        caller.presses(OPTIONS[keys]).until("vm-to-record-name")
        _come_to_option(caller, keys, state)


def _come_to_message(caller: ScriptedCaller, state: State) -> None:
    caller.presses("1").until("vm-received")
    if state is State.ENVELOPE:
        return
    caller.until(RECORDING)
    if state is State.PLAYING:
        return
    caller.until("vm-to-delete")
    if state is State.FORWARD:
        caller.presses("8").until("vm-enter-destination").presses("102#").until("vm-to-add-comment")
    elif state is State.FOLDER:
        caller.presses("9").until("vm-which-folder")
    elif state is State.ADVANCED:
        caller.presses("3").until("vm-to-reply")


def _come_to_option(caller: ScriptedCaller, keys: KeyMapName, state: State) -> None:
    if state is State.GREETING_REVIEW:
        if keys == "freeswitch":
            caller.presses("1").until("vm-to-record-unavailable")
        caller.presses("1").until("beep").says(3).presses("#").until("vm-to-accept")
    elif state is State.TEMPORARY:
        caller.presses("4").until("vm-temporary-in-force")
    elif state is State.SLOT:
        caller.presses("1").until("vm-to-record-unavailable")
    elif state is State.CHOOSE:
        caller.presses("2").until("vm-choose-greeting")
