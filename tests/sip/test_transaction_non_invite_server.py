# SPDX-License-Identifier: Apache-2.0
"""Non-INVITE server transaction: RFC 3261 section 17.2.2, as scripts."""

from __future__ import annotations

import pytest

from switch.sip.message.errors import LocalProtocolError
from switch.sip.transaction import NonInviteServerTransaction, State
from switch.sip.transaction.states import Input
from tests.sip.covers import DECLARED, covers
from tests.sip.harness import TCP, Script, received_request

TRYING, PROCEEDING, COMPLETED = State.TRYING, State.PROCEEDING, State.COMPLETED


def ask(s: Script) -> NonInviteServerTransaction:
    """An OPTIONS arrives and goes up."""
    s.wire(received_request("OPTIONS"))
    transaction = s.expect_tu("OPTIONS").transaction
    assert isinstance(transaction, NonInviteServerTransaction)
    return transaction


@covers(NonInviteServerTransaction, (TRYING, Input.REQUEST), (TRYING, Input.TIMER_LATE))
def test_it_is_silent_until_timer_e_of_the_client_is_at_t2_and_answers_100_then() -> None:
    s = Script()
    options = ask(s)
    s.wire(received_request("OPTIONS"))
    s.quiet()
    assert s.layer.counters.retransmissions_received == 1
    s.advance(3600)
    s.expect_wire("100", at=3.5)
    s.quiet()
    assert options.state is PROCEEDING


@covers(NonInviteServerTransaction, (TRYING, Input.ABANDON), (PROCEEDING, Input.ABANDON))
def test_the_user_may_leave_it_without_a_final_response() -> None:
    for wait in (1.0, 10.0):
        s = Script()
        options = ask(s)
        s.advance(wait)
        s.effects.clear()
        s.tu(s.layer.abandon(options, s.now))
        s.expect_tu("Ended")
        s.advance(100)
        s.quiet()
        assert len(s.layer) == 0


@covers(
    NonInviteServerTransaction,
    (TRYING, Input.SEND_1XX),
    (PROCEEDING, Input.SEND_1XX),
    (PROCEEDING, Input.REQUEST),
    (PROCEEDING, Input.SEND_FINAL),
)
def test_a_retransmission_gets_the_last_provisional_response_again() -> None:
    s = Script()
    options = ask(s)
    s.respond(options, 100)
    s.expect_wire("100")
    s.respond(options, 100)
    s.expect_wire("100")
    s.wire(received_request("OPTIONS"))
    s.expect_wire("100")
    s.respond(options, 200)
    s.expect_wire("200")
    s.quiet()


@covers(NonInviteServerTransaction, (TRYING, Input.SEND_FINAL), (COMPLETED, Input.REQUEST), (COMPLETED, Input.TIMER_J))
def test_a_retransmission_gets_the_final_response_again_until_timer_j() -> None:
    s = Script()
    options = ask(s)
    s.respond(options, 404)
    s.expect_wire("404")
    s.advance(31.9)
    s.wire(received_request("OPTIONS"))
    s.expect_wire("404")
    s.advance(100)
    s.expect_tu("Ended", at=32.0)
    s.quiet()
    s.wire(received_request("OPTIONS"))
    assert s.expect_tu("OPTIONS").transaction is not options


@covers(NonInviteServerTransaction, (COMPLETED, Input.TIMER_J))
def test_timer_j_is_zero_over_tcp() -> None:
    s = Script(TCP)
    s.respond(ask(s), 200)
    s.expect_wire("200")
    s.expect_tu("Ended", at=0.0)
    s.quiet()
    assert len(s.layer) == 0


@covers(NonInviteServerTransaction, (PROCEEDING, Input.TRANSPORT_ERROR), (COMPLETED, Input.TRANSPORT_ERROR))
def test_transport_errors_are_reported_and_leave_the_state_alone() -> None:
    s = Script()
    options = ask(s)
    s.respond(options, 100)
    s.effects.clear()
    s.fail(options)
    s.expect_tu("TransportFailed")
    assert options.state is PROCEEDING
    s.respond(options, 200)
    s.expect_wire("200")
    s.fail(options)
    s.expect_tu("TransportFailed")
    s.wire(received_request("OPTIONS"))
    s.expect_wire("200")


@pytest.mark.parametrize("status", [100, 200, 500])
def test_to_answer_after_the_final_response_is_a_bug_of_ours(status: int) -> None:
    s = Script()
    options = ask(s)
    response = options.request.response(status, to_tag="b")
    s.respond(options, 200)
    with pytest.raises(LocalProtocolError):
        s.layer.respond(options, response, s.now)


def test_the_request_is_let_go_with_the_final_response() -> None:
    s = Script()
    options = ask(s)
    s.respond(options, 200)
    with pytest.raises(LocalProtocolError):
        _ = options.request


def test_every_transition_has_a_test() -> None:
    assert DECLARED["NonInviteServerTransaction"] == set(NonInviteServerTransaction.TABLE)
