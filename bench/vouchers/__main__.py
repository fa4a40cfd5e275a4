# SPDX-License-Identifier: Apache-2.0
"""Measure vouchers: `python -m bench.vouchers [--generate N] [--more N] [--redeem N] [--lanes N]`.

Starts the product's embedded PostgreSQL in a temporary directory (with its usual settings: every commit is flushed),
generates vouchers with sealed passwords as the command does, exports them, redeems some at random for random accounts,
and tries wrong codes. `--more` vouchers are put in by a statement besides, which are there to be in the way.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import uvloop

from bench.store.cpu import postgres_seconds, postmaster_of
from billing_client.secrets.keyring import KeyFile, KeyRing
from billing_client.vouchers.redeeming import StoreVouchers
from billing_client.vouchers.words import GuessSource, Redeemed
from softswitch.processes.store import EmbeddedStore

MIGRATE = "import sys; from billing.store.preparing import migrate, setup; setup(sys.argv[1]); migrate()"
WORK = """
import json, sys, time
from decimal import Decimal
from pathlib import Path
from billing.store.preparing import setup
from softswitch.processes.actor import process
setup(sys.argv[1])
from billing.vouchers import actions as vouchers
from billing.vouchers.generation import Generation, generate
from billing_client.secrets.keyring import KeyFile
keys = KeyFile(Path(sys.argv[2]))
asked = Generation(customer="bench", batch="bench", count=int(sys.argv[3]), amount=Decimal(1),
                   id_digits=int(sys.argv[5]))
began, cpu = time.perf_counter(), time.process_time()
generate(process("bench"), asked, vouchers.key_file_for_sealing(keys), lambda done, total: None)
generated, generated_cpu = time.perf_counter() - began, time.process_time() - cpu
began = time.perf_counter()
vouchers.export(process("bench"), "bench", Path(sys.argv[4]), vouchers.Numbers(), keys, lambda done, total: None)
print(json.dumps({"generate_seconds": round(generated, 1), "python_cpu_seconds": round(generated_cpu, 1),
                  "export_seconds": round(time.perf_counter() - began, 1)}))
"""
TENANT = """
INSERT INTO billing_balance (id, kind, currency, credit_limit) VALUES (1, 'credit', 'USD', 0);
INSERT INTO billing_customer (id, name, balance_id) VALUES (1, 'bench', 1);
INSERT INTO billing_balance (id, kind, currency) SELECT n + 1, 'debit', 'USD' FROM generate_series(1, {accounts}) n;
INSERT INTO billing_account (number, customer_id, kind, balance_id, password)
    SELECT (100000 + n)::text, 1, 'debit', n + 1, '' FROM generate_series(1, {accounts}) n;
SELECT setval('billing_balance_id_seq', {accounts} + 1);
INSERT INTO billing_batch (name, customer_id, kind) VALUES ('more', 1, 'voucher');
ANALYZE;
"""
MORE = """
INSERT INTO billing_voucher (id, batch_id, control_number, key_id, sealed, amount, currency)
    SELECT (100000000000000 + n * 900000000 + (random() * 899999999)::bigint)::text,
           (SELECT id FROM billing_batch WHERE name = 'more'), n, 1, decode(repeat('00', 36), 'hex'), 1, 'USD'
      FROM generate_series($1::bigint, $2::bigint) n ORDER BY random()
