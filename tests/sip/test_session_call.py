# SPDX-License-Identifier: Apache-2.0
"""The basic call: RFC 3261 sections 13 and 15, the 2xx and its ACK by RFC 6026."""

from __future__ import annotations

import pytest

from switch.sip.session import State
from tests.sip.agents import ANSWER, OFFER, Line, Solo
from tests.sip.harness import received_response


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_rings_is_answered_and_is_ended_by_the_caller(transport: str) -> None:
    line = Line(transport=transport)
    line.alice.calls()
    line.bob.rings()
    line.bob.answers()
    assert line.alice.is_talking
    assert line.bob.is_talking
    line.alice.hangs_up()
    assert line.ladder() == ["alice INVITE", "bob 180", "bob 200", "alice ACK", "alice BYE", "bob 200"]
    line.alice.hears_all("Progressed 180", "Answered")
    line.bob.hears_all("Invited", "Acknowledged", "Ended bye")
    line.assert_over()


def test_the_callee_may_hang_up_too() -> None:
    line = Line()
    line.establish()
    line.bob.hangs_up()
    assert line.ladder() == ["bob BYE", "alice 200"]
    line.alice.hears_all("Ended bye")
    line.assert_over()


def test_a_refused_call_ends_with_the_status_of_the_refusal() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.bob.declines(486)
    line.alice.hears_all("Progressed 180", "Failed 486")
    line.bob.hears_all("Invited")
    line.assert_over()


def test_nobody_answers_at_all() -> None:
    line = Line()
    with line.wire.cut():
        line.alice.calls()
        line.advance(33)
    failed = line.alice.hears("Failed 408")
    assert failed.local
    line.assert_over()


def test_the_transport_fails() -> None:
    alice = Solo()
    alice.calls()
    invite = alice.sends("INVITE")
    alice.does(alice.agent.send_failed(invite.to_bytes(), alice.now))
    assert alice.hears("Failed 503").local
    assert alice.is_quiet()


def test_messages_of_the_dialog_carry_contact_and_both_tags() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.bob.answers()
    ringing, ok, ack = line.last("180"), line.last("200"), line.last("ACK")
    assert ringing.contact.uri_text == ok.contact.uri_text == "sip:bob@192.0.2.2:5060"
    assert ringing.to_tag == ok.to_tag == ack.to_tag
    assert ack.uri_text == "sip:bob@192.0.2.2:5060"
    assert ack.cseq == 1
    assert ack.cseq_method == "ACK"
    assert ok.get("Allow")
    assert ok.get("Supported")


# the 2xx and its ACK --------------------------------------------------------------------------------------------
def test_a_2xx_is_repeated_until_its_ack_comes() -> None:
    line = Line()
    line.alice.calls()
    line.drop("ACK", times=4)
    line.bob.answers()
    assert line.alice.is_talking
    assert line.bob.dialog.state is State.ACCEPTED
    line.advance(40)
    # T1 doubling up to T2
    assert line.times("200") == [0.01, 0.51, 1.51, 3.51, 7.51]
    assert line.count("ACK") == 5
    assert line.bob.is_talking
    line.bob.hears_all("Invited", "Acknowledged")
    line.alice.hears_all("Answered")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_2xx_whose_ack_never_comes_is_given_up_with_bye_after_64_t1(transport: str) -> None:
    line = Line(transport=transport)
    line.alice.acks = False
    line.alice.calls()
    line.bob.answers()
    line.advance(31.9)
    assert not line.count("BYE")
    assert len(line.times("200")) == 11
    line.advance(0.2)
    assert line.times("BYE") == [32.01]
    line.bob.hears_all("Invited", "Ended no-ack")
    line.settle()
    # the caller's application slept: its session ends all the same, and the 2xx gets its ACK at last
    line.alice.hears_all("Answered", "Ended bye")
    line.assert_over()


def test_a_repeated_2xx_gets_the_same_ack_again() -> None:
    line = Line()
    line.alice.calls()
    line.duplicate("200")
    line.bob.answers()
    acks = [data for _, _, data in line.wire.sent if data.startswith(b"ACK")]
    assert len(acks) == 2
    assert acks[0] == acks[1]
    line.alice.hears_all("Answered")


def test_a_2xx_that_comes_when_its_transaction_is_gone_gets_its_ack_still() -> None:
    alice = Solo()
    call = alice.calls()
    invite = alice.sends("INVITE")
    ok = received_response(invite, 200, headers=[("Contact", "<sip:bob@192.0.2.2>")])
    alice.arrives(ok)
    answered = alice.hears("Answered")
    alice.does(answered.session.ack(call.request, alice.now))
    ack = alice.sends("ACK")
    alice.advance(33)
    assert len(alice.agent.layer) == 0
    alice.arrives(ok)
    assert alice.sends("ACK").to_bytes() == ack.to_bytes()
    assert alice.is_quiet()


def test_a_2xx_that_is_repeated_before_the_application_acknowledged_is_told_once() -> None:
    line = Line()
    line.alice.acks = False
    line.alice.calls()
    line.bob.answers()
    line.advance(5)
    assert line.count("200") > 2
    assert line.count("ACK") == 0
    line.alice.hears_all("Answered")


def test_the_ack_carries_the_credentials_of_its_invite() -> None:
    line = Line()
    line.alice.calls(headers=[("Proxy-Authorization", 'Digest username="alice"')])
    line.bob.answers()
    assert line.last("ACK").get("Proxy-Authorization") == 'Digest username="alice"'


