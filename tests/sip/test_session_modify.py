# SPDX-License-Identifier: Apache-2.0
"""Requests within the dialog: re-INVITE (RFC 3261 section 14), glare (RFC 6337), INFO and others."""

from __future__ import annotations

import pytest

from switch.sip.session import Requested, State
from tests.sip.agents import ANSWER, HOLD, OFFER, Line


# re-INVITE ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", [0, 1])
def test_either_side_puts_the_other_on_hold_and_takes_it_back(who: int) -> None:
    line = Line.established()
    asking, asked = line.both_ways()[who]
    for body in (HOLD, OFFER):
        asking.sends("INVITE", body=body)
        asking.hears_all("Replied INVITE 200")
        told = asked.hears("Requested INVITE")
        assert told.request.sdp == body
        asked.hears("Acknowledged")
        assert asking.dialog.local_sdp == body
        assert asked.dialog.local_sdp == ANSWER
    first, second = asking.endpoint.name, asked.endpoint.name
    assert line.ladder() == 2 * [f"{first} INVITE", f"{second} 200", f"{first} ACK"]
    assert line.alice.is_talking
    assert line.bob.is_talking
    line.bob.hangs_up()
    line.assert_over()


def test_the_2xx_to_a_re_invite_is_repeated_and_its_loss_noticed_like_the_first_one() -> None:
    line = Line.established()
    line.drop("ACK", times=2)
    line.alice.sends("INVITE", body=HOLD)
    line.advance(5)
    assert line.count("200") == 3
    line.bob.hears_all("Requested INVITE", "Acknowledged")
    line.alice.acks = False
    line.alice.sends("INVITE", body=OFFER)
    line.advance(33)
    line.bob.hears_all("Requested INVITE", "Ended no-ack")
    line.settle()
    line.assert_over()


def test_a_refused_re_invite_leaves_the_call_as_it_was() -> None:
    line = Line.established()
    line.bob.replies = 488
    line.alice.sends("INVITE", body=HOLD)
    line.alice.hears("Replied INVITE 488")
    assert line.alice.is_talking
    assert line.alice.dialog.local_sdp == OFFER
    line.bob.replies = 200
    line.alice.sends("INVITE", body=HOLD)
    line.alice.hears("Replied INVITE 200")


@pytest.mark.parametrize("status", [481, 408])
def test_a_re_invite_that_finds_nobody_ends_the_call(status: int) -> None:
    line = Line.established()
    line.bob.replies = status
    line.alice.sends("INVITE", body=HOLD)
    line.alice.hears_all(f"Replied INVITE {status}", "Ended failed")
    assert line.count("BYE") == 1
    line.assert_over()


def test_a_re_invite_that_is_never_answered_ends_the_call() -> None:
    line = Line.established()
    with line.wire.cut():
        line.alice.sends("INVITE", body=HOLD)
        line.advance(33)
        line.alice.hears_all("Replied INVITE 408", "Ended failed")
        line.advance(33)
    assert line.alice.is_idle


def test_a_failed_prack_or_info_does_not_end_the_call() -> None:
    line = Line.established()
    line.bob.replies = 408
    line.alice.sends("INFO")
    line.alice.hears_all("Replied INFO 408")
    assert line.alice.is_talking


def test_a_re_invite_is_withdrawn_and_the_call_lives() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("INVITE", body=HOLD)
    line.advance(0.3)
    line.alice.does(line.alice.dialog.cancel(line.now))
    line.alice.hears_all("Replied INVITE 487")
    requested = line.bob.hears("Requested INVITE")
    assert line.bob.hears("Withdrawn").transaction is requested.transaction
    line.bob.responds(200, body=ANSWER)
    assert line.ladder() == ["alice INVITE", "bob 100", "alice CANCEL", "bob 200", "bob 487", "alice ACK"]
    assert line.alice.is_talking
    assert line.alice.dialog.local_sdp == OFFER
    line.bob.replies = 200
    line.alice.sends("INVITE", body=HOLD)
    line.alice.hears_all("Replied INVITE 200")


def test_a_withdrawal_that_comes_too_late_changes_nothing() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("INVITE", body=HOLD)
    line.advance(0.3)
    line.bob.responds(200, body=ANSWER, settle=False)
    line.alice.does(line.alice.dialog.cancel(line.now))
    line.alice.hears_all("Replied INVITE 200")
    line.bob.hears_all("Requested INVITE", "Acknowledged")
    line.alice.does(line.alice.dialog.cancel(line.now))
    assert line.count("CANCEL") == 1


def test_a_re_invite_without_offer_is_answered_with_one() -> None:
    line = Line.established()
    line.alice.sends("INVITE")
    assert line.last("INVITE").sdp is None
    assert line.last("200").sdp == ANSWER
    assert line.last("ACK").sdp == ANSWER
    line.bob.hears("Requested INVITE")
    assert line.bob.hears("Acknowledged").request.sdp == ANSWER
    # and both sides may offer again
    line.bob.sends("INVITE", body=HOLD)
    line.bob.hears_all("Replied INVITE 200")


