# SPDX-License-Identifier: Apache-2.0
"""Calling cards and call-back, told as the stories of calls."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import pytest

from billing_client.selfcare import Quote
from ivr.apps.selfcare.callback import callback
from ivr.say import grammar
from ivr.scripted.scripted import ScriptedCaller
from ivr.verbs import DialRequest
from tests.ivr.card_stage import (
    ANI,
    CODE,
    FRIEND,
    MENU,
    NUMBER,
    OFFER,
    PIN,
    TONGUE,
    cards,
    known,
    tongue,
    unknown,
)
from tests.ivr.selfcare_memory import debit

__all__ = ["tongue"]


def test_a_known_phone_hears_its_balance_and_the_longest_time_and_is_connected() -> None:
    script = known().is_answered().hears("card-welcome", "balance-is", TONGUE.ten, "card-enter-destination")
    script.answers_dial(FRIEND, talks=30).presses(FRIEND + "#").hears(*TONGUE.five_minutes).talks_to(FRIEND)
    story = script.until(*MENU).hangs_up().run(cards().app)
    assert story.dialled == [DialRequest(destination=FRIEND, account="101", caller=ANI)]


def test_two_stars_end_a_call_and_another_one_follows_in_the_same_session() -> None:
    script = known().answers_dial(FRIEND).hears(..., "card-enter-destination").presses(FRIEND + "#")
    script.talks_to(FRIEND).waits(5).presses("**").until(*MENU).presses("1").hears("card-enter-destination")
    script.presses(FRIEND + "#").talks_to(FRIEND).presses("**").until(*MENU).presses("2").hears(
        "balance-is", TONGUE.ten
    )
    assert len(script.run(cards().app).dialled) == 2


def test_an_unknown_phone_gives_a_pin() -> None:
    script = unknown().hears("card-welcome", "card-enter-pin").presses(PIN + "#").hears("balance-is", ...)
    script.run(cards().app)


@pytest.mark.parametrize("attempts", [1, 3])
def test_wrong_pins_and_locked_ones_sound_the_same_and_end_after_the_configured_attempts(attempts: int) -> None:
    desk = cards(max_login_attempts=attempts)
    desk.selfcare.lock_after = 1
    script = unknown().hears("card-welcome")
    for attempt in range(attempts):
        script.hears("card-enter-pin").presses((PIN if attempt else "0000") + "#").hears("card-wrong-login")
    script.hears("too-many-attempts", "goodbye").is_hung_up_on().run(desk.app)


def test_the_calling_number_can_be_disregarded_and_pins_can_be_refused() -> None:
    known().hears("card-welcome", "card-enter-pin").run(cards(ani=False).app)
    unknown().hears("card-welcome", "not-allowed", "goodbye").is_hung_up_on().run(cards(pin=False).app)


def test_languages_are_chosen_by_key() -> None:
    desk = cards(languages=("en", "cs"))
    desk.set(debit(balance="3"))
    english, czech = (grammar(language).money(Decimal(3), "USD") for language in ("en", "cs"))
    assert english != czech
    first = ("card-welcome", "for-this-language", "press-1")
    second = ("for-this-language", "press-2")
    known().hears(*first, *second).presses("2").hears("balance-is", czech, ...).run(desk.app)
    known().hears(*first).presses("1").hears("balance-is", english, ...).run(desk.app)
    known().hears(*first, *second).hears("balance-is", english, ...).run(desk.app)


def test_a_language_may_be_chosen_before_it_is_offered() -> None:
    desk = cards(languages=("en", "cs"))
    desk.set(debit(balance="3"))
    czech = grammar("cs").money(Decimal(3), "USD")
    known().hears("card-welcome").presses("2").hears(..., "balance-is", czech, ...).run(desk.app)


def test_an_empty_card_is_recharged_or_the_call_ends() -> None:
    desk = cards()
    desk.set(debit(balance="0"))
    offered = ("card-welcome", "card-no-funds", *OFFER)
    known().hears(*offered).presses("2").hears("goodbye").is_hung_up_on().run(desk.app)
    script = known().hears(*offered).presses("1").hears("recharge-enter-code").presses(CODE + "#")
    script.hears("recharge-done", ..., "card-enter-destination").run(desk.app)
    assert desk.selfcare.accounts["101"].available == 5


def test_a_low_card_is_told_so_and_goes_on() -> None:
    desk = cards(low_balance=Decimal(10))
    script = known().hears("card-welcome", "card-low-balance", *OFFER).presses("2").hears("balance-is", TONGUE.ten)
    script.hears("card-enter-destination").answers_dial(FRIEND).presses(FRIEND + "#").talks_to(FRIEND).run(desk.app)


def test_a_policy_ends_the_call_of_a_low_card_or_lets_it_call_nobody() -> None:
    low = ("card-welcome", "card-low-balance", *OFFER)
    desk = cards(low_balance=Decimal(10), low_balance_policy="disconnect")
    known().hears(*low).presses("2").hears("goodbye").is_hung_up_on().run(desk.app)
    desk = cards(low_balance=Decimal(10), low_balance_policy="no_outgoing")
    script = known().hears(*low).presses("2").hears(..., "card-enter-destination").presses(FRIEND + "#")
    assert not script.hears("card-wrong-destination").run(desk.app).dialled


def test_a_subordinate_account_is_not_offered_what_it_cannot_do() -> None:
    desk = cards()
    desk.set(debit(kind="subordinate", balance="20", available=Decimal(0), credit_limit=Decimal(20)))
    known().hears("card-welcome", "card-no-funds", "goodbye").is_hung_up_on().run(desk.app)


@pytest.mark.parametrize(
    ("refusal", "prompt"),
    [("account expired on 2026-01-01: its expiry date", "card-expired"), ("account blocked", "card-blocked")],
)
def test_a_card_that_may_not_be_used_says_why(refusal: str, prompt: str) -> None:
    desk = cards()
    desk.set(debit(refusal=refusal))
    unknown().hears(..., "card-enter-pin").presses(PIN + "#").hears(prompt, "goodbye").is_hung_up_on().run(desk.app)


def test_wrong_destinations_are_told_of_and_end_after_three() -> None:
    desk = cards()
    desk.selfcare.quotes["900123"] = Quote("blocked")
    script = known().fails_dial("404404", 404).hears(..., "card-enter-destination")
    for destination in ("1", "900123", "404404"):
        script.presses(destination + "#").hears(..., "card-wrong-destination")
    story = script.hears("too-many-attempts", "goodbye").is_hung_up_on().run(desk.app)
    assert [request.destination for request in story.dialled] == ["404404"]


@pytest.mark.parametrize(
    ("status", "prompt"), [(486, "vm-call-busy"), (480, "vm-call-no-answer"), (503, "vm-call-failed")]
)
def test_a_call_that_fails_says_why_and_returns_to_the_menu(status: int, prompt: str) -> None:
    script = known().fails_dial(FRIEND, status).hears(..., "card-enter-destination").presses(FRIEND + "#")
    script.hears(..., prompt, *MENU).run(cards().app)


def test_a_destination_that_funds_do_not_pay_for_offers_to_recharge() -> None:
    desk = cards()
    desk.selfcare.quotes[FRIEND] = Quote("ok", 6, Decimal(60), "USD")
    script = known().hears(..., "card-enter-destination").presses(FRIEND + "#").hears("card-no-funds", *OFFER)
    assert not script.presses("2").hears(*MENU).run(desk.app).dialled


def test_the_price_of_a_minute_is_told_where_wanted_and_time_where_not_unlimited() -> None:
    desk = cards(announce_price=True, max_call_seconds=0)
    desk.selfcare.quotes[FRIEND] = Quote("ok", None, Decimal(0), "USD")
    script = known().hears(..., "card-enter-destination").answers_dial(FRIEND).presses(FRIEND + "#")
    script.hears("card-calling-rate", TONGUE.money(0), "card-unlimited").run(desk.app)


def test_the_destination_may_be_dialled_after_the_access_number() -> None:
    desk = cards(one_stage=True, announce_balance=False)
    script = ScriptedCaller(ANI, account="101", target="101", parameters={"access": NUMBER, "argument": FRIEND})
    script.dials(NUMBER + FRIEND).answers_dial(FRIEND).hears("card-welcome", *TONGUE.five_minutes).talks_to(FRIEND)
    script.run(desk.app)


def logged_in(caller: str) -> ScriptedCaller:
    script = unknown(caller).hears(..., "card-enter-pin").presses(PIN + "#")
    return script.hears("balance-is", TONGUE.ten)


def test_this_phone_is_recognised_in_future_if_its_owner_wants() -> None:
    ask = ("card-to-register-phone", "press-1", "vm-to-continue", "press-2")
    desk = cards(ask_register=True)
    known().hears("card-welcome", "balance-is", TONGUE.ten, "card-enter-destination").run(desk.app)
    logged_in(ANI).hears(*ask).presses("2").hears("card-enter-destination").run(desk.app)
    assert not desk.selfcare.phones
    logged_in(ANI).hears(*ask).presses("1").hears("card-phone-registered").run(desk.app)
    assert desk.selfcare.phones == {ANI: "101"}
    assert desk.selfcare.claimed == {ANI}  # it dials; a call to it has to prove that it is his
    desk.selfcare.phones["42075553333"] = "102"
    logged_in("42075553333").hears(*ask).presses("1").hears("card-phone-taken").run(desk.app)
    logged_in("anonymous").hears("card-enter-destination").run(desk.app)


def test_a_caller_whose_number_is_withheld_shows_the_number_of_the_account() -> None:
    script = unknown("anonymous").hears(..., "card-enter-pin").presses(PIN + "#").hears(..., "card-enter-destination")
    [request] = script.answers_dial(FRIEND).presses(FRIEND + "#").talks_to(FRIEND).run(cards().app).dialled
    assert request.caller == "101"


def test_silence_ends_the_call() -> None:
    ask = "card-enter-destination"
    known().hears(..., ask, ask, ask, "no-entry", "goodbye").is_hung_up_on().run(cards().app)


def test_a_store_that_is_away_is_told_of() -> None:
    desk = cards()
    desk.selfcare.is_away = True
    known().hears("card-welcome", "service-unavailable", "goodbye").is_hung_up_on().run(desk.app)


def test_a_recharge_from_the_menu_counts_its_attempts_on() -> None:
    desk = cards()
    script = (
        known().answers_dial(FRIEND, talks=3).hears(..., "card-enter-destination").presses(FRIEND + "#").until(*MENU)
    )
    script.presses("3").hears("recharge-enter-code").presses("1#").hears("recharge-invalid").presses("*").hears(
        ..., "recharge-enter-code"
    )
    script.presses(CODE + "#").until("recharge-done").run(desk.app)
    keys = [key for *_, key, _ in desk.vouchers.asked]
    assert keys == ["scripted-call 1", "scripted-call 2"]


# call-back ----------------------------------------------------------------------------------------------------------
def test_a_missed_call_is_refused_unanswered_and_rung_back_on_the_callers_account() -> None:
    desk = cards(callback_seconds=5.0)
    app = partial(callback, desk=desk.desk)
    rung = desk.rung
    assert not known().is_hung_up_on(486).run(app).answered
    [(request, details, after)] = rung.asked
    assert request == DialRequest(
        destination=ANI, account="101", caller=NUMBER, is_number_only=True, is_charged_on_acceptance=True
    )
    assert (details.application, details.target, details.parameters, after) == (
        "calling_card",
        "101",
        {"access": NUMBER, "ring_back": "1"},
        5.0,
    )


def test_who_is_rung_back_is_spoken_to_in_the_language_of_his_account() -> None:
    desk = cards()
    desk.selfcare.add(debit(language="cs"), pin=PIN)
    known().is_hung_up_on(486).run(partial(callback, desk=desk.desk))
    [(_, details, _)] = desk.rung.asked
    assert details.language == "cs"


def test_nobody_of_ours_is_refused_and_not_rung_back() -> None:
    desk = cards()
    rung = desk.rung
    app = partial(callback, desk=desk.desk)
    unknown().is_hung_up_on(486).run(app)
    ScriptedCaller("anonymous", account="101", target="101").dials(NUMBER).is_hung_up_on(486).run(app)
    ScriptedCaller(ANI, account="101").dials(NUMBER).is_hung_up_on(486).run(app)  # 101 forwarded it
    assert not rung.asked
