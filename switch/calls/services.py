# SPDX-License-Identifier: Apache-2.0
"""What calls need from the switch that they run in."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Protocol

from switch.access.occupancy import Occupancy
from switch.calls.unanswered import UnansweredSound
from switch.routing.carriers.rests import Rests
from switch.routing.emergency import EmergencyCalls
from switch.routing.plan import Applications, DialPlan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from billing_client.rules.books import RateBook, RouteBook
    from billing_client.store import Store
    from billing_client.types import CallFinish
    from switch.access.caller import CallerCheck
    from switch.access.pace import Pace
    from switch.access.reach import StoreReach
    from switch.calls.call import Call
    from switch.money.survivors import StandingCalls
    from switch.registrar.bindings import Location
    from switch.relay.ng import Relay
    from switch.routing.forward import Forwarding
    from switch.settings import SwitchSettings
    from switch.sip.destination import Destinations
    from switch.sip.element.core import Core
    from switch.sip.element.resolver import Resolver
    from switch.trace.recorder import Recorder

__all__ = ["Books", "NodeKnowledge", "Services"]


@dataclass(slots=True)
class Books:
    """The tariffs and routes in force; replaced when the store says that they changed."""

    rates: RateBook
    routes: RouteBook


class Settle(Protocol):
    """Hands a finished call to the store, again and again until the store has it."""

    def __call__(self, finish: CallFinish) -> None:
        """Take over the finished call."""


class NodeKnowledge:
    """What a running switch knows beside the store, for explanations."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def destinations(self) -> Destinations:
        """Who is where."""
        return self._services.core.destinations

    def rests(self, gateway: str) -> list[str]:
        """Which addresses of a gateway rest, in words."""
        now = self._services.core.now()
        return [
            f"{gateway} at {rest.address} rests for another {rest.until - now:.0f} s, as {rest.why}"
            for rest in self._services.rests.of(gateway, now)
        ]


@dataclass(slots=True, kw_only=True)
class Services:
    """Dependencies of every call, made once by the application."""

    core: Core
    store: Store
    reach: StoreReach
    standing: StandingCalls
    relay: Relay
    location: Location
    resolver: Resolver
    settings: SwitchSettings
    books: Books
    check: CallerCheck
    recorder: Recorder
    settle: Settle
    caught_up: Callable[[], Awaitable[bool]]
    """Waits a moment for ended calls that are on their way to the store; False: there are none."""
    over: Callable[[Call], None]
    """Told when a call has ended."""
    utc: Callable[[], datetime]
    messages: Pace
    forwards: dict[str, Forwarding]
    """INVITEs on their way to ourselves, by Call-ID."""
    unanswered: UnansweredSound = field(default_factory=UnansweredSound)
    rests: Rests = field(default_factory=Rests)
    emergencies: EmergencyCalls = field(default_factory=EmergencyCalls)
    occupancy: Occupancy = field(default_factory=Occupancy)
    """Who holds how many calls of the media server."""
    random: Random = field(default_factory=SystemRandom)

    @property
    def dial_plan(self) -> DialPlan:
        """What calls are decided by at this moment."""
        settings, books = self.settings, self.books
        applications = Applications.of(settings)
        return DialPlan(books.rates, books.routes, settings.emergency, applications, settings.number_price)
