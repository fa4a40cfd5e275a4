# SPDX-License-Identifier: Apache-2.0
"""Whose language an application of the media server speaks: the switch says it in the INVITE."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from switch.sip.session import Failed
from tests.switch.following import MOBILE, answering, follow_me, media, settings
from tests.switch.routing.test_gateways import carriers

if TYPE_CHECKING:
    from switch.sip.session import IncomingInvite
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

__all__ = ["media", "settings"]
pytestmark = pytest.mark.asyncio


async def speaking(world: World, **languages: str) -> None:
    """Accounts `n101="cs"` with languages of their own."""
    for name, language in languages.items():
        await world.sql.execute("UPDATE billing_account SET language = $2 WHERE number = $1", name[1:], language)


async def spoken(media: Phone, caller: Phone) -> str | None:
    """The language of the call that comes to the media server, which then refuses it."""
    invite: IncomingInvite = await media.ringing()
    media.perform(invite.reject(486, media.now()))
    await caller.expect(Failed)
    return invite.request.uri.params.get("language")


@pytest.mark.parametrize("dialled", ["*98", "*99", "*72420600000001", "102", "777777"])
async def test_an_account_is_spoken_to_in_its_own_language(world: World, media: Phone, dialled: str) -> None:
    """Its mailbox, a menu, a star code, another's mailbox, the announcement of a refusal."""
    world.switch._take_over(replace(world.switch.settings, announcements=True))
    await answering(world, "102", mode="voicemail")
    await speaking(world, n101="cs", n102="pt-BR")
    async with world.phone("101") as alice:
        await alice.call(dialled)
        assert await spoken(media, alice) == "cs"


async def test_an_account_without_one_hears_that_of_the_media_server_whoever_is_called(
    world: World, media: Phone
) -> None:
    await answering(world, "102", mode="voicemail")
    await speaking(world, n102="cs")
    async with world.phone("101") as alice:
        await alice.call("102")
        assert await spoken(media, alice) is None


async def test_who_is_none_of_ours_hears_the_language_of_who_is_called(world: World, media: Phone) -> None:
    await answering(world, "103", mode="voicemail")
    await speaking(world, n101="en", n103="cs")
    async with carriers(world) as (carrier, _):
        carrier.user = "42075553333"
        await carrier.call("103", authenticate=False)
        assert await spoken(media, carrier) == "cs"


async def test_who_presses_the_key_for_a_forwarded_call_hears_the_language_of_the_account(
    world: World, media: Phone
) -> None:
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE, "confirm": True}))
    await speaking(world, n101="en", n102="cs")
    async with world.phone("101") as alice:
        await alice.call("102")
        assert await spoken(media, alice) == "cs"


async def test_a_forwarded_caller_keeps_his_language_at_the_next_mailbox(world: World, media: Phone) -> None:
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "103"}))
    await answering(world, "103", mode="voicemail")
    await speaking(world, n101="cs", n102="en", n103="en")
    async with world.phone("101") as alice:
        await alice.call("102")
        assert await spoken(media, alice) == "cs"
