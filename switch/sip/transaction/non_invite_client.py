# SPDX-License-Identifier: Apache-2.0
"""Non-INVITE client transaction (RFC 3261 section 17.1.2, figure 6)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from switch.sip.transaction.machine import ClientTransaction, ResponseReceived, Send, TimedOut
from switch.sip.transaction.states import Input, State

if TYPE_CHECKING:
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.transaction.machine import Effect
    from switch.sip.transaction.states import Counters, Key
    from switch.sip.transaction.timers import Timers

__all__ = ["NonInviteClientTransaction"]


class NonInviteClientTransaction(ClientTransaction):
    """One request that we sent and that is neither INVITE nor ACK."""

    __slots__ = ("request",)

    INITIAL = State.TRYING
    TABLE = {
        (State.TRYING, Input.TIMER_E): ("_retransmit", State.TRYING),
        (State.TRYING, Input.TIMER_F): ("_time_out", State.TERMINATED),
        (State.TRYING, Input.TRANSPORT_ERROR): ("_report_transport", State.TERMINATED),
        (State.TRYING, Input.RECEIVE_1XX): ("_pass_up", State.PROCEEDING),
        (State.TRYING, Input.RECEIVE_FINAL): ("_complete", State.COMPLETED),
        (State.PROCEEDING, Input.TIMER_E): ("_retransmit_slowly", State.PROCEEDING),
        (State.PROCEEDING, Input.TIMER_F): ("_time_out", State.TERMINATED),
        (State.PROCEEDING, Input.TRANSPORT_ERROR): ("_report_transport", State.TERMINATED),
        (State.PROCEEDING, Input.RECEIVE_1XX): ("_pass_up", State.PROCEEDING),
        (State.PROCEEDING, Input.RECEIVE_FINAL): ("_complete", State.COMPLETED),
        (State.COMPLETED, Input.TIMER_K): ("_do_nothing", State.TERMINATED),
    }

    request: Request
    """As sent, our Via on top."""

    def __init__(self, request: Request, flow: Flow, key: Key, timers: Timers, counters: Counters) -> None:
        super().__init__(key, flow, timers, counters)
        self.request = request

    # inputs -------------------------------------------------------------------------------------------------------
    def start(self, now: float) -> list[Effect]:
        """Send the request."""
        self._sent = self.request.to_bytes()
        if not self.flow.is_reliable:
            self._repeat(Input.TIMER_E, now, self._timers.t1)
        self._end(Input.TIMER_F, now, self._timers.timeout_seconds)
        return [Send(self._sent, self.flow, self)]

    def receive(self, response: Response, flow: Flow, now: float) -> list[Effect]:
        """A response that matches (17.1.3)."""
        return self._run(Input.RECEIVE_1XX if response.status < 200 else Input.RECEIVE_FINAL, now, (response, flow))

    # actions ------------------------------------------------------------------------------------------------------
    def _retransmit(self, now: float, _: None) -> list[Effect]:
        self._counters.retransmissions_sent += 1
        self._repeat(Input.TIMER_E, now, min(2 * self._interval, self._timers.t2))
        return [Send(self._sent, self.flow, self)]

    def _retransmit_slowly(self, now: float, _: None) -> list[Effect]:
        self._counters.retransmissions_sent += 1
        self._repeat(Input.TIMER_E, now, self._timers.t2)
        return [Send(self._sent, self.flow, self)]

    def _time_out(self, now: float, _: None) -> list[Effect]:
        self._counters.timed_out += 1
        return [TimedOut(self)]

    def _pass_up(self, now: float, received: tuple[Response, Flow]) -> list[Effect]:
        return [ResponseReceived(*received, self)]

    def _complete(self, now: float, received: tuple[Response, Flow]) -> list[Effect]:
        self._repeat_at = inf
        self._sent = b""
        self._end(Input.TIMER_K, now, 0.0 if self.flow.is_reliable else self._timers.t4)
        return [ResponseReceived(*received, self)]
