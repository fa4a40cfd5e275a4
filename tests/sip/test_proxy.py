# SPDX-License-Identifier: Apache-2.0
"""The proxy core: RFC 3261 section 16 with RFC 4320 and RFC 5393, as scripts over a real user agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.calls.crossing import replied
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Flow
from switch.sip.message.parsing import parse_message
from switch.sip.proxy import ProxyContext, prepare, refusal
from switch.sip.transaction import NonInviteServerTransaction, Send, Timers
from switch.sip.user_agent import Arrived, UserAgent
from tests.sip.agents import make_agent
from tests.sip.harness import label, received_request, received_response

if TYPE_CHECKING:
    from switch.sip.message.message import Request, Response

US = ("192.0.2.1", 5060)
SENDER = Flow("udp", US, ("192.0.2.2", 5060))
SHOWN = NameAddr("Alice", "sip:101@example.com")
CROSSING = frozenset({"Content-Type", "Subject"})


@dataclass(frozen=True)
class Target:
    """A binding."""

    uri: str
    flow: Flow
    routes: tuple[str, ...] = ()


DESK = Target("sip:bob@192.0.2.11", Flow("udp", US, ("192.0.2.11", 5060)))
SOFT = Target("sip:bob@192.0.2.12:5062;transport=tcp", Flow("tcp", US, ("192.0.2.12", 40000), 3))
BEHIND_PROXY = Target(
    "sip:bob@10.0.0.1",
    Flow("udp", US, ("192.0.2.13", 5060)),
    ("<sip:edge.example.net;lr>", "<sip:core.example.net;lr>"),
)


class Switch:
    """A user agent that proxies whatever arrives to `targets`; the test is everybody around it."""

    def __init__(self, *targets: Target, timers: Timers | None = None) -> None:
        self.agent = make_agent("us", timers)
        self.targets = targets
        self.now = 0.0
        self.out: list[tuple[float, Flow, Any]] = []
        self.contexts: list[ProxyContext] = []

    def receive(self, message: Request | Response, flow: Flow = SENDER) -> None:
        """A message arrives."""
        self.perform(self.agent.receive(message, flow, self.now))

    def perform(self, effects: Any) -> None:
        """Note what leaves; proxy what arrives."""
        for effect in effects:
            if isinstance(effect, Send):
                self.out.append((self.now, effect.flow, parse_message(effect.data)))
            elif isinstance(effect, Arrived):
                assert isinstance(effect.transaction, NonInviteServerTransaction)
                request = ready(effect.request)
                layer, tag = self.agent.layer, self.agent.new_token
                context = ProxyContext(layer, effect.transaction, request, self.targets, new_tag=tag, replied=replied)
                self.contexts.append(context)
                self.perform(context.start(self.now))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (moment := self._next_moment()) <= end:
            self.now = max(self.now, moment)
            for sleeper in self._sleepers():
                self.perform(sleeper.handle_timer(self.now))
        self.now = end

    def _next_moment(self) -> float:
        deadlines = [sleeper.next_deadline for sleeper in self._sleepers()]
        return min((deadline for deadline in deadlines if deadline is not None), default=float("inf"))

    def _sleepers(self) -> list[UserAgent | ProxyContext]:
        return [self.agent, *self.contexts]

    def take(self, what: str, flow: Flow | None = None) -> Any:
        """The next message that left, which is this one."""
        assert self.out, f"nothing left, expected {what}"
        _, actual, message = self.out.pop(0)
        assert label(message) == what
        if flow is not None:
            assert actual == flow
        return message

    def quiet(self) -> None:
        """Nothing else left."""
        assert self.out == []


def message(method: str = "MESSAGE", **more: Any) -> Request:
    """A request for Bob."""
    more.setdefault("uri", "sip:bob@example.com")
    return received_request(method, **more)


def answer(s: Switch, copy: Request, status: int, target: Target, **more: Any) -> None:
    """A target answers its copy."""
    s.receive(received_response(copy, status, **more), target.flow)


# forwarding (16.6) --------------------------------------------------------------------------------------------------
def test_a_copy_goes_to_the_target_with_our_via_and_one_hop_less() -> None:
    s = Switch(DESK)
    s.receive(
        message(body=b"Hello", headers=[("Content-Type", "text/plain"), ("X-Unknown", "stays"), ("Subject", "kept")])
    )
    copy = s.take("MESSAGE", DESK.flow)
    assert copy.uri_text == DESK.uri
    assert copy.max_forwards == 69
    assert [value.split(";")[0] for value in copy.all("Via")] == [
        "SIP/2.0/UDP 192.0.2.1:5060",
        "SIP/2.0/UDP 192.0.2.2:5060",
    ]
    assert copy.get("Record-Route") is None
    assert (copy.get("X-Unknown"), copy.get("Subject"), copy.body) == (None, "kept", b"Hello")
    assert (copy.from_.display, copy.from_.uri_text) == ("Alice", "sip:101@example.com")
    assert copy.to.uri_text == "sip:bob@example.com"
    assert copy.to_tag is None
    s.quiet()


def test_a_request_without_max_forwards_gets_70() -> None:
    s = Switch(DESK)
    request = message()
    request.remove("Max-Forwards")
    s.receive(request)
    assert s.take("MESSAGE").max_forwards == 70


def test_the_path_of_a_binding_becomes_the_route() -> None:
    s = Switch(BEHIND_PROXY)
    s.receive(message())
    copy = s.take("MESSAGE", BEHIND_PROXY.flow)
    assert copy.values("Route") == list(BEHIND_PROXY.routes)
    assert copy.uri_text == BEHIND_PROXY.uri


def test_the_answer_goes_back_without_our_via() -> None:
    s = Switch(DESK)
    s.receive(message())
    answer(
        s,
        s.take("MESSAGE"),
        202,
        DESK,
        to_tag="desk",
        headers=[("X-Mark", "1"), ("Retry-After", "1"), ("Contact", "<sip:x>")],
    )
    response = s.take("202", SENDER)
    assert [value.split(";")[0] for value in response.all("Via")] == ["SIP/2.0/UDP 192.0.2.2:5060"]
    assert (response.to_tag, response.get("Retry-After")) == ("desk", "1")
    assert (response.get("X-Mark"), response.get("Contact")) == (None, None)
    assert response.from_.uri_text == message().from_.uri_text  # as it was asked, not as it went on
    s.quiet()
    assert s.contexts[0].is_over


def test_all_targets_get_a_copy_and_the_first_2xx_is_the_answer() -> None:
    s = Switch(DESK, SOFT)
    s.receive(message())
    first, second = s.take("MESSAGE", DESK.flow), s.take("MESSAGE", SOFT.flow)
    assert first.via.branch != second.via.branch
    answer(s, first, 486, DESK)
    s.quiet()
    answer(s, second, 200, SOFT)
    s.take("200", SENDER)
    s.advance(40)
    s.quiet()


def test_a_second_2xx_is_not_passed_on() -> None:
    s = Switch(DESK, SOFT)
    s.receive(message())
    first, second = s.take("MESSAGE"), s.take("MESSAGE")
    answer(s, first, 200, DESK)
    s.take("200")
    answer(s, second, 200, SOFT)
    s.quiet()


def test_a_retransmitted_request_is_not_forwarded_again_and_gets_the_answer_again() -> None:
    s = Switch(DESK)
    s.receive(message())
    copy = s.take("MESSAGE")
    s.receive(message())
    s.quiet()
    answer(s, copy, 200, DESK)
    s.take("200")
    s.receive(message())
    s.take("200")


def test_provisional_responses_stay_here() -> None:
    s = Switch(DESK)
    s.receive(message())
    copy = s.take("MESSAGE")
    answer(s, copy, 100, DESK, to_tag=None)
    answer(s, copy, 183, DESK)
    s.quiet()


# the choice (16.7) --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("statuses", "chosen"),
    [([486, 404], "486"), ([486, 603], "603"), ([486, 302], "480"), ([503, 404], "404"), ([408, 480], "480")],
)
def test_the_best_response_is_passed_on_when_all_are_in(statuses: list[int], chosen: str) -> None:
    s = Switch(DESK, SOFT)
    s.receive(message())
    first, second = s.take("MESSAGE"), s.take("MESSAGE")
    answer(s, first, statuses[0], DESK)
    s.quiet()
    answer(s, second, statuses[1], SOFT)
    s.take(chosen, SENDER)
    s.quiet()


def test_a_503_becomes_a_500_of_our_own() -> None:
    s = Switch(DESK)
    s.receive(message())
    answer(s, s.take("MESSAGE"), 503, DESK, headers=[("Retry-After", "60")])
    response = s.take("500", SENDER)
    assert response.get("Retry-After") is None
    assert response.to_tag


def test_no_phone_asks_the_sender_for_his_password() -> None:
    s = Switch(DESK, SOFT)
    s.receive(message())
    first, second = s.take("MESSAGE"), s.take("MESSAGE")
    answer(s, first, 407, DESK, headers=[("Proxy-Authenticate", 'Digest realm="a"')])
    answer(s, second, 401, SOFT, headers=[("WWW-Authenticate", 'Digest realm="b"')])
    response = s.take("480")
    assert (response.get("WWW-Authenticate"), response.get("Proxy-Authenticate")) == (None, None)


def test_a_response_that_could_go_to_nobody_counts_as_lost() -> None:
    s = Switch(DESK, SOFT)
    s.receive(message())
    first, second = s.take("MESSAGE"), s.take("MESSAGE")
    bare = received_response(first, 200)
    bare.pop("Via")
    bare.pop("Via")
    bare.push("Via", str(first.via))
    s.receive(bare, DESK.flow)
    s.quiet()
    answer(s, second, 404, SOFT)
    s.take("404")


# silence (16.8, RFC 4320) -------------------------------------------------------------------------------------------
def test_only_silence_is_answered_by_silence_and_nothing_stays_behind() -> None:
    s = Switch(DESK)
    s.receive(message())
    s.advance(200)
    assert {label(sent) for _, _, sent in s.out} == {"MESSAGE", "100"}
    assert s.contexts[0].is_over
    assert len(s.agent.layer) == 0


def test_a_408_of_a_target_is_not_passed_on() -> None:
    s = Switch(DESK)
    s.receive(message())
    answer(s, s.take("MESSAGE"), 408, DESK)
    s.advance(200)
    s.quiet()
    assert len(s.agent.layer) == 0


def test_the_sender_does_not_wait_for_a_silent_target_until_its_own_time_out() -> None:
    s = Switch(DESK, SOFT)
    s.receive(message())
    first, _ = s.take("MESSAGE"), s.take("MESSAGE")
    answer(s, first, 486, DESK)
    s.advance(23.9)
    s.take("100")
    s.quiet()
    s.advance(0.1)
    s.take("486", SENDER)
    s.advance(200)
    s.quiet()
    assert len(s.agent.layer) == 0


def test_after_that_the_first_word_is_the_answer() -> None:
    s = Switch(DESK, SOFT)
    s.receive(message())
    _, second = s.take("MESSAGE"), s.take("MESSAGE")
    s.advance(25)
    s.out.clear()
    answer(s, second, 404, SOFT)
    s.take("404", SENDER)


def test_a_target_that_cannot_be_reached_counts_as_503() -> None:
    s = Switch(SOFT)
    s.receive(message())
    copy = s.take("MESSAGE")
    s.perform(s.agent.send_failed(copy.to_bytes(), s.now))
    s.take("500", SENDER)


def test_time_outs_may_be_reported_by_hand() -> None:
    s = Switch(DESK, SOFT)
    s.receive(message())
    s.out.clear()
    first, second = s.agent.layer._clients.values()
    context = s.contexts[0]
    assert context.receive_response(first, first.request.response(408), s.now, local=True) == []
    s.perform(context.receive_response(second, second.request.response(408), s.now, local=True))
    s.quiet()
    assert context.is_over


# refusals (16.3, 16.5, RFC 5393) ------------------------------------------------------------------------------------
def test_nobody_registered_is_480() -> None:
    s = Switch()
    s.receive(message())
    response = s.take("480", SENDER)
    assert response.to_tag


def test_the_last_hop_is_483() -> None:
    s = Switch(DESK)
    request = message()
    request.set("Max-Forwards", "0")
    s.receive(request)
    s.take("483", SENDER)
    s.quiet()


def test_a_request_that_we_passed_on_before_is_482() -> None:
    s = Switch(DESK)
    s.receive(message())
    copy = s.take("MESSAGE")
    other = Switch(DESK)  # another node: its transactions know nothing of the first
    back = copy.copy()
    back.uri_text = "sip:bob@example.com"
    back.push("Via", "SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKback")
    other.receive(back, DESK.flow)
    other.take("482", DESK.flow)


def test_a_request_that_comes_back_for_somebody_else_is_no_loop() -> None:
    s = Switch(DESK)
    s.receive(message())
    copy = s.take("MESSAGE")
    other = Switch(SOFT)
    spiral = copy.copy()
    spiral.uri_text = "sip:carol@example.com"
    spiral.push("Via", "SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKback")
    other.receive(spiral, DESK.flow)
    other.take("MESSAGE", SOFT.flow)


@pytest.mark.parametrize(("breadth", "each"), [(None, 30), ("60", 30), ("5", 2), ("2", 1)])
def test_the_breadth_is_divided_among_the_copies(breadth: str | None, each: int) -> None:
    s = Switch(DESK, SOFT)
    s.receive(message(headers=[("Max-Breadth", breadth)] if breadth else []))
    assert [s.take("MESSAGE").get("Max-Breadth") for _ in range(2)] == [str(each)] * 2


def test_more_targets_than_the_breadth_allows_is_440() -> None:
    s = Switch(DESK, SOFT)
    s.receive(message(headers=[("Max-Breadth", "1")]))
    s.take("440", SENDER)
    s.quiet()


@pytest.mark.parametrize("line", [("Max-Breadth", "many"), ("Via", "nonsense")])
def test_what_cannot_be_read_is_400(line: tuple[str, str]) -> None:
    s = Switch(DESK)
    s.receive(message(headers=[line]))
    assert s.take("400", SENDER).reason.startswith("Bad Request - malformed")


# preparation (16.4, 22.3) -------------------------------------------------------------------------------------------
def ready(request: Request) -> Request:
    """The request as we prepare it."""
    return prepare(
        request,
        is_ours=lambda uri: uri.host == "192.0.2.1",
        sender=SHOWN,
        to="sip:bob@example.com",
        crossing=CROSSING,
    )


def test_our_own_routes_are_taken_off() -> None:
    request = message(
        headers=[("Route", "<sip:192.0.2.1;lr>, <sip:192.0.2.1:5062;lr>"), ("Route", "<sip:x.example;lr>")]
    )
    assert ready(request).values("Route") == ["<sip:x.example;lr>"]
    assert len(request.values("Route")) == 3
    assert ready(message(headers=[("Route", "<sip:192.0.2.1;lr>")])).get("Route") is None


def test_a_route_to_others_is_403() -> None:
    s = Switch(DESK)
    s.receive(message(headers=[("Route", "<sip:192.0.2.1;lr>"), ("Route", "<sip:victim.example;lr>")]))
    s.take("403", SENDER)
    s.quiet()


def test_a_route_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ParseError):
        ready(message(headers=[("Route", "<sip:unclosed")]))


def test_no_credentials_travel_whomever_they_are_for() -> None:
    ours = 'Digest username="alice", realm="example.com", response="0"'
    theirs = 'Digest username="alice", realm = "other.example", response="0"'
    request = message(headers=[("Authorization", ours), ("Proxy-Authorization", theirs), ("Proxy-Authorization", ours)])
    passed = ready(request)
    assert [line for line in passed.headers if "Authorization" in line[0]] == []


def test_a_request_that_may_go_on_is_not_refused() -> None:
    assert refusal(ready(message())) is None


# any order ----------------------------------------------------------------------------------------------------------
@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([100, 183, 200, 202, 302, 401, 404, 408, 486, 503, 603]),
            st.sampled_from([0.0, 0.3, 10.0, 30.0]),
        ),
        max_size=10,
    )
)
def test_the_sender_hears_at_most_one_final_response_and_nothing_stays_behind(
    answers: list[tuple[int, int, float]],
) -> None:
    targets = [Target(f"sip:bob@192.0.2.{n}", Flow("udp", US, (f"192.0.2.{n}", 5060))) for n in range(20, 24)]
    s = Switch(*targets)
    s.receive(message())
    copies = [s.take("MESSAGE") for _ in targets]
    for number, status, seconds in answers:
        answer(s, copies[number], status, targets[number])
        s.advance(seconds)
    s.advance(200)
    heard = [label(sent) for _, flow, sent in s.out if flow == SENDER]
    finals = [status for status in heard if status != "100"]
    assert len(finals) <= 1
    assert set(heard) <= {"100", *finals}
    assert not {"408", "503"} & set(finals)
    assert s.contexts[0].is_over
    assert len(s.agent.layer) == 0
