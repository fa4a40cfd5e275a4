# SPDX-License-Identifier: Apache-2.0
"""Where a call may go: single places (branches), and those that ring at the same time (stages). Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from billing_client.rules.books import Gateway, Route
    from billing_client.rules.trunks import Trunk
    from switch.routing.caller import Forwarding
    from switch.sip.message.flow import Flow, Hop
    from switch.sip.message.message import HeaderLines

__all__ = ["Branch", "Invitation", "Stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """How the INVITE of a branch differs from one for a phone."""

    name: str
    """What to call the branch in explanations."""
    number: str | None = None
    """The calling number to show; None: the caller's."""
    display: str = ""
    to: str | None = None
    """The number in To; None: what was dialled."""
    asserts: bool = False
    """The other side is the media server: the calling number goes into P-Asserted-Identity too, and our mark."""
    hides_privacy: bool = False
    """The caller's wish for privacy does not concern the number that is shown."""
    first: HeaderLines = field(default_factory=list)
    """Header lines to put before those that cross."""
    last: HeaderLines = field(default_factory=list)
    """Header lines to put after them."""
    forwarding: Forwarding | None = None
    """Given where we invite ourselves."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One place to ring."""

    uri: str
    flow: Flow
    routes: tuple[str, ...] = ()
    natted: bool = False
    gateway: Gateway | None = None
    hop: Hop | None = None
    """Of a gateway: from which the flow follows anew for each request, as large ones go by TCP."""
    ring_seconds: float | None = None
    """How long it may ring; None: as long as its stage."""
    invitation: Invitation | None = None
    route: Route | None = None
    """Of a gateway: by which it is asked."""
    is_server: bool = False
    """It leads to the media server, as we mean it to."""
    trunk: Trunk | None = None
    """Of a customer's telephone system, which has a form of numbers of its own."""

    def identity(self, number: str) -> str:
        """A number of a party as the other side wants it."""
        if self.trunk is not None:
            return self.trunk.caller(number)
        return number if self.route is None else self.route.identity(number)

    def called(self, number: str) -> str:
        """Who is called, as the other side wants it."""
        return self.identity(number) if self.trunk is None else self.trunk.number(number)

    @property
    def is_phone(self) -> bool:
        """Whether it is a phone of the account that is called."""
        return self.gateway is None and self.invitation is None and not self.is_server

    @property
    def is_moved(self) -> bool:
        """Whether a phone named it instead of answering."""
        forwarding = None if self.invitation is None else self.invitation.forwarding
        return forwarding is not None and forwarding.sent_on is not None

    @property
    def name(self) -> str:
        """What to call it in explanations."""
        if self.invitation is not None:
            return self.invitation.name
        return self.uri if self.gateway is None else self.gateway.name


@dataclass(frozen=True, slots=True)
class Stage:
    """Branches that ring at the same time."""

    branches: tuple[Branch, ...]
    ring_seconds: float
    """How long they may ring."""
    response_seconds: float | None = None
    """How long to wait for the first sign of life of a gateway before the next one is tried; None: SIP's own 32 s."""
    forwards: bool = False
    """The call goes on to somewhere else than it was for: the caller is told."""
    is_trunk: bool = False
    """An address of a telephone system that may have others, to fail over to."""
    decline_ends: bool = True
    """A 6xx of one branch ends the others."""

    @property
    def gateway(self) -> Gateway | None:
        """The carrier of this stage; None for phones."""
        return self.branches[0].gateway if self.branches else None
