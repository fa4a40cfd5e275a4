# SPDX-License-Identifier: Apache-2.0
"""Leaving a message: what the caller hears, and that whatever was said is kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ivr.verbs import Audio
from tests.ivr.voicemail_stage import OPERATOR, STRANGER, Stage

if TYPE_CHECKING:
    from billing_client.mailboxes.words import GreetingKind, Message, Sound
    from ivr.apps.voicemail.keymaps import KeyMapName
    from ivr.scripted.scripted import ScriptedCaller
    from ivr.verbs import Ivr


def audio(sound: Sound) -> Audio:
    return Audio(sound.format, sound.data)


def left(stage: Stage) -> list[Message]:
    return stage.mailboxes.listed("101")


@pytest.mark.parametrize(("cause", "state"), [(486, "vm-isonphone"), (408, "vm-isunavail"), (404, "vm-isunavail")])
def test_without_greetings_the_number_is_read_out_with_what_keeps_its_owner(cause: int, state: str) -> None:
    stage = Stage()
    digits = ("digit-1", "digit-0", "digit-1")
    stage.stranger(cause=cause).is_not_answered().hears("vm-theperson", *digits, state, "vm-intro", "beep").run(
        stage.deposit
    )


def test_a_recorded_name_is_said_instead_of_the_number() -> None:
    stage = Stage()
    name = stage.greet("name")
    stage.stranger(cause=486).hears(audio(name), "vm-isonphone", "vm-intro").run(stage.deposit)


@pytest.mark.parametrize(("cause", "kind"), [(486, "busy"), (408, "unavailable"), (302, "unavailable")])
def test_the_greeting_is_that_for_the_cause(cause: int, kind: GreetingKind) -> None:
    stage = Stage()
    stage.greet("name", seconds=1)
    sounds = {"busy": stage.greet("busy", seconds=2), "unavailable": stage.greet("unavailable", seconds=3)}
    stage.stranger(cause=cause).hears(audio(sounds[kind]), "vm-intro", "beep").run(stage.deposit)


def test_a_temporary_greeting_comes_before_all_others() -> None:
    stage = Stage()
    stage.greet("unavailable")
    temporary = stage.greet("temporary", seconds=7)
    stage.stranger().hears(audio(temporary), "vm-intro", "beep").run(stage.deposit)


def test_the_message_is_kept_with_its_caller_and_time() -> None:
    stage = Stage(messages=0)
    story = (
        stage.stranger(caller_name="Zora").until("beep").says(6).presses("#").until("vm-review").presses("1")
        .until("vm-msg-saved").is_hung_up_on().run(stage.deposit)
    )  # fmt: skip
    (message,) = left(stage)
    assert (message.caller, message.caller_name, message.urgent) == (STRANGER, "Zora", False)
    assert message.seconds == pytest.approx(6, abs=0.2)
    assert message.received_at.isoformat() == "2026-11-25T09:30:06+00:00"
    assert story.answered
    assert not stage.outbox.growing


def test_silence_ends_the_message_which_is_stored_without_questions() -> None:
    stage = Stage(messages=0)
    stage.stranger().until("beep").says(6).hears("vm-msg-saved").is_hung_up_on().run(stage.deposit)
    assert [round(one.seconds) for one in left(stage)] == [6]


def test_the_longest_message_ends_by_itself_and_is_stored() -> None:
    stage = Stage(messages=0)
    stage.mailboxes.add("101", max_seconds=20)
    stage.stranger().until("beep").says(60).run(stage.deposit)
    assert [one.seconds for one in left(stage)] == [20]


def test_a_message_that_is_too_short_can_be_said_again_some_times() -> None:
    stage = Stage(messages=0)
    caller = stage.stranger()
    for _ in range(3):
        caller.until("beep").says(1).presses("#").until("vm-too-short")
    caller.until("vm-goodbye").is_hung_up_on().run(stage.deposit)
    assert left(stage) == []
    assert not stage.outbox.growing


def test_silence_from_the_beginning_leaves_nothing() -> None:
    stage = Stage(messages=0)
    stage.stranger().until("beep").until("vm-too-short", "vm-goodbye").is_hung_up_on().run(stage.deposit)
    assert left(stage) == []


def test_a_second_recording_takes_the_place_of_the_first_only_if_it_is_long_enough() -> None:
    stage = Stage(messages=0)
    (
        stage.stranger().until("beep").says(5).presses("#").until("vm-review").presses("3").until("beep").says(1)
        .presses("#").until("vm-too-short", "vm-review").presses("3").until("beep").says(1).hangs_up()
        .run(stage.deposit)
    )  # fmt: skip
    assert [round(one.seconds) for one in left(stage)] == [5]
    assert not stage.outbox.growing


def test_a_caller_who_presses_nothing_after_the_recording_has_left_the_message() -> None:
    stage = Stage(messages=0)
    stage.stranger().until("beep").says(5).presses("#").until("vm-msg-saved").is_hung_up_on().run(stage.deposit)
    assert len(left(stage)) == 1


def test_a_full_mailbox_is_announced_and_costs_nothing() -> None:
    stage = Stage(messages=2)
    stage.mailboxes.add("101", max_messages=0)
    story = stage.stranger().hears("vm-mailbox-full").is_not_answered().is_hung_up_on(480).run(stage.deposit)
    assert not story.answered


def test_a_mailbox_that_fills_up_meanwhile_is_announced_after_the_recording() -> None:
    stage = Stage(messages=0)
    stage.mailboxes.add("101", max_messages=1)
    caller = stage.stranger().until("beep").does(lambda: asyncio.ensure_future(fill(stage))).says(5).presses("#")
    caller.until("vm-review").presses("1").until("vm-mailbox-full").is_hung_up_on().run(stage.deposit)
    assert [one.caller for one in left(stage)] == ["102"]


async def fill(stage: Stage) -> None:
    await stage.mailboxes.deposit(stage.message())


@pytest.mark.parametrize("target", ["999", ""])
def test_an_unknown_mailbox_is_announced_in_early_media_and_never_answered(target: str) -> None:
    stage = Stage()
    story = stage.stranger(target=target).hears("vm-no-mailbox").is_hung_up_on(404).run(stage.deposit)
    assert not story.answered


def test_a_blocked_account_has_no_mailbox_for_callers() -> None:
    stage = Stage(messages=0)
    stage.mailboxes.add("101", usable="account blocked")
    assert not stage.stranger().hears("vm-no-mailbox").is_hung_up_on(404).run(stage.deposit).answered


def test_while_the_store_is_away_a_message_is_taken_and_delivered_later() -> None:
    stage = Stage(messages=0)
    stage.greet("unavailable")
    stage.mailboxes.away = {"*"}
    caller = stage.stranger().hears("vm-theperson", ..., "vm-isunavail", "vm-intro", "beep").says(6).presses("#")
    caller.until("vm-review").presses("41", each=2.0).until("vm-msg-saved").run(stage.deposit)
    assert left(stage) == []
    stage.mailboxes.away = set()
    asyncio.run(stage.outbox.deliver())
    (message,) = left(stage)
    assert (message.caller, message.urgent, round(message.seconds)) == (STRANGER, True, 6)


@pytest.mark.parametrize("operation", ["mailbox", "greeting", "deposit"])
def test_no_operation_of_the_store_that_fails_keeps_a_caller_from_leaving_a_message(operation: str) -> None:
    stage = Stage(messages=0)
    stage.greet("unavailable")
    stage.mailboxes.away = {operation}
    stage.stranger().until("beep").says(6).hangs_up().run(stage.deposit)
    stage.mailboxes.away = set()
    asyncio.run(stage.outbox.deliver())
    assert [round(one.seconds) for one in left(stage)] == [6]


def test_a_stranger_reaches_the_operator_on_behalf_of_the_mailbox() -> None:
    stage = Stage()
    caller = stage.stranger().until("vm-theperson").presses("0").answers_dial(OPERATOR, talks=5)
    (request,) = caller.is_hung_up_on().run(stage.deposit).dialled
    assert (request.account, request.caller, request.diverted) == ("101", STRANGER, True)


def test_a_caller_of_ours_pays_for_the_operator_itself() -> None:
    stage = Stage()
    caller = stage.stranger(caller="102", account="102").until("vm-theperson").presses("0")
    (request,) = caller.answers_dial(OPERATOR, talks=5).is_hung_up_on().run(stage.deposit).dialled
    assert (request.account, request.caller, request.diverted) == ("102", "102", False)


@pytest.mark.parametrize("has_operator", [True, False])
def test_where_the_operator_cannot_be_reached_a_message_can_be_left(has_operator: bool) -> None:
    stage = Stage(messages=0)
    if not has_operator:
        stage.mailboxes.add("101")
    caller = stage.stranger().until("vm-theperson").presses("0").fails_dial(OPERATOR, 486)
    caller.until("beep").says(5).hangs_up().run(stage.deposit)
    assert len(left(stage)) == 1


def test_a_stranger_hears_the_language_of_the_mailbox_and_a_caller_of_ours_its_own() -> None:
    stage = Stage()
    stage.mailboxes.add("101", language="cs")
    languages = []

    async def observed(call: Ivr) -> None:
        try:
            await stage.deposit(call)
        finally:
            languages.append(call.language)

    stage.stranger().until("beep").says(5).hangs_up().run(observed)
    stage.stranger(caller="102", account="102", language="en").until("beep").says(5).hangs_up().run(observed)
    assert languages == ["cs", "en"]


def test_the_language_that_the_switch_names_goes_before_that_of_the_mailbox() -> None:
    """Somebody who was forwarded on his way here, by an account that is not the one that called."""
    stage = Stage()
    stage.mailboxes.add("101", language="en")
    languages = []

    async def observed(call: Ivr) -> None:
        try:
            await stage.deposit(call)
        finally:
            languages.append(call.language)

    forwarded = stage.stranger(language="cs")
    forwarded.details = replace(forwarded.details, has_language=True)
    forwarded.until("beep").says(5).hangs_up().run(observed)
    assert languages == ["cs"]


# hang-ups -------------------------------------------------------------------------------------------------------------
END = 32.0
Timeline = list[tuple[float, float | str]]
TIMELINES: dict[str, Timeline] = {
    "comedian": [(7.0, 6.0), (13.2, "#"), (14.2, "2"), (21.2, "3"), (22.2, 8.0), (30.4, "#"), (31.4, "1")],
    "freeswitch": [(7.0, 6.0), (13.2, "#"), (14.2, "1"), (21.2, "3"), (22.2, 8.0), (30.4, "#"), (31.4, "2")],
}
"""When a caller speaks, for how long, and which keys it presses: two recordings, the first one listened to."""


def expected_seconds(moment: float) -> float:
    """How long the message of a caller is that hangs up then; 0: there is none."""
    first, second = min(6.0, moment - 7.0), min(8.0, moment - 22.2)
    return second if second >= 3 else first if first >= 3 else 0.0


@pytest.mark.parametrize("keys", ["comedian", "freeswitch"])
@pytest.mark.parametrize("moment", [half / 2 + 0.25 for half in range(int(2 * END))])
def test_a_hang_up_at_any_moment_keeps_the_last_recording_that_is_long_enough(moment: float, keys: KeyMapName) -> None:
    stage = Stage(keys, messages=0)
    follow(stage.stranger(), TIMELINES[keys], moment).hangs_up().run(stage.deposit)
    expected = expected_seconds(moment)
    assert [one.seconds for one in left(stage)] == ([pytest.approx(expected, abs=0.2)] if expected else [])
    assert not stage.outbox.growing


@pytest.mark.parametrize("moment", [8.25, 10.75, 12.75, 15.25, 23.25, 29.75, 31.0])
def test_a_process_that_is_killed_leaves_what_was_said_to_the_second_to_its_next_life(moment: float) -> None:
    """What is on disk at that moment is all that the next life finds."""
    stage = Stage(messages=0)
    on_disk: list[float] = []

    def kill() -> None:
        on_disk.extend(len(samples) / (2 * rate) for _, _, rate, samples in stage.outbox.growing.values())

    follow(stage.stranger(), TIMELINES["comedian"], moment).does(kill).run(stage.deposit)
    assert max(on_disk) == pytest.approx(min(6.0, moment - 7.0) if moment < 29 else min(8.0, moment - 22.2), abs=1.2)


def follow(caller: ScriptedCaller, timeline: Timeline, moment: float) -> ScriptedCaller:
    """Do what a timeline says, up to a moment."""
    now = 0.0
    for at, what in timeline:
        if at >= moment:
            break
        caller.waits(at - now)
        now = at
        if isinstance(what, str):
            caller.presses(what, after=0.0)
        else:
            seconds = min(what, moment - at)
            caller.says(seconds)
            now += seconds
    return caller.waits(moment - now)


def test_an_application_that_is_stopped_leaves_its_recording_to_the_outbox() -> None:
    stage = Stage(messages=0)

    async def stopped(call: Ivr) -> None:
        task = asyncio.ensure_future(stage.deposit(call))
        await asyncio.sleep(12)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stage.stranger().until("beep").says(20).run(stopped)
    assert len(stage.outbox.abandoned) == 1
    asyncio.run(stage.outbox.deliver())
    assert [one.seconds >= 4 for one in left(stage)] == [True]
