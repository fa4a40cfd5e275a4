# SPDX-License-Identifier: Apache-2.0
"""Live calls: told to whoever watches, with funds, time left and media; nobody is told while nobody watches."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from billing.calls.live import Announcements
from softswitch.cli.context import Shell
from softswitch.cli.look.watch import COLUMNS, readable, view
from switch.calls.live import MESSAGE_BYTES, media_statistics, messages
from switch.settings import RelaySettings, SwitchSettings
from switch.sip.session import Ended
from tests.patience import PATIENCE_SECONDS
from tests.relays import builtin
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg

    from tests.switch.conftest import World

CALL: dict[str, Any] = {
    "call_id": "0123456789abcdef0123456789abcdef",
    "node": "sw1",
    "state": "answered",
    "caller": "420777123456",
    "dialled": "420600000001234567",
    "account": "101",
    "customer": "A customer with a long name",
    "currency": "USD",
    "direction": "outgoing",
    "destination": "Czech Republic",
    "country": "CZ",
    "gateway": "sample-carrier",
    "started_at": "2026-01-02T12:00:00+00:00",
    "seconds": 3725,
    "price": "0.05000",
    "locked": "12.50000",
    "spent": "3.10500",
    "remaining_seconds": 65,
    "is_ending": True,
    "media": {
        "caller": {"packets": 990, "lost": 10, "jitter_ms": 4.2},
        "callee": {"packets": 100, "lost": None, "jitter_ms": None},
    },
    "sip_call_id": "x",
}


class Watch:
    """A watcher at the store."""

    def __init__(self, sql: asyncpg.Connection[asyncpg.Record]) -> None:
        self._sql = sql
        self.found = Announcements()
        self.heard = 0

    async def start(self) -> None:
        """Listen and say that we watch."""
        await self._sql.add_listener("softswitch_calls", self._take)
        await self._sql.execute("SELECT pg_notify('softswitch', 'watch')")

    def _take(self, _sql: object, _pid: int, _channel: str, payload: Any) -> None:
        self.found.take(str(payload), asyncio.get_running_loop().time())
        self.heard += 1

    async def calls(self) -> list[dict[str, Any]]:
        """What is announced next."""
        before = self.heard
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.heard == before:  # noqa: ASYNC110 (nothing announces it)
                await asyncio.sleep(0.02)
        return self.found.calls(asyncio.get_running_loop().time())


@pytest_asyncio.fixture
async def relay() -> AsyncIterator[tuple[str, int]]:
    """Ours: what a call's media did is told by its answers."""
    async with builtin() as ng:
        yield ng


@pytest.fixture
def settings(settings: SwitchSettings, relay: tuple[str, int]) -> SwitchSettings:
    """The switch's settings, with our relay."""
    return replace(settings, relay=RelaySettings(addresses=(relay,)))


