# SPDX-License-Identifier: Apache-2.0
"""Who gets into a mailbox, and what those hear who do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from billing_client.rules.pins import weak_pin
from ivr.say import grammar
from tests.ivr.voicemail_stage import PIN, STRANGER, Stage

if TYPE_CHECKING:
    from ivr.scripted.scripted import ScriptedCaller

EN = grammar("en")


def from_any_phone(stage: Stage) -> ScriptedCaller:
    return stage.owner(caller=STRANGER, account=None)


def test_an_owner_on_its_own_phone_is_in_at_once() -> None:
    stage = Stage()
    stage.owner().hears("vm-you-have", EN.messages(2, "new"), "and", EN.messages(0, "old")).is_answered().run(
        stage.access
    )
    assert "check_pin" not in stage.mailboxes.asked


def test_an_owner_whose_mailbox_wants_it_gives_its_pin_on_its_own_phone_too() -> None:
    stage = Stage()
    stage.mailboxes.add("101", pin=PIN, ask_pin=True)
    stage.owner().hears("vm-password").presses(f"{PIN}#").hears("vm-you-have").run(stage.access)


def test_an_owner_is_known_by_the_number_it_calls_from() -> None:
    """The caller's number is an alias of the account, and the switch says whose mailbox it is (seed 004)."""
    stage = Stage()
    owner = stage.owner(caller="42073723123", account="101", target="42027777100")
    owner.dials("42027777100").hears("vm-you-have").run(stage.access)


def test_from_any_phone_mailbox_and_pin_are_asked() -> None:
    stage = Stage()
    caller = from_any_phone(stage).hears("vm-login").presses("101#").hears("vm-password").presses(f"{PIN}#")
    caller.hears("vm-you-have").run(stage.access)


def test_an_alias_is_a_mailbox_number_too() -> None:
    stage = Stage()
    caller = from_any_phone(stage).hears("vm-login").presses("42027777100#").hears("vm-password").presses(f"{PIN}#")
    caller.hears("vm-you-have").run(stage.access)


@pytest.mark.parametrize(
    ("mailbox", "pin"),
    [("101", "1111"), ("999", PIN), ("102", PIN), ("102", ""), ("", PIN), ("101", "")],
    ids=["wrong PIN", "no such mailbox", "mailbox without a PIN", "no PIN", "no mailbox", "nothing typed"],
)
def test_all_refusals_sound_the_same_and_three_are_the_last(mailbox: str, pin: str) -> None:
    stage = Stage()
    caller = from_any_phone(stage)
    for _ in range(3):
        caller.until("vm-login").presses(f"{mailbox}#").hears("vm-password").presses(f"{pin}#").hears("vm-incorrect")
    story = caller.hears("vm-goodbye").is_hung_up_on().run(stage.access)
    assert story.heard == [*["vm-login", "vm-password", "vm-incorrect"] * 3, "vm-goodbye"]


def test_a_locked_mailbox_refuses_the_right_pin_as_if_it_were_wrong() -> None:
    stage = Stage()
    for _ in range(3):
        caller = from_any_phone(stage)
        for _ in range(3):
            caller.until("vm-login").presses("101#").hears("vm-password").presses("1111#").hears("vm-incorrect")
        caller.hears("vm-goodbye").run(stage.access)
    caller = from_any_phone(stage).until("vm-login").presses("101#").hears("vm-password").presses(f"{PIN}#")
    caller.hears("vm-incorrect").run(stage.access)


def test_a_caller_who_leaves_a_message_gets_in_with_the_pin_only() -> None:
    stage = Stage()
    caller = stage.stranger().until("vm-theperson").presses("*")
    for _ in range(3):
        caller.hears("vm-password").presses("1111#").hears("vm-incorrect")
    caller.hears("vm-goodbye").is_hung_up_on().run(stage.deposit)


def test_an_account_without_a_mailbox_is_told_so_in_early_media() -> None:
    stage = Stage()
    story = stage.owner(account="999").hears("vm-no-such-mailbox").is_hung_up_on(404).run(stage.access)
    assert not story.answered


def test_a_blocked_account_is_told_so_in_early_media() -> None:
    stage = Stage()
    stage.mailboxes.add("101", usable="account blocked")
    story = stage.owner().hears("not-allowed").is_hung_up_on(403).run(stage.access)
    assert not story.answered


def test_a_blocked_account_does_not_get_in_from_elsewhere_either() -> None:
    stage = Stage()
    stage.mailboxes.add("101", pin=PIN, usable="account blocked")
    caller = from_any_phone(stage).until("vm-login").presses("101#").hears("vm-password").presses(f"{PIN}#")
    caller.hears("not-allowed", "vm-goodbye").is_hung_up_on().run(stage.access)


@pytest.mark.parametrize(("account", "operation"), [("101", "mailbox"), (None, "check_pin"), (None, "mailbox")])
def test_while_the_store_is_away_nobody_gets_in_and_is_told_to_try_later(account: str | None, operation: str) -> None:
    stage = Stage()
    stage.mailboxes.away = {operation}
    caller = stage.owner(account=account)
    if account is None:
        caller.hears("vm-login").presses("101#").hears("vm-password").presses(f"{PIN}#")
    story = caller.hears("service-unavailable").is_hung_up_on().run(stage.access)
    assert story.answered == (account is None)


def test_a_new_owner_is_asked_for_pin_and_name_where_the_configuration_says_so() -> None:
    stage = Stage(force_pin=True, force_name=True)
    (
        stage.owner(caller="102", account="102").hears("vm-newpassword").presses("60713#").hears("vm-reenterpassword")
        .presses("60713#").hears("vm-passchanged", "vm-record-name", "beep").says(2).presses("#").until("vm-to-accept")
        .presses("1").hears("vm-name-saved", "vm-you-have").run(stage.access)
    )  # fmt: skip
    assert stage.mailboxes.pin("102") == "60713"
    assert stage.mailboxes.greetings("102") == {"name"}
    stage.owner(caller="102", account="102").hears("vm-you-have").run(stage.access)


# the PIN --------------------------------------------------------------------------------------------------------------
def in_options(stage: Stage) -> ScriptedCaller:
    return stage.owner().until("vm-to-mailbox-options").presses("0").until("vm-to-record-name").presses("5")


@pytest.mark.parametrize("pin", ["1234", "0000", "101101", "123", "12ab", "9876"])
def test_pins_that_are_easy_to_guess_are_refused(pin: str) -> None:
    digits = "".join(key for key in pin if key.isdigit())
    assert weak_pin(digits, "101")
    stage = Stage()
    caller = in_options(stage).hears("vm-newpassword").presses(f"{digits}#").hears("vm-weak", "vm-newpassword")
    caller.presses("60713#").hears("vm-reenterpassword").presses("60713#").hears("vm-passchanged").run(stage.access)
    assert stage.mailboxes.pin("101") == "60713"


def test_a_pin_that_is_repeated_otherwise_is_not_taken() -> None:
    stage = Stage()
    caller = in_options(stage).hears("vm-newpassword").presses("60713#").hears("vm-reenterpassword").presses("60714#")
    caller.hears("vm-mismatch", "vm-newpassword").presses("#").hears("vm-cancelled").run(stage.access)
    assert stage.mailboxes.pin("101") == PIN


def test_no_digit_of_a_pin_is_written_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    caplog.set_level("DEBUG")
    caller = from_any_phone(stage).hears("vm-login").presses("101#").hears("vm-password").presses(f"{PIN}#")
    caller.hears("vm-you-have").run(stage.access)
    assert PIN not in caplog.text
