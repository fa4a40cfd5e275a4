# SPDX-License-Identifier: Apache-2.0
"""The store out of reach: a typed error in bounded time, then recovery by itself, and nothing done twice."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from billing_client.store import Store
from billing_client.types import StoreEvent, StoreUnavailable
from tests.patience import PATIENCE_SECONDS
from tests.store.calls import CallDesk
from tests.store.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.patience import Lived
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

TIMEOUT_SECONDS = 0.5
"""What the switch gives the store for an answer."""
CUTS = 25
"""A limited number: between cuts without an end a busy machine gets nothing done."""


@pytest_asyncio.fixture
async def proxy(dsn: str, tenant: Tenant) -> AsyncIterator[Proxy]:
    """A proxy before the tenant's store."""
    async with Proxy(dsn) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def remote(proxy: Proxy) -> AsyncIterator[Store]:
    """A client that goes through the proxy."""
    store = await Store.connect(proxy.dsn, node="sw1", connections=2, timeout_seconds=TIMEOUT_SECONDS)
    try:
        yield store
    finally:
        await store.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in the background."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 (nobody sets an event for it)
            await asyncio.sleep(0.01)


async def until_async(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait for something that the store shows."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 (another connection's doing)
            await asyncio.sleep(0.01)


async def test_cut_connections_are_replaced_under_the_operation(proxy: Proxy, remote: Store) -> None:
    for _ in range(5):
        proxy.cut()
        assert await remote.subscriber("101") is not None


async def test_a_store_that_refuses_is_unavailable_in_bounded_time_and_comes_back(
    proxy: Proxy, remote: Store, lived: Lived
) -> None:
    proxy.refuses = True
    proxy.cut()
    began = lived.seconds
    with pytest.raises(StoreUnavailable):
        await remote.subscriber("101")
    assert lived.seconds - began < 3 * TIMEOUT_SECONDS
    assert not remote.is_connected
    proxy.refuses = False
    await until(lambda: remote.is_connected)
    assert await remote.subscriber("101") is not None


async def test_a_store_that_has_long_been_away_is_refused_at_once(proxy: Proxy, remote: Store, lived: Lived) -> None:
    proxy.refuses = True
    proxy.cut()
    with pytest.raises(StoreUnavailable):
        await remote.subscriber("101")
    await asyncio.sleep(TIMEOUT_SECONDS)
    began = lived.seconds
    with pytest.raises(StoreUnavailable):
        await remote.subscriber("101")
    assert lived.seconds - began < TIMEOUT_SECONDS / 2


async def test_a_silent_store_is_unavailable_in_bounded_time(proxy: Proxy, remote: Store, lived: Lived) -> None:
    proxy.freeze()
    began = lived.seconds
    with pytest.raises(StoreUnavailable):
        await remote.subscriber("101")
    assert lived.seconds - began < 3 * TIMEOUT_SECONDS
    proxy.thaw()
    assert await remote.subscriber("101") is not None


async def test_a_finish_whose_answer_was_lost_is_done_once(proxy: Proxy, remote: Store, tenant: Tenant) -> None:
    desk = CallDesk(remote)
    call_id, _ = await desk.start(tenant.debit, 1)
    finishing = asyncio.ensure_future(desk.finish(call_id, "0.20"))
    await until_async(lambda: tenant.sql.fetchval("SELECT count(*) FROM billing_xdr"))
    proxy.cut()
    assert str((await finishing).amount) in {"0.20", "0.20000"}
    assert [str(amount) for amount in await tenant.balance(2)] == ["9.80000", "0.00000", "9.80000"]
    assert await tenant.audit() == []


async def test_cuts_at_random_moments_lose_nothing_and_double_nothing(
    proxy: Proxy, remote: Store, tenant: Tenant
) -> None:
    desk = CallDesk(remote)
    done = 0

    async def caller() -> None:
        nonlocal done
        for _ in range(8):
            start = desk.start_of(tenant.debit, "0.10", "0.10")
            while True:
                try:
                    await remote.start_call(start)
                    await desk.finish(start.call_id, "0.01")
                except StoreUnavailable:
                    await asyncio.sleep(0.02)
                else:
                    done += 1
                    break

    async def saboteur() -> None:
        for _ in range(CUTS):
            await asyncio.sleep(random.uniform(0.02, 0.2))
            proxy.cut()

    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        await asyncio.gather(saboteur(), *(caller() for _ in range(8)))
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_xdr") == 64
    assert [str(amount) for amount in await tenant.balance(2)] == ["9.36000", "0.00000", "9.36000"]
    assert await tenant.audit() == []


async def test_a_cancelled_operation_leaves_the_store_usable(remote: Store) -> None:
    for _ in range(6):
        task = asyncio.ensure_future(remote.subscriber("101"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    found = await remote.subscriber("201")
    assert found is not None
    assert found.number == "201"


async def test_a_listener_that_missed_something_says_so(proxy: Proxy, remote: Store, tenant: Tenant) -> None:
    events: list[StoreEvent] = []
    await remote.listen(events.append)
    proxy.cut()
    await until(lambda: StoreEvent("resync") in events)
    await tenant.sql.execute("UPDATE billing_account SET password = 'new' WHERE id = 1")
    await until(lambda: StoreEvent("account", number="101") in events)


async def test_answers_wait_for_the_store(proxy: Proxy, remote: Store, tenant: Tenant) -> None:
    desk = CallDesk(remote)
    call_id, _ = await desk.start(tenant.debit, 1)
    proxy.refuses = True
    proxy.cut()
    remote.call_answered(call_id, desk.finish_of(call_id, 0).ended_at)
    await asyncio.sleep(2 * TIMEOUT_SECONDS)
    proxy.refuses = False
    await until_async(lambda: tenant.sql.fetchval("SELECT answered_at FROM billing_activecall"))


async def test_connecting_to_nothing_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        await Store.connect("postgresql://nobody@127.0.0.1:1/nothing", node="sw1", timeout_seconds=TIMEOUT_SECONDS)


FLAKY = """
CREATE SEQUENCE tries;
CREATE FUNCTION flaky() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('tries') < 3 THEN
        RAISE deadlock_detected;
    END IF;
    RETURN currval('tries');
END $$"""


async def test_an_operation_that_the_store_gave_up_for_another_is_tried_again(store: Store, tenant: Tenant) -> None:
    await tenant.sql.execute(FLAKY)
    try:
        assert (await store._pool.fetch("SELECT flaky()"))[0][0] == 3
    finally:
        await tenant.sql.execute("DROP FUNCTION flaky; DROP SEQUENCE tries")


async def test_a_closed_store_is_unavailable(dsn: str) -> None:
    store = await Store.connect(dsn, node="sw1", connections=1)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.subscriber("101")


async def test_the_first_host_that_answers_is_taken(proxy: Proxy) -> None:
    several = proxy.dsn.replace("127.0.0.1:", "127.0.0.1:1,127.0.0.1:") + "?target_session_attrs=read-write"
    store = await Store.connect(several, node="sw1", connections=1)
    try:
        assert await store.subscriber("101") is not None
    finally:
        await store.close()
