# SPDX-License-Identifier: Apache-2.0
"""A small provider in a fresh store, and a bare connection that looks past the client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest_asyncio

from billing_client.mailboxes.mailboxes import StoreMailboxes
from tests.store.calls import CallDesk
from tests.store.vouchers import Press

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from billing_client.store import Store
    from billing_client.vouchers.redeeming import StoreVouchers

TENANT = """
INSERT INTO billing_tariff (id, name, currency) VALUES (1, 'retail', 'USD');
INSERT INTO billing_product (id, name, tariff_id) VALUES (1, 'retail', 1);
INSERT INTO billing_rate (tariff_id, prefix, destination, country, first_price, next_price, effective_from) VALUES
    (1, '20', 'Paid', 'XX', 0.60, 0.60, '2000-01-01'), (1, '10', 'Free', '', 0, 0, '2000-01-01');
INSERT INTO billing_balance (id, kind, currency, credit_limit) VALUES (1, 'credit', 'USD', 20), (3, 'credit', 'USD', 5);
INSERT INTO billing_balance (id, kind, currency) VALUES (2, 'debit', 'USD');
INSERT INTO billing_customer (id, name, balance_id) VALUES (1, 'company', 1);
INSERT INTO billing_account (id, number, customer_id, kind, balance_id, product_id, password, display) VALUES
    (1, '101', 1, 'debit', 2, 1, 'pw101', 'Alice'), (2, '201', 1, 'subordinate', 1, 1, 'pw201', 'Bob'),
    (3, '301', 1, 'credit', 3, 1, 'pw301', '');
SELECT post_entry('opening:101', 2, 10, 'opening', '');
"""


@pytest_asyncio.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Tenant:
    """Debit account 101 (funds 10), subordinate 201 (company's limit 20), credit account 301 (limit 5)."""

    sql: asyncpg.Connection[asyncpg.Record]
    debit: tuple[int, int] = (1, 2)
    subordinate: tuple[int, int] = (2, 1)
    credit: tuple[int, int] = (3, 3)

    async def balance(self, balance_id: int) -> tuple[Any, Any, Any]:
        """Amount, locked, available: decimals, which equal whole numbers."""
        row = await self.sql.fetchrow("SELECT amount, locked, available FROM billing_balance WHERE id = $1", balance_id)
        assert row is not None
        return row["amount"], row["locked"], row["available"]

    async def audit(self) -> list[asyncpg.Record]:
        """What the store finds wrong."""
        return await self.sql.fetch("SELECT * FROM audit()")


@pytest_asyncio.fixture
async def tenant(sql: asyncpg.Connection[asyncpg.Record]) -> Tenant:
    """The provider; its ids are fixed."""
    await sql.execute(TENANT)
    return Tenant(sql)


@pytest_asyncio.fixture
async def desk(store: Store, tenant: Tenant) -> CallDesk:
    """Makes calls on the store as a switch does."""
    return CallDesk(store)


@pytest_asyncio.fixture
async def mailboxes(dsn: str, tenant: Tenant) -> AsyncIterator[StoreMailboxes]:
    """The mailboxes of the tenant: five messages each, locked for 100 seconds after three wrong PINs."""
    mailboxes = await StoreMailboxes.connect(dsn, node="test", max_messages=5, lock_after=3, lock_seconds=100)
    yield mailboxes
    await mailboxes.close()


@pytest_asyncio.fixture
async def press(dsn: str, tenant: Tenant, tmp_path: Path) -> Press:
    """Prints vouchers of the tenant."""
    return await Press.set_up(tenant, dsn, tmp_path)


@pytest_asyncio.fixture
async def vouchers(press: Press) -> AsyncIterator[StoreVouchers]:
    """The door to them."""
    door = await press.door()
    yield door
    await door.close()
