# SPDX-License-Identifier: Apache-2.0
"""Forwarded calls as phones and carriers live them, with the money that they cost."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from switch.relay.ng import NoRelay
from switch.sip.session import Acknowledged, Cancelled, Ended, Failed, Progressed
from switch.sip.user_agent import Invited
from tests.switch.following import MOBILE, answering, follow_me, media, settings
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import carriers

if TYPE_CHECKING:
    from switch.sip.session import IncomingInvite
    from tests.patience import Lived
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

__all__ = ["media", "settings"]
pytestmark = pytest.mark.asyncio


async def hang_up(caller: Phone, *others: Phone) -> None:
    """Connect the caller, and end the call."""
    answered = await caller.connected()
    caller.perform(answered.session.bye(caller.now()))
    for other in others:
        await other.expect(Ended)


def lines(invite: IncomingInvite, name: str) -> list[str]:
    """The values of a header of an INVITE."""
    return invite.request.values(name)


async def test_a_forwarded_call_leaves_two_records_and_each_pays_its_own(world: World) -> None:
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE}))
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await alice.call("102")
        invite = await carrier.ringing()
        assert invite.request.uri.user == MOBILE
        assert invite.request.from_.uri.user == "420222000101"
        assert "user-busy" not in lines(invite, "Diversion")[0]
        assert lines(invite, "Diversion") == ["<sip:420222000102@127.0.0.1>;reason=follow-me;counter=1"]
        assert lines(invite, "History-Info") == []
        assert {(await alice.expect(Progressed)).response.status for _ in range(2)} == {180, 181}
        carrier.perform(invite.accept(carrier.now(), body=sdp(41000)))
        answered = await alice.connected()
        assert answered.response.sdp == sdp(41000)
        await carrier.expect(Acknowledged)
        alice.perform(answered.session.bye(alice.now()))
        assert (await carrier.expect(Ended)).reason == "bye"
    first, second = sorted(await world.settled(), key=lambda row: row["direction"], reverse=True)
    assert (first["direction"], first["caller"], first["dialled"], first["amount"]) == (
        "internal", "101", "102", Decimal(0),
    )  # fmt: skip
    assert (second["direction"], second["dialled"], second["amount"]) == ("forwarded", MOBILE, Decimal("0.045"))
    assert await world.balance("101") == Decimal("10.00")
    assert await world.balance("102") == Decimal("4.955")


@pytest.mark.parametrize(
    ("caller_id", "number", "display"),
    [
        ("caller", "420222000101", "Alice"),
        ("caller_forwarder_name", "420222000101", "Bob"),
        ("forwarder", "420222000102", "Bob"),
    ],
)
async def test_the_forwarded_party_sees_who_the_entry_says(
    world: World, caller_id: str, number: str, display: str
) -> None:
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE, "caller_id": caller_id}))
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        invite = await alice.call("102")
        seen = await carrier.ringing()
        assert (seen.request.from_.uri.user, seen.request.from_.display) == (number, display)
        assert "sip:420222000102@" in (seen.request.get("P-Asserted-Identity") or "")  # who pays, whoever is shown
        alice.perform(invite.cancel(alice.now()))
        await carrier.expect(Cancelled)


async def test_a_withheld_number_stays_withheld_but_the_forwarders_own_is_shown(world: World) -> None:
    private = ("Privacy", "id")
    for caller_id, seen in (("caller", "anonymous"), ("forwarder", "102")):
        await answering(world, "102", mode="forward", follow_me=follow_me({"to": "103", "caller_id": caller_id}))
        async with world.phone("101") as alice, world.phone("103") as carol:
            await carol.register()
            invite = await alice.call("102", private)
            request = (await carol.ringing()).request
            assert request.from_.uri.user == seen
            assert (request.get("Privacy") is None) is (caller_id == "forwarder")
            alice.perform(invite.cancel(alice.now()))
            await carol.expect(Cancelled)


async def test_phones_ring_first_and_the_list_follows_when_they_are_busy(world: World) -> None:
    await answering(world, "102", mode="ring_then_forward", follow_me=follow_me({"to": "103"}, {"to": "104"}))
    async with (
        world.phone("101") as alice,
        world.phone("102") as bob,
        world.phone("103") as carol,
        world.phone("104") as dave,
    ):
        for phone in (bob, carol, dave):
            await phone.register()
        await alice.call("102")
        invite = await bob.ringing()
        bob.perform(invite.reject(486, bob.now()))
        invite = await carol.ringing()
        assert lines(invite, "History-Info")[-1] == "<sip:103@127.0.0.1;cause=486>;index=1.1;mp=1"
        carol.perform(invite.reject(486, carol.now()))
        invite = await dave.ringing()
        dave.perform(invite.accept(dave.now(), body=sdp(41000)))
        await hang_up(alice, dave)
    assert sorted(row["direction"] for row in await world.settled()) == ["forwarded", "forwarded", "internal"]


async def test_entries_ring_together_and_one_that_is_busy_does_not_end_the_other(world: World) -> None:
    list_of_two = follow_me({"to": "103"}, {"to": "104"}, order="simultaneous")
    await answering(world, "102", mode="forward", follow_me=list_of_two)
    async with world.phone("101") as alice, world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        await dave.register()
        await alice.call("102")
        carols, daves = await asyncio.gather(carol.ringing(), dave.ringing())
        carol.perform(carols.reject(603, carol.now()))
        await asyncio.sleep(0.1)
        dave.perform(daves.accept(dave.now(), body=sdp(41000)))
        await hang_up(alice, dave)


async def test_each_entry_rings_for_its_own_time(world: World, lived: Lived) -> None:
    list_of_two = follow_me({"to": "103", "seconds": 1}, {"to": "104", "seconds": 30})
    await answering(world, "102", mode="forward", follow_me=list_of_two)
    async with world.phone("101") as alice, world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        await dave.register()
        await alice.call("102")
        await carol.ringing()
        began, lived_began = carol.now(), lived.seconds
        await carol.expect(Cancelled)
        assert carol.now() - began > 0.8
        assert lived.seconds - lived_began < 3
        invite = await dave.ringing()
        dave.perform(invite.accept(dave.now(), body=sdp(41000)))
        await hang_up(alice, dave)


@pytest.mark.parametrize(
    ("trigger", "status", "cause"), [("busy", 486, 486), ("unregistered", 480, 404), ("no_answer", None, 408)]
)
async def test_a_forward_for_one_reason_is_taken_for_that_reason_alone(
    world: World, trigger: str, status: int | None, cause: int
) -> None:
    rules = {one: {"to": "104" if one == trigger else "105"} for one in ("busy", "unregistered", "no_answer")}
    await answering(world, "102", mode="ring", forward=rules, ring_seconds=1)
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("104") as dave:
        await bob.register()
        await dave.register()
        await alice.call("102")
        invite = await bob.ringing()
        if status is not None:
            bob.perform(invite.reject(status, bob.now()))
        invite = await dave.ringing()
        assert f";cause={cause}>" in lines(invite, "History-Info")[-1]
        dave.perform(invite.reject(486, dave.now()))
        assert (await alice.expect(Failed)).response.status in (480, 486)


async def test_forward_all_leaves_the_phones_alone(world: World) -> None:
    await answering(world, "102", forward={"always": {"to": "103"}}, do_not_disturb=True)
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        await carol.register()
        await alice.call("102")
        invite = await carol.ringing()
        assert lines(invite, "Diversion") == ["<sip:102@127.0.0.1>;reason=unconditional;counter=1"]
        carol.perform(invite.accept(carol.now(), body=sdp(41000)))
        await hang_up(alice, carol)
        assert bob.events.empty()


async def test_do_not_disturb_and_reject_ring_nobody(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        for rules, status in (({"do_not_disturb": True}, 480), ({"mode": "reject"}, 603)):
            await answering(world, "102", **rules)
            await alice.call("102")
            assert (await alice.expect(Failed)).response.status == status
        with pytest.raises(TimeoutError):
            await bob.expect(Invited, 0.2)


@pytest.mark.parametrize("ends", [True, False])
async def test_a_decline_ends_the_call_only_where_the_account_says_so(world: World, ends: bool) -> None:
    rules = {"on_decline": "end"} if ends else {}
    await answering(world, "102", mode="ring_then_forward", follow_me=follow_me({"to": "103"}), **rules)
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        await carol.register()
        await alice.call("102")
        invite = await bob.ringing()
        bob.perform(invite.reject(603, bob.now()))
        if ends:
            assert (await alice.expect(Failed)).response.status == 603
        else:
            invite = await carol.ringing()
            carol.perform(invite.reject(486, carol.now()))
            assert (await alice.expect(Failed)).response.status == 603


# money


async def test_a_forwarder_without_funds_does_not_forward_and_the_caller_is_not_told_so(world: World) -> None:
    await answering(world, "105", mode="forward", follow_me=follow_me({"to": "44700"}, {"to": "103"}))
    await world.sql.execute("UPDATE billing_rate SET connect_fee = 5 WHERE prefix = '44'")
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("103") as carol:
        await alice.call("105")
        assert (await alice.expect(Failed)).response.status == 480
        await carol.register()
        await alice.call("105")
        invite = await carol.ringing()
        carol.perform(invite.accept(carol.now(), body=sdp(41000)))
        await hang_up(alice, carol)
        assert carrier.events.empty()
    assert await world.balance("105") == Decimal("0.20")


async def test_the_end_of_the_forwarders_funds_ends_the_whole_call(world: World, lived: Lived) -> None:
    await answering(world, "105", mode="forward", follow_me=follow_me({"to": "201"}))
    await world.sql.execute("UPDATE billing_rate SET first_price = 6, next_price = 6 WHERE prefix = '20'")
    async with world.phone("101") as alice, world.phone("201") as paid:
        await world.routes_reloaded()
        await paid.register()
        await alice.call("105")
        invite = await paid.ringing()
        paid.perform(invite.accept(paid.now(), body=sdp(41000)))
        await alice.connected()
        began, lived_began = alice.now(), lived.seconds
        ended = await alice.expect(Ended)
        assert alice.now() - began > 1.9
        assert lived.seconds - lived_began < 3
        assert ended.request is not None
        assert "Funds" in (ended.request.get("Reason") or "")
        await paid.expect(Ended)
    rows = {row["direction"]: row for row in await world.settled()}
    assert (rows["forwarded"]["amount"], rows["forwarded"]["ended_by"]) == (Decimal("0.20000"), "funds")
    assert rows["internal"]["amount"] == Decimal(0)
    assert await world.balance("105") == Decimal(0)


async def test_an_entry_carries_so_many_calls_and_no_more_whatever_its_account_may(world: World) -> None:
    await world.sql.execute("UPDATE billing_account SET max_calls_out = 9 WHERE number = '102'")
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "103", "max_calls": 2}))
    async with world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        invites = []
        for expected in (True, True, False):
            await dave.call("102")
            if expected:
                invites.append(await carol.ringing())
            else:
                assert (await dave.expect(Failed)).response.status == 486
        for invite in invites:
            carol.perform(invite.reject(480, carol.now()))
            await dave.expect(Failed)


# nesting and loops


async def test_a_forward_to_an_account_that_forwards_is_paid_by_each_in_turn(world: World) -> None:
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "103"}))
    await answering(world, "103", mode="forward", follow_me=follow_me({"to": "201", "caller_id": "forwarder"}))
    async with world.phone("101") as alice, world.phone("201") as paid:
        await paid.register()
        await alice.call("102")
        invite = await paid.ringing()
        assert invite.request.from_.uri.user == "103"
        assert [value.partition("@")[0] for value in lines(invite, "Diversion")] == ["<sip:103", "<sip:102"]
        assert lines(invite, "History-Info")[-1] == "<sip:201@127.0.0.1;cause=302>;index=1.1.1;mp=1.1"
        paid.perform(invite.accept(paid.now(), body=sdp(41000)))
        await hang_up(alice, paid)
    found = await world.sql.fetch(
        "SELECT a.number, x.dialled, x.direction FROM billing_xdr x JOIN billing_account a ON a.id = x.account_id"
        " ORDER BY x.dialled"
    ) if await world.settled() else []  # fmt: skip
    assert [tuple(row) for row in found] == [
        ("101", "102", "internal"), ("102", "103", "forwarded"), ("103", "201", "forwarded"),
    ]  # fmt: skip


async def test_accounts_that_forward_to_each_other_end_in_a_clear_answer(world: World) -> None:
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "103"}))
    await answering(world, "103", mode="forward", follow_me=follow_me({"to": "102"}))
    async with world.phone("101") as alice:
        await alice.call("102")
        assert (await alice.expect(Failed)).response.status == 480
    assert len(await world.settled()) == 2  # 101 to 102, 102 to 103; what 103 would do is a loop
    await world.switch.recorder.flush()


async def test_a_list_that_names_its_own_account_rings_its_phones_and_stops(world: World) -> None:
    await answering(world, "102", mode="ring_then_forward", follow_me=follow_me({"to": "102"}), ring_seconds=1)
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        for _ in range(2):
            invite = await bob.ringing()
            bob.perform(invite.reject(486, bob.now()))
        assert (await alice.expect(Failed)).response.status == 486
        assert bob.events.empty()


async def test_a_loop_through_a_carrier_that_hides_it_stops_at_the_limit_of_the_forward(world: World) -> None:
    await world.sql.execute("UPDATE billing_account SET max_calls_in = NULL WHERE number = '101'")
    await answering(world, "103", mode="forward", follow_me=follow_me({"to": MOBILE, "max_calls": 3}))
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await alice.call("103")
        for _ in range(3):
            invite = await carrier.ringing()
            assert invite.request.uri.user == MOBILE
            await carrier.call("103", authenticate=False)
        with pytest.raises(TimeoutError):
            await carrier.expect(Invited, 0.5)
        assert len(world.switch.control.calls) == 2 * 3
        for call in list(world.switch.control.calls.values()):
            call.hang_up("admin", 16, "test is over")


async def test_a_forward_to_a_sip_uri_goes_there_and_is_rated_as_any_call(world: World) -> None:
    async with world.phone("office") as office, world.phone("101") as alice:
        await world.sql.execute(
            "INSERT INTO billing_rate (tariff_id, prefix, destination, first_price, next_price, effective_from)"
            " SELECT tariff_id, '', 'SIP', 0.60, 0.60, '2000-01-01' FROM billing_rate LIMIT 1"
        )
        await world.routes_reloaded()
        host, port = office.local
        target = f"sip:office@{host}:{port}"
        object.__setattr__(world.switch.settings, "domains", ("sip.example.com",))
        await answering(world, "102", mode="forward", follow_me=follow_me({"to": target, "keep_cld": True}))
        await alice.call("102")
        invite = await office.ringing()
        assert invite.request.uri_text == f"sip:102@{host}:{port}"
        office.perform(invite.accept(office.now(), body=sdp(41000)))
        await hang_up(alice, office)
    rows = {row["direction"]: row for row in await world.settled()}
    assert (rows["forwarded"]["destination"], rows["forwarded"]["amount"]) == ("SIP", Decimal("0.01000"))


async def test_a_call_and_its_forwards_share_one_session_of_the_relay(world: World) -> None:
    relay = Noting()
    world.switch.shared.relay = relay
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "103"}))
    await answering(world, "103", mode="forward", follow_me=follow_me({"to": "201"}))
    async with world.phone("101") as alice, world.phone("201") as paid:
        await paid.register()
        await alice.call("102")
        invite = await paid.ringing()
        assert invite.request.sdp == sdp()
        paid.perform(invite.accept(paid.now(), body=sdp(41000)))
        await hang_up(alice, paid)
    await world.settled()
    assert [command for command, _ in relay.asked] == ["offer", "answer"]
    assert len({call_id for _, call_id in relay.asked}) == 1


class Noting(NoRelay):
    """Passes descriptions on as they are, and notes for which call."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def offer(self, call_id: str, from_tag: str, sdp: bytes, source: str) -> bytes:
        """An offer."""
        self.asked.append(("offer", call_id))
        return await super().offer(call_id, from_tag, sdp, source)

    async def answer(self, call_id: str, from_tag: str, to_tag: str, sdp: bytes, source: str) -> bytes:
        """An answer."""
        self.asked.append(("answer", call_id))
        return await super().answer(call_id, from_tag, to_tag, sdp, source)
