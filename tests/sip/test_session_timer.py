# SPDX-License-Identifier: Apache-2.0
"""Session timers: RFC 4028."""

from __future__ import annotations

from typing import Any

import pytest

from switch.sip.message.errors import ParseError
from switch.sip.session.timer import SessionTimer, min_se, session_expires, too_small
from tests.sip.agents import ANSWER, OFFER, Line, Solo, make_agent
from tests.sip.harness import TCP, make_request, received_request, received_response

OLD = (("Allow", "INVITE, ACK, CANCEL, BYE"), ("Supported", "100rel"))
"""A peer that knows neither session timers nor UPDATE."""
NO_UPDATE = (("Allow", "INVITE, ACK, CANCEL, BYE"), ("Supported", "timer"))


def timed(expires: int = 1800, *, alice: dict[str, Any] | None = None, bob: dict[str, Any] | None = None) -> Line:
    """An established call of phones with session timers."""
    line = Line(
        alice=make_agent("alice", **{"session_expires": expires, **(alice or {})}),
        bob=make_agent("bob", **{"session_expires": expires, **(bob or {})}),
    )
    line.establish()
    return line


# negotiation ----------------------------------------------------------------------------------------------------
def test_the_caller_asks_and_the_callee_makes_the_caller_refresh() -> None:
    line = Line(alice=make_agent("alice", session_expires=1800), bob=make_agent("bob", session_expires=600))
    line.alice.calls()
    assert line.last("INVITE").get("Session-Expires") == "1800"
    assert line.last("INVITE").get("Min-SE") == "90"
    line.bob.answers()
    ok = line.last("200")
    assert ok.get("Session-Expires") == "1800;refresher=uac"
    assert ok.get("Require") == "timer"
    assert line.alice.dialog.timer.we_refresh
    assert not line.bob.dialog.timer.we_refresh


def test_the_caller_may_ask_the_callee_to_refresh() -> None:
    bob = Solo(session_expires=1800)
    headers = [("Supported", "timer"), ("Session-Expires", "600;refresher=uas")]
    bob.arrives(received_request("INVITE", headers=headers))
    invite = bob.hears("Invited").invite
    bob.does(invite.accept(bob.now))
    ok = bob.sends("200")
    assert ok.get("Session-Expires") == "600;refresher=uas"
    assert ok.get("Require") is None


def test_a_proxy_may_ask_for_a_caller_who_knows_nothing_of_it() -> None:
    # RFC 4028 table 2: then the callee refreshes
    bob = Solo(session_expires=1800)
    bob.arrives(received_request("INVITE", headers=[("Session-Expires", "600;refresher=uac")]))
    invite = bob.hears("Invited").invite
    bob.does(invite.accept(bob.now))
    assert bob.sends("200").get("Session-Expires") == "600;refresher=uas"
    assert invite.session().timer.we_refresh


def test_a_caller_who_only_supports_it_gets_a_timer_from_us() -> None:
    bob = Solo(session_expires=1800)
    bob.arrives(received_request("INVITE", headers=[("Supported", "timer"), ("Min-SE", "2000")]))
    invite = bob.hears("Invited").invite
    bob.does(invite.accept(bob.now))
    assert bob.sends("200").get("Session-Expires") == "2000;refresher=uac"


def test_without_any_wish_there_is_no_timer() -> None:
    line = timed(0)
    assert line.alice.dialog.timer.next_deadline is None
    assert line.bob.dialog.timer.next_deadline is None


def test_an_interval_below_ours_is_refused_with_422() -> None:
    bob = Solo(session_expires=1800, session_min_se=200)
    bob.arrives(received_request("INVITE", headers=[("Supported", "timer"), ("Session-Expires", "100")]))
    assert bob.sends("422").get("Min-SE") == "200"
    assert bob.is_quiet()


def test_a_caller_without_support_cannot_be_refused_so() -> None:
    assert not too_small(make_request(headers=[("Session-Expires", "100")]), 200)


def test_a_refused_interval_is_raised_and_the_call_made_again() -> None:
    line = Line(
        alice=make_agent("alice", session_expires=100), bob=make_agent("bob", session_expires=1800, session_min_se=300)
    )
    line.alice.calls()
    assert line.ladder() == ["alice INVITE", "bob 422", "alice ACK", "alice INVITE"]
    line.bob.answers()
    assert line.last("200").get("Session-Expires") == "300;refresher=uac"
    line.alice.hears_all("Answered")
    assert line.last("ACK").cseq == 2
    line.alice.hangs_up()
    line.assert_over()


def test_a_422_that_asks_for_nothing_new_is_a_failure() -> None:
    alice = Solo(session_expires=1800)
    alice.calls()
    invite = alice.sends("INVITE")
    alice.arrives(received_response(invite, 422, headers=[("Min-SE", "1800")]))
    alice.sends("ACK")
    alice.hears("Failed 422")


