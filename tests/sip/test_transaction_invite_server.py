# SPDX-License-Identifier: Apache-2.0
"""INVITE server transaction: RFC 3261 section 17.2.1 with RFC 6026, as scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from switch.sip.message.errors import LocalProtocolError
from switch.sip.transaction import InviteServerTransaction, State
from switch.sip.transaction.states import Input
from tests.sip.covers import DECLARED, covers
from tests.sip.harness import TCP, UDP, Script, received_request

if TYPE_CHECKING:
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request

PROCEEDING, ACCEPTED, COMPLETED, CONFIRMED = State.PROCEEDING, State.ACCEPTED, State.COMPLETED, State.CONFIRMED


def ring(s: Script) -> InviteServerTransaction:
    """An INVITE arrives and goes up."""
    s.wire(received_request())
    transaction = s.expect_tu("INVITE").transaction
    assert isinstance(transaction, InviteServerTransaction)
    return transaction


def ack() -> Request:
    """An ACK to a failure: with the branch of the INVITE."""
    return received_request("ACK", to_tag="b")


@covers(InviteServerTransaction, (PROCEEDING, Input.TIMER_TRYING))
def test_it_answers_100_by_itself_after_200_ms() -> None:
    s = Script()
    ring(s)
    s.advance(3600)
    trying = s.expect_wire("100", at=0.2)
    assert trying.to_tag is None
    s.quiet()


@covers(InviteServerTransaction, (PROCEEDING, Input.SEND_1XX))
def test_it_leaves_100_to_a_user_that_is_quick() -> None:
    s = Script()
    invite = ring(s)
    s.respond(invite, 100)
    s.expect_wire("100", at=0.0)
    s.respond(invite, 180)
    s.expect_wire("180")
    s.advance(3600)
    s.quiet()


@covers(InviteServerTransaction, (PROCEEDING, Input.REQUEST))
def test_a_retransmitted_invite_gets_the_last_provisional_response_again() -> None:
    s = Script()
    invite = ring(s)
    s.wire(received_request())
    s.quiet()
    s.respond(invite, 100)
    s.respond(invite, 183)
    s.effects.clear()
    s.advance(0.5)
    s.wire(received_request())
    s.expect_wire("183")
    s.quiet()
    assert s.layer.counters.retransmissions_received == 2
    assert s.layer.counters.requests_received == 1


@covers(
    InviteServerTransaction,
    (PROCEEDING, Input.SEND_2XX),
    (ACCEPTED, Input.REQUEST),
    (ACCEPTED, Input.SEND_2XX),
    (ACCEPTED, Input.TIMER_L),
)
@pytest.mark.parametrize("flow", [UDP, TCP])
def test_after_a_2xx_it_absorbs_invites_and_lets_the_user_retransmit_until_timer_l(flow: Flow) -> None:
    s = Script(flow)
    invite = ring(s)
    request = invite.request
    s.respond(invite, 200)
    s.expect_wire("200")
    s.wire(received_request())
    s.quiet()
    s.advance(0.5)
    s.tu(s.layer.respond(invite, request.response(200, to_tag="b"), s.now))
    s.expect_wire("200", at=0.5)
    s.advance(100)
    s.expect_tu("Ended", at=32.0)
    s.quiet()
    assert len(s.layer) == 0


@covers(InviteServerTransaction, (ACCEPTED, Input.ACK))
def test_an_ack_with_the_branch_of_an_accepted_invite_goes_up() -> None:
    s = Script()
    invite = ring(s)
    s.respond(invite, 200)
    s.expect_wire("200")
    s.wire(ack())
    assert s.expect_tu("ACK").transaction is invite


def test_the_ack_to_a_2xx_goes_up_without_a_transaction() -> None:
    s = Script()
    s.respond(ring(s), 200)
    s.expect_wire("200")
    s.wire(received_request("ACK", to_tag="b", via="SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-other;rport"))
    assert s.expect_tu("ACK").transaction is None


@pytest.mark.parametrize("status", [302, 404, 486, 500, 603])
@covers(
    InviteServerTransaction,
    (PROCEEDING, Input.SEND_3XX_6XX),
    (COMPLETED, Input.TIMER_G),
    (COMPLETED, Input.TIMER_H),
)
def test_timer_g_repeats_a_failure_up_to_t2_until_timer_h_gives_up(status: int) -> None:
    s = Script()
    s.respond(ring(s), status)
    s.expect_wire(str(status), at=0.0)
    s.advance(100)
    for moment in (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5):
        s.expect_wire(str(status), at=moment)
    s.expect_tu("TimedOut", at=32.0)
    s.expect_tu("Ended")
    s.quiet()


@covers(InviteServerTransaction, (COMPLETED, Input.TIMER_H))
def test_over_tcp_a_failure_is_not_repeated_but_timer_h_still_gives_up() -> None:
    s = Script(TCP)
    s.respond(ring(s), 486)
    s.expect_wire("486")
    s.advance(100)
    s.expect_tu("TimedOut", at=32.0)
    s.expect_tu("Ended")
    s.quiet()


@covers(InviteServerTransaction, (COMPLETED, Input.REQUEST))
def test_a_retransmitted_invite_gets_the_failure_again() -> None:
    s = Script()
    s.respond(ring(s), 486)
    s.expect_wire("486")
    s.wire(received_request())
    s.expect_wire("486")
    s.quiet()


@covers(InviteServerTransaction, (COMPLETED, Input.ACK), (CONFIRMED, Input.ACK), (CONFIRMED, Input.TIMER_I))
def test_the_ack_ends_the_repetition_and_timer_i_absorbs_more_acks() -> None:
    s = Script()
    s.respond(ring(s), 486)
    s.expect_wire("486")
    s.advance(0.1)
    s.wire(ack())
    s.wire(ack())
    s.quiet()
    s.advance(100)
    s.expect_tu("Ended", at=5.1)
    s.quiet()


@covers(InviteServerTransaction, (CONFIRMED, Input.TIMER_I))
def test_timer_i_is_zero_over_tcp() -> None:
    s = Script(TCP)
    s.respond(ring(s), 486)
    s.expect_wire("486")
    s.wire(ack())
    s.expect_tu("Ended", at=0.0)
    s.quiet()
    assert len(s.layer) == 0


def test_an_ack_out_of_place_is_ignored_and_counted() -> None:
    s = Script()
    ring(s)
    s.wire(ack())
    s.quiet()
    assert s.layer.counters.ignored == 1


def test_an_invite_after_the_ack_is_ignored() -> None:
    s = Script()
    invite = ring(s)
    s.respond(invite, 486)
    s.wire(ack())
    s.effects.clear()
    s.wire(received_request())
    s.quiet()
    assert invite.state is CONFIRMED


@covers(
    InviteServerTransaction,
    (PROCEEDING, Input.TRANSPORT_ERROR),
    (COMPLETED, Input.TRANSPORT_ERROR),
)
def test_transport_errors_are_reported_and_leave_the_state_alone() -> None:
    s = Script()
    invite = ring(s)
    s.respond(invite, 180)
    s.effects.clear()
    s.fail(invite)
    s.expect_tu("TransportFailed")
    assert invite.state is PROCEEDING
    s.respond(invite, 486)
    s.expect_wire("486")
    s.fail(invite)
    s.expect_tu("TransportFailed")
    assert invite.state is COMPLETED
    s.advance(0.5)
    s.expect_wire("486", at=0.5)
    assert s.layer.counters.transport_failures == 2


@covers(InviteServerTransaction, (ACCEPTED, Input.TRANSPORT_ERROR))
def test_a_transport_error_of_a_2xx_leaves_its_repetition_to_the_user() -> None:
    s = Script()
    invite = ring(s)
    s.respond(invite, 200)
    s.effects.clear()
    s.fail(invite)
    s.expect_tu("TransportFailed")
    s.quiet()
    assert invite.state is ACCEPTED


@pytest.mark.parametrize("first", [200, 486])
@pytest.mark.parametrize("second", [180, 486])
def test_to_answer_after_the_final_response_is_a_bug_of_ours(first: int, second: int) -> None:
    s = Script()
    invite = ring(s)
    request = invite.request
    s.respond(invite, first)
    with pytest.raises(LocalProtocolError):
        s.layer.respond(invite, request.response(second, to_tag="b"), s.now)
    assert invite.state in (ACCEPTED, COMPLETED)


def test_every_transition_has_a_test() -> None:
    assert DECLARED["InviteServerTransaction"] == set(InviteServerTransaction.TABLE)
