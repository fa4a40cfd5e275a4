# SPDX-License-Identifier: Apache-2.0
"""The machine of offers and answers by itself: RFC 3264, RFC 6337."""

from __future__ import annotations

from switch.sip.session.offer_answer import OfferAnswer, OfferState


def test_an_offer_of_ours_is_answered() -> None:
    offers = OfferAnswer()
    offers.send(b"o")
    assert offers.expects_answer
    assert offers.local == b"o"
    offers.receive()
    assert offers.settled
    assert offers.may_offer
    assert offers.local == b"o"


def test_an_offer_of_the_peer_is_answered() -> None:
    offers = OfferAnswer()
    offers.receive()
    assert offers.owes_answer
    assert offers.local is None
    offers.send(b"a")
    assert offers.may_offer
    assert offers.local == b"a"


def test_a_refused_offer_counts_as_unsaid() -> None:
    offers = OfferAnswer()
    offers.send(b"o")
    offers.receive()
    offers.send(b"hold")
    assert offers.local == b"o"
    offers.fail()
    assert offers.local == b"o"
    assert offers.state is OfferState.IDLE
    offers.receive()
    offers.fail()
    assert offers.local == b"o"


def test_before_the_first_exchange_nobody_may_offer_out_of_turn() -> None:
    offers = OfferAnswer()
    assert not offers.may_offer
    offers.receive_first(b"offer")
    assert not offers.may_offer
    offers.send_first(b"answer")
    assert offers.may_offer


def test_what_repeats_the_first_exchange_is_no_new_offer() -> None:
    offers = OfferAnswer()
    offers.receive_first(b"offer")
    offers.send_first(b"answer")
    offers.send_first(b"answer")
    offers.receive_first(b"again")
    assert offers.state is OfferState.IDLE


def test_a_first_invite_accepted_without_answer_leaves_nothing_open() -> None:
    ours, theirs = OfferAnswer(), OfferAnswer()
    ours.receive_first(b"offer")
    ours.accept(b"")
    assert ours.may_offer
    theirs.send_first(b"offer")
    theirs.accepted(None)
    assert theirs.may_offer
    assert theirs.local == b"offer"


def test_a_late_offer_stays_open_until_the_ack() -> None:
    caller, callee = OfferAnswer(), OfferAnswer()
    callee.accept(b"offer")
    assert callee.expects_answer
    caller.accepted(b"offer")
    assert caller.owes_answer
    caller.send(b"answer")
    callee.receive()
    assert caller.may_offer
    assert callee.may_offer
    assert (caller.local, callee.local) == (b"answer", b"offer")
