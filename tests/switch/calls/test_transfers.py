# SPDX-License-Identifier: Apache-2.0
"""Transfers: who may give a call away, who pays for that, and what each side hears of it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from billing_client.store import Store
from switch.sip.session import Acknowledged, Ended, Failed, Progressed, Replied, Requested
from switch.sip.user_agent import Invited
from tests.patience import PATIENCE_SECONDS
from tests.switch.calls.test_crossing import ask, hears_nothing
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import OUTSIDE, carriers

if TYPE_CHECKING:
    from switch.sip.message.message import Request
    from switch.sip.session import Session
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

ANOTHER = "420600000002"
OTHER_CUSTOMER = """
WITH b AS (INSERT INTO billing_balance (kind, currency, credit_limit) VALUES ('credit', 'USD', 0) RETURNING id),
     c AS (INSERT INTO billing_customer (name, balance_id) SELECT 'Others', id FROM b RETURNING id)
UPDATE billing_account SET customer_id = c.id FROM c WHERE number = '42027777100'"""


async def connect(
    caller: Phone, callee: Phone, number: str, *, offer: int = 40000, answer: int = 40100
) -> tuple[Session, Session]:
    """A call between two phones; returns the dialog of each."""
    await caller.call(number, body=sdp(offer))
    invite = await callee.answer(sdp(answer, codec="8"))
    answered = await caller.connected()
    await callee.expect(Acknowledged)
    return answered.session, invite.session()


async def asked(phone: Phone, method: str) -> Requested:
    """The next request of a kind within a call."""
    while (event := await phone.expect(Requested)).request.method != method:
        pass
    return event


async def agrees(phone: Phone, port: int, status: int = 200) -> Request:
    """Answer the re-INVITE that brings somebody else."""
    event = await asked(phone, "INVITE")
    body = sdp(port, codec="8") if status < 300 else b""
    phone.perform(event.session.respond(event.transaction, status, phone.now(), body=body))
    return event.request


async def refer(phone: Phone, session: Session, to: str, *lines: tuple[str, str]) -> int:
    """Ask for a transfer; how that is answered."""
    replied = await ask(phone, session, "REFER", ("Refer-To", to), *lines)
    assert replied.request.method == "REFER"
    return replied.response.status


async def told(phone: Phone) -> tuple[str, str]:
    """The next word on a transfer, and the state of the subscription; it is answered."""
    event = await asked(phone, "NOTIFY")
    phone.perform(event.session.respond(event.transaction, 200, phone.now()))
    assert event.request.get("Content-Type") == "message/sipfrag;version=2.0"
    return event.request.body.decode().strip(), event.request.get("Subscription-State") or ""


async def course(phone: Phone) -> list[str]:
    """All that is told of a transfer."""
    found = []
    while True:
        line, state = await told(phone)
        found.append(line.removeprefix("SIP/2.0 "))
        if state.startswith("terminated"):
            return found


def uri(number: str, headers: str = "") -> str:
    return f"<sip:{number}@127.0.0.1{headers}>"


def replaces(session: Session) -> str:
    """A dialog of a phone's as it names it to others."""
    dialog = session.dialog
    return f"{dialog.call_id}%3Bto-tag%3D{dialog.remote_tag}%3Bfrom-tag%3D{dialog.local_tag}"


