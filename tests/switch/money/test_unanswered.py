# SPDX-License-Identifier: Apache-2.0
"""What nobody pays for: sound before the answer, answers that connect nobody, free calls, emergency calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from media.app import run as run_relay
from media.settings import MediaSettings
from switch.access.emergency import ALARM_SECONDS, MOST_TOLD, EmergencyCalls
from switch.access.unanswered import EarlySound, UnansweredSound
from switch.relay.ng import NgError, NoRelay
from switch.settings import RelaySettings
from switch.sip.session import Cancelled, Ended, Failed, Progressed
from switch.sip.user_agent import Invited
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port, media_ports
from tests.switch.following import MOBILE, answering, follow_me
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import carriers, help_by_the_first

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from switch.settings import SwitchSettings
    from switch.sip.session import IncomingInvite
    from tests.patience import Lived
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

EARLY_SECONDS = 0.8


@pytest_asyncio.fixture
async def relay() -> AsyncIterator[tuple[str, int]]:
    """A relay that takes a switch for gone after a second without a question."""
    ng = "127.0.0.1", free_port()
    settings = MediaSettings(ng=ng, rtp_host="127.0.0.1", rtp_ports=media_ports("relay"), unwatched_seconds=1.0)
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run_relay(settings, ready=ready.set, stop=stop, reloads=asyncio.Queue()))
    await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
    yield ng
    stop.set()
    await task


@pytest.fixture
def settings(settings: SwitchSettings, request: pytest.FixtureRequest) -> SwitchSettings:
    """Short times; a relay only for those who ask for one."""
    if "relay" in request.fixturenames:
        addresses = (request.getfixturevalue("relay"),)
        return replace(settings, relay=RelaySettings(addresses=addresses, query_seconds=0.2))
    return replace(settings, early_media_seconds=EARLY_SECONDS, max_unpaid_call_seconds=1.0)


class Refusing(NoRelay):
    """A relay that takes offers and refuses every answer."""

    carries_media = True

    async def answer(self, call_id: str, from_tag: str, to_tag: str, sdp: bytes, source: str) -> bytes:
        """No."""
        raise NgError("unknown call")


def sound(phone: Phone, invite: IncomingInvite) -> None:
    """Send early media."""
    phone.perform(invite.progress(183, phone.now(), body=sdp(41000, codec="8")))


async def early(phone: Phone) -> Progressed:
    """The next provisional response that has a session description, or is none of a ringing phone."""
    while True:
        event = await phone.expect(Progressed)
        if event.response.status == 183 or event.response.sdp is not None:
            return event


# sound before the answer


async def test_a_phone_that_sounds_and_never_answers_is_given_up(world: World, lived: Lived) -> None:
    """Case L8."""
    async with world.phone("101") as alice, world.phone("201") as paid:
        await paid.register()
        await alice.call("201")
        sound(paid, await paid.ringing())
        assert (await early(alice)).response.sdp is not None
        began, lived_began = alice.now(), lived.seconds
        await paid.expect(Cancelled)
        assert alice.now() - began > EARLY_SECONDS - 0.1
        assert lived.seconds - lived_began < EARLY_SECONDS + 1
        assert (await alice.expect(Failed)).response.status == 480
    (record,) = await world.settled()
    assert (record["amount"], record["cause"]) == (Decimal(0), 19)
    assert world.switch.control.shared.unanswered.count == 1


async def test_a_carrier_that_announces_is_given_up_and_the_next_step_follows(world: World, lived: Lived) -> None:
    """Case L8, its neighbours: a carrier, and a chain; all steps of a call share the time."""
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE}, {"to": "420600000002"}))
    async with carriers(world) as (carrier, _), world.phone("103") as carol:
        await carol.call("102")
        sound(carrier, await carrier.ringing())
        assert (await early(carol)).response.sdp is not None
        began = lived.seconds
        await carrier.expect(Cancelled)
        invite = await carrier.ringing()
        assert invite.request.uri.user == "420600000002"
        assert lived.seconds - began < EARLY_SECONDS + 1
        carol.events = asyncio.Queue()
        sound(carrier, invite)
        assert (await carol.expect(Progressed)).response.sdp is None, "the time is used up: it may ring, not sound"
        carrier.perform(invite.accept(carrier.now(), body=sdp(41002, codec="8")))
        answered = await carol.connected()
        assert answered.response.sdp is not None
        carol.perform(answered.session.bye(carol.now()))
        await carrier.expect(Ended)
    assert world.switch.control.shared.unanswered.count >= 1


async def test_who_does_it_again_and_again_is_not_heard_before_the_answer(world: World) -> None:
    """Case L8: and what was withheld is given with the answer, should that leave it out."""
    unanswered = world.switch.control.shared.unanswered
    async with world.phone("101") as alice, world.phone("201") as paid:
        await paid.register()
        for _ in range(5):
            unanswered.heard(["account 201"], world.switch.core.now())
        await alice.call("201")
        invite = await paid.ringing()
        sound(paid, invite)
        await asyncio.sleep(0.1)
        heard = []
        while not alice.events.empty():
            event = alice.events.get_nowait()
            assert isinstance(event, Progressed)
            heard.append((event.response.status, event.response.sdp))
        assert set(heard) == {(180, None)}
        paid.perform(invite.accept(paid.now(), body=b""))
        answered = await alice.connected()
        assert answered.response.sdp is not None
        alice.perform(answered.session.bye(alice.now()))
        await paid.expect(Ended)


async def test_a_carrier_does_not_ring_longer_because_it_says_so_again(world: World) -> None:
    """Case L8, its neighbour: each provisional response began the time anew."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await alice.call(MOBILE)
        invite = await carrier.ringing()
        (call,) = world.switch.control.calls.values()
        await alice.expect(Progressed)
        assert call._ringing is not None
        (timer,) = call._ringing._timers.values()
        for _ in range(3):
            carrier.perform(invite.progress(180, carrier.now()))
            await alice.expect(Progressed)
        assert list(call._ringing._timers.values()) == [timer]


