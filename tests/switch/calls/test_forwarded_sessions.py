# SPDX-License-Identifier: Apache-2.0
"""What happens within a forwarded call crosses both calls that it is made of, as between two phones."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from switch.routing.diversion import MOST_FORWARDS
from switch.sip.session import Acknowledged, Answered, Cancelled, Ended, Failed, Progressed, Replied, Requested
from switch.sip.user_agent import Invited
from tests.switch.following import answering, follow_me, media, settings
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from tests.switch.conftest import World

__all__ = ["media", "settings"]
pytestmark = pytest.mark.asyncio


async def forwarding(world: World, to: str = "103") -> None:
    """102 forwards all its calls."""
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": to}))


async def test_hold_and_info_cross(world: World) -> None:
    await forwarding(world)
    async with world.phone("101") as alice, world.phone("103") as carol:
        await carol.register()
        await alice.call("102")
        await carol.answer()
        answered = await alice.connected()
        await carol.expect(Acknowledged)
        hold = sdp(40000, direction="sendonly", version=2)
        alice.perform(answered.session.send("INVITE", alice.now(), body=hold))
        asked = await carol.expect(Requested)
        assert asked.request.sdp == hold
        held = sdp(40100, direction="recvonly", version=2)
        carol.perform(asked.session.respond(asked.transaction, 200, carol.now(), body=held))
        replied = await alice.expect(Replied)
        assert replied.response.sdp == held
        alice.perform(answered.session.ack(replied.request, alice.now()))
        await carol.expect(Acknowledged)
        body = b"Signal=5\r\nDuration=160\r\n"
        carol.perform(asked.session.send("INFO", carol.now(), body=body, content_type="application/dtmf-relay"))
        info = await alice.expect(Requested)
        assert info.request.body == body
        alice.perform(info.session.respond(info.transaction, 200, alice.now()))
        assert (await carol.expect(Replied)).response.status == 200
        carol.perform(asked.session.bye(carol.now()))
        assert (await alice.expect(Ended)).reason == "bye"
    assert {row["ended_by"] for row in await world.settled()} == {"callee"}


async def test_a_late_offer_and_early_media_cross(world: World) -> None:
    await forwarding(world)
    async with world.phone("101") as alice, world.phone("103") as carol:
        await carol.register()
        await alice.call("102", body=b"")
        invite = await carol.ringing()
        assert invite.request.sdp is None
        carol.perform(invite.accept(carol.now(), body=sdp(41000)))
        answered = await alice.expect(Answered)
        assert answered.response.sdp == sdp(41000)
        alice.perform(answered.session.ack(answered.invite.request, alice.now(), sdp(42000)))
        assert (await carol.expect(Acknowledged)).request.sdp == sdp(42000)
        alice.perform(answered.session.bye(alice.now()))
        await carol.expect(Ended)
        await alice.call("102")
        invite = await carol.ringing()
        carol.perform(invite.progress(183, carol.now(), body=sdp(41000)))
        while (early := (await alice.expect(Progressed)).response).status != 183:
            pass
        assert early.sdp == sdp(41000)
        carol.perform(invite.reject(486, carol.now()))
        assert (await alice.expect(Failed)).response.status == 486


async def test_a_caller_who_gives_up_stops_what_was_forwarded(world: World) -> None:
    await forwarding(world)
    async with world.phone("101") as alice, world.phone("103") as carol:
        await carol.register()
        invite = await alice.call("102")
        await carol.ringing()
        alice.perform(invite.cancel(alice.now()))
        assert (await alice.expect(Failed)).response.status == 487
        await carol.expect(Cancelled)
    assert {row["ended_by"] for row in await world.settled()} == {"caller"}
    assert world.switch.shared.forwards == {}


async def test_an_administrator_who_ends_one_of_the_two_ends_both(world: World) -> None:
    await forwarding(world)
    async with world.phone("101") as alice, world.phone("103") as carol:
        await carol.register()
        await alice.call("102")
        await carol.answer()
        await alice.connected()
        row = await world.sql.fetchrow("SELECT call_id FROM billing_activecall WHERE direction = 'forwarded'")
        assert row is not None
        world.switch.control.disconnect(row["call_id"], "fraud")
        await asyncio.gather(alice.expect(Ended), carol.expect(Ended))
    assert len(await world.settled()) == 2


async def test_a_chain_of_forwards_is_cut_after_so_many(world: World) -> None:
    numbers = ["102", "103", "104", "105", "201", "42027777100", "101"]
    for number, following in itertools.pairwise(numbers):
        await answering(world, number, mode="forward", follow_me=follow_me({"to": following}))
    await world.sql.execute("UPDATE billing_rate SET connect_fee = 0, first_price = 0, next_price = 0")
    await world.routes_reloaded()
    async with world.phone("101") as alice:
        await alice.register()
        await alice.call("102")
        assert (await alice.expect(Failed)).response.status == 480
        with pytest.raises(TimeoutError):
            await alice.expect(Invited, 0.2)
    rows = await world.settled()
    assert len([row for row in rows if row["direction"] == "forwarded"]) == MOST_FORWARDS - 1
    assert world.switch.control.calls == {}


async def test_a_draining_switch_takes_no_forwards_and_says_so(world: World) -> None:
    await answering(world, "102", mode="ring_then_forward", follow_me=follow_me({"to": "103"}))
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        await carol.register()
        await alice.call("102")
        invite = await bob.ringing()
        world.switch.control.draining = True
        bob.perform(invite.reject(486, bob.now()))
        assert (await alice.expect(Failed)).response.status == 486
        assert world.switch.shared.forwards == {}
