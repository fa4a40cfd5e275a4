# SPDX-License-Identifier: Apache-2.0
"""What a relay can is learnt from what it answers: commands and flags that it does not know do no harm."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from switch.money.warning import warning_wav
from switch.relay.abilities import COMMANDS, Abilities
from switch.relay.bencode import bdecode, bencode
from switch.relay.ng import CommandUnknown, NgError, NgRelay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio

OFFER = b"v=0\r\nm=audio 5000 RTP/AVP 8\r\n"


class Version(asyncio.DatagramProtocol):
    """A relay of some version: what it does not know it answers as rtpengine does."""

    def __init__(self, *, unknown: tuple[str, ...] = (), flags: tuple[str, ...] = ()) -> None:
        self.unknown = unknown
        self.flags = flags
        """Those that it knows."""
        self.asked: list[dict[str, Any]] = []
        self.deaf = False
        self.reason = "Unrecognized command"
        self._in_force: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A command."""
        if self.deaf:
            return
        cookie, _, payload = data.partition(b" ")
        asked = cast("dict[str, Any]", bdecode(payload))
        self.asked.append(asked)
        self.transport.sendto(cookie + b" " + bencode(self._answer(asked)), addr)

    def _answer(self, asked: dict[str, Any]) -> dict[str, object]:
        name = asked["command"].decode()
        if name in self.unknown:
            return {"result": "error", "error-reason": self.reason}
        self._in_force |= {flag.decode() for flag in asked.get("flags", ())} & set(self.flags)
        flags = ["block egress"] if "block-egress" in self._in_force else []
        told: dict[str, object] = {"watched": 1} if "watched" in self._in_force else {}
        parties = {tag: {"tag": tag, "medias": [{"flags": flags}]} for tag in ("a", "b1", "b2")}
        return {"result": "ok", "sdp": b"v=0", "tags": parties, **told}

    @property
    def commands(self) -> list[str]:
        """What it was asked: commands, with the party where it matters."""
        names = [(asked["command"].decode(), asked.get("from-tag", b"").decode()) for asked in self.asked]
        return [f"{name} {tag}" if "media" in name or "DTMF" in name else name for name, tag in names]

    def sent_flags(self, command: str) -> list[list[str]]:
        """The flags of each command of a name."""
        return [
            [flag.decode() for flag in asked.get("flags", ())]
            for asked in self.asked
            if asked["command"] == command.encode()
        ]


