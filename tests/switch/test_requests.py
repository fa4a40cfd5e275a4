# SPDX-License-Identifier: Apache-2.0
"""Requests outside calls: what the switch answers itself, and what it passes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from switch.sip.user_agent import Arrived

if TYPE_CHECKING:
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio


def uri(world: World, user: str = "") -> str:
    """An address at the switch."""
    host, port = world.address
    return f"sip:{user}@{host}:{port}" if user else f"sip:{host}:{port}"


async def answer_next(phone: Phone, status: int = 200) -> Arrived:
    """Answer the next request to a phone."""
    arrived = await phone.expect(Arrived)
    response = arrived.request.response(status, to_tag="there")
    phone.perform(phone.agent.layer.respond(arrived.transaction, response, phone.now()))
    return arrived


async def test_options_to_the_switch_tells_what_it_can(world: World) -> None:
    async with world.phone("101") as alice:
        response = await alice.request(alice.make("OPTIONS", uri(world)))
        assert response.status == 200
        assert "INVITE" in (response.get("Allow") or "")
        assert "100rel" in (response.get("Supported") or "")


async def test_a_message_reaches_the_phone_and_its_answer_comes_back(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        message = alice.make("MESSAGE", uri(world, "102"), ("Content-Type", "text/plain"), body=b"hello")
        response, arrived = await asyncio.gather(alice.authenticated(message), answer_next(bob))
        assert response.status == 200
        assert arrived.request.body == b"hello"
        assert arrived.request.max_forwards == 69
        assert arrived.request.get("Proxy-Authorization") is None


async def test_a_message_needs_a_login_and_the_senders_own_name(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        message = alice.make("MESSAGE", uri(world, "102"), body=b"")
        assert (await alice.request(message.copy())).status == 407
        message.set("From", f"<sip:103@{world.address[0]}>;tag=x")
        assert (await alice.authenticated(message)).status == 403


@pytest.mark.parametrize(("user", "status"), [("102", 480), ("777", 404)])
async def test_a_message_to_nobody(world: World, user: str, status: int) -> None:
    async with world.phone("101") as alice:
        assert (await alice.authenticated(alice.make("MESSAGE", uri(world, user), body=b""))).status == status


@pytest.mark.parametrize(("method", "status"), [("SUBSCRIBE", 489), ("REFER", 405), ("FOO", 501)])
async def test_what_is_not_served_is_refused(world: World, method: str, status: int) -> None:
    async with world.phone("101") as alice:
        assert (await alice.request(alice.make(method, uri(world, "102")))).status == status


async def test_an_unknown_extension_is_refused_by_name(world: World) -> None:
    async with world.phone("101") as alice:
        response = await alice.request(alice.make("OPTIONS", uri(world), ("Require", "telepathy")))
        assert (response.status, response.get("Unsupported")) == (420, "telepathy")
