# SPDX-License-Identifier: Apache-2.0
"""What sessions need from the user agent that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from switch.sip.dialog import DialogId
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.session.outcome import Outcome, Sleeper
    from switch.sip.transaction import ServerTransaction, TransactionLayer
    from switch.sip.transaction.timers import Timers
    from switch.sip.ways import Ways

__all__ = ["Addressed", "Context", "Late"]


class Addressed(Protocol):
    """What requests of the peer, and repeated answers, find by their dialog: a session."""

    def receive_request(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> Outcome:
        """Any request but ACK and CANCEL; raises ParseError."""

    def receive_ack(self, request: Request, now: float) -> Outcome:
        """An ACK to a 2xx of ours."""

    def receive_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> Outcome:
        """The peer withdraws the request of a transaction."""

    def repeat_ack(self, response: Response) -> Outcome:
        """The peer repeated its 2xx."""


class Late(Protocol):
    """What is left of an INVITE that never had a final response."""

    def receive_late(self, response: Response, now: float) -> Outcome:
        """The answer came after all."""


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
        register: Callable[[DialogId, Addressed], None],
        unregister: Callable[[DialogId], None],
        remember: Callable[[str, Late, float], None],
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
        """Forgets the session."""
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
