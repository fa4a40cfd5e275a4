# SPDX-License-Identifier: Apache-2.0
"""Reliable provisional responses: RFC 3262, with offers and answers by RFC 6337."""

from __future__ import annotations

from typing import Any

import pytest

from switch.sip.session import Progressed, Replied
from tests.sip.agents import ANSWER, OFFER, Line, Solo, event_label
from tests.sip.harness import received_request, received_response


def reliable(rseq: int) -> list[tuple[str, str]]:
    return [("Require", "100rel"), ("RSeq", str(rseq)), ("Contact", "<sip:bob@192.0.2.2>")]


def ringing(**more: Any) -> Line:
    line = Line()
    line.alice.calls()
    line.bob.rings(183, reliable=True, **more)
    return line


def test_a_reliable_response_is_acknowledged_by_prack() -> None:
    line = ringing()
    assert line.ladder() == ["alice INVITE", "bob 183", "alice PRACK", "bob 200"]
    line.bob.hears_all("Invited", "Requested PRACK")
    assert line.alice.hears("Progressed 183").reliable
    line.alice.hears_all("Replied PRACK 200")


def test_the_prack_names_the_response() -> None:
    line = ringing()
    progress, prack = line.last("183"), line.last("PRACK")
    assert progress.get("RSeq") == "1"
    assert progress.get("Require") == "100rel"
    assert prack.get("RAck") == "1 1 INVITE"
    assert prack.cseq == 2
    assert prack.to_tag == progress.to_tag


def test_a_reliable_response_is_repeated_until_its_prack_and_told_once() -> None:
    line = Line()
    line.alice.calls()
    line.drop("PRACK", times=10)
    line.bob.rings(183, reliable=True)
    line.advance(8)
    assert line.times("183") == [0.01, 0.51, 1.51, 3.51, 7.51]
    line.alice.hears_all("Progressed 183")
    line.advance(30)
    line.alice.hears_all("Replied PRACK 200")
    line.bob.hears_all("Invited", "Requested PRACK")


def test_a_response_that_is_never_acknowledged_ends_the_call_with_504() -> None:
    line = Line()
    line.alice.pracks = False
    line.alice.calls()
    line.bob.rings(183, reliable=True)
    line.advance(33)
    # the interval doubles without limit (RFC 3262 section 3)
    assert line.times("183") == [0.01, 0.51, 1.51, 3.51, 7.51, 15.51, 31.51]
    line.alice.hears_all("Progressed 183", "Failed 504")
    line.bob.hears_all("Invited", "Cancelled")
    line.assert_over()


@pytest.mark.parametrize("rack", ["2 1 INVITE", "1 2 INVITE", "1 1 BYE", "nonsense", ""])
def test_a_prack_for_something_else_is_refused_with_481(rack: str) -> None:
    line = Line()
    line.alice.pracks = False
    line.alice.calls()
    line.bob.rings(183, reliable=True)
    session = line.alice.heard[0].session
    line.alice.does(session.send("PRACK", line.now, headers=[("RAck", rack)]))
    line.alice.hears_all("Progressed 183", "Replied PRACK 481")
    line.advance(2)
    assert line.count("183") == 3


def test_a_second_prack_for_the_same_response_is_refused_with_481() -> None:
    line = ringing()
    event = line.alice.hears("Progressed 183")
    line.alice.hears("Replied PRACK 200")
    line.alice.does(event.session.prack(event.response, line.now))
    line.alice.hears_all("Replied PRACK 481")


def test_one_response_at_a_time_waits_for_its_prack() -> None:
    line = Line()
    line.alice.calls()
    line.drop("PRACK")
    line.bob.rings(183, reliable=True)
    line.bob.rings(180, reliable=True)
    line.bob.rings(182, reliable=True)
    assert line.ladder() == ["alice INVITE", "bob 183", "alice PRACK"]
    line.advance(3)
    sent = [message for message in line.ladder() if message.startswith("bob 18")]
    assert sent == ["bob 183", "bob 180", "bob 182"]
    assert [event.response.get("RSeq") for event in line.alice.heard_ever if isinstance(event, Progressed)] == [
        "1",
        "2",
        "3",
    ]


