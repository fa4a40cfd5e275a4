# SPDX-License-Identifier: Apache-2.0
"""Carriers that want registration, have two addresses, or fall silent: what each side sees of a whole switch."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from switch.settings import RoutingSettings
from switch.sip.message.message import Request
from switch.sip.session import Failed
from switch.sip.user_agent import Arrived, Invited
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from tests.switch.carrier_doubles import OUTSIDE, carriers, name_server
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.patience import Lived
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

CHALLENGE = ("WWW-Authenticate", 'Digest realm="carrier", nonce="abc", algorithm=MD5, qop="auth"')


async def wants_registration(world: World, more: str = "") -> None:
    """The first gateway wants us to register."""
    await world.sql.execute(
        "UPDATE billing_gateway SET registers = true, username = '420111222333', password = 'secret'"
        f"{more} WHERE name = 'sample-carrier'"
    )
    await world.routes_reloaded()


async def asked(carrier: Phone, status: int, *lines: tuple[str, str]) -> Request:
    """Answer the next request outside calls."""
    arrived = await carrier.expect(Arrived)
    response = arrived.request.response(status, to_tag="t", headers=lines)
    carrier.perform(carrier.agent.layer.respond(arrived.transaction, response, carrier.now()))
    return arrived.request


async def declined(carrier: Phone, caller: Phone) -> None:
    """The next call comes to a carrier, and ends there."""
    invite = (await carrier.expect(Invited)).invite
    carrier.perform(invite.reject(486, carrier.now()))
    assert (await caller.expect(Failed)).response.status == 486


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so that nothing announces."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def register(world: World, carrier: Phone) -> Request:
    """We register there."""
    await asked(carrier, 401, CHALLENGE)
    request = await asked(carrier, 200, ("Expires", "600"))
    await until(lambda: world.switch.lines.all()[0].registered)
    return request


async def test_a_carrier_that_wants_it_has_us_registered_and_its_calls_to_our_contact_come_in(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        await world.sql.execute(
            "INSERT INTO billing_alias (name, account_id) SELECT '420111222333', id FROM billing_account"
            " WHERE number = '101'"
        )
        await wants_registration(world)
        request = await register(world, first)
        assert request.to.uri.user == "420111222333"
        assert 'username="420111222333"' in (request.get("Authorization") or "")
        contact = request.contact
        assert contact is not None
        line = contact.uri.user or ""
        assert contact.uri.port == world.address[1]
        invite = first.make(
            "INVITE",
            f"sip:{line}@127.0.0.1:{world.address[1]}",
            ("P-Asserted-Identity", "<sip:+42075553333@carrier>"),
            ("Content-Type", "application/sdp"),
            to="sip:+420111222333@carrier",
            body=sdp(),
        )
        first.perform(first.agent.invite(invite, first.flow, natted=False, owner=first).start(first.now()))
        rung = await alice.ringing()
        assert rung.request.from_.uri.user == "42075553333"


async def test_a_stranger_who_knows_our_contact_at_a_carrier_is_no_carrier(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("103", "wrong") as stranger:
        await wants_registration(world)
        line = ((await register(world, first)).contact or first.make("X", "sip:x").to).uri.user or ""
        for user, lines in ((line, ()), (OUTSIDE, (("P-Asserted-Identity", f"<sip:{line}@carrier>"),))):
            await stranger.call(user, *lines, authenticate=False)
            assert (await stranger.expect(Failed)).response.status == 407


async def test_while_the_carrier_does_not_have_us_calls_go_by_another(world: World) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await wants_registration(world)
        await asked(first, 403)
        await until(lambda: "403" in world.switch.lines.all()[0].said)
        await alice.call(OUTSIDE)
        await declined(second, alice)
        world.switch.lines.retry()
        await register(world, first)
        await alice.call(OUTSIDE)
        await first.expect(Invited)


async def test_a_second_address_serves_where_the_first_one_is_dead_and_the_next_call_does_not_wait(
    world: World, lived: Lived
) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        dead = f"127.0.0.1:{free_port()}"
        await world.sql.execute(
            "UPDATE billing_gateway SET host = 'carrier.test', addresses = $1 WHERE name = 'sample-carrier'",
            [dead, first.address],
        )
        await world.routes_reloaded()
        await alice.call(OUTSIDE)
        await declined(first, alice)
        invited = next(one for one in first.received if isinstance(one, Request) and one.method == "INVITE")
        assert invited.uri.user == OUTSIDE
        assert invited.uri.host == "carrier.test", "the carrier is called by its name, wherever that is sent"
        began = lived.seconds
        await alice.call(OUTSIDE)
        await first.expect(Invited)
        assert lived.seconds - began < 1.0


async def test_we_register_where_a_name_leads_and_move_with_it(world: World) -> None:
    async with name_server(world) as names, carriers(world) as (first, second):
        names.zone["reg.test", "A"] = ["127.0.0.1"]
        names.zone["_sip._udp.reg.test", "SRV"] = [f"0 0 {first.local[1]} reg.test."]
        await wants_registration(world, ", addresses = '{reg.test}'")
        await register(world, first)
        names.zone["_sip._udp.reg.test", "SRV"] = [f"0 0 {second.local[1]} reg.test."]
        await asyncio.sleep(1.2)  # the TTL is a second
        world.switch.lines.retry()
        request = await asked(second, 200, ("Expires", "600"))
        assert request.method == "REGISTER"


async def test_a_carrier_that_fell_silent_is_asked_and_called_again_as_soon_as_it_answers(world: World) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        first.lose = 1000
        await alice.call(OUTSIDE)
        await declined(second, alice)
        first.lose = 0
        assert (await asked(first, 200)).method == "OPTIONS"
        await until(lambda: not world.switch.outside.rests.all(world.switch.core.now()))
        await alice.call(OUTSIDE)
        await first.expect(Invited)


async def test_calls_from_a_network_of_the_carrier_are_its_own_and_others_are_challenged(world: World) -> None:
    async with carriers(world) as (first, _):
        await world.sql.execute(
            "UPDATE billing_gateway SET sources = '{198.51.100.0/24}' WHERE name = 'sample-carrier'"
        )
        await world.routes_reloaded()
        destinations = world.switch.core.destinations
        assert destinations.place("198.51.100.7", 5999) is not None
        assert destinations.place("198.51.101.7", 5060) is None
        assert first.local[1]


async def test_a_call_goes_to_the_cheapest_carrier_and_to_none_that_costs_more_than_it_brings(world: World) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        for name, price in (("dear", "0.08"), ("cheap", "0.01")):
            await world.sql.execute("INSERT INTO billing_tariff (name, currency) VALUES ($1, 'USD')", name)
            await world.sql.execute(
                "INSERT INTO billing_rate (tariff_id, prefix, first_price, next_price, connect_fee, effective_from)"
                " SELECT id, '420', $2::text::numeric, $2::text::numeric, 0, '2020-01-01' FROM billing_tariff"
                " WHERE name = $1",
                name,
                price,
            )
        for gateway, name in (("sample-carrier", "dear"), ("sample-carrier-b", "cheap")):
            await world.sql.execute(
                "UPDATE billing_gateway SET cost_tariff_id = (SELECT id FROM billing_tariff WHERE name = $2)"
                " WHERE name = $1",
                gateway,
                name,
            )
        await world.routes_reloaded()
        await alice.call(OUTSIDE)
        await declined(first, alice)
        await policy(world, "routing = 'cost'")
        await alice.call(OUTSIDE)
        await declined(second, alice)
        await policy(world, "least_margin = 5")
        await alice.call(OUTSIDE)
        assert (await alice.expect(Failed)).response.status == 480


async def policy(world: World, setting: str) -> None:
    """What the tariffs say of carriers; the switch learns it."""
    before = world.switch.books.rates
    await world.sql.execute(f"UPDATE billing_tariff SET {setting}")
    await until(lambda: world.switch.books.rates is not before)


async def test_a_call_is_offered_to_so_many_addresses_and_no_more(world: World) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        world.switch.settings = replace(world.switch.settings, routing=RoutingSettings(attempts=1))
        await alice.call(OUTSIDE)
        invite = (await first.expect(Invited)).invite
        first.perform(invite.reject(500, first.now()))
        assert (await alice.expect(Failed)).response.status == 500
        assert not [one for one in second.received if isinstance(one, Request)]
