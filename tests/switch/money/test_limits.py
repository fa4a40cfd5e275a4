# SPDX-License-Identifier: Apache-2.0
"""What a caller hears of limits; that they hold is proven in tests/billing/calls/test_limits.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from switch.sip.session import Ended, Failed

if TYPE_CHECKING:
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio


async def refusal(phone: Phone, dialled: str) -> int:
    """How a call fails."""
    await phone.call(dialled)
    return (await phone.expect(Failed)).response.status


async def test_a_debit_account_makes_one_call_at_a_time_and_may_be_called_meanwhile(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        for phone in (alice, bob, carol):
            await phone.register()
        await alice.call("102")
        await bob.answer()
        answered = await alice.connected()
        assert await refusal(alice, "103") == 486
        await carol.call("101")
        await alice.answer()
        alice.perform(answered.session.bye(alice.now()))
        await bob.expect(Ended)


async def test_a_customer_at_its_spending_limit_is_refused_and_then_blocked(world: World) -> None:
    await world.sql.execute("UPDATE billing_customer SET daily_limit = 0, daily_action = 'lock'")
    async with world.phone("102") as bob, world.phone("201") as paid:
        await paid.register()
        assert await refusal(bob, "201") == 402
        assert await refusal(bob, "201") == 403
        await world.sql.execute("UPDATE billing_customer SET state = 'active'")
        await bob.call("201")
        await paid.ringing()
