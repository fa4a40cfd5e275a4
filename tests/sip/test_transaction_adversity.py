# SPDX-License-Identifier: Apache-2.0
"""Whatever the wire does short of the timeouts, each side's user hears each thing exactly once.

Two transaction layers, a wire that loses, duplicates and delays as hypothesis likes, and users that do what a user
agent does: ring, answer, repeat a 2xx until it is acknowledged.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from switch.sip.transaction import (
    Effect,
    Ended,
    InviteClientTransaction,
    RequestReceived,
    ResponseReceived,
    Send,
    ServerTransaction,
    State,
    TransactionLayer,
    response_flow,
)
from tests.sip.harness import (
    UDP,
    Endpoint,
    Pair,
    Script,
    make_layer,
    make_request,
    received_request,
    received_response,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from switch.sip.message.message import Request, Response

# How a message fares: the extra delay of each copy. Five losses in a row are well below 64*T1.
FATES = st.lists(
    st.sampled_from([(0.0,), (), (0.0, 0.03), (0.3,), (0.0, 0.3), (0.05,), (0.0, 0.0, 0.1)]), max_size=40
).filter(lambda fates: fates.count(()) <= 5)
FAULTY = settings(max_examples=150, deadline=None)
LONG = 200.0


def subject(pair: Pair, fates: Sequence[tuple[float, ...]]) -> None:
    """The first messages fare as told, all later ones well."""
    left = list(fates)
    pair.fate = lambda _sender, _data: left.pop(0) if left else (0.0,)


class Callee:
    """A user agent server: it rings, answers at an instant, repeats a 2xx until the ACK, obeys a CANCEL."""

    def __init__(self, status: int, *, answer_seconds: float = 0.0, rings: bool = True) -> None:
        self.layer = make_layer(prefix="z9hG4bK-b")
        self.reports: list[str] = []
        self._status = status
        self._answer_seconds = answer_seconds
        self._rings = rings
        self._invite: ServerTransaction | None = None
        self._request: Request | None = None
        self._answer_at = self._repeat_at = inf
        self._interval = 0.5

    @property
    def next_deadline(self) -> float | None:
        """The earliest of the layer's and our own."""
        deadline = self.layer.next_deadline
        earliest = min(self._answer_at, self._repeat_at, inf if deadline is None else deadline)
        return None if earliest == inf else earliest

    def receive(self, message: Request | Response, flow: Any, now: float) -> list[Effect]:
        """A message came in."""
        return self._serve(self.layer.receive(message, flow, now), now)

    def handle_timer(self, now: float) -> list[Effect]:
        """Answer, repeat the answer, or let the layer work."""
        effects = self._serve(self.layer.handle_timer(now), now)
        if self._answer_at <= now:
            self._answer_at = inf
            effects += self._answer(self._status, now)
        if self._repeat_at <= now:
            effects += self._repeat(now)
        return effects

    def _serve(self, effects: Iterable[Effect], now: float) -> list[Effect]:
        done: list[Effect] = []
        for effect in effects:
            done.append(effect)
            if not isinstance(effect, RequestReceived):
                continue
            self.reports.append(effect.request.method)
            if effect.request.method == "ACK":
                self._repeat_at = inf
            elif effect.request.method == "CANCEL":
                done += self._cancelled(effect, now)
            else:
                done += self._ring(effect, now)
        return done

    def _ring(self, effect: RequestReceived, now: float) -> list[Effect]:
        self._invite, self._request = effect.transaction, effect.request
        assert self._invite is not None
        self._answer_at = now + self._answer_seconds
        if not self._rings:
            return []
        return self.layer.respond(self._invite, effect.request.response(180, to_tag="b"), now)

    def _cancelled(self, effect: RequestReceived, now: float) -> list[Effect]:
        assert effect.transaction is not None
        target = self.layer.cancel_target(effect.request)
        effects = self.layer.respond(effect.transaction, effect.request.response(200 if target else 481), now)
        if target is not None and target.state is State.PROCEEDING:
            self._answer_at = inf
            effects += self._answer(487, now)
        return effects

    def _answer(self, status: int, now: float) -> list[Effect]:
        assert self._invite is not None
        assert self._request is not None
        if status < 300 and self._request.method == "INVITE":
            self._repeat_at = now + self._interval
        return self.layer.respond(self._invite, self._request.response(status, to_tag="b"), now)

    def _repeat(self, now: float) -> list[Effect]:
        assert self._invite is not None
        assert self._request is not None
        self._interval = min(2 * self._interval, 4.0)
        self._repeat_at = now + self._interval
        if self._invite.state is State.TERMINATED:
            answer = self._request.response(200, to_tag="b")
            return [Send(answer.to_bytes(), response_flow(self._request, UDP), None)]
        return self.layer.respond(self._invite, self._request.response(200, to_tag="b"), now)


