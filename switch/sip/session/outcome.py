# SPDX-License-Identifier: Apache-2.0
"""What comes of a verb, of a message or of the time: effects for the transport, and events for owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from switch.sip.transaction import Effect

__all__ = ["Outcome", "SessionEvent", "Sleeper"]


class SessionEvent:
    """What is told to the call, or to whom else a session, an INVITE or a subscription belongs; each kind of event
    stands beside who tells it."""

    __slots__ = ()

    @property
    def owner(self) -> object:
        """Whom it is told."""
        raise NotImplementedError


Outcome = list["Effect | SessionEvent"]
"""What is to be done and told, in order."""


class Sleeper(Protocol):
    """Something with timers: a session, or an INVITE that is being answered."""

    entry: int

    @property
    def next_deadline(self) -> float | None:
        """When to call `handle_timer`."""

    def handle_timer(self, now: float) -> Outcome:
        """The time has come."""
