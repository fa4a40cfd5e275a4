# SPDX-License-Identifier: Apache-2.0
"""Who calls, in a call that an account forwards or that an application makes; and marks of where a call has been."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from switch.sip.session import Failed
from switch.sip.user_agent import Invited
from tests.switch.calls.test_crossing import IDENTIFIES
from tests.switch.following import MOBILE, answering, call_from_media, follow_me, media, settings
from tests.switch.routing.test_gateways import OUTSIDE, carriers

if TYPE_CHECKING:
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

__all__ = ["media", "settings"]
pytestmark = pytest.mark.asyncio

STRANGER = "420777000020"


async def stranger_calls(carrier: Phone, *lines: tuple[str, str]) -> None:
    """A carrier brings the call of somebody unknown to 102."""
    await carrier.call("102", ("P-Asserted-Identity", f'"Strange" <sip:{STRANGER}@c>'), *lines, authenticate=False)


async def test_a_strangers_number_is_shown_and_never_asserted_where_his_call_is_forwarded(world: World) -> None:
    """Case L17."""
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE}))
    async with carriers(world) as (carrier, _):
        await stranger_calls(carrier, *IDENTIFIES[:6])
        request = (await carrier.ringing()).request
        assert (request.from_.uri.user, request.from_.display) == (STRANGER, "Strange")
        assert request.values("P-Asserted-Identity") == ["<sip:420222000102@127.0.0.1>"]
        assert request.values("Diversion") == ["<sip:420222000102@127.0.0.1>;reason=follow-me;counter=1"]
        assert request.get("History-Info") is None  # it names our accounts
        assert request.get("Charge") is None
        # what the first carrier has signed goes through as it is
        assert request.get("Identity") == IDENTIFIES[2][1]


async def test_a_carrier_that_takes_our_numbers_only_gets_the_forwarders(world: World) -> None:
    """Case L17, by the gateway's rule."""
    await world.sql.execute("UPDATE billing_gateway SET forwarded_caller = 'forwarder'")
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE}))
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await stranger_calls(carrier, *IDENTIFIES[:6], ("Privacy", "id"))
        request = (await carrier.ringing()).request
        assert (request.from_.uri.user, request.from_.display) == ("420222000102", "Bob")
        assert request.values("P-Asserted-Identity") == ["<sip:420222000102@127.0.0.1>"]
        assert (request.get("Identity"), request.get("Privacy")) == (None, None)
        assert STRANGER.encode() not in request.to_bytes()
        await alice.call(OUTSIDE)
        own = (await carrier.ringing()).request
        assert own.from_.uri.user == "420222000101"
        assert own.get("Diversion") is None


async def test_a_stranger_who_hides_stays_hidden_and_the_forwarder_pays_in_his_own_name(world: World) -> None:
    """Case L17 with RFC 3325."""
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE}))
    async with carriers(world) as (carrier, _):
        await stranger_calls(carrier, ("Privacy", "id"))
        request = (await carrier.ringing()).request
        assert request.from_.uri_text == "sip:anonymous@anonymous.invalid"
        assert request.values("P-Asserted-Identity") == ["<sip:420222000102@127.0.0.1>"]
        assert request.get("Privacy") == "id"
        assert STRANGER.encode() not in request.to_bytes()


@pytest.mark.parametrize("case", ["orig", "orig-cdiv"])
async def test_an_application_that_calls_asserts_the_payer_and_shows_the_other(
    world: World, media: Phone, case: str
) -> None:
    """Case L17: calling cards, menus and confirmed forwards."""
    async with carriers(world) as (carrier, _):
        await call_from_media(world, media, MOBILE, "102", STRANGER, case=case)
        request = (await carrier.ringing()).request
        assert request.from_.uri.user == STRANGER
        assert request.values("P-Asserted-Identity") == ["<sip:420222000102@127.0.0.1>"]
        assert request.values("Diversion") == ["<sip:420222000102@127.0.0.1>;reason=unknown;counter=1"]
        assert request.get("P-Served-User") is None


# loops -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "marks",
    [
        [("Diversion", "<sip:102@127.0.0.1>;reason=unconditional")],
        [("Diversion", f"<sip:{number}@elsewhere.example>") for number in range(9)],
        [("History-Info", "<sip:102@127.0.0.1>;index=1"), ("History-Info", "<sip:103@127.0.0.1>;index=1.1")],
    ],
)
async def test_marks_of_a_caller_do_not_switch_forwards_off(world: World, marks: list[tuple[str, str]]) -> None:
    """Case L21, from a phone and from a carrier."""
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "103"}))
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("103") as carol:
        await carol.register()
        for caller in (alice, carrier):
            await caller.call("102", *marks, authenticate=caller is alice)
            invite = await carol.ringing()
            assert invite.request.values("Diversion") == ["<sip:102@127.0.0.1>;reason=follow-me;counter=1"]
            carol.perform(invite.reject(486, carol.now()))
            assert (await caller.expect(Failed)).response.status in (480, 486)


async def test_a_loop_through_a_carrier_that_forgets_everything_ends(world: World) -> None:
    """Case L21: no mark of ours comes back, so the forward's own limit of calls ends it."""
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE, "max_calls": 3}))
    async with carriers(world) as (carrier, _):
        await carrier.call("102", authenticate=False)
        rounds = 0
        while True:
            try:
                invited = await carrier.expect(Invited, 1.0)
            except TimeoutError:
                break
            rounds += 1
            assert invited.invite.request.uri.user == MOBILE
            await carrier.call("102", authenticate=False)
        assert 1 <= rounds <= 3
