# SPDX-License-Identifier: Apache-2.0
"""Limits of simultaneous calls, of the price of one call, and of spending; all held by the store itself."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from billing_client.calls import Grant
from billing_client.store import Store
from billing_client.types import StoreEvent
from tests.store.calls import CallDesk
from tests.store.test_outage import until

if TYPE_CHECKING:
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

ZERO = Decimal(0)
FREE: dict[str, Any] = {"want": 0, "minimum": 0, "rate": None}


async def limit(tenant: Tenant, table: str, **limits: Any) -> None:
    """Set limits of the first account or customer."""
    columns = ", ".join(f"{name} = ${number}" for number, name in enumerate(limits, start=1))
    await tenant.sql.execute(f"UPDATE billing_{table} SET {columns} WHERE id = 1", *limits.values())


async def refusals(desk: CallDesk, who: tuple[int, int], *directions: str, **fields: Any) -> list[str | None]:
    """Start a free call in each direction and say how each was answered."""
    return [(await desk.start(who, **FREE, direction=way, **fields))[1].refusal for way in directions]


# Simultaneous calls


async def test_calls_in_each_direction_and_together_are_limited(desk: CallDesk, tenant: Tenant) -> None:
    await limit(tenant, "account", max_calls_out=2, max_calls_in=1)
    assert await refusals(desk, tenant.debit, "outgoing", "incoming", "internal", "outgoing", "incoming") == [
        None, None, None, "concurrency", "concurrency",
    ]  # fmt: skip
    await limit(tenant, "account", max_calls_out=9, max_calls_in=9, max_calls=4)
    assert await refusals(desk, tenant.debit, "incoming", "outgoing", "incoming") == [
        None, "concurrency", "concurrency",
    ]  # fmt: skip


async def test_an_internal_call_is_an_incoming_one_of_who_is_called(desk: CallDesk, tenant: Tenant) -> None:
    await limit(tenant, "account", max_calls_in=1)
    called = {"callee_id": tenant.debit[0]}
    assert await refusals(desk, tenant.credit, "internal", "internal", **called) == [None, "concurrency"]
    assert await refusals(desk, tenant.debit, "incoming", "outgoing") == ["concurrency", None]


async def test_the_calls_of_all_accounts_of_a_customer_are_limited_together(desk: CallDesk, tenant: Tenant) -> None:
    await limit(tenant, "customer", max_calls_out=2, max_calls=3)
    found = [await refusals(desk, who, "outgoing") for who in (tenant.debit, tenant.credit, tenant.subordinate)]
    assert found == [[None], [None], ["concurrency"]]
    assert await refusals(desk, tenant.debit, "incoming", "incoming") == [None, "concurrency"]


async def test_a_call_between_two_accounts_of_a_customer_counts_once_in_all_and_once_in_each_direction(
    desk: CallDesk, tenant: Tenant
) -> None:
    await limit(tenant, "customer", max_calls=2, max_calls_out=1, max_calls_in=1)
    inside = {"callee_id": tenant.credit[0]}
    assert await refusals(desk, tenant.debit, "internal", **inside) == [None]
    assert await refusals(desk, tenant.debit, "outgoing", "incoming") == ["concurrency", "concurrency"]


async def test_an_ended_call_makes_room(desk: CallDesk, tenant: Tenant) -> None:
    await limit(tenant, "account", max_calls_out=1)
    await limit(tenant, "customer", max_calls_out=1)
    for _ in range(3):
        call_id, grant = await desk.start(tenant.debit, 1)
        assert grant.refusal is None
        assert (await desk.start(tenant.debit, 1))[1] == Grant(ZERO, "concurrency")
        await desk.finish(call_id, 0)


async def test_a_repeated_start_does_not_count_itself(desk: CallDesk, tenant: Tenant) -> None:
    await limit(tenant, "account", max_calls_out=1)
    await limit(tenant, "customer", max_calls_out=1, hourly_limit=Decimal(1), max_call_price=Decimal(1))
    start = desk.start_of(tenant.debit, 1, 1)
    assert [await desk.store.start_call(start) for _ in range(2)] == [Grant(Decimal(1))] * 2
    assert (await tenant.balance(2))[1] == 1


async def test_emergency_calls_pass_every_limit(desk: CallDesk, tenant: Tenant) -> None:
    await limit(tenant, "account", max_calls_out=0)
    await limit(tenant, "customer", max_calls=1, hourly_limit=ZERO)
    assert await refusals(desk, tenant.debit, "outgoing", "outgoing", exempt=True) == [None, None]


async def test_simultaneous_starts_of_two_switches_do_not_pass_a_limit_nor_block_each_other(
    dsn: str, tenant: Tenant
) -> None:
    await limit(tenant, "account", max_calls_in=7)
    await tenant.sql.execute("UPDATE billing_account SET max_calls_in = 7 WHERE id = 3")
    await limit(tenant, "customer", max_calls=9)
    stores = [await Store.connect(dsn, node=f"sw{number}", connections=4) for number in range(2)]
    pairs = [(tenant.debit, tenant.credit[0]), (tenant.credit, tenant.debit[0])]  # each calls the other
    try:
        grants = await asyncio.gather(
            *(CallDesk(stores[n % 2]).start(pairs[n // 2 % 2][0], "0.01", callee_id=pairs[n // 2 % 2][1])
              for n in range(60))
        )  # fmt: skip
    finally:
        for store in stores:
            await store.close()
    assert sum(grant.refusal is None for _, grant in grants) == 9
    assert {grant.refusal for _, grant in grants} == {None, "concurrency"}
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_activecall") == 9
    assert await tenant.audit() == []


async def test_limited_calls_do_not_wait_for_who_changes_their_accounts(
    desk: CallDesk, tenant: Tenant, dsn: str
) -> None:
    await tenant.sql.execute("UPDATE billing_account SET max_calls_out = 9, max_calls_in = 9")
    updating = await asyncpg.connect(dsn)
    try:
        await updating.execute("BEGIN; UPDATE billing_account SET display = 'changed'")
        grants = await asyncio.gather(
            *(desk.start(tenant.debit, "0.01", callee_id=tenant.credit[0]) for _ in range(4)),
            desk.start(tenant.debit, "0.01", direction="forwarded", forward="mobile", forward_most=1),
        )
        await updating.execute("ROLLBACK")
    finally:
        await updating.close()
    assert [grant.refusal for _, grant in grants] == [None] * 5


# The price of a call


@pytest.mark.parametrize("table", ["account", "customer"])
async def test_a_call_locks_no_more_than_a_call_may_cost(desk: CallDesk, tenant: Tenant, table: str) -> None:
    await limit(tenant, table, max_call_price=Decimal("0.50"))
    call_id, grant = await desk.start(tenant.debit, "0.30")
    assert grant.locked == Decimal("0.30")
    assert await desk.store.extend_call(call_id, 1, Decimal("0.30"), Decimal("0.01")) == Grant(Decimal("0.50"))
    assert await desk.store.extend_call(call_id, 2, Decimal("0.30"), Decimal("0.01")) == Grant(Decimal("0.50"), "cap")
    settlement = await desk.finish(call_id, 1)
    assert settlement.amount == Decimal("0.50")


async def test_a_call_whose_first_increment_costs_more_than_a_call_may_is_refused(
    desk: CallDesk, tenant: Tenant
) -> None:
    await limit(tenant, "account", max_call_price=Decimal("0.50"))
    await limit(tenant, "customer", max_call_price=Decimal("0.40"))
    _, grant = await desk.start(tenant.debit, "0.60", "0.41")
    assert grant == Grant(ZERO, "cap")
    assert await tenant.balance(2) == (10, 0, 10)


# Spending


async def test_a_customer_that_spent_its_limit_gets_no_further_funds(desk: CallDesk, tenant: Tenant) -> None:
    await limit(tenant, "customer", daily_limit=Decimal(1))
    first, grant = await desk.start(tenant.debit, "0.60")
    assert grant.refusal is None
    second, grant = await desk.start(tenant.subordinate, "0.60")  # another account and balance, the same customer
    assert grant == Grant(Decimal("0.40"))
    assert await desk.store.extend_call(first, 1, Decimal("0.60"), Decimal("0.01")) == Grant(
        Decimal("0.60"), "spending"
    )
    assert (await desk.start(tenant.debit, "0.60"))[1] == Grant(ZERO, "spending")
    await desk.finish(second, "0.10")
    assert (await desk.start(tenant.debit, "0.60", "0.31"))[1].refusal == "spending"
    assert (await desk.start(tenant.debit, "0.60"))[1].locked == Decimal("0.30")
    assert (await desk.start(tenant.debit, **FREE))[1].refusal is None
    assert await tenant.audit() == []


async def test_spending_begins_anew_with_the_hour_and_the_day(desk: CallDesk, tenant: Tenant) -> None:
    await limit(tenant, "customer", hourly_limit=Decimal(1), daily_limit=Decimal(3))
    call_id, _ = await desk.start(tenant.debit, 1)
    await desk.finish(call_id, 1)
    assert (await desk.start(tenant.debit, 1))[1].refusal == "spending"
    for hours, room in ((1, Decimal(1)), (25, Decimal(1))):
        await tenant.sql.execute(
            "UPDATE billing_spending SET hour = date_trunc('hour', now(), 'UTC') - make_interval(hours => $1)", hours
        )
        call_id, grant = await desk.start(tenant.debit, 2)
        assert grant.locked == room
        await desk.finish(call_id, 0)


async def test_simultaneous_calls_do_not_pass_a_spending_limit(dsn: str, tenant: Tenant) -> None:
    await limit(tenant, "customer", hourly_limit=Decimal("2.05"))
    stores = [await Store.connect(dsn, node=f"sw{number}", connections=4) for number in range(2)]
    whose = [tenant.debit, tenant.credit, tenant.subordinate]

    async def call(number: int) -> Decimal:
        desk = CallDesk(stores[number % 2])
        call_id, grant = await desk.start(whose[number % 3], "0.10", "0.05")
        if grant.refusal is not None:
            return ZERO
        await desk.store.extend_call(call_id, 1, Decimal("0.10"), Decimal("0.01"))
        return (await desk.finish(call_id, 1)).amount

    try:
        charged = sum(await asyncio.gather(*(call(number) for number in range(60))))
    finally:
        for store in stores:
            await store.close()
    assert Decimal("1.95") < charged <= Decimal("2.05")
    assert await tenant.sql.fetchval("SELECT sum(amount) FROM billing_spending") == charged
    assert await tenant.audit() == []


async def test_a_limit_that_locks_blocks_the_customer_until_somebody_lifts_it(desk: CallDesk, tenant: Tenant) -> None:
    await limit(tenant, "customer", hourly_limit=Decimal(1), hourly_action="lock")
    first, grant = await desk.start(tenant.debit, 2)
    assert grant.locked == 1
    parties = await desk.store.parties(caller="101", ani=None, dialled="9")
    assert parties.caller is not None
    assert parties.caller.refusal == "customer blocked"
    assert (await desk.store.extend_call(first, 1, Decimal(1), Decimal(1))).refusal == "spending"
    assert (await desk.start(tenant.debit, 1))[1].refusal == "spending"  # asked before the block was heard of
    await limit(tenant, "customer", state="active")
    assert (await desk.start(tenant.debit, 1))[1].refusal is None  # lifted for the rest of this hour


async def test_a_limit_that_alerts_says_so_once_and_refuses_nothing(desk: CallDesk, tenant: Tenant) -> None:
    events: list[StoreEvent] = []
    await desk.store.listen(events.append)
    await limit(tenant, "customer", daily_limit=Decimal(1), daily_action="alert")
    for _ in range(3):
        assert (await desk.start(tenant.debit, 2))[1].locked == 2
    said = StoreEvent("spending", reason="day:alert:company")
    await until(lambda: said in events)
    assert events.count(said) == 1
    alert = await tenant.sql.fetchrow("SELECT period, most, spent FROM billing_spendingalert")
    assert alert is not None
    assert tuple(alert) == ("day", 1, 0)


async def test_spending_in_another_currency_is_counted_by_itself(desk: CallDesk, tenant: Tenant) -> None:
    await tenant.sql.execute(
        "INSERT INTO billing_balance (id, kind, currency) VALUES (9, 'debit', 'EUR');"
        "INSERT INTO billing_account (id, number, customer_id, kind, balance_id, password)"
        " VALUES (9, '901', 1, 'debit', 9, '');"
        "SELECT post_entry('opening:901', 9, 10, 'opening', '')"
    )
    await limit(tenant, "customer", daily_limit=Decimal(1))
    assert (await desk.start(tenant.debit, 2))[1].locked == 1
    assert (await desk.start((9, 9), 2))[1].locked == 1
    assert (await desk.start((9, 9), 2))[1].refusal == "spending"
