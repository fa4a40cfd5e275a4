# SPDX-License-Identifier: Apache-2.0
"""CANCEL at every moment: RFC 3261 section 9, and the races of RFC 5407."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from switch.sip.transaction import Send
from tests.sip.agents import Line, Solo
from tests.sip.harness import received_response

if TYPE_CHECKING:
    from switch.sip.message.message import Request

OK = [("Contact", "<sip:bob@192.0.2.2>")]


def test_a_ringing_call_is_cancelled() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.alice.gives_up()
    assert line.ladder() == [
        "alice INVITE",
        "bob 180",
        "alice CANCEL",
        "bob 200",
        "bob 487",
        "alice ACK",
    ]
    line.alice.hears_all("Progressed 180", "Failed 487")
    line.bob.hears_all("Invited", "Cancelled")
    assert line.bob.incoming.cancelled
    line.assert_over()


def test_the_answer_to_cancel_has_the_tag_of_the_answer_to_invite() -> None:
    for rings in (True, False):
        line = Line()
        line.alice.calls()
        line.bob.rings() if rings else line.bob.rings(100)
        line.alice.gives_up()
        assert line.last("200").to_tag == line.last("487").to_tag
        assert line.last("487").to_tag


def test_before_any_provisional_response_the_cancel_waits_for_one() -> None:
    line = Line()
    line.alice.calls()
    line.alice.gives_up()
    assert line.ladder() == ["alice INVITE"]
    line.advance(0.3)  # 100 comes after 200 ms
    assert line.ladder() == ["bob 100", "alice CANCEL", "bob 200", "bob 487", "alice ACK"]
    line.alice.hears_all("Failed 487")
    line.assert_over()


def test_a_call_that_is_cancelled_before_anything_came_and_then_answered_at_once_is_hung_up() -> None:
    line = Line()
    line.alice.calls()
    line.alice.gives_up()
    line.bob.answers()
    assert line.ladder() == ["alice INVITE", "bob 200", "alice ACK", "alice BYE", "bob 200"]
    assert line.alice.hears("Failed 487").local
    line.alice.hears_all()
    line.bob.hears_all("Invited", "Acknowledged", "Ended bye")
    line.assert_over()


def test_a_cancelled_call_that_nobody_ever_answers_fails_in_the_end() -> None:
    line = Line()
    with line.wire.cut():
        line.alice.calls()
        line.alice.gives_up()
        line.advance(33)
    line.alice.hears_all("Failed 408")
    line.assert_over()


def test_a_cancelled_call_whose_487_never_comes_fails_in_the_end() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    with line.wire.cut():
        line.alice.gives_up()
        line.advance(33)
    line.alice.hears_all("Progressed 180", "Failed 408")


def test_cancel_and_200_cross_and_the_caller_hangs_up() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.bob.answers(settle=False)
    line.alice.gives_up()
    assert line.ladder()[2:] == [
        "bob 200",
        "alice CANCEL",
        "alice ACK",
        "alice BYE",
        "bob 200",
        "bob 200",
    ]
    line.alice.hears_all("Progressed 180", "Failed 487")
    line.bob.hears_all("Invited", "Acknowledged", "Ended bye")
    line.assert_over()


def test_a_cancel_that_comes_after_the_200_changes_nothing_for_the_callee() -> None:
    line = Line()
    line.alice.calls()
    line.delay("CANCEL", by=0.3)
    line.bob.rings()
    line.alice.gives_up(settle=False)
    line.bob.answers()
    assert line.bob.heard_ever
    assert "Cancelled" not in [type(event).__name__ for event in line.bob.heard_ever]
    line.assert_over()


def test_the_200_of_a_cancelled_call_is_acknowledged_each_time_it_is_repeated() -> None:
    alice = Solo()
    call = alice.calls()
    invite = alice.sends("INVITE")
    alice.arrives(received_response(invite, 180))
    alice.hears("Progressed 180")
    alice.does(call.cancel(alice.now))
    alice.sends("CANCEL")
    ok = received_response(invite, 200, headers=OK)
    alice.arrives(ok)
    ack, bye = alice.sends("ACK"), alice.sends("BYE")
    assert (ack.cseq, bye.cseq) == (1, 2)
    alice.hears("Failed 487")
    alice.arrives(ok)
    alice.sends("ACK")
    assert alice.is_quiet()


def test_the_headers_of_the_application_go_into_cancel_and_bye() -> None:
    alice = Solo()
    call = alice.calls()
    invite = alice.sends("INVITE")
    alice.arrives(received_response(invite, 180))
    alice.hears("Progressed 180")
    reason = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')
    alice.does(call.cancel(alice.now, [reason]))
    assert alice.sends("CANCEL").get("Reason") == reason[1]
    alice.arrives(received_response(invite, 200, headers=OK))
    alice.sends("ACK")
    assert alice.sends("BYE").get("Reason") == reason[1]


def test_giving_up_twice_or_too_late_does_nothing() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.alice.gives_up(settle=False)
    line.alice.gives_up()
    assert line.count("CANCEL") == 1
    line.alice.gives_up()
    assert line.count("CANCEL") == 1
    line = Line()
    line.establish()
    line.alice.gives_up()
    assert not line.ladder()


def test_ringing_is_not_told_any_more_once_the_caller_gave_up() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.alice.gives_up(settle=False)
    line.bob.rings(183)
    line.alice.hears_all("Progressed 180", "Failed 487")


def test_a_callee_may_do_what_it_wants_after_the_cancel() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.alice.gives_up()
    line.forget()
    line.bob.rings()
    line.bob.answers()
    line.bob.declines()
    line.bob.rings(100)
    assert not line.ladder()
    line.assert_over()


def test_a_cancel_for_nothing_is_answered_481() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.drop("CANCEL")
    line.alice.gives_up()
    cancel = line.last("CANCEL")
    cancel.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-other")
    line.bob.does(line.bob.agent.receive(cancel, line.wire.flow_from(line.bob.endpoint), line.now), settle=False)
    assert line.ladder()[-1] == "bob 481"


def test_a_challenge_that_crosses_the_cancel_is_not_answered() -> None:
    line = Line()
    call = line.alice.calls()
    line.bob.rings(100)
    line.alice.gives_up(settle=False)
    line.bob.declines(407)
    line.alice.hears_all("Failed 407")
    line.forget()
    line.alice.does(call.resend([("Proxy-Authorization", "Digest")], line.now))
    assert not line.ladder()


def test_losses_do_not_keep_a_cancel_from_its_aim() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.drop("CANCEL", times=2)
    line.drop("487", times=2)
    line.drop("ACK", times=2)
    line.alice.gives_up()
    line.advance(20)
    line.alice.hears_all("Progressed 180", "Failed 487")
    line.bob.hears_all("Invited", "Cancelled")
    line.assert_over()


# the answer that comes when all is over -----------------------------------------------------------------------------
def given_up(alice: Solo, *, status: int | None = 180) -> Request:
    """A call that Alice has cancelled and that has no final response after 36 seconds."""
    call = alice.calls()
    invite: Request = alice.sends("INVITE")
    if status is not None:
        alice.arrives(received_response(invite, status))
        if status != 100:
            alice.hears(f"Progressed {status}")
    alice.does(call.cancel(alice.now))
    if status is not None:
        alice.sends("CANCEL")
    alice.advance(36)
    alice.outcome = [effect for effect in alice.outcome if not isinstance(effect, Send)]
    assert alice.hears("Failed 408").local
    return invite


@pytest.mark.parametrize("status", [180, 183, 100, None])
@pytest.mark.parametrize("later", [0.0, 4.0, 200.0])
def test_an_answer_after_the_end_of_all_patience_is_acknowledged_and_ended(status: int | None, later: float) -> None:
    """Case J8: 36 s after the CANCEL, which the carrier never heeded."""
    alice = Solo()
    invite = given_up(alice, status=status)
    alice.advance(later)
    ok = received_response(invite, 200, headers=OK)
    alice.arrives(ok)
    ack, bye = alice.sends("ACK"), alice.sends("BYE")
    assert (ack.cseq, bye.cseq) == (1, 2)
    assert ack.uri_text == "sip:bob@192.0.2.2"
    alice.arrives(received_response(bye, 200))
    alice.arrives(ok)  # the ACK was lost
    alice.sends("ACK")
    assert alice.is_quiet()
    alice.arrives(received_response(invite, 200, headers=OK, to_tag="another"))
    assert alice.sends("ACK").to_tag == "another"
    assert alice.sends("BYE").to_tag == "another"
    alice.advance(70)
    assert len(alice.agent.layer) == 0
    assert alice.agent.session_count == 0


def test_the_bye_of_a_late_answer_goes_on_where_the_early_dialog_stood() -> None:
    alice = Solo()
    call = alice.calls()
    invite = alice.sends("INVITE")
    reliable = [*OK, ("Require", "100rel"), ("RSeq", "1")]
    alice.arrives(received_response(invite, 183, headers=reliable))
    progressed = alice.hears("Progressed 183")
    alice.does(progressed.session.prack(progressed.response, alice.now))
    assert alice.sends("PRACK").cseq == 2
    alice.does(call.cancel(alice.now))
    alice.advance(36)
    alice.outcome.clear()
    alice.arrives(received_response(invite, 200, headers=OK))
    assert alice.sends("ACK").cseq == 1
    assert alice.sends("BYE").cseq == 3


def test_a_late_answer_to_nothing_of_ours_is_ignored() -> None:
    alice = Solo()
    invite = given_up(alice)
    foreign = received_response(invite, 200, headers=OK)
    foreign.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-other")
    alice.arrives(foreign)
    assert alice.is_quiet()
    alice.advance(400)
    alice.arrives(received_response(invite, 200, headers=OK))
    assert alice.is_quiet()  # nobody repeats an answer for so long


def test_what_is_kept_of_calls_that_were_given_up_is_bounded() -> None:
    alice = Solo()
    with_answer = []
    for number in range(1100):
        call = alice.calls(call_id=f"call-{number}", offer=b"v=0")
        with_answer.append(call)
    alice.advance(40)
    kept: list[Any] = [left for _, left in alice.agent._late.values()]
    assert len(kept) == 1000
    assert all(left.request.body == b"" and left.owner is None for left in kept)
    assert len(alice.agent.layer) == 0
