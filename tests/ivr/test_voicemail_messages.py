# SPDX-License-Identifier: Apache-2.0
"""An owner among its messages: what is said, what is heard, where messages go, and that none is lost on the way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ivr.say import grammar
from ivr.scripted.scripted import RECORDING
from ivr.scripted.scripted_leg import seconds_of
from ivr.verbs import Audio
from tests.ivr.voicemail_stage import BEGIN, STRANGER, Stage, tone

if TYPE_CHECKING:
    from ivr.scripted.scripted import ScriptedCaller

EN, CS = grammar("en"), grammar("cs")
FIRST, SECOND = tone(10.0, 440), tone(10.0, 550)


def audio(place: int) -> Audio:
    sound = (FIRST, SECOND)[place - 1]
    return Audio(sound.format, sound.data)


def at_message(stage: Stage) -> ScriptedCaller:
    """An owner who has heard the first message and is in the menu."""
    return stage.owner().until("vm-to-listen").presses("1").until(RECORDING).until("vm-to-delete")


# listening ------------------------------------------------------------------------------------------------------------
def test_messages_are_heard_in_order_each_after_its_envelope() -> None:
    stage = Stage()
    local = BEGIN - timedelta(hours=1)
    (
        stage.owner().until("vm-to-listen").presses("1")
        .hears("vm-message", EN.number(1), "vm-received", EN.moment(local, BEGIN))
        .hears("vm-from", EN.telephone("102"), audio(1))
        .until("vm-to-next").presses("6").hears("vm-message", EN.number(2), ..., audio(2))
        .until("vm-to-next").presses("6").hears("vm-no-more").until("vm-to-delete").presses("#").until("vm-goodbye")
        .is_hung_up_on().run(stage.access)
    )  # fmt: skip
    assert stage.folders() == ["old", "old"]


def test_times_are_those_of_the_mailbox_and_words_those_of_its_language() -> None:
    stage = Stage(messages=1)
    stage.mailboxes.add("101", language="cs", timezone="Asia/Tokyo")
    stage.give(1)
    local = (BEGIN - timedelta(minutes=59)) + timedelta(hours=9)
    (
        stage.owner().hears("vm-you-have", CS.messages(1, "new")).until("vm-to-listen").presses("1")
        .until("vm-received", CS.moment(local, BEGIN + timedelta(hours=9)), "vm-from").run(stage.access)
    )  # fmt: skip


def test_a_time_zone_that_does_not_exist_keeps_nobody_from_listening() -> None:
    stage = Stage()
    stage.mailboxes.add("101", timezone="Mars/Olympus")
    stage.give()
    stage.owner().until("vm-to-listen").presses("1").until(RECORDING).run(stage.access)


def test_a_caller_with_a_mailbox_is_said_by_its_recorded_name() -> None:
    stage = Stage()
    name = stage.greet("name", "102", seconds=1.5)
    stage.owner().until("vm-to-listen").presses("1").until("vm-from", Audio(name.format, name.data)).run(stage.access)


def test_a_caller_without_a_number_is_unknown() -> None:
    stage = Stage(messages=0)
    stage.give(caller="anonymous")
    stage.owner().until("vm-to-listen").presses("1").until("vm-from-unknown", RECORDING).run(stage.access)


def test_an_urgent_message_comes_first_and_says_so() -> None:
    stage = Stage()
    stage.give(5, urgent=True)
    (
        stage.owner().hears("vm-you-have", ..., "vm-you-have", EN.messages(1, "urgent")).until("vm-to-listen")
        .presses("1").hears("vm-urgent", "vm-message", EN.number(1)).run(stage.access)
    )  # fmt: skip


def test_an_owner_without_new_messages_hears_the_old_ones() -> None:
    stage = Stage(messages=1)
    asyncio.run(stage.mailboxes.move([stage.mailboxes.listed("101")[0].message_id], "old"))
    stage.owner().until("vm-to-listen").presses("1").until(RECORDING).run(stage.access)


def test_an_owner_without_messages_is_told_so() -> None:
    stage = Stage(messages=0)
    stage.owner().until("vm-to-listen").presses("1").hears("vm-folder-empty", "vm-to-listen").run(stage.access)


def test_an_owner_hears_that_the_mailbox_is_full_and_that_a_temporary_greeting_is_in_force() -> None:
    stage = Stage(messages=0)
    stage.mailboxes.add("101", max_messages=1)
    stage.give()
    stage.greet("temporary")
    stage.owner().until("vm-mailbox-full-owner", "vm-temporary-in-force", "vm-to-listen").run(stage.access)


def test_a_message_that_another_introduces_is_played_after_it_and_both_can_be_moved_in() -> None:
    stage = Stage(messages=0)
    stage.give(sound=tone(2.0, 880), forwarded=FIRST)
    (
        stage.owner().until("vm-to-listen").presses("1").until(RECORDING, audio(1)).waits(3).presses("*")
        .until(RECORDING).presses("##", each=1.0).until("vm-to-delete").run(stage.access)
    )  # fmt: skip


def test_forward_past_the_end_ends_the_message_and_rewind_stops_at_its_beginning() -> None:
    stage = Stage()
    owner = stage.owner().until("vm-to-listen").presses("1").until(RECORDING).presses("*").until(RECORDING)
    story = owner.presses("####", each=0.1).until("vm-to-delete").run(stage.access)
    assert [seconds_of(one) for one in story.recordings] == pytest.approx([10, 10, 6.8, 3.7, 0.6])


def test_a_pause_ends_with_another_key_which_does_what_it_does_in_play() -> None:
    stage = Stage()
    owner = stage.owner().until("vm-to-listen").presses("1").until(RECORDING).presses("0").hears_nothing(5)
    owner.presses("7").until("vm-message-deleted").run(stage.access)


def test_a_pause_that_nobody_ends_is_over_after_a_minute() -> None:
    stage = Stage()
    owner = stage.owner().until("vm-to-listen").presses("1").until(RECORDING).presses("0").hears_nothing(59)
    owner.until(RECORDING).run(stage.access)


def test_the_previous_message_can_be_heard_again() -> None:
    stage = Stage()
    at_message(stage).presses("6").until(audio(2)).until("vm-to-delete").presses("4").until(audio(1)).run(stage.access)


# where messages go ----------------------------------------------------------------------------------------------------
def test_a_message_is_old_once_it_was_skipped_and_new_while_it_was_not_heard_to_an_end() -> None:
    stage = Stage()
    owner = stage.owner().until("vm-to-listen").presses("1").until(RECORDING).presses("6").until(audio(2))
    owner.hangs_up().run(stage.access)
    assert stage.folders() == ["old", "new"]


def test_a_message_that_was_heard_is_old_when_the_caller_hangs_up() -> None:
    stage = Stage()
    at_message(stage).hangs_up().run(stage.access)
    assert stage.folders() == ["old", "new"]


def test_a_deleted_message_can_be_undeleted_until_the_call_ends_and_is_back_in_its_folder() -> None:
    stage = Stage()
    owner = at_message(stage).presses("9").until("vm-which-folder").presses("2").until("vm-folder-work")
    owner.until("vm-to-delete").presses("7").until("vm-message-deleted").presses("6").until(audio(2))
    owner.until("vm-to-delete").presses("4").until(audio(1)).until("vm-to-undelete").presses("7")
    owner.until("vm-message-undeleted").run(stage.access)
    assert stage.folders() == ["work", "old"]


def test_another_folder_is_opened_and_listened_to() -> None:
    stage = Stage()
    owner = at_message(stage).presses("9").until("vm-which-folder").presses("4").until("vm-folder-friends")
    owner.until("vm-to-delete").presses("2").until("vm-which-folder").presses("4")
    owner.hears("vm-opened-folder", "vm-folder-friends", EN.messages(1)).until("vm-to-listen").presses("1")
    owner.until(audio(1)).run(stage.access)
    assert stage.folders() == ["friends", "new"]


def test_freeswitch_keys_go_on_to_the_next_message_after_saving_and_back_to_the_menu_after_the_last() -> None:
    stage = Stage("freeswitch")
    owner = stage.owner().until("vm-to-listen-new").presses("1").until(audio(1)).presses("2").until("vm-message-saved")
    owner.until(audio(2)).presses("2").until("vm-message-saved", "vm-no-more").until("vm-to-listen-new").presses("2")
    owner.until(audio(1)).run(stage.access)
    assert stage.folders() == ["old", "old"]


def test_freeswitch_keys_bring_a_deleted_message_back() -> None:
    stage = Stage("freeswitch")
    owner = stage.owner().until("vm-to-listen-new").presses("1").until(audio(1)).presses("7").until("vm-to-undelete")
    owner.presses("8").until("vm-message-undeleted").run(stage.access)
    assert stage.folders() == ["old", "new"]


# to others ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("number", "refusal"), [("999", "vm-no-such-mailbox"), ("", "vm-cancelled")])
def test_a_message_is_forwarded_to_no_mailbox_that_is_not_there(number: str, refusal: str) -> None:
    stage = Stage()
    owner = at_message(stage).presses("8").until("vm-enter-destination").presses(f"{number}#").until(refusal)
    owner.until("vm-to-delete").run(stage.access)


def test_a_message_is_not_forwarded_to_a_full_mailbox() -> None:
    stage = Stage()
    stage.mailboxes.add("102", max_messages=0)
    owner = at_message(stage).presses("8").until("vm-enter-destination").presses("102#").until("vm-cannot-forward")
    owner.run(stage.access)


def test_a_hang_up_during_the_comment_forwards_with_what_was_said() -> None:
    stage = Stage()
    owner = at_message(stage).presses("8").until("vm-enter-destination").presses("102#").until("vm-to-add-comment")
    owner.presses("1").until("beep").says(5).hangs_up().run(stage.access)
    (copy,) = stage.mailboxes.listed("102")
    assert copy.comment_of is not None
    assert stage.mailboxes.heard(copy.comment_of) == FIRST


def test_a_stranger_cannot_be_replied_to_but_called_back() -> None:
    stage = Stage(messages=0)
    stage.give(caller=STRANGER)
    owner = at_message(stage).presses("3").until("vm-to-reply").presses("1").until("vm-no-such-mailbox")
    owner.until("vm-to-advanced").presses("3").until("vm-to-call-back").presses("2").until("vm-calling")
    owner.fails_dial(STRANGER, 486).until("vm-call-busy").until("vm-to-delete")
    (request,) = owner.run(stage.access).dialled
    assert (request.destination, request.account, request.caller, request.caller_name) == (
        STRANGER, "101", "101", "Alice",
    )  # fmt: skip


def test_who_withheld_its_number_cannot_be_called_back() -> None:
    stage = Stage(messages=0)
    stage.give(caller="anonymous")
    owner = at_message(stage).presses("3").until("vm-to-call-back").presses("2").until("vm-no-number")
    assert owner.until("vm-to-delete").run(stage.access).dialled == []


@pytest.mark.parametrize(
    ("status", "said"), [(486, "vm-call-busy"), (408, "vm-call-no-answer"), (402, "vm-call-failed")]
)
def test_an_outgoing_call_that_fails_says_how_and_leads_back_to_the_menu(status: int, said: str) -> None:
    stage = Stage()
    owner = stage.owner().until("vm-to-advanced").presses("3").until("vm-to-dial-out").presses("4")
    owner.hears("vm-enter-number").presses("420273333444#").fails_dial("420273333444", status).until(said)
    owner.until("vm-to-listen").run(stage.access)


def test_the_owner_ends_an_outgoing_call_by_two_stars_and_is_in_the_menu_again() -> None:
    """Seed 004: the called party sees the number of the mailbox, whatever phone the owner calls from."""
    stage = Stage()
    stage.mailboxes.add("42027777100", display="John")
    owner = stage.owner(caller="42073723123", account="42027777100", target="42027777100")
    owner.until("vm-to-advanced").presses("3").until("vm-to-dial-out").presses("4").until("vm-enter-number")
    owner.presses("420273333444#").answers_dial("420273333444").talks_to("420273333444").presses("**")
    (request,) = owner.until("vm-to-listen").run(stage.access).dialled
    assert (request.destination, request.account, request.caller) == ("420273333444", "42027777100", "42027777100")
    assert not request.diverted


def test_an_owner_without_operator_is_told_that_there_is_none() -> None:
    stage = Stage("freeswitch")
    stage.mailboxes.add("101")
    stage.give()
    owner = stage.owner().until("vm-to-listen-new").presses("1").until(RECORDING).presses("9").until("vm-call-failed")
    assert owner.run(stage.access).dialled == []


def test_a_message_of_a_mailbox_without_an_address_is_not_e_mailed() -> None:
    stage = Stage("freeswitch")
    stage.mailboxes.add("101")
    stage.give()
    owner = stage.owner().until("vm-to-listen-new").presses("1").until(RECORDING).until("vm-to-email").presses("4")
    owner.until("vm-no-email").run(stage.access)
