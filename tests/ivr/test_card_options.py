# SPDX-License-Identifier: Apache-2.0
"""Who is admitted, how he says who he is, and how long he may talk: the options of an access number, told as calls."""

from __future__ import annotations

import re
from functools import partial

import pytest

from billing_client.selfcare import Quote
from ivr.apps.selfcare.balance import balance
from ivr.apps.selfcare.callback import callback
from ivr.apps.selfcare.recharge import recharge
from ivr.apps.selfcare.settings import Translation
from ivr.scripted.scripted import ScriptedCaller
from tests.ivr.card_stage import ANI, FRIEND, MENU, NUMBER, PIN, Cards, cards, known, tongue, unknown
from tests.ivr.selfcare_memory import debit

__all__ = ["tongue"]

UNITED_KINGDOM = (Translation(re.compile("^0"), "44"),)
CODE_ASKED = ("card-welcome", "card-enter-auth-code")
BOSS = "555000"


def company(**settings: int) -> Cards:
    """Company 700 calls from one number; two of its people have codes and accounts of their own."""
    desk = cards(auth_code=True, **settings)
    desk.set(debit("700", customer="Acme"))
    for account, code in (("701", "5550"), ("702", "77712")):
        desk.selfcare.add(debit(account), pin=f"700#{code}")
    return desk


def carried(number: str) -> ScriptedCaller:
    """Whom a carrier brings that vouches for its numbers."""
    return unknown(number, parameters={"gateway": "carrier", "identified": "yes"})


# translate_ani ------------------------------------------------------------------------------------------------------
def test_a_calling_number_in_the_local_form_is_translated_and_then_known() -> None:
    desk = cards(translate_ani=UNITED_KINGDOM)
    desk.selfcare.phones["442071234567"] = "101"
    story = (
        carried("02071234567").hears("card-welcome", "balance-is", ...).answers_dial(FRIEND)
        .until("card-enter-destination").presses(FRIEND + "#").talks_to(FRIEND).run(desk.app)
    )  # fmt: skip
    assert [(call.account, call.caller) for call in story.dialled] == [("101", "442071234567")]
    carried("002071234567").hears("card-welcome", "card-enter-pin").run(desk.app)
    nobody_vouches = unknown("02071234567", parameters={"gateway": "another"})
    nobody_vouches.hears("card-welcome", "card-enter-pin").run(desk.app)
    disregarding = cards(ani=False, translate_ani=UNITED_KINGDOM)
    carried("02071234567").hears("card-welcome", "card-enter-pin").run(disregarding.app)


def test_rules_of_a_number_act_one_after_the_other() -> None:
    desk = cards(translate_ani=(Translation(re.compile("[^0-9]"), "", True), *UNITED_KINGDOM))
    desk.selfcare.phones["442071234567"] = "101"
    carried("(0)20-712-345-67").hears("card-welcome", "balance-is", ...).run(desk.app)


def test_balance_recharge_and_call_back_know_a_translated_number_too() -> None:
    desk = cards(translate_ani=UNITED_KINGDOM)
    desk.selfcare.phones["442071234567"] = "101"
    carried("02071234567").hears("balance-is", ...).run(partial(balance, desk=desk.desk))
    carried("02071234567").hears("recharge-enter-code").run(partial(recharge, desk=desk.desk))
    carried("02071234567").is_hung_up_on(486).run(partial(callback, desk=desk.desk))
    [(request, details, _)] = desk.rung.asked
    assert (request.destination, details.account, details.target) == ("442071234567", "101", "101")


# auth_code ----------------------------------------------------------------------------------------------------------
def test_each_of_several_people_behind_one_number_says_his_code_and_pays_himself() -> None:
    desk = company(max_auth_code_length=5)
    for code, account in (("5550#", "701"), ("77712", "702")):
        script = ScriptedCaller(ANI, account="700", target="700").dials(NUMBER, app="calling_card")
        script.answers_dial(FRIEND).hears(*CODE_ASKED).presses(code).until("card-enter-destination")
        story = script.presses(FRIEND + "#").talks_to(FRIEND).run(desk.app)
        assert [call.account for call in story.dialled] == [account]


def test_wrong_codes_too_short_ones_and_those_of_another_company_end_after_three() -> None:
    desk = company()
    desk.selfcare.add(debit("801"), pin="800#9999")
    script = ScriptedCaller(ANI, account="700", target="700").dials(NUMBER, app="calling_card").hears("card-welcome")
    for code in ("9999", "55#", "5551"):
        script.hears("card-enter-auth-code").presses(code).hears("card-wrong-code")
    script.hears("too-many-attempts", "goodbye").is_hung_up_on().run(desk.app)
    assert desk.selfcare.wrong[ANI] == 2


def test_a_stranger_at_a_number_with_codes_gives_a_pin() -> None:
    unknown().hears("card-welcome", "card-enter-pin").presses(PIN + "#").hears("balance-is", ...).run(company().app)


