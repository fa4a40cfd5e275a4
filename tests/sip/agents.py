# SPDX-License-Identifier: Apache-2.0
"""Two telephones on a virtual wire: user agents with a person in front of each, for tests that read as sentences.

    line = Line()
    call = line.alice.calls()
    line.bob.rings()
    line.bob.answers()
    assert line.alice.is_talking

Every verb is carried out and the messages travel before it returns (`settle=False` leaves them on the way). Events are
kept in order in `phone.heard`; `phone.hears("Answered")` takes the next one and checks that it is that.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from switch.sip.message.message import Request, Response
from switch.sip.message.parsing import parse_message
from switch.sip.session import (
    Acknowledged,
    Answered,
    Cancelled,
    Ended,
    Failed,
    IncomingInvite,
    OutgoingInvite,
    Progressed,
    Replied,
    Requested,
    Session,
    State,
    Withdrawn,
)
from switch.sip.transaction import Ended as TransactionEnded
from switch.sip.transaction import Send
from switch.sip.user_agent import Arrived, Invited, UserAgent
from tests.sip.harness import UDP, Endpoint, Pair, is_watched, label, make_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from switch.sip.message.flow import Flow
    from switch.sip.transaction.timers import Timers

__all__ = ["ALLOW", "ANSWER", "HOLD", "OFFER", "Line", "Phone", "Solo", "assert_forgotten", "make_agent"]

ALLOW = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, REFER, NOTIFY, MESSAGE"
OFFER = b"v=0\r\ns=offer\r\n"
ANSWER = b"v=0\r\ns=answer\r\n"
HOLD = b"v=0\r\ns=offer\r\na=sendonly\r\n"


class _AttentiveAgent(UserAgent):
    """Fails where a timer that was served would be due again at once, for ever."""

    def handle_timer(self, now: float) -> list[Any]:
        outcome: list[Any] = list(super().handle_timer(now))
        deadline = self.next_deadline
        assert deadline is None or deadline > now, "a timer does not move on"
        return outcome


def make_agent(name: str, timers: Timers | None = None, **options: Any) -> UserAgent:
    """A user agent whose tokens count up."""
    numbers = count(1)
    options.setdefault("headers", (("Allow", ALLOW), ("Supported", "100rel, timer, 199")))
    options.setdefault("session_expires", 0)

    def contact(flow: Flow) -> str:
        host, port = flow.local
        return f"<sip:{name}@{host}:{port}>"

    return _AttentiveAgent(
        sent_by=lambda flow: f"{flow.local[0]}:{flow.local[1]}",
        contact=contact,
        new_token=lambda: f"{name}{next(numbers)}",
        timers=timers,
        **options,
    )


class Phone:
    """A user agent and the person who uses it."""

    def __init__(self, line: Line, endpoint: Endpoint, agent: UserAgent) -> None:
        self.line = line
        self.endpoint = endpoint
        self.agent = agent
        self.heard: list[Any] = []
        self.invite: IncomingInvite | None = None
        """The INVITE that came in last."""
        self.call: OutgoingInvite | None = None
        """The INVITE that was made last."""
        self.session: Session | None = None
        """The established dialog."""
        self.pracks = True
        """Acknowledges reliable provisional responses by itself."""
        self.acks = True
        """Acknowledges a 2xx by itself."""
        self.replies: int | None = 200
        """Answers requests within dialogs by itself like this; None: the test answers."""
        self.describes: Callable[[bytes | None], bytes] = lambda offer: ANSWER
        """The phone's answer to an offer, or its own offer where there is none."""
        endpoint.on_event = self._hear

    # what the phone does by itself --------------------------------------------------------------------------------
    def _hear(self, event: Any, now: float) -> Iterable[Any]:
        if isinstance(event, TransactionEnded):
            return []
        self.heard.append(event)
        match event:
            case Invited(invite):
                self.invite = invite
            case Answered(_, session, _):
                self.session = session
                return self._acknowledge(session, event.invite.request, event.response)
            case Progressed(_, session, response, True) if self.pracks and session is not None:
                return session.prack(response, now, body=self._owed(session, response))
            case Replied(session, request, response) if request.method == "INVITE" and response.status < 300:
                return self._acknowledge(session, request, response)
            case Requested(session, transaction, request) if self.replies is not None:
                return self._reply(session, transaction, request)
        return []

    def _acknowledge(self, session: Session, request: Request, response: Response) -> Iterable[Any]:
        if not self.acks:
            return []
        return session.ack(request, self.line.now, self._owed(session, response))

    def _owed(self, session: Session, response: Response) -> bytes:
        """The answer to an offer that a response brought."""
        return self.describes(response.sdp) if session.in_flight.offers.owes_answer else b""

    def _reply(self, session: Session, transaction: Any, request: Request) -> Iterable[Any]:
        assert self.replies is not None
        body = self._description_for(session, request) if self.replies < 300 else b""
        return session.respond(transaction, self.replies, self.line.now, body=body)

    def _description_for(self, session: Session, request: Request) -> bytes:
        """What the 2xx to a request within the dialog says of us."""
        if request.sdp is not None and session.in_flight.offers.owes_answer:
            return self.describes(request.sdp)
        return self.describes(None) if request.method == "INVITE" and request.sdp is None else b""

    # verbs ----------------------------------------------------------------------------------------------------------
    def calls(
        self,
        *,
        offer: bytes = OFFER,
        headers: Sequence[tuple[str, str]] = (),
        natted: bool = False,
        settle: bool = True,
    ) -> OutgoingInvite:
        """Call the other phone."""
        token = self.agent.new_token()
        other = self.line.other(self)
        name = self.endpoint.name
        lines = [
            ("Max-Forwards", "70"),
            ("From", f"<sip:{name}@example.com>;tag={token}"),
            ("To", f"<sip:{other.endpoint.name}@example.com>"),
            ("Call-ID", f"{token}@{name}"),
            ("CSeq", "1 INVITE"),
            *headers,
        ]
        if offer:
            lines.append(("Content-Type", "application/sdp"))
        host, port = other.endpoint.address
        request = Request("INVITE", f"sip:{other.endpoint.name}@{host}:{port}", lines, offer)
        self.call = self.agent.invite(request, self.line.wire.flow_from(self.endpoint), natted=natted, owner=self)
        self.does(self.call.start(self.line.now), settle=settle)
        return self.call

    def does(self, outcome: Iterable[Any], *, settle: bool = True) -> None:
        """Carry out what a verb returned."""
        self.line.wire.carry_out(self.endpoint, outcome)
        self.line.check()
        if settle:
            self.line.settle()

    @property
    def incoming(self) -> IncomingInvite:
        """The call that came in."""
        assert self.invite is not None, "nobody called"
        return self.invite

    @property
    def dialog(self) -> Session:
        """The established call."""
        assert self.session is not None, "no call is established"
        return self.session

    def rings(self, status: int = 180, *, settle: bool = True, **more: Any) -> None:
        """Tell the caller that it rings."""
        self.does(self.incoming.progress(status, self.line.now, **more), settle=settle)

    def answers(self, *, body: bytes = ANSWER, fork: Any = None, settle: bool = True, **more: Any) -> Session:
        """Take the call."""
        self.session = self.incoming.session(fork)
        self.does(self.incoming.accept(self.line.now, body=body, fork=fork, **more), settle=settle)
        return self.session

    def declines(self, status: int = 486, *, settle: bool = True) -> None:
        """Do not take the call."""
        self.does(self.incoming.reject(status, self.line.now), settle=settle)

    def gives_up(self, *, settle: bool = True) -> None:
        """Cancel the call that was made."""
        assert self.call is not None
        self.does(self.call.cancel(self.line.now), settle=settle)

    def hangs_up(self, *, settle: bool = True, **more: Any) -> None:
        """BYE."""
        self.does(self.dialog.bye(self.line.now, **more), settle=settle)

    def sends(self, method: str, *, body: bytes = b"", settle: bool = True, **more: Any) -> None:
        """A request within the dialog."""
        self.does(self.dialog.send(method, self.line.now, body=body, **more), settle=settle)

    def responds(self, status: int, *, body: bytes = b"", settle: bool = True) -> None:
        """Answer the request that was heard last."""
        event = next(event for event in reversed(self.heard_ever) if isinstance(event, Requested))
        self.does(event.session.respond(event.transaction, status, self.line.now, body=body), settle=settle)

    # assertions -----------------------------------------------------------------------------------------------------
    @property
    def heard_ever(self) -> list[Any]:
        """All events since the beginning, whether `hears` took them or not."""
        return [event for event in self.endpoint.events if not isinstance(event, TransactionEnded)]

    def hears(self, what: str) -> Any:
        """The next thing that this phone was told is this: "Invited", "Progressed 180", "Requested INFO"."""
        assert self.heard, f"{self.endpoint.name} heard nothing, expected {what}"
        event = self.heard.pop(0)
        assert event_label(event) == what
        return event

    def hears_all(self, *names: str) -> None:
        """It was told exactly this since it was asked last."""
        heard, self.heard = self.heard, []
        assert [event_label(event) for event in heard] == list(names)

    @property
    def is_talking(self) -> bool:
        """The call stands."""
        return self.session is not None and self.session.state is State.CONFIRMED

    @property
    def is_idle(self) -> bool:
        """No dialog is left."""
        return self.agent.session_count == 0


