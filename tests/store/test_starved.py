# SPDX-License-Identifier: Apache-2.0
"""A store that is starved, cut off without a word, full, or that recovers: slower, and well again at once."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest
import pytest_asyncio

from billing_client.link import listener as listening
from billing_client.link.pool import SURPLUS, Pool
from billing_client.store import Store
from billing_client.types import StoreEvent, StoreUnavailable
from tests.store.proxy import Proxy
from tests.store.test_outage import until, until_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.patience import Lived
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

SIZE = 8
TIMEOUT_SECONDS = 0.5


@pytest_asyncio.fixture
async def patient(dsn: str, tenant: Tenant) -> AsyncIterator[Store]:
    """A client with several connections."""
    store = await Store.connect(dsn, node="sw1", connections=SIZE, timeout_seconds=TIMEOUT_SECONDS)
    try:
        yield store
    finally:
        await store.close()


@pytest_asyncio.fixture
async def proxy(dsn: str, tenant: Tenant) -> AsyncIterator[Proxy]:
    """A proxy before the tenant's store."""
    async with Proxy(dsn) as proxy:
        yield proxy


async def sessions(tenant: Tenant) -> set[int]:
    """The server's processes of our client."""
    rows = await tenant.sql.fetch("SELECT pid FROM pg_stat_activity WHERE application_name = 'softswitch sw1'")
    return {row["pid"] for row in rows}


@contextmanager
def stopped(session: int) -> Iterator[None]:
    """Every process of the server stands still, as one that gets no processor."""
    server = psutil.Process(session).parent()
    assert server is not None
    processes = [server, *server.children()]
    try:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


async def callers(store: Store, seconds: float, lived: Lived) -> list[float]:
    """Forty that ask again and again; how long those waited that got no answer."""
    waited: list[float] = []
    ends = time.monotonic() + seconds

    async def caller() -> None:
        while time.monotonic() < ends:
            began = lived.seconds
            try:
                await store.subscriber("101")
            except StoreUnavailable:
                waited.append(lived.seconds - began)
            await asyncio.sleep(0.02)

    await asyncio.gather(*(caller() for _ in range(40)))
    return waited


async def test_a_starved_store_keeps_its_connections_and_is_well_again_at_once(
    patient: Store, tenant: Tenant, lived: Lived
) -> None:
    """Case F1: nothing answers for 7 s under load. Nobody waits in vain for long, no connection is thrown away."""
    before = await sessions(tenant)
    assert len(before) == SIZE
    with stopped(min(before)):
        waited = await callers(patient, 7.0, lived)
    assert waited
    assert max(waited) < 4 * TIMEOUT_SECONDS
    began = lived.seconds
    await until(lambda: patient.is_connected)
    assert lived.seconds - began < 2.0
    assert await patient.subscriber("101") is not None
    assert await callers(patient, 1.0, lived) == []
    after = await sessions(tenant)
    assert before <= after
    assert len(after) <= SIZE + SURPLUS


async def test_the_connections_that_helped_out_are_closed_and_not_those_that_were_late(
    patient: Store, tenant: Tenant
) -> None:
    """Case F1, a neighbour: only our sessions stand still, so that others are let in meanwhile."""
    before = await sessions(tenant)
    late = [psutil.Process(session) for session in before]
    for process in late:
        process.suspend()
    try:
        asking = [asyncio.create_task(patient.subscriber("101")) for _ in before]
        await until_async(lambda: _are(tenant, SIZE + SURPLUS))
    finally:
        for process in late:
            process.resume()
    await asyncio.gather(*asking, return_exceptions=True)
    await until_async(lambda: _are(tenant, SIZE))
    assert await sessions(tenant) == before


async def _are(tenant: Tenant, count: int) -> bool:
    return len(await sessions(tenant)) == count


async def test_statements_that_the_store_gives_up_close_no_connection(patient: Store, tenant: Tenant) -> None:
    """Case F1, a neighbour: a long checkpoint, a lock that is held for long."""
    before = await sessions(tenant)

    async def slow() -> None:
        with pytest.raises(StoreUnavailable):
            await patient._pool.fetch("SELECT pg_sleep(2)")

    await asyncio.gather(*(slow() for _ in range(2 * SIZE)))
    assert await patient.subscriber("101") is not None
    await asyncio.sleep(0.1)
    assert before <= await sessions(tenant)


async def test_connections_that_a_firewall_forgot_are_found_before_others_wait_for_them(
    proxy: Proxy, tenant: Tenant
) -> None:
    """Case F1, a neighbour: whoever asks first learns it the hard way, and from then on everybody has a connection."""
    store = await Store.connect(proxy.dsn, node="sw1", connections=SIZE, timeout_seconds=TIMEOUT_SECONDS)
    try:
        proxy.forget()
        with pytest.raises(StoreUnavailable):
            await store.subscriber("101")
        await asyncio.sleep(0.2)
        for _ in range(3):
            assert await asyncio.gather(*(store.subscriber("101") for _ in range(SIZE)))
    finally:
        await store.close()


async def test_a_store_that_lets_only_some_connections_in_is_used_by_those(dsn: str, tenant: Tenant) -> None:
    """Case F1, a neighbour: too many connections (53300)."""
    await tenant.sql.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 3")
    try:
        several = dsn.replace("softswitch@", "few@")
        pool = Pool(several, name="few", size=SIZE, timeout_seconds=TIMEOUT_SECONDS, prepare=[])
        await pool.open()
        answers = await asyncio.gather(*(pool.fetch("SELECT 1") for _ in range(4 * SIZE)))
        assert len(answers) == 4 * SIZE
        await tenant.sql.execute("ALTER ROLE few CONNECTION LIMIT 100")
        await until(lambda: len(pool._links) == SIZE)
        await pool.close()
    finally:
        await tenant.sql.execute("DROP ROLE few")


async def test_a_crash_and_its_recovery_are_over_within_two_seconds_of_the_stores_return(
    patient: Store, tenant: Tenant, dsn: str, lived: Lived
) -> None:
    """Case F1, a neighbour: one session is killed, PostgreSQL ends all others and recovers (57P03)."""
    before = await sessions(tenant)
    psutil.Process(min(before)).kill()
    await callers(patient, 0.3, lived)  # who may be told of it, if the recovery takes long enough to be seen
    await until(lambda: not any(map(psutil.pid_exists, before)))  # the others were ended too

    async def is_back() -> bool:
        pool = Pool(dsn, name="other", size=1, timeout_seconds=TIMEOUT_SECONDS, prepare=[])
        try:
            await pool.open()
        except StoreUnavailable:
            return False
        await pool.close()
        return True

    await until_async(is_back)
    began = lived.seconds
    await until(lambda: patient.is_connected)
    assert lived.seconds - began < 2.0
    assert await callers(patient, 0.5, lived) == []


async def test_a_listener_of_a_store_that_is_late_misses_nothing_and_says_so(
    proxy: Proxy, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case F1: "resync" would make the switch forget whom it knows, and free calls live by that."""
    monkeypatch.setattr(listening, "PROBE_SECONDS", 0.05)
    store = await Store.connect(proxy.dsn, node="sw1", connections=2, timeout_seconds=0.1)
    events: list[StoreEvent] = []
    try:
        await store.listen(events.append)
        proxy.freeze()
        await asyncio.sleep(1.0)
        proxy.thaw()
        await tenant.sql.execute("UPDATE billing_account SET password = 'new' WHERE id = 1")
        await until(lambda: StoreEvent("account", number="101") in events)
        assert StoreEvent("resync") not in events
        proxy.forget()
        await until(lambda: StoreEvent("resync") in events)
    finally:
        await store.close()
