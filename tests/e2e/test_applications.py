# SPDX-License-Identifier: Apache-2.0
"""Applications that real phones dial: menus, star codes, the echo test, and follow-me that asks for a key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from prompts import FOLDER
from softswitch.phone import CallFailedError
from tests.e2e.baresip import Baresip
from tests.e2e.conversation import assert_both_hear
from tests.e2e.hearing import Ears
from tests.e2e.system import DOMAIN
from tests.relays import through_both

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Phones
    from tests.e2e.system import System
    from tests.e2e.tenant import Subscriber

pytestmark = [pytest.mark.phones, through_both]


@pytest.fixture
def ears() -> Ears:
    return Ears(FOLDER / "en")


def answer_by(system: System, account: Subscriber, **answering: Any) -> None:
    """Have an account take its calls so."""
    file = system.file.with_name(f"applications-{account.number}.yaml")
    file.write_text(json.dumps({"accounts": [{"number": account.number, "answering": answering}]}))
    system.run("apply", str(file), "--yes")


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
def test_the_echo_test_greets_in_every_codec(phones: Phones, ears: Ears, codec: str) -> None:
    call = phones.registered(codecs=(codec,)).call("*43")
    call.wait_answered()
    assert call.media.codec == codec
    ears.hears(call, "echo-intro")
    call.send_digits("#")
    ears.hears(call, "echo-done")
    call.wait_ended()


def test_a_star_code_switches_do_not_disturb_on_and_off_and_says_so(system: System, phones: Phones, ears: Ears) -> None:
    alice, bob = phones.registered(), phones.registered()
    for code, prompt in (("*78", "dnd-on"), ("*79", "dnd-off")):
        call = bob.call(code)
        call.wait_answered()
        ears.hears(call, prompt)
        call.hang_up()
        ringing = alice.call(bob.settings.number)
        if prompt == "dnd-on":
            with pytest.raises(CallFailedError) as refused:
                ringing.wait_answered()
            assert refused.value.code == 480
        else:
            bob.incoming().answer()
            ringing.wait_answered()
            ringing.hang_up()


@pytest.mark.parametrize("way", ["inband", "info"])
def test_a_phone_without_telephone_events_dials_in_a_menu_by_tones_or_info(
    phones: Phones, ears: Ears, way: str
) -> None:
    alice, bob = phones.registered(events=False), phones.registered()
    call = alice.call("*411")
    call.wait_answered()
    (offer,) = [one for one in alice.messages if one.is_sent and one.method == "INVITE" and "Proxy-Auth" in one.text]
    assert "telephone-event" not in offer.text
    ears.hears(call, "welcome")
    call.send_digits(bob.settings.number, way=way)
    incoming = bob.incoming()
    incoming.answer()
    call.wait_answered()
    assert_both_hear(call, incoming)


def test_a_menu_connects_to_the_extension_that_is_dialled(system: System, phones: Phones, ears: Ears) -> None:
    alice, bob = phones.registered(), phones.registered()
    call = alice.call("*411")
    call.wait_answered()
    ears.hears(call, "welcome")
    call.send_digits(bob.settings.number)
    incoming = bob.incoming()
    assert incoming.caller_number == alice.settings.number
    incoming.answer()
    incoming.wait_answered()
    assert_both_hear(call, incoming)
    incoming.hang_up()
    call.wait_ended()


def test_follow_me_with_a_key_connects_only_who_presses_it(system: System, phones: Phones, ears: Ears) -> None:
    forwarder, mobile_account = system.subscriber(), system.subscriber()
    entry = {"to": mobile_account.number, "confirm": True, "seconds": 20}
    answer_by(system, forwarder, mode="forward", follow_me=[entry])
    alice, mobile = phones.registered(), phones.registered(mobile_account)
    call = alice.call(forwarder.number)
    incoming = mobile.incoming()
    incoming.answer()
    incoming.wait_answered()
    ears.hears(incoming, "followme-options")
    assert call.state != "confirmed", "the caller is not connected before the key"
    incoming.send_digits("1")
    call.wait_answered()
    assert_both_hear(call, incoming)
    call.hang_up()
    incoming.wait_ended()
    system.wait_settled(forwarder.number)
    (record,) = system.rows("xdrs", forwarder.number)
    assert (record["direction"], record["dialled"]) == ("forwarded", mobile_account.number)


def test_a_foreign_answering_machine_never_gets_a_call_that_asks_for_a_key(
    system: System, phones: Phones, ears: Ears
) -> None:
    forwarder, mobile_account = system.subscriber(), system.subscriber()
    entry = {"to": mobile_account.number, "confirm": True, "seconds": 30}
    answer_by(system, forwarder, mode="forward_then_voicemail", follow_me=[entry])
    alice, machine = phones.registered(), phones.registered(mobile_account)
    call = alice.call(forwarder.number)
    incoming = machine.incoming()
    incoming.answer()
    incoming.wait_answered()
    incoming.play(880)  # "please leave a message"
    incoming.wait_ended()
    call.wait_answered()
    ears.hears(call, "vm-isunavail")
    call.hang_up()


def test_a_phone_of_another_make_is_let_into_its_mailbox_and_stays(system: System, tmp_path: Path) -> None:
    account = system.subscriber()
    with Baresip(account, system.proxy, DOMAIN, tmp_path / "baresip") as phone:
        phone.wait_registered()
        phone.dial("*98", DOMAIN)
        phone.wait_answered()
        phone.hang_up()
    (record,) = system.xdrs(account.number)
    assert (record["dialled"], record["amount"]) == ("*98", "0.00000")
