# SPDX-License-Identifier: Apache-2.0
"""Finished calls while the store is away: kept on disk, delivered in order, each once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from billing_client.calls import CallFinish
from billing_client.types import StoreRefused, StoreUnavailable
from switch.access.reach import StoreReach
from switch.app import Switch
from switch.money.journal import Codec, Journal
from switch.money.settlement import Settlement, Volatile
from switch.sip.session import Ended
from tests.patience import PATIENCE_SECONDS
from tests.store.calls import CallDesk
from tests.store.proxy import Proxy
from tests.switch.conftest import World
from tests.switch.money.test_journal import CODEC, finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from switch.settings import SwitchSettings

pytestmark = pytest.mark.asyncio

START = CallDesk.start_of(CallDesk(None), (1, 1), 0, 0)  # type: ignore[arg-type]  # no store is asked


@asynccontextmanager
async def switch_of(settings: SwitchSettings, dsn: str, passwords: dict[str, str]) -> AsyncIterator[World]:
    """A switch with these settings; its tester reaches the store directly."""
    switch = Switch(settings)
    await switch.start()
    sql = await asyncpg.connect(dsn)
    try:
        yield World(switch, sql, passwords)
    finally:
        await sql.close()
        await switch.control.drain(0.1)
        await switch.close()


async def talk(world: World, proxy: Proxy, caller: str = "102") -> None:
    """A paid call that begins while the store is there and ends while it is not."""
    async with world.phone(caller) as alice, world.phone("201") as paid:
        await paid.register()
        await alice.call("201")
        await paid.answer()
        answered = await alice.connected()
        proxy.refuses = True
        proxy.cut()
        alice.perform(answered.session.bye(alice.now()))
        await paid.expect(Ended)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while world.switch.control.calls or not world.switch.control.unsettled:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)


async def test_a_call_that_ends_while_the_store_is_away_is_settled_when_it_is_back(
    settings: SwitchSettings, demo_template: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    async with Proxy(settings.store_dsn) as proxy:
        behind = replace(settings, store_dsn=proxy.dsn, journal_dir=tmp_path)
        async with switch_of(behind, settings.store_dsn, demo_template[1]) as world:
            await talk(world, proxy)
            assert await world.sql.fetchval("SELECT count(*) FROM billing_xdr") == 0
            proxy.refuses = False
            async with asyncio.timeout(PATIENCE_SECONDS):
                while world.switch.control.unsettled:  # noqa: ASYNC110 (nothing announces it)
                    await asyncio.sleep(0.05)
            (xdr,) = await world.settled()
            assert (xdr["ended_by"], xdr["billed_seconds"]) == ("caller", 1)
            assert await world.balance("102") == Decimal("4.99")
            assert await world.sql.fetch("SELECT * FROM audit()") == []


async def test_what_waits_is_delivered_by_the_next_life_before_orphans_are_settled(
    settings: SwitchSettings, demo_template: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    async with Proxy(settings.store_dsn) as proxy:
        behind = replace(settings, store_dsn=proxy.dsn, journal_dir=tmp_path)
        async with switch_of(behind, settings.store_dsn, demo_template[1]) as world:
            await talk(world, proxy)
        direct = replace(settings, journal_dir=tmp_path)
        async with switch_of(direct, settings.store_dsn, demo_template[1]) as world:
            (xdr,) = await world.settled()
            assert xdr["ended_by"] == "caller"
            assert await world.balance("102") == Decimal("4.99")
    assert (tmp_path / "settlements-test").stat().st_size == 0


class Store:
    """Takes finished calls while it is there."""

    def __init__(self) -> None:
        self.is_away = True
        self.refused: set[str] = set()
        self.taken: list[str] = []
        self.batches: list[list[str]] = []

    async def subscriber(self, name: str) -> None:
        """A probe."""
        if self.is_away:
            raise StoreUnavailable("away")

    async def finish_call(self, finish: CallFinish) -> None:
        """Take one, or be away."""
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("away")
        if finish.call_id in self.refused:
            raise StoreRefused("no")
        self.taken.append(finish.call_id)

    async def finish_calls(self, finishes: Sequence[CallFinish]) -> None:
        """Take several, or be away."""
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("away")
        calls = [finish.call_id for finish in finishes]
        if self.refused & set(calls):
            raise StoreRefused("no")
        self.batches.append(calls)
        self.taken += calls


@pytest.mark.parametrize("on_disk", [False, True])
async def test_the_order_of_the_ends_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_disk: bool) -> None:
    monkeypatch.setattr("switch.money.settlement._RETRY_SECONDS", 0.01)
    store, tasks = Store(), set[asyncio.Task[None]]()
    journal: Journal[CallFinish] | Volatile = (
        Journal(tmp_path / "journal", Codec(CallFinish)) if on_disk else Volatile()
    )
    reach = StoreReach(store)  # type: ignore[arg-type]  # all that it needs of a store
    settlement = Settlement(store, reach, journal, tasks.add)  # type: ignore[arg-type]
    settlement.settle(finish(0))
    await asyncio.gather(*tasks)
    for number in range(1, 20):
        settlement.settle(finish(number))
    assert settlement.waiting == 20
    assert settlement.waiting_calls() == {f"call{number}" for number in range(20)}
    store.is_away = False
    async with asyncio.timeout(PATIENCE_SECONDS):
        while settlement.waiting:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)
    assert store.taken == [f"call{number}" for number in range(20)]
    await settlement.close()
    await reach.close()


async def test_calls_that_end_together_are_settled_together() -> None:
    store, tasks = Store(), set[asyncio.Task[None]]()
    store.is_away = False
    reach = StoreReach(store)  # type: ignore[arg-type]
    settlement = Settlement(store, reach, Volatile(), tasks.add)  # type: ignore[arg-type]
    for number in range(3):
        settlement.settle(finish(number))
    assert settlement.waiting_calls() == {"call0", "call1", "call2"}
    await asyncio.gather(*tasks)
    assert store.batches == [["call0", "call1", "call2"]]
    assert settlement.waiting_calls() == set()
    await settlement.close()


async def test_an_end_of_which_the_store_never_heard_the_start_is_on_disk_before_the_store_is_asked(
    tmp_path: Path,
) -> None:
    """Case H3, a neighbour: nothing else knows of such a call, and this process may be killed meanwhile."""
    store, tasks = Store(), set[asyncio.Task[None]]()
    store.is_away = False
    reach = StoreReach(store)  # type: ignore[arg-type]
    journal: Journal[CallFinish] = Journal(tmp_path / "journal", CODEC)
    settlement = Settlement(store, reach, journal, tasks.add)  # type: ignore[arg-type]
    settlement.settle(finish(0))  # is on its way
    settlement.settle(replace(finish(1), start=START))
    settlement.settle(replace(finish(2), start=START, is_started=True))
    (line,) = (tmp_path / "journal").read_bytes().splitlines()
    assert b"call1" in line
    async with asyncio.timeout(5):
        while len(store.taken) < 3:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)
    assert sorted(store.taken) == ["call0", "call1", "call2"]
    await settlement.close()


async def test_a_batch_that_the_store_refuses_is_settled_one_by_one() -> None:
    store, tasks = Store(), set[asyncio.Task[None]]()
    store.is_away, store.refused = False, {"call1"}
    reach = StoreReach(store)  # type: ignore[arg-type]
    settlement = Settlement(store, reach, Volatile(), tasks.add)  # type: ignore[arg-type]
    for number in range(3):
        settlement.settle(finish(number))
    await asyncio.gather(*tasks)
    assert store.taken == ["call0", "call2"]
    assert settlement.waiting == 0
    await settlement.close()


async def test_a_batch_that_the_store_does_not_take_is_kept_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switch.money.settlement._RETRY_SECONDS", 0.01)
    store, tasks = Store(), set[asyncio.Task[None]]()
    reach = StoreReach(store)  # type: ignore[arg-type]
    settlement = Settlement(store, reach, Volatile(), tasks.add)  # type: ignore[arg-type]
    for number in range(3):
        settlement.settle(finish(number))
    await asyncio.gather(*tasks)
    assert settlement.waiting == 3
    store.is_away = False
    async with asyncio.timeout(PATIENCE_SECONDS):
        while settlement.waiting:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)
    assert store.taken == ["call0", "call1", "call2"]
    await settlement.close()
    await reach.close()
