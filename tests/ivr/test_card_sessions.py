# SPDX-License-Identifier: Apache-2.0
"""What would annoy the owner of a calling card: slow fingers, stray keys, funds that come to their end."""

from __future__ import annotations

from decimal import Decimal

from billing_client.selfcare import Quote
from tests.ivr.card_stage import CODE, FRIEND, MENU, OFFER, PIN, TONGUE, cards, known, tongue, unknown
from tests.ivr.selfcare_memory import debit

__all__ = ["tongue"]

DEAR = "900123"


def test_funds_that_a_call_used_up_are_told_of_at_once_and_a_recharge_lets_the_next_call_be_made() -> None:
    desk = cards()
    script = known().answers_dial(FRIEND, talks=30).hears(..., "card-enter-destination").presses(FRIEND + "#")
    script.talks_to(FRIEND).does(lambda: desk.set(debit(balance="0"))).until("card-no-funds", *OFFER)
    script.presses("1").hears("recharge-enter-code").presses(CODE + "#").hears("recharge-done", ...)
    script.answers_dial(FRIEND).until(*MENU).presses("1").hears("card-enter-destination").presses(FRIEND + "#")
    assert len(script.talks_to(FRIEND).run(desk.app).dialled) == 2


def test_who_does_not_recharge_a_card_that_a_call_used_up_is_said_goodbye_to() -> None:
    desk = cards()
    script = known().answers_dial(FRIEND, talks=30).hears(..., "card-enter-destination").presses(FRIEND + "#")
    script.talks_to(FRIEND).does(lambda: desk.set(debit(balance="0"))).until("card-no-funds", *OFFER)
    script.presses("2").hears("goodbye").is_hung_up_on().run(desk.app)


def test_funds_that_a_call_still_holds_when_it_ends_are_not_missing() -> None:
    desk = cards()
    script = known().answers_dial(FRIEND).hears(..., "card-enter-destination").presses(FRIEND + "#")
    script.hears(*TONGUE.five_minutes).talks_to(FRIEND)
    script.does(lambda: desk.set(debit(available=Decimal(0)))).presses("**").waits(0.5)
    script.does(lambda: desk.set(debit(balance="8"))).hears(*MENU).run(desk.app)


def test_the_balance_told_after_a_call_is_the_one_after_its_charge() -> None:
    desk = cards()
    script = known().answers_dial(FRIEND).hears(..., "card-enter-destination").presses(FRIEND + "#").talks_to(FRIEND)
    script.presses("**").until(*MENU).does(lambda: desk.set(debit(balance="8")))
    script.presses("2").hears("balance-is", TONGUE.money(8)).run(desk.app)


def test_a_recharge_made_elsewhere_meanwhile_counts_for_the_next_destination() -> None:
    desk = cards(low_balance=Decimal(0))
    script = known().answers_dial(FRIEND).hears(..., "card-enter-destination")
    script.does(lambda: desk.set(debit(balance="0"))).presses(FRIEND + "#").hears("card-no-funds", *OFFER)
    script.does(lambda: desk.set(debit(balance="7"))).presses("2").until(*MENU)
    script.presses("1").hears("card-enter-destination").presses(FRIEND + "#").talks_to(FRIEND).run(desk.app)


def test_a_destination_that_is_too_dear_leaves_the_caller_in_the_session() -> None:
    desk = cards()
    desk.selfcare.quotes[DEAR] = Quote("ok", 6, Decimal(60), "USD")
    script = known().answers_dial(FRIEND).hears(..., "card-enter-destination").presses(DEAR + "#")
    script.hears("card-no-funds", *OFFER).presses("2").hears(*MENU).presses("1").hears("card-enter-destination")
    [request] = script.presses(FRIEND + "#").talks_to(FRIEND).run(desk.app).dialled
    assert request.destination == FRIEND


def test_a_pin_and_a_number_may_be_read_slowly_from_a_card() -> None:
    script = unknown().answers_dial(FRIEND).hears(..., "card-enter-pin").waits(8).presses(PIN[:4]).waits(5)
    script.presses(PIN[4:] + "#").hears("balance-is", TONGUE.ten, "card-enter-destination").waits(8)
    script.presses(FRIEND[:6]).waits(5).presses(FRIEND[6:] + "#").talks_to(FRIEND).run(cards().app)


def test_who_skips_the_welcome_is_asked_for_the_pin_and_not_told_that_it_is_wrong() -> None:
    script = unknown().hears("card-welcome").presses("#").hears("card-enter-pin").listens()
    script.presses(PIN + "#").hears("balance-is", ...).run(cards().app)


def test_a_key_that_cuts_the_welcome_short_does_not_become_part_of_the_pin() -> None:
    desk = cards(languages=("en", "cs"))
    script = unknown().hears("card-welcome").presses("#").until("for-this-language", "press-1")
    script.hears("for-this-language", "press-2").presses("2").hears("card-enter-pin").presses(PIN + "#").hears(
        "balance-is", ...
    ).run(desk.app)
