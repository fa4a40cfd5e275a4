# SPDX-License-Identifier: Apache-2.0
"""What voicemail asks of the way into the store, on which nothing is lost: `ivr.spool.outbox` is it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from billing_client.mailboxes.words import Deposit, DepositResult

__all__ = ["Outbox"]


class Outbox(Protocol):
    """Takes messages for the store. Recordings go by the name that `Ivr.record(spool=...)` was given."""

    async def deposit(self, deposit: Deposit) -> DepositResult:
        """Store a message; where the store is away it is kept and delivered later, which counts as "stored"."""

    def discard(self, message_id: str) -> None:
        """A recording is not wanted."""

    def abandon(self, name: str) -> None:
        """The application is done with a recording: deliver it as it is, where it was neither deposited nor
        discarded."""
