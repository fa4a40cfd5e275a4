# SPDX-License-Identifier: Apache-2.0
"""Before the final answer sound goes to the caller only, through either relay; and what a relay does not answer to."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import pytest

from media.rtp.rtp import HEADER
from switch.settings import RelaySettings, SwitchSettings
from switch.sip.session import Acknowledged, Ended, Failed, Progressed, Replied, Requested
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from switch.relay.ng import NgRelay
    from switch.sip.session import IncomingInvite, OutgoingInvite
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

RELIABLE = ("Supported", "100rel")


@pytest.fixture
def settings(settings: SwitchSettings, relay: tuple[str, int]) -> SwitchSettings:
    """The switch's settings, with a relay."""
    return replace(settings, relay=RelaySettings(addresses=(relay,), query_seconds=0.2))


class Sound:
    """The RTP socket of a phone."""

    def __init__(self, ssrc: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        self._ssrc = ssrc
        self._sequence = 10
        self.target = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def sdp(self) -> bytes:
        lines = "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"
        audio = f"m=audio {self.port} RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000", "a=sendrecv"
        return "".join(f"{line}\r\n" for line in (*lines, *audio)).encode()

    def learn(self, sdp: bytes | None) -> None:
        """Where to send, from what the other side described."""
        found = re.search(rb"m=audio (\d+)", sdp or b"")
        assert found is not None
        self.target = int(found[1])

    def send(self, payload_type: int = 8) -> None:
        self._sequence += 1
        header = HEADER.pack(0x80, payload_type, self._sequence, self._sequence * 160, self._ssrc)
        payload = bytes(160) if payload_type == 8 else bytes([5, 0x80, 0, 160])
        self.socket.sendto(header + payload, ("127.0.0.1", self.target))

    def heard(self) -> list[int]:
        """Payload types of the packets that came since the last time."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(2048)[1] & 0x7F)
            except BlockingIOError:
                return found


async def exchange(mine: Sound, theirs: Sound) -> tuple[list[int], list[int]]:
    """Both speak, and the caller presses a key; what each has heard."""
    mine.heard()
    theirs.heard()
    for _ in range(5):
        mine.send()
        theirs.send()
        await asyncio.sleep(0.02)
    mine.send(101)
    await asyncio.sleep(0.1)
    return mine.heard(), theirs.heard()


async def early(alice: Phone, bob: Phone, mine: Sound, theirs: Sound) -> tuple[OutgoingInvite, IncomingInvite]:
    """A call of which the callee has sent 183 with its description."""
    await bob.register()
    calling = await alice.call("102", body=mine.sdp)
    invite = await bob.ringing()
    theirs.learn(invite.request.sdp)
    bob.perform(invite.progress(183, bob.now(), body=theirs.sdp))
    while (progress := (await alice.expect(Progressed))).response.sdp is None:
        pass
    mine.learn(progress.response.sdp)
    return calling, invite


async def test_before_the_answer_sound_and_keys_go_to_the_caller_only(world: World) -> None:
    """Case L8: callee sends 183 with SDP and never 200: a free call both ways."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            _, invite = await early(alice, bob, mine, theirs)
            for _ in range(3):
                heard = await exchange(mine, theirs)
            assert heard == ([8] * 5, [])
            bob.perform(invite.accept(bob.now(), body=theirs.sdp))
            answered = await alice.connected()
            await exchange(mine, theirs)
            assert await exchange(mine, theirs) == ([8] * 5, [8] * 5 + [101])
            alice.perform(answered.session.bye(alice.now()))
            await bob.expect(Ended)


async def test_an_answer_without_a_description_lets_the_caller_through_too(world: World) -> None:
    """Case L8: the reliable 183 brought the answer, the 200 brings nothing."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", RELIABLE, body=mine.sdp)
            invite = await bob.ringing()
            theirs.learn(invite.request.sdp)
            bob.perform(invite.progress(183, bob.now(), body=theirs.sdp, reliable=True))
            while not (progress := (await alice.expect(Progressed))).reliable:
                pass
            mine.learn(progress.response.sdp)
            assert progress.session is not None
            alice.perform(progress.session.prack(progress.response, alice.now()))
            prack = await bob.expect(Requested)
            bob.perform(prack.session.respond(prack.transaction, 200, bob.now()))
            await alice.expect(Replied)
            assert (await exchange(mine, theirs))[1] == []
            bob.perform(invite.accept(bob.now()))
            answered = await alice.connected()
            await exchange(mine, theirs)
            assert await exchange(mine, theirs) == ([8] * 5, [8] * 5 + [101])
            alice.perform(answered.session.bye(alice.now()))
            await bob.expect(Ended)


async def test_a_caller_who_offers_late_is_held_back_too(world: World) -> None:
    """Case L8: the callee's reliable 183 is the offer, the caller's PRACK the answer."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", RELIABLE, body=b"")
            invite = await bob.ringing()
            bob.perform(invite.progress(183, bob.now(), body=theirs.sdp, reliable=True))
            while not (progress := (await alice.expect(Progressed))).reliable:
                pass
            mine.learn(progress.response.sdp)
            assert progress.session is not None
            alice.perform(progress.session.prack(progress.response, alice.now(), body=mine.sdp))
            prack = await bob.expect(Requested)
            theirs.learn(prack.request.sdp)
            bob.perform(prack.session.respond(prack.transaction, 200, bob.now()))
            await alice.expect(Replied)
            await exchange(mine, theirs)
            assert await exchange(mine, theirs) == ([8] * 5, [])
            bob.perform(invite.accept(bob.now()))
            answered = await alice.connected()
            await exchange(mine, theirs)
            assert await exchange(mine, theirs) == ([8] * 5, [8] * 5 + [101])
            alice.perform(answered.session.bye(alice.now()))
            await bob.expect(Ended)