"""
ACCOUNTS = 10_000
AT_A_TIME = 1_000_000
PROCESSES = 2


async def put_more(dsn: str, count: int) -> float:
    """Insert vouchers that nobody will redeem; seconds that it took."""
    began = time.perf_counter()
    connection = await asyncpg.connect(dsn)
    for first in range(1, count + 1, AT_A_TIME):
        await connection.execute(MORE, first, min(count, first + AT_A_TIME - 1), timeout=3600)
    await connection.execute("VACUUM ANALYZE billing_voucher", timeout=3600)
    await connection.close()
    return time.perf_counter() - began


async def redeem(dsn: str, keys: Path, codes: list[str], lanes: int, node: str) -> dict[str, float]:
    """Redeem these codes, `lanes` at a time, each for any account; how long each took."""
    door = await StoreVouchers.connect(
        dsn, KeyFile(keys), node=node, connections=lanes, timeout_seconds=30, lock_after=10**6
    )
    queue = iter(codes)
    took: list[float] = []

    async def lane() -> None:
        for code in queue:
            began = time.perf_counter()
            account = str(100_000 + random.randint(1, ACCOUNTS))
            answer = await door.redeem(code, account, f"{node}-{code}", GuessSource(account, "*99"))
            assert isinstance(answer, Redeemed), answer
            took.append(time.perf_counter() - began)

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    await door.close()
    took.sort()
    return {
        "count": len(codes),
        "per_second": round(len(codes) / seconds),
        "p50_ms": round(took[len(took) // 2] * 1000, 1),
        "p99_ms": round(took[int(len(took) * 0.99)] * 1000, 1),
        "client_us": round(cpu / len(codes) * 1e6),
    }


async def wrong(dsn: str, keys: Path, lanes: int, count: int = 2000) -> float:
    """Wrong codes a second, from as many callers."""
    door = await StoreVouchers.connect(dsn, KeyFile(keys), node="wrong", connections=lanes, lock_after=10**6)
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            account = str(100_000 + random.randint(1, ACCOUNTS))
            code = f"{random.randrange(10**19):019}"
            await door.redeem(code, account, f"w{number}", GuessSource(account, "*99"))

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    await door.close()
    return round(count / (time.perf_counter() - began))


def redeem_in_processes(dsn: str, keys: Path, codes: list[str], lanes: int) -> list[dict[str, float]]:
    """The same by two processes at once, as two media servers do it."""
    share = len(codes) // PROCESSES
    running = []
    for number in range(PROCESSES):
        words = [
            sys.executable,
            "-m",
            "bench.vouchers",
            "--child",
            dsn,
            str(keys),
            str(lanes // PROCESSES),
            str(number),
        ]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append((child, "\n".join(codes[number * share : (number + 1) * share])))
    for child, text in running:
        assert child.stdin is not None
        child.stdin.write(text)
        child.stdin.close()
    found = []
    for child, _ in running:
        assert child.stdout is not None
        found.append(json.loads(child.stdout.read()))
        assert child.wait() == 0
    return found


def measure(arguments: argparse.Namespace, directory: Path) -> None:
    """Everything, in a store of its own."""
    store = EmbeddedStore(directory / "data")
    keys, file = directory / "keys", directory / "vouchers.csv"
    with store.running():
        subprocess.run([sys.executable, "-c", MIGRATE, store.dsn], check=True)
        postmaster = uvloop.run(prepare(store.dsn))
        KeyFile(keys).write(KeyRing.make())
        if arguments.more:
            say(more=arguments.more, seconds=round(uvloop.run(put_more(store.dsn, arguments.more))))
        digits = "15" if arguments.more else "11"
        printed = subprocess.run(
            [sys.executable, "-c", WORK, store.dsn, str(keys), str(arguments.generate), str(file), digits],
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip
        say(generated=arguments.generate, **json.loads(printed))
        with file.open(newline="", encoding="utf-8") as lines:
            codes = [row["pin"] for row in csv.DictReader(lines)]
        random.shuffle(codes)
        for go in range(arguments.goes):
            some = [codes.pop() for _ in range(arguments.redeem)]
            cpu = postgres_seconds(postmaster)
            found = redeem_in_processes(store.dsn, keys, some, arguments.lanes)
            cpu = postgres_seconds(postmaster) - cpu
            say(
                go=go,
                redeemed_per_second=sum(one["per_second"] for one in found),
                postgres_us=round(cpu / len(some) * 1e6),
                processes=found,
            )
        say(wrong_codes_per_second=uvloop.run(wrong(store.dsn, keys, arguments.lanes)))
        say(audit=uvloop.run(audit(store.dsn)))


async def prepare(dsn: str) -> int:
    """A customer and its accounts; the id of PostgreSQL's first process."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(TENANT.format(accounts=ACCOUNTS), timeout=600)
    postmaster = postmaster_of(connection.get_server_pid())
    await connection.close()
    return postmaster


async def audit(dsn: str) -> dict[str, float]:
    """Findings, and how long it took."""
    connection = await asyncpg.connect(dsn)
    began = time.perf_counter()
    found = await connection.fetch("SELECT * FROM audit()", timeout=600)
    await connection.close()
    return {"findings": len(found), "seconds": round(time.perf_counter() - began, 1)}


def say(**figures: object) -> None:
    """A line of figures, with the load of the machine."""
    print(json.dumps({**figures, "load": round(os.getloadavg()[0], 1)}), flush=True)


def main() -> None:
    """Measure, or redeem what a parent hands over."""
    if sys.argv[1:2] == ["--child"]:
        dsn, keys, lanes, node = sys.argv[2:]
        codes = sys.stdin.read().split()
        print(json.dumps(uvloop.run(redeem(dsn, Path(keys), codes, int(lanes), f"bench{node}"))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generate", type=int, default=100_000, help="vouchers with sealed passwords")
    parser.add_argument("--more", type=int, default=0, help="vouchers that are in the way")
    parser.add_argument("--redeem", type=int, default=10_000, help="redemptions of one go")
    parser.add_argument("--goes", type=int, default=3)
    parser.add_argument("--lanes", type=int, default=16, help="redemptions at a time, each with a connection")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        measure(arguments, Path(directory))


if __name__ == "__main__":
    main()
