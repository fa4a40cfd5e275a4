# SPDX-License-Identifier: Apache-2.0
"""`explain` tells of forwards, mailboxes and second numbers what live calls do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.switch.explain.test_explained import asked
from tests.switch.following import MOBILE, answering, follow_me, media, settings

if TYPE_CHECKING:
    from tests.switch.conftest import World

__all__ = ["media", "settings"]
pytestmark = pytest.mark.asyncio


async def test_a_timeline_with_what_each_forward_costs(world: World) -> None:
    await answering(
        world,
        "102",
        mode="ring_then_forward_then_voicemail",
        ring_seconds=20,
        follow_me=follow_me(
            {"to": MOBILE, "seconds": 25, "caller_id": "forwarder"}, {"to": "103", "active": False}, {"to": "999"}
        ),
    )
    async with world.phone("102") as bob:
        await bob.register()
        found = await asked(world, "101", "102")
    assert found.refusal is None
    texts = [step.text for step in found.trace.read()]
    assert "answering mode: ring then forward then voicemail" in texts
    forward = texts.index(f"after 20 s: {MOBILE} to {MOBILE} rings 25 s and sees 102")
    nested = texts[forward + 1 : texts.index("after 45 s: 999 to 999 rings 25 s and sees 101")]
    assert nested[0] == "    account 102 forwards a call, and pays; 102 is shown"
    assert any("Czech Republic by prefix 420" in text for text in nested)
    assert any("locked 0.04500 of 5.00000 USD that account 102 has" in text for text in nested)
    assert any("sample-carrier, udp" in text for text in nested)
    assert "    404 999 is nobody of ours, and no gateway serves it" in texts
    assert "not taken: 103 is switched off" in texts
    assert texts[-1].startswith("the call is free") or "after 70 s: the mailbox of 102 answers" in texts


async def test_accounts_that_forward_to_each_other_are_explained_to_an_end(world: World) -> None:
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "103"}))
    await answering(world, "103", mode="forward", follow_me=follow_me({"to": "102"}))
    found = await asked(world, "101", "102")
    assert any("a loop" in step.text for step in found.trace.read())


async def test_forwards_that_lead_nowhere_are_a_refusal_within_the_answer(world: World) -> None:
    await answering(world, "105", mode="forward", follow_me=follow_me({"to": "447000"}))
    await world.sql.execute("UPDATE billing_rate SET connect_fee = 5 WHERE prefix = '44'")
    await world.routes_reloaded()
    found = await asked(world, "101", "105")
    assert any(step.text.strip().startswith("402 refused: the funds") for step in found.trace.read())


async def test_a_second_number_is_explained_for_its_owner_and_for_others(world: World) -> None:
    owner = await asked(world, "42073723123", "42027777100", source="127.0.0.1:1")
    texts = [step.text for step in owner.trace.read()]
    assert any("it is its owner" in text for text in texts)
    assert texts[-1] == "the call is free: nothing is locked"
    assert "the media server is asked for voicemail-access for 42027777100" in texts
    other = await asked(world, "42075553333", "42027777100", source="127.0.0.1:1")
    texts = [step.text for step in other.trace.read()]
    assert "after 0 s: mobile to 420600000600 rings 6 s and sees 42027777100" in texts
    assert "after 6 s: the mailbox of 42027777100 answers" in texts


async def test_access_numbers_and_rejected_calls(world: World) -> None:
    found = await asked(world, "101", "*98")
    assert any("asked for voicemail-access for 101" in step.text for step in found.trace.read())
    await answering(world, "102", mode="reject")
    refused = await asked(world, "101", "102")
    assert refused.refusal is not None
    assert refused.refusal.status == 603
