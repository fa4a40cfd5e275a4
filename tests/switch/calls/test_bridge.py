# SPDX-License-Identifier: Apache-2.0
"""What crosses from leg to leg: early media, PRACK, UPDATE, forks, glare, T.38."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from switch.sip.session import Acknowledged, Answered, Cancelled, Ended, Progressed, Replied, Requested, Withdrawn
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from switch.sip.session import Session
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

RELIABLE = ("Supported", "100rel")
FAX = (
    b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=image 42000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"
)


async def connect(alice: Phone, bob: Phone, number: str = "102") -> tuple[Session, Session]:
    """A call between two phones; returns the dialog of each."""
    await bob.register()
    await alice.call(number)
    invite = await bob.answer()
    answered = await alice.connected()
    await bob.expect(Acknowledged)
    return answered.session, invite.session()


async def test_early_media_crosses(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        invite = await bob.ringing()
        bob.perform(invite.progress(183, bob.now(), body=sdp(41000)))
        while (progress := (await alice.expect(Progressed))).response.status != 183:
            pass
        assert progress.response.sdp == sdp(41000)
        assert not progress.reliable
        bob.perform(invite.accept(bob.now(), body=sdp(41000)))
        answered = await alice.connected()
        assert answered.response.to_tag == progress.response.to_tag


async def test_prack_is_carried_from_end_to_end(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102", RELIABLE)
        invite = await bob.ringing()
        assert invite.accepts_reliable
        bob.perform(invite.progress(183, bob.now(), body=sdp(41000), reliable=True))
        while not (progress := (await alice.expect(Progressed))).reliable:
            pass
        assert progress.response.sdp == sdp(41000)
        assert progress.session is not None
        alice.perform(progress.session.prack(progress.response, alice.now()))
        asked = await bob.expect(Requested)
        assert asked.request.method == "PRACK"
        bob.perform(asked.session.respond(asked.transaction, 200, bob.now()))
        assert (await alice.expect(Replied)).response.status == 200
        bob.perform(invite.accept(bob.now()))
        await alice.connected()
        await bob.expect(Acknowledged)


async def test_a_callee_is_not_asked_for_reliable_responses_that_the_caller_does_not_know(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        assert not (await bob.ringing()).accepts_reliable


async def test_update_changes_the_early_session(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102", RELIABLE)
        invite = await bob.ringing()
        bob.perform(invite.progress(183, bob.now(), body=sdp(41000), reliable=True))
        while not (progress := (await alice.expect(Progressed))).reliable:
            pass
        assert progress.session is not None
        alice.perform(progress.session.prack(progress.response, alice.now()))
        prack = await bob.expect(Requested)
        bob.perform(prack.session.respond(prack.transaction, 200, bob.now()))
        await alice.expect(Replied)
        offer = sdp(40000, codec="8", version=2)
        alice.perform(progress.session.send("UPDATE", alice.now(), body=offer))
        asked = await bob.expect(Requested)
        assert (asked.request.method, asked.request.sdp) == ("UPDATE", offer)
        bob.perform(asked.session.respond(asked.transaction, 200, bob.now(), body=sdp(41000, codec="8", version=2)))
        assert (await alice.expect(Replied)).response.sdp == sdp(41000, codec="8", version=2)


async def test_two_phones_with_early_media_never_share_a_dialog(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as desk, world.phone("102") as mobile:
        await desk.register()
        await mobile.register()
        await alice.call("102")
        first, second = await asyncio.gather(desk.ringing(), mobile.ringing())
        desk.perform(first.progress(183, desk.now(), body=sdp(41000)))
        mobile.perform(second.progress(183, mobile.now(), body=sdp(42000)))
        heard: dict[bytes, str | None] = {}
        while len(heard) < 2:
            response = (await alice.expect(Progressed)).response
            if response.sdp is not None:
                heard[response.sdp] = response.to_tag
        assert heard[sdp(41000)] != heard[sdp(42000)]
        mobile.perform(second.accept(mobile.now(), body=sdp(42000)))
        answered = await alice.connected()
        assert answered.response.sdp == sdp(42000)
        assert answered.response.to_tag == heard[sdp(42000)]


async def test_a_fax_takes_the_call_over(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        mine, theirs = await connect(alice, bob)
        bob.perform(theirs.send("INVITE", bob.now(), body=FAX))
        asked = await alice.expect(Requested)
        assert asked.request.sdp == FAX
        alice.perform(mine.respond(asked.transaction, 200, alice.now(), body=FAX))
        replied = await bob.expect(Replied)
        assert replied.response.sdp == FAX
        bob.perform(theirs.ack(replied.request, bob.now()))
        await alice.expect(Acknowledged)


async def test_a_refused_change_leaves_the_call_as_it_was(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        mine, theirs = await connect(alice, bob)
        alice.perform(mine.send("INVITE", alice.now(), body=FAX))
        asked = await bob.expect(Requested)
        bob.perform(theirs.respond(asked.transaction, 488, bob.now(), headers=[("Warning", '304 x "no fax"')]))
        replied = await alice.expect(Replied)
        assert (replied.response.status, replied.response.get("Warning")) == (488, '304 x "no fax"')
        alice.perform(mine.send("INFO", alice.now()))
        asked = await bob.expect(Requested)
        bob.perform(theirs.respond(asked.transaction, 200, bob.now()))
        assert (await alice.expect(Replied)).response.status == 200


async def test_changes_of_both_sides_at_once_end_in_491_for_both(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        mine, theirs = await connect(alice, bob)
        alice.perform(mine.send("INVITE", alice.now(), body=sdp(40000, direction="sendonly", version=2)))
        bob.perform(theirs.send("INVITE", bob.now(), body=sdp(41000, direction="sendonly", version=2)))
        replies = [(await phone.expect(Replied)).response.status for phone in (alice, bob)]
        assert replies == [491, 491]


async def test_a_change_that_overtakes_the_ack_of_the_one_before_waits_for_it(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        here, there = await connect(alice, bob)
        alice.perform(here.send("INVITE", alice.now(), body=sdp(40000, version=2)))
        asked = await bob.expect(Requested)
        bob.perform(there.respond(asked.transaction, 200, bob.now(), body=sdp(41000, version=2)))
        replied = await alice.expect(Replied)
        hold = sdp(41000, direction="sendonly", version=3)
        bob.perform(there.send("INVITE", bob.now(), body=hold))
        await asyncio.sleep(0.05)
        alice.perform(here.ack(replied.request, alice.now()))
        crossed = await alice.expect(Requested)
        assert crossed.request.sdp == hold
        alice.perform(here.respond(crossed.transaction, 200, alice.now(), body=sdp(40000, version=3)))
        assert (await bob.expect(Replied)).response.status == 200


async def test_a_hang_up_during_a_change_ends_both_legs(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        mine, _ = await connect(alice, bob)
        alice.perform(mine.send("INVITE", alice.now(), body=sdp(40000, direction="sendonly", version=2)))
        await bob.expect(Requested)
        alice.perform(mine.bye(alice.now()))
        assert (await bob.expect(Ended)).reason == "bye"
    await world.settled()


async def test_an_answer_without_its_ack_is_repeated_and_acknowledged_again(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        invite = await bob.ringing()
        alice.lose = 2  # 180 has arrived; the 200 and its first repetition are lost
        await asyncio.sleep(0.1)
        alice.lose = 1
        bob.perform(invite.accept(bob.now(), body=sdp(41000)))
        assert isinstance(await alice.expect(Answered), Answered)


async def test_a_withdrawn_change_is_withdrawn_on_the_other_side_too(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        mine, theirs = await connect(alice, bob)
        alice.perform(mine.send("INVITE", alice.now(), body=sdp(40000, direction="sendonly", version=2)))
        await bob.expect(Requested)
        await asyncio.sleep(0.3)  # our 100 has reached the phone: only then may it cancel
        alice.perform(mine.cancel(alice.now()))
        assert (await alice.expect(Replied)).response.status == 487
        await bob.expect(Withdrawn)
        alice.perform(mine.send("INFO", alice.now()))
        asked = await bob.expect(Requested)
        bob.perform(theirs.respond(asked.transaction, 200, bob.now()))
        assert (await alice.expect(Replied)).response.status == 200


async def test_a_caller_may_drop_one_of_several_early_dialogs(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as desk, world.phone("102") as mobile:
        await desk.register()
        await mobile.register()
        await alice.call("102")
        first, second = await asyncio.gather(desk.ringing(), mobile.ringing())
        desk.perform(first.progress(183, desk.now(), body=sdp(41000)))
        mobile.perform(second.progress(183, mobile.now(), body=sdp(42000)))
        early: dict[bytes, Session] = {}
        while len(early) < 2:
            progress = await alice.expect(Progressed)
            if progress.response.sdp is not None and progress.session is not None:
                early[progress.response.sdp] = progress.session
        alice.perform(early[sdp(41000)].bye(alice.now()))
        await desk.expect(Cancelled)
        mobile.perform(second.accept(mobile.now(), body=sdp(42000)))
        assert (await alice.connected()).response.sdp == sdp(42000)
