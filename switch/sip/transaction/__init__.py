# SPDX-License-Identifier: Apache-2.0
"""SIP transactions (RFC 3261 section 17, RFC 6026): four pure machines and the layer that owns them."""

from switch.sip.transaction.invite_client import InviteClientTransaction
from switch.sip.transaction.invite_server import InviteServerTransaction
from switch.sip.transaction.layer import TransactionLayer
from switch.sip.transaction.machine import (
    ClientTransaction,
    Effect,
    Ended,
    RequestReceived,
    ResponseReceived,
    Send,
    ServerTransaction,
    TimedOut,
    TransportFailed,
)
from switch.sip.transaction.matching import response_flow, stamp_via
from switch.sip.transaction.non_invite_client import NonInviteClientTransaction
from switch.sip.transaction.non_invite_server import NonInviteServerTransaction
from switch.sip.transaction.states import Counters, State
from switch.sip.transaction.timers import Timers

__all__ = [
    "ClientTransaction",
    "Counters",
    "Effect",
    "Ended",
    "InviteClientTransaction",
    "InviteServerTransaction",
    "NonInviteClientTransaction",
    "NonInviteServerTransaction",
    "RequestReceived",
    "ResponseReceived",
    "Send",
    "ServerTransaction",
    "State",
    "TimedOut",
    "Timers",
    "TransactionLayer",
    "TransportFailed",
    "response_flow",
    "stamp_via",
]
