# SPDX-License-Identifier: Apache-2.0
"""Session descriptions in calls, through either relay: sections that nobody takes, what is refused in mid-call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from switch.settings import RelaySettings, SwitchSettings
from switch.sip.session import Acknowledged, Ended, Failed, Replied, Requested
from tests.switch.calls.test_early_media import Sound, exchange

if TYPE_CHECKING:
    from switch.sip.session import Session
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

SECTIONS = [
    "m=video 0 RTP/AVP 31",
    "m=image 0 udptl t38",
    "m=application 50000 TCP/BFCP *",
    "m=application 50000 UDP/BFCP *",
    "m=message 9 TCP/MSRP *",
    "m=message 0 TCP/TLS/MSRP *",
    "m=text 5004 RTP/AVP 98",
    "m=video 0 RTP/AVP 31\r\nm=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    "m=video 0 RTP/AVP 255",
    "m=video 0 UDP/TLS/RTP/SAVPF 128 200",
    "m=video 0 RTP/SAVP *",
    "m=video 0 RTP/AVP -1 x",
    "m=video 0 RTP/AVP",
    "m=audio 0  RTP/AVP  8 ",
    "m=video 5004 RTP/AVP 255",
    "m=video 5004 RTP/AVP",
    "m=video 0 RTP/AVP 255\r\nm=image 0 udptl t38\r\nm=video 0 RTP/AVP 999",
]
GARBAGE = (
    b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 nowhere.example.com\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n"
)


@pytest.fixture
def settings(settings: SwitchSettings, relay: tuple[str, int]) -> SwitchSettings:
    """The switch's settings, with a relay."""
    return replace(settings, relay=RelaySettings(addresses=(relay,)))


def refused(section: str) -> bytes:
    """The answer to sections: port 0 in their place (RFC 3264 section 6)."""
    lines = [line.split(" ") for line in section.split("\r\n")]
    return "".join(" ".join([line[0], "0", *line[2:]]) + "\r\n" for line in lines).encode()


def sections(sdp: bytes | None) -> list[tuple[str, bool]]:
    """Kind of each section, and whether it is refused."""
    lines = [line.split() for line in (sdp or b"").decode().splitlines() if line.startswith("m=")]
    return [(line[0], line[1] == "0") for line in lines]


async def connected(alice: Phone, bob: Phone, mine: Sound, theirs: Sound) -> tuple[Session, Session]:
    """A call in which each hears the other; returns the dialog of each."""
    await bob.register()
    await alice.call("102", body=mine.sdp)
    invite = await bob.ringing()
    theirs.learn(invite.request.sdp)
    bob.perform(invite.accept(bob.now(), body=theirs.sdp))
    answered = await alice.connected()
    mine.learn(answered.response.sdp)
    await bob.expect(Acknowledged)
    await exchange(mine, theirs)
    return answered.session, invite.session()


async def check_that_the_call_lives(here: Session, alice: Phone, bob: Phone, mine: Sound, theirs: Sound) -> None:
    """Both are heard, and it ends by a BYE of theirs alone."""
    await exchange(mine, theirs)
    assert await exchange(mine, theirs) == ([8] * 5, [8] * 5 + [101])
    alice.perform(here.bye(alice.now()))
    assert (await bob.expect(Ended)).reason == "bye"


@pytest.mark.parametrize("section", SECTIONS)
async def test_sections_that_nobody_takes_are_answered_with_port_0_and_the_call_has_its_sound(
    world: World, section: str
) -> None:
    """Case C1."""
    await check_that_it_is_refused_alone(world, section)


async def test_a_section_that_nobody_takes_may_come_first(world: World) -> None:
    """Case C1."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", body=mine.sdp.replace(b"m=audio", b"m=video 0 RTP/AVP 255\r\nm=audio"))
            invite = await bob.ringing()
            theirs.learn(invite.request.sdp)
            bob.perform(
                invite.accept(bob.now(), body=theirs.sdp.replace(b"m=audio", b"m=video 0 RTP/AVP 255\r\nm=audio"))
            )
            answered = await alice.connected()
            mine.learn(answered.response.sdp)
            assert sections(answered.response.sdp) == [("m=video", True), ("m=audio", False)]
            await check_that_the_call_lives(answered.session, alice, bob, mine, theirs)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" RTP/AVP 8 101", b"  RTP/AVP   8  101"),
        (b" RTP/AVP 8 101", b" RTP/AVP 8 101 "),
        (b" RTP/AVP 8 101", b" RTP/AVP 8 101 200"),
        (b" RTP/AVP 8 101", b" RTP/AVP * 8 x 101"),
    ],
)
async def test_what_can_be_read_in_one_way_only_is_read_so_by_every_relay(world: World, old: bytes, new: bytes) -> None:
    """Case C1: both relays alike. No packet can have a payload type above 127, so one that is offered says nothing."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", body=mine.sdp.replace(old, new))
            invite = await bob.ringing()
            theirs.learn(invite.request.sdp)
            assert f"m=audio {theirs.target} RTP/AVP 8 101\r\n".encode() in (invite.request.sdp or b"")
            bob.perform(invite.accept(bob.now(), body=theirs.sdp.replace(old, new)))
            answered = await alice.connected()
            mine.learn(answered.response.sdp)
            assert f"m=audio {mine.target} RTP/AVP 8 101\r\n".encode() in (answered.response.sdp or b"")
            await check_that_the_call_lives(answered.session, alice, bob, mine, theirs)


