# SPDX-License-Identifier: Apache-2.0
"""The runner of transition tables that the four transaction machines share.

A machine is a TABLE: (state, input) -> (name of the action, next state). Whatever moves a transaction stands in its
table; docs/transactions.md is drawn from it. A pair that is not listed does nothing: from the wire it is a stray, which
is normal, and counted; from our own side it is a bug, and raises LocalProtocolError.

Actions are methods; they return effects and arm timers. Two timers at most run at a time in any SIP transaction: one
that repeats (A, E, G) and one that ends the state (B, D, F, H, ...). A timer of zero seconds fires at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final

from switch.sip.message.errors import LocalProtocolError
from switch.sip.transaction.effects import Ended, TransportFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from switch.sip.destination import Permit
    from switch.sip.message.flow import Flow
    from switch.sip.transaction.effects import Effect
    from switch.sip.transaction.timers import Timers

__all__ = ["Counters", "Input", "Key", "Machine", "State"]

Key = tuple[str | int | None, ...]


class State(StrEnum):
    """States by their names in RFC 3261 section 17 and RFC 6026."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    ACCEPTED = "Accepted"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    TERMINATED = "Terminated"


class Input(StrEnum):
    """Everything that can happen to a transaction, in the words of the figures of RFC 3261."""

    REQUEST = "request again"
    ACK = "ACK"
    RECEIVE_1XX = "1xx"
    RECEIVE_2XX = "2xx"
    RECEIVE_3XX_6XX = "300-699"
    RECEIVE_FINAL = "200-699"
    SEND_1XX = "1xx from TU"
    SEND_2XX = "2xx from TU"
    SEND_3XX_6XX = "300-699 from TU"
    SEND_FINAL = "200-699 from TU"
    CANCEL = "CANCEL from TU"
    ABANDON = "given up by TU"
    TIMER_A = "Timer A"
    TIMER_B = "Timer B"
    TIMER_D = "Timer D"
    TIMER_E = "Timer E"
    TIMER_F = "Timer F"
    TIMER_G = "Timer G"
    TIMER_H = "Timer H"
    TIMER_I = "Timer I"
    TIMER_J = "Timer J"
    TIMER_K = "Timer K"
    TIMER_L = "Timer L"
    TIMER_M = "Timer M"
    TIMER_TRYING = "200 ms"
    TIMER_LATE = "Timer E of the client at T2"
    TIMER_CANCELLED = "64*T1 after CANCEL"
    TRANSPORT_ERROR = "Transport Err."


_FROM_WIRE: Final = frozenset(
    {Input.REQUEST, Input.ACK, Input.RECEIVE_1XX, Input.RECEIVE_2XX, Input.RECEIVE_3XX_6XX, Input.RECEIVE_FINAL}
)


@dataclass(slots=True)
class Counters:
    """What happened in a layer since it was made."""

    requests_received: int = 0
    """New requests, retransmissions not counted."""
    responses_received: int = 0
    requests_sent: int = 0
    responses_sent: int = 0
    acks_sent: int = 0
    retransmissions_sent: int = 0
    retransmissions_received: int = 0
    ignored: int = 0
    """Messages that meant nothing in the state of their transaction, absorbed retransmissions among them."""
    strays: int = 0
    """Responses that matched no transaction."""
    merged: int = 0
    """Requests that came by two ways and were answered 482 (8.2.2.2)."""
    timed_out: int = 0
    transport_failures: int = 0


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
    TABLE: ClassVar[Mapping[tuple[State, Input], tuple[str, State]]]
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
            effects.append(Ended(self))  # type: ignore[arg-type]  # the four machines are all there are
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
        return [TransportFailed(self)]  # type: ignore[arg-type]  # the four machines are all there are
