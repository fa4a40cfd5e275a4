# SPDX-License-Identifier: Apache-2.0
"""What calls cost: records, ledger and balances, exact to the last decimal."""

from __future__ import annotations

import math
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from softswitch.phone import CallFailedError
from tests.e2e.conversation import connect
from tests.e2e.system import SLICE_SECONDS
from tests.e2e.tenant import FUNDS, Subscriber

if TYPE_CHECKING:
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = pytest.mark.phones
ZERO = Decimal(0)
PRICE = Decimal("0.01")
"""Of a second to a paid number: 0.60 a minute."""


def test_a_free_call_leaves_a_record_and_moves_no_money(system: System, phones: Phones) -> None:
    call, incoming = connect(phones)
    call.hang_up()
    incoming.wait_ended()
    payer = call.phone.settings.number
    (record,) = system.xdrs(payer)
    assert Decimal(record["amount"]) == 0
    assert (record["caller"], record["dialled"], record["ended_by"], record["cause"]) == (
        payer,
        incoming.phone.settings.number,
        "caller",
        16,
    )
    assert [entry[0] for entry in system.ledger(payer)] == ["opening"]
    assert system.balance(payer) == FUNDS


def test_a_paid_call_is_charged_by_the_second_to_the_last_decimal(system: System, phones: Phones) -> None:
    alice, bob = phones.registered(), phones.registered(system.subscriber(paid=True))
    call, incoming = connect(phones, between=(alice, bob))
    payer = alice.settings.number
    (running,) = system.rows("calls")
    assert (running["account"], running["state"]) == (payer, "connected")
    assert Decimal(running["locked"]) == PRICE * SLICE_SECONDS
    time.sleep(1.2)
    incoming.hang_up()
    call.wait_ended()
    (record,) = system.xdrs(payer)
    assert record["ended_by"] == "callee"
    assert call.ended_at is not None
    assert call.answered_at is not None
    assert float(record["seconds"]) == pytest.approx(call.ended_at - call.answered_at, abs=0.3)
    assert record["billed_seconds"] == math.ceil(Decimal(record["seconds"]))
    charge = PRICE * record["billed_seconds"]
    assert Decimal(record["amount"]) == charge
    assert system.ledger(payer)[1:] == [("call", f"call:{record['call_id']}", -charge)]
    account = system.account(payer)
    assert (Decimal(account["balance"]), Decimal(account["locked"])) == (FUNDS - charge, ZERO)


def test_connect_fee_and_first_increment_are_charged_from_the_first_second(system: System, phones: Phones) -> None:
    carrier, alice = phones.gateway(1), phones.registered()
    call = alice.call("881000001")
    incoming = carrier.incoming()
    incoming.answer()
    call.wait_answered()
    call.hang_up()
    incoming.wait_ended()
    payer = alice.settings.number
    (record,) = system.xdrs(payer)
    assert (record["billed_seconds"], Decimal(record["amount"])) == (30, Decimal("0.07"))
    assert (record["destination"], record["gateway"]) == ("Gateways under test", "plain")
    assert system.balance(payer) == FUNDS - Decimal("0.07")


def test_a_call_that_is_not_answered_costs_nothing_and_frees_its_funds(system: System, phones: Phones) -> None:
    alice, bob = phones.registered(), phones.registered(system.subscriber(paid=True))
    call = alice.call(bob.settings.number)
    bob.incoming().answer(486)
    assert call.wait_ended() == 486
    (record,) = system.xdrs(alice.settings.number)
    assert (record["answered_at"], Decimal(record["amount"]), record["sip_status"]) == (None, ZERO, 486)
    account = system.account(alice.settings.number)
    assert (Decimal(account["balance"]), Decimal(account["locked"])) == (FUNDS, ZERO)


def test_a_call_whose_balance_pays_for_20_seconds_is_cut_at_20_seconds_on_both_legs(
    system: System, phones: Phones
) -> None:
    passwords = system.passwords()
    caller = phones.registered(Subscriber("105", passwords["105"]))
    callee = phones.registered(Subscriber("201", passwords["201"]))
    assert system.balance("105") == Decimal("0.20")
    call, incoming = connect(phones, between=(caller, callee))
    call.wait_ended()
    incoming.wait_ended()
    for side in (call, incoming):
        assert side.ended_at is not None
        assert side.answered_at is not None
        assert side.ended_at - side.answered_at == pytest.approx(20.0, abs=0.3)
        (bye,) = [message for message in side.phone.messages if message.is_request and message.method == "BYE"]
        assert not bye.is_sent
        assert bye.header("Reason") == 'Q.850;cause=31;text="Funds used up"'
    (record,) = system.xdrs("105")
    assert (record["billed_seconds"], Decimal(record["amount"]), record["ended_by"]) == (20, Decimal("0.20"), "funds")
    assert system.ledger("105")[1:] == [("call", f"call:{record['call_id']}", Decimal("-0.20"))]
    account = system.account("105")
    assert (Decimal(account["balance"]), Decimal(account["locked"])) == (ZERO, ZERO)

    with pytest.raises(CallFailedError) as refused:
        caller.call("201").wait_answered()
    assert refused.value.code == 402
    assert callee.quiet_for(0.2)


def test_two_accounts_that_share_a_companys_credit_pay_for_two_calls_at_once(system: System, phones: Phones) -> None:
    passwords = system.passwords()
    carol, dave = (phones.registered(Subscriber(number, passwords[number])) for number in ("103", "104"))
    callee = phones.registered(Subscriber("201", passwords["201"]))
    before = system.account("103")
    calls = [phone.call("201") for phone in (carol, dave)]
    for _ in calls:
        callee.incoming().answer()
    for call in calls:
        call.wait_answered()
    assert sum(Decimal(row["locked"]) for row in system.rows("calls")) == 2 * PRICE * SLICE_SECONDS
    for call in calls:
        call.hang_up()
    records = [system.xdrs(number)[0] for number in ("103", "104")]
    owed = Decimal(system.account("104")["balance"]) - Decimal(before["balance"])
    assert owed == sum(Decimal(record["amount"]) for record in records) > 0
    assert [Decimal(record["amount"]) for record in records] == [PRICE * record["billed_seconds"] for record in records]


def test_an_administrator_ends_a_call_and_the_record_says_so(system: System, phones: Phones) -> None:
    alice, bob = phones.registered(), phones.registered(system.subscriber(paid=True))
    call, incoming = connect(phones, between=(alice, bob))
    (running,) = system.rows("calls")
    system.run("disconnect", running["call_id"])
    call.wait_ended()
    incoming.wait_ended()
    (record,) = system.xdrs(alice.settings.number)
    assert record["ended_by"] == "admin"
    assert Decimal(record["amount"]) == PRICE * record["billed_seconds"]
