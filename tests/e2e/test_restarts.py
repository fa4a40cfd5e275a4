# SPDX-License-Identifier: Apache-2.0
"""The system is stopped, restarted, or loses a process, while phones are registered and calls run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from softswitch.phone import CallFailedError
from tests.e2e.conversation import assert_both_hear, connect

if TYPE_CHECKING:
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = pytest.mark.phones


def test_sigterm_lets_running_calls_end_and_the_next_start_still_knows_the_phones(
    system: System, phones: Phones
) -> None:
    call, incoming = connect(phones)
    payer, callee = call.phone, incoming.phone
    late = phones.registered()
    system.terminate()
    system.wait_for_log("draining")
    with pytest.raises(CallFailedError) as refused:
        late.call(callee.settings.number).wait_answered()
    assert refused.value.code == 503
    assert_both_hear(call, incoming)
    call.hang_up()
    incoming.wait_ended()
    assert system.wait_ended() == 0

    system.start()
    assert len(system.xdrs(payer.settings.number)) == 1
    registers = sum(message.method == "REGISTER" for message in callee.messages)
    again = payer.call(callee.settings.number)
    callee.incoming().answer()
    again.wait_answered()
    assert sum(message.method == "REGISTER" for message in callee.messages) == registers


def test_a_switch_that_dies_comes_back_knows_the_phones_and_settles_the_call_that_it_lost(
    system: System, phones: Phones
) -> None:
    alice, bob = phones.registered(), phones.registered(system.subscriber(paid=True))
    connect(phones, between=(alice, bob))
    system.wait_stored(bob.settings.number)
    mark = len(system.log)
    system.process("switch").kill()
    system.wait_for_log("switch runs again", mark)
    (record,) = system.xdrs(alice.settings.number)
    assert record["ended_by"] == "orphan"
    account = system.account(alice.settings.number)
    assert float(account["locked"]) == 0
    call, incoming = connect(phones, between=(alice, bob))
    assert_both_hear(call, incoming)


def test_calls_that_lost_their_relay_are_ended_and_new_ones_have_sound(system: System, phones: Phones) -> None:
    lost, lost_there = connect(phones)
    mark = len(system.log)
    system.process("media").kill()
    system.wait_for_log("media runs again", mark)
    call, incoming = connect(phones)
    assert_both_hear(call, incoming)
    lost.wait_ended()
    lost_there.wait_ended()
    (record,) = system.xdrs(lost.phone.settings.number)
    assert record["ended_by"] == "media"
    assert call.state == incoming.state == "confirmed"
