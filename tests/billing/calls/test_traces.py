# SPDX-License-Identifier: Apache-2.0
"""Records for explaining calls: written in batches, found by any of their keys, pruned by age."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from billing_client.traces import CallTrace

if TYPE_CHECKING:
    from billing_client.store import Store

pytestmark = pytest.mark.asyncio

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RECORD = CallTrace(
    call_id="one",
    account="101",
    caller="101",
    dialled="420600000001",
    started_at=NOW,
    answered_at=None,
    ended_at=NOW + timedelta(seconds=3),
    cause=17,
    sip_status=486,
    ended_by="callee",
    keys=("101", "420600000001", "leg-a@phone", "leg-b"),
    body=b"\x00packed\xff",
)


async def test_a_record_is_written_once_and_found_by_any_key(store: Store, dsn: str) -> None:
    other = replace(RECORD, call_id="two", keys=("102",))
    await store.write_traces([RECORD, other])
    await store.write_traces([replace(RECORD, cause=1)])
    connection = await asyncpg.connect(dsn)
    try:
        for key in RECORD.keys:
            rows = await connection.fetch("SELECT * FROM billing_calltrace WHERE keys @> ARRAY[$1]::varchar[]", key)
            assert [(row["call_id"], row["cause"], row["node"], row["body"]) for row in rows] == [
                ("one", 17, "test", RECORD.body)
            ]
    finally:
        await connection.close()


async def test_what_a_phone_sends_cannot_make_a_batch_fail(store: Store, dsn: str) -> None:
    odd = replace(RECORD, caller="a\0b\udcff", dialled="x" * 1000, keys=("k\n\0\udcfe", "y" * 1000))
    await store.write_traces([odd])
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow("SELECT * FROM billing_calltrace")
        assert row is not None
        assert (row["caller"], len(row["dialled"]), [len(key) for key in row["keys"]]) == ("ab?", 255, [2, 255])
    finally:
        await connection.close()


async def test_old_records_go_a_limited_number_at_a_time(store: Store) -> None:
    old = [replace(RECORD, call_id=f"old{number}", started_at=NOW - timedelta(days=8)) for number in range(5)]
    await store.write_traces([*old, RECORD])
    before = NOW - timedelta(days=7)
    assert [await store.prune_traces(before, 3) for _ in range(3)] == [3, 2, 0]
