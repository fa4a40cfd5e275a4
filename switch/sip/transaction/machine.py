# SPDX-License-Identifier: Apache-2.0
"""The runner of transition tables that the four transaction machines share, and the effects that they return.

A machine is a TABLE: (state, input) -> (name of the action, next state). Whatever moves a transaction stands in its
table; docs/transactions.md is drawn from it. A pair that is not listed does nothing: from the wire it is a stray, which
is normal, and counted; from our own side it is a bug, and raises LocalProtocolError.

Actions are methods; they return effects and arm timers. Two timers at most run at a time in any SIP transaction: one
that repeats (A, E, G) and one that ends the state (B, D, F, H, ...). A timer of zero seconds fires at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final

from switch.sip.message.errors import LocalProtocolError
from switch.sip.transaction.states import Input, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.transaction.states import Counters, Key
    from switch.sip.transaction.timers import Timers
    from switch.sip.ways import Permit

__all__ = [
    "ClientTransaction",
    "Effect",
    "Ended",
    "Machine",
    "RequestReceived",
    "ResponseReceived",
    "Send",
    "ServerTransaction",
    "TimedOut",
    "TransportFailed",
]

_FROM_WIRE: Final = frozenset(
    {Input.REQUEST, Input.ACK, Input.RECEIVE_1XX, Input.RECEIVE_2XX, Input.RECEIVE_3XX_6XX, Input.RECEIVE_FINAL}
)


# effects: what the surroundings are asked to do, in the order to do it -----------------------------------------------
@dataclass(frozen=True, slots=True)
class Send:
    """Put these bytes on the wire."""

    data: bytes
    flow: Flow
    transaction: Machine | None
    """Whom a failure of the transport concerns; None for what no transaction looks after."""


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request for the transaction user, once however often it was retransmitted."""

    request: Request
    flow: Flow
    transaction: ServerTransaction | None
    """None for an ACK that matches no INVITE server transaction: the ACK to a 2xx."""


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response for the transaction user; a 2xx to INVITE comes as often as it is received (RFC 6026)."""

    response: Response
    flow: Flow
    transaction: ClientTransaction | None
    """None for a stray, such as a 2xx retransmitted after its transaction has ended."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Timer B or F: no (final) response; timer H: no ACK to a failure; or nothing came of a CANCEL (9.1)."""

    transaction: Machine


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The message could not be sent. A client transaction ends; a server transaction stays (RFC 6026 section 7.1)."""

    transaction: Machine


@dataclass(frozen=True, slots=True)
class Ended:
    """The transaction is over and forgotten; always its last effect."""

    transaction: Machine


Effect = Send | RequestReceived | ResponseReceived | TimedOut | TransportFailed | Ended


# machines -----------------------------------------------------------------------------------------------------------
class Machine:
    """A transition table at work: the present state, its two timers, the counters."""

    __slots__ = (
        "_counters",
        "_end_at",
        "_end_timer",
        "_interval",
        "_repeat_at",
        "_repeat_timer",
        "_sent",
        "_timers",
        "entry",
        "flow",
        "key",
        "permit",
        "state",
        "user",
    )

    _sent: bytes
    """What a retransmission repeats; let go as soon as there is none any more."""
    INITIAL: ClassVar[State]
    TABLE: ClassVar[Mapping[tuple[State, Input], tuple[str, State]]] = {}
    _actions: ClassVar[dict[tuple[State, Input], tuple[Callable[..., list[Effect]], State]]]

    state: State
    key: Key
    flow: Flow
    """Where the request went, or where it came from."""
    user: Any
    """A place for the transaction user to hang its own object on."""
    permit: Permit | None
    """What lets its request go to a carrier or to the media server."""
    entry: int
    """Of the layer that owns the transaction: its place in the queue of deadlines."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._actions = {pair: (getattr(cls, action), state) for pair, (action, state) in cls.TABLE.items()}

    def __init__(self, key: Key, flow: Flow, timers: Timers, counters: Counters) -> None:
        self.state = self.INITIAL
        self.key = key
        self.flow = flow
        self.user: Any = None
        self.permit = None
        self.entry = 0
        self._timers = timers
        self._counters = counters
        self._sent = b""
        self._repeat_at = self._end_at = inf
        self._repeat_timer = self._end_timer = Input.TRANSPORT_ERROR
        self._interval = 0.0

    @property
    def request(self) -> Request:
        """That the transaction is about."""
        raise NotImplementedError

    def start(self, now: float) -> list[Effect]:
        """The first input: what sends the request, or hands it over."""
        raise NotImplementedError

    @property
    def next_deadline(self) -> float | None:
        """When to call `handle_timer`, in monotonic seconds; None: never."""
        deadline = min(self._end_at, self._repeat_at)
        return None if deadline == inf else deadline

    def handle_timer(self, now: float) -> list[Effect]:
        """Fire what is due. A state that is over does not retransmit any more, however late we are."""
        if self._end_at <= now:
            self._end_at = inf
            return self._run(self._end_timer, now)
        if self._repeat_at <= now:
            self._repeat_at = inf
            return self._run(self._repeat_timer, now)
        return []

    def transport_failed(self, now: float) -> list[Effect]:
        """The transport could not deliver what this transaction sent last."""
        return self._run(Input.TRANSPORT_ERROR, now)

    def let_go(self) -> None:
        """End at once, whatever the state: the request was answered without state (8.2.7), or not at all."""
        self.state = State.TERMINATED
        self._repeat_at = self._end_at = inf

    # for the machines ---------------------------------------------------------------------------------------------
    def _run(self, what: Input, now: float, message: Any = None) -> list[Effect]:
        step = self._actions.get((self.state, what))
        if step is None:
            return self._unlisted(what)
        action, self.state = step
        effects = action(self, now, message)
        if self.state is State.TERMINATED:
            self._repeat_at = self._end_at = inf
            effects.append(Ended(self))
        elif self._end_at <= now:
            effects += self.handle_timer(now)
        return effects

    def _unlisted(self, what: Input) -> list[Effect]:
        if what in _FROM_WIRE:
            self._counters.ignored += 1
        elif what.endswith("TU"):
            raise LocalProtocolError(f"{what} in state {self.state} of {type(self).__name__}")
        return []

    def _repeat(self, timer: Input, now: float, interval: float) -> None:
        self._repeat_timer = timer
        self._interval = interval
        self._repeat_at = now + interval

    def _end(self, timer: Input, now: float, seconds: float) -> None:
        self._end_timer = timer
        self._end_at = now + seconds

    def _do_nothing(self, now: float, message: Any) -> list[Effect]:
        return []

    def _report_transport(self, now: float, message: Any) -> list[Effect]:
        self._counters.transport_failures += 1
        return [TransportFailed(self)]


class ClientTransaction(Machine):
    """A request that we sent."""

    __slots__ = ()

    def receive(self, response: Response, flow: Flow, now: float) -> list[Effect]:
        """A response that matches (17.1.3)."""
        raise NotImplementedError


class ServerTransaction(Machine):
    """A request that we received."""

    __slots__ = ("merge_key", "response_flow")

    response_flow: Flow
    """Where responses go (18.2.2, RFC 3581)."""
    merge_key: Key | None
    """Of the layer that owns the transaction: by what another copy of the request is known (8.2.2.2)."""

    def __init__(
        self, request: Request, flow: Flow, response_flow: Flow, key: Key, timers: Timers, counters: Counters
    ) -> None:
        super().__init__(key, flow, timers, counters)
        self.response_flow = response_flow
        self.merge_key = None

    def receive(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        """The request again, or the ACK to a failure (17.2.3)."""
        raise NotImplementedError

    def respond(self, response: Response, now: float) -> list[Effect]:
        """Send a response of the transaction user."""
        raise NotImplementedError