def test_a_response_out_of_order_waits_for_its_repetition() -> None:
    alice = Solo()
    alice.calls()
    invite = alice.sends("INVITE")
    alice.arrives(received_response(invite, 183, headers=reliable(17)))
    assert alice.hears("Progressed 183").reliable
    for out_of_order in (19, 17, 16):
        alice.arrives(received_response(invite, 180, headers=reliable(out_of_order)))
        assert alice.is_quiet()
    alice.arrives(received_response(invite, 180, headers=reliable(18)))
    alice.hears("Progressed 180")
    alice.arrives(received_response(invite, 182, headers=reliable(19)))
    alice.hears("Progressed 182")


@pytest.mark.parametrize("rseq", ["", "x", "-1", "99999999999"])
def test_a_reliable_response_with_a_malformed_number_is_dropped(rseq: str) -> None:
    alice = Solo()
    alice.calls()
    invite = alice.sends("INVITE")
    alice.arrives(received_response(invite, 183, headers=[("Require", "100rel"), ("RSeq", rseq)]))
    assert alice.is_quiet()


def test_every_early_dialog_counts_its_own_responses() -> None:
    line = Line()
    line.alice.calls()
    for fork in ("desk", "mobile"):
        line.bob.rings(183, fork=fork, reliable=True, body=ANSWER)
        line.bob.rings(180, fork=fork, reliable=True)
    pracks = [event.request.get("RAck") for event in line.bob.heard[1:]]
    assert pracks == ["1 1 INVITE", "2 1 INVITE", "1 1 INVITE", "2 1 INVITE"]
    tags = [event.request.to_tag for event in line.bob.heard[1:]]
    assert tags[0] == tags[1] != tags[2] == tags[3]
    line.bob.answers(fork="mobile", body=b"")
    assert line.alice.is_talking
    line.alice.hangs_up()
    line.assert_over()


def test_one_early_dialog_does_not_wait_for_the_prack_of_another() -> None:
    line = Line()
    line.alice.calls()
    line.drop("PRACK", times=20)
    line.bob.rings(183, fork="desk", reliable=True)
    line.bob.rings(183, fork="mobile", reliable=True)
    assert line.count("183") == 2


def test_a_2xx_waits_for_the_prack_of_a_response_with_a_description() -> None:
    line = Line()
    line.alice.calls()
    line.drop("PRACK")
    line.bob.rings(183, reliable=True, body=ANSWER)
    line.bob.answers(body=b"")
    assert not line.count("200")
    line.advance(1)
    assert line.ladder()[-4:] == ["alice PRACK", "bob 200", "bob 200", "alice ACK"]
    assert line.alice.is_talking
    line.bob.hears_all("Invited", "Requested PRACK", "Acknowledged")


def test_a_2xx_waits_for_a_description_that_is_still_queued() -> None:
    line = Line()
    line.alice.calls()
    line.drop("PRACK")
    line.bob.rings(180, reliable=True)
    line.bob.rings(183, reliable=True, body=ANSWER)
    line.bob.answers(body=b"")
    line.advance(2)
    assert [m for m in line.ladder() if m.startswith("bob 18")] == ["bob 180", "bob 180", "bob 183"]
    assert line.alice.is_talking


def test_a_2xx_does_not_wait_for_the_prack_of_mere_ringing() -> None:
    line = Line()
    line.alice.calls()
    line.drop("PRACK")
    line.bob.rings(180, reliable=True)
    line.bob.answers()
    assert line.alice.is_talking
    line.forget()
    line.advance(1)
    # the PRACK that was lost comes now, and is not refused although the call is answered
    assert line.ladder() == ["alice PRACK", "bob 200"]
    line.bob.hears_all("Requested PRACK")
    line.alice.hears_all("Replied PRACK 200")
    assert line.alice.is_talking


def test_a_2xx_that_waits_is_overtaken_by_cancel() -> None:
    line = Line()
    line.alice.calls()
    line.drop("PRACK", times=20)
    line.bob.rings(183, reliable=True, body=ANSWER)
    line.bob.answers(body=b"")
    line.alice.gives_up()
    line.alice.hears_all("Progressed 183", "Failed 487")
    line.bob.hears_all("Invited", "Cancelled")
    line.wire.drop("PRACK", 100)
    line.advance(40)
    line.assert_over()


def test_a_failure_does_not_wait_for_prack() -> None:
    line = Line()
    line.alice.calls()
    line.drop("PRACK", times=20)
    line.bob.rings(183, reliable=True, body=ANSWER)
    line.bob.declines(486)
    line.alice.hears_all("Progressed 183", "Failed 486")
    line.advance(40)
    line.alice.hears_all()
    line.assert_over()


