# SPDX-License-Identifier: Apache-2.0
"""Non-INVITE client transaction: RFC 3261 section 17.1.2, as scripts."""

from __future__ import annotations

from switch.sip.transaction import NonInviteClientTransaction, State
from switch.sip.transaction.states import Input
from tests.sip.covers import DECLARED, covers
from tests.sip.harness import TCP, Script, make_request, received_response

TRYING, PROCEEDING, COMPLETED = State.TRYING, State.PROCEEDING, State.COMPLETED


@covers(NonInviteClientTransaction, (TRYING, Input.TIMER_E), (TRYING, Input.TIMER_F))
def test_timer_e_doubles_up_to_t2_and_timer_f_gives_up() -> None:
    s = Script()
    s.send(make_request("OPTIONS"))
    s.expect_wire("OPTIONS", at=0.0)
    s.advance(100)
    for moment in (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5):
        s.expect_wire("OPTIONS", at=moment)
    s.expect_tu("TimedOut", at=32.0)
    s.expect_tu("Ended")
    s.quiet()
    assert len(s.layer) == 0


@covers(NonInviteClientTransaction, (TRYING, Input.TIMER_F))
def test_over_tcp_nothing_is_retransmitted_but_timer_f_still_gives_up() -> None:
    s = Script(TCP)
    s.send(make_request("OPTIONS"))
    s.expect_wire("OPTIONS")
    s.advance(100)
    s.expect_tu("TimedOut", at=32.0)
    s.expect_tu("Ended")
    s.quiet()


@covers(
    NonInviteClientTransaction,
    (TRYING, Input.RECEIVE_1XX),
    (PROCEEDING, Input.RECEIVE_1XX),
    (PROCEEDING, Input.TIMER_E),
    (PROCEEDING, Input.TIMER_F),
)
def test_a_provisional_response_slows_timer_e_to_t2_and_timer_f_still_gives_up() -> None:
    s = Script()
    options = s.send(make_request("OPTIONS"))
    s.expect_wire("OPTIONS")
    s.advance(0.7)
    s.expect_wire("OPTIONS", at=0.5)
    for _ in range(2):
        s.wire(received_response(options.request, 100, to_tag=None))
        assert s.expect_tu("100").transaction is options
    s.advance(100)
    for moment in (1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5):
        s.expect_wire("OPTIONS", at=moment)
    s.expect_tu("TimedOut", at=32.0)
    s.expect_tu("Ended")
    s.quiet()


@covers(NonInviteClientTransaction, (TRYING, Input.RECEIVE_FINAL), (COMPLETED, Input.TIMER_K))
def test_the_final_response_goes_up_once_and_timer_k_absorbs_the_rest() -> None:
    s = Script()
    options = s.send(make_request("OPTIONS"))
    s.expect_wire("OPTIONS")
    s.wire(received_response(options.request, 200))
    s.expect_tu("200")
    s.wire(received_response(options.request, 200))
    s.wire(received_response(options.request, 100, to_tag=None))
    s.quiet()
    assert s.layer.counters.ignored == 2
    s.advance(100)
    s.expect_tu("Ended", at=5.0)
    s.quiet()


@covers(NonInviteClientTransaction, (PROCEEDING, Input.RECEIVE_FINAL), (COMPLETED, Input.TIMER_K))
def test_timer_k_is_zero_over_tcp() -> None:
    s = Script(TCP)
    options = s.send(make_request("OPTIONS"))
    s.expect_wire("OPTIONS")
    s.wire(received_response(options.request, 100, to_tag=None))
    s.expect_tu("100")
    s.wire(received_response(options.request, 480))
    s.expect_tu("480")
    s.expect_tu("Ended", at=0.0)
    s.quiet()
    assert len(s.layer) == 0


@covers(NonInviteClientTransaction, (TRYING, Input.TRANSPORT_ERROR))
def test_a_transport_error_while_trying_ends_it() -> None:
    s = Script()
    options = s.send(make_request("OPTIONS"))
    s.expect_wire("OPTIONS")
    s.fail(options)
    s.expect_tu("TransportFailed")
    s.expect_tu("Ended")
    s.advance(100)
    s.quiet()


@covers(NonInviteClientTransaction, (PROCEEDING, Input.TRANSPORT_ERROR))
def test_a_transport_error_while_proceeding_ends_it() -> None:
    s = Script()
    options = s.send(make_request("OPTIONS"))
    s.wire(received_response(options.request, 100, to_tag=None))
    s.effects.clear()
    s.fail(options)
    s.expect_tu("TransportFailed")
    s.expect_tu("Ended")


def test_a_transport_error_after_the_final_response_does_not_matter() -> None:
    s = Script()
    options = s.send(make_request("OPTIONS"))
    s.wire(received_response(options.request, 200))
    s.effects.clear()
    s.fail(options)
    s.quiet()
    assert options.state is COMPLETED


def test_every_transition_has_a_test() -> None:
    assert DECLARED["NonInviteClientTransaction"] == set(NonInviteClientTransaction.TABLE)
