# SPDX-License-Identifier: Apache-2.0
"""Callers who never acknowledge, known by their address alone. Case L11."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from switch.access.unheard import ACK_SECONDS, MOST, PAUSE_SECONDS, WITHIN_SECONDS, Unheard
from switch.sip.message.flow import Flow
from switch.sip.message.message import Request
from switch.sip.session import Ended, Failed

if TYPE_CHECKING:
    from tests.patience import Lived
    from tests.switch.conftest import World

LOCAL = ("127.0.0.1", 5060)
PBX = Flow("udp", LOCAL, ("192.0.2.7", 5060))


def invite(agent: str = "Asterisk", via: str = "192.0.2.7:5060") -> Request:
    """An INVITE of a PBX."""
    lines = [("Via", f"SIP/2.0/UDP {via};branch=z9hG4bK1"), ("User-Agent", agent)]
    return Request("INVITE", "sip:1@127.0.0.1", lines)


def test_an_address_is_believed_no_more_after_three_calls_that_nobody_acknowledged() -> None:
    unheard = Unheard()
    forged = invite("sipp")
    assert [unheard.not_acknowledged(forged, PBX, float(n)) for n in range(MOST)] == [False, False, True]
    assert unheard.is_blocked(forged, PBX, 3.0)
    assert unheard.is_blocked(invite("another name"), PBX, 3.0)
    assert not unheard.is_blocked(forged, PBX, 3.0 + PAUSE_SECONDS)
    assert not unheard.is_blocked(forged, Flow("udp", LOCAL, ("192.0.2.8", 5060)), 3.0)


def test_the_phone_in_whose_name_it_was_done_goes_on() -> None:
    unheard = Unheard()
    unheard.acknowledged(invite(), PBX)
    for number in range(MOST):
        unheard.not_acknowledged(invite("sipp"), PBX, float(number))
    assert unheard.is_blocked(invite("sipp"), PBX, 5.0)
    assert not unheard.is_blocked(invite(), PBX, 5.0)


def test_calls_that_are_not_acknowledged_now_and_then_block_nobody() -> None:
    unheard = Unheard()
    times = [number * (WITHIN_SECONDS / 2 + 1) for number in range(9)]
    assert not any(unheard.not_acknowledged(invite(), PBX, at) for at in times)


@pytest.mark.asyncio
async def test_a_call_in_the_name_of_a_pbx_ends_within_four_seconds_and_costs_it_nothing(
    world: World, lived: Lived
) -> None:
    """Case L11: datagrams with a PBX's address; nobody there acknowledges the answers. The fourth is a stranger's."""
    await world.sql.execute(
        "INSERT INTO billing_alias (name, account_id, allow_authentication)"
        " SELECT '127.0.0.1', id, true FROM billing_account WHERE number = '105'"
    )
    await world.routes_reloaded()
    before = await world.balance("105")
    async with world.phone("104") as dave, world.phone("pbx") as forger, world.phone("pbx") as honest:
        await dave.register()
        await honest.call("104", authenticate=False)
        await dave.answer()
        answered = await honest.connected()
        honest.perform(answered.session.bye(honest.now()))
        await dave.expect(Ended)
        spent = await world.balance("105")
        for _ in range(MOST):
            await forger.call("104", authenticate=False)
            await dave.answer()
            forger.lose = 1_000
            began = lived.seconds
            assert (await dave.expect(Ended, 8.0)).reason == "bye"
            assert lived.seconds - began < ACK_SECONDS + 1.5
            forger.lose = 0
        await forger.call("104", authenticate=False)
        assert (await forger.expect(Failed, 10)).response.status == 407
        await honest.call("104", authenticate=False)
        ringing = await dave.ringing()
        dave.perform(ringing.reject(486, dave.now()))
        assert (await honest.expect(Failed)).response.status == 486
    assert spent <= before
    assert await world.balance("105") == spent
    assert world.switch.check.unheard.missed == MOST