# service_password ---------------------------------------------------------------------------------------------------
def test_after_the_pin_the_password_is_asked_and_a_wrong_one_sounds_like_a_wrong_pin() -> None:
    desk = cards(service_password=True)
    desk.selfcare.passwords["101"] = BOSS
    asked = ("card-enter-pin", "card-enter-password")
    script = unknown().hears("card-welcome")
    for pin, password in ((PIN, "555001"), ("11111111", BOSS), (PIN, "")):
        script.hears(asked[0]).presses(pin + "#").hears(asked[1]).presses(password + "#").hears("card-wrong-login")
    script.hears("too-many-attempts", "goodbye").is_hung_up_on().run(desk.app)
    desk.selfcare.wrong.clear()
    script = unknown().hears(..., asked[0]).presses(PIN + "#").hears(asked[1]).presses(BOSS + "#")
    script.hears("balance-is", ...).run(desk.app)
    known().hears("card-welcome", "balance-is", ...).run(desk.app)


# customers, products ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "admitted"),
    [
        ({"customers": ("Acme",)}, True),
        ({"customers": ("Globex", "Acme"), "products": ("Gold",)}, True),
        ({"customers": ("Globex",)}, False),
        ({"customers": ("Acme",), "products": ("Silver",)}, False),
    ],
)
def test_a_number_is_for_the_accounts_of_some_customers_and_products(
    settings: dict[str, tuple[str, ...]], admitted: bool
) -> None:
    desk = cards(**settings)
    desk.selfcare.add(debit(customer="Acme", product="Gold"), pin=PIN)
    refused = ("not-allowed", "goodbye")
    card = known().hears("card-welcome", *(("balance-is", ...) if admitted else refused))
    card.run(desk.app)
    by_pin = unknown().hears("card-welcome", "card-enter-pin").presses(PIN + "#")
    by_pin.hears(*(("balance-is", ...) if admitted else refused)).run(desk.app)
    known().hears(*(("balance-is", ...) if admitted else refused)).run(partial(balance, desk=desk.desk))
    recharged = known().hears(*(("recharge-enter-code",) if admitted else refused))
    recharged.run(partial(recharge, desk=desk.desk))
    known().is_hung_up_on(486).run(partial(callback, desk=desk.desk))
    assert len(desk.rung.asked) == admitted


# ask_register -------------------------------------------------------------------------------------------------------
def test_a_phone_may_be_registered_without_a_question_in_the_form_of_the_rules() -> None:
    desk = cards(ask_register="always", translate_ani=UNITED_KINGDOM)
    script = carried("02071234567").hears(..., "card-enter-pin").presses(PIN + "#")
    script.until("card-phone-registered", "card-phone-code").hears(..., "card-enter-destination").run(desk.app)
    assert desk.rung.asked[0][0].destination == "442071234567"
    assert desk.selfcare.phones == {"442071234567": "101"}
    carried("02071234567").hears("card-welcome", "card-enter-destination").run(desk.app)  # claimed: it dials


# max_call_seconds, max_timeouts -------------------------------------------------------------------------------------
def test_no_call_is_longer_than_the_longest_and_the_caller_is_told_so_before() -> None:
    desk = cards(max_call_seconds=120)
    script = known().answers_dial(FRIEND).hears(..., "card-enter-destination").presses(FRIEND + "#")
    script.hears("card-you-have", ..., "card-for-this-call").talks_to(FRIEND).until(*MENU)
    story = script.run(desk.app)
    assert 120 <= story.seconds < 160
    desk.selfcare.quotes[FRIEND] = Quote("ok", 60)
    script = known().answers_dial(FRIEND, talks=5).hears(..., "card-enter-destination").presses(FRIEND + "#")
    assert script.talks_to(FRIEND).until(*MENU).run(desk.app).seconds < 60


@pytest.mark.parametrize("most", [1, 2])
def test_a_question_may_be_left_unanswered_as_often_as_the_settings_say(most: int) -> None:
    desk = cards(max_timeouts=most)
    script = known().hears(..., *["card-enter-destination"] * most, "no-entry", "goodbye").is_hung_up_on()
    script.run(desk.app)
    script = known().answers_dial(FRIEND, talks=3).hears(..., "card-enter-destination").presses(FRIEND + "#")
    script.until(*MENU * most, "no-entry", "goodbye").is_hung_up_on().run(desk.app)


# late answers -------------------------------------------------------------------------------------------------------
def test_after_wrong_pins_answers_come_later_and_later_to_a_right_one_too() -> None:
    desk = cards()
    desk.selfcare.is_late = True
    late = []
    for wrong in (0, 1, 2):
        desk.selfcare.wrong[ANI] = 10 * wrong
        desk.selfcare.lock_after = 99
        script = unknown().hears(..., "card-enter-pin").presses(PIN + "#")
        script.hears(*["one-moment"] * wrong, "balance-is", ...)
        late.append(script.run(desk.app).seconds)
    assert late[0] + 10 <= late[1] <= late[2] - 10
