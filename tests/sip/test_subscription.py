# SPDX-License-Identifier: Apache-2.0
"""The notifier's side of a subscription, on a virtual clock: what it sends when, and what ends it (RFC 6665)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Flow
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from switch.sip.message_summary import CONTENT_TYPE, PACKAGE, MessageCounts, message_summary
from switch.sip.subscription import Notifier, Subscription, SubscriptionEnded, Wanted, read_subscribe
from switch.sip.transaction import Send
from tests.sip.agents import make_agent

if TYPE_CHECKING:
    from collections.abc import Iterable

PHONE, SWITCH = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
UDP = Flow("udp", SWITCH, PHONE)
TCP = Flow("tcp", SWITCH, ("192.0.2.1", 40000), 7)
ONE, TWO, THREE = b"one\r\n", b"two\r\n", b"three\r\n"


class Limits:
    min_expires, default_expires, max_expires = 60, 3600, 7200


def subscribe(*lines: tuple[str, str], cseq: int = 1, to_tag: str = "", contact: str = "<sip:a@192.0.2.1>") -> Request:
    """A SUBSCRIBE as it comes in."""
    names = {name for name, _ in lines}
    usual = [("Event", PACKAGE), ("Accept", CONTENT_TYPE), ("Expires", "600")]
    request = Request(
        "SUBSCRIBE",
        "sip:a@example.com",
        [
            ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKs;rport"),
            ("From", "<sip:a@example.com>;tag=phone"),
            ("To", "<sip:a@example.com>" + (f";tag={to_tag}" if to_tag else "")),
            ("Call-ID", "c1"),
            ("CSeq", f"{cseq} SUBSCRIBE"),
            ("Contact", contact),
            *lines,
            *(line for line in usual if line[0] not in names),
        ],
    )
    parsed = parse_message(request.to_bytes())
    assert isinstance(parsed, Request)
    return parsed


def read(*lines: tuple[str, str]) -> Any:
    return read_subscribe(subscribe(*lines), PACKAGE, CONTENT_TYPE, Limits())


class Desk:
    """A notifier with one subscription."""

    def __init__(self, *lines: tuple[str, str], flow: Flow = UDP, contact: str = "<sip:a@192.0.2.1>") -> None:
        self.agent = make_agent("switch")
        self.now = 1000.0
        self.sent: list[Request] = []
        self.flows: list[Flow] = []
        self.copies = 0
        self.ended: list[str] = []
        self.way: Flow | None = flow
        self.notifier = Notifier(
            self.agent.layer,
            contact=lambda flow: f"<sip:{flow.local[0]}>",
            route=lambda subscription: self.way and subscription.dialog.next_flow(),
            watch=self.agent.watch,
            sleep=self.agent.forget,
            content_type=CONTENT_TYPE,
        )
        request = subscribe(*lines, contact=contact)
        wanted = read_subscribe(request, PACKAGE, CONTENT_TYPE, Limits())
        assert isinstance(wanted, Wanted)
        self.subscription = Subscription.begin(
            self.notifier, request, flow, wanted, "ours", self.now, owner=self, subject="a"
        )

    def perform(self, outcome: Iterable[object]) -> None:
        for effect in outcome:
            if isinstance(effect, Send):
                message = parse_message(effect.data)
                assert isinstance(message, Request)
                if self.sent and self.sent[-1].via.branch == message.via.branch:
                    self.copies += 1
                    continue
                self.sent.append(message)
                self.flows.append(effect.flow)
            elif isinstance(effect, SubscriptionEnded):
                assert effect.subscription is self.subscription
                self.ended.append(effect.reason)

    def notify(self, body: bytes) -> None:
        self.perform(self.subscription.notify(body, self.now))

    def answer(self, status: int = 200, *lines: tuple[str, str]) -> None:
        """The phone answers the last NOTIFY."""
        response = parse_message(self.sent[-1].response(status, headers=lines).to_bytes())
        assert isinstance(response, Response)
        self.perform(self.agent.receive(response, self.flows[-1], self.now))

    def fail(self) -> None:
        """The last NOTIFY could not be sent."""
        self.perform(self.agent.send_failed(self.sent[-1].to_bytes(), self.now))

    def renew(
        self, *lines: tuple[str, str], cseq: int = 2, flow: Flow = UDP, contact: str = "<sip:a@192.0.2.1>"
    ) -> int:
        request = subscribe(*lines, cseq=cseq, to_tag="ours", contact=contact)
        wanted = read_subscribe(request, PACKAGE, CONTENT_TYPE, Limits())
        assert isinstance(wanted, Wanted)
        return self.subscription.renew(request, flow, wanted, self.now)

    def advance(self, seconds: float) -> None:
        """Let time pass; every timer fires when it is due."""
        until = self.now + seconds
        while (deadline := self.agent.next_deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.perform(self.agent.handle_timer(self.now))
        self.now = until

    @property
    def states(self) -> list[str]:
        return [request.get("Subscription-State") or "" for request in self.sent]


# SUBSCRIBE ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("lines", "status", "header"),
    [
        ([("Event", "presence")], 489, ("Allow-Events", PACKAGE)),
        ([("Event", "")], 489, ("Allow-Events", PACKAGE)),
        ([("Accept", "application/pidf+xml")], 406, ("Accept", CONTENT_TYPE)),
        ([("Expires", "59")], 423, ("Min-Expires", "60")),
    ],
)
def test_what_cannot_be_served_is_refused(lines: list[tuple[str, str]], status: int, header: tuple[str, str]) -> None:
    assert read(*lines) == (status, [header])


@pytest.mark.parametrize(
    ("lines", "event", "expires"),
    [
        ([("Expires", "60")], PACKAGE, 60),
        ([("Expires", "0")], PACKAGE, 0),
        ([("Expires", "4294967295")], PACKAGE, 7200),
        ([("Event", "Message-Summary ; id=7")], f"{PACKAGE};id=7", 600),
        ([("Accept", "text/plain, application/*;q=0.5")], PACKAGE, 600),
        ([("Accept", "*/*")], PACKAGE, 600),
    ],
)
def test_what_is_wanted(lines: list[tuple[str, str]], event: str, expires: int) -> None:
    assert read(*lines) == Wanted(event, expires)


def test_a_subscribe_without_expires_and_accept_gets_what_is_usual() -> None:
    request = subscribe()
    request.remove("Expires")
    request.remove("Accept")
    assert read_subscribe(request, PACKAGE, CONTENT_TYPE, Limits()) == Wanted(PACKAGE, 3600)


@pytest.mark.parametrize("text", ["-1", "soon", "1e3", "٣", "9" * 21])
def test_a_malformed_expires_is_an_error(text: str) -> None:
    with pytest.raises(ParseError):
        read(("Expires", text))


def test_a_summary_reads_as_the_rfc_has_it() -> None:
    assert message_summary("sip:101@example.com", MessageCounts(2, 8, 0, 1)) == (
        b"Messages-Waiting: yes\r\nMessage-Account: sip:101@example.com\r\nVoice-Message: 2/8 (0/1)\r\n"
    )
    assert message_summary("sip:1@example.com", MessageCounts(0, 8, 0, 1)).startswith(b"Messages-Waiting: no\r\n")


# NOTIFY ---------------------------------------------------------------------------------------------------------------
def test_the_first_state_goes_out_within_the_dialog() -> None:
    desk = Desk(("Event", f"{PACKAGE};id=9"), ("Record-Route", "<sip:192.0.2.9;lr>"))
    assert desk.subscription.owes_state
    desk.notify(ONE)
    (notify,) = desk.sent
    assert (notify.method, notify.uri_text, notify.body) == ("NOTIFY", "sip:a@192.0.2.1", ONE)
    assert (notify.call_id, notify.from_tag, notify.to_tag, notify.cseq) == ("c1", "ours", "phone", 1)
    assert notify.get("Event") == f"{PACKAGE};id=9"
    assert notify.get("Subscription-State") == "active;expires=600"
    assert notify.get("Content-Type") == CONTENT_TYPE
    assert notify.get("Contact") == "<sip:192.0.2.2>"
    assert notify.values("Route") == ["<sip:192.0.2.9;lr>"]
    assert desk.flows == [Flow("udp", SWITCH, ("192.0.2.9", 5060))]
    assert not desk.subscription.owes_state


def test_one_notify_at_a_time_and_the_next_has_the_newest_state() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.notify(TWO)
    desk.notify(THREE)
    assert [request.body for request in desk.sent] == [ONE]
    desk.advance(0.6)
    assert desk.copies == 1, "UDP loses packets"
    desk.answer()
    assert [(request.body, request.cseq) for request in desk.sent] == [(ONE, 1), (THREE, 2)]
    desk.answer()
    desk.advance(100)
    assert len(desk.sent) == 2


def test_the_time_that_is_left_is_told() -> None:
    desk = Desk()
    desk.advance(599.5)
    desk.notify(ONE)
    assert desk.states == ["active;expires=1"]


def test_a_subscription_that_is_not_renewed_ends_with_a_last_notify() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.answer()
    desk.advance(599)
    assert desk.ended == []
    desk.advance(1)
    assert desk.states[-1] == "terminated;reason=timeout"
    assert desk.sent[-1].body == ONE
    assert desk.ended == ["timeout"]
    desk.answer(481)
    desk.advance(100)
    assert len(desk.sent) == 2
    assert desk.agent.next_deadline is None


def test_a_refresh_gives_new_time_and_another_notify() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.answer()
    desk.advance(500)
    assert desk.renew(("Expires", "300")) == 200
    assert desk.subscription.owes_state
    desk.notify(ONE)
    desk.answer()
    desk.advance(299)
    assert desk.ended == []
    desk.advance(1)
    assert desk.ended == ["timeout"]


def test_a_refresh_out_of_order_or_for_another_event_is_refused() -> None:
    desk = Desk()
    assert desk.renew(cseq=5) == 200
    assert desk.renew(cseq=4) == 500
    assert desk.renew(("Event", f"{PACKAGE};id=other"), cseq=6) == 481


def test_a_refresh_moves_the_target() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.answer()
    moved = Flow("udp", SWITCH, ("192.0.2.77", 5080))
    assert desk.renew(contact="<sip:a@192.0.2.77:5080>", flow=moved) == 200
    desk.notify(ONE)
    assert (desk.sent[-1].uri_text, desk.flows[-1]) == ("sip:a@192.0.2.77:5080", moved)


def test_a_phone_behind_nat_is_told_where_it_came_from() -> None:
    seen = Flow("udp", SWITCH, ("203.0.113.5", 61000))
    desk = Desk(flow=seen, contact="<sip:a@192.168.1.5:5060>")
    desk.notify(ONE)
    assert (desk.sent[-1].uri_text, desk.flows[-1]) == ("sip:a@192.168.1.5:5060", seen)


def test_unsubscribing_ends_it_with_the_state_that_is_known() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.answer()
    assert desk.renew(("Expires", "0")) == 200
    desk.perform(desk.subscription.flush(desk.now))
    assert desk.states[-1] == "terminated;reason=timeout"
    assert desk.ended == ["timeout"]
    assert desk.renew(cseq=3) == 481


def test_unsubscribing_waits_for_the_answer_to_the_notify_before() -> None:
    desk = Desk()
    desk.notify(ONE)
    assert desk.renew(("Expires", "0")) == 200
    desk.perform(desk.subscription.flush(desk.now))
    assert len(desk.sent) == 1
    desk.answer()
    assert desk.states[-1] == "terminated;reason=timeout"
    assert desk.ended == ["timeout"]


def test_a_fetch_is_answered_once_with_the_state() -> None:
    desk = Desk(("Expires", "0"))
    desk.perform(desk.subscription.flush(desk.now))
    assert desk.sent == []
    desk.advance(5)
    desk.notify(TWO)
    assert (desk.states, desk.sent[0].body) == (["terminated;reason=timeout"], TWO)
    assert desk.ended == ["timeout"]


def test_a_fetch_whose_state_never_comes_ends_without_one() -> None:
    desk = Desk(("Expires", "0"))
    desk.advance(31)
    assert desk.sent == []
    desk.advance(2)
    assert (desk.states, desk.sent[0].body, desk.ended) == (["terminated;reason=timeout"], b"", ["timeout"])
    assert desk.sent[0].get("Content-Type") is None


# what ends it ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 408, 480, 481, 489, 500, 503, 603])
def test_a_notify_that_is_refused_ends_the_subscription(status: int) -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.answer(status)
    assert desk.ended == [f"{status} to NOTIFY"]
    desk.notify(TWO)
    desk.advance(1000)
    assert len(desk.sent) == 1


def test_silence_ends_the_subscription() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.notify(TWO)
    desk.advance(33)
    assert desk.ended == ["unreachable"]
    assert len(desk.sent) == 1


def test_a_phone_that_is_busy_is_told_later() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.answer(503, ("Retry-After", "20 (starting)"))
    assert desk.ended == []
    desk.notify(TWO)
    desk.advance(19)
    assert len(desk.sent) == 1
    desk.advance(1.1)
    assert desk.sent[-1].body == TWO
    desk.answer()
    desk.advance(570)
    assert desk.ended == []


def test_a_481_ends_it_even_with_retry_after() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.answer(481, ("Retry-After", "20"))
    assert desk.ended == ["481 to NOTIFY"]


def test_a_closed_connection_is_waited_for() -> None:
    desk = Desk(flow=TCP)
    desk.notify(ONE)
    desk.way = None
    desk.fail()
    assert desk.ended == []
    assert desk.subscription.is_waiting
    desk.way = TCP
    assert desk.renew(flow=TCP) == 200
    desk.perform(desk.subscription.flush(desk.now))
    assert [request.body for request in desk.sent] == [ONE, ONE]
    desk.answer()
    assert not desk.subscription.is_waiting


def test_a_connection_that_stays_closed_ends_it_in_the_end() -> None:
    desk = Desk(flow=TCP)
    desk.notify(ONE)
    desk.way = None
    desk.fail()
    desk.advance(600)
    assert desk.ended == ["unreachable"]


def test_one_that_must_give_way_does_so_at_once() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.perform(desk.subscription.give_way(desk.now))
    assert desk.ended == ["noresource"]
    desk.answer()
    desk.advance(1000)
    assert len(desk.sent) == 1


def test_the_notifier_can_end_it() -> None:
    desk = Desk()
    desk.notify(ONE)
    desk.answer()
    desk.perform(desk.subscription.end("noresource", desk.now))
    assert desk.states[-1] == "terminated;reason=noresource"
    assert desk.ended == ["noresource"]


@given(st.lists(st.sampled_from(["news", "answer", "renew", "wait"]), max_size=40))
def test_whatever_is_lost_the_newest_state_arrives_last_and_no_number_is_used_twice(script: list[str]) -> None:
    desk = Desk()
    desk.subscription.expires_at = desk.now + 1_000_000
    newest, answered, cseq = 0, 0, 1
    desk.notify(b"0")
    for step in script:
        if step == "news":
            newest += 1
            desk.notify(str(newest).encode())
        elif step == "answer" and answered < len(desk.sent):
            answered = len(desk.sent)
            desk.answer()
        elif step == "renew":
            cseq += 1
            assert desk.renew(("Expires", "7200"), cseq=cseq) == 200
            desk.perform(desk.subscription.flush(desk.now))
        elif step == "wait":
            desk.advance(1.0 if answered < len(desk.sent) else 40.0)
        assert len(desk.sent) - answered <= 1, "one at a time"
        if desk.ended:
            return
    while answered < len(desk.sent):
        answered = len(desk.sent)
        desk.answer()
    assert [request.cseq for request in desk.sent] == list(range(1, len(desk.sent) + 1))
    bodies = [int(request.body) for request in desk.sent]
    assert bodies == sorted(bodies)
    assert bodies[-1] == newest
