# SPDX-License-Identifier: Apache-2.0
"""Calls that start at the same time, and slices asked for at the same time, which go to the store together."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from billing_client.calls import Grant, start_values
from billing_client.store import Store
from billing_client.types import StoreRefused
from tests.store.calls import CallDesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from billing_client.calls import CallStart
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

ZERO = Decimal(0)


@pytest_asyncio.fixture
async def narrow(dsn: str, tenant: Tenant) -> AsyncIterator[CallDesk]:
    """A switch with one connection: its first start goes alone, and all others together."""
    store = await Store.connect(dsn, node="narrow", connections=1)
    try:
        yield CallDesk(store)
    finally:
        await store.close()


async def test_a_call_crosses_by_the_names_of_its_columns(tenant: Tenant) -> None:
    """Whatever `CallStart` has beside them is told apart in `billing_client.calls`."""
    row, *_ = start_values(CallDesk.start_of(CallDesk(None), (1, 2), 1, 1), 1, "test")  # type: ignore[arg-type]
    found = await tenant.sql.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'billing_activecall'::regclass AND attnum > 0"
    )
    assert set(row) <= {column["attname"] for column in found}


async def at_once(desk: CallDesk, starts: list[CallStart]) -> list[Grant]:
    """Start them all at the same time."""
    return list(await asyncio.gather(*(desk.store.start_call(start) for start in starts)))


async def transactions(sql: asyncpg.Connection[asyncpg.Record]) -> int:
    """How many transactions the calls that live now were written in."""
    count: int = await sql.fetchval("SELECT count(DISTINCT xmin::text) FROM billing_activecall")
    return count


@asynccontextmanager
async def locked(tenant: Tenant, balance_id: int) -> AsyncIterator[None]:
    """Somebody else holds the row of a balance."""
    async with tenant.sql.transaction():
        await tenant.sql.execute("SELECT FROM billing_balance WHERE id = $1 FOR UPDATE", balance_id)
        yield


def several(desk: CallDesk, tenant: Tenant) -> list[CallStart]:
    """Starts of all payers that meet funds, a debt limit, limits of calls, of their price and of spending."""
    starts = []
    for number in range(24):
        who = (tenant.debit, tenant.credit, tenant.subordinate)[number % 3]
        want = Decimal(("2", "3.30", "0", "0.15", "4")[number % 5])
        fields: dict[str, Any] = {"callee_id": (None, None, 3, 1)[number % 4]}
        if not want:
            fields["rate"] = None
        direction = ("outgoing", "internal", "incoming")[number % 7 % 3]
        starts.append(
            desk.start_of(
                who, want, want / 2 if number % 2 else min(want, Decimal("0.10")), direction=direction, **fields
            )
        )
    return starts


async def test_calls_of_one_account_that_start_together_share_a_transaction_and_a_lone_one_has_its_own(
    desk: CallDesk, tenant: Tenant
) -> None:
    grants = await at_once(desk, [desk.start_of(tenant.debit, 1, 1) for _ in range(9)])
    assert grants == [Grant(Decimal(1))] * 9
    assert await transactions(tenant.sql) == 2
    await desk.start(tenant.debit, 1)
    assert await transactions(tenant.sql) == 3
    assert await tenant.balance(2) == (10, 10, 0)


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        ("UPDATE billing_account SET max_calls_out = 90", "funds"),
        ("UPDATE billing_account SET max_calls_out = 4, max_calls_in = 3 WHERE id <> 2", "concurrency"),
        ("UPDATE billing_customer SET max_calls = 9, max_call_price = 1", "concurrency"),
        ("UPDATE billing_customer SET hourly_limit = 9, max_call_price = 3", "spending"),
        ("UPDATE billing_customer SET daily_limit = 20; UPDATE billing_account SET max_call_price = 0.2", "cap"),
    ],
)
async def test_together_they_are_granted_what_they_are_granted_one_by_one(
    narrow: CallDesk, tenant: Tenant, limits: str, refusal: str
) -> None:
    await tenant.sql.execute(limits)
    outcomes = []
    for together in (False, True):
        starts = several(narrow, tenant)
        if together:
            grants = await at_once(narrow, starts)
            assert await transactions(tenant.sql) == 2
        else:
            grants = [await narrow.store.start_call(start) for start in starts]
        outcomes.append((grants, [await tenant.balance(balance) for balance in (1, 2, 3)]))
        for start, grant in zip(starts, grants, strict=True):
            if grant.refusal is None:
                await narrow.finish(start.call_id, 0)
    assert outcomes[0] == outcomes[1]
    assert {None, refusal} <= {grant.refusal for grant in outcomes[0][0]}
    assert await tenant.audit() == []


async def test_funds_go_to_those_who_came_first_and_never_further_than_they_reach(
    narrow: CallDesk, tenant: Tenant
) -> None:
    grants = await at_once(narrow, [narrow.start_of(tenant.debit, 3, "0.50") for _ in range(30)])
    assert grants == [Grant(Decimal(3))] * 3 + [Grant(Decimal(1))] + [Grant(ZERO, "funds")] * 26
    assert await tenant.balance(2) == (10, 10, 0)


async def test_each_counts_those_before_it(narrow: CallDesk, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_account SET max_calls_out = 4 WHERE id = 1")
    grants = await at_once(narrow, [narrow.start_of(tenant.debit, 1, 1) for _ in range(10)])
    assert [grant.refusal for grant in grants] == [None] * 4 + ["concurrency"] * 6


async def test_a_start_that_is_repeated_among_others_locks_once(narrow: CallDesk, tenant: Tenant) -> None:
    starts = [narrow.start_of(tenant.debit, 1, 1) for _ in range(4)]
    first = await at_once(narrow, starts)
    assert await at_once(narrow, [*starts, *reversed(starts)]) == [*first, *first]
    assert (await tenant.balance(2))[1] == 4


async def test_one_that_the_store_objects_to_takes_no_other_with_it(narrow: CallDesk, tenant: Tenant) -> None:
    starts = [narrow.start_of(tenant.debit, 1, 1) for _ in range(5)]
    starts.insert(3, narrow.start_of(tenant.debit, 1, 1, direction="sideways" * 9))
    found = await asyncio.gather(*(narrow.store.start_call(start) for start in starts), return_exceptions=True)
    assert isinstance(found.pop(3), StoreRefused)
    assert found == [Grant(Decimal(1))] * 5
    assert (await tenant.balance(2))[1] == 5


async def test_calls_of_a_life_that_was_declared_dead_begin_another_together(narrow: CallDesk, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_node SET ended_at = now() WHERE name = 'narrow'")
    grants = await at_once(narrow, [narrow.start_of(tenant.debit, 1, 1) for _ in range(6)])
    assert grants == [Grant(Decimal(1))] * 6
    assert len(await narrow.store.live_calls()) == 6
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_node WHERE ended_at IS NULL") == 1


async def test_a_balance_that_is_held_up_holds_up_no_call_of_another(desk: CallDesk, tenant: Tenant) -> None:
    async with locked(tenant, tenant.debit[1]):
        waiting = asyncio.gather(*(desk.start(tenant.debit, 1) for _ in range(3)))
        _, grant = await desk.start(tenant.credit, 1)
        assert grant == Grant(Decimal(1))
        _, grant = await desk.start(tenant.debit, 0, 0, rate=None, exempt=True)  # an emergency call
        assert grant.refusal is None
        assert not waiting.done()
    assert [grant for _, grant in await waiting] == [Grant(Decimal(1))] * 3


async def test_a_call_that_is_given_up_while_it_waits_is_never_started(narrow: CallDesk, tenant: Tenant) -> None:
    async with locked(tenant, tenant.debit[1]):
        tasks = [asyncio.create_task(narrow.start(tenant.debit, 1)) for _ in range(4)]
        await asyncio.sleep(0.05)
        tasks[2].cancel()
        await asyncio.sleep(0)
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == [False, False, True, False]
    assert len(await narrow.store.live_calls()) == 3


async def test_slices_asked_for_together_are_granted_what_they_would_be_one_by_one(
    narrow: CallDesk, tenant: Tenant
) -> None:
    starts = [narrow.start_of(tenant.debit, 1, 1) for _ in range(6)]
    await at_once(narrow, starts)
    asked = [(start.call_id, 1, Decimal("1.5"), Decimal("0.5")) for start in starts]
    asked.insert(1, ("nobody's", 1, Decimal(1), Decimal(1)))
    wanted = [Grant(Decimal("2.5")), Grant(ZERO, "unknown call"), Grant(Decimal("2.5")), Grant(Decimal(2))]
    wanted += [Grant(Decimal(1), "funds")] * 3
    for _ in range(2):  # the same slices again lock nothing again
        assert await asyncio.gather(*(narrow.store.extend_call(*each) for each in asked)) == wanted
    assert await transactions(tenant.sql) <= 4
    assert await tenant.balance(2) == (10, 10, 0)


async def test_batches_of_several_switches_do_not_lock_each_other_out(dsn: str, tenant: Tenant) -> None:
    await tenant.sql.execute(
        "UPDATE billing_account SET max_calls_in = 40, max_calls_out = 40;"
        "UPDATE billing_customer SET max_calls = 100, hourly_limit = 15"
    )
    payers = (tenant.debit, tenant.credit, tenant.subordinate)
    stores = [
        await Store.connect(dsn, node=f"sw{number}", connections=1 + number, timeout_seconds=10) for number in range(3)
    ]
    desks = [CallDesk(store) for store in stores]

    async def call(number: int) -> None:
        """Of two slices, between any two of the accounts, on any of the switches."""
        desk = desks[number % 3]
        call_id, grant = await desk.start(payers[number * 7 % 5 % 3], "0.05", callee_id=payers[number * 5 % 7 % 3][0])
        if grant.refusal is None:
            await desk.store.extend_call(call_id, 1, Decimal("0.05"), Decimal("0.01"))
            await desk.finish(call_id, "0.07")

    try:
        await asyncio.gather(*(call(number) for number in range(240)))
    finally:
        for store in stores:
            await store.close()
    assert await tenant.audit() == []
    assert await tenant.sql.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
