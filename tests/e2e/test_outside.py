# SPDX-License-Identifier: Apache-2.0
"""The outside world: the demo tenant's sample carrier, and calls that come in from gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from softswitch.phone import CallFailedError
from tests.e2e.conversation import assert_both_hear
from tests.relays import through_both

if TYPE_CHECKING:
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = [pytest.mark.phones, through_both]
OUTSIDE = "420600000"


def test_the_sample_carrier_answers_and_echoes(system: System, phones: Phones) -> None:
    alice = phones.registered()
    call = alice.call(f"{OUTSIDE}001")
    call.wait_answered()
    call.play(440)
    assert call.hears(440)
    call.hang_up()
    (record,) = system.xdrs(alice.settings.number)
    assert (record["gateway"], record["direction"]) == ("sample-carrier", "outgoing")


@pytest.mark.parametrize(("ending", "code"), [("486", 486), ("480", 480), ("404", 404), ("500", 500)])
def test_the_carriers_refusal_reaches_the_caller(phones: Phones, ending: str, code: int) -> None:
    call = phones.registered().call(f"{OUTSIDE}{ending}")
    with pytest.raises(CallFailedError) as failed:
        call.wait_answered()
    assert failed.value.code == code


def test_a_carrier_that_fails_or_is_dead_is_passed_over_for_the_next(system: System, phones: Phones) -> None:
    alice, bob = phones.registered(), phones.registered()
    dead, failing = bob.call(f"{OUTSIDE}408"), alice.call(f"{OUTSIDE}503")
    for call in (failing, dead):
        call.wait_answered()
        call.play(440)
        assert call.hears(440)
        call.hang_up()
        (record,) = system.xdrs(call.phone.settings.number)
        assert record["gateway"] == "sample-carrier-b"


def test_the_carrier_hangs_up_when_it_is_told_to(system: System, phones: Phones) -> None:
    alice = phones.registered()
    call = alice.call(f"{OUTSIDE}901")
    call.wait_answered()
    call.wait_ended()
    (record,) = system.xdrs(alice.settings.number)
    assert record["ended_by"] == "callee"
    assert float(record["seconds"]) == pytest.approx(1.0, abs=0.3)


def test_a_call_from_a_gateway_reaches_the_account_whose_number_was_dialled(system: System, phones: Phones) -> None:
    account = system.subscriber()
    bob, carrier = phones.registered(account), phones.gateway(1, name="442079460000")
    call = carrier.call(f"sip:+{account.did}@{system.proxy}")
    incoming = bob.incoming()
    assert incoming.caller_number == "442079460000"
    incoming.answer()
    call.wait_answered()
    assert_both_hear(call, incoming)
    call.hang_up()
    (record,) = system.xdrs(account.number)
    assert (record["direction"], record["dialled"], record["amount"]) == ("incoming", account.did, "0.00000")


def test_an_address_that_is_no_gateway_is_asked_for_a_password(system: System, phones: Phones) -> None:
    account = system.subscriber()
    bob, stranger = phones.registered(account), phones.gateway(99)
    with pytest.raises(CallFailedError) as refused:
        stranger.call(f"sip:{account.did}@{system.proxy}").wait_answered()
    assert refused.value.code in (401, 407)
    assert bob.calls == []


def test_who_merely_claims_a_number_of_an_account_cannot_call_on_its_funds(system: System, phones: Phones) -> None:
    carrier = phones.gateway(1, name="42073723123")
    with pytest.raises(CallFailedError) as refused:
        carrier.call(f"sip:{OUTSIDE}001@{system.proxy}").wait_answered()
    assert refused.value.code == 404
    system.wait_settled("101", 0)
