# SPDX-License-Identifier: Apache-2.0
"""The second number service, from end to end: John has a mobile phone elsewhere, 42073723123, and the number
42027777100 with us. Real phones call through a gateway that SIPp plays, hear what the media server says, and pay.
"""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

from prompts import FOLDER
from softswitch.phone import Phone, PhoneSettings
from tests.e2e.conversation import assert_both_hear
from tests.e2e.hearing import Ears
from tests.e2e.script import Script, audio
from tests.e2e.sipp import Sipp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from softswitch.phone import Call
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = pytest.mark.phones

NUMBER: Final = "42027777100"
MOBILE: Final = "42073723123"
STRANGER: Final = "42075553333"
FRIEND: Final = "420273333444"
GATEWAY: Final = 4
RING_SECONDS: Final = 3
TONE_HERTZ: Final = 700


@pytest.fixture
def john(system: System) -> Iterator[str]:
    """The second number of the demo tenant, its owner's calls carried by a gateway that the tests play."""
    gateway = {"name": "to the mobile network", "host": f"{system.network}.{GATEWAY}", "port": system.gateway_port}
    gateway["identifies"] = "yes"
    follow = [{"name": "mobile", "to": MOBILE, "seconds": RING_SECONDS, "caller_id": "forwarder"}]
    apply(
        system,
        gateways=[gateway | {"routes": [MOBILE, FRIEND]}],
        accounts=[{"number": NUMBER, "answering": {"mode": "forward_then_voicemail", "follow_me": follow}}],
    )
    yield NUMBER
    for message in system.rows("voicemail", "list", NUMBER):
        system.run("voicemail", "delete", message["message"])


def apply(system: System, **document: Any) -> None:
    file = system.file.with_name("second-number.yaml")
    file.write_text(json.dumps(document), encoding="utf-8")
    system.run("apply", str(file), "--yes")


def from_outside(system: System, phones: Phones, number: str) -> Phone:
    """A phone whose calls come to us through the gateway."""
    settings = PhoneSettings(number=number, proxy=system.proxy, host=f"{system.network}.{GATEWAY}")
    phone = Phone(settings, system.file.parent / f"phone-{number}-{time.monotonic_ns()}")
    phones.all.append(phone)
    return phone


def dials_the_number(system: System, phone: Phone) -> Call:
    return phone.call(f"sip:{NUMBER}@{system.proxy}")


def gateway(system: System, tmp_path: Path, script: Script, name: str = "gateway") -> Sipp:
    return Sipp(script, tmp_path / name, host=f"{system.network}.{GATEWAY}", port=system.gateway_port, seconds=90)


def records(system: System, before: int) -> list[dict[str, Any]]:
    """What the calls since then left behind, oldest first."""
    return system.rows("xdrs", NUMBER)[::-1][before:]


def silent_mobile() -> Script:
    """Rings, and is not answered; it sees whose number was dialled."""
    return (
        Script.callee(contains=rf"^INVITE sip:{MOBILE}@(.|\r|\n)*From:[^\r\n]*sip:{NUMBER}@")
        .answer(180)
        .receive("CANCEL")
        .respond(200)
        .answer(487)
        .receive("ACK")
    )


def leave_message(system: System, phones: Phones, tmp_path: Path, ears: Ears, seconds: float = 4.0) -> None:
    """A stranger calls, the mobile is not answered, the mailbox takes a tone as a message."""
    with gateway(system, tmp_path, silent_mobile(), f"mobile-{time.monotonic_ns()}") as mobile:
        call = dials_the_number(system, from_outside(system, phones, STRANGER))
        call.wait_answered()
        mobile.wait()
        at = ears.hears(call, "vm-theperson")
        at = ears.hears(call, "vm-isunavail", after=at)
        at = ears.hears(call, "vm-intro", after=at)
        ears.hears(call, "beep", after=at)
        call.play(TONE_HERTZ)
        time.sleep(seconds)
        call.hang_up()
        call.wait_ended()


@pytest.fixture
def ears() -> Ears:
    return Ears(FOLDER / "en")