def acknowledging(pair: Pair) -> Any:
    """A caller who acknowledges each 2xx to an INVITE."""

    def on_event(effect: Any, _now: float) -> list[Effect]:
        if isinstance(effect, ResponseReceived) and is_accepted(effect.response):
            return pair.alice.layer.send_ack(make_request("ACK", to_tag="b"), pair.flow_from(pair.alice))
        return []

    return on_event


def is_accepted(response: Response) -> bool:
    """Whether an ACK is due."""
    return response.cseq_method == "INVITE" and 200 <= response.status < 300


def finals(endpoint: Endpoint, method: str) -> list[int]:
    """The final responses that a user heard, of requests with this method."""
    return [
        event.response.status
        for event in endpoint.events
        if isinstance(event, ResponseReceived) and event.response.status >= 200 and event.response.cseq_method == method
    ]


def assert_over(pair: Pair, callee: Callee) -> None:
    """Nothing lives any more, and nothing was given up."""
    assert len(pair.alice.layer) == len(callee.layer) == 0
    assert pair.alice.layer.counters.timed_out == callee.layer.counters.timed_out == 0
    assert pair.alice.layer.next_deadline is None or len(pair.alice.layer._deadlines._heap) < 100


@FAULTY
@given(FATES, st.sampled_from([200, 404, 503]), st.sampled_from([0.0, 0.4, 3.0]))
def test_a_non_invite_request_has_exactly_one_final_response(
    fates: list[tuple[float, ...]], status: int, seconds: float
) -> None:
    callee = Callee(status, answer_seconds=seconds, rings=False)
    pair = Pair(bob=callee)
    subject(pair, fates)
    pair.send(pair.alice, make_request("MESSAGE"))
    pair.advance(LONG)
    assert callee.reports == ["MESSAGE"]
    assert finals(pair.alice, "MESSAGE") == [status]
    assert_over(pair, callee)


@FAULTY
@given(FATES, st.sampled_from([302, 486, 603]), st.sampled_from([0.0, 0.1, 5.0]), st.booleans())
def test_a_failed_invite_has_exactly_one_final_response_and_its_ack_arrives(
    fates: list[tuple[float, ...]], status: int, seconds: float, rings: bool
) -> None:
    callee = Callee(status, answer_seconds=seconds, rings=rings)
    pair = Pair(bob=callee)
    subject(pair, fates)
    pair.send(pair.alice, make_request())
    pair.advance(LONG)
    assert callee.reports == ["INVITE"]
    assert finals(pair.alice, "INVITE") == [status]
    assert_over(pair, callee)


@FAULTY
@given(FATES, st.sampled_from([0.0, 0.1, 5.0]), st.booleans())
def test_an_accepted_invite_has_only_2xx_and_the_ack_ends_their_repetition(
    fates: list[tuple[float, ...]], seconds: float, rings: bool
) -> None:
    callee = Callee(200, answer_seconds=seconds, rings=rings)
    pair = Pair(bob=callee)
    pair.alice.on_event = acknowledging(pair)
    subject(pair, fates)
    pair.send(pair.alice, make_request())
    pair.advance(LONG)
    assert callee.reports[0] == "INVITE"
    assert callee.reports.count("INVITE") == 1
    assert set(finals(pair.alice, "INVITE")) == {200}
    assert "ACK" in callee.reports
    assert callee.next_deadline is None
    assert_over(pair, callee)


@FAULTY
@given(FATES, st.floats(0, 2), st.floats(0, 2), st.booleans())
def test_a_cancelled_invite_ends_either_way_but_never_both_ways(
    fates: list[tuple[float, ...]], answer_seconds: float, cancel_seconds: float, rings: bool
) -> None:
    callee = Callee(200, answer_seconds=answer_seconds, rings=rings)
    pair = Pair(bob=callee)
    pair.alice.on_event = acknowledging(pair)
    subject(pair, fates)
    invite = pair.send(pair.alice, make_request())
    pair.advance(cancel_seconds)
    _, effects = pair.alice.layer.cancel(invite, pair.now)
    pair.carry_out(pair.alice, effects)
    pair.advance(LONG)
    heard = finals(pair.alice, "INVITE")
    assert heard == [487] or set(heard) == {200}
    assert callee.reports.count("INVITE") == 1
    assert callee.reports.count("CANCEL") <= 1
    assert len(finals(pair.alice, "CANCEL")) <= 1
    assert_over(pair, callee)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([(0.0,), (0.0, 0.3), (0.2,)]), max_size=10), st.sampled_from(["MESSAGE", "INVITE"]))
