# SPDX-License-Identifier: Apache-2.0
"""Several calls finished in one transaction."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from billing_client.types import StoreError, StoreRefused

if TYPE_CHECKING:
    import asyncpg

    from billing_client.calls import CallFinish
    from tests.store.calls import CallDesk
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

AMOUNT = Decimal("0.20")


async def started(desk: CallDesk, tenant: Tenant, count: int) -> list[CallFinish]:
    """The ends of calls that have been started, of all accounts in turn; a free one among them."""
    payers = (tenant.debit, tenant.credit, tenant.subordinate)
    finishes = []
    for number in range(count):
        free = number == 1
        terms = {"rate": None} if free else {}
        call_id, grant = await desk.start(payers[number % 3], 0 if free else "0.30", 0 if free else "0.01", **terms)
        assert grant.refusal is None
        finishes.append(desk.finish_of(call_id, 0 if free else AMOUNT))
    return finishes


async def charged(sql: asyncpg.Connection[asyncpg.Record]) -> dict[str, Decimal]:
    """What the records say, by call."""
    return {row["call_id"]: row["amount"] for row in await sql.fetch("SELECT call_id, amount FROM billing_xdr")}


async def test_a_batch_does_what_each_alone_would_do(
    desk: CallDesk, tenant: Tenant, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    finishes = await started(desk, tenant, 7)
    await desk.store.finish_calls(finishes)
    assert await charged(sql) == {finish.call_id: finish.amount for finish in finishes}
    assert await tenant.balance(2) == (Decimal(10) - 3 * AMOUNT, 0, Decimal(10) - 3 * AMOUNT)
    assert await desk.store.live_calls() == []
    assert await tenant.audit() == []


async def test_a_batch_that_is_sent_again_changes_nothing(
    desk: CallDesk, tenant: Tenant, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    finishes = await started(desk, tenant, 4)
    await desk.store.finish_calls(finishes[:3])
    await desk.store.finish_calls(finishes)
    assert len(await charged(sql)) == 4
    assert await tenant.audit() == []


async def test_an_unknown_call_is_refused_and_the_others_are_settled(
    desk: CallDesk, tenant: Tenant, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    finishes = await started(desk, tenant, 2)
    with pytest.raises(StoreRefused):
        await desk.store.finish_calls([desk.finish_of("nobody's", 0), *finishes])
    assert len(await charged(sql)) == 2
    assert await tenant.audit() == []


async def test_batches_in_any_order_and_slices_of_the_same_calls_do_not_lock_each_other_out(
    desk: CallDesk, tenant: Tenant, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    for _ in range(10):
        finishes = await started(desk, tenant, 9)

        async def extend(call_id: str) -> None:
            try:
                await desk.store.extend_call(call_id, 1, Decimal("0.01"), Decimal("0.01"))
            except StoreError as error:
                pytest.fail(str(error))

        await asyncio.gather(
            desk.store.finish_calls(finishes[:5]),
            desk.store.finish_calls(finishes[:4:-1]),
            *(extend(finish.call_id) for finish in finishes),
        )
    assert len(await charged(sql)) == 90
    assert await tenant.audit() == []
    deadlocks = await sql.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks == 0