def test_a_re_invite_with_too_small_an_interval_is_raised_and_sent_again_unnoticed() -> None:
    line = timed(100, bob={"session_min_se": 90})
    line.bob.agent._context.session_min_se = 400
    line.alice.sends("INVITE", body=OFFER, relates_to="hold")
    assert line.ladder() == ["alice INVITE", "bob 422", "alice ACK", "alice INVITE", "bob 200", "alice ACK"]
    assert line.alice.hears("Replied INVITE 200").relates_to == "hold"
    assert line.alice.dialog.timer.interval == 400
    line.bob.hears_all("Requested INVITE", "Acknowledged")


@pytest.mark.parametrize("value", ["", "x", "-1", "1800x", "9999999999"])
def test_a_malformed_interval_in_a_request_is_refused_with_400(value: str) -> None:
    bob = Solo(session_expires=1800)
    bob.arrives(received_request("INVITE", headers=[("Supported", "timer"), ("Session-Expires", value)]))
    bob.sends("400")
    assert bob.is_quiet()
    line = timed()
    line.alice.sends("INFO", headers=[("Session-Expires", value)])
    line.alice.hears("Replied INFO 200")
    line.alice.dialog.timer.interval = 0
    line.alice.agent._context.session_expires = 0
    line.alice.sends("INVITE", body=OFFER, headers=[("Session-Expires", value)])
    line.alice.hears("Replied INVITE 400")
    line.alice.sends("INVITE", body=OFFER)
    line.alice.hears("Replied INVITE 200")


@pytest.mark.parametrize("value", ["x", "", "999999999999"])
def test_a_malformed_interval_in_a_2xx_does_not_cost_the_call(value: str) -> None:
    alice = Solo(session_expires=1800)
    alice.calls()
    invite = alice.sends("INVITE")
    headers = [("Contact", "<sip:bob@192.0.2.2>"), ("Session-Expires", value)]
    alice.arrives(received_response(invite, 200, headers=headers))
    answered = alice.hears("Answered")
    assert answered.session.timer.we_refresh
    assert not answered.session.timer.agreed


def test_an_interval_that_nobody_may_ask_for_is_not_believed() -> None:
    alice = Solo(session_expires=1800)
    alice.calls()
    invite = alice.sends("INVITE")
    headers = [("Contact", "<sip:bob@192.0.2.2>"), ("Session-Expires", "1;refresher=uac")]
    alice.arrives(received_response(invite, 200, headers=headers))
    assert alice.hears("Answered").session.timer.interval == 90


def test_the_headers_are_read_as_the_rfc_writes_them() -> None:
    assert session_expires(make_request(headers=[("Session-Expires", "1800 ; refresher=UAS")])) == (1800, "uas")
    assert session_expires(make_request()) is None
    assert min_se(make_request(headers=[("Min-SE", "120;x=y")])) == 120
    assert min_se(make_request(headers=[("Min-SE", "nonsense")])) == 90
    with pytest.raises(ParseError):
        session_expires(make_request(headers=[("Session-Expires", "soon")]))


# refreshing -----------------------------------------------------------------------------------------------------
def test_the_session_is_refreshed_by_update_at_half_time_and_lives_on() -> None:
    line = timed(1800)
    line.advance(899)
    assert not line.ladder()
    line.advance(2)
    line.settle()
    assert line.ladder() == ["alice UPDATE", "bob 200"]
    line.alice.hears_all()
    line.bob.hears_all()
    line.advance(7200)
    assert line.alice.is_talking
    assert line.bob.is_talking
    assert line.count("UPDATE") == 8
    line.alice.hangs_up()
    line.assert_over()


def test_a_refresh_keeps_the_roles() -> None:
    line = timed(1800)
    line.advance(901)
    assert line.last("UPDATE").get("Session-Expires") == "1800;refresher=uac"
    line = timed(1800)
    line.bob.sends("UPDATE")
    assert line.last("UPDATE").get("Session-Expires") == "1800;refresher=uas"
    assert line.alice.dialog.timer.we_refresh
    assert not line.bob.dialog.timer.we_refresh


def test_a_peer_without_update_is_refreshed_by_re_invite_with_the_description_in_force() -> None:
    line = timed(1800, bob={"headers": NO_UPDATE})
    line.advance(901)
    line.settle()
    assert line.ladder() == ["alice INVITE", "bob 200", "alice ACK"]
    line.alice.hears_all("Refreshed")
    line.bob.hears_all("Requested INVITE", "Acknowledged")
    line.advance(901)
    assert line.last("INVITE").sdp == OFFER


def test_a_callee_refreshes_with_its_own_description() -> None:
    line = timed(1800, alice={"headers": NO_UPDATE, "session_expires": 0})
    assert line.bob.dialog.timer.we_refresh is False
    line = timed(1800, alice={"headers": OLD, "session_expires": 0})
    assert line.bob.dialog.timer.we_refresh
    line.advance(901)
    assert line.last("INVITE").sdp == ANSWER


