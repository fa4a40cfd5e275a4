# SPDX-License-Identifier: Apache-2.0
"""No interleaving takes a balance past its limit: many clients at once, and the constraint that would object."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from billing_client.store import Store
from tests.store.calls import CallDesk

if TYPE_CHECKING:
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

SLICE = Decimal("0.50")


async def test_simultaneous_starts_share_exactly_what_is_there(dsn: str, tenant: Tenant) -> None:
    stores = [await Store.connect(dsn, node=f"sw{number}", connections=4) for number in range(2)]
    try:
        desks = [CallDesk(store) for store in stores]
        grants = await asyncio.gather(*(desk.start(tenant.debit, "0.30", "0.30") for desk in desks for _ in range(50)))
    finally:
        for store in stores:
            await store.close()
    assert sum(grant.refusal is None for _, grant in grants) == 33
    assert await tenant.balance(2) == (10, Decimal("9.90"), Decimal("0.10"))
    assert await tenant.audit() == []


async def test_calls_topups_and_withdrawals_at_once_keep_the_books(dsn: str, tenant: Tenant) -> None:
    """Forty callers on one balance, two switches; the store's constraint watches every instant of it."""
    stores = [await Store.connect(dsn, node=f"sw{number}", connections=3) for number in range(2)]
    money = await asyncpg.create_pool(dsn, min_size=2, max_size=2)
    charged = Decimal(0)
    random.seed(7)

    async def caller(desk: CallDesk) -> None:
        nonlocal charged
        for _ in range(5):
            call_id, grant = await desk.start(tenant.debit, SLICE, "0.01")
            if grant.refusal:
                continue
            for number in range(1, random.randint(1, 4)):
                grant = await desk.store.extend_call(call_id, number, SLICE, Decimal("0.01"))
            amount = random.choice([Decimal(0), grant.locked, grant.locked / 2, grant.locked + 1])
            settlement = await desk.finish(call_id, round(amount, 5))
            charged += settlement.amount

    async def cashier(number: int) -> None:
        for step in range(10):
            key = f"{number}-{step}"
            await money.execute("SELECT post_entry($1, 2, 0.3, 'topup', '')", f"topup:{key}")
            with suppress(asyncpg.CheckViolationError):  # all of it is locked just now
                await money.execute("SELECT post_entry($1, 2, -0.3, 'withdrawal', '')", f"withdrawal:{key}")

    try:
        await asyncio.gather(*(caller(CallDesk(stores[n % 2])) for n in range(40)), cashier(1), cashier(2))
    finally:
        for store in stores:
            await store.close()
        await money.close()
    amount, locked, available = await tenant.balance(2)
    moved = await tenant.sql.fetchval(
        "SELECT sum(amount) FROM billing_ledgerentry WHERE balance_id = 2 AND kind <> 'call'"
    )
    assert locked == 0
    assert amount == available == moved - charged
    assert amount >= 0
    assert await tenant.audit() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_balance SET locked = locked + 10.00001 WHERE id = 2",
        "UPDATE billing_balance SET locked = locked - 0.00001 WHERE id = 2",
        "INSERT INTO billing_ledgerentry (key, balance_id, amount, kind) VALUES ('x', 2, -10.00001, 'withdrawal')",
        "INSERT INTO billing_ledgerentry (key, balance_id, amount, kind) VALUES ('x', 3, 5.00001, 'call')",
        "INSERT INTO billing_ledgerentry (key, balance_id, amount, released, kind) VALUES ('x', 2, 1, 0.1, 'topup')",
        "UPDATE billing_balance SET credit_limit = -1 WHERE id = 3",
        "UPDATE billing_balance SET credit_limit = NULL WHERE id = 3",
        "UPDATE billing_balance SET credit_limit = 1 WHERE id = 2",
    ],
)
async def test_the_store_objects_by_itself(tenant: Tenant, statement: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await tenant.sql.execute(statement)
    assert await tenant.audit() == []


async def test_the_limit_cannot_be_lowered_below_what_is_owed_and_locked(dsn: str, tenant: Tenant) -> None:
    store = await Store.connect(dsn, node="sw1", connections=1)
    try:
        await CallDesk(store).start(tenant.credit, 4)
    finally:
        await store.close()
    with pytest.raises(asyncpg.CheckViolationError):
        await tenant.sql.execute("UPDATE billing_balance SET credit_limit = 3.99999 WHERE id = 3")
    await tenant.sql.execute("UPDATE billing_balance SET credit_limit = 4 WHERE id = 3")
