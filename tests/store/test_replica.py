# SPDX-License-Identifier: Apache-2.0
"""The primary dies under load and its synchronous replica takes its place: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from billing_client.store import Store
from tests.store.conftest import TENANT
from tests.store.load import SECONDS, Load
from tests.store.replica import Pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300 + 3 * SECONDS)]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A primary and its replica."""
    with Pair.running(tmp_path) as pair:
        yield pair


@pytest.mark.parametrize("killed_first", [True, False], ids=["killed, then promoted", "promoted, then killed"])
async def test_a_promoted_replica_has_all_that_was_acknowledged(pair: Pair, killed_first: bool) -> None:
    sql = await asyncpg.connect(pair.primary.dsn)
    await sql.execute(TENANT)
    await sql.execute("SELECT post_entry('topup:much', 2, 100000, 'topup', '')")
    await sql.close()
    store = await Store.connect(pair.dsn, node="sw1", connections=4, timeout_seconds=1.0)
    load = Load(store, (1, 2), node="sw1", seed=2)
    running = asyncio.create_task(load.run(20))
    await asyncio.sleep(SECONDS / 3)
    before = len(load.tally.settled)
    if killed_first:
        await asyncio.to_thread(pair.kill, pair.primary)
        await asyncio.to_thread(pair.promote)
    else:
        await asyncio.to_thread(pair.promote)
        await asyncio.to_thread(pair.kill, pair.primary)
    await asyncio.sleep(SECONDS / 3)
    load.stop()
    await running
    assert await store.heartbeat()
    await store.close()
    assert 0 < before < len(load.tally.settled)
    sql = await asyncpg.connect(pair.replica.dsn)
    try:
        recorded = {row["call_id"]: row["amount"] for row in await sql.fetch("SELECT * FROM billing_xdr")}
        assert recorded == load.tally.settled
        balance = await sql.fetchrow("SELECT amount, locked FROM billing_balance WHERE id = 2")
        assert balance is not None
        assert tuple(balance) == (100010 - load.tally.charged, 0)
        assert await sql.fetch("SELECT * FROM audit()") == []
    finally:
        await sql.close()
