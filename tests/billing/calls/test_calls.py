# SPDX-License-Identifier: Apache-2.0
"""A call's funds from its start to its record."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from billing_client.calls import Grant, Settlement
from billing_client.store import Store
from billing_client.types import StoreRefused
from tests.store.calls import STARTED_AT, rate

if TYPE_CHECKING:
    from tests.store.calls import CallDesk
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

ZERO, TEN = Decimal(0), Decimal(10)


async def test_a_call_locks_what_it_wants(desk: CallDesk, tenant: Tenant) -> None:
    _, grant = await desk.start(tenant.debit, "0.30")
    assert (grant.locked, grant.refusal) == (Decimal("0.30"), None)
    assert await tenant.balance(2) == (TEN, Decimal("0.30"), Decimal("9.70"))


async def test_less_is_locked_where_less_is_left(desk: CallDesk, tenant: Tenant) -> None:
    await desk.start(tenant.debit, "9.90")
    _, grant = await desk.start(tenant.debit, "0.30", "0.01")
    assert (grant.locked, grant.refusal) == (Decimal("0.10"), None)
    assert (await tenant.balance(2))[2] == 0


async def test_less_than_the_minimum_is_refused_and_nothing_stays_behind(desk: CallDesk, tenant: Tenant) -> None:
    await desk.start(tenant.debit, "9.90")
    before = await tenant.balance(2)
    _, grant = await desk.start(tenant.debit, "0.30", "0.11")
    assert grant == Grant(ZERO, "funds")
    assert await tenant.balance(2) == before
    assert len(await desk.store.live_calls()) == 1


async def test_credit_runs_to_the_limit(desk: CallDesk, tenant: Tenant) -> None:
    call_id, grant = await desk.start(tenant.credit, 7)
    assert grant.locked == 5
    await desk.finish(call_id, "4.5")
    assert await tenant.balance(3) == (Decimal("4.5"), 0, Decimal("0.5"))


async def test_subordinate_accounts_spend_the_customers_limit(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.subordinate, 3)
    await desk.finish(call_id, 2)
    assert await tenant.balance(1) == (2, 0, 18)


async def test_a_free_call_touches_no_balance(desk: CallDesk, tenant: Tenant) -> None:
    await desk.start(tenant.debit, 10)
    call_id, grant = await desk.start(tenant.debit, 0, 0, rate=None)
    assert grant == Grant(ZERO)
    settlement = await desk.finish(call_id, 0)
    assert settlement == Settlement(call_id, ZERO, 20, "")


async def test_a_repeated_start_is_one_call(desk: CallDesk, tenant: Tenant) -> None:
    start = desk.start_of(tenant.debit, 6, "0.01")
    assert await desk.store.start_call(start) == await desk.store.start_call(start)
    assert (await tenant.balance(2))[1] == 6


async def test_a_repeated_start_is_one_call_even_with_no_funds_left(desk: CallDesk, tenant: Tenant) -> None:
    start = desk.start_of(tenant.debit, 10, "0.01")
    first = await desk.store.start_call(start)
    assert await desk.store.start_call(start) == first
    assert (await tenant.balance(2))[1] == 10


async def test_slices_add_up_and_each_is_locked_once(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, 4)
    minimum = Decimal("0.01")
    assert (await desk.store.extend_call(call_id, 1, Decimal(4), minimum)).locked == 8
    assert (await desk.store.extend_call(call_id, 1, Decimal(4), minimum)).locked == 8
    assert (await desk.store.extend_call(call_id, 2, Decimal(4), minimum)).locked == 10
    last = await desk.store.extend_call(call_id, 3, Decimal(4), minimum)
    assert last == Grant(Decimal(10), "funds")
    assert await tenant.balance(2) == (10, 10, 0)


async def test_a_topup_lets_a_refused_slice_through(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, 10)
    assert (await desk.store.extend_call(call_id, 1, Decimal(1), Decimal(1))).refusal == "funds"
    await tenant.sql.execute("SELECT post_entry('topup:x', 2, 1, 'topup', '')")
    assert (await desk.store.extend_call(call_id, 1, Decimal(1), Decimal(1))).locked == 11


async def test_an_unknown_call_is_not_extended_nor_finished(desk: CallDesk) -> None:
    assert (await desk.store.extend_call("nobody", 1, Decimal(1), Decimal(1))).refusal == "unknown call"
    with pytest.raises(StoreRefused, match="nobody"):
        await desk.finish("nobody", 0)


async def test_finishing_charges_frees_and_records(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, "0.30")
    settlement = await desk.finish(call_id, "0.20", gateway_id=7)
    assert (settlement.amount, settlement.billed_seconds, settlement.currency) == (Decimal("0.20"), 20, "USD")
    assert await tenant.balance(2) == (Decimal("9.80"), 0, Decimal("9.80"))
    record = await tenant.sql.fetchrow("SELECT * FROM billing_xdr")
    assert record is not None
    assert record["call_id"] == call_id
    assert (record["amount"], record["billed_seconds"], record["ended_by"]) == (Decimal("0.20"), 20, "caller")
    assert (record["prefix"], record["first_price"], record["gateway_id"]) == ("20", Decimal("0.60"), 7)
    entry = await tenant.sql.fetchrow("SELECT * FROM billing_ledgerentry WHERE kind = 'call'")
    assert entry is not None
    assert (entry["key"], entry["amount"], entry["released"]) == (f"call:{call_id}", Decimal("-0.20"), Decimal("0.30"))
    assert await desk.store.live_calls() == []
    assert await tenant.audit() == []


async def test_finishing_again_gives_the_first_result(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, 1)
    first = await desk.finish(call_id, "0.20", 20)
    assert await desk.finish(call_id, "0.90", 90, ended_by="admin") == first
    assert (await tenant.balance(2))[0] == Decimal("9.80")


async def test_many_finishes_at_once_are_one(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, 1)
    settlements = await asyncio.gather(*(desk.finish(call_id, "0.20") for _ in range(8)))
    assert len(set(settlements)) == 1
    assert (await tenant.balance(2))[0] == Decimal("9.80")
    assert await tenant.audit() == []


async def test_never_more_than_the_locks_is_charged(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, "0.20")
    assert (await desk.finish(call_id, "0.21")).amount == Decimal("0.20")
    assert await tenant.audit() == []


async def test_an_unanswered_call_frees_its_funds_and_leaves_a_record_but_no_entry(
    desk: CallDesk, tenant: Tenant
) -> None:
    call_id, _ = await desk.start(tenant.debit, 1)
    await desk.finish(call_id, 0, 0, answered_at=None, cause=17, sip_status=486, ended_by="callee")
    assert await tenant.balance(2) == (10, 0, 10)
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_ledgerentry WHERE kind = 'call'") == 0
    record = await tenant.sql.fetchrow("SELECT amount, cause, sip_status, answered_at FROM billing_xdr")
    assert record is not None
    assert tuple(record) == (0, 17, 486, None)


async def test_the_limit_of_calls_holds_for_outgoing_calls_only(desk: CallDesk, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_account SET max_calls_out = 1 WHERE id = 1")
    start = desk.start_of(tenant.debit, 1, "0.01")
    await desk.store.start_call(start)
    _, second = await desk.start(tenant.debit, 1)
    _, free = await desk.start(tenant.debit, 0, 0, rate=None)
    _, incoming = await desk.start(tenant.debit, 0, 0, rate=None, direction="incoming")
    assert [second.refusal, free.refusal, incoming.refusal] == ["concurrency", "concurrency", None]
    assert (await desk.store.start_call(start)).refusal is None
    await desk.finish(start.call_id, 0)
    _, next_one = await desk.start(tenant.debit, 1)
    assert next_one.refusal is None


async def test_simultaneous_calls_do_not_pass_the_limit_of_calls(desk: CallDesk, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_account SET max_calls_out = 3 WHERE id = 1")
    grants = await asyncio.gather(*(desk.start(tenant.debit, 0, 0, rate=None) for _ in range(20)))
    assert sum(grant.refusal is None for _, grant in grants) == 3


async def test_answers_are_written_in_batches(desk: CallDesk, tenant: Tenant) -> None:
    call_ids = [(await desk.start(tenant.debit, 1))[0] for _ in range(3)]
    for call_id in call_ids:
        desk.store.call_answered(call_id, STARTED_AT)
    query = "SELECT count(*) FROM billing_activecall WHERE answered_at = $1"
    for _ in range(100):
        if await tenant.sql.fetchval(query, STARTED_AT) == 3:
            break
        await asyncio.sleep(0.05)
    assert await tenant.sql.fetchval(query, STARTED_AT) == 3


async def test_closing_writes_the_answers_that_wait(dsn: str, desk: CallDesk, tenant: Tenant) -> None:
    other = await Store.connect(dsn, node="other", connections=1)
    call_id, _ = await desk.start(tenant.debit, 1)
    other.call_answered(call_id, STARTED_AT)
    await other.close()
    assert await tenant.sql.fetchval("SELECT answered_at FROM billing_activecall") == STARTED_AT


async def test_the_calls_of_a_dead_switch_are_settled_to_its_last_heartbeat(dsn: str, tenant: Tenant) -> None:
    from tests.store.calls import CallDesk

    terms = rate(connect_fee=Decimal("0.05"), first_increment=30, next_increment=6)
    dead = await Store.connect(dsn, node="sw1", connections=1)
    desk = CallDesk(dead, terms)
    talking, _ = await desk.start(tenant.debit, 5)
    ringing, _ = await desk.start(tenant.debit, 1)
    free, _ = await desk.start(tenant.subordinate, 0, 0, rate=None)
    beaten, _ = await desk.start(tenant.credit, "0.10")
    for call_id in (talking, free, beaten):
        dead.call_answered(call_id, STARTED_AT)
    await dead.close()
    await tenant.sql.execute("UPDATE billing_node SET heartbeat_at = $1", STARTED_AT + timedelta(seconds=40.5))

    alive = await Store.connect(dsn, node="sw1", connections=1)
    try:
        await alive.heartbeat()
        assert await alive.adopt_orphans() == 4
        assert await alive.adopt_orphans() == 0
    finally:
        await alive.close()
    records = {row["call_id"]: row for row in await tenant.sql.fetch("SELECT * FROM billing_xdr")}
    assert records[talking]["billed_seconds"] == 42
    assert records[talking]["amount"] == Decimal("0.47")  # 0.05 + 42 s at 0.60
    assert records[talking]["ended_at"] == STARTED_AT + timedelta(seconds=40.5)
    assert records[talking]["ended_by"] == "orphan"
    assert (records[ringing]["amount"], records[ringing]["billed_seconds"]) == (0, 0)
    assert records[free]["amount"] == 0
    assert records[beaten]["amount"] == Decimal("0.10")
    assert (await tenant.balance(2))[:2] == (Decimal("9.53"), 0)
    assert await tenant.audit() == []


async def test_a_restart_leaves_the_calls_of_other_nodes_alone(dsn: str, desk: CallDesk, tenant: Tenant) -> None:
    await desk.start(tenant.debit, 1)
    other = await Store.connect(dsn, node="other", connections=1)
    try:
        assert await other.adopt_orphans() == 0
    finally:
        await other.close()
    assert len(await desk.store.live_calls()) == 1


async def test_what_callers_make_up_is_recorded_as_far_as_it_goes(desk: CallDesk, tenant: Tenant) -> None:
    wild = "\udcff\0" + "x" * 300
    call_id, grant = await desk.start(tenant.debit, 1, caller=wild, dialled=wild, sip_call_id=wild)
    assert grant.refusal is None
    await desk.finish(call_id, 0)
    assert await tenant.sql.fetchval("SELECT caller FROM billing_xdr") == "?" + "x" * 254


async def test_an_argument_that_cannot_be_sent_costs_no_connection(desk: CallDesk, tenant: Tenant) -> None:
    for _ in range(10):
        with pytest.raises(StoreRefused, match="invalid input"):
            await desk.start(tenant.debit, 1, call_id="\udcff")
    assert desk.store.is_connected
    _, grant = await desk.start(tenant.debit, 1)
    assert grant.refusal is None