def event_label(event: Any) -> str:
    """What tests call an event."""
    match event:
        case Progressed() | Failed():
            return f"{type(event).__name__} {event.response.status}"
        case Requested() | Arrived():
            return f"{type(event).__name__} {event.request.method}"
        case Replied():
            return f"Replied {event.request.method} {event.response.status}"
        case Ended():
            return f"Ended {event.reason}"
        case Invited() | Answered() | Cancelled() | Acknowledged() | Withdrawn():
            return type(event).__name__
    return type(event).__name__


# two phones -------------------------------------------------------------------------------------------------------
class _Wire(Pair):
    """Remembers what went over it."""

    def __init__(self, *agents: UserAgent, latency: float, transport: str) -> None:
        super().__init__(*agents, latency=latency, transport=transport)
        self.sent: list[tuple[float, str, bytes]] = []

    def _send(self, sender: Endpoint, data: bytes) -> None:
        self.sent.append((self.now, sender.name, data))
        super()._send(sender, data)

    @property
    def is_quiet(self) -> bool:
        """Nothing is on its way."""
        return not self._flying


class Line:
    """Alice and Bob with a telephone each, and a wire and a clock that obey the test."""

    def __init__(
        self,
        *,
        transport: str = "udp",
        timers: Timers | None = None,
        alice: UserAgent | None = None,
        bob: UserAgent | None = None,
        latency: float = 0.01,
    ) -> None:
        agents = alice or make_agent("alice", timers), bob or make_agent("bob", timers)
        self.wire = _Wire(*agents, latency=latency, transport=transport)
        self.alice = Phone(self, self.wire.alice, agents[0])
        self.bob = Phone(self, self.wire.bob, agents[1])

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.wire.now

    def other(self, phone: Phone) -> Phone:
        """The phone at the other end."""
        return self.bob if phone is self.alice else self.alice

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.wire.advance(seconds)
        self.check()

    def settle(self) -> None:
        """Let all messages arrive that are on their way, and what follows from them."""
        while not self.wire.is_quiet:
            self.wire.advance(self.wire.latency)
        self.check()

    def check(self) -> None:
        """What holds after every step: whoever has a deadline will be woken for it."""
        for phone in (self.alice, self.bob):
            check_timers(phone.agent)

    def drop(self, what: str, times: float = 1, sender: Phone | None = None) -> None:
        """Lose the next messages of this kind."""
        self.wire.drop(what, times, _endpoint(sender))

    def duplicate(self, what: str, times: float = 1, sender: Phone | None = None) -> None:
        """Deliver them twice."""
        self.wire.duplicate(what, times, _endpoint(sender))

    def delay(self, what: str, by: float, times: float = 1, sender: Phone | None = None) -> None:
        """Deliver them late."""
        self.wire.reorder(what, times, _endpoint(sender), by)

    def ladder(self) -> list[str]:
        """What was sent since the ladder was asked for last, lost or not: "alice INVITE", "bob 180"."""
        ladder = [f"{sender} {label(data)}" for _, sender, data in self.wire.sent]
        self.wire.sent.clear()
        return ladder

    def last(self, what: str) -> Any:
        """The last message of this kind that was sent."""
        return parse_message(next(data for _, _, data in reversed(self.wire.sent) if label(data) == what))

    def count(self, what: str, sender: Phone | None = None) -> int:
        """How many of this kind were sent since the ladder was asked for last."""
        return sum(
            label(data) == what and (sender is None or sender.endpoint.name == name) for _, name, data in self.wire.sent
        )

    def times(self, what: str) -> list[float]:
        """When messages of this kind were sent."""
        return [round(moment, 6) for moment, _, data in self.wire.sent if label(data) == what]

    @classmethod
    def established(cls) -> Line:
        """Alice and Bob are talking."""
        line = cls()
        line.establish()
        return line

    def both_ways(self) -> tuple[tuple[Phone, Phone], tuple[Phone, Phone]]:
        """Who acts and who is acted upon: the caller on the callee, and the other way round."""
        return (self.alice, self.bob), (self.bob, self.alice)

    def establish(self, **more: Any) -> None:
        """Alice calls Bob, who takes the call; what led to it is forgotten."""
        self.alice.calls(**more)
        self.bob.answers()
        assert self.alice.is_talking
        assert self.bob.is_talking
        self.forget()

    def forget(self) -> None:
        """Forget what was sent and told."""
        self.wire.sent.clear()
        self.alice.heard.clear()
        self.bob.heard.clear()

    def assert_over(self) -> None:
        """The call left no dialog, and after the transaction timers nothing at all."""
        assert self.alice.is_idle
        assert self.bob.is_idle
        self.wire.advance(70)
        for phone in (self.alice, self.bob):
            assert_forgotten(phone.agent)


