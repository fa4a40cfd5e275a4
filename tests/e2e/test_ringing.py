# SPDX-License-Identifier: Apache-2.0
"""Calls that ring at several phones, or come to nothing: what the caller and the callee are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from softswitch.phone import CallFailedError
from tests.e2e.conversation import assert_both_hear

if TYPE_CHECKING:
    from softswitch.phone import Call, Phone
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = pytest.mark.phones


def failure(call: Call) -> tuple[int, str]:
    """How a call failed: the status and the Reason header of the response."""
    with pytest.raises(CallFailedError) as failed:
        call.wait_answered()
    final = [message for message in call.phone.messages if message.status == failed.value.code]
    return failed.value.code, final[-1].header("Reason")


def cancels(phone: Phone) -> list[str]:
    """The Reason headers of the CANCELs that a phone received."""
    return [message.header("Reason") for message in phone.messages if message.is_request and message.method == "CANCEL"]


def test_all_phones_of_an_account_ring_and_the_first_answer_wins(system: System, phones: Phones) -> None:
    account = system.subscriber()
    alice, desk, sofa = phones.registered(), phones.registered(account), phones.registered(account)
    call = alice.call(account.number)
    at_desk, on_sofa = desk.incoming(), sofa.incoming()
    on_sofa.answer()
    call.wait_answered()
    at_desk.wait_ended()
    assert cancels(desk) == ['SIP;cause=200;text="Call completed elsewhere"']
    assert_both_hear(call, on_sofa)


def test_one_busy_phone_does_not_keep_another_from_ringing(system: System, phones: Phones) -> None:
    account = system.subscriber()
    alice, desk, sofa = phones.registered(), phones.registered(account), phones.registered(account)
    call = alice.call(account.number)
    at_desk, on_sofa = desk.incoming(), sofa.incoming()
    at_desk.answer(486)
    at_desk.wait_ended()
    on_sofa.answer()
    call.wait_answered()
    assert_both_hear(call, on_sofa)


@pytest.mark.parametrize(("code", "cause"), [(486, 17), (480, 18), (603, 21), (404, 1)])
def test_the_caller_is_told_why_the_callee_did_not_take_the_call(phones: Phones, code: int, cause: int) -> None:
    alice, bob = phones.registered(), phones.registered()
    call = alice.call(bob.settings.number)
    bob.incoming().answer(code)
    told, reason = failure(call)
    assert told == code
    assert f"Q.850;cause={cause}" in reason


def test_declined_at_one_phone_is_declined_at_all(system: System, phones: Phones) -> None:
    account = system.subscriber()
    alice, desk, sofa = phones.registered(), phones.registered(account), phones.registered(account)
    call = alice.call(account.number)
    on_sofa = sofa.incoming()
    desk.incoming().answer(603)
    assert failure(call)[0] == 603
    on_sofa.wait_ended()
    assert len(cancels(sofa)) == 1


def test_nobody_answers_in_time(phones: Phones) -> None:
    alice, bob = phones.registered(), phones.registered()
    call = alice.call(bob.settings.number)
    incoming = bob.incoming()
    told, reason = failure(call)
    assert (told, "Q.850;cause=19" in reason) == (480, True)
    incoming.wait_ended()
    assert len(cancels(bob)) == 1


def test_who_is_not_registered_is_told_from_who_does_not_exist(system: System, phones: Phones) -> None:
    alice = phones.registered()
    away = system.subscriber()
    told, reason = failure(alice.call(away.number))
    assert (told, "Q.850;cause=20" in reason) == (480, True)
    told, reason = failure(alice.call("7999"))
    assert (told, "Q.850;cause=1" in reason) == (404, True)


def test_a_phone_that_unregistered_is_called_no_more(system: System, phones: Phones) -> None:
    alice, bob = phones.registered(), phones.registered()
    assert bob.unregister() == 200
    assert failure(alice.call(bob.settings.number))[0] == 480
    assert bob.calls == []


def test_a_caller_who_gives_up_ends_the_ringing(phones: Phones) -> None:
    alice, bob = phones.registered(), phones.registered()
    call = alice.call(bob.settings.number)
    incoming = bob.incoming()
    call.wait_ringing()
    call.hang_up()
    assert call.wait_ended() == 487
    assert incoming.wait_ended() == 487
    assert len(cancels(bob)) == 1


def test_the_callee_sees_the_account_that_calls_whatever_the_phone_claims(phones: Phones) -> None:
    alice, bob = phones.registered(display="Alice"), phones.registered()
    alice.call(
        bob.settings.number, headers={"P-Asserted-Identity": "<sip:112@example.org>", "Remote-Party-ID": "<sip:112@x>"}
    )
    incoming = bob.incoming()
    assert incoming.caller_number == alice.settings.number
    invite = next(message for message in bob.messages if message.method == "INVITE")
    assert "112" not in invite.header("P-Asserted-Identity") + invite.header("Remote-Party-ID")
    assert '"Alice"' in incoming.caller


def test_a_wrong_password_neither_registers_nor_calls(system: System, phones: Phones) -> None:
    account = system.subscriber()
    thief, bob = phones.make(account, password="guessed"), phones.registered()
    assert thief.register() in (401, 403)
    assert not thief.is_registered
    assert failure(thief.call(bob.settings.number))[0] in (401, 403, 407)
    assert bob.calls == []
    assert "guessed" not in system.log
