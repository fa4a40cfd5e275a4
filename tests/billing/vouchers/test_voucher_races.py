# SPDX-License-Identifier: Apache-2.0
"""Several processes redeem the same vouchers at once, and are killed while they do."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.store.vouchers import SOURCE, outcome

if TYPE_CHECKING:
    from tests.store.conftest import Tenant
    from tests.store.vouchers import Press

pytestmark = pytest.mark.asyncio


async def process(press: Press, node: str, account: str, count: int, codes: list[str]) -> asyncio.subprocess.Process:
    """One that waits for a line before it begins."""
    found = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.redeem", press.dsn, str(press.keys.path), node, account, str(count), *codes,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert found.stdout is not None
    assert await found.stdout.readline() == b"ready\n"
    return found


async def test_a_thousand_redemptions_of_one_voucher_on_two_processes_credit_once(press: Press, tenant: Tenant) -> None:
    code = await press.print()
    both = await asyncio.gather(process(press, "one", "101", 500, [code]), process(press, "two", "301", 500, [code]))
    outcomes: Counter[str] = Counter()
    for printed, _ in await asyncio.gather(*(one.communicate(b"\n") for one in both)):
        outcomes.update(json.loads(printed))
    assert outcomes == {"ok": 1, "used": 999}
    credited = (await tenant.balance(2))[0] - 10 - (await tenant.balance(3))[0]
    assert credited == 10
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_ledgerentry WHERE kind = 'voucher'") == 1
    assert await tenant.audit() == []


async def test_a_process_that_is_killed_at_any_moment_neither_loses_nor_doubles(press: Press, tenant: Tenant) -> None:
    randomness = random.Random(3)
    total = 0
    for life in range(4):
        codes = [await press.print("1") for _ in range(100)]
        total += len(codes)
        victim = await process(press, f"life{life}", "101", 1, codes)
        assert victim.stdin is not None
        victim.stdin.write(b"\n")
        await asyncio.sleep(randomness.uniform(0, 0.1))
        victim.send_signal(signal.SIGKILL)
        await victim.communicate()
        survivor = await press.door(timeout_seconds=20)
        for code in codes:  # as the caller's next attempt does
            answer = await survivor.redeem(code, "101", f"life{life}-{code}-0", SOURCE)
            assert outcome(answer) == "ok"
        await survivor.close()
        assert (await tenant.balance(2))[0] == 10 + total
    assert await tenant.audit() == []
