# SPDX-License-Identifier: Apache-2.0
"""What the transaction layer asks its surroundings to do, in the order to do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.transaction.layer import (
        AnyTransaction,
        ClientTransaction,
        ServerTransaction,
    )

__all__ = [
    "Effect",
    "Ended",
    "RequestReceived",
    "ResponseReceived",
    "Send",
    "TimedOut",
    "TransportFailed",
]


@dataclass(frozen=True, slots=True)
class Send:
    """Put these bytes on the wire."""

    data: bytes
    flow: Flow
    transaction: AnyTransaction | None
    """Whom a failure of the transport concerns; None for what no transaction looks after."""


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request for the transaction user, once however often it was retransmitted."""

    request: Request
    flow: Flow
    transaction: ServerTransaction | None
    """None for an ACK that matches no INVITE server transaction: the ACK to a 2xx."""


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response for the transaction user; a 2xx to INVITE comes as often as it is received (RFC 6026)."""

    response: Response
    flow: Flow
    transaction: ClientTransaction | None
    """None for a stray, such as a 2xx retransmitted after its transaction has ended."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Timer B or F: no (final) response; timer H: no ACK to a failure; or nothing came of a CANCEL (9.1)."""

    transaction: AnyTransaction


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The message could not be sent. A client transaction ends; a server transaction stays (RFC 6026 section 7.1)."""

    transaction: AnyTransaction


@dataclass(frozen=True, slots=True)
class Ended:
    """The transaction is over and forgotten; always its last effect."""

    transaction: AnyTransaction


Effect = Send | RequestReceived | ResponseReceived | TimedOut | TransportFailed | Ended