def test_a_late_offer_that_is_not_answered_counts_as_unsaid() -> None:
    line = Line.established()
    line.alice.acks = False
    line.alice.sends("INVITE")
    replied = line.alice.hears("Replied INVITE 200")
    line.alice.does(line.alice.dialog.ack(replied.request, line.now))
    assert line.bob.dialog.local_sdp == ANSWER
    line.alice.acks = True
    line.bob.sends("INVITE", body=HOLD)
    line.bob.hears("Requested INVITE")
    line.bob.hears("Acknowledged")
    line.bob.hears("Replied INVITE 200")


def test_the_contact_of_a_re_invite_is_where_later_requests_go() -> None:
    line = Line.established()
    bob = line.bob.dialog
    line.alice.sends("INVITE", body=OFFER)
    invite = line.last("INVITE")
    assert bob.dialog.remote_target == "sip:alice@192.0.2.1:5060"
    invite.set("Contact", "<sip:alice@192.0.2.77:5080>")
    invite.set("CSeq", f"{invite.cseq + 1} INVITE")
    invite.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-moved;rport")
    line.bob.does(line.bob.agent.receive(invite, line.wire.flow_from(line.bob.endpoint), line.now))
    assert bob.dialog.remote_target == "sip:alice@192.0.2.77:5080"
    assert bob.dialog.next_flow().remote == ("192.0.2.77", 5080)


def test_the_contact_of_the_2xx_to_a_re_invite_counts_too() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("INVITE", body=OFFER)
    requested = line.bob.hears("Requested INVITE")
    response = requested.request.response(200, headers=[("Contact", "<sip:bob@192.0.2.88>")])
    line.alice.does(line.alice.agent.receive(response, line.wire.flow_from(line.alice.endpoint), line.now))
    assert line.last("ACK").uri_text == "sip:bob@192.0.2.88"


def test_within_a_dialog_reliable_responses_are_not_asked_for() -> None:
    line = Line.established()
    line.alice.sends("INVITE", body=OFFER)
    assert line.last("INVITE").tokens("Supported") == {"timer", "199"}


# glare ----------------------------------------------------------------------------------------------------------
def test_re_invites_that_cross_are_both_refused_with_491() -> None:
    line = Line.established()
    line.alice.sends("INVITE", body=HOLD, settle=False)
    line.bob.sends("INVITE", body=HOLD)
    line.alice.hears_all("Replied INVITE 491")
    line.bob.hears_all("Replied INVITE 491")
    line.alice.sends("INVITE", body=HOLD)
    line.alice.hears_all("Replied INVITE 200")


def test_a_second_re_invite_before_the_first_is_answered_is_refused_with_500_and_retry_after() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("INVITE", body=HOLD)
    invite = line.last("INVITE")
    invite.set("CSeq", f"{invite.cseq + 1} INVITE")
    invite.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-second;rport")
    line.bob.does(line.bob.agent.receive(invite, line.wire.flow_from(line.bob.endpoint), line.now))
    refusal = line.last("500")
    assert 0 <= int(refusal.get("Retry-After")) <= 10
    line.bob.hears_all("Requested INVITE")
    line.bob.responds(200, body=ANSWER)
    line.alice.hears("Replied INVITE 200")


def test_a_re_invite_before_the_ack_to_the_last_one_is_refused_with_500() -> None:
    line = Line.established()
    line.drop("ACK")
    line.alice.sends("INVITE", body=HOLD)
    line.alice.sends("INVITE", body=OFFER)
    line.alice.hears_all("Replied INVITE 200", "Replied INVITE 500")
    line.advance(1)
    line.alice.sends("INVITE", body=OFFER)
    line.alice.hears_all("Replied INVITE 200")


def test_a_re_invite_that_meets_our_unanswered_late_offer_is_refused_with_491() -> None:
    line = Line.established()
    line.drop("ACK")
    line.alice.sends("INVITE")
    line.alice.sends("INVITE", body=OFFER)
    line.alice.hears_all("Replied INVITE 200", "Replied INVITE 491")


def test_what_must_not_be_sent_now_is_answered_as_the_peer_would() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("INVITE", body=HOLD)
    line.alice.sends("INVITE", body=OFFER, relates_to="second")
    replied = line.alice.hears("Replied INVITE 491")
    assert replied.relates_to == "second"
    line.alice.sends("UPDATE", body=OFFER)
    line.alice.hears("Replied UPDATE 491")
    line.bob.sends("INVITE", body=OFFER)
    line.bob.hears("Requested INVITE")
    line.bob.hears("Replied INVITE 491")
    line.bob.sends("UPDATE", body=OFFER)
    line.bob.hears("Replied UPDATE 491")
    assert line.ladder() == ["alice INVITE"]
    line.bob.responds(200, body=ANSWER)
    line.alice.hears("Replied INVITE 200")


def test_after_the_end_requests_are_answered_481_without_leaving() -> None:
    line = Line.established()
    line.alice.hangs_up()
    line.forget()
    line.alice.sends("INFO")
    line.alice.hears("Replied INFO 481")
    line.alice.sends("INVITE", body=OFFER)
    line.alice.hears("Replied INVITE 481")
    assert not line.ladder()


