# SPDX-License-Identifier: Apache-2.0
"""Calls go by reference count: what the garbage collector had to find would stop a busy switch."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from switch.calls.call import Call
from switch.sip.session import Acknowledged, Ended, Failed
from switch.trace import recorder
from tests.growth import Growth
from tests.quick import QuickPhone
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio

TIMES = 100


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
        bob.perform(incoming.accept(bob.now(), body=sdp()))
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


async def call(world: World, phones: Phones) -> int:
    """A call that is answered, hung up and paid for: the account may have one at a time."""
    status = await phones.caller.call(uri(world, "102"), most_seconds=0.05)
    while world.switch.control.calls:  # noqa: ASYNC110 (nothing announces it)
        await asyncio.sleep(0.01)
    await world.switch.core.settle()
    return status


async def unheard(world: World, phones: Phones) -> int:
    """A call to an account without a phone."""
    return await phones.caller.call(uri(world, "103"), most_seconds=0.05)


async def registration(world: World, phones: Phones) -> int:
    """A binding that is refreshed."""
    return await phones.caller.register("101")


async def wrong_password(world: World, phones: Phones) -> int:
    """A login that fails."""
    return await phones.stranger.register("103")


async def message(world: World, phones: Phones) -> int:
    """A text that is delivered."""
    lines = ("Content-Type", "text/plain")
    return await phones.caller.send("MESSAGE", uri(world, "102"), lines, body=b"hello")


async def probe(world: World, phones: Phones) -> int:
    """An OPTIONS."""
    return await phones.caller.send("OPTIONS", uri(world, "102"))


@dataclass(frozen=True, slots=True)
class Phones:
    """Of 101, of 102, and of somebody who does not know the password of 103."""

    caller: QuickPhone
    callee: QuickPhone
    stranger: QuickPhone


def uri(world: World, number: str) -> str:
    """A number at the switch."""
    host, port = world.address
    return f"sip:{number}@{host}:{port}"


@pytest.mark.parametrize(
    ("does", "status"),
    [(call, 200), (unheard, 480), (registration, 200), (wrong_password, 401), (message, 200), (probe, 200)],
    ids=lambda one: getattr(one, "__name__", one),
)
async def test_what_phones_do_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, does: Callable[[World, Phones], Awaitable[int]], status: int
) -> None:
    """After a hundred thousand of it the switch is no larger than after ten thousand."""
    monkeypatch.setattr(recorder, "SETTLED_SECONDS", 0.0)  # what happened in a call is kept at hand for a while
    async with (
        QuickPhone(world.address, "101", world.passwords["101"]) as caller,
        QuickPhone(world.address, "102", world.passwords["102"]) as callee,
        QuickPhone(world.address, "103", "wrong") as stranger,
    ):
        phones = Phones(caller, callee, stranger)
        assert await callee.register("102") == 200
        growth = Growth()
        with growth.uncollected():
            for _ in range(20):
                assert await does(world, phones) == status
            await all_over(world)
            growth.begin()
            for _ in range(TIMES):
                await does(world, phones)
            await all_over(world)
            assert growth.by_kind(TIMES) == {}


async def all_over(world: World) -> None:
    """Wait for calls, records and transactions to have ended; the clock of the last is set forward."""
    await world.settled()
    await world.switch.recorder.flush()
    core = world.switch.core
    for minutes in range(1, 4):
        core.perform(core.agent.handle_timer(core.now() + 60 * minutes))
    await asyncio.sleep(recorder.TICK_SECONDS + 0.2)
