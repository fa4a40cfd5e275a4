# SPDX-License-Identifier: Apache-2.0
"""Vouchers of stores outside: asked for what they are worth, depleted, credited.

The store of ours and the one outside cannot commit together, so every step is written down before it is taken: that a
code is being redeemed (before anybody is asked), what it is worth (before it is depleted), and with the credit that it
is done. The request to deplete carries the redemption's key, so it is repeated until the answer is certain. A row that
was not valued is dropped, as nothing happened outside; one that was is finished by whoever finds it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from billing_client.names import text
from billing_client.secrets.keyring import KeyRingError
from billing_client.vouchers.words import VoucherStoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record

    from billing_client.link.pool import Pool
    from billing_client.secrets.keyring import KeyFile
    from billing_client.vouchers.words import VoucherStore, WantedReceipts

__all__ = ["ExternalVouchers", "receipt_columns"]

OPEN = """
SELECT o.*, CASE WHEN o.outcome IN ('pending', 'done') AND $7 <> '{}'::text[] THEN want_receipts(o.key, $7, $8, $9) END
  FROM open_redemption($1, $2, $3, $4, $5, $6) o"""
VALUE = "SELECT value_redemption($1, $2, $3) AS done"
CREDIT = "SELECT * FROM credit_redemption($1)"
REFUSE = "SELECT refuse_redemption($1, $2)"
KNOWN = """
SELECT r.key, r.state, r.store, r.amount FROM billing_redemption r WHERE r.digest = $1 AND r.state <> 'refused'"""
TAKE = "SELECT * FROM take_redemptions($1)"

LEASE_SECONDS: Final = 60.0
"""So long the redemption is its caller's before others look after it."""
PAUSES: Final = (0.2, 0.6, 1.8)
"""Between attempts to deplete while the caller waits."""
MOST_VALUE: Final = Decimal(10) ** 9

Answer = Literal["unknown", "used", "unavailable", "pending"]

log = logging.getLogger(__name__)


def receipt_columns(receipts: WantedReceipts) -> tuple[list[str], str, str]:
    """As `want_receipts` of the store takes them."""
    return list(receipts.channels), text(receipts.language, 16), text(receipts.caller, 64)


@dataclass(frozen=True, slots=True)
class _Open:
    """A redemption under way."""

    key: str
    code: str
    store: str
    amount: Decimal | None


class ExternalVouchers:
    """Redeems codes that our store does not know."""

    def __init__(self, pool: Pool, keys: KeyFile, stores: Sequence[VoucherStore]) -> None:
        """The stores are asked in their order, and closed by `close`."""
        self._pool = pool
        self._keys = keys
        self._stores = {store.name: store for store in stores}

    async def close(self) -> None:
        """Close the stores' connections."""
        for store in self._stores.values():
            await store.close()

    async def redeem(self, code: str, account_id: int, key: str, receipts: WantedReceipts) -> Record | Answer:
        """Redeem a code once; the row of the answer, or why not."""
        ring = self._keys.ring()
        row = (
            await self._pool.fetch(
                OPEN,
                key,
                account_id,
                ring.digest(code),
                ring.newest,
                ring.seal(code, key),
                LEASE_SECONDS,
                *receipt_columns(receipts),
            )
        )[0]
        if row["outcome"] == "done":
            return await self._credit(row["key"])
        if row["outcome"] != "pending":
            return "unavailable" if row["outcome"] == "unavailable" else "used"
        return await self._carry_out(_Open(row["key"], code, row["store"], row["amount"]), PAUSES)

    async def reconcile(self, most: int) -> int:
        """Take up redemptions that were left, and see them to an end where their stores say one."""
        ended = 0
        for row in await self._pool.fetch(TAKE, most):
            if row["amount"] is None:
                await self._pool.fetch(REFUSE, row["key"], "given up before the store was told")
                ended += 1
                continue
            try:
                code = self._keys.ring_with(row["key_id"]).open(row["key_id"], row["sealed"], row["key"])
            except KeyRingError as error:
                log.error("a redemption cannot be finished", extra={"key": row["key"], "reason": str(error)})
                continue
            answer = await self._carry_out(_Open(row["key"], code, row["store"], row["amount"]), ())
            ended += answer not in ("unavailable", "pending")
        return ended

    async def _carry_out(self, asked: _Open, pauses: Sequence[float]) -> Record | Answer:
        if asked.amount is None:
            found = await self._valued(asked)
            if isinstance(found, str):
                return found
            asked = found
        store = self._stores.get(asked.store)
        if store is None:
            log.warning("the voucher store of a redemption is not configured", extra={"key": asked.key})
            return "pending"
        depleted = await self._deplete(store, asked, pauses)
        if depleted is None:
            return "pending"
        if not depleted:
            await self._pool.fetch(REFUSE, asked.key, "the store has not depleted it for us")
            return "used"
        return await self._credit(asked.key)

    async def _valued(self, asked: _Open) -> _Open | Answer:
        """Find the store that knows the code, and write down what it says."""
        doubts = False
        for store in self._stores.values():
            try:
                value = await store.check(asked.code)
            except VoucherStoreUnavailable as error:
                log.warning("a voucher store does not answer", extra={"store": store.name, "reason": str(error)})
                doubts = True
                continue
            if value is None:
                continue
            if not (value.is_finite() and 0 < value < MOST_VALUE and value == round(value, 5)):
                log.error("a voucher store names an amount that is none", extra={"store": store.name})
                doubts = True
                continue
            if not (await self._pool.fetch(VALUE, asked.key, store.name, value))[0]["done"]:
                return "unavailable"
            return _Open(asked.key, asked.code, store.name, value)
        await self._pool.fetch(REFUSE, asked.key, "")
        return "unavailable" if doubts else await self._overtaken(asked)

    async def _overtaken(self, asked: _Open) -> _Open | Answer:
        """No store knows the code, or none does any more: while it was asked for, another call of the same account, or
        one that came after this was given up, may have redeemed it."""
        rows = await self._pool.fetch(KNOWN, self._keys.ring().digest(asked.code))
        if not rows:
            return "unknown"
        row = rows[0]
        if row["state"] != "pending":
            return "used"
        if row["amount"] is None:
            return "unavailable"  # another call asks for it this instant
        return _Open(asked.key, asked.code, row["store"], row["amount"]) if row["key"] == asked.key else "pending"

    async def _deplete(self, store: VoucherStore, asked: _Open, pauses: Sequence[float]) -> bool | None:
        """Whether the voucher is depleted for us; None: nobody knows yet."""
        for pause in (*pauses, None):
            try:
                return await store.deplete(asked.code, asked.key)
            except VoucherStoreUnavailable as error:
                log.warning("a voucher store does not answer", extra={"store": store.name, "reason": str(error)})
            if pause is not None:
                await asyncio.sleep(pause)
        return None

    async def _credit(self, key: str) -> Record | Answer:
        row = (await self._pool.fetch(CREDIT, key))[0]
        return row if row["outcome"] == "ok" else "used"
