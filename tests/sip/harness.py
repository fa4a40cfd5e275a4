# SPDX-License-Identifier: Apache-2.0
"""A virtual clock and a virtual wire for tests of the SIP core: no socket, no sleep, every order on purpose.

`Script` drives one transaction layer by hand and reads wire(...), expect_tu(...), tu(...), expect_wire(...),
advance(...); it keeps what came out in order, and `quiet` refuses anything unseen. `Pair` joins two endpoints by a wire
that can lose, duplicate and reorder.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from switch.sip.message.flow import Flow
from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from switch.sip.transaction import (
    Effect,
    RequestReceived,
    ResponseReceived,
    Send,
    TransactionLayer,
)

if TYPE_CHECKING:
    from switch.sip.timer_queue import Timed, TimerQueue
    from switch.sip.transaction.machine import Machine
    from switch.sip.transaction.timers import Timers

ALICE = ("192.0.2.1", 5060)
BOB = ("192.0.2.2", 5060)
UDP = Flow("udp", ALICE, BOB)
TCP = Flow("tcp", ALICE, BOB, 1)


# timers -----------------------------------------------------------------------------------------------------------
def is_watched(queue: TimerQueue[Any], owner: Timed) -> bool:
    """Whether a queue will wake an owner in time."""
    deadline = owner.next_deadline
    return deadline is None or (owner.entry in queue._valid and queue._valid[owner.entry][0] <= deadline)


# messages ---------------------------------------------------------------------------------------------------------
def make_request(
    method: str = "INVITE",
    *,
    uri: str = "sip:bob@192.0.2.2",
    cseq: int = 1,
    call_id: str = "call-1",
    from_tag: str = "a",
    to_tag: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Request:
    """A request as our own user agent makes it: without Via."""
    to = "<sip:bob@example.com>" + (f";tag={to_tag}" if to_tag else "")
    lines = [
        ("Max-Forwards", "70"),
        ("From", f"<sip:alice@example.com>;tag={from_tag}"),
        ("To", to),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        ("Contact", "<sip:alice@192.0.2.1>"),
        *headers,
    ]
    return Request(method, uri, lines, body)


def received_request(
    method: str = "INVITE", *, via: str = "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-b;rport", **more: Any
) -> Request:
    """A request as it arrives: with a Via, and parsed from bytes."""
    request = make_request(method, **more)
    request.push("Via", via)
    parsed = parse_message(request.to_bytes())
    assert isinstance(parsed, Request)
    return parsed


def received_response(request: Request, status: int, *, to_tag: str | None = "b", **more: Any) -> Response:
    """A response to what we sent, as it arrives."""
    parsed = parse_message(request.response(status, to_tag=to_tag, **more).to_bytes())
    assert isinstance(parsed, Response)
    return parsed


def label(message: Request | Response | bytes) -> str:
    """What tests call a message: "INVITE", "180"."""
    if isinstance(message, bytes):
        message = parse_message(message)
    return message.method if isinstance(message, Request) else str(message.status)


def effect_label(effect: Effect) -> str:
    """What tests call an effect for the transaction user: "INVITE", "180", "TimedOut"."""
    if isinstance(effect, RequestReceived):
        return effect.request.method
    if isinstance(effect, ResponseReceived):
        return str(effect.response.status)
    return type(effect).__name__


# one layer, by hand -----------------------------------------------------------------------------------------------
class Script:
    """One transaction layer between a wire and a transaction user that are both the test."""

    def __init__(self, flow: Flow = UDP, timers: Timers | None = None) -> None:
        self.flow = flow
        self.now = 0.0
        self.layer = make_layer(timers)
        self.effects: list[tuple[float, Effect]] = []

    def wire(self, message: Request | Response, flow: Flow | None = None) -> None:
        """A message arrives."""
        self._note(self.layer.receive(message, flow or self.flow, self.now))

    def send(self, request: Request) -> Any:
        """The user sends a request; returns its transaction."""
        transaction, effects = self.layer.send_request(request, self.flow, self.now)
        self._note(effects)
        return transaction

    def tu(self, effects: Iterable[Effect]) -> None:
        """The user did something with the layer: note what came of it."""
        self._note(effects)

    def respond(self, transaction: Any, status: int, **more: Any) -> None:
        """The user answers."""
        self._note(self.layer.respond(transaction, transaction.request.response(status, to_tag="b", **more), self.now))

    def fail(self, transaction: Machine) -> None:
        """The transport reports a failure."""
        self._note(self.layer.transport_failed(transaction, self.now))

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire at their own instants."""
        end = self.now + seconds
        while (deadline := self.layer.next_deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self._note(self.layer.handle_timer(self.now))
        self.now = end

    def expect_wire(self, what: str, at: float | None = None) -> Any:
        """The next thing that happened is that this left; returns the parsed message."""
        moment, effect = self._next(f"{what} on the wire")
        assert isinstance(effect, Send), f"expected {what} on the wire, got {effect}"
        message = parse_message(effect.data)
        assert label(message) == what
        if at is not None:
            assert moment == at
        return message

    def expect_tu(self, what: str, at: float | None = None) -> Any:
        """The next thing that happened is that the user was told this; returns the effect."""
        moment, effect = self._next(f"{what} to the user")
        assert not isinstance(effect, Send), f"expected {what} to the user, got {effect.data[:60]!r}"
        assert effect_label(effect) == what
        if at is not None:
            assert moment == at
        return effect

    def quiet(self) -> None:
        """Nothing else happened."""
        assert not self.effects, [(moment, effect) for moment, effect in self.effects]

    def _note(self, effects: Iterable[Effect]) -> None:
        self.effects += [(self.now, effect) for effect in effects]

    def _next(self, what: str) -> tuple[float, Effect]:
        assert self.effects, f"nothing happened, expected {what}"
        return self.effects.pop(0)


def make_layer(timers: Timers | None = None, prefix: str = "z9hG4bK-a") -> TransactionLayer:
    """A layer with branches that count up."""
    numbers = count(1)
    return TransactionLayer(
        sent_by=lambda flow: f"{flow.local[0]}:{flow.local[1]}",
        new_branch=lambda: f"{prefix}{next(numbers)}",
        timers=timers,
    )


# two endpoints and a wire -----------------------------------------------------------------------------------------
class Core(Protocol):
    """What an endpoint runs: a transaction layer, or anything above it with the same face."""

    def receive(self, message: Request | Response, flow: Flow, now: float) -> Sequence[Any]:
        """A message came in."""

    def handle_timer(self, now: float) -> Sequence[Any]:
        """The time has come."""

    @property
    def next_deadline(self) -> float | None:
        """When it comes."""


Handler = Callable[[Any, float], Iterable[Any] | None]


@dataclass
class Endpoint:
    """A core at an address. What it does not send goes to `on_event`, whose effects are carried out in turn."""

    name: str
    address: tuple[str, int]
    core: Core
    on_event: Handler | None = None
    events: list[Any] = field(default_factory=list)
    """Everything the core reported, in order."""

    @property
    def layer(self) -> TransactionLayer:
        """The core, where it is a transaction layer."""
        assert isinstance(self.core, TransactionLayer)
        return self.core

    def labels(self) -> list[str]:
        """What was reported, in the words of tests, without the ends of transactions."""
        return [name for event in self.events if (name := effect_label(event)) != "Ended"]


@dataclass
class Fault:
    """What happens to messages that match."""

    matches: Callable[[Endpoint, bytes], bool]
    left: float
    delays: tuple[float, ...]
    """Extra delay of each copy: () is a loss, (0, 0) a duplicate."""


class Pair:
    """Alice and Bob, a wire of `latency` seconds between them, and a clock that only `advance` moves."""

    def __init__(
        self,
        alice: Core | None = None,
        bob: Core | None = None,
        *,
        latency: float = 0.01,
        transport: str = "udp",
        timers: Timers | None = None,
    ) -> None:
        self.now = 0.0
        self.latency = latency
        self.transport = transport
        self.alice = Endpoint("alice", ALICE, alice or make_layer(timers, "z9hG4bK-a"))
        self.bob = Endpoint("bob", BOB, bob or make_layer(timers, "z9hG4bK-b"))
        self.fate: Callable[[Endpoint, bytes], Sequence[float]] | None = None
        """Decides about messages that no fault concerns: the extra delay of each copy that arrives."""
        self.log: list[tuple[float, str, str]] = []
        """(time, sender, message) of all that was sent, lost or not."""
        self._faults: list[Fault] = []
        self._flying: list[tuple[float, int, Endpoint, bytes]] = []
        self._order = count()

    # faults -------------------------------------------------------------------------------------------------------
    def drop(self, what: str = "*", times: float = 1, sender: Endpoint | None = None) -> None:
        """Lose the next messages of this kind: "INVITE", "200", "*"."""
        self._faults.append(Fault(_matcher(what, sender), times, ()))

    def duplicate(self, what: str = "*", times: float = 1, sender: Endpoint | None = None) -> None:
        """Deliver them twice."""
        self._faults.append(Fault(_matcher(what, sender), times, (0.0, self.latency)))

    def reorder(self, what: str = "*", times: float = 1, sender: Endpoint | None = None, by: float = 0.05) -> None:
        """Deliver them `by` seconds late, after what was sent meanwhile."""
        self._faults.append(Fault(_matcher(what, sender), times, (by,)))

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Lose everything for a while."""
        fault = Fault(lambda _sender, _data: True, float("inf"), ())
        self._faults.insert(0, fault)
        try:
            yield
        finally:
            self._faults.remove(fault)

    # running ------------------------------------------------------------------------------------------------------
    def flow_from(self, endpoint: Endpoint) -> Flow:
        """The way from an endpoint to the other one."""
        other = self._other(endpoint)
        return Flow(self.transport, endpoint.address, other.address, 0 if self.transport == "udp" else 1)

    def carry_out(self, endpoint: Endpoint, effects: Iterable[Any]) -> None:
        """Do what a core asks for, in order."""
        for effect in effects:
            if isinstance(effect, Send):
                self._send(endpoint, effect.data)
                continue
            endpoint.events.append(effect)
            if endpoint.on_event is not None:
                self.carry_out(endpoint, endpoint.on_event(effect, self.now) or ())

    def send(self, endpoint: Endpoint, request: Request) -> Any:
        """A transaction layer sends a request; returns its transaction."""
        transaction, effects = endpoint.layer.send_request(request, self.flow_from(endpoint), self.now)
        self.carry_out(endpoint, effects)
        return transaction

    def advance(self, seconds: float) -> None:
        """Let time pass: messages arrive and timers fire, each at its instant."""
        end = self.now + seconds
        while (moment := self._next_moment()) is not None and moment <= end:
            self.now = max(self.now, moment)
            self._deliver()
            for endpoint in (self.alice, self.bob):
                deadline = endpoint.core.next_deadline
                if deadline is not None and deadline <= self.now:
                    self.carry_out(endpoint, endpoint.core.handle_timer(self.now))
        self.now = end

    def _next_moment(self) -> float | None:
        moments = [deadline for e in (self.alice, self.bob) if (deadline := e.core.next_deadline) is not None]
        if self._flying:
            moments.append(self._flying[0][0])
        return min(moments, default=None)

    def _deliver(self) -> None:
        while self._flying and self._flying[0][0] <= self.now:
            _, _, receiver, data = heapq.heappop(self._flying)
            effects = receiver.core.receive(parse_message(data), self.flow_from(receiver), self.now)
            self.carry_out(receiver, effects)

    def _send(self, sender: Endpoint, data: bytes) -> None:
        self.log.append((self.now, sender.name, label(data)))
        for extra in self._delays(sender, data):
            arrival = self.now + self.latency + extra
            heapq.heappush(self._flying, (arrival, next(self._order), self._other(sender), data))

    def _delays(self, sender: Endpoint, data: bytes) -> Sequence[float]:
        for fault in self._faults:
            if fault.left > 0 and fault.matches(sender, data):
                fault.left -= 1
                return fault.delays
        return (0.0,) if self.fate is None else self.fate(sender, data)

    def _other(self, endpoint: Endpoint) -> Endpoint:
        return self.bob if endpoint is self.alice else self.alice


def _matcher(what: str, sender: Endpoint | None) -> Callable[[Endpoint, bytes], bool]:
    def matches(actual: Endpoint, data: bytes) -> bool:
        return (sender is None or actual is sender) and what in ("*", label(data))

    return matches
