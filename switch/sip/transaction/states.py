# SPDX-License-Identifier: Apache-2.0
"""The words of the transaction machines: states, what can happen, by what a transaction is known, what is counted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Counters", "Input", "Key", "State"]

Key = tuple[str | int | None, ...]


class State(StrEnum):
    """States by their names in RFC 3261 section 17 and RFC 6026."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    ACCEPTED = "Accepted"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    TERMINATED = "Terminated"


class Input(StrEnum):
    """Everything that can happen to a transaction, in the words of the figures of RFC 3261."""

    REQUEST = "request again"
    ACK = "ACK"
    RECEIVE_1XX = "1xx"
    RECEIVE_2XX = "2xx"
    RECEIVE_3XX_6XX = "300-699"
    RECEIVE_FINAL = "200-699"
    SEND_1XX = "1xx from TU"
    SEND_2XX = "2xx from TU"
    SEND_3XX_6XX = "300-699 from TU"
    SEND_FINAL = "200-699 from TU"
    CANCEL = "CANCEL from TU"
    ABANDON = "given up by TU"
    TIMER_A = "Timer A"
    TIMER_B = "Timer B"
    TIMER_D = "Timer D"
    TIMER_E = "Timer E"
    TIMER_F = "Timer F"
    TIMER_G = "Timer G"
    TIMER_H = "Timer H"
    TIMER_I = "Timer I"
    TIMER_J = "Timer J"
    TIMER_K = "Timer K"
    TIMER_L = "Timer L"
    TIMER_M = "Timer M"
    TIMER_TRYING = "200 ms"
    TIMER_LATE = "Timer E of the client at T2"
    TIMER_CANCELLED = "64*T1 after CANCEL"
    TRANSPORT_ERROR = "Transport Err."


@dataclass(slots=True)
class Counters:
    """What happened in a layer since it was made."""

    requests_received: int = 0
    """New requests, retransmissions not counted."""
    responses_received: int = 0
    requests_sent: int = 0
    responses_sent: int = 0
    acks_sent: int = 0
    retransmissions_sent: int = 0
    retransmissions_received: int = 0
    ignored: int = 0
    """Messages that meant nothing in the state of their transaction, absorbed retransmissions among them."""
    strays: int = 0
    """Responses that matched no transaction."""
    merged: int = 0
    """Requests that came by two ways and were answered 482 (8.2.2.2)."""
    timed_out: int = 0
    transport_failures: int = 0
