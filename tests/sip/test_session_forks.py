# SPDX-License-Identifier: Apache-2.0
"""One INVITE, several dialogs: RFC 3261 sections 12.1, 13.2.2.4 and 19.3, RFC 6228."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from switch.sip.session import State
from tests.sip.agents import ANSWER, Line, Solo, assert_forgotten
from tests.sip.harness import received_request, received_response

if TYPE_CHECKING:
    from switch.sip.message.message import Request
    from switch.sip.session import OutgoingInvite


def contact(name: str) -> list[tuple[str, str]]:
    return [("Contact", f"<sip:{name}@192.0.2.9:5070>")]


def forked() -> tuple[Solo, OutgoingInvite, Request]:
    """Alice called and two phones ring."""
    alice = Solo()
    call = alice.calls()
    invite = alice.sends("INVITE")
    for tag in ("one", "two"):
        alice.arrives(received_response(invite, 180, to_tag=tag, headers=contact(tag)))
        assert alice.hears("Progressed 180").session.dialog.remote_tag == tag
    return alice, call, invite


def test_every_fork_that_rings_has_an_early_dialog_of_its_own() -> None:
    alice, _, _ = forked()
    assert alice.agent.session_count == 2


def test_the_first_answer_wins_and_ends_the_other_early_dialogs() -> None:
    alice, call, invite = forked()
    alice.arrives(received_response(invite, 200, to_tag="two", headers=contact("two")))
    answered = alice.hears("Answered")
    assert answered.session.dialog.remote_tag == "two"
    assert answered.invite is call
    assert alice.agent.session_count == 1
    assert alice.is_quiet()


def test_every_further_answer_is_acknowledged_and_hung_up() -> None:
    for rang_before in ("one", "three"):
        alice, call, invite = forked()
        alice.arrives(received_response(invite, 200, to_tag="two", headers=contact("two")))
        answered = alice.hears("Answered")
        alice.does(answered.session.ack(answered.invite.request, alice.now))
        assert alice.sends("ACK").to_tag == "two"
        loser = received_response(invite, 200, to_tag=rang_before, headers=contact("late"))
        alice.arrives(loser)
        ack, bye = alice.sends("ACK"), alice.sends("BYE")
        assert ack.to_tag == bye.to_tag == rang_before
        assert ack.uri_text == bye.uri_text == "sip:late@192.0.2.9:5070"
        assert alice.sent_to.remote == ("192.0.2.9", 5070)
        alice.arrives(loser)
        assert alice.sends("ACK").to_tag == rang_before
        assert alice.is_quiet()
        assert answered.session.state is State.CONFIRMED
        assert call.answered is answered.session


def test_after_a_cancel_every_fork_that_answered_is_hung_up_and_one_failure_told() -> None:
    alice, call, invite = forked()
    alice.does(call.cancel(alice.now))
    alice.sends("CANCEL")
    for tag in ("one", "two"):
        alice.arrives(received_response(invite, 200, to_tag=tag, headers=contact(tag)))
        assert alice.sends("ACK").to_tag == tag
        assert alice.sends("BYE").to_tag == tag
        if tag == "one":
            alice.hears("Failed 487")
    assert alice.is_quiet()


def test_a_callee_cannot_make_dialogs_without_end() -> None:
    alice = Solo()
    alice.calls()
    invite = alice.sends("INVITE")
    for number in range(100):
        alice.arrives(received_response(invite, 180, to_tag=f"fork{number}"))
    assert alice.agent.session_count == 64
    assert len(alice.outcome) == 100


def test_a_final_failure_ends_all_early_dialogs() -> None:
    alice, _, invite = forked()
    alice.arrives(received_response(invite, 486, to_tag="one"))
    alice.sends("ACK")
    alice.hears("Failed 486")
    assert alice.is_quiet()
    assert alice.agent.session_count == 0
    alice.advance(40)
    assert_forgotten(alice.agent)


def test_a_199_ends_one_early_dialog_of_several() -> None:
    alice, _, invite = forked()
    alice.arrives(received_response(invite, 199, to_tag="one"))
    told = alice.hears("Progressed 199")
    assert told.session.state is State.ENDED
    assert alice.agent.session_count == 1
    alice.arrives(received_response(invite, 180, to_tag="one"))
    assert alice.is_quiet()


def test_one_early_dialog_is_ended_by_bye_and_the_other_goes_on() -> None:
    alice, call, invite = forked()
    sessions: list[Any] = list(alice.agent._sessions.values())
    alice.does(sessions[0].bye(alice.now))
    assert alice.sends("BYE").to_tag == "one"
    alice.arrives(received_response(invite, 200, to_tag="two", headers=contact("two")))
    assert alice.hears("Answered").session is sessions[1]
    assert call.finished


def test_what_an_earlier_try_left_behind_does_not_disturb_the_next() -> None:
    # a stateless challenger may give every response of a callee the same tag
    alice = Solo()
    call = alice.calls()
    first = alice.sends("INVITE")
    alice.arrives(received_response(first, 183, to_tag="same", headers=contact("one")))
    alice.hears("Progressed 183")
    alice.arrives(received_response(first, 407, to_tag="same"))
    alice.sends("ACK")
    alice.hears("Failed 407")
    alice.does(call.resend([("Proxy-Authorization", "Digest x")], alice.now))
    second = alice.sends("INVITE")
    assert second.cseq == 2
    assert second.get("Proxy-Authorization") == "Digest x"
    assert second.via.branch != first.via.branch
    alice.arrives(received_response(second, 180, to_tag="same", headers=contact("one")))
    assert alice.hears("Progressed 180").session.state is State.EARLY
    alice.arrives(received_response(second, 200, to_tag="same", headers=contact("one")))
    answered = alice.hears("Answered")
    alice.does(answered.session.ack(call.request, alice.now))
    assert alice.sends("ACK").cseq == 2
    alice.arrives(received_response(first, 200, to_tag="same", headers=contact("one")))
    assert alice.is_quiet()


def test_the_peer_ends_the_only_early_dialog_and_the_call_is_given_up() -> None:
    # its 2xx never reached us, so it waited for an ACK in vain
    alice = Solo()
    alice.calls()
    invite = alice.sends("INVITE")
    alice.arrives(received_response(invite, 180, to_tag="b"))
    alice.hears("Progressed 180")
    bye = received_request("BYE", cseq=1, call_id=invite.call_id, from_tag="b", to_tag=invite.from_tag)
    alice.arrives(bye)
    alice.sends("200")
    alice.hears("Ended bye")
    alice.sends("CANCEL")
    # and if the 2xx comes now, it gets its ACK all the same
    alice.arrives(received_response(invite, 200, to_tag="b", headers=contact("b")))
    alice.sends("ACK")
    alice.sends("BYE")
    alice.hears("Failed 487")
    assert alice.is_quiet()


# the callee's side --------------------------------------------------------------------------------------------------
def test_each_callee_of_a_b2bua_gets_a_dialog_of_its_own_and_one_wins() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings(fork="desk")
    line.bob.rings(183, fork="mobile", body=ANSWER)
    tags = {event.session.dialog.remote_tag for event in line.alice.heard}
    assert len(tags) == 2
    line.bob.answers(fork="mobile")
    assert line.last("200").to_tag == line.last("183").to_tag
    assert line.alice.agent.session_count == 1
    assert line.bob.agent.session_count == 1
    assert line.alice.is_talking


def test_a_callee_that_drops_out_is_told_by_199_to_a_caller_who_supports_it() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings(fork="desk")
    line.bob.rings(fork="mobile")
    line.bob.does(line.bob.incoming.session("desk").bye(line.now))
    line.alice.hears_all("Progressed 180", "Progressed 180", "Progressed 199")
    assert line.last("199").to_tag == line.bob.incoming.session("desk").dialog.local_tag
    assert line.alice.agent.session_count == 1
    line.bob.rings(fork="desk")
    line.alice.hears_all()
    line.bob.answers(fork="mobile")
    assert line.alice.is_talking


def test_a_callee_that_drops_out_is_not_told_to_a_caller_without_199() -> None:
    bob = Solo()
    bob.arrives(received_request("INVITE"))
    invite = bob.hears("Invited").invite
    bob.does(invite.progress(180, bob.now, fork="desk"))
    bob.sends("180")
    bob.does(invite.progress(199, bob.now, fork="desk"))
    assert bob.is_quiet()
    assert bob.agent.session_count == 0


def test_the_caller_ends_one_of_several_early_dialogs() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings(fork="desk")
    line.bob.rings(fork="mobile")
    desk = line.alice.hears("Progressed 180").session
    line.alice.does(desk.bye(line.now))
    line.bob.hears_all("Invited", "Ended bye")
    line.bob.answers(fork="desk")
    assert not line.count("200", line.alice)
    assert not line.bob.incoming.answered
    line.bob.answers(fork="mobile")
    assert line.alice.is_talking


def test_an_unanswered_call_says_once_a_minute_that_it_still_rings() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings()
    line.advance(185)
    assert [round(moment) for moment in line.times("180")] == [0, 60, 120, 180]
    line.alice.gives_up()
    line.assert_over()


def test_a_request_outside_of_any_dialog_that_only_dialogs_know_is_refused() -> None:
    bob = Solo()
    for number, method in enumerate(("BYE", "PRACK", "UPDATE", "INFO")):
        for tag in (None, "unknown"):
            branch = f"SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-{method}{tag};rport"
            bob.arrives(received_request(method, cseq=number + 1, to_tag=tag, via=branch))
            assert bob.sends("481").to_tag
    assert bob.is_quiet()


def test_an_invite_for_a_dialog_that_is_gone_is_refused() -> None:
    bob = Solo()
    bob.arrives(received_request("INVITE", to_tag="gone"))
    bob.sends("481")
    assert bob.is_quiet()
