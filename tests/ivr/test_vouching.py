# SPDX-License-Identifier: Apache-2.0
"""What a calling number opens at the applications, and how one that was claimed is proven."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from ivr.apps.selfcare.callback import callback
from ivr.apps.selfcare.phones import prove_phone
from ivr.apps.selfcare.recharge import recharge
from ivr.say import grammar
from ivr.scripted.scripted import ScriptedCaller
from tests.ivr.card_stage import ANI, CODE, FRIEND, MENU, NUMBER, PIN, cards, unknown
from tests.ivr.voicemail_stage import PIN as MAILBOX_PIN
from tests.ivr.voicemail_stage import Stage

IDENTIFIED = {"gateway": "carrier", "identified": "yes"}
DEAR = "1900555000"


def by_number(vouched: str = "number", **details: Any) -> ScriptedCaller:
    """Whom a carrier brings whose numbers identify, and whose number is the card's."""
    parameters = {**IDENTIFIED, "vouched": vouched}
    return unknown(account="101", target="101", parameters=parameters, **details)


def test_a_dear_destination_asks_the_pin_of_who_is_known_by_his_number_and_is_dialled_then() -> None:
    """Case L3: the switch says 428 as long as the number is all that is known."""
    desk = cards()
    script = by_number().fails_dial(DEAR, 428).answers_dial(DEAR).hears(..., "card-enter-destination")
    script.presses(DEAR + "#").until("card-enter-pin").presses(PIN + "#").talks_to(DEAR)
    first, second = script.run(desk.app).dialled
    assert (first.is_number_only, second.is_number_only) == (True, False)


def test_without_the_pin_a_dear_destination_is_not_dialled() -> None:
    """Case L3."""
    script = by_number().fails_dial(DEAR, 428).hears(..., "card-enter-destination").presses(DEAR + "#")
    for _ in range(3):
        script.until("card-enter-pin").presses("1111#").hears("card-wrong-login")
    story = script.hears("card-wrong-destination").run(cards().app)
    assert [call.is_number_only for call in story.dialled] == [True]


def test_who_gave_a_pin_is_known_by_more_than_a_number() -> None:
    script = unknown(parameters=IDENTIFIED).answers_dial(FRIEND).until("card-enter-pin").presses(PIN + "#")
    script.until("card-enter-destination").presses(FRIEND + "#").talks_to(FRIEND)
    assert [call.is_number_only for call in script.run(cards().app).dialled] == [False]


def test_an_own_phone_is_known_by_more_than_a_number() -> None:
    script = unknown(account="101", target="101").answers_dial(FRIEND).until("card-enter-destination")
    assert not script.presses(FRIEND + "#").talks_to(FRIEND).run(cards().app).dialled[0].is_number_only


def test_a_claimed_number_dials_and_is_asked_the_pin_before_it_does_anything_else() -> None:
    """Case L4: whoever really has the number must not pay into the account of who claimed it."""
    desk = cards()
    script = by_number("claimed").answers_dial(FRIEND, talks=1).hears("card-welcome", "card-enter-destination")
    script.presses(FRIEND + "#").talks_to(FRIEND).until(*MENU).presses("3").until("card-enter-pin").presses("1111#")
    script.hears("card-wrong-login").run(desk.app)
    assert desk.vouchers.asked == []


def test_a_claimed_number_recharges_no_account() -> None:
    """Case L4: at `recharge` it is nobody's (the switch names no account either)."""
    desk = cards()
    by_number("claimed").hears("card-enter-account").run(partial(recharge, desk=desk.desk))


def test_who_is_known_by_his_number_hears_whose_account_he_recharges() -> None:
    """Case L4."""
    desk = cards()
    told = ("recharge-account", grammar("en").digits("101"), "recharge-enter-code")
    story = by_number().hears(*told).presses(CODE + "#").until("recharge-done").run(partial(recharge, desk=desk.desk))
    assert story.answered


