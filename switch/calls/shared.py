# SPDX-License-Identifier: Apache-2.0
"""What all calls of a switch share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from switch.access.emergency import EmergencyCalls
from switch.access.unanswered import UnansweredSound
from switch.calls.transfers.talks import Talks

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from billing_client.calls import EndedBy
    from switch.access.check import CallerCheck
    from switch.access.pace import Pace
    from switch.calls.invitation import Invitations
    from switch.calls.leg import Legs
    from switch.calls.onward import Inside
    from switch.calls.view import CallView
    from switch.money.payment import Till
    from switch.money.survivors import StandingCalls
    from switch.relay.ng import Relay
    from switch.routing.caller import Forwarding
    from switch.routing.outside import Outside
    from switch.routing.plan import Books
    from switch.settings import SwitchSettings
    from switch.sip.element.core import Core
    from switch.sip.session import IncomingInvite
    from switch.trace.recorder import Recorder

__all__ = ["Shared"]


class Over(Protocol):
    """Told when a call has ended."""

    def __call__(self, call: CallView, by: EndedBy, cause: int, status: int | None) -> None:
        """By whom, and why (Q.850 and SIP)."""


@dataclass(slots=True, kw_only=True)
class Shared:
    """Made once by the application; only the calls themselves are given all of it."""

    core: Core
    legs: Legs
    now_settings: Callable[[], SwitchSettings]
    books: Books
    check: CallerCheck
    till: Till
    standing: StandingCalls
    relay: Relay
    inside: Inside
    outside: Outside
    invitations: Invitations
    recorder: Recorder
    over: Over
    utc: Callable[[], datetime]
    messages: Pace
    forwards: dict[str, Forwarding]
    """INVITEs on their way to ourselves, by Call-ID."""
    joinings: dict[str, Callable[[IncomingInvite], None]] = field(default_factory=dict)
    """What those are given to that are to take a place in a call that runs, by Call-ID."""
    talks: Talks = field(default_factory=Talks)
    unanswered: UnansweredSound = field(default_factory=UnansweredSound)
    emergencies: EmergencyCalls = field(default_factory=EmergencyCalls)

    @property
    def settings(self) -> SwitchSettings:
        """Those of this moment."""
        return self.now_settings()
