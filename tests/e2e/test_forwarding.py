# SPDX-License-Identifier: Apache-2.0
"""Forwarded calls between real phones, through the real relay: who hears whom, and who pays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conversation import assert_both_hear
from tests.relays import through_both

if TYPE_CHECKING:
    from softswitch.phone import Call, Phone
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System
    from tests.e2e.tenant import Subscriber

pytestmark = [pytest.mark.phones, through_both]


def answer_by(system: System, account: Subscriber, **answering: Any) -> None:
    """Have an account take its calls so."""
    file = system.file.with_name(f"answering-{account.number}.yaml")
    file.write_text(json.dumps({"accounts": [{"number": account.number, "answering": answering}]}))
    system.run("apply", str(file), "--yes")


def taken(call: Call, by: Phone) -> Call:
    """The call, taken by a phone."""
    incoming = by.incoming()
    incoming.answer()
    call.wait_answered()
    incoming.wait_answered()
    return incoming


def test_a_forwarded_call_is_heard_on_both_sides_held_and_charged_to_who_forwards(
    system: System, phones: Phones
) -> None:
    forwarder, paid = system.subscriber(), system.subscriber(paid=True)
    answer_by(system, forwarder, mode="forward", follow_me=[{"to": paid.number, "caller_id": "forwarder"}])
    alice, mobile = phones.registered(), phones.registered(paid)
    call = alice.call(forwarder.number)
    incoming = taken(call, mobile)
    assert incoming.caller_number == forwarder.number
    assert_both_hear(call, incoming)
    call.hang_up()
    incoming.wait_ended()
    (own,) = system.xdrs(alice.settings.number)
    (forwarded,) = system.xdrs(forwarder.number)
    assert (own["direction"], own["dialled"], own["amount"]) == ("internal", forwarder.number, "0.00000")
    assert (forwarded["direction"], forwarded["dialled"]) == ("forwarded", paid.number)
    assert float(forwarded["amount"]) == pytest.approx(forwarded["billed_seconds"] / 100)


def test_a_chain_of_forwards_and_a_busy_phone_between(system: System, phones: Phones) -> None:
    first, second, third = (system.subscriber() for _ in range(3))
    answer_by(system, first, mode="ring_then_forward", follow_me=[second.number])
    answer_by(system, second, mode="forward", follow_me=[third.number])
    alice, desk, mobile = phones.registered(), phones.registered(first), phones.registered(third)
    call = alice.call(first.number)
    desk.incoming().hang_up(486)
    incoming = taken(call, mobile)
    assert_both_hear(call, incoming)
    incoming.hang_up()
    call.wait_ended()
    assert [row["direction"] for row in system.xdrs(second.number)] == ["forwarded"]
