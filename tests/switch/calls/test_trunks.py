# SPDX-License-Identifier: Apache-2.0
"""Telephone systems of customers: called by their ranges, showing any number of them, and nobody else's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from switch.sip.session import Acknowledged, Cancelled, Ended, Failed
from tests.switch.explain.test_explained import asked
from tests.switch.following import MOBILE, answering
from tests.switch.phone import Phone, sdp
from tests.switch.routing.test_gateways import OUTSIDE, carriers

if TYPE_CHECKING:
    from switch.sip.message.message import Request
    from switch.sip.session import IncomingInvite
    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio

TRUNK = "104"
FIRST, LAST, DDI = "420222666000", "420222666099", "420222666042"
STRANGER = ("P-Asserted-Identity", "<sip:420777000020@carrier>")
NETWORK, INSIDE, ELSEWHERE = "127.7.7.0/28", "127.7.7.7", "127.7.7.77"


async def trunk(world: World, *places: Phone, network: str = "", **trunk: Any) -> None:
    """Account 104 is a telephone system with a hundred numbers."""
    to = [{"host": one.local[0], "port": one.local[1]} for one in places]
    written = json.dumps({"sharing": "order", "to": to, **trunk})
    await world.sql.execute(
        "UPDATE billing_account SET trunk = $2::jsonb, max_calls_out = 5 WHERE number = $1", TRUNK, written
    )
    await world.sql.execute(
        "INSERT INTO billing_numberrange (account_id, first, last) SELECT id, $2, $3 FROM billing_account"
        " WHERE number = $1", TRUNK, int(FIRST), int(LAST),
    )  # fmt: skip
    if network:
        await world.sql.execute(
            "INSERT INTO billing_trunknetwork (account_id, network) SELECT id, $2::cidr FROM billing_account"
            " WHERE number = $1", TRUNK, network,
        )  # fmt: skip
        await world.routes_reloaded()


async def incoming(carrier: Phone, pbx: Phone, number: str = DDI) -> IncomingInvite:
    """A stranger's call by the carrier, ringing at the telephone system."""
    await carrier.call(number, STRANGER, authenticate=False)
    return await pbx.ringing()


async def outgoing(pbx: Phone, carrier: Phone, number: str, sender: str, *lines: tuple[str, str]) -> Request:
    """What a carrier gets of a call of the telephone system, known by its address; the call is given up."""
    host, port = pbx.switch
    content = ("Content-Type", "application/sdp")
    request = pbx.make("INVITE", f"sip:{number}@{host}:{port}", *lines, content, body=sdp())
    request.set("From", f"<sip:{sender}@{host}>;tag=x")
    invite = pbx.agent.invite(request, pbx.flow, natted=False, owner=pbx)
    pbx.perform(invite.start(pbx.now()))
    found = (await carrier.ringing()).request
    pbx.perform(invite.cancel(pbx.now()))
    await carrier.expect(Cancelled)
    await pbx.expect(Failed)
    return found


def shown(request: Request) -> tuple[str | None, list[str]]:
    return request.from_.uri.user, request.values("P-Asserted-Identity")


# called by its numbers ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("form", "called", "caller"),
    [
        ({}, DDI, "420777000020"),
        ({"number_format": "e164"}, f"+{DDI}", "+420777000020"),
        ({"number_format": "national", "country": "420"}, "222666042", "777000020"),
        ({"number_format": "last", "digits": 3}, "042", "420777000020"),
    ],
)
@pytest.mark.parametrize("registers", [True, False])
async def test_a_trunk_is_called_by_its_numbers_in_its_form(
    world: World, form: dict[str, Any], called: str, caller: str, *, registers: bool
) -> None:
    async with carriers(world) as (carrier, _), world.phone(TRUNK) as pbx:
        if registers:
            await pbx.register()
        await trunk(world, *(() if registers else (pbx,)), **form)
        invite = await incoming(carrier, pbx)
        request = invite.request
        assert (request.uri.user, request.to.uri.user, request.from_.uri.user) == (called, called, caller)
        pbx.perform(invite.accept(pbx.now(), body=sdp(41000)))
        answered = await carrier.connected()
        await pbx.expect(Acknowledged)
        carrier.perform(answered.session.bye(carrier.now()))
        await pbx.expect(Ended)
    (record,) = await world.settled()
    assert (record["direction"], record["dialled"], record["amount"]) == ("incoming", DDI, 0)
    assert record["account_id"] == await world.sql.fetchval("SELECT id FROM billing_account WHERE number = $1", TRUNK)


