# SPDX-License-Identifier: Apache-2.0
"""A store that is cut off again and again gets every message once, and no mailbox more than it may hold."""

from __future__ import annotations

import asyncio
import random
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from billing_client.mailboxes.mailboxes import StoreMailboxes
from billing_client.mailboxes.words import Deposit, Sound
from billing_client.types import StoreUnavailable
from tests.patience import PATIENCE_SECONDS
from tests.store.proxy import Proxy

if TYPE_CHECKING:
    from billing_client.mailboxes.words import DepositResult
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

SOUND = Sound("wav", bytes(100_000), 6.25)
CUTS = 15


async def left(mailboxes: StoreMailboxes, message_id: str, mailbox: str) -> DepositResult:
    """Leave a message, with as many attempts as it takes."""
    deposit = Deposit(message_id=message_id, mailbox=mailbox, caller="420", caller_name="",
                      received_at=datetime.now(UTC), sound=SOUND)  # fmt: skip
    while True:
        try:
            return await mailboxes.deposit(deposit)
        except StoreUnavailable:
            await asyncio.sleep(0.02)


async def cut_often(proxy: Proxy, randomness: random.Random) -> None:
    """A limited number of times, or a busy machine would get nothing done in between."""
    for _ in range(CUTS):
        await asyncio.sleep(randomness.uniform(0.0, 0.06))
        proxy.cut()


async def test_messages_are_stored_once_whenever_the_connection_is_cut(dsn: str, tenant: Tenant) -> None:
    randomness = random.Random(4)
    async with Proxy(dsn) as proxy:
        mailboxes = await StoreMailboxes.connect(proxy.dsn, node="test", timeout_seconds=2, max_messages=100)
        sent = {str(uuid.uuid4()): randomness.choice(["101", "201"]) for _ in range(30)}
        results = await asyncio.gather(cut_often(proxy, randomness), *(left(mailboxes, *one) for one in sent.items()))
        assert set(results[1:]) == {"stored"}
        found = await tenant.sql.fetch(
            "SELECT v.id::text, a.number FROM billing_voicemessage v JOIN billing_account a ON a.id = v.account_id"
            " JOIN billing_voicesound s ON s.id = v.id AND octet_length(s.data) = $1", len(SOUND.data)
        )  # fmt: skip
        assert {row["id"]: row["number"] for row in found} == sent
        await mailboxes.close()


async def test_a_full_mailbox_stays_full_through_cuts(dsn: str, tenant: Tenant) -> None:
    async with Proxy(dsn) as proxy:
        mailboxes = await StoreMailboxes.connect(proxy.dsn, node="test", timeout_seconds=2, max_messages=7)
        ids = [str(uuid.uuid4()) for _ in range(20)]
        _, *results = await asyncio.gather(
            cut_often(proxy, random.Random(5)), *(left(mailboxes, message_id, "101") for message_id in ids)
        )
        stored = {message_id for message_id, result in zip(ids, results, strict=True) if result == "stored"}
        assert len(stored) == 7
        found = await tenant.sql.fetch("SELECT id::text FROM billing_voicemessage")
        assert {row["id"] for row in found} == stored
        assert await tenant.sql.fetchval("SELECT count(*) FROM billing_voicesound") == 7
        await mailboxes.close()


async def test_a_store_that_does_not_answer_in_time_gets_the_message_once(dsn: str, tenant: Tenant) -> None:
    async with Proxy(dsn) as proxy:
        mailboxes = await StoreMailboxes.connect(proxy.dsn, node="test", timeout_seconds=0.3)
        message_id = str(uuid.uuid4())
        proxy.freeze()
        trying = asyncio.create_task(left(mailboxes, message_id, "101"))
        await asyncio.sleep(0.8)
        assert not trying.done()
        proxy.thaw()
        assert await asyncio.wait_for(trying, PATIENCE_SECONDS) == "stored"
        assert len(await mailboxes.messages("101", "new")) == 1
        await mailboxes.close()
