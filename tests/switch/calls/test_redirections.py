# SPDX-License-Identifier: Apache-2.0
"""Whoever is called answers 3xx: a phone's "moved" is a forward of its account, a carrier stays in its own house."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from switch.sip.session import Acknowledged, Ended, Failed
from switch.sip.user_agent import Invited
from tests.switch.calls.test_crossing import hears_nothing
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import OUTSIDE, carriers

if TYPE_CHECKING:
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

DOMAIN = "127.0.0.1"
PORTED = "420600999999"


async def moves(phone: Phone, to: str, status: int = 302) -> None:
    """A phone that rings says that it has moved."""
    invite = (await phone.expect(Invited)).invite
    phone.perform(invite.reject(status, phone.now(), headers=[("Contact", f"<{to}>")]))


@pytest.mark.parametrize("status", [301, 302])
async def test_a_phone_that_has_moved_forwards_the_call_at_its_own_expense(world: World, status: int) -> None:
    async with carriers(world) as (carrier, _), world.phone("103") as carol, world.phone("104") as dave:
        await dave.register()
        await carol.call("104")
        await moves(dave, f"sip:{OUTSIDE}@{DOMAIN}", status)
        await carrier.answer(sdp(41000, codec="8"))
        answered = await carol.connected()
        await carrier.expect(Acknowledged)
        carol.perform(answered.session.bye(carol.now()))
        await carrier.expect(Ended)
    first, second = await world.settled()
    assert (first["dialled"], first["amount"], first["direction"]) == ("104", 0, "internal")
    assert (second["dialled"], second["amount"], second["direction"]) == (OUTSIDE, Decimal("0.045"), "forwarded")
    assert first["account_id"] != second["account_id"]


async def test_a_phone_that_has_moved_inside_rings_there(world: World) -> None:
    async with world.phone("101") as alice, world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        await dave.register()
        await alice.call("103")
        await moves(carol, f"sip:104@{DOMAIN}")
        invite = await dave.answer()
        assert invite.request.from_.uri.user == "101"
        await alice.connected()


async def test_phones_that_have_moved_to_each_other_end_in_no_loop(world: World) -> None:
    async with world.phone("101") as alice, world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        await dave.register()
        await alice.call("103")
        await moves(carol, f"sip:104@{DOMAIN}")
        await moves(dave, f"sip:103@{DOMAIN}")
        await moves(carol, f"sip:104@{DOMAIN}")
        assert (await alice.expect(Failed)).response.status == 480
        await hears_nothing(dave, Invited)


@pytest.mark.parametrize(
    ("setting", "to"),
    [
        ("nowhere", f"sip:104@{DOMAIN}"),
        ("inside", f"sip:{OUTSIDE}@{DOMAIN}"),
        ("outside", f"sip:{OUTSIDE}@elsewhere.example"),
        ("outside", "http://127.0.0.1/"),
        ("outside", f"sip:103@{DOMAIN}"),
        ("outside", f"sip:112@{DOMAIN}"),
    ],
)
async def test_a_phone_that_may_not_send_calls_there_on_does_not(world: World, setting: str, to: str) -> None:
    await world.sql.execute("UPDATE billing_account SET transfers = $1 WHERE number = '103'", setting)
    async with (
        carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("103") as carol,
        world.phone("104") as dave,
    ):  # fmt: skip
        await carol.register()
        await dave.register()
        await alice.call("103")
        await moves(carol, to)
        assert (await alice.expect(Failed)).response.status == 480
        await hears_nothing(carrier, Invited)
        await hears_nothing(dave, Invited)


async def test_a_carrier_that_redirects_within_its_own_addresses_is_followed(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        await moves(first, f"sip:{PORTED}@{first.address}")
        invite = await first.answer(sdp(41000, codec="8"))
        assert invite.request.uri.user == PORTED
        answered = await alice.connected()
        alice.perform(answered.session.bye(alice.now()))
        await first.expect(Ended)
    (record,) = await world.settled()
    assert (record["dialled"], record["amount"]) == (OUTSIDE, Decimal("0.045")), "at the price of what was dialled"


async def test_a_carrier_that_redirects_elsewhere_is_not_followed(world: World) -> None:
    """Neither to another carrier, who would bill us, nor to a phone, nor to anybody in the world."""
    async with carriers(world) as (first, second), world.phone("101") as alice, world.phone("104") as dave:
        await dave.register()
        for place in (second.address, dave.address, "192.0.2.66:5060"):
            await alice.call(OUTSIDE)
            await moves(first, f"sip:{OUTSIDE}@{place}")
            invite = (await second.expect(Invited)).invite  # the next route, as after any failure
            second.perform(invite.reject(486, second.now()))
            assert (await alice.expect(Failed)).response.status == 486
        await hears_nothing(dave, Invited)


async def test_a_carrier_does_not_redirect_for_ever(world: World) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        for _ in range(4):
            await moves(first, f"sip:{OUTSIDE}@{first.address}")
        invite = (await second.expect(Invited)).invite
        second.perform(invite.reject(486, second.now()))
        assert (await alice.expect(Failed)).response.status == 486
