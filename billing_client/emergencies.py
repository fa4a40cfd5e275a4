# SPDX-License-Identifier: Apache-2.0
"""Calls for help: noted by the switch, told by e-mail to whom it is said."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from billing_client.link.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from asyncpg import Record

__all__ = ["NOTE_EMERGENCY", "EmergencyEmail", "EmergencyNote", "StoreEmergencies"]

NOTE_EMERGENCY: Final = "SELECT note_emergency($1, $2, $3, $4, $5, $6, $7, $8, $9)"
TAKE: Final = "SELECT * FROM take_emergency_emails($1, $2, $3)"
AGAIN: Final = "SELECT emergency_email_again($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyNote:
    """A call for help."""

    call_id: str
    account: str
    """Its number."""
    customer: str
    dialled: str
    callback: str
    location: str
    gateways: str
    """Names of those it may leave by, in their order; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyEmail:
    """What is to be told of a call for help, and whom."""

    note: EmergencyNote
    queued_at: datetime
    attempts: int
    """How often it was taken, this time included."""
    recipients: tuple[str, ...]

    @property
    def message_id(self) -> str:
        """The same for the same call."""
        return f"emergency-{sha256(self.note.call_id.encode()).hexdigest()[:32]}"

    @property
    def mailbox(self) -> str:
        """Whose call it is."""
        return self.note.account


class StoreEmergencies:
    """The queue of their e-mails; see `ivr.post.mail.MailQueue`. Each operation raises StoreError."""

    def __init__(self, pool: Pool) -> None:
        """The pool is closed by `close`."""
        self._pool = pool

    @classmethod
    async def connect(cls, dsn: str, *, node: str) -> StoreEmergencies:
        """Open a connection of its own; raises StoreUnavailable."""
        pool = Pool(dsn, name=f"softswitch {node} emergencies", size=1, timeout_seconds=5.0, prepare=(TAKE,))
        await pool.open()
        return cls(pool)

    async def close(self) -> None:
        """Close the connection."""
        await self._pool.close()

    async def take_emails(self, at: datetime, lease: timedelta, most: int) -> list[EmergencyEmail]:
        """Those that are due; nobody else gets them within the lease."""
        return [_email(row) for row in await self._pool.fetch(TAKE, at, lease.total_seconds(), most)]

    async def email_accepted(self, email: EmergencyEmail) -> None:
        """Done with."""
        await self._pool.fetch(AGAIN, email.note.call_id, email.attempts, [], None)

    async def email_again(self, email: EmergencyEmail, recipients: Sequence[str], at: datetime) -> None:
        """Try again then, for these recipients."""
        await self._pool.fetch(AGAIN, email.note.call_id, email.attempts, list(recipients), at)

    async def email_given_up(self, email: EmergencyEmail) -> None:
        """Try no more."""
        await self.email_accepted(email)


def _email(row: Record) -> EmergencyEmail:
    names = ("call_id", "account", "customer", "dialled", "callback", "location", "gateways")
    return EmergencyEmail(
        note=EmergencyNote(**{name: row[name] for name in names}),
        queued_at=row["at"],
        attempts=row["attempts"],
        recipients=tuple(row["recipients"]),
    )
