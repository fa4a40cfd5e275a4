# SPDX-License-Identifier: Apache-2.0
"""A top-up during a call is known to the call at once, by whichever door it comes; one of others asks nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from switch.calls.call import Call
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio
TOP_UP = "SELECT post_entry('a top-up', balance_id, $1, 'topup', '') FROM billing_account WHERE number = '105'"


async def short_call(world: World, alice: Phone, paid: Phone) -> Call:
    """A call of 105 that knows that its funds end in twenty seconds."""
    await paid.register()
    await alice.call("201")
    await paid.answer()
    await alice.connected()
    (call,) = world.switch.control.calls.values()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (call.payment.credit and call.payment.credit.exhausted):  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)
    return call


async def test_a_call_that_is_short_lasts_longer_from_the_moment_of_the_top_up(world: World) -> None:
    async with world.phone("105") as alice, world.phone("201") as paid:
        call = await short_call(world, alice, paid)
        credit = call.payment.credit
        assert credit is not None
        assert credit.paid_seconds is not None
        before = credit.paid_seconds
        await world.sql.execute(TOP_UP, 5)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while credit.paid_seconds <= before:  # noqa: ASYNC110 (nothing announces it)
                await asyncio.sleep(0.01)
        assert not credit.exhausted


async def test_a_top_up_of_another_account_asks_nothing(world: World) -> None:
    async with world.phone("105") as alice, world.phone("201") as paid:
        call = await short_call(world, alice, paid)
        steps = len(call.trace.read())
        await world.sql.execute(TOP_UP.replace("'a top-up'", "'another'").replace("'105'", "'101'"), 5)
        await world.sql.execute("SELECT pg_notify('softswitch', 'account:101')")
        await asyncio.sleep(0.2)
        assert len(call.trace.read()) == steps