async def test_a_blind_transfer_connects_who_was_called_with_who_stays(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        await carol.register()
        mine, theirs = await connect(alice, bob, "102")
        assert await refer(bob, theirs, uri("103")) == 202
        assert await told(bob) == ("SIP/2.0 100 Trying", "active;expires=300")
        invite = await carol.ringing()
        assert invite.request.from_.uri.user == "102", "as if he had dialled it"
        assert await told(bob) == ("SIP/2.0 180 Ringing", "active;expires=300")
        carol.perform(invite.accept(carol.now(), body=sdp(40300, codec="8")))
        assert b"m=audio 40300 " in (await agrees(alice, 40000)).body
        assert await told(bob) == ("SIP/2.0 200 OK", "terminated;reason=noresource")
        await bob.expect(Ended)
        await carol.expect(Acknowledged)
        keys = mine.send("INFO", alice.now(), body=b"Signal=5", content_type="application/dtmf-relay")
        alice.perform(keys)
        assert (await carol.expect(Requested)).request.body == b"Signal=5"
        alice.perform(mine.bye(alice.now()))
        await carol.expect(Ended)
    first, second = await world.settled()
    assert (first["transferred_by"], second["transferred_by"]) == ("102", "102")
    assert (first["caller"], first["dialled"], second["caller"], second["dialled"]) == ("101", "102", "102", "103")
    assert first["ended_at"] >= second["answered_at"]


async def test_who_transfers_to_the_outside_pays_for_it_and_who_called_pays_his_own_call_on(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        mine, theirs = await connect(alice, bob, "102")
        assert await refer(bob, theirs, uri(OUTSIDE)) == 202
        invite = await carrier.answer(sdp(41000, codec="8"))
        assert "sip:420222000102@" in (invite.request.get("P-Asserted-Identity") or "")
        await agrees(alice, 40000)
        assert (await course(bob))[-1] == "200 OK"
        await bob.expect(Ended)
        alice.perform(mine.bye(alice.now()))
        await carrier.expect(Ended)
    before, after = await world.settled()
    assert (before["account_id"], before["amount"]) != (after["account_id"], after["amount"])
    assert (before["amount"], after["amount"]) == (0, Decimal("0.045"))
    assert await world.balance("102") == Decimal("5.00") - Decimal("0.045")
    assert await world.balance("101") == Decimal("10.00")


async def test_who_may_make_one_call_gives_the_one_that_he_made_away(world: World) -> None:
    """A debit account has one outgoing call: the one that is given away is not one more."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        mine, theirs = await connect(alice, carrier, OUTSIDE, answer=41000)
        assert await refer(alice, mine, uri("102")) == 202
        offer = await asked(carrier, "INVITE")  # it has never made an offer: what can it do?
        assert offer.request.body == b""
        carrier.perform(offer.session.respond(offer.transaction, 200, carrier.now(), body=sdp(41000, codec="0 8 9")))
        invite = await bob.answer(sdp(40100, codec="8"))
        assert b"RTP/AVP 0 8 9" in invite.request.body
        await agrees(carrier, 41000)
        assert (await course(alice))[-1] == "200 OK"
        await alice.expect(Ended)
        bob.perform(invite.session().bye(bob.now()))
        await carrier.expect(Ended)
        del theirs
    assert [record["transferred_by"] for record in await world.settled()] == ["101", "101"]


@pytest.mark.parametrize("status", [486, 603, 404])
async def test_a_transfer_that_fails_leaves_the_parties_together(world: World, status: int) -> None:
    async with world.phone("101") as alice, world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        await dave.register()
        mine, theirs = await connect(alice, carol, "103")
        assert await refer(carol, theirs, uri("104")) == 202
        invite = (await dave.expect(Invited)).invite
        dave.perform(invite.reject(status, dave.now()))
        assert (await course(carol))[-1].startswith(str(status))
        await hears_nothing(alice, Requested, Ended)
        assert (await ask(alice, mine, "OPTIONS")).response.status == 200
        assert await refer(carol, theirs, uri("104")) == 202, "and may try again"
        event = await asked(carol, "NOTIFY")
        assert (event.request.get("Event") or "").startswith("refer;id="), "of several the subscriptions are told apart"


async def test_who_stays_and_takes_no_other_description_keeps_the_call_that_he_has(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        _, theirs = await connect(alice, bob, "102")
        await refer(bob, theirs, uri(OUTSIDE))
        await carrier.answer(sdp(41000, codec="8"))
        await agrees(alice, 40000, status=488)
        assert (await course(bob))[-1] == "488 Not Acceptable Here"
        await carrier.expect(Ended)
        assert (await ask(bob, theirs, "OPTIONS")).response.status == 200
        for call in list(world.switch.control.calls.values()):
            call.hang_up("admin", 16, "test is over")
        assert sum(record["amount"] for record in await world.settled()) == 0, "nobody was connected"


async def test_who_hangs_up_after_he_has_asked_leaves_the_other_to_the_transfer(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        await carol.register()
        mine, theirs = await connect(alice, bob, "102")
        await refer(bob, theirs, uri("103"))
        invite = await carol.ringing()
        bob.perform(theirs.bye(bob.now()))
        await hears_nothing(alice, Ended)
        carol.perform(invite.accept(carol.now(), body=sdp(40300, codec="8")))
        await agrees(alice, 40000)
        await carol.expect(Acknowledged)
        carol.perform(invite.session().bye(carol.now()))
        await alice.expect(Ended)
        del mine


async def test_whoever_is_left_alone_by_a_transfer_that_fails_is_hung_up_on(world: World) -> None:
    async with world.phone("101") as alice, world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        await dave.register()
        _, theirs = await connect(alice, carol, "103")
        await refer(carol, theirs, uri("104"))
        invite = await dave.ringing()
        carol.perform(theirs.bye(carol.now()))
        await hears_nothing(alice, Ended)
        dave.perform(invite.reject(486, dave.now()))
        await alice.expect(Ended)
    assert len(await world.settled()) == 2


async def test_who_stays_and_hangs_up_ends_the_transfer(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        await carol.register()
        mine, theirs = await connect(alice, bob, "102")
        await refer(bob, theirs, uri("103"))
        await carol.ringing()
        alice.perform(mine.bye(alice.now()))
        assert (await course(bob))[-1] == "487 Request Terminated"
        await world.settled()


async def test_an_attended_transfer_joins_the_two_calls_of_who_transfers(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        mine, theirs = await connect(alice, bob, "102")
        consults, outside = await connect(bob, carrier, OUTSIDE, offer=40200, answer=41000)
        assert await refer(bob, theirs, uri(OUTSIDE, f"?Replaces={replaces(consults)}"), ("Require", "replaces")) == 202
        assert b"m=audio 40000 " in (await agrees(carrier, 41000)).body
        assert b"m=audio 41000 " in (await agrees(alice, 40000)).body
        assert (await course(bob))[-1] == "200 OK"
        await bob.expect(Ended)
        await bob.expect(Ended)
        carrier.perform(outside.bye(carrier.now()))
        await alice.expect(Ended)
        del mine
    before, after = await world.settled()
    assert (before["transferred_by"], after["transferred_by"]) == ("102", "102")
    assert (before["amount"], after["amount"]) == (0, Decimal("0.045"))


async def test_an_attended_transfer_that_fails_leaves_both_calls_as_they_were(world: World) -> None:
    """The one who was asked has agreed already: he is told again with whom he talks."""
    async with world.phone("101") as alice, world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        await dave.register()
        mine, theirs = await connect(alice, carol, "103")
        consults, _ = await connect(carol, dave, "104", offer=40200, answer=40300)
        assert await refer(carol, theirs, uri("104", f"?Replaces={replaces(consults)}")) == 202
        await agrees(dave, 40300)
        await agrees(alice, 40000, status=488)
        assert (await course(carol))[-1] == "488 Not Acceptable Here"
        assert b"m=audio 40200 " in (await agrees(dave, 40300)).body
        for phone, session in ((alice, mine), (carol, theirs), (carol, consults)):
            assert (await ask(phone, session, "OPTIONS")).response.status == 200
        keys = consults.send("INFO", carol.now(), body=b"Signal=7", content_type="application/dtmf-relay")
        carol.perform(keys)
        assert (await asked(dave, "INFO")).request.body == b"Signal=7"


async def test_a_switch_that_dies_after_a_transfer_leaves_two_records(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        _, theirs = await connect(alice, bob, "102")
        await refer(bob, theirs, uri(OUTSIDE))
        await carrier.answer(sdp(41000, codec="8"))
        await agrees(alice, 40000)
        assert (await course(bob))[-1] == "200 OK"
        told = "SELECT count(*) FROM billing_activecall WHERE answered_at IS NOT NULL"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await world.sql.fetchval(told) < 2:  # noqa: ASYNC110 (nothing announces it)
                await asyncio.sleep(0.05)
        next_life = await Store.connect(world.switch.settings.store_dsn, node="test", connections=2)
        try:
            assert await next_life.adopt_orphans() == 2
        finally:
            await next_life.close()
        records = await world.sql.fetch("SELECT * FROM billing_xdr ORDER BY started_at")
        assert [record["ended_by"] for record in records] == ["orphan", "orphan"]
        assert (records[1]["dialled"], records[1]["transferred_by"]) == (OUTSIDE, "102")
        assert await world.sql.fetchval("SELECT sum(locked) FROM billing_balance") == 0


async def test_a_held_call_lets_a_debit_account_make_the_one_that_it_asks_with(world: World) -> None:
    async with carriers(world) as (carrier, other), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        mine, _ = await connect(alice, carrier, OUTSIDE, answer=41000)
        await alice.call(ANOTHER)
        assert (await alice.expect(Failed)).response.status == 486, "one call at a time"
        alice.perform(mine.send("INVITE", alice.now(), body=sdp(direction="sendonly", version=2)))
        await agrees(carrier, 41000)
        held = await alice.expect(Replied)
        alice.perform(mine.ack(held.request, alice.now()))
        consults, _ = await connect(alice, bob, "102", offer=40200)
        await alice.call(ANOTHER)
        assert (await alice.expect(Failed)).response.status == 486, "one held and one beside it, and no third"
        assert await refer(alice, mine, uri("102", f"?Replaces={replaces(consults)}")) == 202
        del other


async def test_a_consultation_that_still_rings_is_called_again_without_who_transfers(world: World) -> None:
    async with world.phone("101") as alice, world.phone("103") as carol, world.phone("104") as dave:
        await carol.register()
        await dave.register()
        _, theirs = await connect(alice, carol, "103")
        await carol.call("104", body=sdp(40200))
        await dave.ringing()
        while (progress := (await carol.expect(Progressed))).response.status != 180:
            pass
        assert progress.session is not None
        named = replaces(progress.session)
        assert await refer(carol, theirs, uri("104", f"?Replaces={named}")) == 202
        again = await dave.answer(sdp(40400, codec="8"))
        assert again.request.from_.uri.user == "103"
        await agrees(alice, 40000)
        assert (await course(carol))[-1] == "200 OK"


async def test_nobody_is_told_who_does_not_want_to_be(world: World) -> None:
    """RFC 4488."""
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        await carol.register()
        _, theirs = await connect(alice, bob, "102")
        replied = await ask(
            bob, theirs, "REFER", ("Refer-To", uri("103")), ("Refer-Sub", "false"), ("Supported", "norefersub")
        )
        assert (replied.response.status, replied.response.get("Refer-Sub")) == (202, "false")
        await carol.answer(sdp(40300, codec="8"))
        await agrees(alice, 40000)
        await bob.expect(Ended)
        assert not [message for message in bob.received if getattr(message, "method", "") == "NOTIFY"]


async def test_a_transferred_call_is_transferred_on_and_not_for_ever(world: World) -> None:
    names = ("103", "104")
    async with world.phone("101") as alice, world.phone(names[0]) as carol, world.phone(names[1]) as dave:
        await carol.register()
        await dave.register()
        _, session = await connect(alice, carol, names[0])
        phones, turn = (carol, dave), 0
        for hop in range(5):
            here, there = phones[turn], phones[1 - turn]
            assert await refer(here, session, uri(names[1 - turn])) == 202
            invite = await there.answer(sdp(40300 + hop * 10, codec="8"))
            await agrees(alice, 40000)
            assert (await course(here))[-1] == "200 OK"
            await here.expect(Ended)
            session, turn = invite.session(), 1 - turn
        assert await refer(phones[turn], session, uri(names[1 - turn])) == 482
        for call in list(world.switch.control.calls.values()):
            call.hang_up("admin", 16, "test is over")
        assert len(await world.settled()) == 6


# who may -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("<sip:420600000001@elsewhere.example>", 403),
        ("<sip:420600000001@127.0.0.1;method=BYE>", 403),
        ("<http://127.0.0.1/>", 416),
        ("<sip:103@127.0.0.1?Replaces=a%3Bto-tag%3Db>", 400),
        ("<sip:103@127.0.0.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>", 403),
        ("nonsense", 400),
    ],
)
async def test_what_is_no_transfer_of_ours_is_refused_and_nothing_is_dialled(
    world: World, to: str, status: int
) -> None:
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        mine, theirs = await connect(alice, bob, "102")
        assert await refer(bob, theirs, to) == status
        await hears_nothing(carrier, Invited)
        assert (await ask(alice, mine, "OPTIONS")).response.status == 200


async def test_a_carriers_caller_transfers_nobody_whoever_he_says_that_he_is(world: World) -> None:
    """The fraud: whoever is in a call with a phone makes it call anywhere at its owner's expense."""
    async with carriers(world) as (carrier, other), world.phone("102") as bob:
        await bob.register()
        await carrier.call("102", ("P-Asserted-Identity", "<sip:42075553333@c>"), authenticate=False)
        await bob.answer()
        session = (await carrier.connected()).session
        assert await refer(carrier, session, uri(OUTSIDE), ("Referred-By", "<sip:102@127.0.0.1>")) == 403
        await hears_nothing(bob, Requested)
        await hears_nothing(other, Invited)


async def test_headers_of_a_refer_to_go_nowhere(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        await bob.register()
        await carol.register()
        _, theirs = await connect(alice, bob, "102")
        headers = "?From=%3Csip%3A999%40bank.example%3E&Alert-Info=x&P-Asserted-Identity=%3Csip%3A1%40b%3E&Call-ID=1"
        await refer(bob, theirs, uri("103", headers), ("Referred-By", "<sip:boss@bank.example>"))
        invite = await carol.ringing()
        assert b"bank.example" not in invite.request.to_bytes()
        assert invite.request.get("Alert-Info") is None


async def test_nobody_gives_a_call_of_others_away(world: World) -> None:
    async with (
        world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol, world.phone("104") as dave,
    ):  # fmt: skip
        for phone in (bob, dave):
            await phone.register()
        _, theirs = await connect(alice, bob, "102")
        foreign, _ = await connect(carol, dave, "104", offer=40200, answer=40300)
        assert await refer(bob, theirs, uri("104", f"?Replaces={replaces(foreign)}")) == 403
        await hears_nothing(dave, Requested, Ended)


@pytest.mark.parametrize(("setting", "inside", "outside"), [("nowhere", 403, 403), ("inside", 200, 403)])
async def test_an_account_transfers_where_it_may(world: World, setting: str, inside: int, outside: int) -> None:
    await world.sql.execute("UPDATE billing_account SET transfers = $1 WHERE number = '102'", setting)
    async with (
        carriers(world) as (carrier, _),
        world.phone("101") as alice,
        world.phone("102") as bob,
        world.phone("103") as carol,
    ):
        await bob.register()
        await carol.register()
        _, theirs = await connect(alice, bob, "102")
        status = await refer(bob, theirs, uri(OUTSIDE))
        final = status if status != 202 else int((await course(bob))[-1][:3])
        assert final == outside
        await hears_nothing(carrier, Invited)
        status = await refer(bob, theirs, uri("103"))
        if status == 202:
            await carol.answer(sdp(40300, codec="8"))
            await agrees(alice, 40000)
            status = int((await course(bob))[-1][:3])
        assert status == inside


async def test_who_has_no_funds_for_it_transfers_nobody_to_there(world: World) -> None:
    await world.sql.execute(
        "INSERT INTO billing_ledgerentry (key, balance_id, amount, kind)"
        " SELECT 'spent', balance_id, -4.99, 'withdrawal' FROM billing_account WHERE number = '102'"
    )
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        mine, theirs = await connect(alice, bob, "102")
        assert await refer(bob, theirs, uri(OUTSIDE)) == 202
        assert (await course(bob))[-1] == "402 Payment Required"
        await hears_nothing(carrier, Invited)
        assert (await ask(alice, mine, "OPTIONS")).response.status == 200


async def test_when_the_funds_of_who_has_transferred_end_both_calls_end(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        _, theirs = await connect(alice, bob, "102")
        await refer(bob, theirs, uri(OUTSIDE))
        await carrier.answer(sdp(41000, codec="8"))
        await agrees(alice, 40000)
        await course(bob)
        await bob.expect(Ended)
        paid = next(call for call in world.switch.control.calls.values() if call.dialled == OUTSIDE)
        paid.funds_ended()
        await alice.expect(Ended)
        await carrier.expect(Ended)
    _, second = await world.settled()
    assert second["ended_by"] == "funds"


# taking a call over (RFC 3891) ---------------------------------------------------------------------------------------
async def test_a_phone_of_the_same_account_takes_its_call_over(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("101") as mobile:
        await bob.register()
        mine, theirs = await connect(alice, bob, "102")
        named = replaces(mine).replace("%3B", ";").replace("%3D", "=")
        await mobile.call("102", ("Replaces", named), ("Require", "replaces"), body=sdp(40500))
        assert b"m=audio 40500 " in (await agrees(bob, 40100)).body
        answered = await mobile.connected()
        assert b"m=audio 40100 " in answered.response.body
        await alice.expect(Ended)
        mobile.perform(answered.session.bye(mobile.now()))
        await bob.expect(Ended)
        del theirs
    (record,) = await world.settled()
    assert (record["dialled"], record["transferred_by"]) == ("102", "101")


async def test_nobody_else_takes_it_over(world: World) -> None:
    async with (
        carriers(world) as (carrier, _),
        world.phone("101") as alice,
        world.phone("102") as bob,
        world.phone("42027777100") as john,
    ):
        await bob.register()
        await world.sql.execute(OTHER_CUSTOMER)
        mine, theirs = await connect(alice, bob, "102")
        named = replaces(mine).replace("%3B", ";").replace("%3D", "=")
        await carrier.call("102", ("Replaces", named), authenticate=False)
        assert (await carrier.expect(Failed)).response.status == 403
        await john.call("102", ("Replaces", "no;to-tag=such;from-tag=dialog"))
        assert (await john.expect(Failed)).response.status == 481
        await john.call("102", ("Replaces", named))
        assert (await john.expect(Failed)).response.status == 481, "another customer's"
        await alice.call("102", ("Replaces", f"{named};early-only"))
        assert (await alice.expect(Failed)).response.status == 486
        await hears_nothing(bob, Requested, Ended)
        del theirs
