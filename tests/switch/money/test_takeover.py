# SPDX-License-Identifier: Apache-2.0
"""Two switches on one store: when one falls silent the other settles its calls; when it comes back it ends them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from switch.app import Switch
from switch.settings import CreditSettings
from switch.sip.session import Ended
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from switch.settings import SwitchSettings
    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio

SILENT_SECONDS = 35.0
TURN = 0.05


@asynccontextmanager
async def second_switch(settings: SwitchSettings) -> AsyncIterator[Switch]:
    """Another node on the same store."""
    switch = Switch(replace(settings, node="second"))
    await switch.start()
    try:
        yield switch
    finally:
        await switch.control.drain(0.1)
        await switch.close()


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Periodic work, in turns shorter than those of a switch."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def fall_silent(world: World, seconds: float) -> None:
    """Make it as if the first switch had said nothing for so long, and the second had been heard all the time."""
    await world.sql.execute(
        "UPDATE billing_node SET heartbeat_at = now() - make_interval(secs => $1) WHERE name = 'test'", seconds
    )
    await world.sql.execute("UPDATE billing_node SET steady_at = now() - interval '1 h' WHERE name = 'second'")


async def settled(world: World) -> None:
    """Wait until no call is live in the store."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await world.sql.fetchval("SELECT count(*) FROM billing_activecall"):  # noqa: ASYNC110
            await asyncio.sleep(TURN)


async def test_a_silent_switch_is_settled_by_the_other_and_hangs_up_when_it_is_back(
    world: World, settings: SwitchSettings
) -> None:
    async with second_switch(settings) as second, world.phone("102") as bob, world.phone("201") as paid:
        await paid.register()
        await bob.call("201")
        await paid.answer()
        await bob.connected()
        await fall_silent(world, SILENT_SECONDS + 1)
        async with running(second.control.take_over(TURN, SILENT_SECONDS)):
            await settled(world)
        assert world.switch.control.calls  # the dead one does not know yet
        async with running(world.switch.control.beat(TURN)):
            ended = await bob.expect(Ended)
            await paid.expect(Ended)
        assert ended.request is not None
        assert "another switch" in (ended.request.get("Reason") or "")
        (xdr,) = await world.settled()
        assert (xdr["ended_by"], xdr["amount"]) == ("orphan", 0)
        (correction,) = await world.sql.fetch("SELECT * FROM billing_correction")
        assert correction["ended_by"] == "failure"
        assert correction["amount"] == Decimal(correction["billed_seconds"]) / 100
        assert await world.balance("102") == 5 - correction["amount"]
        assert await world.sql.fetch("SELECT * FROM audit()") == []


async def test_a_switch_that_is_back_keeps_the_calls_that_it_began_since(
    world: World, settings: SwitchSettings
) -> None:
    async with second_switch(settings) as second, world.phone("102") as bob, world.phone("201") as paid:
        await fall_silent(world, SILENT_SECONDS + 1)
        async with running(second.control.take_over(TURN, SILENT_SECONDS)):
            await asyncio.sleep(4 * TURN)
            await paid.register()
            await bob.call("201")
            await paid.answer()
            answered = await bob.connected()
            async with running(world.switch.control.beat(TURN)):
                await asyncio.sleep(6 * TURN)
        assert len(world.switch.control.calls) == 1
        bob.perform(answered.session.bye(bob.now()))
        await paid.expect(Ended)
        (xdr,) = await world.settled()
        assert xdr["ended_by"] == "caller"


async def test_asking_for_the_next_slice_of_a_call_that_was_taken_over_ends_it(
    world: World, settings: SwitchSettings
) -> None:
    world.switch.settings = replace(settings, credit=CreditSettings(slice_seconds=4))
    async with second_switch(settings) as second, world.phone("102") as bob, world.phone("201") as paid:
        await paid.register()
        await bob.call("201")
        await paid.answer()
        await bob.connected()
        answered = bob.now()
        await fall_silent(world, SILENT_SECONDS + 1)
        assert await second.store.adopt_orphans(SILENT_SECONDS) == 1
        await bob.expect(Ended)
        assert bob.now() - answered < 3.5  # before the time is over that had been paid
        await world.settled()
        assert await world.sql.fetch("SELECT * FROM audit()") == []