async def test_a_call_without_early_media_costs_the_relay_no_more_commands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    client: NgRelay = world.switch.relay  # type: ignore[assignment]
    command = client._command

    async def noting(call_id: str, message: dict[str, object]) -> object:
        asked.append(str(message["command"]))
        return await command(call_id, message)

    monkeypatch.setattr(client, "_command", noting)
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", body=mine.sdp)
            await bob.answer(theirs.sdp)
            answered = await alice.connected()
            assert [name for name in asked if name != "query"] == ["offer", "answer"]
            alice.perform(answered.session.bye(alice.now()))
            await bob.expect(Ended)


async def test_keys_by_info_do_not_cross_before_the_answer(world: World) -> None:
    """Case L8, with keys in SIP INFO."""
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", body=mine.sdp)
            invite = await bob.ringing()
            bob.perform(invite.progress(183, bob.now(), body=theirs.sdp))
            while (progress := (await alice.expect(Progressed))).response.sdp is None:
                pass
            session = progress.session
            assert session is not None
            keys: Any = {"body": b"Signal=5\r\nDuration=160\r\n", "content_type": "application/dtmf-relay"}
            alice.perform(session.send("INFO", alice.now(), **keys))
            assert (await alice.expect(Replied)).response.status == 403
            bob.perform(invite.accept(bob.now(), body=theirs.sdp))
            answered = await alice.connected()
            await bob.expect(Acknowledged)
            session = answered.session
            alice.perform(session.send("INFO", alice.now(), **keys))
            asked = await bob.expect(Requested)
            bob.perform(asked.session.respond(asked.transaction, 200, bob.now()))
            assert (await alice.expect(Replied)).response.status == 200
            alice.perform(session.bye(alice.now()))
            await bob.expect(Ended)


async def test_the_switch_vouches_for_a_call_that_rings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case L9: the relay took the switch for gone at 120 s of early media."""
    asked: list[str] = []
    query = world.switch.relay.query

    async def noting(call_id: str) -> object:
        asked.append(call_id)
        return await query(call_id)

    monkeypatch.setattr(world.switch.relay, "query", noting)
    with Sound(1) as mine, Sound(2) as theirs:
        async with world.phone("101") as alice, world.phone("102") as bob:
            calling, _ = await early(alice, bob, mine, theirs)
            (call,) = world.switch.control.calls
            async with asyncio.timeout(PATIENCE_SECONDS):
                while asked.count(call) < 3:  # noqa: ASYNC110 (nothing announces it)
                    await asyncio.sleep(0.05)
            alice.perform(calling.cancel(alice.now()))
            await alice.expect(Failed)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b" RTP/AVP", b"\tRTP/AVP"), (b"m=audio ", b"m=audio\t"), (b"RTP/AVP 8", b"RTP/AVP " + b"9" * 4400)],
)
async def test_a_broken_offer_is_refused_at_once_and_leaves_nothing(world: World, old: bytes, new: bytes) -> None:
    """Case G2: nobody answered, and four ports leaked."""
    with Sound(1) as mine:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", body=mine.sdp.replace(old, new, 1))
            assert (await alice.expect(Failed, seconds=2)).response.status == 488
            await world.settled()


@pytest.mark.parametrize("relay", ["builtin"], indirect=True)
async def test_what_a_relay_did_not_answer_to_is_deleted(world: World) -> None:
    """Case G2: a session whose offer got no answer is deleted by the switch."""
    received: list[bytes] = []

    class Deaf(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            received.append(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Deaf, local_addr=("127.0.0.1", 0))
    world.switch.relay.addresses = (transport.get_extra_info("sockname")[:2],)  # type: ignore[union-attr]
    with Sound(1) as mine:
        async with world.phone("101") as alice, world.phone("102") as bob:
            await bob.register()
            await alice.call("102", body=mine.sdp)
            assert (await alice.expect(Failed, seconds=5)).response.status == 503
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not any(b"7:command6:delete" in each for each in received):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    transport.close()