def test_registering_a_phone_claims_it_and_a_call_to_it_asks_for_the_code_that_was_told() -> None:
    """Case L4."""
    desk = cards(ask_register="always")
    heard = unknown(parameters=IDENTIFIED).until("card-enter-pin").presses(PIN + "#").until("card-phone-registered")
    told = heard.until("card-phone-code").hears(..., "card-enter-destination").run(desk.app)
    assert desk.selfcare.claimed == {ANI}
    [(request, details, _)] = desk.rung.asked
    assert (request.destination, request.account, details.application) == (ANI, "101", "prove_phone")
    code = details.parameters["code"]
    assert len(code) == 4
    assert "card-phone-code" in told.heard
    app = partial(prove_phone, desk=desk.desk)
    wrong = f"{(int(code) + 1) % 10_000:04}"
    told = answering(details.parameters).hears("card-confirm-phone").presses(wrong).hears("card-wrong-code").run(app)
    assert not told.is_charge_accepted
    answering(details.parameters).hears("card-confirm-phone", "card-confirm-phone", "card-wrong-code").run(app)
    assert desk.selfcare.claimed == {ANI}
    assert desk.selfcare.ring_backs == {1: False}
    told = (
        answering(details.parameters).hears("card-confirm-phone").presses(code).hears("card-phone-registered").run(app)
    )
    assert told.is_charge_accepted
    assert desk.selfcare.claimed == set()
    assert desk.selfcare.ring_backs == {1: True}


def answering(parameters: Any) -> ScriptedCaller:
    """Who answers at a number that was claimed."""
    return ScriptedCaller(ANI, account="101", target="101", parameters=parameters)


def test_a_number_that_nobody_vouches_for_is_not_registered() -> None:
    """Case L4."""
    desk = cards(ask_register="always")
    script = unknown(parameters={"gateway": "another"}).until("card-enter-pin").presses(PIN + "#")
    script.until("card-enter-destination").run(desk.app)
    assert desk.selfcare.phones == {}


def test_who_is_rung_back_presses_a_key_first_and_only_then_is_it_of_use() -> None:
    """Case L13."""
    desk = cards()
    by_number().is_hung_up_on(486).run(partial(callback, desk=desk.desk))
    [(_, details, _)] = desk.rung.asked
    rung = ScriptedCaller(ANI, account="101", target="101", parameters=details.parameters).dials(NUMBER)
    assert not rung.hears("callback-accept", "press-1", ..., "goodbye").is_hung_up_on().run(desk.app).is_charge_accepted
    assert desk.selfcare.ring_backs == {1: False}
    rung = ScriptedCaller(ANI, account="101", target="101", parameters=details.parameters).dials(NUMBER)
    rung.hears("callback-accept", "press-1").presses("1").until("card-enter-destination")
    assert rung.run(desk.app).is_charge_accepted
    assert desk.selfcare.ring_backs == {1: True}


def test_nobody_is_rung_back_too_often_or_by_a_number_that_is_merely_claimed() -> None:
    """Case L13."""
    desk = cards()
    by_number("claimed").is_hung_up_on(486).run(partial(callback, desk=desk.desk))
    desk.selfcare.rings = False
    by_number().is_hung_up_on(486).run(partial(callback, desk=desk.desk))
    assert desk.rung.asked == []


@pytest.mark.parametrize("pin", [MAILBOX_PIN, "0000"])
def test_a_mailbox_that_a_number_opened_asks_the_pin_before_it_dials_something_dear(pin: str) -> None:
    """Case L3, its neighbour."""
    stage = Stage()
    owner = stage.owner(caller=ANI, account="101", target="101", parameters={**IDENTIFIED, "vouched": "number"})
    owner.until("vm-to-advanced").presses("3").until("vm-to-dial-out").presses("4").hears("vm-enter-number")
    owner.presses(DEAR + "#").fails_dial(DEAR, 428).answers_dial(DEAR).until("vm-password").presses(pin + "#")
    if pin == MAILBOX_PIN:
        owner.talks_to(DEAR)
    else:
        owner.until("vm-incorrect")
    story = owner.hangs_up().run(stage.access)
    assert [call.is_number_only for call in story.dialled] == [True, False][: 2 if pin == MAILBOX_PIN else 1]