def test_a_peer_that_refuses_update_is_refreshed_by_re_invite() -> None:
    line = timed(1800)
    line.bob.agent._context.session_min_se = 90
    session = line.alice.dialog
    line.drop("UPDATE", times=1)
    line.advance(900.02)
    update = line.last("UPDATE")
    line.alice.does(
        line.alice.agent.receive(update.response(405), line.wire.flow_from(line.alice.endpoint), line.now), settle=False
    )
    line.advance(1)
    assert line.count("INVITE") == 1
    assert session.timer.expires_at is not None
    assert session.timer.expires_at > 2000


def test_any_request_or_response_that_refreshes_starts_the_time_anew() -> None:
    line = timed(1800)
    line.advance(800)
    line.bob.sends("INVITE", body=OFFER)
    line.forget()
    line.advance(880)
    assert not line.ladder()
    line.advance(30)
    assert line.count("UPDATE") == 1


def test_a_refresh_of_a_call_that_the_peer_has_forgotten_ends_it() -> None:
    line = timed(1800)
    line.bob.dialog.close()
    line.advance(901)
    line.settle()
    line.alice.hears_all("Ended failed")
    line.assert_over()


def test_the_refresher_that_gets_no_answer_hangs_up() -> None:
    line = timed(1800)
    with line.wire.cut():
        line.advance(900 + 33)
        line.alice.hears_all("Ended failed")
        assert line.count("BYE") >= 1
        line.advance(1800)
        line.bob.hears_all("Ended timer")
        line.advance(40)
    line.assert_over()


def test_the_side_that_waits_for_refreshes_hangs_up_a_bit_before_the_end() -> None:
    line = timed(1800)
    with line.wire.cut():
        line.advance(1800 - 32 - 0.1)
        assert not line.count("BYE", line.bob)
        line.advance(0.2)
        assert line.count("BYE", line.bob) == 1
        line.bob.hears_all("Ended timer")
        assert line.last("BYE").get("Reason") == 'SIP;cause=408;text="Session expired"'
        line.advance(40)
    line.assert_over()


def test_a_refresh_that_fails_for_a_while_is_tried_again_in_time() -> None:
    line = timed(1800)
    session = line.alice.dialog
    for attempt, status in enumerate((500, 503, 491)):
        line.drop("UPDATE", times=1)
        line.advance(session.timer.refresh_at - line.now)  # type: ignore[operator]
        response = line.last("UPDATE").response(status)
        flow = line.wire.flow_from(line.alice.endpoint)
        line.alice.does(line.alice.agent.receive(response, flow, line.now), settle=False)
        assert line.count("UPDATE") == attempt + 1
    line.advance(600)
    assert line.alice.is_talking
    assert line.bob.is_talking
    line.alice.hears_all()


def test_a_peer_that_takes_no_refresh_at_all_is_not_pestered() -> None:
    # without a session description of ours there is nothing to put into a re-INVITE
    alice = Solo(TCP, session_expires=1800)
    call = alice.calls(offer=b"")
    answer = [("Contact", "<sip:bob@192.0.2.2>"), ("Session-Expires", "1800;refresher=uac"), ("Require", "timer")]
    alice.arrives(received_response(alice.sends("INVITE"), 200, headers=answer))
    alice.does(alice.hears("Answered").session.ack(call.request, alice.now))
    alice.sends("ACK")
    updates = 0
    while alice.agent.session_count:
        alice.advance(1)
        while alice.outcome and alice.outcome[0].data.startswith(b"UPDATE"):
            alice.arrives(received_response(alice.sends("UPDATE"), 501))
            updates += 1
    assert updates < 25
    alice.sends("BYE")
    alice.hears("Ended timer")
    assert alice.now == pytest.approx(1800, abs=1)


@pytest.mark.parametrize(("value", "again_at"), [("7;duration=3", 907.0), ("1", 902.0), ("7 (busy)", 1125.0)])
def test_retry_after_is_obeyed(value: str, again_at: float) -> None:
    timer = SessionTimer(1800, we_refresh=True, agreed=True, expires_at=1800.0)
    timer.refused(make_request("UPDATE").response(500, headers=[("Retry-After", value)]), 900.0)
    assert timer.refresh_at == again_at


def test_a_peer_without_timers_that_answers_anything_is_alive() -> None:
    line = timed(1800, alice={"headers": OLD, "session_expires": 0})
    assert not line.bob.dialog.timer.agreed
    line.alice.replies = 488
    line.advance(4000)
    assert line.bob.is_talking
    assert line.count("488") == 4
    line.bob.hears_all()


def test_a_refresh_waits_while_an_offer_is_open() -> None:
    line = timed(1800)
    line.bob.replies = None
    line.advance(899)
    line.alice.sends("INVITE", body=OFFER)
    line.advance(10)
    line.bob.responds(200, body=ANSWER)
    assert line.alice.is_talking
    assert line.alice.dialog.timer.refresh_at == pytest.approx(line.now + 900, abs=1)


def test_the_timer_of_a_session_that_is_over_is_gone() -> None:
    line = timed(1800)
    line.alice.hangs_up()
    line.advance(33)
    assert line.alice.agent.next_deadline is None
    assert line.bob.agent.next_deadline is None
