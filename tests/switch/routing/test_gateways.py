# SPDX-License-Identifier: Apache-2.0
"""Calls to and from carriers: routes, failover, credentials, identification."""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from switch.sip.session import Acknowledged, Ended, Failed, Progressed
from switch.sip.user_agent import Invited
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.patience import Lived
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

OUTSIDE = "420600000001"


@asynccontextmanager
async def carriers(world: World) -> AsyncIterator[tuple[Phone, Phone]]:
    """The two gateways of the demo tenant, played by us."""
    async with world.phone("carrier-a") as first, world.phone("carrier-b") as second:
        for name, gateway in (("sample-carrier", first), ("sample-carrier-b", second)):
            await world.sql.execute(
                "UPDATE billing_gateway SET port = $2, any_port = false WHERE name = $1", name, gateway.local[1]
            )
        await world.routes_reloaded()
        yield first, second


async def help_by_the_first(world: World) -> None:
    """The first gateway alone takes calls for help."""
    await world.sql.execute("UPDATE billing_gateway SET enabled = false WHERE name = 'sample-carrier-b'")
    await world.sql.execute(
        "INSERT INTO billing_gatewayroute (gateway_id, prefix) SELECT id, '112' FROM billing_gateway"
    )
    await world.routes_reloaded()


async def test_an_outside_call_leaves_by_the_first_gateway_and_is_charged(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        invite = await first.ringing()
        assert invite.request.uri.user == OUTSIDE
        assert invite.request.from_.uri.user == "420222000101"
        assert "sip:420222000101@" in (invite.request.get("P-Asserted-Identity") or "")
        first.perform(invite.accept(first.now(), body=sdp(41000)))
        answered = await alice.connected()
        await first.expect(Acknowledged)
        alice.perform(answered.session.bye(alice.now()))
        await first.expect(Ended)
    (xdr,) = await world.settled()
    # connect fee 0.02, first 30 seconds at 0.05 a minute
    assert (xdr["billed_seconds"], xdr["amount"], xdr["destination"]) == (30, Decimal("0.045"), "Czech Republic")
    assert xdr["gateway_id"] is not None


@pytest.mark.parametrize("status", [503, 500, 408, 302])
async def test_a_broken_gateway_gives_way_to_the_next(world: World, status: int) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        invite = (await first.expect(Invited)).invite
        first.perform(invite.reject(status, first.now()))
        ringing = await second.ringing()
        assert ringing.request.uri.user == OUTSIDE
        assert (await alice.expect(Progressed)).response.status == 180


@pytest.mark.parametrize("status", [486, 404, 484, 603, 480])
async def test_a_word_about_the_callee_is_final(world: World, status: int) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        invite = (await first.expect(Invited)).invite
        first.perform(invite.reject(status, first.now()))
        assert (await alice.expect(Failed)).response.status == status
        with pytest.raises(TimeoutError):
            await second.expect(Invited, 0.1)


async def test_a_gateway_that_gives_no_sign_of_life_is_left_after_five_seconds(world: World, lived: Lived) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        first.lose = 1000
        await alice.call(OUTSIDE)
        started, lived_started = alice.now(), lived.seconds
        await second.expect(Invited, 8)
        assert alice.now() - started > 4.5
        assert lived.seconds - lived_started < 6


async def test_when_no_gateway_works_the_caller_hears_a_failure(world: World) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        for gateway in (first, second):
            invite = (await gateway.expect(Invited)).invite
            gateway.perform(invite.reject(503, gateway.now()))
        response = (await alice.expect(Failed)).response
        assert response.status == 500
        assert "cause=38" in (response.get("Reason") or "")
    (xdr,) = await world.settled()
    assert xdr["amount"] == 0


async def test_a_gateway_that_asks_for_credentials_gets_them_once(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await world.sql.execute("UPDATE billing_gateway SET username = 'us', password = 'secret'")
        await world.routes_reloaded()
        await alice.call(OUTSIDE)
        invite = (await first.expect(Invited)).invite
        challenge = 'Digest realm="carrier", nonce="abc", algorithm=MD5, qop="auth"'
        first.perform(invite.reject(407, first.now(), headers=[("Proxy-Authenticate", challenge)]))
        again = (await first.expect(Invited)).invite
        assert 'username="us"' in (again.request.get("Proxy-Authorization") or "")
        assert again.request.cseq == invite.request.cseq + 1
        assert "secret" not in again.request.to_bytes().decode()
        first.perform(again.accept(first.now(), body=sdp(41000)))
        await alice.connected()


async def test_a_call_from_a_gateway_reaches_the_number_that_was_dialled(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        await world.sql.execute(
            "INSERT INTO billing_alias (name, account_id) SELECT '42027777101', id FROM billing_account"
            " WHERE number = '101'"
        )
        from_line = ("P-Asserted-Identity", '"Carol" <sip:+42075553333@carrier>')
        await first.call("42027777101", from_line, authenticate=False)
        invite = await alice.ringing()
        assert invite.request.from_.uri.user == "42075553333"
        assert invite.request.from_.display == "Carol"
        alice.perform(invite.accept(alice.now(), body=sdp(41000)))
        answered = await first.connected()
        first.perform(answered.session.bye(first.now()))
        await alice.expect(Ended)
    (xdr,) = await world.settled()
    assert (xdr["direction"], xdr["amount"]) == ("incoming", Decimal(0))


async def test_a_gateway_may_not_call_out_at_our_expense(world: World) -> None:
    async with carriers(world) as (first, second):
        await first.call(OUTSIDE, authenticate=False)
        assert (await first.expect(Failed)).response.status == 404
        with pytest.raises(TimeoutError):
            await second.expect(Invited, 0.1)


async def test_a_caller_is_identified_by_the_number_that_it_calls_from(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("102") as bob:
        await bob.register()
        from_line = ("P-Asserted-Identity", "<sip:42073723123@carrier>")
        await first.call("102", from_line, authenticate=False)
        await bob.ringing()
        (call,) = world.switch.control.calls.values()
        assert any("account 42027777100" in reason and "ani" in reason for reason in call.trace)


async def test_an_alias_without_authentication_may_not_call_out(world: World) -> None:
    async with carriers(world) as (first, second):
        from_line = ("P-Asserted-Identity", "<sip:42073723123@carrier>")
        await first.call("420999999999", from_line, authenticate=False)
        assert (await first.expect(Failed)).response.status == 404
        with pytest.raises(TimeoutError):
            await second.expect(Invited, 0.1)


async def test_a_call_too_large_for_udp_goes_by_tcp_or_else_by_udp_after_all(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.call(OUTSIDE, ("Subject", "x" * 1400))
        invite = await first.ringing()  # nothing listens on TCP there
        assert invite.request.get("Subject") is not None
        (call,) = world.switch.control.calls.values()
        assert [reason.rpartition(" ")[2] for reason in call.trace if reason.startswith("ringing")] == ["tcp", "udp"]


async def test_a_caller_who_withholds_its_number_stays_anonymous(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.call(OUTSIDE, ("Privacy", "id"))
        invite = await first.ringing()
        assert invite.request.from_.uri_text == "sip:anonymous@anonymous.invalid"
        assert "sip:420222000101@" in (invite.request.get("P-Asserted-Identity") or "")
        assert invite.request.get("Privacy") == "id"