def test_anybody_else_is_forwarded_and_then_leaves_a_message(
    system: System, phones: Phones, tmp_path: Path, john: str, ears: Ears
) -> None:
    before = len(system.rows("xdrs", john))
    leave_message(system, phones, tmp_path, ears)
    system.wait_settled(john, before + 2)
    forwarded, incoming = sorted(records(system, before), key=lambda record: record["direction"])
    assert (forwarded["direction"], forwarded["dialled"], forwarded["caller"]) == ("forwarded", MOBILE, NUMBER)
    assert (forwarded["seconds"], Decimal(forwarded["amount"])) == ("0", Decimal(0))
    assert (incoming["direction"], incoming["caller"], Decimal(incoming["amount"])) == (
        "incoming",
        STRANGER,
        Decimal(0),
    )
    system.wait_messages(john, 1)


def test_the_mobile_that_answers_sees_the_second_number_and_john_pays_for_that_leg(
    system: System, phones: Phones, john: str
) -> None:
    before, balance = len(system.rows("xdrs", john)), system.balance(john)
    mobile, stranger = phones.gateway(GATEWAY, name=MOBILE), from_outside(system, phones, STRANGER)
    call = dials_the_number(system, stranger)
    incoming = mobile.incoming()
    assert incoming.caller_number == NUMBER
    incoming.answer()
    call.wait_answered()
    assert_both_hear(call, incoming)
    call.hang_up()
    incoming.wait_ended()
    system.wait_settled(john, before + 2)
    forwarded = next(record for record in records(system, before) if record["direction"] == "forwarded")
    # 0.02 at the answer and the first 30 s of 0.10 a minute
    assert (Decimal(forwarded["amount"]), balance - system.balance(john)) == (Decimal("0.07"), Decimal("0.07"))


def test_john_calls_his_number_hears_the_message_and_calls_out_of_the_mailbox(
    system: System, phones: Phones, tmp_path: Path, john: str, ears: Ears
) -> None:
    leave_message(system, phones, tmp_path, ears)
    system.wait_messages(john, 1)
    before, balance = len(system.rows("xdrs", john)), system.balance(john)
    friend = (
        Script.callee(contains=rf"^INVITE sip:{FRIEND}@(.|\r|\n)*From:[^\r\n]*sip:{NUMBER}@")
        .answer(180)
        .answer(200, audio(8))
        .receive("ACK")
        .pause(3000)
        .request("BYE")
        .receive(200)
    )
    with gateway(system, tmp_path, friend, "friend") as answering:
        call = dials_the_number(system, from_outside(system, phones, MOBILE))
        call.wait_answered()
        at = ears.hears(call, "vm-you-have")
        call.send_digits("1")
        assert call.hears(TONE_HERTZ), "the message"
        call.send_digits("3")
        at = ears.hears(call, "vm-to-reply", after=at)
        call.send_digits("4")
        at = ears.hears(call, "vm-enter-number", after=at)
        call.send_digits(f"{FRIEND}#")
        answering.wait()
        ears.hears(call, "vm-press", after=at + 3)  # the menu again
        call.hang_up()
    system.wait_settled(john, before + 2)
    outgoing = next(record for record in records(system, before) if record["direction"] == "outgoing")
    assert (outgoing["caller"], outgoing["dialled"]) == (NUMBER, FRIEND)
    # 0.02 at the answer and 30 s of 0.05 a minute
    assert (Decimal(outgoing["amount"]), balance - system.balance(john)) == (Decimal("0.045"), Decimal("0.045"))


def test_explain_tells_both_ways_of_the_second_number(system: System, john: str) -> None:
    source = f"{system.network}.{GATEWAY}"
    owner = system.run("explain", "--from", MOBILE, "--to", john, "--source-ip", source)
    assert "voicemail-access" in owner
    other = system.run("explain", "--from", STRANGER, "--to", john, "--source-ip", source)
    assert f"to {MOBILE} rings {RING_SECONDS} s and sees {NUMBER}" in other
    assert f"the mailbox of {NUMBER} answers" in other