async def check_that_it_is_refused_alone(world: World, section: str) -> None:
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", body=mine.sdp + section.encode() + b"\r\n")
            invite = await bob.ringing()
            theirs.learn(invite.request.sdp)
            assert len(sections(invite.request.sdp)) == 1 + section.count("m=")
            bob.perform(invite.accept(bob.now(), body=theirs.sdp + refused(section)))
            answered = await alice.connected()
            mine.learn(answered.response.sdp)
            assert [is_refused for _, is_refused in sections(answered.response.sdp)] == [False] + [
                True
            ] * section.count("m=")
            await check_that_the_call_lives(answered.session, alice, bob, mine, theirs)


@pytest.mark.parametrize("section", [SECTIONS[0], SECTIONS[2], SECTIONS[3]])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_a_running_call_may_be_offered_such_a_section(world: World, section: str, method: str) -> None:
    """Case C2."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            here, there = await connected(alice, bob, mine, theirs)
            alice.perform(here.send(method, alice.now(), body=mine.sdp + section.encode() + b"\r\n"))
            asked = await bob.expect(Requested)
            bob.perform(there.respond(asked.transaction, 200, bob.now(), body=theirs.sdp + refused(section)))
            replied = await alice.expect(Replied)
            assert replied.response.status == 200
            assert sections(replied.response.sdp)[1][1]
            if method == "INVITE":
                alice.perform(here.ack(replied.request, alice.now()))
            await check_that_the_call_lives(here, alice, bob, mine, theirs)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_an_offer_in_mid_call_that_the_relay_refuses_is_488_and_the_call_lives(world: World, method: str) -> None:
    """Case C2."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            here, _ = await connected(alice, bob, mine, theirs)
            for broken in (GARBAGE, GARBAGE.replace(b"5000", b"999999")):
                alice.perform(here.send(method, alice.now(), body=broken))
                assert (await alice.expect(Replied)).response.status == 488
            await check_that_the_call_lives(here, alice, bob, mine, theirs)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_an_answer_in_mid_call_that_the_relay_refuses_is_488_to_who_asked_and_the_call_lives(
    world: World, method: str
) -> None:
    """Case C2."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            here, there = await connected(alice, bob, mine, theirs)
            alice.perform(here.send(method, alice.now(), body=mine.sdp))
            asked = await bob.expect(Requested)
            bob.perform(there.respond(asked.transaction, 200, bob.now(), body=GARBAGE))
            assert (await alice.expect(Replied)).response.status == 488
            if method == "INVITE":
                await bob.expect(Acknowledged)
            await check_that_the_call_lives(here, alice, bob, mine, theirs)


async def test_an_offer_in_the_response_that_the_relay_refuses_is_488_to_who_asked_and_the_call_lives(
    world: World,
) -> None:
    """Case C2, where the re-INVITE had no offer."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            here, there = await connected(alice, bob, mine, theirs)
            alice.perform(here.send("INVITE", alice.now()))
            asked = await bob.expect(Requested)
            bob.perform(there.respond(asked.transaction, 200, bob.now(), body=GARBAGE))
            assert (await alice.expect(Replied)).response.status == 488
            assert (await bob.expect(Acknowledged)).request.sdp is not None
            await check_that_the_call_lives(here, alice, bob, mine, theirs)


async def test_an_answer_in_the_ack_that_the_relay_refuses_leaves_the_call_as_it_was(world: World) -> None:
    """Case C2, where nothing is left to refuse."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            here, there = await connected(alice, bob, mine, theirs)
            alice.perform(here.send("INVITE", alice.now()))
            asked = await bob.expect(Requested)
            bob.perform(there.respond(asked.transaction, 200, bob.now(), body=theirs.sdp))
            replied = await alice.expect(Replied)
            alice.perform(here.ack(replied.request, alice.now(), GARBAGE))
            acknowledged = await bob.expect(Acknowledged)
            assert acknowledged.request.sdp is not None
            assert GARBAGE not in acknowledged.request.body
            await check_that_the_call_lives(here, alice, bob, mine, theirs)


async def test_of_several_ports_the_first_is_used(world: World) -> None:
    """Case C3."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", body=mine.sdp.replace(b" RTP/AVP", b"/2 RTP/AVP"))
            invite = await bob.ringing()
            theirs.learn(invite.request.sdp)
            assert b"/2 " not in (invite.request.sdp or b"")
            bob.perform(invite.accept(bob.now(), body=theirs.sdp))
            answered = await alice.connected()
            mine.learn(answered.response.sdp)
            assert b"/2 " not in (answered.response.sdp or b"")
            await check_that_the_call_lives(answered.session, alice, bob, mine, theirs)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"RTP/AVP 8", b"RTP/AVP " + b"9" * 4400),
        (b"c=IN IP4 127.0.0.1", b"c=IN IP4 nowhere.example.com"),
        (b"c=IN IP4 127.0.0.1\r\n", b""),
        (b"m=audio ", b"m=audio 99"),
        (b"v=0", b"v=1"),
        (b" RTP/AVP", b"\tRTP/AVP"),
        (b"m=audio ", b"m=audio\t"),
        (b"AVP 8", b"AVP\t8"),
        (b"AVP 8 101", b"AVP 8\t101"),
        (b"AVP 8", b"AVP 8\x0b"),
        (b"AVP 8 101", b"AVP"),
        (b"AVP 8 101", b"AVP 200"),
    ],
)
async def test_an_offer_that_nobody_can_use_is_488(world: World, old: bytes, new: bytes) -> None:
    """Cases D5 and G2, towards a phone."""
    with Sound(1) as mine:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", body=mine.sdp.replace(old, new, 1))
            assert (await alice.expect(Failed, seconds=2)).response.status == 488
            await world.settled()