async def test_the_clock_of_early_sound_counts_what_is_heard_and_legs_that_sound_together_once() -> None:
    sounds = EarlySound(60.0)
    assert sounds.began("a", 0.0)
    assert not sounds.began("b", 10.0)
    assert not sounds.ended("a", 20.0)
    assert sounds.left(25.0) == 35.0
    assert sounds.ended("b", 30.0)
    assert sounds.left(1000.0) == 30.0
    assert sounds.began("c", 2000.0)
    assert sounds.left(2030.0) == 0.0


async def test_long_sound_is_forgiven_after_an_hour_and_one_name_is_not_another() -> None:
    unanswered = UnansweredSound()
    for at in range(5):
        assert not unanswered.is_muted("account 1", at)
        unanswered.heard(["account 1", "carrier a"], at)
    assert unanswered.is_muted("account 1", 3599)
    assert not unanswered.is_muted("account 1", 3600)
    assert not unanswered.is_muted("account 2", 5)
    for number in range(20_000):
        unanswered.heard([f"account x{number}"], 6)
    assert not unanswered.is_muted("account 1", 7), "bounded, whoever calls"


# answers


async def test_an_answer_after_long_early_media_connects(world: World, relay: tuple[str, int]) -> None:
    """Case L9: the relay takes the switch for gone unless it is asked about the call."""
    async with world.phone("101") as alice, world.phone("201") as paid:
        await paid.register()
        await alice.call("201")
        invite = await paid.ringing()
        sound(paid, invite)
        assert (await early(alice)).response.sdp is not None
        await asyncio.sleep(2.5)
        paid.perform(invite.accept(paid.now(), body=sdp(41000, codec="8")))
        answered = await alice.connected()
        alice.perform(answered.session.bye(alice.now()))
        await paid.expect(Ended)
    (record,) = await world.settled()
    assert (record["sip_status"], record["amount"]) == (200, Decimal("0.01"))


@pytest.mark.parametrize("dialled", ["201", "102"])
async def test_an_answer_that_the_relay_refuses_costs_nobody_anything(world: World, dialled: str) -> None:
    """Case L9; 102 forwards, and would pay for its leg."""
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "201"}))
    world.switch.control.shared.relay = Refusing()
    async with world.phone("101") as alice, world.phone("201") as paid:
        await paid.register()
        await alice.call(dialled)
        await paid.answer()
        assert (await alice.expect(Failed)).response.status == 488
        await paid.expect(Ended)
    records = await world.settled()
    assert {record["amount"] for record in records} == {Decimal(0)}
    assert records[0]["sip_status"] == 488
    assert await world.sql.fetchval("SELECT count(*) FROM billing_ledgerentry WHERE kind = 'call'") == 0


# nothing is free without an end


