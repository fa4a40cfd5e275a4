# SPDX-License-Identifier: Apache-2.0
"""Dead calls end by themselves; held, ringing and one-way calls do not."""

from __future__ import annotations

from dataclasses import replace

from tests.media.phones import SETTINGS, Desk, Phone, audio


def test_an_answered_call_without_packets_is_dropped(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    desk.advance(59)
    assert "call" in desk.relay.calls
    desk.advance(1)
    assert desk.relay.calls == {}
    assert desk.ask("query", call_id="call")["error-reason"] == "Unknown call-id"
    assert desk.relay.totals.timeouts == 1


def test_packets_of_one_side_keep_a_call_up(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    for _ in range(10):
        caller.send()
        desk.flow()
        desk.advance(30)
    assert "call" in desk.relay.calls
    desk.advance(60)
    assert desk.relay.calls == {}


def test_packets_of_strangers_do_not_keep_a_call_up(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    stranger = Phone("127.0.0.66")
    stranger.relay_port = caller.relay_port
    for _ in range(6):
        stranger.sequence += 1000
        stranger.send(payload_type=77)
        desk.flow()
        desk.advance(10)
    stranger.close()
    assert desk.relay.calls == {}


def test_a_ringing_call_waits(desk: Desk, caller: Phone) -> None:
    desk.signal("offer", audio(caller))
    desk.advance(300)
    assert "call" in desk.relay.calls


def test_a_call_on_hold_has_more_time(caller: Phone, callee: Phone) -> None:
    desk = Desk(replace(SETTINGS, silent_timeout_seconds=200))
    desk.connect(caller, callee)
    desk.signal("offer", audio(caller, "a=sendonly"), to_tag="b")
    desk.signal("answer", audio(callee, "a=recvonly"), to_tag="b")
    desk.advance(199)
    assert "call" in desk.relay.calls
    desk.advance(1)
    assert desk.relay.calls == {}
    assert desk.relay.totals.silent_timeouts == 1
    desk.close()


def test_signalling_is_a_sign_of_life(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    desk.advance(50)
    desk.connect(caller, callee)
    desk.advance(50)
    assert "call" in desk.relay.calls


def test_new_settings_hold_for_calls_in_progress(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    desk.relay.change_settings(replace(SETTINGS, timeout_seconds=10), desk.relay.addresses)
    desk.advance(10)
    assert desk.relay.calls == {}


def test_a_call_whose_switch_promised_to_ask_and_does_not_is_dropped_although_both_talk(
    desk: Desk, caller: Phone, callee: Phone
) -> None:
    desk.connect(caller, callee, flags=["watched"])
    for _ in range(5):
        caller.send()
        desk.flow()
        desk.advance(50)
        desk.ask("query", call_id="call")
    assert "call" in desk.relay.calls
    for _ in range(3):
        caller.send()
        desk.flow()
        desk.advance(40)
    assert desk.relay.calls == {}


def test_a_question_makes_no_promise(desk: Desk, caller: Phone, callee: Phone) -> None:
    desk.connect(caller, callee)
    desk.ask("query", call_id="call")
    for _ in range(10):
        caller.send()
        desk.flow()
        desk.advance(50)
    assert "call" in desk.relay.calls
