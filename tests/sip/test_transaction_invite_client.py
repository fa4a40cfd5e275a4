# SPDX-License-Identifier: Apache-2.0
"""INVITE client transaction: RFC 3261 section 17.1.1 with RFC 6026, as scripts."""

from __future__ import annotations

import pytest

from switch.sip.transaction import InviteClientTransaction, State
from switch.sip.transaction.states import Input
from tests.sip.covers import DECLARED, covers
from tests.sip.harness import TCP, Script, make_request, received_response

CALLING, PROCEEDING, ACCEPTED, COMPLETED = State.CALLING, State.PROCEEDING, State.ACCEPTED, State.COMPLETED


@covers(InviteClientTransaction, (CALLING, Input.TIMER_A), (CALLING, Input.TIMER_B))
def test_timer_a_doubles_without_limit_and_timer_b_gives_up() -> None:
    s = Script()
    invite = s.send(make_request())
    s.expect_wire("INVITE", at=0.0)
    s.advance(100)
    for moment in (0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        s.expect_wire("INVITE", at=moment)
    s.expect_tu("TimedOut", at=32.0)
    assert s.expect_tu("Ended", at=32.0).transaction is invite
    s.quiet()
    assert len(s.layer) == 0


def test_retransmissions_are_the_same_bytes() -> None:
    s = Script()
    invite = s.send(make_request(body=b"v=0\r\n"))
    s.advance(0.5)
    (_, first), (_, again) = s.effects
    assert first == again
    assert first.data is again.data  # type: ignore[union-attr]
    assert invite.state is CALLING


@covers(InviteClientTransaction, (CALLING, Input.TIMER_B))
def test_over_tcp_nothing_is_retransmitted_but_timer_b_still_gives_up() -> None:
    s = Script(TCP)
    s.send(make_request())
    s.expect_wire("INVITE")
    s.advance(100)
    s.expect_tu("TimedOut", at=32.0)
    s.expect_tu("Ended")
    s.quiet()


@covers(InviteClientTransaction, (CALLING, Input.RECEIVE_1XX), (PROCEEDING, Input.RECEIVE_1XX))
def test_provisional_responses_stop_the_retransmission_and_all_go_up() -> None:
    s = Script()
    invite = s.send(make_request())
    s.expect_wire("INVITE")
    for status in (100, 180, 183, 180):
        s.wire(received_response(invite.request, status))
        assert s.expect_tu(str(status)).transaction is invite
    s.advance(3600)
    s.quiet()
    assert invite.state is PROCEEDING
    assert invite.next_deadline is None


@covers(
    InviteClientTransaction,
    (CALLING, Input.RECEIVE_2XX),
    (ACCEPTED, Input.RECEIVE_2XX),
    (ACCEPTED, Input.TIMER_M),
)
def test_every_2xx_goes_up_until_timer_m() -> None:
    """Forked and retransmitted ones alike: the session acknowledges each (13.2.2.4)."""
    s = Script()
    invite = s.send(make_request())
    s.expect_wire("INVITE")
    s.wire(received_response(invite.request, 200, to_tag="b"))
    s.expect_tu("200")
    s.advance(0.5)
    s.wire(received_response(invite.request, 200, to_tag="b"))
    s.wire(received_response(invite.request, 200, to_tag="other"))
    assert s.expect_tu("200").transaction is invite
    assert s.expect_tu("200").response.to_tag == "other"
    s.advance(100)
    s.expect_tu("Ended", at=32.0)
    s.quiet()


@covers(InviteClientTransaction, (PROCEEDING, Input.RECEIVE_2XX), (ACCEPTED, Input.TIMER_M))
def test_timer_m_runs_over_tcp_as_well() -> None:
    s = Script(TCP)
    invite = s.send(make_request())
    s.expect_wire("INVITE")
    s.wire(received_response(invite.request, 180))
    s.expect_tu("180")
    s.advance(10)
    s.wire(received_response(invite.request, 200))
    s.expect_tu("200")
    s.advance(100)
    s.expect_tu("Ended", at=42.0)


@pytest.mark.parametrize("status", [301, 404, 486, 503, 603])
@covers(
    InviteClientTransaction,
    (CALLING, Input.RECEIVE_3XX_6XX),
    (COMPLETED, Input.RECEIVE_3XX_6XX),
    (COMPLETED, Input.TIMER_D),
)
def test_a_failure_goes_up_once_and_is_acknowledged_each_time_until_timer_d(status: int) -> None:
    s = Script()
    invite = s.send(make_request())
    s.expect_wire("INVITE")
    s.wire(received_response(invite.request, status))
    s.expect_wire("ACK", at=0.0)
    s.expect_tu(str(status))
    for _ in range(3):
        s.advance(0.5)
        s.wire(received_response(invite.request, status))
        s.expect_wire("ACK")
    s.quiet()
    s.advance(100)
    s.expect_tu("Ended", at=32.0)
    s.quiet()
    assert s.layer.counters.acks_sent == 4


@covers(InviteClientTransaction, (PROCEEDING, Input.RECEIVE_3XX_6XX), (COMPLETED, Input.TIMER_D))
def test_timer_d_is_zero_over_tcp() -> None:
    s = Script(TCP)
    invite = s.send(make_request())
    s.expect_wire("INVITE")
    s.wire(received_response(invite.request, 100, to_tag=None))
    s.expect_tu("100")
    s.wire(received_response(invite.request, 486))
    s.expect_wire("ACK")
    s.expect_tu("486")
    s.expect_tu("Ended", at=0.0)
    s.quiet()
    assert len(s.layer) == 0


def test_the_ack_to_a_failure_is_made_of_the_invite_and_of_the_to_of_the_response() -> None:
    s = Script()
    route = ("Route", "<sip:proxy.example.com;lr>, <sip:next.example.com;lr>")
    invite = s.send(make_request(cseq=7, headers=[route, ("Require", "100rel")], body=b"v=0\r\n"))
    sent = s.expect_wire("INVITE")
    s.wire(received_response(invite.request, 486, to_tag="busy"))
    ack = s.expect_wire("ACK")
    assert ack.uri_text == sent.uri_text
    assert ack.all("Via") == sent.all("Via")
    assert ack.all("Route") == [route[1]]
    assert (ack.from_, ack.call_id) == (sent.from_, sent.call_id)
    assert ack.to_tag == "busy"
    assert (ack.cseq, ack.cseq_method) == (7, "ACK")
    assert ack.max_forwards == 70
    assert ack.get("Require") is None
    assert ack.body == b""


@covers(InviteClientTransaction, (CALLING, Input.TRANSPORT_ERROR))
def test_a_transport_error_ends_the_attempt() -> None:
    s = Script()
    invite = s.send(make_request())
    s.expect_wire("INVITE")
    s.fail(invite)
    s.expect_tu("TransportFailed")
    s.expect_tu("Ended")
    s.advance(100)
    s.quiet()


@covers(InviteClientTransaction, (COMPLETED, Input.TRANSPORT_ERROR))
def test_a_transport_error_of_the_ack_ends_the_transaction() -> None:
    s = Script()
    invite = s.send(make_request())
    s.wire(received_response(invite.request, 486))
    s.effects.clear()
    s.fail(invite)
    s.expect_tu("TransportFailed")
    s.expect_tu("Ended")


def test_responses_that_mean_nothing_any_more_are_ignored_and_counted() -> None:
    s = Script()
    invite = s.send(make_request())
    s.wire(received_response(invite.request, 200))
    s.effects.clear()
    s.wire(received_response(invite.request, 180))
    s.wire(received_response(invite.request, 486))
    s.quiet()
    assert s.layer.counters.ignored == 2
    failed = s.send(make_request(call_id="call-2"))
    s.wire(received_response(failed.request, 486))
    s.effects.clear()
    s.wire(received_response(failed.request, 200))
    s.wire(received_response(failed.request, 100))
    s.quiet()
    assert failed.state is COMPLETED


def test_a_2xx_after_the_end_is_a_stray_for_the_session_to_acknowledge() -> None:
    s = Script()
    invite = s.send(make_request())
    s.wire(received_response(invite.request, 200))
    s.advance(100)
    s.effects.clear()
    s.wire(received_response(invite.request, 200))
    assert s.expect_tu("200").transaction is None
    assert s.layer.counters.strays == 1


# CANCEL (section 9.1) -----------------------------------------------------------------------------------------------
def cancel(s: Script, invite: InviteClientTransaction, **more: list[tuple[str, str]]) -> object:
    """The user gives up; returns the transaction of the CANCEL."""
    transaction, effects = s.layer.cancel(invite, s.now, **more)
    s.tu(effects)
    return transaction


@covers(InviteClientTransaction, (PROCEEDING, Input.CANCEL))
def test_cancel_after_a_provisional_response_leaves_at_once() -> None:
    s = Script()
    invite = s.send(make_request(cseq=3, headers=[("Route", "<sip:proxy.example.com;lr>"), ("Require", "timer")]))
    sent = s.expect_wire("INVITE")
    s.wire(received_response(invite.request, 180))
    s.expect_tu("180")
    transaction = cancel(s, invite, headers=[("Reason", 'SIP;cause=200;text="Call completed elsewhere"')])
    request = s.expect_wire("CANCEL")
    assert transaction is not None
    assert request.uri_text == sent.uri_text
    assert request.all("Via") == sent.all("Via")
    assert request.all("Route") == sent.all("Route")
    assert (request.cseq, request.cseq_method) == (3, "CANCEL")
    assert (request.from_, request.to, request.call_id) == (sent.from_, sent.to, sent.call_id)
    assert request.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    assert request.get("Require") is None
    s.wire(received_response(request, 200))
    assert s.expect_tu("200").transaction is transaction
    s.wire(received_response(invite.request, 487))
    s.expect_wire("ACK")
    s.expect_tu("487")


@covers(InviteClientTransaction, (CALLING, Input.CANCEL))
def test_cancel_before_any_provisional_response_waits_for_one() -> None:
    s = Script()
    invite = s.send(make_request())
    s.expect_wire("INVITE")
    assert cancel(s, invite) is None
    s.quiet()
    s.advance(0.5)
    s.expect_wire("INVITE", at=0.5)
    s.wire(received_response(invite.request, 100, to_tag=None))
    s.expect_tu("100")
    s.expect_wire("CANCEL")
    s.wire(received_response(invite.request, 180))
    s.expect_tu("180")
    s.quiet()


def test_a_waiting_cancel_becomes_pointless_with_a_final_response() -> None:
    s = Script()
    invite = s.send(make_request())
    s.expect_wire("INVITE")
    cancel(s, invite)
    s.wire(received_response(invite.request, 200))
    s.expect_tu("200")
    s.quiet()
    assert invite.cancelled


def test_cancel_after_a_final_response_or_twice_does_nothing() -> None:
    s = Script()
    answered = s.send(make_request())
    s.wire(received_response(answered.request, 200))
    ringing = s.send(make_request(call_id="call-2"))
    s.wire(received_response(ringing.request, 180))
    s.effects.clear()
    assert cancel(s, answered) is None
    s.quiet()
    cancel(s, ringing)
    s.expect_wire("CANCEL")
    assert cancel(s, ringing) is None
    s.quiet()


def test_the_200_may_cross_the_cancel() -> None:
    s = Script()
    invite = s.send(make_request())
    s.wire(received_response(invite.request, 180))
    s.effects.clear()
    cancel(s, invite)
    request = s.expect_wire("CANCEL")
    s.wire(received_response(invite.request, 200))
    s.expect_tu("200")
    s.wire(received_response(request, 481))
    s.expect_tu("481")
    s.advance(100)
    s.expect_tu("Ended")
    s.expect_tu("Ended", at=32.0)
    s.quiet()


@covers(InviteClientTransaction, (PROCEEDING, Input.TIMER_CANCELLED))
def test_an_invite_that_nobody_ends_after_its_cancel_times_out() -> None:
    s = Script(TCP)
    invite = s.send(make_request())
    s.wire(received_response(invite.request, 180))
    s.effects.clear()
    s.advance(5)
    cancel(s, invite)
    request = s.expect_wire("CANCEL")
    s.wire(received_response(request, 200))
    s.expect_tu("200")
    s.expect_tu("Ended")
    s.advance(100)
    s.expect_tu("TimedOut", at=37.0)
    s.expect_tu("Ended")
    s.quiet()


def test_a_waiting_cancel_is_sent_once_however_many_provisional_responses_come() -> None:
    s = Script(TCP)
    invite = s.send(make_request())
    cancel(s, invite)
    s.expect_wire("INVITE")
    s.wire(received_response(invite.request, 100, to_tag=None))
    s.expect_tu("100")
    request = s.expect_wire("CANCEL")
    s.wire(received_response(request, 200))
    s.expect_tu("200")
    s.expect_tu("Ended")
    s.wire(received_response(invite.request, 180))
    s.expect_tu("180")
    s.quiet()


def test_every_transition_has_a_test() -> None:
    assert DECLARED["InviteClientTransaction"] == set(InviteClientTransaction.TABLE)
