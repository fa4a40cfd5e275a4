# SPDX-License-Identifier: Apache-2.0
"""The INVITE session: calling (outgoing), answering (incoming), and once both sides talk what the owner (session) and
the peer (receiving) do in it."""

from switch.sip.session.context import Context
from switch.sip.session.in_flight import OFFERING
from switch.sip.session.incoming import Cancelled, IncomingInvite
from switch.sip.session.outcome import Outcome, SessionEvent, Sleeper
from switch.sip.session.outgoing import Answered, Failed, OutgoingInvite, Progressed
from switch.sip.session.receiving import Acknowledged, Refreshed, Requested, Withdrawn
from switch.sip.session.session import Ended, Replied, Session, State

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
