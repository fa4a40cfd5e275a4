# SPDX-License-Identifier: Apache-2.0
"""Measure accounts in batches: `python -m bench.store.batches [--accounts N] [--generate N]`.

Starts the product's embedded PostgreSQL in a temporary directory, generates a batch of `--accounts`, and updates all of
them by the command's own code in another process, while calls of random accounts of the batch ("inside") and of another
batch ("outside") start and end here, over one store's connections as a switch has them. What is told: how long
generation, export and updates take, and how long starts wait, when nothing else goes on and during each update.
`--generate` accounts are generated into a batch of their own at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import uvloop

from bench.store.__main__ import MIGRATE
from billing_client.calls import CallFinish, CallStart
from billing_client.store import Store
from billing_client.types import StoreError
from softswitch.processes.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from billing_client.rules.books import Rate

WORK: Final = """
import json, sys, time
from decimal import Decimal
from pathlib import Path
from billing.store.preparing import setup
from softswitch.processes.actor import process
setup(sys.argv[1])
from billing.document.apply import apply
from billing.customers import batch_update, batches as account_batches, generation as account_generation
bench = process("bench")
apply(bench, {"customers": [{"name": "bench", "currency": "USD"}],
              "tariffs": [{"name": "bench", "currency": "USD", "rates": [{"prefix": "9", "price": "0.6"}]}],
              "products": [{"name": "bench", "tariff": "bench"}, {"name": "other", "tariff": "bench"}]})
def quiet(done, total): pass
for line in sys.stdin:
    said = json.loads(line)
    began = time.perf_counter()
    if "generate" in said:
        account_generation.generate(bench, account_generation.AccountGeneration(
            customer="bench", batch=said["batch"], count=said["generate"], product="bench",
            opening_balance=Decimal(5), pin_digits=12), quiet)
    elif "export" in said:
        account_batches.export(bench, said["batch"], Path(said["export"]), quiet)
    else:
        batch_update.update(
            bench, batch_update.Filters(batch=said["batch"]), batch_update.read_changes(said["update"]))
    print(json.dumps(round(time.perf_counter() - began, 2)), flush=True)
"""
UPDATES: Final[tuple[dict[str, str], ...]] = (
    {"product": "other"},
    {"state": "blocked"},
    {"state": "active", "expiry_date": "2099-01-31", "max_call_price": "2"},
    {"balance": "+1"},
)
PRICE: Final = Decimal("0.10000")
ACCOUNTS: Final = """
SELECT a.id, a.balance_id, a.number
  FROM billing_account a JOIN billing_batch b ON b.id = a.batch_id WHERE b.name = $1"""
OTHERS: Final = 1000
"""Accounts of another batch, which no update chooses."""
EVERY_SECONDS: Final = 0.02
"""Between two calls of the accounts inside, and of those outside: a hundred in a second together."""
SETTLE_SECONDS: Final = 2.0


class Calls:
    """Calls that start at fixed times, whatever became of those before, and end at once."""

    def __init__(self, store: Store, accounts: list[tuple[int, int, str]], rate: Rate | None) -> None:
        self._store = store
        self._accounts = accounts
        self._rate = rate
        self._waits: list[tuple[float, float]] = []
        """When each start was asked for, and how long it took, in seconds."""
        self.refused = 0

    async def run(self) -> None:
        """Start calls until cancelled."""
        async with asyncio.TaskGroup() as calls:
            due = time.perf_counter()
            while True:
                calls.create_task(self._call(due))
                due += EVERY_SECONDS
                await asyncio.sleep(max(0, due - time.perf_counter()))

    async def _call(self, due: float) -> None:
        account, balance, number = random.choice(self._accounts)
        call_id = uuid.uuid4().hex
        try:
            await self._store.start_call(
                CallStart(
                    call_id=call_id, account_id=account, balance_id=balance, caller=number, dialled="9001",
                    direction="outgoing", started_at=datetime.now(UTC), want=PRICE, minimum=PRICE, rate=self._rate,
                    sip_call_id=call_id,
                )
            )  # fmt: skip
        except StoreError:
            self.refused += 1
            return
        self._waits.append((due, time.perf_counter() - due))
        now = datetime.now(UTC)
        with suppress(StoreError):  # the store finishes it as an orphan's
            await self._store.finish_call(
                CallFinish(
                    call_id=call_id, ended_at=now, answered_at=now, billed_seconds=1, amount=Decimal("0.00100"),
                    cause=16, sip_status=200, ended_by="caller",
                )
            )  # fmt: skip

    def told(self, since: float, until: float) -> dict[str, Any]:
        """How long those waited that were to start between two times."""
        found = sorted(wait * 1000 for due, wait in self._waits if since <= due <= until)
        if len(found) < 2:
            return {"calls": len(found)}
        return {
            "calls": len(found),
            "unanswered": self.refused,
            "p50_ms": round(statistics.median(found), 1),
            "p99_ms": round(found[int(len(found) * 0.99)], 1),
            "most_ms": round(found[-1], 1),
        }


async def measure(dsn: str, folder: Path, options: argparse.Namespace) -> None:
    """Print a line for each figure."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORK, dsn, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )

    async def ask(**said: Any) -> float:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps({"batch": "bench"} | said).encode() + b"\n")
        return float(json.loads(await worker.stdout.readline()))

    def tell(what: str, seconds: float, **more: Any) -> None:
        print(json.dumps({"what": what, "seconds": seconds, **more, "load": round(os.getloadavg()[0], 1)}), flush=True)

    tell(f"generate {options.accounts}", await ask(generate=options.accounts))
    await ask(batch="others", generate=OTHERS)
    tell(f"export {options.accounts}", await ask(export=str(folder / "bench.csv")))
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    await connection.execute("VACUUM ANALYZE")
    accounts = [tuple(row) for row in await connection.fetch(ACCOUNTS, "bench")]
    others = [tuple(row) for row in await connection.fetch(ACCOUNTS, "others")]
    product = await connection.fetchval("SELECT id FROM billing_product WHERE name = 'bench'")
    await connection.close()
    store = await Store.connect(dsn, node="bench")
    rate = (await store.load_rates()).rate_for(product, "9001", datetime.now(UTC))
    inside, outside = Calls(store, accounts, rate), Calls(store, others, rate)
    running = [asyncio.create_task(calls.run()) for calls in (inside, outside)]

    async def tell_with_calls(what: str, work: Awaitable[Any]) -> None:
        began = time.perf_counter()
        seconds = await work
        ended = time.perf_counter()
        await asyncio.sleep(SETTLE_SECONDS)  # those that wait still count
        tell(what, seconds, inside=inside.told(began, ended), outside=outside.told(began, ended))

    await asyncio.sleep(1)
    await tell_with_calls("nothing", asyncio.sleep(5, 5.0))
    for update in UPDATES:
        await tell_with_calls(f"update {update}", ask(update=update))
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await store.close()
    if options.generate:
        tell(f"generate {options.generate}", await ask(batch="many", generate=options.generate))
    assert worker.stdin is not None
    worker.stdin.close()
    await worker.wait()


def main() -> None:
    """Run with a server of our own."""
    parser = argparse.ArgumentParser(prog="bench.store.batches", description="Measure batches of accounts.")
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--generate", type=int, default=0, metavar="N", help="so many more, at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = EmbeddedStore(folder)
        with server.running():
            subprocess.run([sys.executable, "-c", MIGRATE, server.dsn], check=True)
            uvloop.run(measure(server.dsn, folder, options))


if __name__ == "__main__":
    main()
