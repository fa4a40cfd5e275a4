# SPDX-License-Identifier: Apache-2.0
"""The location service is written in batches and read in pages."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.store.bindings import binding

if TYPE_CHECKING:
    from billing_client.store import Store

pytestmark = pytest.mark.asyncio


async def test_what_is_written_is_read(store: Store) -> None:
    rows = [binding("1"), binding("2", path=(), received=None, instance=None, reg_id=None, q=0.5)]
    await store.write_bindings(rows, [])
    assert await store.node_bindings("test") == rows


async def test_a_refresh_replaces(store: Store) -> None:
    await store.write_bindings([binding("1", cseq=1)], [])
    refreshed = binding("1", cseq=2, call_id="c2", node="test", contact="sip:1@203.0.113.1")
    await store.write_bindings([refreshed], [])
    assert await store.node_bindings("test") == [refreshed]


async def test_a_batch_removes_too(store: Store) -> None:
    await store.write_bindings([binding("1", "a"), binding("1", "b"), binding("2", "a")], [])
    await store.write_bindings([binding("3")], [("1", "a"), ("2", "a"), ("9", "absent")])
    assert [(row.aor, row.key) for row in await store.node_bindings("test")] == [("1", "b"), ("3", "a")]


async def test_the_last_of_two_rows_with_one_key_counts(store: Store) -> None:
    last = binding("1", cseq=2)
    await store.write_bindings([binding("1", cseq=1), last], [])
    assert await store.node_bindings("test") == [last]


async def test_an_empty_batch_is_nothing(store: Store) -> None:
    await store.write_bindings([], [])
    assert await store.node_bindings("test") == []


async def test_pages_cover_a_node_without_the_expired_and_the_others(store: Store) -> None:
    rows = [binding(str(aor), key) for aor in range(100, 105) for key in "ab"]
    expired = binding("106", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await store.write_bindings([*rows, expired, binding("107", node="other")], [])
    found, after = [], ("", "")
    while page := await store.node_bindings("test", after=after, limit=3):
        found += page
        after = (page[-1].aor, page[-1].key)
    assert found == rows


async def test_batches_with_the_same_keys_do_not_block_each_other(store: Store) -> None:
    rows = [binding(str(aor)) for aor in range(200)]
    await asyncio.gather(*(store.write_bindings(rows if turn % 2 else rows[::-1], []) for turn in range(20)))
    assert len(await store.node_bindings("test")) == 200


WILD = "\udcff\0" + "é" * 3000


async def test_what_phones_make_up_does_not_spoil_the_batch(store: Store) -> None:
    hostile = binding(
        "1", WILD, contact=WILD, received=WILD, path=(WILD,), call_id=WILD, cseq=2**70, instance=WILD, reg_id=2**40,
        user_agent=WILD,
    )  # fmt: skip
    good = binding("2")
    await store.write_bindings([hostile, good], [])
    stored, other = await store.node_bindings("test")
    assert other == good
    assert (len(stored.contact), len(stored.key), stored.cseq) == (1024, 512, 2**63 - 1)
    await store.write_bindings([], [("1", WILD)])
    assert await store.node_bindings("test") == [good]
