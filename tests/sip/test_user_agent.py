# SPDX-License-Identifier: Apache-2.0
"""The user agent core: what reaches whom, strays, and that nothing of a call outlives it."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.sip.agents import ANSWER, OFFER, Line, Solo, assert_forgotten, make_agent
from tests.sip.harness import UDP, received_request, received_response

if TYPE_CHECKING:
    from switch.sip.session import Session


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER"])
def test_requests_outside_of_calls_go_to_the_application(method: str) -> None:
    bob = Solo()
    bob.arrives(received_request(method))
    arrived = bob.hears(f"Arrived {method}")
    assert arrived.flow is UDP
    bob.does(bob.agent.layer.respond(arrived.transaction, arrived.request.response(200), bob.now))
    bob.sends("200")


def test_a_subscription_dialog_that_is_no_call_is_left_to_the_application() -> None:
    bob = Solo()
    bob.arrives(received_request("NOTIFY", to_tag="sub"))
    bob.hears("Arrived NOTIFY")


def test_a_copy_of_an_invite_that_comes_another_way_is_refused_as_merged() -> None:
    bob = Solo()
    bob.arrives(received_request("INVITE"))
    bob.hears("Invited")
    bob.arrives(received_request("INVITE", via="SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-other;rport"))
    bob.sends("482")
    assert bob.is_quiet()


def test_strays_from_the_wire_are_ignored() -> None:
    alice = Solo()
    alice.calls()
    invite = alice.sends("INVITE")
    stranger = received_response(invite, 200, headers=[("Contact", "<sip:bob@192.0.2.2>")])
    stranger.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-unknown")
    alice.arrives(stranger)
    alice.arrives(received_request("ACK", to_tag="nobody"))
    alice.arrives(received_response(received_request("BYE"), 200))
    assert alice.is_quiet()


def test_a_failure_after_the_2xx_is_ignored() -> None:
    alice = Solo()
    alice.calls()
    invite = alice.sends("INVITE")
    alice.arrives(received_response(invite, 200, headers=[("Contact", "<sip:bob@192.0.2.2>")]))
    alice.hears("Answered")
    alice.arrives(received_response(invite, 486))
    alice.arrives(received_response(invite, 180))
    assert alice.is_quiet()


def test_nobody_else_ends_a_call_by_guessing() -> None:
    line = Line()
    line.establish()
    bob = line.bob
    for call_id, to_tag, from_tag in (("x", "b", "a"), (bob.dialog.dialog.call_id, "b", "a")):
        bye = received_request("BYE", call_id=call_id, to_tag=to_tag, from_tag=from_tag)
        bob.does(bob.agent.receive(bye, line.wire.flow_from(bob.endpoint), line.now), settle=False)
    assert line.count("481") == 2
    assert bob.is_talking


def test_a_response_that_cannot_be_sent_is_left_to_the_repetition() -> None:
    line = Line()
    line.alice.calls()
    line.drop("200")
    line.bob.answers()
    line.bob.does(line.bob.agent.send_failed(line.last("200").to_bytes(), line.now))
    line.advance(1)
    assert line.alice.is_talking


def test_watching_by_hand_does_no_harm() -> None:
    line = Line()
    line.alice.calls()
    line.bob.agent.watch(line.bob.incoming)
    session = line.bob.answers()
    line.bob.agent.watch(session)
    line.bob.agent.watch(line.bob.incoming)
    line.alice.hangs_up()
    line.bob.agent.watch(session)
    line.assert_over()


# memory ---------------------------------------------------------------------------------------------------------
def test_nothing_of_a_finished_call_is_kept() -> None:
    line = Line(
        alice=make_agent("alice", session_expires=1800), bob=make_agent("bob", session_expires=1800), latency=0.001
    )
    traces: list[weakref.ref[object]] = []
    for hang_up in (True, False):
        line.alice.calls()
        line.bob.rings(183, body=ANSWER, reliable=True)
        line.bob.answers(body=b"")
        line.alice.sends("INVITE", body=OFFER)
        line.bob.sends("UPDATE", body=OFFER)
        line.alice.sends("INFO")
        (line.alice if hang_up else line.bob).hangs_up()
        traces += [_trace(line.alice.dialog), _trace(line.bob.dialog)]
    line.assert_over()
    line.alice.session = line.bob.session = line.alice.call = line.bob.invite = None
    line.forget()
    line.wire.alice.events.clear()
    line.wire.bob.events.clear()
    gc.collect()
    assert [trace() for trace in traces] == [None] * len(traces)


class _Owner:
    """Something that can be watched and that a session holds."""


def _trace(session: Session) -> weakref.ref[object]:
    owner = session.owner = _Owner()
    return weakref.ref(owner)


@pytest.mark.parametrize("status", [486, 302, 603])
def test_nothing_of_a_refused_call_is_kept(status: int) -> None:
    line = Line()
    for _ in range(3):
        line.alice.calls()
        line.bob.rings(fork="desk")
        line.bob.rings(fork="mobile")
        line.bob.declines(status)
    line.assert_over()


def test_many_short_calls_with_long_session_timers_leave_the_queues_small() -> None:
    line = Line(alice=make_agent("alice", session_expires=1800), bob=make_agent("bob", session_expires=1800))
    for _ in range(300):
        line.establish()
        line.alice.hangs_up()
        line.forget()
        line.wire.alice.events.clear()
        line.wire.bob.events.clear()
        line.advance(1)
    for phone in (line.alice, line.bob):
        assert len(phone.agent._timed._heap) < 200
        assert phone.agent.session_count == 0
    line.assert_over()
    assert_forgotten(line.alice.agent)
