# SPDX-License-Identifier: Apache-2.0
"""The course of a call to an account: modes, forwards, follow-me orders; no store, no network, no clock."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any, get_args

import pytest

from billing_client.rules.incoming import AnsweringRules, FollowMe, Forward, Mode, Order, Period
from switch.routing.answering import Course, Deposit, ForwardTo, Happened, RingPhones, Surroundings, happened
from switch.routing.diversion import MOST_FORWARDS, diverted, is_loop
from switch.sip.message.message import Request
from switch.trace.trace import Trace

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
MOBILE = Forward(name="mobile", to="420600000001")
HOME = Forward(name="home", to="420600000002")
LIST = FollowMe("as_listed", (MOBILE, HOME))


def walk(rules: AnsweringRules, *told: Happened, seed: int = 0, trace: Trace | None = None, **around: Any) -> list[str]:
    """The steps of a course in short; what happens after each is `told`, and no answer after that."""
    surroundings = Surroundings(**{"at": MONDAY, "ring_seconds": 60.0, **around})
    course = Course(rules, surroundings, Random(seed), Trace() if trace is None else trace)
    found: list[str] = []
    step = course.next()
    results = iter(told)
    while step is not None:
        found.append(short(step))
        step = course.next(next(results, Happened.NO_ANSWER))
    return found


def short(step: object) -> str:
    """A step in a word or two."""
    match step:
        case RingPhones(seconds):
            return f"ring {seconds:.0f}"
        case ForwardTo(forwards, cause, reason):
            return f"{'+'.join(forward.name for forward in forwards)} {cause} {reason}"
        case Deposit(cause, reason):
            return f"mailbox {cause} {reason}"
    raise AssertionError(step)


@pytest.mark.parametrize(
    ("mode", "steps"),
    [
        ("ring", ["ring 60"]),
        ("forward", ["mobile 302 follow-me", "home 302 follow-me"]),
        ("voicemail", ["mailbox 302 unconditional"]),
        ("ring_then_forward", ["ring 60", "mobile 408 follow-me", "home 408 follow-me"]),
        ("ring_then_voicemail", ["ring 60", "mailbox 408 no-answer"]),
        ("forward_then_voicemail", ["mobile 302 follow-me", "home 302 follow-me", "mailbox 302 unconditional"]),
        ("ring_then_forward_then_voicemail",
         ["ring 60", "mobile 408 follow-me", "home 408 follow-me", "mailbox 408 no-answer"]),
        ("reject", []),
    ],
)  # fmt: skip
def test_every_mode_goes_its_way(mode: Mode, steps: list[str]) -> None:
    assert walk(AnsweringRules(mode=mode, follow_me=LIST)) == steps


def test_every_mode_is_tried_here() -> None:
    assert len(get_args(Mode)) == 8


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        (Happened.BUSY, "mailbox 486 user-busy"),
        (Happened.DECLINED, "mailbox 486 user-busy"),
        (Happened.NO_ANSWER, "mailbox 408 no-answer"),
        (Happened.UNREGISTERED, "mailbox 404 unavailable"),
        (Happened.FAILED, "mailbox 404 unavailable"),
    ],
)
def test_the_mailbox_hears_why_nobody_answered(what: Happened, cause: str) -> None:
    assert walk(AnsweringRules(mode="ring_then_voicemail"), what) == ["ring 60", cause]


@pytest.mark.parametrize(
    ("what", "to"),
    [
        (Happened.BUSY, "busy 486 user-busy"),
        (Happened.NO_ANSWER, "no_answer 408 no-answer"),
        (Happened.UNREGISTERED, "unregistered 404 unavailable"),
        (Happened.FAILED, "unregistered 404 unavailable"),
    ],
)
def test_a_forward_is_taken_for_its_reason(what: Happened, to: str) -> None:
    forwards = {trigger: Forward(name=trigger, to="1") for trigger in ("busy", "no_answer", "unregistered")}
    rules = AnsweringRules(mode="ring_then_voicemail", forwards=forwards, ring_seconds=30)
    assert walk(rules, what)[:2] == ["ring 30", to]
    assert walk(rules, what)[2].startswith("mailbox")


def test_phones_ring_shorter_before_a_forward_on_no_answer() -> None:
    forwards = {"no_answer": Forward(name="no_answer", to="1")}
    assert walk(AnsweringRules(forwards=forwards, no_answer_seconds=12))[0] == "ring 12"
    assert walk(AnsweringRules(no_answer_seconds=12))[0] == "ring 60"
    off = {"no_answer": Forward(name="no_answer", to="1", active=False)}
    assert walk(AnsweringRules(forwards=off, no_answer_seconds=12)) == ["ring 60"]


def test_forwarding_all_comes_before_do_not_disturb_and_that_before_everything_else() -> None:
    rules = AnsweringRules(
        mode="ring_then_forward_then_voicemail",
        follow_me=LIST,
        do_not_disturb=True,
        forwards={"always": Forward(name="always", to="1")},
    )
    assert walk(rules) == ["always 302 unconditional", "mailbox 302 unconditional"]
    undisturbed = AnsweringRules(mode="ring_then_forward_then_voicemail", follow_me=LIST, do_not_disturb=True)
    assert walk(undisturbed) == ["mailbox 480 do-not-disturb"]


def test_a_decline_ends_it_where_it_shall() -> None:
    rules = AnsweringRules(mode="ring_then_voicemail", decline_ends=True)
    assert walk(rules, Happened.DECLINED) == ["ring 60"]
    forwarding = AnsweringRules(mode="forward_then_voicemail", follow_me=LIST, decline_ends=True)
    assert walk(forwarding, Happened.NO_ANSWER, Happened.DECLINED) == ["mobile 302 follow-me", "home 302 follow-me"]


def test_who_has_no_mailbox_or_no_media_server_takes_no_messages() -> None:
    rules = AnsweringRules(mode="ring_then_voicemail")
    assert walk(rules, serves_voicemail=False) == ["ring 60"]
    assert walk(AnsweringRules(mode="voicemail", has_mailbox=False)) == []


def test_a_loop_is_not_forwarded_again_and_says_so() -> None:
    trace = Trace()
    rules = AnsweringRules(mode="ring_then_forward_then_voicemail", follow_me=LIST)
    assert walk(rules, may_forward=False, trace=trace) == ["ring 60", "mailbox 408 no-answer"]
    assert any("loop" in text for text in trace)


def orders(order: Order, entries: tuple[Forward, ...]) -> Counter[str]:
    """What a list does over many calls."""
    rules = AnsweringRules(mode="forward", follow_me=FollowMe(order, entries))
    return Counter(" ".join(step.split()[0] for step in walk(rules, seed=seed)) for seed in range(400))


def test_a_list_in_each_order() -> None:
    both = (MOBILE, HOME)
    assert orders("as_listed", both) == {"mobile home": 400}
    assert orders("simultaneous", both) == {"mobile+home": 400}
    mixed = orders("random", both)
    assert mixed.keys() == {"mobile home", "home mobile"}
    assert 150 < mixed["mobile home"] < 250
    weighted = (Forward(name="a", to="1", percent=75), Forward(name="b", to="2", percent=25), HOME)
    split = orders("percentage", weighted)
    assert split.keys() == {"a", "b"}
    assert 260 < split["a"] < 340


def test_entries_out_of_their_hours_or_switched_off_are_left_out_and_named() -> None:
    night = Forward(name="night", to="1", periods=(Period(frozenset(range(7)), 22 * 60, 6 * 60),))
    off = Forward(name="off", to="2", active=False)
    trace = Trace()
    rules = AnsweringRules(mode="forward", follow_me=FollowMe("simultaneous", (night, off, HOME)))
    assert walk(rules, trace=trace) == ["home 302 follow-me"]
    texts = list(trace)
    assert "not taken: night is not used at Mon 12:00" in texts
    assert "not taken: off is switched off" in texts
    tokyo = AnsweringRules(mode="forward", follow_me=FollowMe("as_listed", (night,)), timezone="Asia/Tokyo")
    assert walk(tokyo, at=datetime(2026, 1, 5, 14, tzinfo=UTC)) == ["night 302 follow-me"]


def test_only_entries_that_are_due_share_the_calls_by_percentage() -> None:
    """Case K1: half of the calls rang nobody."""
    off = Forward(name="off", to="1", percent=50, active=False)
    night = Forward(name="night", to="2", percent=40, periods=(Period(frozenset(range(7)), 22 * 60, 6 * 60),))
    one, other = Forward(name="a", to="3", percent=3), Forward(name="b", to="4", percent=1)
    assert orders("percentage", (off, one)) == {"a": 400}
    split = orders("percentage", (off, night, one, other))
    assert split.keys() == {"a", "b"}
    assert 260 < split["a"] < 340
    assert orders("percentage", (off, night)) == {"": 400}
    trace = Trace()
    walk(AnsweringRules(mode="forward", follow_me=FollowMe("percentage", (off, one))), trace=trace)
    assert list(trace).count("not taken: off is switched off") == 1


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (486, Happened.BUSY), (600, Happened.BUSY), (603, Happened.DECLINED), (408, Happened.NO_ANSWER),
        (487, Happened.NO_ANSWER), (480, Happened.FAILED), (503, Happened.FAILED),
    ],
)  # fmt: skip
def test_what_a_final_response_says(status: int, expected: Happened) -> None:
    assert happened(status) is expected


# where a call has been


def invite(*lines: tuple[str, str]) -> Request:
    """An INVITE."""
    return Request("INVITE", "sip:102@example.com", list(lines), b"")


DOMAINS = ("example.com",)


def test_an_account_that_has_forwarded_a_call_does_not_do_so_again() -> None:
    assert not is_loop(invite(), "102", DOMAINS)
    assert is_loop(invite(("Diversion", "<sip:102@example.com>;reason=user-busy")), "102", DOMAINS)
    assert not is_loop(invite(("Diversion", "<sip:102@elsewhere.net>")), "102", DOMAINS)
    history = "<sip:102@example.com>;index=1, <sip:103@example.com;cause=486>;index=1.1;mp=1"
    assert is_loop(invite(("History-Info", history)), "102", DOMAINS)
    assert not is_loop(invite(("History-Info", history)), "103", DOMAINS)  # the last one is whom it is for


def test_nobody_forwards_what_has_been_forwarded_too_often() -> None:
    hops = [("Diversion", f"<sip:{number}@elsewhere.net>") for number in range(MOST_FORWARDS)]
    assert is_loop(invite(*hops), "102", DOMAINS)
    assert not is_loop(invite(*hops[1:]), "102", DOMAINS)


def test_headers_of_others_that_cannot_be_read_are_no_loop() -> None:
    assert not is_loop(invite(("Diversion", "<<<"), ("History-Info", "nonsense")), "102", DOMAINS)


def test_a_forwarded_invite_tells_its_way() -> None:
    first, last = diverted(invite(), "102", "example.com", "sip:420@example.com", cause=486, reason="user-busy")
    assert first == [("Diversion", "<sip:102@example.com>;reason=user-busy;counter=1")]
    assert last == [
        ("History-Info", "<sip:102@example.com>;index=1"),
        ("History-Info", "<sip:420@example.com;cause=486>;index=1.1;mp=1"),
    ]
    again = invite(("History-Info", "<sip:101@example.com>;index=1, <sip:102@example.com>;index=1.1"))
    _, last = diverted(again, "102", "example.com", "sip:420@example.com", cause=302, reason="follow-me")
    assert last == [("History-Info", "<sip:420@example.com;cause=302>;index=1.1.1;mp=1.1")]
