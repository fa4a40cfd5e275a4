# SPDX-License-Identifier: Apache-2.0
"""INVITE client transaction (RFC 3261 section 17.1.1 figure 5, as replaced by RFC 6026 section 7.2)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from switch.sip.message.message import Request
from switch.sip.transaction.machine import ClientTransaction, ResponseReceived, Send, TimedOut
from switch.sip.transaction.states import Input, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switch.sip.message.flow import Flow
    from switch.sip.message.message import HeaderLines, Response
    from switch.sip.transaction.machine import Effect
    from switch.sip.transaction.states import Counters, Key
    from switch.sip.transaction.timers import Timers

__all__ = ["InviteClientTransaction"]

# 9.1, 17.1.1.3: what an ACK to a failure and a CANCEL have in common with their INVITE
_COPIED: Final = frozenset({"Route", "From", "Call-ID"})


class InviteClientTransaction(ClientTransaction):
    """One INVITE that we sent, until its final response is dealt with."""

    __slots__ = ("_ack", "_cancel_headers", "_cancel_waits", "cancelled", "request")

    INITIAL = State.CALLING
    TABLE = {
        (State.CALLING, Input.TIMER_A): ("_retransmit", State.CALLING),
        (State.CALLING, Input.TIMER_B): ("_time_out", State.TERMINATED),
        (State.CALLING, Input.TRANSPORT_ERROR): ("_report_transport", State.TERMINATED),
        (State.CALLING, Input.CANCEL): ("_remember_cancel", State.CALLING),
        (State.CALLING, Input.RECEIVE_1XX): ("_proceed", State.PROCEEDING),
        (State.CALLING, Input.RECEIVE_2XX): ("_accept", State.ACCEPTED),
        (State.CALLING, Input.RECEIVE_3XX_6XX): ("_fail", State.COMPLETED),
        (State.PROCEEDING, Input.CANCEL): ("_expect_end", State.PROCEEDING),
        (State.PROCEEDING, Input.TIMER_CANCELLED): ("_time_out", State.TERMINATED),
        (State.PROCEEDING, Input.RECEIVE_1XX): ("_pass_up", State.PROCEEDING),
        (State.PROCEEDING, Input.RECEIVE_2XX): ("_accept", State.ACCEPTED),
        (State.PROCEEDING, Input.RECEIVE_3XX_6XX): ("_fail", State.COMPLETED),
        (State.COMPLETED, Input.RECEIVE_3XX_6XX): ("_acknowledge_again", State.COMPLETED),
        (State.COMPLETED, Input.TRANSPORT_ERROR): ("_report_transport", State.TERMINATED),
        (State.COMPLETED, Input.TIMER_D): ("_do_nothing", State.TERMINATED),
        (State.ACCEPTED, Input.RECEIVE_2XX): ("_pass_up", State.ACCEPTED),
        (State.ACCEPTED, Input.TIMER_M): ("_do_nothing", State.TERMINATED),
    }

    request: Request
    """As sent, our Via on top."""
    cancelled: bool
    """The transaction user gave up; the CANCEL may still wait for the first provisional response (9.1)."""

    def __init__(self, request: Request, flow: Flow, key: Key, timers: Timers, counters: Counters) -> None:
        super().__init__(key, flow, timers, counters)
        self.request = request
        self.cancelled = False
        self._cancel_headers: Sequence[tuple[str, str]] = ()
        self._cancel_waits = False
        self._ack = b""

    # inputs -------------------------------------------------------------------------------------------------------
    def start(self, now: float) -> list[Effect]:
        """Send the INVITE."""
        self._sent = self.request.to_bytes()
        if not self.flow.is_reliable:
            self._repeat(Input.TIMER_A, now, self._timers.t1)
        self._end(Input.TIMER_B, now, self._timers.timeout_seconds)
        return [Send(self._sent, self.flow, self)]

    def receive(self, response: Response, flow: Flow, now: float) -> list[Effect]:
        """A response that matches (17.1.3)."""
        status = response.status
        what = Input.RECEIVE_1XX if status < 200 else Input.RECEIVE_2XX if status < 300 else Input.RECEIVE_3XX_6XX
        return self._run(what, now, (response, flow))

    def cancel(self, now: float, headers: Sequence[tuple[str, str]] = ()) -> Request | None:
        """Give the INVITE up (9.1). Returns the CANCEL to send; None when it has to wait or has become pointless."""
        if self.cancelled or self.state not in (State.CALLING, State.PROCEEDING):
            return None
        self.cancelled = self._cancel_waits = True
        self._cancel_headers = headers
        self._run(Input.CANCEL, now)
        return self.take_waiting_cancel()

    def take_waiting_cancel(self) -> Request | None:
        """The CANCEL, once, as soon as there was a provisional response: one Via, that of the INVITE, same Route."""
        if not self._cancel_waits or self.state is not State.PROCEEDING:
            return None
        self._cancel_waits = False
        return self._sibling("CANCEL", self.request.get("To") or "", self._cancel_headers)

    # actions ------------------------------------------------------------------------------------------------------
    def _retransmit(self, now: float, _: None) -> list[Effect]:
        self._counters.retransmissions_sent += 1
        self._repeat(Input.TIMER_A, now, 2 * self._interval)
        return [Send(self._sent, self.flow, self)]

    def _time_out(self, now: float, _: None) -> list[Effect]:
        self._counters.timed_out += 1
        return [TimedOut(self)]

    def _proceed(self, now: float, received: tuple[Response, Flow]) -> list[Effect]:
        self._repeat_at = self._end_at = inf
        self._sent = b""
        if self.cancelled:
            self._expect_end(now, None)
        return self._pass_up(now, received)

    def _pass_up(self, now: float, received: tuple[Response, Flow]) -> list[Effect]:
        return [ResponseReceived(*received, self)]

    def _accept(self, now: float, received: tuple[Response, Flow]) -> list[Effect]:
        self._repeat_at = inf
        self._sent = b""
        self._end(Input.TIMER_M, now, self._timers.timeout_seconds)
        return [ResponseReceived(*received, self)]

    def _fail(self, now: float, received: tuple[Response, Flow]) -> list[Effect]:
        self._repeat_at = inf
        self._sent = b""
        self._end(Input.TIMER_D, now, 0.0 if self.flow.is_reliable else self._timers.d)
        self._ack = self._sibling("ACK", received[0].get("To") or "", ()).to_bytes()
        self._counters.acks_sent += 1
        return [Send(self._ack, self.flow, self), ResponseReceived(*received, self)]

    def _acknowledge_again(self, now: float, received: tuple[Response, Flow]) -> list[Effect]:
        self._counters.retransmissions_received += 1
        self._counters.acks_sent += 1
        return [Send(self._ack, self.flow, self)]

    def _remember_cancel(self, now: float, _: None) -> list[Effect]:
        return []

    def _expect_end(self, now: float, _: None) -> list[Effect]:
        self._end(Input.TIMER_CANCELLED, now, self._timers.timeout_seconds)
        return []

    def _sibling(self, method: str, to: str, headers: Sequence[tuple[str, str]]) -> Request:
        """A request of the same transaction: same Request-URI, top Via, Route, From, Call-ID and CSeq number."""
        lines: HeaderLines = [self.request.headers[0], ("Max-Forwards", "70")]
        lines += [line for line in self.request.headers if line[0] in _COPIED]
        lines += [("To", to), ("CSeq", f"{self.request.cseq} {method}"), *headers]
        return Request(method, self.request.uri_text, lines)
