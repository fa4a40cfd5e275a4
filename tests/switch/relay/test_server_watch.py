# SPDX-License-Identifier: Apache-2.0
"""Calls with a media server that has died are ended; a phone of ours stands at its address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from switch.relay import server_watch
from switch.sip.session import Acknowledged, Ended
from switch.sip.user_agent import Arrived
from tests.switch.following import call_from_media, media, settings
from tests.switch.phone import Phone, sdp

if TYPE_CHECKING:
    from switch.relay.server_watch import ServerWatch
    from tests.switch.conftest import World

__all__ = ["media", "settings"]
pytestmark = pytest.mark.asyncio


async def asked(world: World, watch: ServerWatch, media: Phone, *uptime: str, answers: bool = False) -> None:
    """The watch asks; the media server answers that it has been there for so long. Without a time it is silent, unless
    it `answers` all the same."""
    assert world.switch.settings.media_server is not None
    asking = asyncio.create_task(watch.ask(world.switch.settings.media_server))
    arrived = await media.expect(Arrived)
    assert arrived.request.method == "OPTIONS"
    if uptime or answers:
        response = arrived.request.response(200, to_tag="there", headers=[("Uptime", value) for value in uptime])
        media.perform(media.agent.layer.respond(arrived.transaction, response, media.now()))
    await asking


async def listening(caller: Phone, media: Phone) -> None:
    """A call to an application."""
    await caller.call("*98")
    invite = await media.ringing()
    media.perform(invite.accept(media.now(), body=sdp(41000)))
    await caller.connected()
    await media.expect(Acknowledged)


async def test_a_call_with_a_media_server_that_began_after_it_is_ended(world: World, media: Phone) -> None:
    async with world.phone("101") as alice:
        await listening(alice, media)
        watch = world.switch.server_watch()
        await asked(world, watch, media, "3600.0")
        assert len(world.switch.control.calls) == 1
        await asked(world, watch, media, "0.000")
        ended = await alice.expect(Ended)
        assert ended.reason == "bye"
    [record] = await world.settled()
    assert (record["ended_by"], record["amount"]) == ("media", 0)


async def test_a_call_that_a_dead_media_server_had_made_costs_nothing_any_more(world: World, media: Phone) -> None:
    async with world.phone("104") as dave:
        await dave.register()
        await call_from_media(world, media, "104", "105", "105")
        incoming = await dave.ringing()
        dave.perform(incoming.accept(dave.now(), body=sdp(42000)))
        await media.connected()
        await asked(world, world.switch.server_watch(), media, "0.000")
        await dave.expect(Ended)
    [record] = await world.settled()
    assert record["ended_by"] == "media"


async def test_calls_with_others_go_on(world: World, media: Phone) -> None:
    async with world.phone("101") as alice, world.phone("104") as dave:
        await dave.register()
        await alice.call("104")
        incoming = await dave.ringing()
        dave.perform(incoming.accept(dave.now(), body=sdp(42000)))
        answered = await alice.connected()
        await asked(world, world.switch.server_watch(), media, "0.000")
        assert len(world.switch.control.calls) == 1
        alice.perform(answered.session.bye(alice.now()))
    await world.settled()


async def test_a_media_server_is_dead_that_has_been_silent_for_long_and_not_before(
    world: World, media: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_watch, "PATIENCE_SECONDS", 0.01)
    async with world.phone("101") as alice:
        await listening(alice, media)
        watch = world.switch.server_watch()
        for _ in range(server_watch.MOST_SILENCES - 1):
            await asked(world, watch, media)
        monkeypatch.setattr(server_watch, "PATIENCE_SECONDS", 3.0)
        await asked(world, watch, media, "3600.0")
        monkeypatch.setattr(server_watch, "PATIENCE_SECONDS", 0.01)
        for _ in range(server_watch.MOST_SILENCES - 1):
            await asked(world, watch, media)
        assert len(world.switch.control.calls) == 1
        await asked(world, watch, media)
        await alice.expect(Ended)
    await world.settled()


@pytest.mark.parametrize("said", [(), ("",), ("soon",), ("-1",), ("nan",), ("1e999",)])
async def test_a_media_server_of_another_make_need_not_tell_its_age(
    world: World, media: Phone, said: tuple[str, ...]
) -> None:
    async with world.phone("101") as alice:
        await listening(alice, media)
        watch = world.switch.server_watch()
        await asked(world, watch, media, *said, answers=True)
        assert len(world.switch.control.calls) == 1
        await asked(world, watch, media, "0.000")
        await alice.expect(Ended)
    await world.settled()
