# SPDX-License-Identifier: Apache-2.0
"""Non-INVITE server transaction (RFC 3261 section 17.2.2 figure 8).

RFC 6026 section 7.1 changes what transport errors do; RFC 4320 asks for a late 100 and forbids a later 408.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from switch.sip.message.errors import LocalProtocolError
from switch.sip.transaction.machine import RequestReceived, Send, ServerTransaction
from switch.sip.transaction.states import Input, State

if TYPE_CHECKING:
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.transaction.machine import Effect
    from switch.sip.transaction.states import Counters, Key
    from switch.sip.transaction.timers import Timers

__all__ = ["NonInviteServerTransaction"]


class NonInviteServerTransaction(ServerTransaction):
    """One request that we received and that is neither INVITE nor ACK."""

    __slots__ = ("_request",)

    INITIAL = State.TRYING
    TABLE = {
        (State.TRYING, Input.REQUEST): ("_absorb", State.TRYING),
        (State.TRYING, Input.TIMER_LATE): ("_send_trying", State.PROCEEDING),
        (State.TRYING, Input.SEND_1XX): ("_send_provisional", State.PROCEEDING),
        (State.TRYING, Input.SEND_FINAL): ("_complete", State.COMPLETED),
        (State.TRYING, Input.ABANDON): ("_do_nothing", State.TERMINATED),
        (State.PROCEEDING, Input.REQUEST): ("_resend", State.PROCEEDING),
        (State.PROCEEDING, Input.SEND_1XX): ("_send_provisional", State.PROCEEDING),
        (State.PROCEEDING, Input.SEND_FINAL): ("_complete", State.COMPLETED),
        (State.PROCEEDING, Input.ABANDON): ("_do_nothing", State.TERMINATED),
        (State.PROCEEDING, Input.TRANSPORT_ERROR): ("_report_transport", State.PROCEEDING),
        (State.COMPLETED, Input.REQUEST): ("_resend", State.COMPLETED),
        (State.COMPLETED, Input.TRANSPORT_ERROR): ("_report_transport", State.COMPLETED),
        (State.COMPLETED, Input.TIMER_J): ("_do_nothing", State.TERMINATED),
    }

    def __init__(
        self, request: Request, flow: Flow, response_flow: Flow, key: Key, timers: Timers, counters: Counters
    ) -> None:
        super().__init__(request, flow, response_flow, key, timers, counters)
        self._request: Request | None = request

    @property
    def request(self) -> Request:
        """As received, with `received` and `rport` in its top Via.

        Let go with the final response, because tens of thousands of answered registrations wait out timer J; raises
        LocalProtocolError from then on.
        """
        if self._request is None:
            raise LocalProtocolError("the request of an answered transaction is gone")
        return self._request

    # inputs -------------------------------------------------------------------------------------------------------
    def start(self, now: float) -> list[Effect]:
        """Hand the request to the transaction user; if it is slow, we answer 100 for it (RFC 4320 section 4.1)."""
        self._end(Input.TIMER_LATE, now, self._timers.late_seconds)
        return [RequestReceived(self.request, self.flow, self)]

    def receive(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        """The request again (17.2.3)."""
        return self._run(Input.REQUEST, now)

    def respond(self, response: Response, now: float) -> list[Effect]:
        """Send a response of the transaction user."""
        return self._run(Input.SEND_1XX if response.status < 200 else Input.SEND_FINAL, now, response)

    def abandon(self, now: float) -> list[Effect]:
        """End without a final response, because nobody waits for it any more (RFC 4320 section 4.2)."""
        return self._run(Input.ABANDON, now)

    # actions ------------------------------------------------------------------------------------------------------
    def _absorb(self, now: float, _: None) -> list[Effect]:
        self._counters.retransmissions_received += 1
        return []

    def _resend(self, now: float, _: None) -> list[Effect]:
        self._counters.retransmissions_received += 1
        self._counters.retransmissions_sent += 1
        return [Send(self._sent, self.response_flow, self)]

    def _send_trying(self, now: float, _: None) -> list[Effect]:
        return self._send(self.request.response(100))

    def _send_provisional(self, now: float, response: Response) -> list[Effect]:
        self._end_at = inf
        return self._send(response)

    def _send(self, response: Response) -> list[Effect]:
        self._counters.responses_sent += 1
        self._sent = response.to_bytes()
        return [Send(self._sent, self.response_flow, self)]

    def _complete(self, now: float, response: Response) -> list[Effect]:
        self._end(Input.TIMER_J, now, 0.0 if self.flow.is_reliable else self._timers.timeout_seconds)
        self._request = None
        return self._send(response)