async def test_a_call_that_nobody_pays_for_ends_after_so_long_and_a_paid_one_does_not(
    world: World, lived: Lived
) -> None:
    async with world.phone("101") as alice, world.phone("104") as dave, world.phone("201") as paid:
        for phone in (dave, paid):
            await phone.register()
        await alice.call("104")
        await dave.answer()
        answered = await alice.connected()
        began, lived_began = alice.now(), lived.seconds
        await dave.expect(Ended)
        assert alice.now() - began > 0.8
        assert lived.seconds - lived_began < 3
        assert answered.session is (await alice.expect(Ended)).session
        await alice.call("201")
        await paid.answer()
        answered = await alice.connected()
        with pytest.raises(TimeoutError):
            await paid.expect(Ended, 1.5)
        alice.perform(answered.session.bye(alice.now()))
        await paid.expect(Ended)
    assert [record["ended_by"] for record in await world.settled()] == ["timer", "caller"]


# emergency calls


async def test_two_emergency_calls_of_an_account_run_and_a_third_is_refused_with_an_alarm(world: World) -> None:
    """Case L20: whatever the funds, and with the store away."""
    async with carriers(world) as (carrier, _), world.phone("105") as poor, world.phone("102") as other:
        await help_by_the_first(world)
        await world.sql.execute("UPDATE billing_account SET max_calls_out = 0 WHERE number = '105'")
        shared = world.switch.control.shared
        running = []
        for _ in range(2):
            await poor.call("112")
            running.append(await carrier.ringing())
        for _ in range(38):
            await poor.call("112")
            assert (await poor.expect(Failed)).response.status == 486
        assert shared.emergencies.alarms == 38
        noted = "SELECT count(*) FROM billing_emergencycall WHERE account = '105'"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await world.sql.fetchval(noted) < MOST_TOLD:  # noqa: ASYNC110 (nobody sets an event for it)
                await asyncio.sleep(0.02)
        assert shared.emergencies.count == 40
        with pytest.raises(TimeoutError):
            await carrier.expect(Invited, 0.2)
        await other.call("112")
        await carrier.ringing()
        shared.till.reach.lost()
        await poor.call("112")
        assert (await poor.expect(Failed)).response.status == 486
        carrier.perform(running[0].reject(486, carrier.now()))
        await poor.expect(Failed)
        await poor.call("112")
        await carrier.ringing()
        for call in list(world.switch.control.calls.values()):
            call.hang_up("admin", 16, "test is over")


async def test_an_emergency_call_is_not_ended_for_its_length(world: World) -> None:
    """Case L20, its neighbour."""
    async with carriers(world) as (carrier, _), world.phone("105") as poor:
        await help_by_the_first(world)
        await poor.call("112")
        invite = await carrier.ringing()
        carrier.perform(invite.accept(carrier.now(), body=sdp(41000)))
        answered = await poor.connected()
        with pytest.raises(TimeoutError):
            await carrier.expect(Ended, 1.5)
        poor.perform(answered.session.bye(poor.now()))
        await carrier.expect(Ended)


async def test_emergency_calls_count_for_the_account_and_for_the_carrier_that_brings_them() -> None:
    """Case L20, its neighbour: a number that anybody can forge counts for where it came from."""
    calls = EmergencyCalls()
    for number in range(2):
        assert calls.begin(f"call {number}", [f"account {number}", "address 192.0.2.1"], 0.0) is None
    assert calls.begin("third", ["account 3", "address 192.0.2.1"], 0.0) == "address 192.0.2.1"
    assert calls.begin("own", ["account 3"], 0.0) is None
    assert not calls.is_alarming(["account 3"], 0.0)
    assert calls.is_alarming(["account 0", "address 192.0.2.1"], 0.0)
    calls.ended("call 0")
    assert calls.begin("fourth", ["account 4", "address 192.0.2.1"], 3600.0) is None
    assert not calls.is_alarming(["address 192.0.2.1"], 3600.0), "two of them are an hour old"


async def test_a_phone_that_dials_for_help_on_and_on_fills_no_mailbox_and_no_table() -> None:
    """Case L20, its neighbour."""
    calls = EmergencyCalls()
    assert [calls.is_to_be_told("105", float(second)) for second in range(MOST_TOLD + 5)].count(True) == MOST_TOLD
    assert calls.is_to_be_told("106", 1.0), "nobody else is silenced"
    assert calls.is_to_be_told("105", ALARM_SECONDS)
