# SPDX-License-Identifier: Apache-2.0
"""Two phones talk through the switch and its relay, and change what they agreed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.conversation import assert_both_hear, connect
from tests.relays import through_both

if TYPE_CHECKING:
    from tests.e2e.conftest import Phones
    from tests.e2e.system import System

pytestmark = [pytest.mark.phones, through_both]


def test_two_phones_register_and_talk_and_each_hears_the_others_tone(phones: Phones) -> None:
    call, incoming = connect(phones)
    assert_both_hear(call, incoming)
    call.hang_up()
    assert incoming.wait_ended() == call.wait_ended() == 200


def test_media_goes_through_the_relay_and_neither_phone_learns_where_the_other_is(
    system: System, phones: Phones
) -> None:
    call, incoming = connect(phones)
    for here, there in ((call, incoming), (incoming, call)):
        heard = "\n".join(message.text for message in here.phone.messages if not message.is_sent)
        assert there.phone.address not in heard
        assert f"<sip:{system.proxy}" in heard, "the Contact is the switch"
        received = [message for message in here.phone.messages if not message.is_sent and "m=audio" in message.body]
        assert received
        sent_by_peer = [message.body for message in there.phone.messages if message.is_sent and message.body]
        assert not {_port(message.body) for message in received} & {_port(body) for body in sent_by_peer}


def _port(description: str) -> str:
    """The port of the first audio stream."""
    return description.partition("m=audio ")[2].partition(" ")[0]


def test_hold_silences_both_sides_and_resume_brings_the_tones_back(phones: Phones) -> None:
    call, incoming = connect(phones)
    assert_both_hear(call, incoming)
    call.hold()
    incoming.wait_media("held there")
    assert incoming.hears_nothing()
    assert call.hears_nothing()
    call.resume()
    incoming.wait_media("active")
    assert_both_hear(call, incoming)


def test_the_callee_may_hold_too_and_both_at_once(phones: Phones) -> None:
    call, incoming = connect(phones)
    incoming.hold()
    call.wait_media("held there")
    call.hold()
    incoming.wait_media("held here")
    assert incoming.hears_nothing()
    incoming.resume()
    incoming.wait_media("held there")  # offers that cross are refused (491), and this phone does not try again
    call.resume()
    call.wait_media("active")
    incoming.wait_media("active")
    assert_both_hear(call, incoming)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_codec_change_in_the_call_keeps_the_tones_going(phones: Phones, method: str) -> None:
    call, incoming = connect(phones, codecs=("PCMU", "PCMA", "G722"))
    assert call.media.codec == "PCMU"
    call.change_codecs(["PCMA"], method=method)
    call.wait_media("active", "PCMA")
    incoming.wait_media("active", "PCMA")
    assert_both_hear(call, incoming)
    incoming.change_codecs(["G722"], method=method)  # the caller takes PCMA only by now: refused, all stays as it was
    refusal = incoming.phone.wait_message(lambda message: message.status >= 400 and message.method == method)
    assert refusal.status in (488, 500), refusal.text
    assert (call.media.codec, incoming.media.codec) == ("PCMA", "PCMA")
    assert_both_hear(call, incoming)
    call.change_codecs(["G722"], method=method)
    call.wait_media("active", "G722")
    incoming.wait_media("active", "G722")
    assert_both_hear(call, incoming)


def test_a_re_invite_without_offer_lets_the_other_side_choose_the_codec(phones: Phones) -> None:
    call, incoming = connect(phones, codecs=("PCMU", "PCMA"))
    before = incoming.media_changes
    call.change_codecs(["PCMA"], late_offer=True)
    call.wait_media("active", "PCMA")
    incoming.wait(lambda one: one.media_changes > before, "new media")
    assert_both_hear(call, incoming)


def test_a_call_without_offer_is_answered_with_one(phones: Phones) -> None:
    call, incoming = connect(phones, late_offer=True)
    assert_both_hear(call, incoming)


def test_reliable_ringing_is_acknowledged_through_the_switch(phones: Phones) -> None:
    call, incoming = connect(phones, reliable=True)
    assert any(message.method == "PRACK" and message.is_sent for message in call.phone.messages)
    assert any(message.method == "PRACK" and not message.is_sent for message in incoming.phone.messages)
    assert_both_hear(call, incoming)


def test_a_phone_on_tcp_talks_to_one_on_udp_in_both_directions(phones: Phones) -> None:
    alice, bob = phones.registered(transport="tcp"), phones.registered()
    for caller, callee in ((alice, bob), (bob, alice)):
        call, incoming = connect(phones, between=(caller, callee))
        assert_both_hear(call, incoming)
        call.hang_up()
        incoming.wait_ended()


def test_an_invite_that_is_too_large_for_a_packet_reaches_a_phone_that_has_only_udp(phones: Phones) -> None:
    alice, bob = phones.registered(), phones.registered()
    call = alice.call(bob.settings.number, headers={"Subject": "x" * 1500})
    incoming = bob.incoming()
    incoming.answer()
    call.wait_answered()
    (invite,) = [message for message in bob.messages if message.is_request and message.method == "INVITE"]
    assert invite.header("Subject") == "x" * 1500
    assert_both_hear(call, incoming)


def test_a_phone_behind_nat_that_knows_only_its_inside_addresses_is_reached_and_heard(phones: Phones) -> None:
    alice = phones.registered()
    bob = phones.registered(said_contact="<sip:inside@10.99.99.99:5060>", said_media_host="10.99.99.99")
    for caller, callee in ((alice, bob), (bob, alice)):
        call, incoming = connect(phones, between=(caller, callee))
        assert_both_hear(call, incoming)
        call.hang_up()
        incoming.wait_ended()
