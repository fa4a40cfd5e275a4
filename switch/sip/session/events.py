# SPDX-License-Identifier: Apache-2.0
"""What INVITE sessions tell the call that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.sip.subscription import SubscriptionEnded

if TYPE_CHECKING:
    from switch.sip.message.message import Request, Response
    from switch.sip.session.incoming import IncomingInvite
    from switch.sip.session.outgoing import OutgoingInvite
    from switch.sip.session.session import Session
    from switch.sip.transaction import ServerTransaction

__all__ = [
    "Acknowledged",
    "Answered",
    "Cancelled",
    "Ended",
    "Failed",
    "Progressed",
    "Refreshed",
    "Replied",
    "Requested",
    "SessionEvent",
    "Withdrawn",
]


@dataclass(frozen=True, slots=True)
class Progressed:
    """A provisional response to our INVITE, other than 100; a repeated reliable one is not told again.

    After a 199 its early dialog is over (RFC 6228).
    """

    invite: OutgoingInvite
    session: Session | None
    """The early dialog; None when the response had no To tag."""
    response: Response
    reliable: bool
    """It must be acknowledged with `session.prack`."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The first 2xx to our INVITE; it must be acknowledged with `session.ack`."""

    invite: OutgoingInvite
    session: Session
    response: Response


@dataclass(frozen=True, slots=True)
class Failed:
    """Our INVITE failed: 3xx to 6xx, a time-out (408) or a transport failure (503)."""

    invite: OutgoingInvite
    response: Response
    local: bool
    """The response was not received but stands for a time-out or a transport failure."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The caller gave up, by CANCEL or BYE, or never acknowledged a reliable response; the INVITE has been answered."""

    invite: IncomingInvite
    request: Request
    """CANCEL or BYE; the INVITE itself when it was answered 504 for want of a PRACK."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The ACK to our 2xx came: to the first INVITE or to a re-INVITE."""

    session: Session
    request: Request


@dataclass(frozen=True, slots=True)
class Requested:
    """The peer sent a request within the dialog; it must be answered with `session.respond`.

    BYE, CANCEL and UPDATE without a description have been answered already and are not told this way.
    """

    session: Session
    transaction: ServerTransaction
    request: Request


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The peer cancelled its re-INVITE, which has been answered with 487; the session goes on as it was."""

    session: Session
    transaction: ServerTransaction
    """That of the re-INVITE, as it was told by `Requested`."""
    request: Request
    """The CANCEL."""


@dataclass(frozen=True, slots=True)
class Replied:
    """The final response to a request that we sent within the dialog; a 2xx to INVITE wants `session.ack`.

    A request that must not be sent now gets the response of the peer that it would meet: 491 while another offer is
    open, 481 when the session is over.
    """

    session: Session
    request: Request
    response: Response
    relates_to: object
    """What was given to `session.send` as `relates_to`."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """We refreshed the session by re-INVITE, and the peer's 2xx describes its media once more, maybe changed."""

    session: Session
    response: Response


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over without our asking: BYE received, its refresh failed, or our 2xx was never acknowledged."""

    session: Session
    reason: str
    """ "bye", "timer", "no-ack", "failed"."""
    request: Request | None = None
    """The BYE."""


SessionEvent = (
    Progressed
    | Answered
    | Failed
    | Cancelled
    | Acknowledged
    | Requested
    | Withdrawn
    | Replied
    | Refreshed
    | Ended
    | SubscriptionEnded
)
