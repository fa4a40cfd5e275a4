# SPDX-License-Identifier: Apache-2.0
"""The INVITE session, split by verb: calling (outgoing), answering (incoming), and the established dialog (session)."""

from switch.sip.session.context import Context, Outcome, Sleeper
from switch.sip.session.events import (
    Acknowledged,
    Answered,
    Cancelled,
    Ended,
    Failed,
    Progressed,
    Refreshed,
    Replied,
    Requested,
    SessionEvent,
    Withdrawn,
)
from switch.sip.session.in_flight import OFFERING
from switch.sip.session.incoming import IncomingInvite
from switch.sip.session.outgoing import OutgoingInvite
from switch.sip.session.session import Session, State

__all__ = [
    "OFFERING",
    "Acknowledged",
    "Answered",
    "Cancelled",
    "Context",
    "Ended",
    "Failed",
    "IncomingInvite",
    "Outcome",
    "OutgoingInvite",
    "Progressed",
    "Refreshed",
    "Replied",
    "Requested",
    "Session",
    "SessionEvent",
    "Sleeper",
    "State",
    "Withdrawn",
]
