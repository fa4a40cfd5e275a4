# SPDX-License-Identifier: Apache-2.0
"""Calls go by reference count: what the garbage collector had to find would stop a busy switch."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from switch.call.call import Call
from switch.sip.session import Acknowledged, Ended, Failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Nothing is freed but by its reference count."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def calls() -> int:
    """How many calls are in memory."""
    return sum(type(found) is Call for found in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
async def test_a_call_that_was_hung_up_is_gone(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        incoming = await bob.ringing()
        bob.perform(incoming.accept(bob.now()))
        answered = await alice.connected()
        await bob.expect(Acknowledged)
        assert calls() == 1
        alice.perform(answered.session.bye(alice.now()))
        await bob.expect(Ended)
        await world.settled()
        await asyncio.sleep(0)
        assert calls() == 0


@pytest.mark.usefixtures("no_collector")
async def test_a_call_that_was_refused_is_gone(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        bob.perform((await bob.ringing()).reject(486, bob.now()))
        assert (await alice.expect(Failed)).response.status == 486
        await world.settled()
        await asyncio.sleep(0)
        assert calls() == 0
