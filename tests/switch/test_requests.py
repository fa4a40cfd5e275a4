# SPDX-License-Identifier: Apache-2.0
"""Requests outside calls: what the switch answers itself, and what it passes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from switch.settings import MessageSettings
from switch.sip.user_agent import Arrived
from tests.switch.routing.test_gateways import carriers

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


@pytest.mark.parametrize(
    ("display", "shown"),
    [('"420777000020" ', "Alice"), ('"sip:boss@bank.example" ', "Alice"), ('"Desk" ', "Desk"), ("", "Alice")],
)
async def test_who_wrote_a_message_is_ours_to_say(world: World, display: str, shown: str) -> None:
    """Case L6: of an account, its number and a name that is none."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        lines = [("Content-Type", "text/plain"), ("Subject", "tea"), ("Reply-To", "<sip:906@x>"), ("Event", "talk")]
        lines += [("Call-Info", "<sip:x>;answer-after=0"), ("P-Asserted-Identity", "<sip:906@x>"), ("X-Reboot", "1")]
        message = alice.make("MESSAGE", uri(world, "102"), *lines, to="sip:boss@bank.example", body=b"hello")
        message.set("From", f"{display}<sip:101@{world.address[0]}>;tag=x")
        response, arrived = await asyncio.gather(alice.authenticated(message), answer_next(bob))
        seen = arrived.request
        assert (seen.from_.display, seen.from_.uri.user, seen.to.uri.user) == (shown, "101", "102")
        assert {"Subject", "Content-Type"} <= {name for name, _ in seen.headers}
        assert {name for name, _ in seen.headers}.isdisjoint(name for name, _ in lines[2:])
        assert (response.status, response.from_.display) == (200, message.from_.display)


async def test_a_message_of_a_carriers_caller_has_the_number_that_the_carrier_vouches_for(world: World) -> None:
    """Case L6, from outside."""
    async with carriers(world) as (carrier, _), world.phone("102") as bob:
        await bob.register()
        for private, user in (((), "42075553333"), ((("Privacy", "id"),), "anonymous")):
            identity = ("P-Asserted-Identity", '"Carol" <sip:+42075553333@carrier>')
            message = carrier.make(
                "MESSAGE", uri(world, "102"), identity, *private, ("Content-Type", "text/plain"), body=b"x"
            )
            message.set("From", f"<sip:101@{world.address[0]}>;tag=x")
            response, arrived = await asyncio.gather(carrier.request(message), answer_next(bob))
            assert (response.status, arrived.request.from_.uri.user) == (200, user)
            assert arrived.request.get("P-Asserted-Identity") is None


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("message/cpim", b"From: <sip:boss@bank.example>\r\n\r\nhello", 415),
        ("text/html", b"<img src=http://x>", 415),
        ("message/external-body", b"", 200),
        ("application/x-sonus-reboot", b"x", 415),
        ("text/plain;charset=utf-8", b"x", 200),
        ("application/im-iscomposing+xml", b"<isComposing/>", 200),
        ("text/plain", b"x" * 1301, 413),
    ],
)
async def test_a_message_is_a_short_text(world: World, kind: str, body: bytes, status: int) -> None:
    """Neighbour of L6: what a message carries makes no phone fetch, show or believe anything else."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        message = alice.make("MESSAGE", uri(world, "102"), ("Content-Type", kind), body=body)
        if status == 200:
            response, _ = await asyncio.gather(alice.authenticated(message), answer_next(bob))
        else:
            response = await alice.authenticated(message)
        assert response.status == status


@pytest.mark.parametrize("status", [302, 401, 407])
async def test_a_phone_neither_sends_the_writer_elsewhere_nor_asks_for_his_password(world: World, status: int) -> None:
    """Neighbour of L6 and A1."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        message = alice.make("MESSAGE", uri(world, "102"), ("Content-Type", "text/plain"), body=b"hello")
        response, _ = await asyncio.gather(alice.authenticated(message), answer_next(bob, status))
        assert (response.status, response.get("Contact")) == (480, None)


async def test_messages_come_at_a_measured_pace_from_one_sender_and_to_one_account(world: World) -> None:
    """Case L6: so many a minute, also of those that reach nobody."""
    world.switch._take_over(
        replace(world.switch.settings, messages=MessageSettings(from_one=3, to_one=4, per_seconds=600))
    )
    async with world.phone("101") as alice, world.phone("103") as carol:
        for _ in range(3):
            assert (await alice.authenticated(alice.make("MESSAGE", uri(world, "102")))).status == 480
        response = await alice.authenticated(alice.make("MESSAGE", uri(world, "999")))
        assert response.status == 480  # not 404
        assert 1 <= int(response.get("Retry-After") or 0) <= 600
        first = await carol.authenticated(carol.make("MESSAGE", uri(world, "102")))
        second = await carol.authenticated(carol.make("MESSAGE", uri(world, "102")))
        assert first.get("Retry-After") is None
        assert second.get("Retry-After") is not None
        assert (await carol.authenticated(carol.make("MESSAGE", uri(world, "104")))).get("Retry-After") is None


@pytest.mark.parametrize(("user", "status"), [("102", 480), ("777", 404)])
async def test_a_message_to_nobody(world: World, user: str, status: int) -> None:
    async with world.phone("101") as alice:
        assert (await alice.authenticated(alice.make("MESSAGE", uri(world, user), body=b""))).status == status


@pytest.mark.parametrize(("method", "status"), [("SUBSCRIBE", 489), ("REFER", 403), ("NOTIFY", 481), ("FOO", 501)])
async def test_what_is_not_served_is_refused(world: World, method: str, status: int) -> None:
    async with world.phone("101") as alice:
        assert (await alice.request(alice.make(method, uri(world, "102")))).status == status


async def test_an_unknown_extension_is_refused_by_name(world: World) -> None:
    async with world.phone("101") as alice:
        response = await alice.request(alice.make("OPTIONS", uri(world), ("Require", "telepathy")))
        assert (response.status, response.get("Unsupported")) == (420, "telepathy")
