# SPDX-License-Identifier: Apache-2.0
"""Measure mailboxes: `python -m bench.store.mailboxes [--accounts N] [--messages N] [--seconds N]`.

Fills a store of its own with `--messages` short messages, then runs each operation 500 times, one after another and
four at a time, on mailboxes picked at random. A deposited message is `--seconds` of 8 kHz WAV.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import uvloop

from bench.store.population import number_of, populate
from billing_client.mailboxes.mailboxes import StoreMailboxes
from billing_client.mailboxes.words import Deposit, Sound
from billing_client.store import Store
from softswitch.processes.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MIGRATE = "import sys; from billing.store.preparing import migrate, setup; setup(sys.argv[1]); migrate()"
ROUNDS = 500
LAMPS = 100

FILL = (
    "ALTER TABLE billing_voicemessage DISABLE TRIGGER USER",
    """
INSERT INTO billing_voicemessage (id, account_id, folder, caller, caller_name, received_at, seconds, urgent)
SELECT gen_random_uuid(), n % $1::integer + 1, CASE WHEN n % 7 < 3 THEN 'new' ELSE 'old' END, '42075553333', 'Bench',
       now() - n * interval '1 second', 10, n % 50 = 0 FROM generate_series(1, $2::integer) n""",
    """
INSERT INTO billing_voicesound (id, format, data, seconds)
SELECT id, 'wav', '\\x00', 10 FROM billing_voicemessage""",
    "ALTER TABLE billing_voicemessage ENABLE TRIGGER USER",
)


async def fill(dsn: str, accounts: int, messages: int) -> None:
    """Accounts, and messages that are spread over them evenly."""
    connection = await asyncpg.connect(dsn)
    try:
        await populate(connection, accounts=accounts, rates=1)
        for sql in FILL:
            await connection.execute(sql, *([accounts, messages] if "$2" in sql else []))
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def measure(name: str, operation: Callable[[], Awaitable[Any]], lanes: int) -> None:
    """Print median and 99th percentile in milliseconds, and operations a second."""
    times: list[float] = []

    async def lane() -> None:
        while len(times) < ROUNDS:
            begin = time.perf_counter()
            await operation()
            times.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    lasted = time.perf_counter() - begin
    p99 = statistics.quantiles(times, n=100)[98]
    print(
        f"{name:<34}{lanes:>3}  {statistics.median(times) * 1000:8.2f} ms  p99 {p99 * 1000:8.2f} ms  "
        f"{len(times) / lasted:8.0f} /s",
        flush=True,
    )


async def run(dsn: str, accounts: int, messages: int, seconds: int) -> None:
    await fill(dsn, accounts, messages)
    sound = Sound("wav", random.randbytes(44 + 16000 * seconds), seconds)
    mailboxes = await StoreMailboxes.connect(dsn, node="bench", max_messages=10_000)
    store = await Store.connect(dsn, node="bench")

    def anybody() -> str:
        return number_of(random.randint(1, accounts))

    def deposit() -> Awaitable[Any]:
        now = datetime.now(UTC)
        return mailboxes.deposit(Deposit(message_id=str(uuid.uuid4()), mailbox=anybody(), caller="420", caller_name="",
                                         received_at=now, sound=sound))  # fmt: skip

    async def pick_and_file() -> None:
        listed = await mailboxes.messages(anybody(), "new")
        await mailboxes.move([listed[0].message_id], "old")

    try:
        for lanes in (1, 4):
            await measure(f"deposit of {seconds} s", deposit, lanes)
            await measure("mailbox with counts", lambda: mailboxes.mailbox(anybody()), lanes)
            await measure("list the new ones", lambda: mailboxes.messages(anybody(), "new"), lanes)
            await measure("list, then file one", pick_and_file, lanes)
            await measure("counts of one lamp", lambda: store.message_counts([anybody()]), lanes)
            await measure(
                f"counts of {LAMPS} lamps", lambda: store.message_counts([anybody() for _ in range(LAMPS)]), lanes
            )
    finally:
        await mailboxes.close()
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=30, help="length of a deposited message")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = EmbeddedStore(Path(directory))
        with server.running():
            subprocess.run([sys.executable, "-c", MIGRATE, server.dsn], check=True)
            uvloop.run(run(server.dsn, options.accounts, options.messages, options.seconds))


if __name__ == "__main__":
    main()