def test_a_prack_with_an_offer_gets_its_answer_in_the_2xx() -> None:
    line = Line()
    line.alice.pracks = False
    line.alice.calls()
    line.bob.rings(183, reliable=True, body=ANSWER)
    event = line.alice.hears("Progressed 183")
    line.alice.does(event.session.prack(event.response, line.now, body=OFFER))
    assert line.last("200").sdp == ANSWER
    assert event.session.local_sdp == OFFER
    line.bob.answers(body=b"")
    assert line.alice.is_talking


def test_a_2xx_waits_for_the_answer_to_an_offer_in_a_prack() -> None:
    line = Line()
    line.alice.pracks = False
    line.bob.replies = None
    line.alice.calls()
    line.bob.rings(183, reliable=True, body=ANSWER)
    event = line.alice.hears("Progressed 183")
    line.alice.does(event.session.prack(event.response, line.now, body=OFFER))
    line.bob.answers(body=b"")
    assert not line.count("200")
    line.bob.responds(200, body=ANSWER)
    assert line.ladder()[-3:] == ["bob 200", "bob 200", "alice ACK"]
    assert line.alice.is_talking


def test_a_prack_whose_offer_meets_ours_is_refused_with_491_but_acknowledges() -> None:
    line = Line()
    line.alice.pracks = False
    line.alice.replies = None
    line.alice.calls()
    line.bob.rings(183, reliable=True, body=ANSWER)
    first = line.alice.hears("Progressed 183")
    line.alice.does(first.session.prack(first.response, line.now))
    line.bob.rings(180, reliable=True)
    line.bob.does(line.bob.incoming.session().send("UPDATE", line.now, body=OFFER))
    second = line.alice.heard[-2]
    line.alice.does(second.session.prack(second.response, line.now, body=OFFER))
    assert line.count("491") == 1
    line.advance(1)
    assert line.count("180") == 1


def test_without_an_offer_in_the_invite_the_reliable_response_makes_it_and_prack_answers() -> None:
    line = Line()
    line.alice.calls(offer=b"")
    line.bob.rings(183, reliable=True, body=OFFER)
    assert line.last("PRACK").sdp == ANSWER
    line.bob.answers(body=b"")
    assert line.last("200").sdp is None
    assert line.last("ACK").sdp is None
    assert line.alice.is_talking
    assert line.bob.dialog.local_sdp == OFFER
    assert line.alice.dialog.local_sdp == ANSWER
    line.alice.sends("INVITE", body=OFFER)
    assert line.alice.dialog.local_sdp == OFFER


def test_the_2xx_may_repeat_the_description_of_the_reliable_response() -> None:
    line = ringing(body=ANSWER)
    line.bob.answers(body=ANSWER)
    assert line.last("ACK").sdp is None
    line.bob.sends("INVITE", body=OFFER)
    line.bob.hears("Invited")
    assert line.bob.dialog.local_sdp == OFFER


def test_a_caller_who_requires_reliability_gets_it_unasked() -> None:
    bob = Solo()
    bob.arrives(received_request("INVITE", headers=[("Require", "100rel")]))
    invite = bob.hears("Invited").invite
    bob.does(invite.progress(180, bob.now))
    assert bob.sends("180").get("RSeq") == "1"


def test_a_caller_who_does_not_know_it_is_not_troubled_with_it() -> None:
    bob = Solo()
    bob.arrives(received_request("INVITE"))
    invite = bob.hears("Invited").invite
    assert not invite.accepts_reliable
    bob.does(invite.progress(183, bob.now, reliable=True))
    progress = bob.sends("183")
    assert progress.get("RSeq") is None
    assert progress.get("Require") is None


def test_a_reliable_response_that_was_acknowledged_still_keeps_proxies_waiting() -> None:
    line = ringing()
    line.advance(125)
    assert [round(moment) for moment in line.times("183")] == [0, 60, 120]
    line.alice.hears_all("Progressed 183", "Replied PRACK 200")


def test_the_order_is_prack_answer_then_what_waited() -> None:
    line = Line()
    line.alice.pracks = False
    line.bob.replies = None
    line.alice.calls()
    line.bob.rings(183, reliable=True, body=ANSWER)
    line.bob.rings(180, reliable=True)
    line.bob.answers(body=b"")
    event = line.alice.hears("Progressed 183")
    line.alice.does(event.session.prack(event.response, line.now))
    line.forget()
    line.bob.responds(200, settle=False)
    assert line.ladder() == ["bob 200", "bob 180", "bob 200"]