def test_a_peer_that_is_not_there_is_reported_once(fates: list[tuple[float, ...]], method: str) -> None:
    pair = Pair(bob=Callee(200))
    subject(pair, fates)
    with pair.cut():
        pair.send(pair.alice, make_request(method))
        pair.advance(LONG)
    assert pair.alice.labels() == ["TimedOut"]
    assert isinstance(pair.alice.events[-1], Ended)
    assert len(pair.alice.layer) == 0


def test_faults_can_be_told_by_kind() -> None:
    callee = Callee(486)
    pair = Pair(bob=callee)
    pair.drop("INVITE", times=2)
    pair.drop("180")
    pair.duplicate("486")
    pair.reorder("ACK", by=0.7)
    pair.send(pair.alice, make_request())
    pair.advance(LONG)
    assert [(round(moment, 3), who, what) for moment, who, what in pair.log[:8]] == [
        (0.0, "alice", "INVITE"),
        (0.5, "alice", "INVITE"),
        (1.5, "alice", "INVITE"),
        (1.51, "bob", "180"),
        (1.51, "bob", "486"),
        (1.52, "alice", "ACK"),
        (1.53, "alice", "ACK"),
        (2.01, "bob", "486"),
    ][: len(pair.log)]
    assert finals(pair.alice, "INVITE") == [486]
    assert_over(pair, callee)


# any messages at all ------------------------------------------------------------------------------------------------
METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "MESSAGE", "OPTIONS")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("request"), st.sampled_from(METHODS), st.integers(0, 2), st.sampled_from([None, "b"])),
        st.tuples(st.just("response"), st.sampled_from([100, 180, 200, 404, 487, 600]), st.integers(0, 3), st.none()),
        st.tuples(st.just("send"), st.sampled_from(["INVITE", "MESSAGE"]), st.just(0), st.none()),
        st.tuples(st.just("answer"), st.sampled_from([100, 180, 200, 404]), st.integers(0, 3), st.none()),
        st.tuples(st.just("cancel"), st.none(), st.integers(0, 3), st.none()),
        st.tuples(st.just("fail"), st.none(), st.integers(0, 3), st.none()),
        st.tuples(st.just("advance"), st.sampled_from([0.0, 0.2, 1.0, 6.0, 40.0]), st.just(0), st.none()),
    ),
    max_size=40,
)


class Anything:
    """A layer whose wire and user do anything in any order."""

    def __init__(self) -> None:
        self.script = Script()
        self.layer: TransactionLayer = self.script.layer
        self.sent: list[Any] = []

    def open_servers(self) -> list[Any]:
        """Server transactions that wait for an answer."""
        return [t for t in self.layer._servers.values() if t.state in (State.TRYING, State.PROCEEDING)]

    def do(self, kind: str, what: Any, number: int, tag: str | None) -> None:
        """One step; one that makes no sense now is left out."""
        s = self.script
        if kind == "request":
            via = f"SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{number};rport"
            s.wire(received_request(what, via=via, to_tag=tag))
        elif kind == "send":
            self.sent.append(s.send(make_request(what, call_id=f"sent-{len(self.sent)}")))
        elif kind == "advance":
            s.advance(what)
        elif kind == "answer" and number < len(self.open_servers()):
            s.respond(self.open_servers()[number], what)
        elif number < len(self.sent):
            self.do_to_sent(kind, what, self.sent[number])

    def do_to_sent(self, kind: str, what: Any, transaction: Any) -> None:
        """A step that concerns a request of ours."""
        s = self.script
        if kind == "response":
            s.wire(received_response(transaction.request, what))
        elif kind == "fail":
            s.fail(transaction)
        elif kind == "cancel" and isinstance(transaction, InviteClientTransaction):
            s.tu(self.layer.cancel(transaction, s.now)[1])


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_no_sequence_of_messages_breaks_the_layer_or_stays_in_it(steps: list[tuple[str, Any, int, str | None]]) -> None:
    anything = Anything()
    for step in steps:
        anything.do(*step)
    for transaction in anything.sent:
        anything.script.wire(received_response(transaction.request, 500))
    for server in anything.open_servers():
        anything.script.respond(server, 500)
    anything.script.advance(LONG)
    assert len(anything.layer) == 0
    assert not anything.layer._ongoing
    ends = [effect.transaction for _, effect in anything.script.effects if isinstance(effect, Ended)]
    assert len(ends) == len({id(transaction) for transaction in ends})
