# SPDX-License-Identifier: Apache-2.0
"""What a change of parties in a call needs: the call, and the words in which its steps tell each other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Final, Protocol

from switch.calls.view import CallView
from switch.sip.message.body import DESCRIPTION
from switch.sip.session import SessionEvent

if TYPE_CHECKING:
    from billing_client.calls import EndedBy
    from billing_client.parties import Party
    from switch.calls.leg import Legs
    from switch.routing.caller import Forwarding
    from switch.sip.session import IncomingInvite, Replied, Session

__all__ = ["Changeable", "Joining", "PartyOffer", "TryAgain"]

_MOST_TRIES: Final = 4
_RANDOM: Final = SystemRandom()


class Changeable(CallView, Protocol):
    """A call whose parties may change."""

    @property
    def depth(self) -> int:
        """How many calls one after the other were sent on for it."""

    @depth.setter
    def depth(self, depth: int) -> None:
        """One more."""

    def party_at(self, session: Session) -> Party | None:
        """The account of ours whose phone is on that side; None: somebody else is, or nobody can say."""

    def gives_way(self, old: Session, new: Session, *, by: str | None, party: Party | None = None) -> None:
        """`new` talks in the place of `old` from now on, `by` whose will (the number of an account); `party`: whose
        phone it is."""

    def hang_up(self, by: EndedBy, cause: int, text: str) -> None:
        """End it."""


@dataclass(frozen=True, slots=True)
class Joining(SessionEvent):
    """An INVITE that is to take somebody's place in a call."""

    call: Changeable
    """In which."""
    invite: IncomingInvite
    leaves: Session
    by: str
    """Number of the account whose will it is."""
    party: Party | None = None
    """The account whose phone sent the INVITE; None: another call of ours did, for a transfer."""
    forwarding: Forwarding | None = None
    """Of the other call, whose relay will serve both."""
    depth: int = 0

    @property
    def owner(self) -> object:
        """The call."""
        return self.call


@dataclass(frozen=True, slots=True)
class TryAgain(SessionEvent):
    """The time has come to make an offer again that has met another one (RFC 3261 section 14.1)."""

    call: Changeable
    what: PartyOffer

    @property
    def owner(self) -> object:
        """The call."""
        return self.call


class PartyOffer:
    """A re-INVITE to one party of a call, made again a few times where it meets one of the party's own."""

    __slots__ = ("_call", "_former", "_legs", "_timer", "_tries", "body", "is_given_up", "session", "wants")

    def __init__(self, call: Changeable, legs: Legs, session: Session, body: bytes, wants: Wanting | None) -> None:
        """Without a body the party is asked for an offer. `wants` is told what comes of it; None: nobody is, the party
        is only told again what it knew before."""
        self._call = call
        self._legs = legs
        self.session = session
        self.body = body
        self.wants = wants
        self.is_given_up = wants is None
        self._former = session.local_sdp or b""
        """How the party knew the other side until now."""
        self._tries = 0
        self._timer: asyncio.TimerHandle | None = None
        self.send()

    def send(self) -> None:
        """Make it."""
        self._tries += 1
        self._legs.ask(self.session, "INVITE", (), self.body, DESCRIPTION, self)

    async def replied(self, event: Replied) -> None:
        """What came of it."""
        if event.response.status == 491 and self._tries < _MOST_TRIES:
            seconds = _RANDOM.uniform(2.1, 4.0)
            again = TryAgain(self._call, self)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._call.receive, again)
        elif not self.is_given_up and self.wants is not None:
            await self.wants.replied(event)
        elif event.response.status < 300:
            self._legs.acknowledge(self.session, event.request, b"" if event.request.sdp else self._former)
            if self.body and self.body != self._former and self._former:
                self.body = self._former
                self.send()

    def try_again(self) -> None:
        """The time has come."""
        self._timer = None
        if not self.is_given_up or self.wants is None:
            self.send()

    def give_up(self) -> None:
        """Nobody wants it any more: what the party agrees to now is taken back."""
        self.is_given_up = True
        if self._timer is not None:
            self._timer.cancel()


class Wanting(Protocol):
    """Who makes an offer."""

    async def replied(self, event: Replied) -> None:
        """What came of it; a 2xx is not acknowledged yet."""
