# SPDX-License-Identifier: Apache-2.0
"""The transaction layer (RFC 3261 section 17): messages in, effects out.

Pure: the time is an argument, branches come from a function, bytes to send are effects. The layer finds the transaction
of each message, creates and forgets transactions, keeps their deadlines, and owns the rules that concern several of
them: CANCEL (section 9), merged requests (8.2.2.2), where responses go (18.2, RFC 3581).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from switch.sip.message.errors import ParseError
from switch.sip.message.message import Request
from switch.sip.message.parsing import parse_message
from switch.sip.message.validate import is_misrouted, stateless_tag
from switch.sip.timer_queue import TimerQueue
from switch.sip.transaction.invite_client import InviteClientTransaction
from switch.sip.transaction.invite_server import InviteServerTransaction
from switch.sip.transaction.machine import ClientTransaction, RequestReceived, ResponseReceived, Send, ServerTransaction
from switch.sip.transaction.matching import merge_key, response_flow, server_key, stamp_via
from switch.sip.transaction.non_invite_client import NonInviteClientTransaction
from switch.sip.transaction.non_invite_server import NonInviteServerTransaction
from switch.sip.transaction.states import Counters, State
from switch.sip.transaction.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Response
    from switch.sip.transaction.machine import Effect, Machine
    from switch.sip.transaction.states import Key
    from switch.sip.ways import Permit

__all__ = ["TransactionLayer"]


class TransactionLayer:
    """All transactions of a switch.

    Every method returns the effects to carry out, in order. Whoever drives the layer calls `handle_timer` at
    `next_deadline`, which may change with every call.
    """

    def __init__(
        self, *, sent_by: Callable[[Flow], str], new_branch: Callable[[], str], timers: Timers | None = None
    ) -> None:
        """`sent_by` is our name in the Via of what leaves on a flow; `new_branch` makes unique ones with cookie."""
        self._sent_by = sent_by
        self._new_branch = new_branch
        self._timers = timers or Timers()
        self._clients: dict[Key, ClientTransaction] = {}
        self._servers: dict[Key, ServerTransaction] = {}
        self._ongoing: dict[Key, ServerTransaction] = {}
        self._deadlines: TimerQueue[Machine] = TimerQueue()
        self.counters = Counters()

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    # from the wire ------------------------------------------------------------------------------------------------
    def receive(self, message: Request | Response, flow: Flow, now: float) -> list[Effect]:
        """A message came in."""
        if isinstance(message, Request):
            return self._receive_request(message, flow, now)
        return self._receive_response(message, flow, now)

    def _receive_request(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        method = request.method
        key = server_key(request, "INVITE" if method == "ACK" else method)
        known = self._servers.get(key)
        if known is not None:
            effects = known.receive(request, flow, now)
            self._settle(known)
            return effects
        if method == "ACK":
            self.counters.requests_received += 1
            return [RequestReceived(request, flow, None)]
        return self._new_server(request, flow, key, now)

    def _new_server(self, request: Request, flow: Flow, key: Key, now: float) -> list[Effect]:
        self.counters.requests_received += 1
        stamp_via(request, flow)
        back = response_flow(request, flow)
        kind = InviteServerTransaction if request.method == "INVITE" else NonInviteServerTransaction
        transaction = kind(request, flow, back, key, self._timers, self.counters)
        self._servers[key] = transaction
        copies = merge_key(request)
        if copies in self._ongoing and request.method != "CANCEL":
            self.counters.merged += 1
            transaction.start(now)
            return self.refuse(transaction, request.response(482, to_tag=stateless_tag(request)))
        if copies is not None and request.method != "CANCEL":
            self._ongoing[copies] = transaction
            transaction.merge_key = copies
        effects = transaction.start(now)
        self._deadlines.update(transaction)
        return effects

    def _receive_response(self, response: Response, flow: Flow, now: float) -> list[Effect]:
        try:
            key = (response.via.branch, response.cseq_method)
        except ParseError:
            self.counters.ignored += 1
            return []
        transaction = self._clients.get(key)
        # a request that we passed on as a proxy carries the Vias of its way to us, and so do its responses
        if is_misrouted(response) and (transaction is None or not is_misrouted(transaction.request)):
            self.counters.ignored += 1
            return []
        if transaction is None:
            self.counters.strays += 1
            return [ResponseReceived(response, flow, None)]
        self.counters.responses_received += 1
        effects = transaction.receive(response, flow, now)
        if transaction.state is State.PROCEEDING and isinstance(transaction, InviteClientTransaction):
            effects += self._send_waiting_cancel(transaction, now)
        self._settle(transaction)
        return effects

    # from the transaction user ------------------------------------------------------------------------------------
    def send_request(
        self, request: Request, flow: Flow, now: float, *, branch_suffix: str = "", permit: Permit | None = None
    ) -> tuple[ClientTransaction, list[Effect]]:
        """Send a request other than ACK and CANCEL. It gets our Via and belongs to the transaction from now on.

        `permit` is for whoever guards the way out.
        """
        branch = self._push_via(request, flow, branch_suffix)
        transaction, effects = self._new_client(request, flow, branch, now)
        transaction.permit = permit
        return transaction, effects

    def send_ack(self, ack: Request, flow: Flow) -> list[Effect]:
        """Send the ACK to a 2xx, which has a branch of its own and no transaction (13.2.2.4)."""
        self._push_via(ack, flow)
        self.counters.acks_sent += 1
        return [Send(ack.to_bytes(), flow, None)]

    def cancel(
        self, transaction: InviteClientTransaction, now: float, headers: Sequence[tuple[str, str]] = ()
    ) -> tuple[ClientTransaction | None, list[Effect]]:
        """Cancel an INVITE (9.1), with `headers` such as Reason in the CANCEL.

        Before any provisional response the CANCEL waits for one and no transaction is returned; neither is one when
        the INVITE has its final response or is cancelled already. An INVITE that never gets a final response after
        its CANCEL times out.
        """
        cancel = transaction.cancel(now, headers)
        if cancel is None:
            return None, []
        self._deadlines.update(transaction)
        return self._new_client(cancel, transaction.flow, cancel.via.branch, now)

    def respond(self, transaction: ServerTransaction, response: Response, now: float) -> list[Effect]:
        """Send a response.

        Raises LocalProtocolError after a final response, except that a 2xx to INVITE may be repeated.
        """
        effects = transaction.respond(response, now)
        self._settle(transaction)
        return effects

    def abandon(self, transaction: NonInviteServerTransaction, now: float) -> list[Effect]:
        """Forget a request without a final response (RFC 4320 section 4.2)."""
        effects = transaction.abandon(now)
        self._settle(transaction)
        return effects

    def refuse(self, transaction: ServerTransaction, response: Response | None) -> list[Effect]:
        """Answer once, or not at all, and forget the request (8.2.7).

        So is refused whoever has not shown who he is: his request leaves no state behind, and no answer to it is sent
        a second time but to the same request. Its ACK matches nothing, and is ignored.
        """
        transaction.let_go()
        self._settle(transaction)
        if response is None:
            return []
        self.counters.responses_sent += 1
        return [Send(response.to_bytes(), transaction.response_flow, None)]

    def cancel_target(self, cancel: Request) -> InviteServerTransaction | None:
        """The INVITE that a CANCEL means (9.2), whatever its state; None: answer 481."""
        found = self._servers.get(server_key(cancel, "INVITE"))
        return found if isinstance(found, InviteServerTransaction) else None

    # from the transport and the clock -----------------------------------------------------------------------------
    def transport_failed(self, transaction: Machine, now: float) -> list[Effect]:
        """What `transaction` sent last could not be delivered."""
        effects = transaction.transport_failed(now)
        self._settle(transaction)
        return effects

    def sending_failed(self, data: bytes, now: float) -> list[Effect]:
        """These bytes, sent earlier, could not be delivered: tell their transaction, if it still lives."""
        message = parse_message(data)
        if isinstance(message, Request):
            method = "INVITE" if message.method == "ACK" else message.method
            transaction: Machine | None = self._clients.get((message.via.branch, method))
        else:
            transaction = self._servers.get(server_key(message, message.cseq_method))
        return [] if transaction is None else self.transport_failed(transaction, now)

    @property
    def next_deadline(self) -> float | None:
        """When to call `handle_timer`; it may find nothing to do."""
        return self._deadlines.next_deadline

    def handle_timer(self, now: float) -> list[Effect]:
        """Fire every timer that is due."""
        effects: list[Effect] = []
        for transaction in self._deadlines.due(now):
            told = transaction.handle_timer(now)
            self._settle(transaction)
            if len(told) == 1 and transaction.state is State.TERMINATED:
                transaction.user = None  # it only tells that it ended, and leaves no reference cycle behind
            effects += told
        return effects

    def dump(self) -> list[dict[str, Any]]:
        """The live transactions, for a human to look at."""
        return [
            {
                "kind": type(transaction).__name__,
                "state": str(transaction.state),
                "key": transaction.key,
                "flow": transaction.flow,
                "next_deadline": transaction.next_deadline,
            }
            for transaction in (*self._clients.values(), *self._servers.values())
        ]

    # bookkeeping --------------------------------------------------------------------------------------------------
    def _push_via(self, request: Request, flow: Flow, branch_suffix: str = "") -> str:
        branch = self._new_branch() + branch_suffix
        request.push_via(f"SIP/2.0/{flow.transport.upper()} {self._sent_by(flow)};branch={branch};rport")
        return branch

    def _new_client(
        self, request: Request, flow: Flow, branch: str, now: float
    ) -> tuple[ClientTransaction, list[Effect]]:
        key: Key = (branch, request.method)
        kind = InviteClientTransaction if request.method == "INVITE" else NonInviteClientTransaction
        transaction = kind(request, flow, key, self._timers, self.counters)
        self._clients[key] = transaction
        self.counters.requests_sent += 1
        effects = transaction.start(now)
        self._deadlines.update(transaction)
        return transaction, effects

    def _send_waiting_cancel(self, transaction: InviteClientTransaction, now: float) -> list[Effect]:
        cancel = transaction.take_waiting_cancel()
        if cancel is None:
            return []
        return self._new_client(cancel, transaction.flow, cancel.via.branch, now)[1]

    def _settle(self, transaction: Machine) -> None:
        if transaction.state is not State.TERMINATED:
            self._deadlines.update(transaction)
            return
        self._deadlines.discard(transaction)
        if isinstance(transaction, ServerTransaction):
            self._servers.pop(transaction.key, None)
            transaction.user = None  # no reference cycle is left to the garbage collector
            if transaction.merge_key is not None:
                self._ongoing.pop(transaction.merge_key, None)
        else:
            self._clients.pop(transaction.key, None)
