# SPDX-License-Identifier: Apache-2.0
"""Calls while the store is away: what is paid for is refused at once, what costs nothing goes through."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from billing_client.parties import Parties, Party
from switch.access.reach import PartyMemory, learn_registered
from switch.sip.session import Acknowledged, Ended, Failed
from switch.sip.user_agent import Invited
from tests.patience import PATIENCE_SECONDS
from tests.store.proxy import Proxy
from tests.switch.money.test_settlement import switch_of
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import carriers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from switch.settings import SwitchSettings
    from switch.sip.message.message import Response
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

AT_ONCE_SECONDS = 0.5


class Away:
    """A switch whose store can go away."""

    def __init__(self, world: World, proxy: Proxy) -> None:
        self.world = world
        self.proxy = proxy

    def go(self) -> None:
        """The store is gone, as its host's kernel says at once."""
        self.proxy.refuses = True
        self.proxy.cut()

    async def back(self) -> None:
        """The store is there again, and the switch has noticed."""
        self.proxy.refuses = False
        self.proxy.thaw()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.world.switch.reach.is_away or self.world.switch.control.unsettled:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest_asyncio.fixture
async def away(
    settings: SwitchSettings, demo_template: tuple[str, dict[str, str]], tmp_path: Path
) -> AsyncIterator[Away]:
    """A switch whose store is there for now."""
    async with Proxy(settings.store_dsn) as proxy:
        behind = replace(settings, store_dsn=proxy.dsn, journal_dir=tmp_path)
        async with switch_of(behind, settings.store_dsn, demo_template[1]) as world:
            yield Away(world, proxy)


async def talk(caller: Phone, callee: Phone, number: str) -> None:
    """A call that is answered, and ended by the caller."""
    await caller.call(number)
    await callee.answer()
    answered = await caller.connected()
    caller.perform(answered.session.bye(caller.now()))
    await callee.expect(Ended)


async def refusal(caller: Phone, number: str, *, within: float = AT_ONCE_SECONDS) -> Response:
    """The final answer to a call, which must come in time."""
    async with asyncio.timeout(within):
        await caller.call(number)
        return (await caller.expect(Failed)).response


@pytest.mark.asyncio
async def test_paid_calls_are_refused_at_once_and_free_ones_leave_their_record_later(away: Away) -> None:
    world = away.world
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("201") as paid:
        await bob.register()
        await paid.register()
        await talk(alice, bob, "102")
        await talk(alice, paid, "201")
        await world.switch.core.settle()
        away.go()
        await talk(alice, bob, "102")  # the first one to find the store away
        response = await refusal(alice, "201")
        assert (response.status, response.get("Retry-After")) == (503, "10")
        assert paid.events.empty()
        assert world.switch.control.unsettled == 1
        await away.back()
        await talk(alice, paid, "201")
    xdrs = await world.settled()
    assert [xdr["dialled"] for xdr in xdrs] == ["102", "201", "102", "201"]
    assert all(xdr["answered_at"] is not None and xdr["ended_by"] == "caller" for xdr in xdrs)
    assert await world.balance("101") == Decimal("9.98")
    assert await world.sql.fetch("SELECT * FROM audit()") == []


