# SPDX-License-Identifier: Apache-2.0
"""Offers and answers of one dialog (RFC 3264, RFC 6337): one exchange at a time, whichever messages carry it."""

from __future__ import annotations

from enum import Enum

__all__ = ["OfferAnswer", "OfferState"]


class OfferState(Enum):
    """Where the exchange stands."""

    IDLE = "idle"
    """No offer is open: either side may make one, once there was a first exchange."""
    SENT = "sent"
    """We made an offer and wait for the answer."""
    RECEIVED = "received"
    """The peer made an offer and waits for our answer."""


class OfferAnswer:
    """The exchange of session descriptions in one dialog.

    | state    | we send a description     | the peer sends one         | it fails      |
    |----------|---------------------------|----------------------------|---------------|
    | IDLE     | an offer: SENT            | an offer: RECEIVED         |               |
    | SENT     |                           | the answer: IDLE           | as if unsaid  |
    | RECEIVED | the answer: IDLE          |                            | as if unsaid  |

    Only messages that can carry an offer or an answer count: an unreliable provisional response, or the description
    that a 2xx repeats after a reliable one, is no part of it (RFC 6337 section 2).
    """

    __slots__ = ("_agreed", "_proposed", "settled", "state")

    def __init__(self) -> None:
        self.state = OfferState.IDLE
        self.settled = False
        """The first exchange is complete: only from then on may UPDATE carry an offer (RFC 3311 section 5.1)."""
        self._agreed: bytes | None = None
        self._proposed: bytes | None = None

    @property
    def local(self) -> bytes | None:
        """Our description that is in force; the first time, the one that we have proposed."""
        return self._agreed if self._agreed is not None else self._proposed

    @property
    def is_open(self) -> bool:
        """An offer waits for its answer."""
        return self.state is not OfferState.IDLE

    @property
    def owes_answer(self) -> bool:
        """The peer waits for our answer."""
        return self.state is OfferState.RECEIVED

    @property
    def expects_answer(self) -> bool:
        """We wait for the peer's answer."""
        return self.state is OfferState.SENT

    @property
    def may_offer(self) -> bool:
        """No offer is open, and the first exchange is behind us."""
        return self.settled and self.state is OfferState.IDLE

    def send(self, description: bytes) -> None:
        """A description of ours goes out: the answer to an open offer, or a new offer."""
        if self.state is OfferState.RECEIVED:
            self._settle(description)
        else:
            self.state = OfferState.SENT
            self._proposed = description

    def receive(self) -> None:
        """A description of the peer came in."""
        if self.state is OfferState.SENT:
            self._settle(self._proposed)
        else:
            self.state = OfferState.RECEIVED

    def send_first(self, description: bytes | None) -> None:
        """A reliable response of ours to the first INVITE describes us: as offer, as answer, or once more."""
        if description and not self.settled:
            self.send(description)

    def receive_first(self, description: bytes | None) -> None:
        """The same from the peer, in a reliable response to our first INVITE."""
        if description and not self.settled:
            self.receive()

    def accept(self, description: bytes | None) -> None:
        """We accept the first INVITE; an offer of the peer that gets no answer here gets none."""
        self.send_first(description)
        if self.owes_answer and not self.settled:
            self.fail()
        self.settled = True

    def accepted(self, description: bytes | None) -> None:
        """The peer accepts our first INVITE; where it does not answer here, it took 183 for an answer."""
        if (description or self.expects_answer) and not self.settled:
            self.receive()
        self.settled = True

    def fail(self) -> None:
        """The open offer was refused, or its message failed: what was agreed before stays (RFC 3261 section 14.1)."""
        self.state = OfferState.IDLE
        self._proposed = None

    def _settle(self, description: bytes | None) -> None:
        self.state = OfferState.IDLE
        self.settled = True
        self._agreed = description
        self._proposed = None
