# SPDX-License-Identifier: Apache-2.0
"""The calls of a switch that fell silent are settled by another one; what it says later changes no more than it may."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from billing_client.store import Store
from billing_client.types import StoreRefused
from tests.store.calls import STARTED_AT, CallDesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

ZERO = Decimal(0)
SILENCE = 35.0

AGE = "UPDATE billing_node SET {} WHERE name = $1"


@pytest_asyncio.fixture
async def silent(dsn: str, tenant: Tenant) -> AsyncIterator[CallDesk]:
    """A desk of a switch that has not been heard for years."""
    store = await Store.connect(dsn, node="silent", connections=2)
    await tenant.sql.execute(AGE.format("heartbeat_at = $2"), "silent", STARTED_AT - timedelta(days=9000))
    try:
        yield CallDesk(store)
    finally:
        await store.close()


@pytest_asyncio.fixture
async def others(dsn: str, silent: CallDesk, tenant: Tenant) -> AsyncIterator[list[Store]]:
    """Three switches that have been heard for long."""
    stores = [await Store.connect(dsn, node=f"sw{number}", connections=2) for number in range(3)]
    await tenant.sql.execute("UPDATE billing_node SET steady_at = '2001-01-01' WHERE name LIKE 'sw%'")
    try:
        yield stores
    finally:
        for store in stores:
            await store.close()


async def answered(desk: CallDesk, tenant: Tenant, call_id: str, seconds: float) -> None:
    """Have a call answered `seconds` before the last heartbeat of its switch."""
    await tenant.sql.execute(
        "UPDATE billing_activecall c SET started_at = n.heartbeat_at - $2::interval,"
        " answered_at = n.heartbeat_at - $2::interval FROM billing_node n WHERE n.id = c.life_id AND c.call_id = $1",
        call_id,
        timedelta(seconds=seconds),
    )


async def test_the_calls_of_a_silent_switch_are_settled_by_another(
    silent: CallDesk, others: list[Store], tenant: Tenant
) -> None:
    paid, _ = await silent.start(tenant.debit, 5)
    free, _ = await silent.start(tenant.subordinate, 0, 0, rate=None)
    await answered(silent, tenant, paid, 20)
    await answered(silent, tenant, free, 20)
    assert await others[0].adopt_orphans(SILENCE) == 2
    assert await tenant.balance(2) == (Decimal("9.80"), 0, Decimal("9.80"))
    records = await tenant.sql.fetch("SELECT call_id, billed_seconds, ended_by FROM billing_xdr ORDER BY call_id")
    assert [tuple(row) for row in records] == sorted([(paid, 20, "orphan"), (free, 20, "orphan")])
    assert await tenant.audit() == []


async def test_several_switches_at_once_settle_each_call_once(
    silent: CallDesk, others: list[Store], tenant: Tenant
) -> None:
    for _ in range(40):
        call_id, _ = await silent.start(tenant.debit, "0.20")
        await answered(silent, tenant, call_id, 10)
    assert sum(await asyncio.gather(*(store.adopt_orphans(SILENCE) for store in others))) == 40
    assert await tenant.balance(2) == (6, 0, 6)
    assert await tenant.audit() == []


async def test_a_call_that_its_own_switch_finishes_meanwhile_is_settled_once(
    silent: CallDesk, others: list[Store], tenant: Tenant
) -> None:
    calls = [(await silent.start(tenant.debit, "0.20"))[0] for _ in range(30)]
    await asyncio.gather(
        *(store.adopt_orphans(SILENCE) for store in others), *(silent.finish(call_id, "0.20") for call_id in calls)
    )
    assert await tenant.balance(2) == (4, 0, 4)
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_xdr") == 30
    assert await tenant.audit() == []


async def test_a_switch_that_is_heard_is_left_alone(silent: CallDesk, others: list[Store], tenant: Tenant) -> None:
    await silent.start(tenant.debit, 1)
    assert await silent.store.heartbeat()
    assert await others[0].adopt_orphans(SILENCE) == 0


async def test_who_was_not_heard_itself_judges_nobody(silent: CallDesk, others: list[Store], tenant: Tenant) -> None:
    """The store was away for everybody: whoever is back first must not take the others for dead."""
    await silent.start(tenant.debit, 1)
    await tenant.sql.execute(AGE.format("heartbeat_at = now() - interval '60 s'"), "sw0")
    assert await others[0].heartbeat()
    assert await others[0].adopt_orphans(SILENCE) == 0


async def test_a_switch_that_comes_back_is_told_that_its_calls_are_gone(
    silent: CallDesk, others: list[Store], tenant: Tenant
) -> None:
    call_id, _ = await silent.start(tenant.debit, 1)
    await others[0].adopt_orphans(SILENCE)
    assert (await silent.store.extend_call(call_id, 1, Decimal(1), Decimal(1))).refusal == "unknown call"
    assert await silent.store.heartbeat() is False
    assert await silent.store.lost_calls([call_id]) == [call_id]
    assert await silent.store.heartbeat()
    assert (await tenant.balance(2))[1] == 0


async def test_a_switch_that_comes_back_begins_another_life_with_its_next_call(
    silent: CallDesk, others: list[Store], tenant: Tenant
) -> None:
    lost, _ = await silent.start(tenant.debit, 1)
    await others[0].adopt_orphans(SILENCE)
    grants = await asyncio.gather(*(silent.start(tenant.debit, 1) for _ in range(4)))
    assert all(grant.refusal is None for _, grant in grants)
    assert await others[0].adopt_orphans(SILENCE) == 0
    assert len(await silent.store.live_calls()) == 4
    assert await silent.store.heartbeat() is False
    assert await silent.store.lost_calls([lost, *(call_id for call_id, _ in grants)]) == [lost]


# What the switch says later


@pytest.mark.parametrize(
    ("told", "charged"),
    [
        ("0.20", "0.20"),  # as it was settled
        ("0.50", "0.50"),  # it went on after the last heartbeat
        ("0.10", "0.10"),  # it had ended before
        ("9", "1"),  # never more than it had locked
    ],
)
async def test_a_late_finish_corrects_an_orphan_once(
    silent: CallDesk, others: list[Store], tenant: Tenant, told: str, charged: str
) -> None:
    call_id, _ = await silent.start(tenant.debit, 1)
    await answered(silent, tenant, call_id, 20)
    await others[0].adopt_orphans(SILENCE)
    settlements = await asyncio.gather(*(silent.finish(call_id, told, 50) for _ in range(4)))
    assert {(settlement.amount, settlement.billed_seconds) for settlement in settlements} == {(Decimal(charged), 50)}
    assert await silent.finish(call_id, "0.90", 90) == settlements[0]
    assert (await tenant.balance(2))[:2] == (10 - Decimal(charged), 0)
    assert await tenant.sql.fetchval("SELECT amount FROM billing_xdr") == Decimal("0.20")
    assert await tenant.audit() == []


async def test_a_correction_takes_no_more_than_is_there(silent: CallDesk, others: list[Store], tenant: Tenant) -> None:
    call_id, _ = await silent.start(tenant.credit, 2)
    await others[0].adopt_orphans(SILENCE)
    other, _ = await silent.start(tenant.credit, "4.90")
    assert (await silent.finish(call_id, 2)).amount == Decimal("0.10")
    assert await tenant.balance(3) == (Decimal("0.10"), Decimal("4.90"), 0)
    await silent.finish(other, 0)
    assert await tenant.audit() == []


async def test_the_audit_finds_a_correction_without_its_entry(
    silent: CallDesk, others: list[Store], tenant: Tenant
) -> None:
    call_id, _ = await silent.start(tenant.debit, 1)
    await others[0].adopt_orphans(SILENCE)
    await silent.finish(call_id, "0.50")
    await tenant.sql.execute("SET session_replication_role = replica")
    await tenant.sql.execute("UPDATE billing_correction SET amount = 0.40")
    assert [tuple(row)[:2] for row in await tenant.audit()] == [
        ("correction and ledger disagree", f"correction:{call_id}")
    ]


# Ends without a start


async def test_a_call_is_recorded_from_its_end_alone(silent: CallDesk, tenant: Tenant) -> None:
    start = silent.start_of(tenant.debit, 0, 0, caller="101", dialled="112", direction="outgoing")
    finish = silent.finish_of(start.call_id, "0.30", 30, start=start)
    settlements = [await silent.store.finish_call(finish) for _ in range(3)]
    assert {settlement.amount for settlement in settlements} == {Decimal("0.30")}
    record = await tenant.sql.fetchrow("SELECT * FROM billing_xdr")
    assert record is not None
    assert (record["dialled"], record["node"], record["prefix"]) == ("112", "silent", "20")
    assert (record["billed_seconds"], record["amount"], record["currency"]) == (30, Decimal("0.30"), "USD")
    assert (record["started_at"], record["ended_at"]) == (start.started_at, finish.ended_at)
    assert await tenant.balance(2) == (Decimal("9.70"), 0, Decimal("9.70"))
    assert await tenant.audit() == []


async def test_what_was_not_locked_is_charged_as_far_as_funds_go(silent: CallDesk, tenant: Tenant) -> None:
    await silent.start(tenant.credit, "4.95")
    start = silent.start_of(tenant.credit, 0, 0)
    assert (await silent.finish(start.call_id, 1, start=start)).amount == Decimal("0.05")
    assert (await tenant.balance(3))[2] == 0
    assert await tenant.audit() == []


async def test_a_known_call_is_finished_as_usual_though_its_start_is_told_again(
    silent: CallDesk, tenant: Tenant
) -> None:
    start = silent.start_of(tenant.debit, 1, 1)
    await silent.store.start_call(start)
    assert (await silent.finish(start.call_id, 2, start=start)).amount == 1
    assert (await silent.finish(start.call_id, 2, start=start)).amount == 1
    assert await tenant.balance(2) == (9, 0, 9)


async def test_a_start_that_comes_after_its_end_is_freed_and_charges_nothing(silent: CallDesk, tenant: Tenant) -> None:
    start = silent.start_of(tenant.debit, 1, 1)
    first = await silent.finish(start.call_id, "0.30", 30, start=start)
    await silent.store.start_call(start)  # it had been on its way for long
    assert await silent.finish(start.call_id, 0, 0, ended_by="failure") == first
    assert await tenant.balance(2) == (Decimal("9.70"), 0, Decimal("9.70"))
    assert await tenant.audit() == []


async def test_a_call_that_the_store_has_lost_is_recorded_from_what_its_switch_knows(
    silent: CallDesk, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    """Case H3, a neighbour: a replica that lagged behind was promoted, a dump was restored."""
    starts = [silent.start_of(tenant.debit, 1, 1) for _ in range(2)]
    for start in starts:
        await silent.store.start_call(start)
    await tenant.sql.execute("DELETE FROM billing_activecall WHERE call_id = $1", starts[0].call_id)
    await tenant.sql.execute("UPDATE billing_balance SET locked = 1 WHERE id = $1", tenant.debit[1])
    for start in starts:
        assert (await silent.finish(start.call_id, "0.30", start=start, is_started=True)).amount == Decimal("0.30")
    assert [record.getMessage() for record in caplog.records] == ["the store has lost a call that it had taken"]
    assert await tenant.balance(2) == (Decimal("9.40"), 0, Decimal("9.40"))
    assert await tenant.audit() == []


async def test_an_end_of_a_call_that_nobody_knows_is_refused(silent: CallDesk) -> None:
    with pytest.raises(StoreRefused, match="nobody"):
        await silent.finish("nobody", 0)


async def test_a_switch_that_died_before_the_clock_was_set_back_is_taken_over_in_its_time(
    silent: CallDesk, others: list[Store], tenant: Tenant
) -> None:
    """Case H4: its last word is of a time to come; it is not waited for until then."""
    call, _ = await silent.start(tenant.debit, 5)
    await tenant.sql.execute(AGE.format("heartbeat_at = now() + interval '1 hour'"), "silent")
    await answered(silent, tenant, call, 20)
    await tenant.sql.execute(AGE.format("steady_at = now() + interval '1 hour'"), "sw0")
    assert await others[0].adopt_orphans(SILENCE) == 0  # it has not been heard since then itself
    assert await others[1].adopt_orphans(SILENCE) == 1
    [record] = await tenant.sql.fetch("SELECT billed_seconds, ended_by FROM billing_xdr")
    assert tuple(record) == (20, "orphan")


@pytest.mark.parametrize("hours", [1, -1])
async def test_no_switch_is_taken_for_dead_because_the_clock_was_set(
    dsn: str, others: list[Store], tenant: Tenant, hours: int
) -> None:
    """Case H4: after a step all last words are old, or of a time to come; whoever speaks on lives."""
    await tenant.sql.execute(
        "UPDATE billing_node SET heartbeat_at = heartbeat_at - $1::interval, steady_at = steady_at - $1::interval",
        timedelta(hours=hours),
    )
    for _ in range(2):
        assert await others[0].heartbeat()
        assert await others[0].adopt_orphans(SILENCE) == 0
    assert [await store.heartbeat() for store in others] == [True] * 3
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_node WHERE ended_at IS NOT NULL") == 0
