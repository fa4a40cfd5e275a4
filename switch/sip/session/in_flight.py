# SPDX-License-Identifier: Apache-2.0
"""What is under way in a dialog: requests without final response, 2xx without ACK, an offer without answer.

From this alone follows what may be sent and how a request that crosses is answered: glare (RFC 3261 section 14,
RFC 3311 section 5, RFC 6337 section 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from switch.sip.session.offer_answer import OfferAnswer

if TYPE_CHECKING:
    from switch.sip.message.message import Request, Response
    from switch.sip.session.accept import Retransmission
    from switch.sip.transaction import (
        ClientTransaction,
        InviteClientTransaction,
        ServerTransaction,
    )

__all__ = ["OFFERING", "InFlight"]

OFFERING: Final = ("INVITE", "UPDATE", "PRACK")
"""Requests that can carry an offer, whose answer then comes in their response."""


class First(Protocol):
    """The INVITE of an early dialog."""

    @property
    def glare_status(self) -> int:
        """How to answer a further INVITE of the peer meanwhile (RFC 3261 section 14.2)."""


class InFlight:
    """The book-keeping of one session; it sends nothing."""

    __slots__ = ("_offer_in", "accepting", "inviting", "offers", "peers", "unacknowledged", "updating")

    def __init__(self) -> None:
        self.offers = OfferAnswer()
        self.peers: tuple[ServerTransaction, ...] = ()
        """Requests of the peer that the owner of the session has not answered."""
        self.inviting: InviteClientTransaction | None = None
        """Our re-INVITE without final response."""
        self.updating: ClientTransaction | None = None
        """Our UPDATE without final response."""
        self.accepting: Retransmission | None = None
        """Our 2xx to INVITE that waits for its ACK."""
        self.unacknowledged: Request | None = None
        """Our INVITE that got a 2xx and whose ACK the owner has not sent."""
        self._offer_in: ClientTransaction | ServerTransaction | None = None
        """The request with the open offer, where the answer is due in its response and not in a PRACK or ACK."""

    def has_peers(self, method: str) -> bool:
        """Whether a request of the peer with this method is open."""
        return any(transaction.request.method == method for transaction in self.peers)

    @property
    def owing(self) -> ServerTransaction | None:
        """The request of the peer with an offer whose answer is due in its response."""
        if not self.offers.owes_answer:
            return None
        return next((transaction for transaction in self.peers if transaction is self._offer_in), None)

    # rules --------------------------------------------------------------------------------------------------------
    def may_send(self, method: str, first: First | None, *, is_offer: bool) -> bool:
        """Whether such a request may be sent now; `first` is the INVITE of an early dialog."""
        if method == "INVITE":
            unfinished = first or self.accepting or self.unacknowledged
            return unfinished is None and not self._is_reinviting and not self.offers.is_open
        if method == "UPDATE":
            return self.updating is None and not (is_offer and (self._is_reinviting or not self.offers.may_offer))
        return True

    @property
    def _is_reinviting(self) -> bool:
        return self.inviting is not None or self.has_peers("INVITE")

    def glare(self, request: Request, first: First | None) -> int | None:
        """How to refuse a request that crosses: 491 what meets an offer of ours, 500 what meets one of the peer."""
        if request.method == "PRACK":
            return self._prack_glare(request)
        if request.method == "UPDATE":
            if self.has_peers("UPDATE"):
                return 500
            if request.sdp is None:
                return None
        elif first is not None:
            return first.glare_status
        elif self.unacknowledged is not None:
            return 491
        if self.inviting is not None or self.offers.expects_answer:
            return 491
        if self.has_peers("INVITE") or self.offers.owes_answer:
            return 500
        if request.method == "INVITE":
            return 500 if self.accepting is not None else None
        return None if self.offers.may_offer else 491

    def _prack_glare(self, prack: Request) -> int | None:
        is_answer = self.offers.expects_answer and self._offer_in is None
        if prack.sdp is None or is_answer or not self.offers.is_open:
            return None
        return 491 if self.offers.expects_answer else 500

    # requests of ours ---------------------------------------------------------------------------------------------
    def sent(self, transaction: ClientTransaction) -> None:
        """A request of ours is on its way."""
        request = transaction.request
        if request.method == "INVITE":
            self.inviting = transaction  # type: ignore[assignment]  # an INVITE has an INVITE transaction
        elif request.method == "UPDATE":
            self.updating = transaction
        if request.sdp is not None and request.method in OFFERING:
            self.offers.send(request.sdp)
            self._offer_in = transaction if self.offers.expects_answer else None

    def concluded(self, transaction: ClientTransaction, response: Response) -> None:
        """Its final response came."""
        is_success = response.status < 300
        if transaction is self.inviting:
            self.inviting = None
            self.unacknowledged = transaction.request if is_success else None
        elif transaction is self.updating:
            self.updating = None
        if self._offer_in is transaction:
            self._offer_in = None
            self.offers.receive() if is_success and response.sdp is not None else self.offers.fail()
        elif is_success and response.cseq_method == "INVITE" and response.sdp is not None:
            self.offers.receive()  # a late offer, whose answer goes in our ACK

    def acknowledged_by_us(self, answer: bytes) -> None:
        """Our ACK goes out."""
        self.unacknowledged = None
        if self.offers.owes_answer and self._offer_in is None:
            self.offers.send(answer) if answer else self.offers.fail()

    # requests of the peer -----------------------------------------------------------------------------------------
    def received(self, request: Request, transaction: ServerTransaction) -> None:
        """A request of the peer goes to the owner of the session."""
        self.peers = (*self.peers, transaction)
        if request.sdp is not None and request.method in OFFERING:
            self.offers.receive()
            self._offer_in = transaction if self.offers.owes_answer else None

    def answered(self, transaction: ServerTransaction, response: Response) -> None:
        """Its final response goes out."""
        if self.peers:
            self.peers = tuple(other for other in self.peers if other is not transaction)
        answer = response.sdp if response.status < 300 else None
        if self._offer_in is transaction:
            self._offer_in = None
            self.offers.fail() if answer is None else self.offers.send(answer)
        elif answer is not None and response.cseq_method == "INVITE":
            self.offers.send(answer)  # a late offer, whose answer comes in the ACK

    def acknowledged_by_peer(self, ack: Request) -> None:
        """The ACK to our 2xx came."""
        self.accepting = None
        if self.offers.expects_answer and self._offer_in is None:
            self.offers.fail() if ack.sdp is None else self.offers.receive()
