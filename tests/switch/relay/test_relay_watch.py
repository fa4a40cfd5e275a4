# SPDX-License-Identifier: Apache-2.0
"""Calls whose relay dies end, and cost nothing from then on; a step of the clock moves no call's duration."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from switch.relay import ng
from switch.relay import watch as relay_watch
from switch.settings import RelaySettings
from switch.sip.session import Ended, Failed
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port, media_ports
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from switch.settings import SwitchSettings
    from tests.patience import Lived
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

PROGRAM = """
import asyncio, sys
from media.app import run
from media.settings import MediaSettings
ng, first, last = map(int, sys.argv[1:])
settings = MediaSettings(ng=("127.0.0.1", ng), rtp_host="127.0.0.1", rtp_ports=(first, last))
ready = lambda: print("ready", flush=True)
asyncio.run(run(settings, ready=ready, stop=asyncio.Event(), reloads=asyncio.Queue()))
"""


class RelayProcess:
    """A relay that can be killed and started again at the same address."""

    def __init__(self) -> None:
        self.address = "127.0.0.1", free_port()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes commands."""
        numbers = self.address[1], *media_ports("relay")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, *map(str, numbers), stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None


@pytest_asyncio.fixture
async def relay(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RelayProcess]:
    """A relay in a process of its own; the switch is less patient than usual."""
    monkeypatch.setattr(relay_watch, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(ng, "_TRY_SECONDS", (0.1, 0.2, 0.3))
    process = RelayProcess()
    await process.start()
    yield process
    await process.kill()


@pytest.fixture
def settings(settings: SwitchSettings, request: pytest.FixtureRequest) -> SwitchSettings:
    """With that relay, for those who ask for one."""
    if "relay" not in request.fixturenames:
        return settings
    relay: RelayProcess = request.getfixturevalue("relay")
    return replace(settings, relay=RelaySettings(addresses=(relay.address,), query_seconds=5.0))


async def talking(world: World, caller: Phone, callee: Phone) -> None:
    """A paid call that is answered."""
    await callee.register()
    await caller.call("201")
    incoming = await callee.ringing()
    callee.perform(incoming.accept(callee.now(), body=sdp(42000)))
    await caller.connected()


def health(world: World) -> tuple[int, object]:
    status, _, body = world.switch.pages.health()
    return status, json.loads(body)["relays_away"]


async def test_calls_end_whose_relay_was_killed_and_the_silence_is_free(
    world: World, relay: RelayProcess, lived: Lived
) -> None:
    """Case H2."""
    async with world.phone("101") as alice, world.phone("201") as paid:
        await talking(world, alice, paid)
        assert health(world) == (200, [])
        await asyncio.sleep(0.5)
        await relay.kill()
        killed_at = datetime.now(UTC)
        assert (await alice.expect(Ended)).reason == "bye"
        assert (await paid.expect(Ended)).reason == "bye"
        [record] = await world.settled()
        assert record["ended_by"] == "media"
        assert record["ended_at"] - killed_at > timedelta(seconds=1.5), "four silences"
        assert record["billed_seconds"] == 1, "what came after the relay's last word is not charged"
        assert record["amount"] == Decimal("0.01")
        assert health(world) == (503, [f"127.0.0.1:{relay.address[1]}"])
        began = lived.seconds
        await alice.call("201")
        assert (await alice.expect(Failed)).response.status == 503
        assert lived.seconds - began < 1.0
        await relay.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while health(world) != (200, []):  # noqa: ASYNC110 (the watch's doing)
                await asyncio.sleep(0.05)


async def test_a_relay_that_comes_back_without_the_call_ends_it_at_once(
    world: World, relay: RelayProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case H2: nobody waits until calls are asked about in any case."""
    monkeypatch.setattr(relay_watch, "MOST_SILENCES", 1000)
    async with world.phone("101") as alice, world.phone("201") as paid:
        await talking(world, alice, paid)
        await relay.kill()
        await asyncio.sleep(0.8)
        assert len(world.switch.control.calls) == 1
        await relay.start()
        came_back = alice.now()
        await alice.expect(Ended)
        await paid.expect(Ended)
        assert alice.now() - came_back < 2.0
    [record] = await world.settled()
    assert (record["ended_by"], record["billed_seconds"]) == ("media", 1)


async def test_calls_with_a_living_relay_are_asked_about_although_another_is_dead(
    world: World, relay: RelayProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case H2, a neighbour: a relay drops calls that nobody asks about."""
    switch_relay = world.switch.relay
    assert isinstance(switch_relay, ng.NgRelay)
    switch_relay.addresses = (("127.0.0.1", free_port()), relay.address)
    asked: list[str] = []
    query = switch_relay.query

    async def noting(call_id: str) -> object:
        asked.append(call_id)
        return await query(call_id)

    async with world.phone("101") as alice, world.phone("201") as paid:
        await talking(world, alice, paid)
        monkeypatch.setattr(switch_relay, "query", noting)
        [call_id] = world.switch.control.calls
        assert switch_relay.relay_of(call_id) == relay.address
        await world.switch.relay_watch().ask_calls(switch_relay)
        assert asked == [call_id]
        world.switch.control.disconnect(call_id, "enough")
        await alice.expect(Ended)


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_step_of_the_clock_within_a_call_moves_none_of_its_durations(world: World, hours: int) -> None:
    """Case H4: instants are the wall's, as it was when the call began; what lies between is monotonic."""
    async with world.phone("101") as alice, world.phone("201") as paid:
        await paid.register()
        before = datetime.now(UTC)
        await alice.call("201")
        incoming = await paid.ringing()
        world.switch.shared.utc = lambda: datetime.now(UTC) + timedelta(hours=hours)
        paid.perform(incoming.accept(paid.now(), body=sdp(42000)))
        answered = await alice.connected()
        [call] = world.switch.control.calls.values()
        assert timedelta() <= call.utc() - call.started_at < timedelta(seconds=10)
        await asyncio.sleep(0.2)
        alice.perform(answered.session.bye(alice.now()))
        await paid.expect(Ended)
    [record] = await world.settled()
    assert before <= record["started_at"] <= record["answered_at"]
    assert timedelta(seconds=0.1) < record["ended_at"] - record["answered_at"] < timedelta(seconds=10)
    assert record["answered_at"] - record["started_at"] < timedelta(seconds=10)
    assert record["billed_seconds"] == 1
