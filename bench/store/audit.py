# SPDX-License-Identifier: Apache-2.0
"""Measure `softswitch audit` on many records: `python -m bench.store.audit [--xdrs N] [--accounts N]`.

Starts the product's embedded PostgreSQL in a temporary directory, fills it with paid calls and their ledger entries,
and times the audit of the right books and then of books with one wrong record.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg

from bench.store.__main__ import MIGRATE
from bench.store.population import populate
from softswitch.processes.store import EmbeddedStore

CALLS = (
    "SET session_replication_role = replica; SET synchronous_commit = off",
    """
INSERT INTO billing_xdr (
    call_id, node, account_id, balance_id, direction, caller, dialled, destination, country, sip_call_id, started_at,
    answered_at, ended_at, billed_seconds, amount, currency, cause, sip_status, ended_by, rate_id, prefix, connect_fee,
    first_increment, next_increment, first_price, next_price)
SELECT md5(n::text), 'bench', n % $2::integer + 1, n % $2::integer + 2, 'outgoing', '101', '4205551', 'Destination',
       'XX', md5(n::text) || '@192.0.2.1', at, at, at + interval '10 s', 10, (n % 1000 + 1) / 100000.0, 'USD', 16, 200,
       'caller', 1, '420', 0, 1, 1, 0.6, 0.6
  FROM (SELECT n, timestamptz '2030-01-01' + n * interval '1 s' AS at FROM generate_series(1, $1::integer) n) AS calls
    """,
    """
INSERT INTO billing_ledgerentry (key, balance_id, amount, released, kind, at)
SELECT 'call:' || call_id, balance_id, -amount, amount, 'call', ended_at FROM billing_xdr ORDER BY started_at
    """,
    """
UPDATE billing_balance b SET amount = l.total
  FROM (SELECT balance_id, sum(amount) AS total FROM billing_ledgerentry GROUP BY balance_id) l
 WHERE l.balance_id = b.id
    """,
    "RESET session_replication_role; VACUUM ANALYZE",
)
SPOIL = """
SET session_replication_role = replica;
UPDATE billing_xdr SET amount = amount + 0.00001 WHERE call_id = md5('1')"""
AUDIT = """
import sys, time
from billing.store.preparing import setup
setup(sys.argv[1])
from billing.money.queries import audit
began = time.perf_counter()
rows = audit()
print(f"{time.perf_counter() - began:.2f} s, {len(rows)} findings")
"""


async def fill(dsn: str, *, accounts: int, xdrs: int) -> None:
    """Paid calls of many accounts, their entries and the balances that follow from them."""
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    await populate(connection, accounts=accounts, rates=1)
    for sql in CALLS:
        for statement in sql.split(";") if "$1" not in sql else [sql]:
            await connection.execute(statement, *([xdrs, accounts] if "$1" in statement else []))
    await connection.close()


async def spoil(dsn: str) -> None:
    """Make one record wrong."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(SPOIL)
    await connection.close()


def audit(dsn: str) -> str:
    """What the audit takes, in a process of its own as the command line's."""
    done = subprocess.run([sys.executable, "-c", AUDIT, dsn], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def main() -> None:
    """Run with a server of our own."""
    parser = argparse.ArgumentParser(prog="bench.store.audit", description="Measure softswitch audit.")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--xdrs", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedStore(Path(folder))
        with server.running():
            subprocess.run([sys.executable, "-c", MIGRATE, server.dsn], check=True)
            began = time.perf_counter()
            asyncio.run(fill(server.dsn, accounts=options.accounts, xdrs=options.xdrs))
            print(
                f"{options.xdrs:,} xDRs of {options.accounts:,} accounts, filled in {time.perf_counter() - began:.0f} s"
            )
            print("right books:     ", audit(server.dsn))
            asyncio.run(spoil(server.dsn))
            print("one wrong record:", audit(server.dsn))


if __name__ == "__main__":
    main()
