# SPDX-License-Identifier: Apache-2.0
"""Whose numbers identify: what carriers' calls open, over real sockets and a real store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from switch.access.caller import is_attested
from switch.routing.number import asserted
from switch.sip.message.message import Request
from switch.sip.session import Failed
from tests.patience import PATIENCE_SECONDS
from tests.switch.calls.test_applications import second_number
from tests.switch.following import media, settings
from tests.switch.routing.test_gateways import carriers

if TYPE_CHECKING:
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

__all__ = ["media", "settings"]

OWNER, NUMBER = "42073723123", "42027777100"
SHOWS = ("P-Asserted-Identity", f"<sip:{OWNER}@carrier>")


async def known_as(world: World, phone: Phone, *lines: tuple[str, str]) -> str | None:
    """Dials the second number from a carrier; the application that the call comes to where that is its owner's."""
    await second_number(world)
    async with carriers(world) as (carrier, _):
        await carrier.call(NUMBER, *lines, authenticate=False)
        if any("it is its owner" in reason for call in await running(world) for reason in call):
            invite = await phone.ringing()
            phone.perform(invite.reject(486, phone.now()))
            return invite.request.uri.user
        return None


async def running(world: World) -> list[list[str]]:
    """What was decided about the calls that run, as soon as something was."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            traces = [list(call.trace) for call in world.switch.control.calls.values()]
            if any("costs the callee nothing" in reason for trace in traces for reason in trace):
                return traces
            await asyncio.sleep(0.02)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("gateway", "rule", "opens"),
    [("no", "enough", False), ("yes", "enough", True), ("attested", "enough", False), ("yes", "once", False),
     ("yes", "pin", False), ("yes", "off", False)],
)  # fmt: skip
async def test_a_number_opens_its_account_where_gateway_and_account_let_it(
    world: World, media: Phone, gateway: str, rule: str, opens: bool
) -> None:
    """Case L3."""
    await world.sql.execute("UPDATE billing_gateway SET identifies = $1", gateway)
    await world.sql.execute("UPDATE billing_account SET ani = $1", rule)
    assert (await known_as(world, media, SHOWS) == "voicemail-access") is opens


@pytest.mark.asyncio
async def test_a_number_that_its_owner_has_proved_by_this_carrier_opens_and_by_another_does_not(
    world: World, media: Phone
) -> None:
    """Case L3."""
    await world.sql.execute("UPDATE billing_account SET ani = 'once'")
    await world.sql.execute(
        "INSERT INTO billing_numberway (alias_id, gateway_id)"
        " SELECT $1, id FROM billing_gateway WHERE name = 'sample-carrier'", f"{OWNER}@pstn"
    )  # fmt: skip
    assert await known_as(world, media, SHOWS) == "voicemail-access"


@pytest.mark.asyncio
async def test_a_claimed_number_opens_no_mailbox(world: World, media: Phone) -> None:
    """Case L4."""
    await world.sql.execute("UPDATE billing_alias SET claimed_at = now() WHERE name = $1", f"{OWNER}@pstn")
    assert await known_as(world, media, SHOWS) is None


@pytest.mark.asyncio
@pytest.mark.parametrize(("identifies", "status"), [("no", 404), ("yes", 428)])
async def test_a_carrier_that_shows_a_number_spends_nothing_dear_of_its_account(
    world: World, identifies: str, status: int
) -> None:
    """Case L3: the number may call out, and the price is above what a number alone opens."""
    await world.sql.execute("UPDATE billing_gateway SET identifies = $1", identifies)
    await world.sql.execute("UPDATE billing_alias SET allow_authentication = true WHERE name = $1", f"{OWNER}@pstn")
    await world.sql.execute("UPDATE billing_rate SET first_price = 5, next_price = 5 WHERE prefix = '44'")
    async with carriers(world) as (carrier, _):
        await carrier.call("442079460000", SHOWS, authenticate=False)
        assert (await carrier.expect(Failed)).response.status == status


@pytest.mark.parametrize(
    ("identity", "lines", "expected"),
    [
        ("<sip:+12155550100;verstat=TN-Validation-Passed-A@carrier;user=phone>", (), True),
        ("<tel:+12155550100;verstat=TN-Validation-Passed>", (("Attestation-Info", "A"),), True),
        ("<tel:+12155550100;verstat=TN-Validation-Passed>", (("P-Attestation-Indicator", "A"),), True),
        ("<sip:+12155550100@carrier;verstat=TN-Validation-Passed>", (("Attestation-Info", "A"),), True),
        ("<tel:+12155550100;verstat=TN-Validation-Passed>", (), False),
        ("<tel:+12155550100;verstat=TN-Validation-Passed>", (("Attestation-Info", "B"),), False),
        ("<tel:+12155550100;verstat=TN-Validation-Passed-C>", (("Attestation-Info", "A"),), False),
        ("<tel:+12155550100;verstat=TN-Validation-Failed>", (("Attestation-Info", "A"),), False),
        ("<tel:+12155550100;verstat=No-TN-Validation>", (("Attestation-Info", "A"),), False),
        ("<tel:+12155550100>", (("Attestation-Info", "A"),), False),
        ('"verstat=TN-Validation-Passed-A" <sip:12155550100@carrier>', (), False),
    ],
)
def test_a_number_is_attested_where_it_was_verified_with_the_highest_level(
    identity: str, lines: tuple[tuple[str, str], ...], expected: bool
) -> None:
    request = Request("INVITE", "sip:101@127.0.0.1", [("P-Asserted-Identity", identity), *lines], b"")
    assert is_attested(request, asserted(request)) is expected
