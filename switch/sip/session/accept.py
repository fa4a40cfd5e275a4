# SPDX-License-Identifier: Apache-2.0
"""Sending a 2xx to INVITE until its ACK comes (RFC 3261 section 13.3.1.4): not the transaction's work."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switch.sip.message.message import Response
    from switch.sip.transaction import ServerTransaction
    from switch.sip.transaction.timers import Timers

__all__ = ["Retransmission"]


class Retransmission:
    """A response that is sent again after T1, 2*T1, 4*T1, ... up to T2, and given up after 64*T1.

    Reliable provisional responses (RFC 3262 section 3) keep doubling; they pass `ceiling=inf`.
    """

    __slots__ = ("_ceiling", "_give_up_at", "_interval", "_resend_at", "response", "transaction")

    def __init__(
        self,
        response: Response,
        transaction: ServerTransaction,
        timers: Timers,
        now: float,
        ceiling: float | None = None,
    ) -> None:
        self.response = response
        self.transaction = transaction
        self._ceiling = timers.t2 if ceiling is None else ceiling
        self._interval = timers.t1
        self._resend_at = now + timers.t1
        self._give_up_at = now + 64 * timers.t1

    def give_up_after(self, seconds: float, now: float) -> None:
        """Wait no longer than that."""
        self._give_up_at = min(self._give_up_at, now + seconds)

    @property
    def next_deadline(self) -> float:
        """When to call `is_due`."""
        return min(self._resend_at, self._give_up_at)

    def has_expired(self, now: float) -> bool:
        """Whether 64*T1 have passed without acknowledgement."""
        return now >= self._give_up_at

    def is_due(self, now: float) -> bool:
        """Whether to send the response again now; moves on to the next interval if so."""
        if now < self._resend_at:
            return False
        self._interval = min(2 * self._interval, self._ceiling)
        self._resend_at = now + self._interval
        return True