def test_numbers_are_not_used_up_by_requests_that_never_left() -> None:
    line = Line.established()
    before = line.alice.dialog.dialog.local_cseq
    line.bob.replies = None
    line.alice.sends("INVITE", body=HOLD)
    line.alice.sends("INVITE", body=HOLD)
    assert line.alice.dialog.dialog.local_cseq == before + 1


# the end meets open requests ------------------------------------------------------------------------------------
def test_a_bye_answers_what_the_peer_still_waits_for() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("INVITE", body=HOLD)
    line.alice.sends("INFO")
    line.bob.hangs_up(settle=False)
    line.bob.responds(200)
    assert line.count("487", line.bob) == 2
    line.bob.hears_all("Requested INVITE", "Requested INFO")
    line.settle()
    line.assert_over()


def test_a_peer_that_hangs_up_with_requests_open_gets_its_answers_too() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("UPDATE", body=HOLD)
    line.alice.hangs_up()
    assert line.ladder() == ["alice UPDATE", "alice BYE", "bob 200", "bob 487"]
    line.bob.hears_all("Requested UPDATE", "Ended bye")
    line.bob.responds(200)
    line.assert_over()


def test_a_2xx_to_a_re_invite_that_comes_after_the_end_is_acknowledged() -> None:
    line = Line.established()
    line.delay("200", by=0.2)
    line.alice.sends("INVITE", body=HOLD, settle=False)
    line.advance(0.05)
    line.alice.hangs_up()
    line.advance(1)
    assert line.count("ACK") == 1
    line.assert_over()


def test_rejecting_a_call_answers_its_open_early_requests() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings(183, body=ANSWER, reliable=True)
    line.bob.replies = None
    line.alice.does(line.alice.heard[0].session.send("UPDATE", line.now, body=HOLD))
    line.bob.declines(486)
    assert line.count("487") == 1
    line.assert_over()


# other requests -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["INFO", "MESSAGE", "REFER", "NOTIFY", "OPTIONS"])
def test_other_requests_and_their_bodies_pass_both_ways(method: str) -> None:
    line = Line.established()
    for phone, other in line.both_ways():
        phone.sends(method, body=b"Signal=5", content_type="application/dtmf-relay", relates_to="key")
        assert phone.hears(f"Replied {method} 200").relates_to == "key"
        told = other.hears(f"Requested {method}")
        assert told.request.body == b"Signal=5"
        assert told.request.content_type == "application/dtmf-relay"


def test_a_refused_request_is_sent_again_with_credentials() -> None:
    line = Line.established()
    line.bob.replies = 407
    line.alice.sends("INFO", body=b"x", content_type="text/plain")
    refused = line.alice.hears("Replied INFO 407")
    line.bob.replies = 200
    credentials = [("Proxy-Authorization", "Digest x")]
    line.alice.does(line.alice.dialog.resend(refused.request, credentials, line.now, relates_to="again"))
    assert line.alice.hears("Replied INFO 200").relates_to == "again"
    again = line.last("INFO")
    assert again.get("Proxy-Authorization") == "Digest x"
    assert again.cseq == refused.request.cseq + 1
    assert len(again.values("Via")) == 1
    assert again.body == b"x"


def test_a_challenged_bye_can_be_sent_again_although_the_session_is_over() -> None:
    line = Line.established()
    line.drop("BYE")
    line.alice.hangs_up()
    challenge = line.last("BYE").response(407)
    line.alice.does(line.alice.agent.receive(challenge, line.wire.flow_from(line.alice.endpoint), line.now))
    refused = line.alice.hears("Replied BYE 407")
    line.alice.does(line.alice.dialog.resend(refused.request, [("Proxy-Authorization", "Digest x")], line.now))
    line.bob.hears("Ended bye")
    line.assert_over()


def test_a_request_with_an_older_number_is_out_of_order() -> None:
    line = Line.established()
    line.delay("INFO", by=0.2)
    line.alice.sends("INFO", settle=False)
    line.alice.sends("UPDATE")
    line.advance(1)
    assert sorted(type(event).__name__ for event in line.alice.heard) == ["Replied", "Replied"]
    assert {event.response.status for event in line.alice.heard} == {200, 500}
    assert not any(isinstance(event, Requested) for event in line.bob.heard)
    assert line.alice.dialog.state is State.CONFIRMED


def test_answering_twice_sends_one_answer() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("INFO")
    line.bob.responds(200)
    line.bob.responds(200)
    assert line.ladder() == ["alice INFO", "bob 200"]


def test_a_request_that_overtakes_our_2xx_does_not_end_the_call() -> None:
    line = Line()
    line.alice.calls()
    line.drop("200")
    line.bob.answers()
    line.bob.sends("UPDATE", body=HOLD)
    line.bob.hears("Invited")
    line.bob.hears("Replied UPDATE 491")
    line.bob.sends("INFO")
    line.bob.hears("Replied INFO 481")
    line.advance(1)
    assert line.alice.is_talking
    line.bob.hears_all("Acknowledged")
