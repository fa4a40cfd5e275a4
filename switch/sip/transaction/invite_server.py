# SPDX-License-Identifier: Apache-2.0
"""INVITE server transaction (RFC 3261 section 17.2.1 figure 7, as replaced by RFC 6026 section 7.1)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from switch.sip.transaction.machine import RequestReceived, Send, ServerTransaction, TimedOut
from switch.sip.transaction.states import Input, State

if TYPE_CHECKING:
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.transaction.machine import Effect
    from switch.sip.transaction.states import Counters, Key
    from switch.sip.transaction.timers import Timers

__all__ = ["InviteServerTransaction"]


class InviteServerTransaction(ServerTransaction):
    """One INVITE that we received, until its final response has arrived."""

    __slots__ = ("request",)

    INITIAL = State.PROCEEDING
    TABLE = {
        (State.PROCEEDING, Input.REQUEST): ("_resend", State.PROCEEDING),
        (State.PROCEEDING, Input.TIMER_TRYING): ("_send_trying", State.PROCEEDING),
        (State.PROCEEDING, Input.SEND_1XX): ("_send_provisional", State.PROCEEDING),
        (State.PROCEEDING, Input.SEND_2XX): ("_accept", State.ACCEPTED),
        (State.PROCEEDING, Input.SEND_3XX_6XX): ("_fail", State.COMPLETED),
        (State.PROCEEDING, Input.TRANSPORT_ERROR): ("_report_transport", State.PROCEEDING),
        (State.ACCEPTED, Input.REQUEST): ("_absorb", State.ACCEPTED),
        (State.ACCEPTED, Input.ACK): ("_pass_up", State.ACCEPTED),
        (State.ACCEPTED, Input.SEND_2XX): ("_send_again", State.ACCEPTED),
        (State.ACCEPTED, Input.TRANSPORT_ERROR): ("_report_transport", State.ACCEPTED),
        (State.ACCEPTED, Input.TIMER_L): ("_do_nothing", State.TERMINATED),
        (State.COMPLETED, Input.REQUEST): ("_resend", State.COMPLETED),
        (State.COMPLETED, Input.TIMER_G): ("_retransmit", State.COMPLETED),
        (State.COMPLETED, Input.TIMER_H): ("_time_out", State.TERMINATED),
        (State.COMPLETED, Input.TRANSPORT_ERROR): ("_report_transport", State.COMPLETED),
        (State.COMPLETED, Input.ACK): ("_confirm", State.CONFIRMED),
        (State.CONFIRMED, Input.ACK): ("_absorb", State.CONFIRMED),
        (State.CONFIRMED, Input.TIMER_I): ("_do_nothing", State.TERMINATED),
    }

    request: Request
    """As received, with `received` and `rport` in its top Via."""

    def __init__(
        self, request: Request, flow: Flow, response_flow: Flow, key: Key, timers: Timers, counters: Counters
    ) -> None:
        super().__init__(request, flow, response_flow, key, timers, counters)
        self.request = request

    # inputs -------------------------------------------------------------------------------------------------------
    def start(self, now: float) -> list[Effect]:
        """Hand the INVITE to the transaction user, who has 200 ms until we answer 100 for it."""
        self._end(Input.TIMER_TRYING, now, self._timers.trying_seconds)
        return [RequestReceived(self.request, self.flow, self)]

    def receive(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        """The INVITE again, or an ACK that matches (17.2.3)."""
        return self._run(Input.ACK if request.method == "ACK" else Input.REQUEST, now, (request, flow))

    def respond(self, response: Response, now: float) -> list[Effect]:
        """Send a response of the transaction user; in Accepted, a 2xx as often as it likes (13.3.1.4)."""
        status = response.status
        what = Input.SEND_1XX if status < 200 else Input.SEND_2XX if status < 300 else Input.SEND_3XX_6XX
        return self._run(what, now, response)

    # actions ------------------------------------------------------------------------------------------------------
    def _resend(self, now: float, _: tuple[Request, Flow]) -> list[Effect]:
        self._counters.retransmissions_received += 1
        if not self._sent:
            return []
        self._counters.retransmissions_sent += 1
        return [Send(self._sent, self.response_flow, self)]

    def _absorb(self, now: float, _: tuple[Request, Flow]) -> list[Effect]:
        self._counters.retransmissions_received += 1
        return []

    def _pass_up(self, now: float, received: tuple[Request, Flow]) -> list[Effect]:
        return [RequestReceived(*received, self)]

    def _send_trying(self, now: float, _: None) -> list[Effect]:
        return self._send(self.request.response(100))

    def _send_provisional(self, now: float, response: Response) -> list[Effect]:
        self._end_at = inf
        return self._send(response)

    def _accept(self, now: float, response: Response) -> list[Effect]:
        self._end(Input.TIMER_L, now, self._timers.timeout_seconds)
        effects = self._send(response)
        self._sent = b""  # its retransmission is the business of the transaction user
        return effects

    def _send_again(self, now: float, response: Response) -> list[Effect]:
        self._counters.retransmissions_sent += 1
        return [Send(response.to_bytes(), self.response_flow, self)]

    def _fail(self, now: float, response: Response) -> list[Effect]:
        if not self.flow.is_reliable:
            self._repeat(Input.TIMER_G, now, self._timers.t1)
        self._end(Input.TIMER_H, now, self._timers.timeout_seconds)
        return self._send(response)

    def _retransmit(self, now: float, _: None) -> list[Effect]:
        self._counters.retransmissions_sent += 1
        self._repeat(Input.TIMER_G, now, min(2 * self._interval, self._timers.t2))
        return [Send(self._sent, self.response_flow, self)]

    def _time_out(self, now: float, _: None) -> list[Effect]:
        self._counters.timed_out += 1
        return [TimedOut(self)]

    def _confirm(self, now: float, _: tuple[Request, Flow]) -> list[Effect]:
        self._repeat_at = inf
        self._end(Input.TIMER_I, now, 0.0 if self.flow.is_reliable else self._timers.t4)
        return []

    def _send(self, response: Response) -> list[Effect]:
        self._counters.responses_sent += 1
        self._sent = response.to_bytes()
        return [Send(self._sent, self.response_flow, self)]