async def test_a_range_is_reached_the_moment_that_it_is_assigned_and_no_longer_than_that(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone(TRUNK) as pbx:
        await pbx.register()
        await carrier.call(DDI, authenticate=False)
        assert (await carrier.expect(Failed)).response.status == 404
        await trunk(world)
        for number in (FIRST, LAST):
            pbx.perform((await incoming(carrier, pbx, number)).reject(486, pbx.now()))
            assert (await carrier.expect(Failed)).response.status == 486
        await carrier.call("420222666100", authenticate=False)
        assert (await carrier.expect(Failed)).response.status == 404
        await world.sql.execute("DELETE FROM billing_numberrange")
        await carrier.call(DDI, authenticate=False)
        assert (await carrier.expect(Failed)).response.status == 404


async def test_a_number_that_a_telephone_took_along_is_no_longer_the_trunks(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone(TRUNK) as pbx, world.phone("103") as carol:
        await pbx.register()
        await carol.register()
        await trunk(world)
        await world.sql.execute(
            "INSERT INTO billing_alias (name, account_id) SELECT $1, id FROM billing_account WHERE number = '103'", DDI
        )
        await carrier.call(DDI, STRANGER, authenticate=False)
        await carol.ringing()


# several addresses -------------------------------------------------------------------------------------------------
async def test_a_trunk_with_two_addresses_fails_over_and_never_on_busy(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone(TRUNK) as one, world.phone(TRUNK) as other:
        await trunk(world, one, other)
        one.perform((await incoming(carrier, one)).reject(486, one.now()))
        assert (await carrier.expect(Failed)).response.status == 486
        one.perform((await incoming(carrier, one)).reject(503, one.now()))
        invite = await other.ringing()
        assert invite.request.uri.user == DDI
        other.perform(invite.reject(486, other.now()))
        assert (await carrier.expect(Failed)).response.status == 486
        # what has said that it is overloaded is asked last for a while
        await incoming(carrier, other)


async def test_a_trunk_shares_its_calls_among_its_addresses(world: World) -> None:
    class Turns:
        """Chance, as a test wants it."""

        turn = 0

        def randrange(self, stop: int) -> int:
            """One after the other."""
            self.turn += 1
            return (self.turn - 1) % stop

    async with carriers(world) as (carrier, _), world.phone(TRUNK) as one, world.phone(TRUNK) as other:
        await trunk(world, one, other, sharing="share")
        world.switch.control.shared.inside.random = Turns()  # type: ignore[assignment]
        for pbx in (one, other, one):
            await incoming(carrier, pbx)


async def test_a_dead_trunk_goes_where_calls_go_while_nothing_is_registered(world: World) -> None:
    await answering(world, TRUNK, forward={"unregistered": {"to": MOBILE}})
    async with carriers(world) as (carrier, _), world.phone(TRUNK) as pbx:
        await trunk(world, pbx)
        pbx.perform((await incoming(carrier, pbx)).reject(503, pbx.now()))
        assert (await carrier.ringing()).request.uri.user == MOBILE


async def test_a_trunk_at_the_address_of_a_carrier_is_not_called(world: World) -> None:
    """Abuse: a call that leaves unpaid."""
    async with carriers(world) as (carrier, other):
        await trunk(world, other)
        await carrier.call(DDI, authenticate=False)
        assert (await carrier.expect(Failed)).response.status == 480


# calling -----------------------------------------------------------------------------------------------------------
async def test_a_trunk_shows_any_number_of_its_range_and_pays(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone("anything", host=INSIDE) as pbx:
        await trunk(world, network=NETWORK, country="420", national_prefix="0")
        for written in (DDI, f"+{DDI}", "0222666042", "042"):
            assert shown(await outgoing(pbx, carrier, OUTSIDE, written)) == (DDI, [f"<sip:{DDI}@127.0.0.1>"])
        preferred = ("P-Preferred-Identity", f"<sip:{DDI}@pbx>")
        assert shown(await outgoing(pbx, carrier, OUTSIDE, "operator", preferred))[0] == DDI
    records = await world.settled()
    account = await world.sql.fetchval("SELECT id FROM billing_account WHERE number = $1", TRUNK)
    assert {(record["account_id"], record["caller"]) for record in records} == {(account, DDI)}


async def test_a_trunk_that_claims_a_number_outside_its_range_shows_its_default(world: World) -> None:
    """Abuse: a bank's number, a colleague's, an emergency number."""
    async with carriers(world) as (carrier, _), world.phone("anything", host=INSIDE) as pbx:
        await trunk(world, network=NETWORK)
        for written in ("420777000020", "420222666100", "420222000101", "112", "anonymous-boss"):
            found = await outgoing(pbx, carrier, OUTSIDE, written)
            assert shown(found) == (FIRST, [f"<sip:{FIRST}@127.0.0.1>"])
        await world.sql.execute(
            "UPDATE billing_account SET caller_id = $2::jsonb WHERE number = $1", TRUNK,
            json.dumps({"default": DDI, "foreign": "refuse"}),
        )  # fmt: skip
        assert shown(await outgoing(pbx, carrier, OUTSIDE, TRUNK))[0] == DDI
        await pbx.call(OUTSIDE, ("P-Preferred-Identity", "<sip:420777000020@bank>"), authenticate=False)
        assert (await pbx.expect(Failed)).response.status == 403


async def test_an_address_beside_the_network_is_asked_for_a_password(world: World) -> None:
    """Abuse: somebody else's address."""
    async with carriers(world), world.phone(TRUNK, host=ELSEWHERE) as stranger:
        await trunk(world, network=NETWORK)
        await stranger.call(OUTSIDE, authenticate=False)
        assert (await stranger.expect(Failed)).response.status == 407


async def test_a_trunk_that_sends_a_call_back_gets_no_second_one(world: World) -> None:
    """Abuse: a loop through a telephone system, which forgets all marks."""
    async with carriers(world) as (carrier, _), world.phone(TRUNK, host=INSIDE) as pbx:
        await trunk(world, pbx, network=NETWORK)
        await incoming(carrier, pbx)
        for number in (DDI, FIRST, TRUNK):
            await pbx.call(number, STRANGER, authenticate=False)
            assert (await pbx.expect(Failed)).response.status == 482


async def test_a_trunk_carries_as_many_calls_as_it_may_each_way_and_both(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone(TRUNK, host=INSIDE) as pbx:
        await trunk(world, pbx, network=NETWORK)
        await world.sql.execute(
            "UPDATE billing_account SET max_calls_in = 1, max_calls_out = 1, max_calls = 2 WHERE number = $1", TRUNK
        )
        await incoming(carrier, pbx)
        await carrier.call(DDI, STRANGER, authenticate=False)
        assert (await carrier.expect(Failed)).response.status == 486
        await pbx.call(OUTSIDE, authenticate=False)
        await carrier.ringing()
        await pbx.call(OUTSIDE, authenticate=False)
        assert (await pbx.expect(Failed)).response.status == 486
        for call in list(world.switch.control.calls.values()):
            call.hang_up("admin", 16, "test is over")


async def test_a_phone_inside_sees_which_number_of_the_trunk_calls(world: World) -> None:
    async with world.phone("101") as alice, world.phone("anything", host=INSIDE) as pbx:
        await alice.register()
        await trunk(world, network=NETWORK)
        assert (await outgoing(pbx, alice, "101", "042")).from_.uri.user == DDI


async def test_explain_tells_how_a_trunk_is_called(world: World) -> None:
    async with world.phone(TRUNK) as pbx:
        await trunk(world, pbx, number_format="e164")
        found = await asked(world, "101", DDI)
        told = "\n".join(step.text for step in found.trace.read())
        assert f"{DDI} is account {TRUNK} (by range)" in told
        assert f"+{DDI} at the trunk's address udp:127.0.0.1:{pbx.local[1]}" in told
