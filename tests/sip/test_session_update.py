# SPDX-License-Identifier: Apache-2.0
"""UPDATE, early and late: RFC 3311."""

from __future__ import annotations

import pytest

from switch.sip.session import Answered
from tests.sip.agents import ANSWER, HOLD, OFFER, Line


@pytest.mark.parametrize("who", [0, 1])
def test_update_changes_an_established_call(who: int) -> None:
    line = Line.established()
    asking, asked = line.both_ways()[who]
    asking.sends("UPDATE", body=HOLD)
    asking.hears_all("Replied UPDATE 200")
    asked.hears_all("Requested UPDATE")
    assert asking.dialog.local_sdp == HOLD
    assert line.last("200").sdp == ANSWER
    assert line.last("200").contact


def test_update_without_offer_is_answered_without_troubling_anybody() -> None:
    line = Line.established()
    line.alice.sends("UPDATE")
    line.alice.hears_all("Replied UPDATE 200")
    line.bob.hears_all()
    assert line.last("200").contact


def test_updates_with_offers_that_cross_are_refused_with_491() -> None:
    line = Line.established()
    line.alice.sends("UPDATE", body=HOLD, settle=False)
    line.bob.sends("UPDATE", body=HOLD)
    line.alice.hears_all("Replied UPDATE 491")
    line.bob.hears_all("Replied UPDATE 491")
    line.bob.sends("UPDATE", body=HOLD)
    line.bob.hears_all("Replied UPDATE 200")


def test_update_and_re_invite_that_cross_are_refused_with_491() -> None:
    line = Line.established()
    line.alice.sends("UPDATE", body=HOLD, settle=False)
    line.bob.sends("INVITE", body=HOLD)
    line.alice.hears_all("Replied UPDATE 491")
    line.bob.hears_all("Replied INVITE 491")


def test_an_update_before_the_last_one_is_answered_is_refused_with_500() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("UPDATE", body=HOLD)
    update = line.last("UPDATE")
    update.set("CSeq", f"{update.cseq + 1} UPDATE")
    update.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-second;rport")
    line.bob.does(line.bob.agent.receive(update, line.wire.flow_from(line.bob.endpoint), line.now))
    assert line.last("500").get("Retry-After")


def test_an_update_without_offer_passes_a_re_invite_that_is_open() -> None:
    line = Line.established()
    line.bob.replies = None
    line.alice.sends("INVITE", body=HOLD)
    line.alice.sends("UPDATE")
    line.alice.hears_all("Replied UPDATE 200")
    line.bob.responds(200, body=ANSWER)
    line.alice.hears_all("Replied INVITE 200")


@pytest.mark.parametrize("status", [488, 500])
def test_a_refused_update_leaves_the_call_as_it_was(status: int) -> None:
    line = Line.established()
    line.bob.replies = status
    line.alice.sends("UPDATE", body=HOLD)
    line.alice.hears_all(f"Replied UPDATE {status}")
    assert line.alice.is_talking
    assert line.alice.dialog.local_sdp == OFFER


def test_an_early_update_with_offer_is_refused_while_the_first_offer_is_open() -> None:
    # RFC 3311 5.2: by the caller 500, as the callee has yet to answer; by the callee 491
    line = Line()
    line.alice.calls()
    line.bob.rings()
    caller, callee = line.alice.hears("Progressed 180").session, line.bob.incoming.session()
    line.alice.does(caller.send("UPDATE", line.now, body=HOLD))
    line.alice.hears("Replied UPDATE 491")
    assert not line.count("UPDATE")
    for session, phone, status in ((caller, line.alice, 500), (callee, line.bob, 491)):
        request = session.dialog.request("UPDATE", [("Content-Type", "application/sdp")], HOLD)
        transaction, effects = phone.agent.layer.send_request(request, session.dialog.next_flow(), line.now)
        assert transaction.user is None
        phone.does(effects)
        assert line.count(str(status)) == 1
    line.bob.answers()
    assert line.alice.is_talking


def test_an_early_update_is_fine_once_a_reliable_answer_was_exchanged() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings(183, body=ANSWER, reliable=True)
    caller, callee = line.alice.hears("Progressed 183").session, line.bob.incoming.session()
    line.forget()
    line.alice.does(caller.send("UPDATE", line.now, body=HOLD))
    line.alice.hears_all("Replied UPDATE 200")
    line.bob.does(callee.send("UPDATE", line.now, body=HOLD))
    line.bob.hears_all("Requested UPDATE", "Replied UPDATE 200")
    line.bob.answers(body=b"")
    assert line.last("200").sdp is None
    assert line.alice.is_talking
    assert line.bob.dialog.local_sdp == HOLD


def test_a_2xx_waits_for_the_answer_to_an_early_update() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings(183, body=ANSWER, reliable=True)
    caller = line.alice.heard[0].session
    line.bob.replies = None
    line.alice.does(caller.send("UPDATE", line.now, body=HOLD))
    line.bob.answers(body=b"")
    assert not any(isinstance(event, Answered) for event in line.alice.heard)
    line.bob.responds(200, body=ANSWER)
    assert line.ladder()[-3:] == ["bob 200", "bob 200", "alice ACK"]
    assert line.alice.is_talking


def test_an_early_update_that_nobody_answers_does_not_end_the_call() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings(183, body=ANSWER, reliable=True)
    caller = line.alice.heard[0].session
    line.drop("UPDATE", times=20)
    line.alice.does(caller.send("UPDATE", line.now, body=HOLD))
    line.advance(40)
    line.bob.answers(body=b"")
    assert line.alice.is_talking


def test_an_early_update_does_not_start_the_session_timer() -> None:
    line = Line()
    line.alice.calls()
    line.bob.rings(183, body=ANSWER, reliable=True)
    line.alice.does(line.alice.heard[0].session.send("UPDATE", line.now, headers=[("Session-Expires", "90")]))
    assert line.last("200").get("Session-Expires") is None
    assert line.bob.incoming.session().timer.next_deadline is None
