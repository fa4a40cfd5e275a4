# SPDX-License-Identifier: Apache-2.0
"""The books under everything at once; SOAK_SECONDS=60 makes each of these tests run for a minute instead of 5 s."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from billing_client.store import Store
from tests.store.load import SECONDS, Load
from tests.store.proxy import Proxy

if TYPE_CHECKING:
    from tests.store.conftest import Tenant

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300 + 3 * SECONDS)]

CALLERS = 100
"""In each of two processes."""


async def switch_process(dsn: str, number: int) -> dict[str, Any]:
    """Run callers in a process of their own; returns their tally."""
    arguments = (dsn, f"sw{number}", str(SECONDS), str(CALLERS), str(number))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.load", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(out)
    return found


async def cashier(dsn: str, stop: asyncio.Event) -> Decimal:
    """Pay in and take out, as much as there is and more; returns what came of it."""
    chance = random.Random(3)
    connection = await asyncpg.connect(dsn)
    moved = Decimal(0)
    step = 0
    while not stop.is_set():
        step += 1
        amount = Decimal(chance.randint(-100, 100)) / 100
        with suppress(asyncpg.CheckViolationError):  # calls have locked it, or there is not so much
            done = await connection.fetchval(
                "SELECT post_entry($1, 2, $2, $3, '')", f"cash:{step}", amount, "topup" if amount > 0 else "withdrawal"
            ) if amount else False  # fmt: skip
            moved += amount if done else 0
        await asyncio.sleep(chance.uniform(0, 0.02))
    await connection.close()
    return moved


async def test_two_switches_two_hundred_callers_topups_and_withdrawals_never_pass_the_limit(
    dsn: str, tenant: Tenant
) -> None:
    """An account with funds for 20 slices. The constraint looks at every change of the balance; it is proven here that
    it stands, and that no operation of a switch ever ran into it (a switch that did would have ended with an error)."""
    proof = "SELECT convalidated FROM pg_constraint WHERE conname = 'balance_no_overspend'"
    assert await tenant.sql.fetchval(proof) is True
    stop = asyncio.Event()
    cash = asyncio.create_task(cashier(dsn, stop))
    tallies = await asyncio.gather(*(switch_process(dsn, number) for number in range(2)))
    stop.set()
    moved = await cash
    charged = sum(Decimal(tally["charged"]) for tally in tallies)
    assert min(tally["calls"] for tally in tallies) > 0
    assert sum(tally["refused"] for tally in tallies) > 0
    assert await tenant.balance(2) == (10 + moved - charged, 0, 10 + moved - charged)
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_xdr") == sum(tally["calls"] for tally in tallies)
    (counted,) = await tenant.sql.fetch(
        "SELECT count(*) FILTER (WHERE transferred_by = '101'), count(*) FILTER (WHERE direction = 'forwarded')"
        "  FROM billing_xdr"
    )
    assert min(counted) > 0, "some were transferred, some redirected"
    assert await tenant.audit() == []


async def charges(tenant: Tenant) -> dict[str, Decimal]:
    """What each call was charged in all."""
    rows = await tenant.sql.fetch(
        "SELECT x.call_id, x.amount + coalesce(k.amount, 0) AS charged"
        " FROM billing_xdr x LEFT JOIN billing_correction k ON k.call_id = x.call_id"
    )
    return {row["call_id"]: row["charged"] for row in rows}


async def beat(store: Store, stop: asyncio.Event) -> None:
    """A switch's heartbeat."""
    while not stop.is_set():
        with suppress(Exception):
            await store.heartbeat()
        await asyncio.sleep(SECONDS / 50)


async def test_a_store_that_is_cut_off_loses_nothing_and_doubles_nothing(dsn: str, tenant: Tenant) -> None:
    """One switch is cut off under load for so long that the other takes it for dead; then it comes back."""
    await tenant.sql.execute("SELECT post_entry('topup:much', 2, 100000, 'topup', '')")
    other = await Store.connect(dsn, node="other", connections=1)
    await tenant.sql.execute("UPDATE billing_node SET steady_at = '2001-01-01'")
    stop = asyncio.Event()
    async with Proxy(dsn) as proxy:
        store = await Store.connect(proxy.dsn, node="cut", connections=4, timeout_seconds=0.5)
        beats = [asyncio.create_task(beat(each, stop)) for each in (store, other)]
        load = Load(store, tenant.debit, node="cut", seed=1)
        running = asyncio.create_task(load.run(20))
        await asyncio.sleep(0.5)
        proxy.refuses = True
        proxy.cut()
        await asyncio.sleep(SECONDS * 0.7)
        adopted = await other.adopt_orphans(SECONDS * 0.5)
        await asyncio.sleep(SECONDS * 0.3)
        proxy.refuses = False
        await asyncio.sleep(1)
        load.stop()
        await running
        stop.set()
        await asyncio.gather(*beats)
        await store.close()
    await other.close()
    assert adopted > 0
    assert load.tally.away > 0
    recorded = await charges(tenant)
    unanswered = recorded.keys() - load.tally.settled.keys()
    assert load.tally.settled.items() <= recorded.items()
    # A start whose answer was cut off, and whose call the other switch settled: it was never made, so it costs nothing.
    assert {recorded[call_id] for call_id in unanswered} <= {0}
    assert await tenant.balance(2) == (100010 - load.tally.charged, 0, 100010 - load.tally.charged)
    assert await tenant.audit() == []