@pytest.mark.asyncio
async def test_emergency_calls_go_through(away: Away) -> None:
    world = away.world
    await world.sql.execute(
        "INSERT INTO billing_gatewayroute (gateway_id, prefix, position, strip, prepend)"
        " SELECT id, '112', 1, 0, '' FROM billing_gateway WHERE name = 'sample-carrier'"
    )
    async with carriers(world) as (first, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await talk(alice, bob, "102")
        await world.switch.core.settle()
        away.go()
        await alice.call("112")
        invited = (await first.expect(Invited)).invite
        invited.owner = first
        first.perform(invited.accept(first.now(), body=sdp(41000)))
        answered = await alice.connected()
        await first.expect(Acknowledged)
        alice.perform(answered.session.bye(alice.now()))
        await away.back()
    xdrs = await world.settled()
    assert (xdrs[-1]["dialled"], xdrs[-1]["amount"], xdrs[-1]["gateway_id"] is not None) == ("112", Decimal(0), True)


@pytest.mark.asyncio
async def test_a_phone_that_has_only_registered_is_known_too(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switch.access.reach._LEARN_SECONDS", 0.05)
    world = away.world
    memory = world.switch.memory
    learning = asyncio.create_task(
        learn_registered(memory, world.switch.store, world.switch.reach, world.switch.location.names)
    )
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        for phone in (alice, bob, carol):
            await phone.register()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not all(map(memory.knows, ("101", "102", "103"))):  # noqa: ASYNC110 (nothing announces it)
                await asyncio.sleep(0.02)
        away.go()
        await talk(alice, carol, "103")
        await away.back()
    learning.cancel()
    assert [xdr["dialled"] for xdr in await world.settled()] == ["103"]


@pytest.mark.asyncio
async def test_a_silent_store_holds_one_caller_up_and_then_nobody(away: Away) -> None:
    world = away.world
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("201") as paid:
        await bob.register()
        await paid.register()
        await talk(alice, bob, "102")
        await talk(alice, paid, "201")
        await world.switch.core.settle()
        away.proxy.freeze()
        assert (await refusal(alice, "201", within=5.0)).status == 503
        for _ in range(3):
            assert (await refusal(alice, "201")).status == 503
        await talk(alice, bob, "102")
        await away.back()
        await talk(alice, paid, "201")


@pytest.mark.asyncio
async def test_a_running_call_goes_on_within_its_funds_and_phones_register(away: Away) -> None:
    world = away.world
    async with world.phone("102") as bob, world.phone("201") as paid:
        await paid.register()
        await bob.call("201")
        await paid.answer()
        answered = await bob.connected()
        away.go()
        await paid.register()
        await asyncio.sleep(1.1)
        assert len(world.switch.control.calls) == 1
        bob.perform(answered.session.bye(bob.now()))
        await paid.expect(Ended)
        await asyncio.sleep(0.05)
        await away.back()
    (xdr,) = await world.settled()
    assert xdr["amount"] == Decimal("0.02")


@pytest.mark.asyncio
async def test_strangers_are_told_to_come_back_later(away: Away) -> None:
    world = away.world
    async with world.phone("101") as alice:
        away.go()
        response = await refusal(alice, "102", within=3.0)
        assert (response.status, response.get("Retry-After")) == (503, "10")
        assert (await refusal(alice, "102")).status == 503


def party(number: str, name: str = "") -> Party:
    """An account as the store tells of it."""
    return Party(
        1, number, name or number, "", 1, "", "debit", None, 1, 1, "USD", Decimal(1), "secret", "account", True
    )  # fmt: skip


def test_parties_are_remembered_by_the_names_that_were_asked_for_until_they_change() -> None:
    memory = PartyMemory()
    parties = Parties(party("101"), party("102"), ())
    memory.keep("101", "office", parties, memory.changes)
    assert memory.recall("101", "office", NOW) == parties
    assert memory.recall("102", "101", NOW) == Parties(None, parties.caller, ())
    memory.changed("102")
    assert memory.recall("101", "office", NOW) == Parties(parties.caller, None, ())
    memory.changed(None)
    assert memory.recall("101", "office", NOW) == Parties(None, None, ())


def test_an_answer_that_a_change_overtook_is_not_remembered() -> None:
    memory = PartyMemory()
    before = memory.changes
    memory.changed("101")
    memory.keep("101", "102", Parties(party("101"), None, ()), before)
    assert memory.recall("101", "102", NOW).caller is None


def test_the_oldest_give_way() -> None:
    memory = PartyMemory(limit=3)
    for number in range(10):
        memory.keep(f"{number}", "x", Parties(party(f"{number}"), None, ()), memory.changes)
    assert [memory.recall(f"{number}", "x", NOW).caller is not None for number in range(10)] == [False] * 7 + [True] * 3


@pytest.mark.asyncio
async def test_who_has_only_registered_takes_nobodys_place(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case H8: of more registered accounts than are remembered so many are learned as there is room, and then none."""
    monkeypatch.setattr("switch.access.reach._LEARN_SECONDS", 0.01)
    monkeypatch.setattr("switch.access.reach._LEARN_PAUSE_SECONDS", 0.0)
    memory, switch = PartyMemory(limit=4), away.world.switch
    memory.keep("102", "103", Parties(party("102"), party("103"), ()), memory.changes)
    learning = asyncio.create_task(
        learn_registered(memory, switch.store, switch.reach, lambda: ["101", "201", "102", "103", "301", "104"])
    )
    await asyncio.sleep(0.5)
    learning.cancel()
    assert [memory.knows(name) for name in ("101", "201", "102", "103")] == [True] * 4
    assert memory.room == 0
