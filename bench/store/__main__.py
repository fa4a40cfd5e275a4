# SPDX-License-Identifier: Apache-2.0
"""Measure the store: `python -m bench.store [--accounts N] [--rates N] [--calls N] [--lanes N]`.

Starts the product's embedded PostgreSQL in a temporary directory, fills it, and runs each operation of a call alone
and then whole short paid calls, `--lanes` at a time. CPU comes from /proc for PostgreSQL (background processes
included) and from this process's own clock for the client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import uvloop

from bench.store.cpu import postgres_seconds, postmaster_of
from bench.store.population import number_of, populate, prefix_of
from billing_client.bindings import BindingRow
from billing_client.calls import CallFinish, CallStart
from billing_client.rules.rating import cost
from billing_client.store import Store
from softswitch.processes.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from billing_client.rules.books import RateBook

MIGRATE = "import sys; from billing.store.preparing import migrate, setup; setup(sys.argv[1]); migrate()"
TALK_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one operation; CPU in microseconds."""

    operation: str
    count: int
    postgres_us: float
    client_us: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A filled store."""

    store: Store
    rates: RateBook
    accounts: int
    rate_count: int
    postmaster: int
    lanes: int

    async def measure(self, operation: str, count: int, run: Callable[[int], Awaitable[object]]) -> Figures:
        """Run an operation `count` times, `lanes` at a time."""
        numbers = iter(range(count))

        async def lane() -> None:
            for number in numbers:
                await run(number)

        began = time.perf_counter()
        client = time.process_time()
        postgres = postgres_seconds(self.postmaster)
        await asyncio.gather(*(lane() for _ in range(self.lanes)))
        postgres = postgres_seconds(self.postmaster) - postgres
        client = time.process_time() - client
        return Figures(
            operation=operation,
            count=count,
            postgres_us=round(postgres / count * 1e6, 1),
            client_us=round(client / count * 1e6, 1),
            per_second=round(count / (time.perf_counter() - began)),
        )

    def account(self) -> int:
        """Any account."""
        return random.randint(1, self.accounts)

    async def subscriber(self, _number: int) -> None:
        """One look-up for a registration."""
        assert await self.store.subscriber(number_of(self.account()))

    async def parties(self, _number: int) -> None:
        """One look-up for a call."""
        caller, callee = number_of(self.account()), number_of(self.account())
        assert (await self.store.parties(caller=caller, ani=None, dialled=callee)).caller

    async def bindings(self, _number: int) -> None:
        """One batch of a hundred refreshed registrations."""
        rows = {number_of(self.account()): None for _ in range(100)}
        await self.store.write_bindings([_binding(aor) for aor in rows], [])

    async def free_call(self, _number: int) -> None:
        """A call that locks no funds."""
        await self._call(Decimal(0))

    async def paid_call(self, _number: int) -> None:
        """A short paid call from the look-up of its parties to its record."""
        await self.parties(0)
        await self._call(Decimal("1.00000"))

    async def locked_call(self, _number: int) -> None:
        """The same without the look-up."""
        await self._call(Decimal("1.00000"))

    async def _call(self, want: Decimal) -> None:
        account = self.account()
        now = datetime.now(UTC)
        dialled = prefix_of(random.randrange(self.rate_count)) + "5551"
        rate = self.rates.rate_for(1, dialled, now)
        assert rate is not None
        call_id = uuid.uuid4().hex
        start = CallStart(
            call_id=call_id,
            account_id=account,
            balance_id=account + 1,
            caller=number_of(account),
            dialled=dialled,
            direction="internal",
            started_at=now,
            want=want,
            minimum=Decimal("0.00001"),
            rate=rate if want else None,
            sip_call_id=call_id + "@192.0.2.1",
        )
        assert (await self.store.start_call(start)).refusal is None
        self.store.call_answered(call_id, now)
        if want:
            await asyncio.sleep(0)
        await self.store.finish_call(
            CallFinish(
                call_id=call_id,
                ended_at=now,
                answered_at=now,
                billed_seconds=TALK_SECONDS,
                amount=cost(rate, TALK_SECONDS) if want else Decimal(0),
                cause=16,
                sip_status=200,
                ended_by="caller",
            )
        )


def _binding(aor: str) -> BindingRow:
    return BindingRow(
        aor=aor,
        key="contact",
        contact=f"sip:{aor}@192.0.2.1:5060",
        received="192.0.2.1:5060",
        path=(),
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        q=1.0,
        call_id=uuid.uuid4().hex,
        cseq=2,
        instance=None,
        reg_id=None,
        user_agent="bench",
        node="bench",
        socket="udp:192.0.2.9:5060",
    )


async def measure(dsn: str, *, accounts: int, rates: int, calls: int, lanes: int) -> list[Figures]:
    """Fill the store behind `dsn` and measure it."""
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    await populate(connection, accounts=accounts, rates=rates)
    postmaster = postmaster_of(await connection.fetchval("SELECT pg_backend_pid()"))
    store = await Store.connect(dsn, node="bench", connections=4, timeout_seconds=30)
    began = time.process_time()
    book = await store.load_rates()
    loading = time.process_time() - began
    bench = Bench(store, book, accounts, rates, postmaster, lanes)
    await bench.measure("warm-up", max(200, calls // 10), bench.paid_call)
    figures = [
        await bench.measure("subscriber", calls, bench.subscriber),
        await bench.measure("parties", calls, bench.parties),
        await bench.measure("100 bindings", calls // 20, bench.bindings),
        await bench.measure("free call", calls, bench.free_call),
        await bench.measure("paid call, parties known", calls, bench.locked_call),
        await bench.measure("paid call", calls, bench.paid_call),
        Figures(
            operation="one rate loaded",
            count=rates,
            postgres_us=0.0,
            client_us=round(loading / rates * 1e6, 2),
            per_second=0,
        ),
    ]
    assert await connection.fetch("SELECT * FROM audit()") == []
    await store.close()
    await connection.close()
    return figures


def main() -> None:
    """Run with a server of our own."""
    parser = argparse.ArgumentParser(prog="bench.store", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--rates", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=4_000, help="iterations of each operation")
    parser.add_argument("--lanes", type=int, default=16, help="operations at a time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedStore(Path(folder))
        with server.running():
            dsn = server.dsn
            subprocess.run([sys.executable, "-c", MIGRATE, dsn], check=True)
            figures = uvloop.run(
                measure(dsn, accounts=options.accounts, rates=options.rates, calls=options.calls, lanes=options.lanes)
            )
    if options.json:
        print(json.dumps([{name: getattr(row, name) for name in Figures.__slots__} for row in figures], indent=2))
        return
    print(f"{options.accounts:,} accounts, {options.rates:,} rates, {options.lanes} at a time")
    print(f"{'operation':<26}{'PostgreSQL us':>14}{'client us':>11}{'a second':>10}")
    for row in figures:
        print(f"{row.operation:<26}{row.postgres_us:>14}{row.client_us:>11}{row.per_second:>10}")


if __name__ == "__main__":
    main()
