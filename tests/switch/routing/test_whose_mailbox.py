# SPDX-License-Identifier: Apache-2.0
"""In whose mailbox the message is of a caller who was forwarded and whom nobody answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from billing_client.rules.incoming import AnsweringRules
from switch.routing.answering import takes_messages
from switch.sip.session import Failed
from tests.switch.explain.test_explained import asked
from tests.switch.following import answering, follow_me, media, settings

if TYPE_CHECKING:
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

__all__ = ["media", "settings"]
pytestmark = pytest.mark.asyncio

MAILBOX: dict[str, Any] = {"mode": "ring_then_voicemail", "ring_seconds": 1}
AWAY: dict[str, Any] = {"mode": "ring", "ring_seconds": 1}
WHO = "target"


def forwards(to: str, **rules: Any) -> dict[str, Any]:
    """Rules with a forward on no answer, and where there are no phones."""
    place = {"to": to, "seconds": 5}
    return {**rules, "forward": {"no_answer": place, "unregistered": place}}


async def mailbox(world: World, media: Phone) -> str:
    """Call 102 and say in whose mailbox the message is."""
    async with world.phone("101") as alice:
        await alice.call("102")
        uri = (await media.ringing()).request.uri
    assert uri.user == "voicemail"
    return (uri.params[WHO] or "").removeprefix("sip%3A").partition("%40")[0]


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (MAILBOX, MAILBOX, "102"),
        ({**MAILBOX, "messages": "own"}, MAILBOX, "102"),
        ({**MAILBOX, "messages": "forwarded"}, MAILBOX, "103"),
        (AWAY, MAILBOX, "103"),
        (MAILBOX, {**MAILBOX, "do_not_disturb": True}, "102"),
        (MAILBOX, {"mode": "voicemail"}, "102"),
        (MAILBOX, AWAY, "102"),
    ],
)
async def test_a_message_is_for_who_was_called(
    world: World, media: Phone, first: dict[str, Any], second: dict[str, Any], found: str
) -> None:
    """Case K4: 102 forwards to 103, nobody answers."""
    await answering(world, "102", **forwards("103", **first))
    await answering(world, "103", **second)
    async with world.phone("103") as carol:
        await carol.register()
        assert await mailbox(world, media) == found


@pytest.mark.parametrize(
    ("first", "second", "found"), [(MAILBOX, MAILBOX, "102"), (AWAY, MAILBOX, "103"), (AWAY, AWAY, "104")]
)
async def test_through_a_chain_it_is_the_first_that_takes_messages(
    world: World, media: Phone, first: dict[str, Any], second: dict[str, Any], found: str
) -> None:
    """Case K4, its neighbours."""
    await answering(world, "102", **forwards("103", **first))
    await answering(world, "103", **forwards("104", **second))
    await answering(world, "104", **MAILBOX)
    assert await mailbox(world, media) == found


async def test_a_follow_me_list_goes_on_to_its_end_before_the_mailbox(world: World, media: Phone) -> None:
    """Case K4, its neighbours: a mailbox of the first entry does not end the list."""
    entries = follow_me({"to": "103", "seconds": 5}, {"to": "104", "seconds": 5})
    await answering(world, "102", mode="forward_then_voicemail", follow_me=entries)
    await answering(world, "103", mode="voicemail")
    async with world.phone("104") as dave, world.phone("101") as alice:
        await dave.register()
        await alice.call("102")
        await dave.ringing()


async def test_a_direct_call_still_meets_its_mailbox(world: World, media: Phone) -> None:
    await answering(world, "102", **MAILBOX)
    assert await mailbox(world, media) == "102"


async def test_who_takes_no_messages_and_forwards_to_nobody_gets_none(world: World, media: Phone) -> None:
    await answering(world, "102", **forwards("103", **AWAY))
    await answering(world, "103", **AWAY)
    async with world.phone("101") as alice:
        await alice.call("102")
        assert (await alice.expect(Failed, 10)).response.status in (404, 480)


async def test_explain_says_whose_mailbox_answers(world: World) -> None:
    """Case K4."""
    await answering(world, "102", **forwards("103", **MAILBOX))
    await answering(world, "103", **MAILBOX)
    texts = [step.text for step in (await asked(world, "101", "102")).trace.read()]
    assert "    messages are for the mailbox of who was called first" in texts
    assert not any("the mailbox of 103 answers" in text for text in texts)
    assert any("the mailbox of 102 answers" in text for text in texts)
    await answering(world, "102", **forwards("103", **MAILBOX, messages="forwarded"))
    texts = [step.text for step in (await asked(world, "101", "102")).trace.read()]
    assert any("the mailbox of 103 answers" in text for text in texts)


@pytest.mark.parametrize(
    ("mode", "takes"), [("ring", False), ("reject", False), ("voicemail", True), ("forward", False)]
)
async def test_who_takes_messages(mode: Any, takes: bool) -> None:
    assert takes_messages(AnsweringRules(mode=mode)) is takes
    assert not takes_messages(AnsweringRules(mode=mode, has_mailbox=False))