@pytest.mark.parametrize("relay", ["builtin"], indirect=True)  # rtpengine tells nothing of loss before there is some
@pytest.mark.asyncio
async def test_a_watcher_sees_the_call_with_its_funds_time_and_media(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switch.calls.live.ROUND_SECONDS", 0.2)
    watch = Watch(world.sql)
    async with world.phone("105") as alice, world.phone("201") as paid:
        await paid.register()
        await watch.start()
        assert await watch.calls() == []
        await alice.call("201", body=sdp(41000))
        incoming = await paid.ringing()
        (ringing,) = await watch.calls()
        assert (ringing["state"], ringing["caller"], ringing["dialled"]) == ("ringing", "105", "201")
        paid.perform(incoming.accept(paid.now(), body=sdp(41002)))
        answered = await alice.connected()
        await asyncio.sleep(1.1)
        (call,) = await watch.calls()
        assert (call["state"], call["node"], call["account"]) == ("answered", "test", "105")
        assert (call["locked"], call["spent"]) in (("0.20000", "0.02000"), ("0.20000", "0.03000"))
        assert 17 <= call["remaining_seconds"] <= 19
        assert call["is_ending"]
        assert call["media"]["caller"] == {"packets": 0, "lost": 0, "jitter_ms": 0.0}
        assert set(call["media"]) == {"caller", "callee"}
        alice.perform(answered.session.bye(alice.now()))
        await paid.expect(Ended)
        while await watch.calls():
            pass


@pytest.mark.asyncio
async def test_while_nobody_watches_nothing_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switch.calls.live.ROUND_SECONDS", 0.05)
    monkeypatch.setattr("switch.calls.live.WATCHED_SECONDS", 0.3)
    watch = Watch(world.sql)
    await world.sql.add_listener("softswitch_calls", watch._take)
    await asyncio.sleep(0.3)
    assert watch.heard == 0
    await watch.start()
    await asyncio.sleep(0.8)
    heard = watch.heard
    assert heard > 2
    await asyncio.sleep(0.3)
    assert watch.heard == heard


@given(st.lists(st.text(max_size=3000), max_size=40))
def test_any_number_of_calls_comes_through_in_messages_that_the_store_takes(texts: list[str]) -> None:
    rows = [CALL | {"call_id": f"{index:03d}", "customer": text} for index, text in enumerate(texts)]
    sent = list(messages("sw1", 7, len(rows), rows))
    assert all(len(message.encode()) < 8000 for message in sent)
    assert [json.loads(message)["last"] for message in sent] == [False] * (len(sent) - 1) + [True]
    found = Announcements()
    for message in sent:
        found.take(message, 1.0)
    fits = [row for row in rows if len(json.dumps(row)) < MESSAGE_BYTES - 200]
    got = [row["call_id"] for row in found.calls(1.0)]
    assert [row["call_id"] for row in fits if row["call_id"] not in got] == []
    assert found.total == len(rows)


def test_announcements_of_several_nodes_are_put_together_and_silent_nodes_go() -> None:
    found = Announcements()
    for node, at in (("sw2", 10.0), ("sw1", 12.0)):
        for message in messages(node, 1, 1, [CALL | {"call_id": node}]):
            found.take(message, at)
    assert [row["call_id"] for row in found.calls(13.0)] == ["sw1", "sw2"]
    assert [row["node"] for row in found.calls(19.0)] == ["sw1"]
    assert found.nodes == ["sw1"]


def test_half_an_announcement_changes_nothing() -> None:
    found = Announcements()
    for message in messages("sw1", 1, 1, [CALL]):
        found.take(message, 1.0)
    first, *_ = messages("sw1", 2, 100, [CALL | {"call_id": f"{index}"} for index in range(100)])
    assert not found.take(first, 2.0)
    assert [row["call_id"] for row in found.calls(2.0)] == [CALL["call_id"]]


def test_a_relay_that_tells_nothing_of_loss_leaves_it_open() -> None:
    report = {"tags": {"a": {"medias": [{"streams": [{"stats": {"packets": 5, "bytes": 800}}]}]}, "b1": {}}}
    assert media_statistics(report) == {"caller": {"packets": 5, "lost": None, "jitter_ms": None}}
    assert media_statistics({}) == {}


def test_a_call_is_readable_in_80_columns(tmp_path: Path) -> None:
    console = Console(width=80, record=True, file=(tmp_path / "out").open("w"))
    found = Announcements()
    for message in messages("sw1", 1, 1, [CALL]):
        found.take(message, float("inf"))
    shell = Shell(tmp_path, out=console)
    shell.out.print(view(shell, found))
    console.file.close()
    lines = (tmp_path / "out").read_text().splitlines()
    assert all(len(line) <= 80 for line in lines)
    row = lines[-1].split()
    assert row[:6] == ["01234567", "420777123456", "42060000000…", "talks", "62:05", "1:05"]
    assert row[6:8] == ["3.105", "1.0/"]
    assert readable(CALL)["jitter"] == "4/"
    assert {column.key for column in COLUMNS} <= readable(CALL).keys()
