# SPDX-License-Identifier: Apache-2.0
"""Vouchers for tests: printed into the store by statements of the test's own, sealed as the generator seals them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing_client.rules.check_digit import check_digit
from billing_client.secrets.keyring import KeyFile, KeyRing
from billing_client.vouchers.redeeming import StoreVouchers
from billing_client.vouchers.words import GuessSource, Redeemed, VoucherRejected
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from billing_client.vouchers.words import VoucherStore
    from tests.store.conftest import Tenant

__all__ = ["PASSWORD", "SOURCE", "Press", "outcome", "patience_for"]

PASSWORD = "53552477"
SOURCE = GuessSource("42073723123", "*99")


def outcome(answer: Redeemed | VoucherRejected) -> str:
    """In a word."""
    return "ok" if isinstance(answer, Redeemed) else answer.reason


@dataclass(slots=True)
class Press:
    """Prints vouchers of one batch."""

    tenant: Tenant
    dsn: str
    keys: KeyFile
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    async def set_up(cls, tenant: Tenant, dsn: str, directory: Path) -> Press:
        """With a new key ring and an empty batch of the tenant's customer."""
        await tenant.sql.execute(
            "INSERT INTO billing_batch (id, name, customer_id, kind) VALUES (1, 'spring', 1, 'voucher')"
        )
        keys = KeyFile(directory / "voucher.keys")
        keys.write(KeyRing.make())
        return cls(tenant, dsn, keys)

    async def print(
        self, amount: str = "10", *, password: str | None = PASSWORD, currency: str = "USD", state: str = "active",
        expires: date | None = None, sub_realm: str = "", product: int | None = None,
    ) -> str:  # fmt: skip
        """One voucher; its code."""
        number = next(self._numbers)
        body = f"8527544{number:03}"
        voucher = body + check_digit(body)
        ring = self.keys.ring()
        await self.tenant.sql.execute(
            "INSERT INTO billing_voucher (id, batch_id, control_number, key_id, sealed, amount, currency, state,"
            " expires, sub_realm, product_id) VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            voucher, number, None if password is None else ring.newest,
            None if password is None else ring.seal(password, voucher), Decimal(amount), currency, state, expires,
            sub_realm, product,
        )  # fmt: skip
        return voucher + (password or "")

    async def door(
        self, *, dsn: str | None = None, stores: Sequence[VoucherStore] = (), **settings: Any
    ) -> StoreVouchers:
        """A door that locks after three wrong codes, for 100 seconds."""
        return await StoreVouchers.connect(
            dsn or self.dsn, KeyFile(self.keys.path), node="test", stores=stores,
            **{"lock_after": 3, "lock_seconds": 100, **settings},
        )  # fmt: skip


def patience_for(fault: str) -> float:
    """Seconds to give a store outside that has this fault: few where its answer is to come too late, and only there."""
    return 1.0 if fault.endswith(("slow", "silent")) else PATIENCE_SECONDS
