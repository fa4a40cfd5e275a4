# SPDX-License-Identifier: Apache-2.0
"""The clock of the switch's machine, or of the store's, is set by an hour while phones are registered and calls run."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from billing_client import calls
from switch.sip.session import Ended

if TYPE_CHECKING:
    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio

HOURS = pytest.mark.parametrize("hours", [1, -1])


def set_machine_clock(world: World, monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """Whatever asks this process for the wall's time gets another one."""
    right = time.time

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(right() + hours * 3600, UTC)

    monkeypatch.setattr(time, "time", lambda: right() + hours * 3600)
    monkeypatch.setattr(world.switch.store.clock, "_wall", time.time)
    for module in ("switch.access.subscribers", "billing_client.store"):
        monkeypatch.setattr(f"{module}.datetime", Wrong, raising=False)


async def set_store_clock(world: World, monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """As far as the switch can see: what the store keeps ends so much earlier, and it says another time."""
    step = timedelta(hours=hours)
    await world.sql.execute("UPDATE billing_binding SET expires_at = expires_at - $1::interval", step)
    await world.sql.execute("UPDATE billing_subscription SET expires_at = expires_at - $1::interval", step)
    later = f"SELECT clock_timestamp() + interval '{hours} hours' AS at FROM heartbeat($1)"
    monkeypatch.setattr(calls, "HEARTBEAT", later)


async def quiet(world: World) -> None:
    """Wait until all is written."""
    async with asyncio.timeout(5):
        while world.switch.location.unwritten or world.switch.lamp.unwritten:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.02)


@HOURS
async def test_a_phone_is_called_and_logs_in_as_ever_when_the_machines_clock_was_set(
    world: World, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Case H4: neither bindings nor nonces nor records go by the clock of the machine."""
    monkeypatch.setattr("switch.registrar.bindings._SETTLED_SECONDS", 0.0)
    async with world.phone("201") as bob, world.phone("101") as alice:
        await bob.register()
        await quiet(world)
        before = datetime.now(UTC)
        set_machine_clock(world, monkeypatch, hours)
        await alice.call("201")
        await bob.answer()
        answered = await alice.connected()
        alice.perform(answered.session.bye(alice.now()))
        await bob.expect(Ended)
        response = await bob.register()
        assert 290 <= int((response.get("Contact") or "").rpartition("expires=")[2].split(";")[0]) <= 300
        await quiet(world)
        left = await world.sql.fetchval("SELECT max(expires_at) - now() FROM billing_binding WHERE aor = '201'")
        assert timedelta(seconds=280) < left <= timedelta(seconds=301)
    [record] = await world.settled()
    assert before <= record["started_at"] <= record["answered_at"] <= record["ended_at"]
    assert record["ended_at"] - before < timedelta(seconds=20)


@HOURS
async def test_a_registered_phone_is_not_lost_when_the_stores_clock_was_set(
    world: World, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Case H4: before the switch has heard of it, while rows are written anew, and afterwards."""
    monkeypatch.setattr("switch.registrar.bindings._SETTLED_SECONDS", 0.0)
    async with world.phone("201") as bob, world.phone("101") as alice:
        await bob.register()
        await quiet(world)
        ends_at = await world.sql.fetchval("SELECT expires_at FROM billing_binding WHERE aor = '201'")
        await set_store_clock(world, monkeypatch, hours)
        set_machine_clock(world, monkeypatch, hours)  # both on one machine, as `softswitch up` has it
        for _ in range(2):
            await alice.call("201")
            await bob.answer()
            answered = await alice.connected()
            alice.perform(answered.session.bye(alice.now()))
            await bob.expect(Ended)
            await world.switch.store.heartbeat()
        await quiet(world)
        anew = await world.sql.fetchval("SELECT expires_at FROM billing_binding WHERE aor = '201'")
        assert abs(anew - ends_at - timedelta(hours=hours)) < timedelta(seconds=1)


async def test_a_phone_that_is_gone_does_not_come_back_when_the_stores_clock_was_set_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case H4: rows that had ended live again by the new clock; the node that wrote them takes them out."""
    monkeypatch.setattr("switch.registrar.bindings._SETTLED_SECONDS", 0.0)
    async with world.phone("201") as bob:
        await bob.register()
        await quiet(world)
        await world.sql.execute(
            "INSERT INTO billing_binding SELECT '102', 'gone', contact, received, path, now() - interval '1 minute', q,"
            " call_id, cseq, instance, reg_id, user_agent, node, socket FROM billing_binding WHERE aor = '201'"
        )
        await set_store_clock(world, monkeypatch, -1)
        await world.switch.store.heartbeat()
        async with asyncio.timeout(5):
            while await world.sql.fetchval("SELECT count(*) FROM billing_binding WHERE aor = '102'"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await world.sql.fetchval("SELECT count(*) FROM billing_binding WHERE aor = '201'") == 1


@HOURS
async def test_a_call_whose_switch_dies_after_the_step_is_charged_for_what_it_lasted(
    world: World, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Case H4: it began and was answered so much earlier or later by the clock that the last heartbeat is told by."""
    async with world.phone("101") as alice, world.phone("201") as bob:
        await bob.register()
        await alice.call("201")
        await bob.answer()
        answered = await alice.connected()
        await set_store_clock(world, monkeypatch, hours)
        await world.switch.store.heartbeat()
        async with asyncio.timeout(5):
            while True:
                moments = [
                    await world.sql.fetchval(f"SELECT {moment} FROM billing_activecall")
                    for moment in ("started_at", "answered_at")
                ]
                expected = datetime.now(UTC) + timedelta(hours=hours)
                if None not in moments and all(abs(at - expected) < timedelta(seconds=15) for at in moments):
                    break
                await asyncio.sleep(0.05)
        alice.perform(answered.session.bye(alice.now()))
        await bob.expect(Ended)
    [record] = await world.settled()
    assert record["started_at"] <= record["answered_at"] <= record["ended_at"]
    assert record["ended_at"] - record["started_at"] < timedelta(seconds=30)
    assert record["billed_seconds"] <= 20