def test_a_callee_who_answers_and_hangs_up_before_the_prack_has_declined() -> None:
    line = Line()
    line.alice.calls()
    line.drop("PRACK", times=2)
    line.bob.rings(183, reliable=True, body=ANSWER)
    line.bob.answers(body=b"")
    line.bob.hangs_up()
    line.alice.hears_all("Progressed 183", "Failed 480")
    line.advance(10)
    line.assert_over()


# answers that do not come, reliability that only we provide ----------------------------------------------------------
def talking_before_the_answer(line: Line, method: str, body: bytes) -> Any:
    """Bob's 183 is acknowledged, or Alice sent an UPDATE after it; Bob's side has no answer to that."""
    line.alice.pracks = False
    line.bob.replies = None
    line.alice.calls()
    line.bob.rings(183, reliable=True, body=ANSWER)
    event = line.alice.hears("Progressed 183")
    if method == "PRACK":
        line.alice.does(event.session.prack(event.response, line.now, body=body))
    else:
        line.alice.does(event.session.prack(event.response, line.now))
        line.bob.responds(200)
        line.forget()
        line.alice.does(event.session.send(method, line.now, body=body))
    return event


def test_the_answer_counts_although_the_prack_before_it_was_never_answered() -> None:
    """Case J7: whoever answers has no more need of the PRACK."""
    line = Line()
    talking_before_the_answer(line, "PRACK", b"")
    began = line.now
    line.bob.answers(body=b"")
    assert line.alice.is_talking
    assert line.now - began < 0.5
    assert [str(event.response.status) for event in line.alice.heard if isinstance(event, Replied)] == ["200"]


@pytest.mark.parametrize("method", ["PRACK", "UPDATE"])
def test_an_offer_before_the_answer_that_nobody_answers_is_refused_and_the_answer_counts(method: str) -> None:
    line = Line()
    talking_before_the_answer(line, method, OFFER)
    line.bob.answers(body=b"")
    assert not line.count("200", line.bob)
    line.advance(1.2)
    assert line.alice.is_talking
    assert f"Replied {method} 504" in [event_label(event) for event in line.alice.heard]
    assert line.alice.dialog.local_sdp == OFFER
    line.bob.responds(200, body=ANSWER)  # too late
    line.alice.sends("INVITE", body=OFFER)
    line.bob.responds(200, body=ANSWER)
    assert line.alice.is_talking


def test_an_info_that_nobody_answers_does_not_hold_the_answer_up() -> None:
    line = Line()
    talking_before_the_answer(line, "INFO", b"")
    line.bob.answers(body=b"")
    assert line.alice.is_talking


def test_of_a_call_that_was_given_up_no_answer_waits() -> None:
    line = Line()
    talking_before_the_answer(line, "UPDATE", OFFER)
    line.bob.answers(body=b"", settle=False)
    line.alice.gives_up()
    line.advance(40)
    line.assert_over()


def test_the_prack_of_what_only_we_sent_reliably_relates_to_nothing() -> None:
    """Case J6: the callee's plain 180 and its reliable 183 are told apart when the caller acknowledges them."""
    bob = Solo()
    bob.arrives(received_request("INVITE", headers=[("Require", "100rel")]))
    invite = bob.hears("Invited").invite
    bob.does(invite.progress(180, bob.now))
    bob.does(invite.progress(183, bob.now, relates_to="the 183"))
    told = []
    for rseq in (1, 2):
        sent = bob.sends("180" if rseq == 1 else "183")
        assert (sent.get("RSeq"), sent.get("Require")) == (str(rseq), "100rel")
        prack = received_request(
            "PRACK",
            cseq=1 + rseq,
            to_tag=sent.to_tag,
            headers=[("RAck", f"{rseq} 1 INVITE")],
            via=f"SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-p{rseq};rport",
        )
        bob.arrives(prack)
        event = bob.hears("Requested PRACK")
        told.append(invite.acknowledged(event.session))
        bob.does(event.session.respond(event.transaction, 200, bob.now))
        bob.sends("200")
    assert told == [None, "the 183"]
    assert invite.acknowledged(invite.session()) is None
