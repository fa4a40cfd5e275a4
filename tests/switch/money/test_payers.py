# SPDX-License-Identifier: Apache-2.0
"""Who pays: what callers try at somebody else's expense, or at nobody's."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from switch.sip.session import Ended, Failed
from switch.sip.user_agent import Invited
from tests.patience import PATIENCE_SECONDS
from tests.switch.following import MOBILE, answering, follow_me
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import carriers

if TYPE_CHECKING:
    from billing_client.calls import CallFinish, Settlement
    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio


async def locked(world: World) -> Decimal:
    """What live calls hold."""
    held = await world.sql.fetchval("SELECT coalesce(sum(locked), 0) FROM billing_activecall")
    assert isinstance(held, Decimal)
    return held


# a chain counts for whoever pays it


async def test_seven_strangers_make_a_one_call_account_forward_one_call(world: World) -> None:
    """Case L14."""
    await answering(world, "102", forward={"always": {"to": MOBILE, "max_calls": 9}})
    async with carriers(world) as (carrier, strangers):
        for number in range(7):
            await strangers.call("102", ("P-Asserted-Identity", f"<sip:44123{number}@elsewhere>"), authenticate=False)
        for _ in range(6):
            assert (await strangers.expect(Failed)).response.status == 486
        invite = await carrier.ringing()
        with pytest.raises(TimeoutError):
            await carrier.expect(Invited, 0.3)
        carrier.perform(invite.accept(carrier.now(), body=sdp(41000)))
        answered = await strangers.connected()
        await strangers.call("102", authenticate=False)
        assert (await strangers.expect(Failed)).response.status == 486, "the one that is talked on counts"
        strangers.perform(answered.session.bye(strangers.now()))
        await carrier.expect(Ended)
        await strangers.call("102", authenticate=False)
        await carrier.ringing()
        for call in list(world.switch.control.calls.values()):
            call.hang_up("admin", 16, "test is over")
    assert sum(record["amount"] for record in await world.settled()) == Decimal("0.045")


async def test_who_forwards_and_who_calls_share_one_count_of_outgoing_calls(world: World) -> None:
    """Case L14, its neighbours: a call of its own beside a forward, and a forward beside a call of its own."""
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE}))
    async with carriers(world) as (carrier, _), world.phone("102") as bob, world.phone("103") as carol:
        await carol.call("102")
        invite = await carrier.ringing()
        await bob.call("420600000009")
        assert (await bob.expect(Failed)).response.status == 486
        carrier.perform(invite.reject(486, carrier.now()))
        await carol.expect(Failed)
        await bob.call("420600000009")
        await carrier.ringing()
        await carol.call("102")
        assert (await carol.expect(Failed)).response.status == 486


async def test_a_list_that_rings_all_at_once_is_one_call_of_who_forwards(world: World) -> None:
    """Case L14, its neighbour: nobody with a follow-me list loses it by that rule."""
    entries = ({"to": MOBILE}, {"to": "420600000002"}, {"to": "103"})
    await answering(world, "102", mode="forward", follow_me=follow_me(*entries, order="simultaneous"))
    async with carriers(world) as (carrier, _), world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        await dave.call("102")
        assert {(await carrier.ringing()).request.uri.user for _ in range(2)} == {MOBILE, "420600000002"}
        await carol.answer()
        answered = await dave.connected()
        dave.perform(answered.session.bye(dave.now()))


# what rings locks the minimum


async def test_sixty_ringing_calls_of_one_line_leave_the_other_lines_their_funds(world: World) -> None:
    """Case L15: the lines of a company share its funds; the number costs 5.00 a minute."""
    before = world.switch.books.rates
    await world.sql.execute("UPDATE billing_rate SET first_price = 5, next_price = 5 WHERE prefix = '420'")
    await world.sql.execute("UPDATE billing_account SET max_calls_out = 10 WHERE number = '103'")
    await world.sql.execute(
        "UPDATE billing_balance SET credit_limit = amount + 40 WHERE id ="
        " (SELECT balance_id FROM billing_account WHERE number = '103')"
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        while world.switch.books.rates is before:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)
    async with carriers(world) as (carrier, _), world.phone("103") as thief, world.phone("104") as honest:
        for number in range(60):
            await thief.call(MOBILE)
            if number < 10:
                await carrier.ringing()
            else:
                assert (await thief.expect(Failed)).response.status == 486
        assert await locked(world) == 10 * Decimal("2.52"), "the connect fee and the first half minute of each"
        await honest.call("420600000002")
        assert (await carrier.ringing()).request.uri.user == "420600000002"


async def test_who_cancels_and_redials_holds_nothing_by_it(world: World) -> None:
    """Case L15, its neighbour."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        for _ in range(20):
            attempt = await alice.call(MOBILE)
            await carrier.ringing()
            alice.perform(attempt.cancel(alice.now()))
            await alice.expect(Failed)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await locked(world):  # noqa: ASYNC110 (nothing announces it)
                    await asyncio.sleep(0.01)
        assert await world.sql.fetchval("SELECT locked FROM billing_balance b JOIN billing_account a"
                                        " ON a.balance_id = b.id WHERE a.number = '101'") == 0  # fmt: skip
    records = await world.settled()
    assert (len(records), {record["amount"] for record in records}) == (20, {Decimal(0)})


async def test_who_dials_again_at_once_is_not_refused_for_the_call_that_has_just_ended(world: World) -> None:
    """An account that may make one call; the store is slow to hear of the end."""
    await world.sql.execute("UPDATE billing_account SET max_calls_out = 1 WHERE number = '101'")
    finish_call = world.switch.store.finish_call

    async def late(finish: CallFinish) -> Settlement:
        await asyncio.sleep(0.2)
        return await finish_call(finish)

    world.switch.store.finish_call = late  # type: ignore[method-assign]
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        for _ in range(3):
            await alice.call("420600000001", body=sdp())
            invite = (await carrier.expect(Invited)).invite
            carrier.perform(invite.reject(486, carrier.now()))
            assert (await alice.expect(Failed)).response.status == 486
    assert len(await world.settled()) == 3
