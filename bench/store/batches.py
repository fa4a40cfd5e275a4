# SPDX-License-Identifier: Apache-2.0
"""Measure accounts in batches: `python -m bench.store.batches [--accounts N] [--generate N]`.

Starts the product's embedded PostgreSQL in a temporary directory, generates a batch of `--accounts`, and updates all of
them by the command's own code in another process, while calls of random accounts of the batch start and end here. What
is told: how long generation, export and updates take, and how long starts wait, when nothing else goes on and during
each update. `--generate` accounts are generated into a batch of their own at the end.
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
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop

from bench.store.__main__ import MIGRATE
from billing_client.store import Store
from billing_client.types import CallFinish, CallStart, Rate
from softswitch.store import EmbeddedStore

WORK: Final = """
import json, sys, time
from decimal import Decimal
from pathlib import Path
from billing import operations
operations.setup(sys.argv[1])
from billing import account_batches, account_generation, batch_update
operations.apply({"customers": [{"name": "bench", "currency": "USD"}],
                  "tariffs": [{"name": "bench", "currency": "USD", "rates": [{"prefix": "9", "price": "0.6"}]}],
                  "products": [{"name": "bench", "tariff": "bench"}, {"name": "other", "tariff": "bench"}]})
def quiet(done, total): pass
for line in sys.stdin:
    said = json.loads(line)
    began = time.perf_counter()
    if "generate" in said:
        account_generation.generate(account_generation.AccountGeneration(
            customer="bench", batch=said["batch"], count=said["generate"], product="bench",
            opening_balance=Decimal(5), pin_digits=10), quiet)
    elif "export" in said:
        account_batches.export(said["batch"], Path(said["export"]), quiet)
    else:
        batch_update.update(batch_update.Filters(batch=said["batch"]), batch_update.read_changes(said["update"]))
    print(json.dumps(round(time.perf_counter() - began, 2)), flush=True)
"""
UPDATES: Final[tuple[dict[str, str], ...]] = (
    {"product": "other"},
    {"state": "blocked"},
    {"state": "active", "expiry_date": "2099-01-31", "max_call_price": "2"},
    {"balance": "+1"},
)
PRICE: Final = Decimal("0.10000")
LANES: Final = 8
PAUSE_SECONDS: Final = 0.02
"""Between two calls of a lane: about a hundred start and end in a second."""


class Calls:
    """Calls that start and end all the time; `waits` says how long each start took, in milliseconds."""

    def __init__(self, store: Store, accounts: list[tuple[int, int, str]], rate: Rate | None) -> None:
        self._store = store
        self._accounts = accounts
        self._rate = rate
        self.waits: list[float] = []

    async def lane(self) -> None:
        """One caller after another."""
        while True:
            account, balance, number = random.choice(self._accounts)
            call_id = uuid.uuid4().hex
            began = time.perf_counter()
            await self._store.start_call(
                CallStart(
                    call_id=call_id, account_id=account, balance_id=balance, caller=number, dialled="9001",
                    direction="outgoing", started_at=datetime.now(UTC), want=PRICE, minimum=PRICE, rate=self._rate,
                    sip_call_id=call_id,
                )
            )  # fmt: skip
            self.waits.append((time.perf_counter() - began) * 1000)
            now = datetime.now(UTC)
            await self._store.finish_call(
                CallFinish(
                    call_id=call_id, ended_at=now, answered_at=now, billed_seconds=1, amount=Decimal("0.00100"),
                    cause=16, sip_status=200, ended_by="caller",
                )
            )  # fmt: skip
            await asyncio.sleep(PAUSE_SECONDS)

    def told(self) -> dict[str, Any]:
        """The waits since this was asked last."""
        found, self.waits = sorted(self.waits), []
        if len(found) < 2:
            return {"calls": len(found)}
        return {
            "calls": len(found),
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
    tell(f"export {options.accounts}", await ask(export=str(folder / "bench.csv")))
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    await connection.execute("VACUUM ANALYZE")
    accounts = [tuple(row) for row in await connection.fetch("SELECT id, balance_id, number FROM billing_account")]
    product = await connection.fetchval("SELECT id FROM billing_product WHERE name = 'bench'")
    await connection.close()
    store = await Store.connect(dsn, node="bench", timeout_seconds=60)
    calls = Calls(store, accounts, (await store.load_rates()).rate_for(product, "9001", datetime.now(UTC)))
    lanes = [asyncio.create_task(calls.lane()) for _ in range(LANES)]
    await asyncio.sleep(1)
    calls.told()
    await asyncio.sleep(5)
    tell("nothing", 5.0, starts=calls.told())
    for update in UPDATES:
        seconds = await ask(update=update)
        tell(f"update {update}", seconds, starts=calls.told())
        await asyncio.sleep(1)
        calls.told()
    for lane in lanes:
        lane.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)
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