@asynccontextmanager
async def client_of(version: Version) -> AsyncIterator[NgRelay]:
    """A client that has a call with this relay."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: version, local_addr=("127.0.0.1", 0))
    client = NgRelay((transport.get_extra_info("sockname")[:2],))
    await client.start()
    try:
        await client.offer("call", "a", OFFER, "192.0.2.1")
        version.asked.clear()
        yield client
    finally:
        client.close()
        transport.close()


async def test_who_takes_the_flag_is_asked_once_whether_it_did() -> None:
    version = Version(flags=("block-egress",))
    async with client_of(version) as client:
        await client.play("call", "a", warning_wav(), 2)
        await client.play("call", "a", warning_wav(), 2)
    assert version.commands == ["play media a", "query", "play media a"]


async def test_where_the_flag_is_passed_over_the_others_are_kept_back_while_the_tone_plays() -> None:
    """Case H7: at first when the tone has begun, later before it begins, and without the flag."""
    version = Version()
    async with client_of(version) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await client.play("call", "a", warning_wav(), 2)
        assert loop.time() - began >= 0.6
        around = ["block media b1", "block media b2"], ["unblock media b1", "unblock media b2"]
        assert version.commands == ["play media a", "query", *around[0], *around[1]]
        version.asked.clear()
        await client.play("call", "a", warning_wav(), 1)
        assert version.commands == ["query", *around[0], "play media a", *around[1]]
    assert version.sent_flags("play media") == [["directional"]]
    assert version.sent_flags("block media") == [["directional"]] * 2


async def test_a_tone_that_cannot_be_played_keeps_nobody_back() -> None:
    version = Version()
    async with client_of(version) as client:
        await client.play("call", "a", warning_wav(), 1)
        version.unknown, version.reason = ("play media",), "No such party"
        version.asked.clear()
        with pytest.raises(NgError, match="No such party"):
            await client.play("call", "a", warning_wav(), 1)
    assert version.commands[-2:] == ["unblock media b1", "unblock media b2"]


async def test_nothing_is_learnt_of_a_call_that_has_just_ended() -> None:
    version = Version(unknown=("query",), flags=("block-egress",))
    async with client_of(version) as client:
        await client.play("call", "a", warning_wav(), 1)
        version.unknown = ()
        await client.play("call", "a", warning_wav(), 1)
    assert version.commands == ["play media a", "query"] * 2


@pytest.mark.parametrize("reason", ["Unrecognized command", "unsupported"])
async def test_an_unknown_command_is_told_once_and_not_sent_again_until_the_relay_is_back(
    caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    version = Version(unknown=("play media",))
    version.reason = reason
    async with client_of(version) as client:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                with pytest.raises(CommandUnknown):
                    await client.play("call", "a", warning_wav(), 1)
        (told,) = [record for record in caplog.records if record.name == "switch.relay.ng"]
        assert (told.command, told.missed) == ("play media", COMMANDS["play media"])  # type: ignore[attr-defined]
        assert version.commands == ["play media a"]
        (place,) = client.addresses
        version.deaf = True
        assert not await client.answers(place)
        version.deaf, version.unknown, version.flags = False, (), ("block-egress",)
        assert await client.answers(place)
        await client.play("call", "a", warning_wav(), 1)
    assert version.commands[-2:] == ["play media a", "query"]


async def test_a_relay_that_was_started_anew_between_two_pings_is_learnt_anew() -> None:
    version = Version()
    async with client_of(version) as client:
        await client.play("call", "a", warning_wav(), 1)
        client.relearn(client.addresses[0])
        version.flags = ("block-egress",)
        version.asked.clear()
        await client.play("call", "a", warning_wav(), 1)
    assert version.commands == ["play media a", "query"]


@pytest.mark.parametrize("unknown", [("block DTMF", "unblock DTMF"), ("block media", "unblock media")])
async def test_early_media_is_kept_back_as_far_as_the_relay_can(unknown: tuple[str, ...]) -> None:
    version = Version(unknown=unknown)
    async with client_of(version) as client:
        for _ in range(2):
            await client.hold_back("call", "a")
            await client.let_through("call", "a")
    every = ["block DTMF a", "block media a", "unblock media a", "unblock DTMF a"]
    known = [each for each in every if each.removesuffix(" a") not in unknown]
    first = [each for each in every if each in known or each == f"{unknown[0]} a"]
    assert version.commands == first + known
    assert version.sent_flags("block media") + version.sent_flags("block DTMF") == [["directional"]] * 3


async def test_the_tone_is_played_where_nobody_can_be_kept_back() -> None:
    version = Version(unknown=("block media", "unblock media"))
    async with client_of(version) as client:
        await client.play("call", "a", warning_wav(), 1)
        await client.play("call", "a", warning_wav(), 1)
    assert version.commands == ["play media a", "query", "block media b1", "query", "play media a"]


async def test_the_flag_of_ours_is_sent_until_a_relay_shows_that_it_passes_it_over() -> None:
    """rtpengine logs each flag that it does not know, at every offer."""
    for flags, sent in (((), []), (("watched",), ["watched"])):
        version = Version(flags=flags)
        async with client_of(version) as client:
            await client.answer("call", "a", "b1", OFFER, "192.0.2.1")
            await client.query("call")
            await client.offer("call", "a", OFFER, "192.0.2.1")
            await client.offer("another", "a", OFFER, "192.0.2.1")
        assert version.sent_flags("answer") == [["watched"]]
        assert version.sent_flags("offer") == [sent, sent]


async def test_what_is_essential_is_never_given_up() -> None:
    version = Version(unknown=("query", "delete", "answer"))
    async with client_of(version) as client:
        for _ in range(2):
            assert await client.query("call") is None
            with pytest.raises(NgError) as refused:
                await client.answer("call", "a", "b1", OFFER, "192.0.2.1")
            assert not isinstance(refused.value, CommandUnknown)
    assert version.commands == ["query", "answer"] * 2


async def test_what_a_relay_lacks_can_be_asked_without_a_call() -> None:
    version = Version(unknown=("play media", "block DTMF"))
    async with client_of(version) as client:
        (place,) = client.addresses
        assert await client.missing(place) == ["play media", "block DTMF"]
        version.unknown = ()
        assert await client.missing(place) == []
        version.deaf = True
        assert await client.missing(place) is None


async def test_real_relays_know_every_command(relay: tuple[str, int]) -> None:
    client = NgRelay((relay,))
    await client.start()
    try:
        assert await client.missing(relay) == []
    finally:
        client.close()


@pytest.mark.parametrize(
    "report",
    [{}, {"tags": []}, {"tags": {"a": 1}}, {"tags": {"a": {"medias": b"x"}}}, {"tags": {"a": {"medias": [{}, 2]}}}],
)
async def test_a_report_of_any_shape_says_no_more_than_it_says(report: dict[str, object]) -> None:
    assert not Abilities().learn("block-egress", report)
    assert not Abilities().learn("watched", report)