def test_an_ack_for_another_invite_confirms_nothing() -> None:
    line = Line()
    line.alice.calls()
    line.drop("ACK")
    line.bob.answers()
    ack = line.last("ACK")
    ack.set("CSeq", "7 ACK")
    line.bob.does(line.bob.agent.receive(ack, line.wire.flow_from(line.bob.endpoint), line.now))
    assert line.bob.dialog.state is State.ACCEPTED


def test_an_ack_with_the_branch_of_its_invite_counts_too() -> None:
    # RFC 2543 elements, and some of today, do not make a new branch
    line = Line()
    line.alice.calls()
    line.drop("ACK")
    line.bob.answers()
    ack = line.last("ACK")
    ack.set("Via", line.last("INVITE").get("Via"))
    line.bob.does(line.bob.agent.receive(ack, line.wire.flow_from(line.bob.endpoint), line.now))
    assert line.bob.is_talking


def test_a_callee_who_hangs_up_waits_for_the_ack_before_the_bye() -> None:
    line = Line()
    line.alice.calls()
    line.drop("ACK")
    line.bob.answers()
    line.bob.hangs_up()
    assert line.bob.dialog.state is State.ENDING
    assert not line.count("BYE")
    line.advance(1)
    assert line.ladder()[-4:] == ["bob 200", "alice ACK", "bob BYE", "alice 200"]
    line.bob.hears_all("Invited")
    line.alice.hears_all("Answered", "Ended bye")
    line.assert_over()


def test_a_callee_who_hangs_up_and_never_gets_the_ack_says_bye_in_the_end() -> None:
    line = Line()
    line.alice.acks = False
    line.alice.calls()
    line.bob.answers()
    line.bob.hangs_up(headers=[("Reason", "Q.850;cause=16")])
    line.advance(33)
    assert line.count("BYE") == 1
    assert line.last("BYE").get("Reason") == "Q.850;cause=16"
    line.bob.hears_all("Invited")
    line.assert_over()


def test_while_the_bye_waits_requests_of_the_peer_are_refused() -> None:
    line = Line()
    line.alice.calls()
    line.drop("ACK")
    line.bob.answers()
    line.bob.hangs_up()
    line.forget()
    line.alice.sends("INFO")
    line.alice.hears("Replied INFO 481")
    line.bob.hears_all()


def test_both_hang_up_at_once() -> None:
    line = Line()
    line.establish()
    line.alice.hangs_up(settle=False)
    line.bob.hangs_up()
    line.settle()
    line.alice.hears_all()
    line.bob.hears_all()
    line.assert_over()


def test_a_caller_who_hangs_up_before_the_application_acknowledged_acknowledges_first() -> None:
    line = Line()
    line.alice.acks = False
    line.alice.calls()
    line.bob.answers()
    line.alice.session = line.alice.hears("Answered").session
    line.alice.hangs_up()
    assert line.ladder()[-3:] == ["alice ACK", "alice BYE", "bob 200"]
    line.assert_over()


def test_hanging_up_twice_sends_one_bye() -> None:
    line = Line()
    line.establish()
    line.alice.hangs_up(settle=False)
    line.alice.hangs_up()
    assert line.count("BYE") == 1


def test_a_bye_that_is_lost_is_sent_again_and_told_once() -> None:
    line = Line()
    line.establish()
    line.drop("BYE", times=2)
    line.drop("200", times=1)
    line.alice.hangs_up()
    line.advance(40)
    assert line.count("BYE") == 4
    line.bob.hears_all("Ended bye")
    line.assert_over()


def test_the_reason_of_a_bye_arrives() -> None:
    line = Line()
    line.establish()
    line.alice.hangs_up(headers=[("Reason", "Q.850;cause=31")])
    assert line.bob.hears("Ended bye").request.get("Reason") == "Q.850;cause=31"


def test_hanging_up_an_unanswered_call_cancels_it() -> None:
    line = Line()
    call = line.alice.calls()
    line.bob.rings()
    early = line.alice.hears("Progressed 180").session
    line.alice.does(early.bye(line.now))
    assert line.ladder()[-4:] == ["alice CANCEL", "bob 200", "bob 487", "alice ACK"]
    assert line.alice.hears("Failed 487").invite is call
    line.bob.hears_all("Invited", "Cancelled")
    line.assert_over()


def test_a_caller_may_also_end_an_unanswered_call_by_bye() -> None:
    # RFC 3261 15: the INVITE is answered 487
    line = Line()
    line.alice.calls()
    line.bob.rings()
    early = line.alice.hears("Progressed 180").session
    line.alice.does(early.hang_up(line.now))
    assert line.ladder()[-4:] == ["alice BYE", "bob 200", "bob 487", "alice ACK"]
    line.alice.hears_all("Failed 487")
    line.bob.hears_all("Invited", "Cancelled")
    line.assert_over()


def test_a_call_without_offer_gets_one_in_the_2xx_and_answers_it_in_the_ack() -> None:
    line = Line()
    line.alice.calls(offer=b"")
    line.bob.answers(body=OFFER)
    assert line.last("200").sdp == OFFER
    assert line.last("ACK").sdp == ANSWER
    assert line.bob.dialog.local_sdp == OFFER
    assert line.alice.dialog.local_sdp == ANSWER
    line.bob.hears("Invited")
    assert line.bob.hears("Acknowledged").request.sdp == ANSWER


def test_a_2xx_says_again_what_an_unreliable_response_said_of_us() -> None:
    # RFC 3261 13.2.1: only a 2xx or a reliable response answers, however often 183 has said it before
    line = Line()
    line.alice.calls()
    line.bob.rings(183, body=ANSWER)
    line.bob.answers(body=b"")
    assert line.last("200").sdp == ANSWER
    assert line.bob.dialog.local_sdp == ANSWER
