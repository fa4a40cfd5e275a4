# SPDX-License-Identifier: Apache-2.0
"""Subscriptions to message lamps in the store: they come back as they were, but for a CSeq that leaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.lamps import SubscriptionRow
from billing_client.store import CSEQ_LEAP

if TYPE_CHECKING:
    from billing_client.store import Store
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


def row(tag: str = "t1", **changes: Any) -> SubscriptionRow:
    """A subscription of account 101."""
    made = SubscriptionRow(
        tag=tag,
        account="101",
        call_id="c@phone",
        local=f'"Ž" <sip:101@example.com>;tag={tag}',
        remote="<sip:101@example.com>;tag=phone",
        remote_tag="phone",
        target="sip:101@192.0.2.1:5060;ob",
        routes=("<sip:192.0.2.9;lr>", "<sip:192.0.2.8;lr>"),
        event="message-summary;id=1",
        local_cseq=3,
        remote_cseq=4_000_000_000,
        source="udp:192.0.2.1:5060",
        socket="udp:192.0.2.2:5060",
        natted=True,
        expires_at=SOON,
    )
    return replace(made, **changes)


async def test_they_come_back_with_a_higher_cseq_each_time(store: Store) -> None:
    await store.write_subscriptions([row(), row("t2", routes=(), natted=False)], [])
    expected = [row(), row("t2", routes=(), natted=False)]
    for life in (1, 2):
        leapt = [replace(each, local_cseq=3 + life * CSEQ_LEAP) for each in expected]
        assert await store.resume_subscriptions() == leapt


async def test_a_refresh_replaces_what_may_change(store: Store) -> None:
    await store.write_subscriptions([row()], [])
    later = row(target="sip:101@192.0.2.7", local_cseq=9, source="tcp:[::1]:5060", expires_at=SOON + timedelta(hours=1))
    await store.write_subscriptions([later], [])
    assert await store.resume_subscriptions() == [replace(later, local_cseq=9 + CSEQ_LEAP)]


async def test_pages_follow_each_other(store: Store) -> None:
    await store.write_subscriptions([row(f"t{number}") for number in range(7)], ["t3", "absent"])
    found: list[str] = []
    while page := await store.resume_subscriptions(after=found[-1] if found else "", limit=4):
        found += [each.tag for each in page]
    assert found == ["t0", "t1", "t2", "t4", "t5", "t6"]


async def test_expired_ones_go_and_those_of_other_nodes_stay(store: Store, tenant: Tenant) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    await store.write_subscriptions(
        [row("live"), row("expired", expires_at=past), row("other"), row("old", expires_at=past - timedelta(days=2))],
        [],
    )
    await tenant.sql.execute("UPDATE billing_subscription SET node = 'elsewhere' WHERE tag IN ('other', 'old')")
    assert [each.tag for each in await store.resume_subscriptions()] == ["live"]
    left = await tenant.sql.fetch("SELECT tag FROM billing_subscription ORDER BY tag")
    assert [each["tag"] for each in left] == ["live", "other"]


async def test_what_no_phone_should_send_does_not_stop_the_batch(store: Store) -> None:
    await store.write_subscriptions([row(call_id="a\0b" + "x" * 9000, remote="\udcff")], [])
    (found,) = await store.resume_subscriptions()
    assert found.call_id.startswith("abx")
