# SPDX-License-Identifier: Apache-2.0
"""Real phones give calls away: who hears whom afterwards, what is recorded, and who pays."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.baresip import Baresip
from tests.e2e.conversation import assert_both_hear, connect
from tests.e2e.system import DOMAIN
from tests.relays import through_both

if TYPE_CHECKING:
    from pathlib import Path

    from softswitch.phone import Call
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = [pytest.mark.phones, through_both]
OUTSIDE = "420600000001"


def told(call: Call) -> list[str]:
    """What a phone was told of its transfer."""
    fragments = [message.body for message in call.phone.messages if message.method == "NOTIFY" and not message.is_sent]
    return [body.strip().removeprefix("SIP/2.0 ") for body in fragments if body.startswith("SIP/2.0")]


def test_a_blind_transfer_inside_and_both_hear_each_other(system: System, phones: Phones) -> None:
    carol = phones.registered()
    call, incoming = connect(phones)
    assert_both_hear(call, incoming)
    incoming.transfer(carol.settings.number)
    third = carol.incoming()
    third.answer()
    third.wait_answered()
    incoming.wait_ended()
    assert_both_hear(call, third)
    assert told(incoming)[0] == "100 Trying"
    assert told(incoming)[-1] == "200 OK"
    third.hang_up()
    call.wait_ended()
    (first,) = system.xdrs(call.phone.settings.number)
    (second,) = system.xdrs(incoming.phone.settings.number)
    assert first["transferred_by"] == second["transferred_by"] == incoming.phone.settings.number
    assert second["dialled"] == carol.settings.number


def test_a_caller_on_hold_is_transferred_blindly_to_the_carrier_at_the_expense_of_who_transfers(
    system: System, phones: Phones
) -> None:
    call, incoming = connect(phones)
    boss = incoming.phone.settings.number
    incoming.hold()
    call.wait_media("held there")
    incoming.transfer(OUTSIDE)
    incoming.wait_ended()
    call.wait_media("active")
    call.play(440)
    assert call.hears(440), "the sample carrier echoes"
    call.hang_up()
    (record,) = system.xdrs(boss)
    assert (record["dialled"], record["transferred_by"], record["gateway"]) == (OUTSIDE, boss, "sample-carrier")
    assert Decimal(record["amount"]) == 0


def test_who_was_called_is_given_away_by_the_caller(system: System, phones: Phones) -> None:
    """The phone that is transferred has never made an offer."""
    carol = phones.registered()
    call, incoming = connect(phones)
    call.transfer(carol.settings.number)
    third = carol.incoming()
    third.answer()
    third.wait_answered()
    call.wait_ended()
    assert_both_hear(incoming, third)
    incoming.hang_up()
    third.wait_ended()
    records = system.xdrs(call.phone.settings.number, 2)
    assert {record["transferred_by"] for record in records} == {call.phone.settings.number}


def test_an_attended_transfer_joins_who_waits_and_who_was_asked(system: System, phones: Phones) -> None:
    carol = phones.registered()
    call, incoming = connect(phones)
    incoming.hold()
    call.wait_media("held there")
    consultation = incoming.phone.call(carol.settings.number)
    third = carol.incoming()
    third.answer()
    consultation.wait_answered()
    assert_both_hear(consultation, third)
    incoming.transfer_to(consultation)
    incoming.wait_ended()
    consultation.wait_ended()
    assert_both_hear(call, third)
    third.hold()
    call.wait_media("held there")
    third.resume()
    call.wait_media("active")
    assert_both_hear(call, third)
    call.hang_up()
    third.wait_ended()
    (record,) = system.xdrs(incoming.phone.settings.number)
    assert record["transferred_by"] == incoming.phone.settings.number


def test_an_attended_transfer_to_the_carrier_by_a_debit_account_with_one_call(system: System, phones: Phones) -> None:
    """What it holds does not count; each of its two calls is charged to the last decimal."""
    gateway = phones.gateway()
    call, incoming = connect(phones)
    boss = call.phone.settings.number
    before = system.balance(boss)
    call.hold()
    incoming.wait_media("held there")
    consultation = call.phone.call("881000001")
    far = gateway.incoming()
    far.answer()
    consultation.wait_answered()
    call.transfer_to(consultation)
    call.wait_ended()
    consultation.wait_ended()
    assert_both_hear(incoming, far)
    far.hang_up()
    incoming.wait_ended()
    inside, outside = system.xdrs(boss, 2)
    assert Decimal(inside["amount"]) == 0
    assert outside["billed_seconds"] == 30
    assert Decimal(outside["amount"]) == Decimal("0.07")
    assert before - system.balance(boss) == Decimal("0.07")


def test_a_transfer_that_is_refused_brings_the_parties_back(phones: Phones) -> None:
    call, incoming = connect(phones)
    incoming.transfer("420600000486")
    incoming.phone.wait_message(lambda message: message.method == "NOTIFY" and "486" in message.body)
    assert_both_hear(call, incoming)


def test_baresip_gives_a_call_away_and_is_given_away(system: System, phones: Phones, tmp_path: Path) -> None:
    carol = phones.registered()
    with Baresip(system.subscriber(), system.proxy, DOMAIN, tmp_path / "baresip") as baresip:
        baresip.wait_registered()
        call = phones.registered().call(baresip.number)
        baresip.answer()
        call.wait_answered()
        baresip.order("transfer", f"sip:{carol.settings.number}@{DOMAIN}")
        third = carol.incoming()
        third.answer()
        third.wait_answered()
        baresip.wait_event("CALL_CLOSED")
        assert_both_hear(call, third)
        call.hang_up()
        third.wait_ended()


def test_baresip_is_given_away(system: System, phones: Phones, tmp_path: Path) -> None:
    """It is heard by its tone. That it hears is seen by its log: plugged into its own microphone, baresip 1.0.0 drops
    all that comes after a new source in the same stream now and then ("Connection timed out")."""
    carol = phones.registered()
    with Baresip(system.subscriber(), system.proxy, DOMAIN, tmp_path / "baresip") as baresip:
        baresip.wait_registered()
        call = phones.registered().call(baresip.number)
        baresip.answer()
        call.wait_answered()
        call.play(440)
        baresip.wait_log("incoming rtp for")
        call.transfer(carol.settings.number)
        third = carol.incoming()
        third.answer()
        third.wait_answered()
        call.wait_ended()
        assert third.hears(440)
        third.play(880)
        baresip.wait_log("SSRC changed")