def _endpoint(phone: Phone | None) -> Endpoint | None:
    return None if phone is None else phone.endpoint


# one phone, and the test is its peer --------------------------------------------------------------------------------
class Solo:
    """One user agent; the test plays everything else and looks at each thing that comes out, in order."""

    def __init__(self, flow: Flow = UDP, **options: Any) -> None:
        self.flow = flow
        self.now = 0.0
        self.agent = make_agent("alice", **options)
        self.outcome: list[Any] = []

    def calls(self, *, offer: bytes = OFFER, natted: bool = False, **more: Any) -> OutgoingInvite:
        """Call sip:bob@192.0.2.2; the INVITE is on the wire."""
        headers = [*more.pop("headers", ()), *([("Content-Type", "application/sdp")] if offer else [])]
        request = make_request(headers=headers, body=offer, **more)
        call = self.agent.invite(request, self.flow, natted=natted, owner=None)
        self.does(call.start(self.now))
        return call

    def arrives(self, message: Request | Response, flow: Flow | None = None) -> None:
        """A message from the wire."""
        self.does(self.agent.receive(message, flow or self.flow, self.now))

    def does(self, outcome: Iterable[Any]) -> None:
        """Note what a verb returned."""
        self.outcome += [effect for effect in outcome if not isinstance(effect, TransactionEnded)]
        check_timers(self.agent)

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire at their own instants."""
        end = self.now + seconds
        while (deadline := self.agent.next_deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.does(self.agent.handle_timer(self.now))
        self.now = end

    def sends(self, what: str) -> Any:
        """The next thing that happened is that this left; returns the parsed message."""
        effect = self._next(f"{what} on the wire")
        assert isinstance(effect, Send), f"expected {what} on the wire, got {effect}"
        message = parse_message(effect.data)
        assert label(message) == what
        self.sent_to = effect.flow
        return message

    def hears(self, what: str) -> Any:
        """The next thing that happened is that the application was told this; returns the event."""
        effect = self._next(f"{what} to the application")
        assert not isinstance(effect, Send), f"expected {what} to the application, got {effect.data[:80]!r}"
        assert event_label(effect) == what
        return effect

    def is_quiet(self) -> bool:
        """Nothing else happened."""
        assert not self.outcome, self.outcome
        return True

    def _next(self, what: str) -> Any:
        assert self.outcome, f"nothing happened, expected {what}"
        return self.outcome.pop(0)


def check_timers(agent: UserAgent) -> None:
    """Every session and every INVITE that is being answered will be woken in time."""
    sessions: list[Any] = list(agent._sessions.values())
    for session in sessions:
        assert is_watched(agent._timed, session)
        if isinstance(session.invite, IncomingInvite):
            assert is_watched(agent._timed, session.invite)


def assert_forgotten(agent: UserAgent) -> None:
    """Nothing of any call is left in the user agent."""
    assert agent.session_count == 0
    assert len(agent._timed) == 0
    assert len(agent.layer) == 0
    assert agent.next_deadline is None
