# SPDX-License-Identifier: Apache-2.0
"""What sessions need from the user agent that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from switch.sip.destination import Ways
    from switch.sip.login import Login
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request
    from switch.sip.session.events import SessionEvent
    from switch.sip.session.outgoing import OutgoingInvite
    from switch.sip.session.session import Session
    from switch.sip.transaction import Effect, TransactionLayer
    from switch.sip.transaction.timers import Timers

__all__ = ["Context", "Outcome", "PendingInvite", "Sleeper"]

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


class PendingInvite(Protocol):
    """The INVITE that made an early dialog, ours or the peer's, while it has no final response."""

    login: Login | None
    """What answers challenges of the peer; None: nothing."""

    @property
    def glare_status(self) -> int:
        """How to answer a further INVITE of the peer meanwhile (RFC 3261 section 14.2)."""

    def receive_prack(self, session: Session, request: Request) -> bool:
        """Whether a PRACK acknowledges what waits for it."""

    def receive_bye(self, session: Session, request: Request, now: float) -> Outcome:
        """The peer ended the early dialog."""

    def drop(self, session: Session, now: float, headers: Sequence[tuple[str, str]]) -> Outcome:
        """We end the early dialog."""

    def flush(self, now: float) -> Outcome:
        """Send what waited for a PRACK or UPDATE to be answered."""


class Context:
    """The surroundings of all sessions of a user agent."""

    __slots__ = (
        "contact",
        "headers",
        "layer",
        "modify_headers",
        "new_tag",
        "register",
        "remember",
        "session_expires",
        "session_min_se",
        "sleep",
        "timers",
        "unregister",
        "watch",
        "ways",
    )

    def __init__(
        self,
        *,
        layer: TransactionLayer,
        timers: Timers,
        contact: Callable[[Flow], str],
        new_tag: Callable[[], str],
        register: Callable[[Session], None],
        unregister: Callable[[Session], None],
        remember: Callable[[str, OutgoingInvite, float], None],
        watch: Callable[[Sleeper], None],
        sleep: Callable[[Sleeper], None],
        headers: Sequence[tuple[str, str]],
        session_expires: int,
        session_min_se: int,
        ways: Callable[[], Ways],
    ) -> None:
        self.layer = layer
        self.timers = timers
        self.contact = contact
        """The Contact value for messages over a flow."""
        self.new_tag = new_tag
        self.register = register
        """Makes in-dialog requests find the session."""
        self.unregister = unregister
        """Forgets the session and its timers."""
        self.remember = remember
        """Keeps, by its branch, what is left of an INVITE that never had a final response."""
        self.watch = watch
        """Notes that a deadline may have become earlier."""
        self.sleep = sleep
        """Forgets the timers of something."""
        self.headers = headers
        """Header lines of every INVITE, UPDATE and 2xx of ours: Allow, Supported."""
        self.modify_headers = [_without_100rel(line) for line in headers]
        """The same for INVITE and UPDATE within a dialog: a reliable 1xx to those would serve nobody."""
        self.session_expires = session_expires
        """The interval of session timers that we ask for, in seconds; 0: we ask for none."""
        self.session_min_se = session_min_se
        self.ways = ways
        """Gives what dialogs ask before they believe their peers."""


def _without_100rel(line: tuple[str, str]) -> tuple[str, str]:
    name, value = line
    if name != "Supported":
        return line
    return name, ", ".join(tag for tag in value.replace(" ", "").split(",") if tag.lower() != "100rel")
