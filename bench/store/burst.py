# SPDX-License-Identifier: Apache-2.0
"""How long simultaneous calls on one account wait for each other: `python -m bench.store.burst [--calls N]`.

All calls are started at once on one debit balance, through one switch's connections, then their next slices are asked
for at once, and then they end at once and are settled as the switch does it. The row of the balance is locked from the
update to the end of the commit (fsync included), so transactions pass it one after another.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import uvloop

from bench.store.__main__ import MIGRATE
from bench.store.population import number_of, populate, prefix_of
from billing_client.calls import CallFinish, CallStart
from billing_client.store import Store
from softswitch.processes.store import EmbeddedStore
from switch.access.reach import StoreReach
from switch.money.settlement import Settlement, Volatile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from billing_client.rules.books import Rate

ROUNDS = 10
PRICE = Decimal("0.10000")


def start(rate: Rate | None) -> CallStart:
    """Of a call of the first account."""
    call_id = uuid.uuid4().hex
    return CallStart(
        call_id=call_id,
        account_id=1,
        balance_id=2,
        caller=number_of(1),
        dialled=prefix_of(0) + "5551",
        direction="outgoing",
        started_at=datetime.now(UTC),
        want=PRICE,
        minimum=PRICE,
        rate=rate,
        sip_call_id=call_id,
    )


def finish(call_id: str) -> CallFinish:
    """A charge of half of what is locked."""
    now = datetime.now(UTC)
    return CallFinish(
        call_id=call_id,
        ended_at=now,
        answered_at=now,
        billed_seconds=10,
        amount=PRICE / 2,
        cause=16,
        sip_status=200,
        ended_by="caller",
    )


async def waits(operations: Iterable[Awaitable[object]]) -> list[float]:
    """Milliseconds from now until each of the operations is done."""
    began = time.perf_counter()

    async def wait(operation: Awaitable[object]) -> float:
        await operation
        return (time.perf_counter() - began) * 1000

    return await asyncio.gather(*map(wait, operations))


async def settled(store: Store, finishes: Iterable[CallFinish]) -> list[float]:
    """Milliseconds until the store has all of them: one figure, of the last."""
    tasks: list[asyncio.Task[None]] = []
    settlement = Settlement(store, StoreReach(store), Volatile(), tasks.append)
    for each in finishes:
        settlement.settle(each)
    found = await waits(tasks)
    if settlement.waiting:
        raise RuntimeError("the store did not take them")
    return found


async def measure(dsn: str, calls: int, limits: str) -> None:
    """Print how long starts and finishes waited."""
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    await populate(connection, accounts=100, rates=10)
    if limits:
        await connection.execute(limits)
    await connection.close()
    store = await Store.connect(dsn, node="bench", timeout_seconds=30)
    rate = (await store.load_rates()).rate_for(1, prefix_of(0), datetime.now(UTC))
    starting: list[float] = []
    ending: list[float] = []
    extending: list[float] = []
    for _ in range(ROUNDS):
        starts = [start(rate) for _ in range(calls)]
        starting += await waits(store.start_call(each) for each in starts)
        extending += await waits(store.extend_call(each.call_id, 1, PRICE, PRICE) for each in starts)
        ending += await settled(store, [finish(each.call_id) for each in starts])
    await store.close()
    for name, found in (("start", starting), ("slice", extending), ("finish", ending)):
        p99 = statistics.quantiles(found, n=100)[98]
        median, most = statistics.median(found), max(found)
        print(f"{name:<8}{calls} at once: median {median:.1f} ms, p99 {min(p99, most):.1f} ms, most {most:.1f} ms")


def main() -> None:
    """Run with a server of our own."""
    parser = argparse.ArgumentParser(prog="bench.store.burst", description="Measure calls that meet on one account.")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--limited", action="store_true", help="limit the account's and the customer's calls too")
    options = parser.parse_args()
    limits = "UPDATE billing_account SET max_calls_out = 1000; UPDATE billing_customer SET max_calls = 1000"
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedStore(Path(folder))
        with server.running():
            subprocess.run([sys.executable, "-c", MIGRATE, server.dsn], check=True)
            uvloop.run(measure(server.dsn, options.calls, limits if options.limited else ""))


if __name__ == "__main__":
    main()
