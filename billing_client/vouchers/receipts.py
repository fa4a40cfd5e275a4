# SPDX-License-Identifier: Apache-2.0
"""Receipts of recharges that wait to be sent; `billing_client.vouchers.words.Vouchers.redeem` queues them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from billing_client.link.pool import Pool
from billing_client.rules.lifecycle import LifeTerms, expiry
from billing_client.rules.numbering import digits_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, timedelta
    from decimal import Decimal

    from asyncpg import Record

    from billing_client.vouchers.words import Channel

__all__ = ["Receipt", "StoreReceipts"]

TAKE = "SELECT * FROM take_receipts($1, $2, $3, $4)"
DONE = "SELECT receipt_done($1, $2)"
AGAIN = "SELECT receipt_again($1, $2, $3, $4, $5)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A recharge that is in the books, and whom to tell of it."""

    key: str
    """Names the redemption: a receipt with the same key is the same receipt."""
    attempts: int
    """How often it was taken, this time included."""
    queued_at: datetime
    """When the account was recharged."""
    recipients: tuple[str, ...]
    """Of an e-mail, those that have not accepted it yet; of an SMS, the number that called."""
    account: str
    language: str
    """Of the account, else that was spoken."""
    timezone: str
    """IANA name."""
    amount: Decimal
    currency: str
    available: Decimal
    """What could be spent after it."""
    expires_on: date | None
    """First day on which the account cannot be used; None: it does not expire."""

    @property
    def message_id(self) -> str:
        """The same for the same recharge."""
        return f"receipt-{sha256(self.key.encode()).hexdigest()[:32]}"

    @property
    def mailbox(self) -> str:
        """Whose it is."""
        return self.account


class StoreReceipts:
    """The queue of one channel; see `ivr.post.mail.MailQueue`. Each operation raises StoreError."""

    def __init__(self, pool: Pool, channel: Channel) -> None:
        """The pool is closed by `close`."""
        self._pool = pool
        self._channel = channel

    @classmethod
    async def connect(cls, dsn: str, channel: Channel, *, node: str) -> StoreReceipts:
        """Open a connection of its own; raises StoreUnavailable."""
        pool = Pool(dsn, name=f"softswitch {node} receipts", size=1, timeout_seconds=5.0, prepare=(TAKE,))
        await pool.open()
        return cls(pool, channel)

    async def close(self) -> None:
        """Close the connection."""
        await self._pool.close()

    async def take_emails(self, at: datetime, lease: timedelta, most: int) -> list[Receipt]:
        """Receipts that are due; nobody else gets them within the lease. One that nobody can get is done with."""
        rows = await self._pool.fetch(TAKE, self._channel, at, lease.total_seconds(), most)
        found = [_receipt(row, self._channel) for row in rows]
        for receipt in found:
            if not receipt.recipients:
                await self.email_accepted(receipt)
        return [receipt for receipt in found if receipt.recipients]

    async def email_accepted(self, receipt: Receipt) -> None:
        """Done with."""
        await self._pool.fetch(DONE, receipt.key, self._channel)

    async def email_again(self, receipt: Receipt, recipients: Sequence[str], at: datetime) -> None:
        """Try again then, for these recipients."""
        await self._pool.fetch(AGAIN, receipt.key, self._channel, receipt.attempts, list(recipients), at)

    async def email_given_up(self, receipt: Receipt) -> None:
        """Try no more."""
        await self.email_accepted(receipt)


def _receipt(row: Record, channel: Channel) -> Receipt:
    terms = LifeTerms.parse(row["life"])
    end = None if terms is None else expiry(terms)
    caller = row["caller"].removeprefix("+")
    numbers = (caller,) if digits_of(caller) else ()
    return Receipt(
        key=row["key"],
        attempts=row["attempts"],
        queued_at=row["done_at"],
        recipients=tuple(row["recipients"]) if channel == "email" else numbers,
        account=row["number"],
        language=row["language"],
        timezone=row["timezone"] or "UTC",
        amount=row["amount"],
        currency=row["currency"],
        available=row["available"],
        expires_on=None if end is None else end.day,
    )
