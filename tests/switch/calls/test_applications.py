# SPDX-License-Identifier: Apache-2.0
"""Calls to applications of the media server and calls that it makes; a phone of ours stands at its address."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from switch.settings import Limits
from switch.sip.mark import ACCEPTED, Chain, Marks
from switch.sip.message.message import Request
from switch.sip.message.uri import Uri
from switch.sip.session import Acknowledged, Cancelled, Ended, Failed, Progressed, Replied
from switch.sip.user_agent import Invited
from tests.patience import PATIENCE_SECONDS
from tests.switch.following import MOBILE, SECRET, answering, call_from_media, follow_me, media, settings
from tests.switch.phone import Phone, sdp
from tests.switch.routing.test_gateways import carriers

if TYPE_CHECKING:
    from tests.patience import Lived
    from tests.switch.conftest import World

__all__ = ["media", "settings"]
pytestmark = pytest.mark.asyncio


async def test_an_access_number_leads_to_the_media_server_free_of_charge(world: World, media: Phone) -> None:
    async with world.phone("105") as poor:
        await world.sql.execute("UPDATE billing_account SET max_calls_out = 1")
        await poor.call("*98")
        invite = await media.ringing()
        uri = invite.request.uri
        assert (uri.user, uri.params["target"]) == ("voicemail-access", "sip%3A105%40127.0.0.1")
        assert invite.request.to.uri.user == "*98"
        assert invite.request.get("P-Served-User") == "<sip:105@127.0.0.1>;sescase=orig"
        assert "sip:105@127.0.0.1" in (invite.request.get("P-Asserted-Identity") or "")
        assert await world.sql.fetchval("SELECT locked FROM billing_activecall") == Decimal(0)
        media.perform(invite.accept(media.now(), body=sdp(41000)))
        answered = await poor.connected()
        # what the account does through the application is no second call of the caller's
        async with world.phone("104") as dave:
            await dave.register()
            await call_from_media(world, media, "104", "105", "105")
            outgoing = await dave.ringing()
            dave.perform(outgoing.reject(486, dave.now()))
            assert (await media.expect(Failed)).response.status == 486
        poor.perform(answered.session.bye(poor.now()))
        await media.expect(Ended)
    first, second = await world.settled()
    assert (first["dialled"], first["amount"]) == ("*98", Decimal(0))
    assert (second["dialled"], second["direction"]) == ("104", "internal")


async def test_the_media_server_is_believed_by_its_mark_and_not_by_its_address(world: World, media: Phone) -> None:
    """Case L11: one datagram from the media server's address, with P-Served-User, calls at nobody's expense."""
    async with world.phone("104") as dave:
        await dave.register()
        for case in ("orig", "orig-cdiv"):
            await call_from_media(world, media, "104", "105", "105", case=case, marks=None)
            assert (await media.expect(Failed)).response.status == 407
        forged = Marks(b"a secret that somebody made up", "media", wall=time.time, clock=time.monotonic)
        await call_from_media(world, media, "104", "105", "105", marks=forged)
        assert (await media.expect(Failed)).response.status == 407
        assert not [one for one in dave.received if one.start_line().startswith("INVITE")]
    assert await world.settled() == []


async def test_a_captured_invite_of_the_media_server_makes_no_second_call(world: World, media: Phone) -> None:
    """Case L11."""
    async with world.phone("104") as dave, Phone("thief", "", world.address) as thief:
        await dave.register()
        await call_from_media(world, media, "104", "105", "105")
        outgoing = await dave.ringing()
        captured = next(one for one in media.sent if one.start_line().startswith("INVITE"))
        captured.set("Via", f"SIP/2.0/UDP {thief.address};branch=z9hG4bKanother;rport")
        captured.set("CSeq", "7 INVITE")
        thief._transport.sendto(captured.to_bytes(), world.address)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not [one for one in thief.received if one.start_line().startswith("SIP/2.0 407")]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        dave.perform(outgoing.reject(486, dave.now()))
        assert (await media.expect(Failed)).response.status == 486
    assert len(await world.settled()) == 1


async def test_an_application_calls_no_application(world: World, media: Phone) -> None:
    """Case L10: a menu in which its own access number, another one or a star code is typed."""
    for number in ("*98", "*99", "*72420600000001"):
        for case in ("orig", "orig-cdiv"):
            await call_from_media(world, media, number, "105", "105", case=case)
            assert (await media.expect(Failed)).response.status == 403
    assert await world.settled() == []


async def test_a_third_application_in_a_chain_is_refused(world: World, media: Phone) -> None:
    """Case L10: an account that forwards to a menu, called by an application that an application led to."""
    await answering(world, "104", mode="forward", follow_me=follow_me({"to": "*99"}))
    for depth, status in ((1, None), (2, 403)):
        chain = Chain(depth, "account:105", "127.0.0.1")
        outgoing = await call_from_media(world, media, "104", "105", "105", chain=chain)
        if status is None:
            second = await media.ringing()
            media.perform(outgoing.cancel(media.now()))
            assert f"depth={depth + 1};by=account:105" in (second.request.get("Softswitch-Mark") or "")
            await media.expect(Cancelled)
        else:
            assert (await media.expect(Failed)).response.status >= 400
            assert not [one for one in media.received[-3:] if one.start_line().startswith("INVITE")]


async def test_one_account_does_not_fill_the_media_server(world: World, media: Phone) -> None:
    """Case A6: calls to an application, one after the other, none of them ended."""
    limits = Limits(per_account=2, per_address=4, total=6, reserved=2)
    world.switch._take_over(replace(world.switch.settings, application_limits=limits))
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as carol:
        calls = []
        for phone in (alice, alice, bob, bob):
            calls.append((phone, await phone.call("*98")))
            await media.ringing()
        for phone, status in ((alice, 486), (carol, 486)):
            await phone.call("*98")
            assert (await phone.expect(Failed)).response.status == status
        phone, invite = calls[0]
        phone.perform(invite.cancel(phone.now()))
        assert (await phone.expect(Failed)).response.status == 487
        await carol.call("*98")
        await media.ringing()
        assert world.switch.shared.inside.occupancy.total == 4


async def test_what_is_kept_for_messages_is_given_to_nothing_else(world: World, media: Phone) -> None:
    """Case A6: the media server is full but for its reserve; a caller whom nobody answers leaves a message."""
    world.switch._take_over(replace(world.switch.settings, application_limits=Limits(total=2, reserved=1)))
    async with world.phone("101") as alice, world.phone("102") as bob:
        await alice.call("*98")
        await media.ringing()
        await bob.call("*98")
        failed = (await bob.expect(Failed)).response
        assert (failed.status, failed.get("Retry-After")) == (503, "10")
        await answering(world, "104", mode="ring_then_voicemail", ring_seconds=1)
        await bob.call("104")
        invite = await media.ringing()
        assert invite.request.uri.user == "voicemail"


async def test_a_mark_that_a_phone_writes_reaches_nobody(world: World, media: Phone) -> None:
    """Case A4: neither does a phone pass a mark on, nor does one of its own hinder ours."""
    marks = Marks(SECRET, "media", wall=time.time, clock=time.monotonic)
    async with world.phone("101") as alice, world.phone("104") as dave:
        await dave.register()
        for number in ("104", "*98"):
            await alice.call(number, ("softswitch-mark", "v=1;at=1;depth=0;by=x;from=;mac=0"))
            callee = dave if number == "104" else media
            request = (await callee.ringing()).request
            assert len(request.all("Softswitch-Mark")) == (0 if callee is dave else 1)
            assert marks.read(request) == (None if callee is dave else Chain(1, "account:101", "127.0.0.1"))


@pytest.mark.parametrize("case", ["orig", "orig-cdiv"])
async def test_what_an_application_dials_counts_for_who_pays_it(world: World, media: Phone, case: str) -> None:
    """Case L14, its neighbour: as the phone's own calls do, and together with them."""
    async with world.phone("105") as poor, world.phone("104") as dave:
        await dave.register()
        await call_from_media(world, media, "104", "105", "105", case=case)
        outgoing = await dave.ringing()
        for again in ("orig", "orig-cdiv"):
            await call_from_media(world, media, "104", "105", "105", case=again)
            assert (await media.expect(Failed)).response.status == 486
        await poor.call("104")
        assert (await poor.expect(Failed)).response.status == 486
        dave.perform(outgoing.reject(486, dave.now()))
        assert (await media.expect(Failed)).response.status == 486
        await poor.call("104")
        await dave.ringing()


async def test_a_menu_and_a_star_code_say_what_they_are(world: World, media: Phone) -> None:
    async with world.phone("101") as alice:
        for dialled, user, params in (
            ("*99", "menu", {"target": "sip%3A101%40127.0.0.1", "name": "reception"}),
            ("*72420600000001", "feature", {"target": "sip%3A101%40127.0.0.1", "code": "%2A72", "argument": MOBILE}),
            ("*7", "feature", {"target": "sip%3A101%40127.0.0.1", "code": "%2A7"}),
        ):
            invite = await alice.call(dialled)
            uri = (await media.ringing()).request.uri
            assert (uri.user, dict(uri.params)) == (user, params)
            alice.perform(invite.cancel(alice.now()))
            await media.expect(Cancelled)
            await alice.expect(Failed)


async def test_other_access_numbers_count_from_the_next_call(world: World, media: Phone) -> None:
    async with world.phone("101") as alice:
        world.switch._take_over(replace(world.switch.settings, access_numbers={"*55": "echo"}))
        await alice.call("*98")
        assert (await alice.expect(Failed)).response.status == 404
        invite = await alice.call("*55")
        assert (await media.ringing()).request.uri.user == "echo"
        alice.perform(invite.cancel(alice.now()))


async def test_a_carriers_call_to_an_access_number_needs_no_account(world: World, media: Phone) -> None:
    world.switch._take_over(replace(world.switch.settings, access_numbers={"42080012345": "calling_card"}))
    async with carriers(world) as (carrier, _):
        carrier.user = "42075553333"
        await carrier.call("42080012345", authenticate=False)
        invite = await media.ringing()
        assert invite.request.uri.user == "calling_card"
        assert "target" not in invite.request.uri.params
        assert invite.request.get("P-Served-User") is None
        media.perform(invite.accept(media.now(), body=sdp(41000)))
        answered = await carrier.connected()
        carrier.perform(answered.session.bye(carrier.now()))
        await media.expect(Ended)
    assert await world.settled() == []


async def test_a_destination_may_be_dialled_right_after_an_access_number(world: World, media: Phone) -> None:
    numbers = {"5061999": "calling_card", "5061999%": "calling_card"}
    world.switch._take_over(replace(world.switch.settings, access_numbers=numbers))
    async with world.phone("101") as alice:
        for dialled, params in (
            ("5061999", {"target": "sip%3A101%40127.0.0.1"}),
            (f"5061999{MOBILE}#", {"target": "sip%3A101%40127.0.0.1", "access": "5061999", "argument": MOBILE}),
        ):
            invite = await alice.call(dialled)
            uri = (await media.ringing()).request.uri
            assert (uri.user, dict(uri.params)) == ("calling_card", params)
            alice.perform(invite.cancel(alice.now()))
            await media.expect(Cancelled)
            await alice.expect(Failed)


@pytest.mark.parametrize("status", [503, 404])
async def test_a_media_server_that_fails_is_a_clear_answer(world: World, media: Phone, status: int) -> None:
    async with world.phone("101") as alice:
        await alice.call("*98")
        invite = await media.ringing()
        media.perform(invite.reject(status, media.now()))
        assert (await alice.expect(Failed)).response.status == {503: 480, 404: 404}[status]


async def test_a_media_server_that_is_dead_is_a_clear_answer_soon(world: World, media: Phone, lived: Lived) -> None:
    async with world.phone("101") as alice:
        media.lose = 100
        began = lived.seconds
        await alice.call("*98")
        assert (await alice.expect(Failed)).response.status == 480
        assert lived.seconds - began < 5


# voicemail


async def test_nobody_answers_and_the_mailbox_does(world: World, media: Phone) -> None:
    await answering(world, "201", mode="ring_then_voicemail", ring_seconds=1)
    async with world.phone("102") as bob, world.phone("201") as paid:
        await paid.register()
        await bob.call("201")
        await paid.ringing()
        invite = await media.ringing()
        await paid.expect(Cancelled)
        uri = invite.request.uri
        assert (uri.user, dict(uri.params)) == ("voicemail", {"target": "sip%3A201%40127.0.0.1", "cause": "408"})
        assert invite.request.to.uri.user == "201"
        assert invite.request.values("Diversion") == ["<sip:201@127.0.0.1>;reason=no-answer;counter=1"]
        assert {(await bob.expect(Progressed)).response.status for _ in range(3)} == {180, 181}
        media.perform(invite.accept(media.now(), body=sdp(41000)))
        answered = await bob.connected()
        await media.expect(Acknowledged)
        await asyncio.sleep(1.1)
        bob.perform(answered.session.bye(bob.now()))
        await media.expect(Ended)
    (xdr,) = await world.settled()
    assert (xdr["dialled"], xdr["amount"]) == ("201", Decimal("0.02000"))  # as for a call to the account


@pytest.mark.parametrize(
    ("rules", "cause"),
    [
        ({"mode": "voicemail"}, "302"),
        ({"mode": "ring_then_voicemail"}, "404"),
        ({"mode": "ring_then_voicemail", "do_not_disturb": True}, "480"),
        ({"mode": "forward_then_voicemail", "follow_me": follow_me({"to": "104"})}, "302"),
        ({"mode": "ring_then_voicemail", "forward": {"always": {"to": "104"}}}, "302"),
    ],
)
async def test_the_mailbox_is_told_why(world: World, media: Phone, rules: dict[str, object], cause: str) -> None:
    await answering(world, "102", **rules)
    async with world.phone("101") as alice:
        await alice.call("102")
        invite = await media.ringing()
        assert invite.request.uri.params["cause"] == cause
        media.perform(invite.reject(486, media.now()))
        assert (await alice.expect(Failed)).response.status in (480, 486)


async def test_a_phone_that_is_busy_is_what_the_caller_hears_when_the_mailbox_fails(world: World, media: Phone) -> None:
    await answering(world, "102", mode="ring_then_voicemail")
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        invite = await bob.ringing()
        bob.perform(invite.reject(486, bob.now()))
        invite = await media.ringing()
        assert invite.request.uri.params["cause"] == "486"
        media.perform(invite.reject(503, media.now()))
        assert (await alice.expect(Failed)).response.status == 486


async def test_a_loop_of_forwards_ends_in_a_mailbox(world: World, media: Phone) -> None:
    await answering(world, "102", mode="forward_then_voicemail", follow_me=follow_me({"to": "103"}))
    await answering(world, "103", mode="forward_then_voicemail", follow_me=follow_me({"to": "102"}))
    async with world.phone("101") as alice:
        await alice.call("102")
        invite = await media.ringing()
        # 102 forwards to 103, 103 back to 102: who has forwarded it already takes the message
        assert invite.request.uri.params["target"] == "sip%3A102%40127.0.0.1"
        media.perform(invite.accept(media.now(), body=sdp(41000)))
        answered = await alice.connected()
        alice.perform(answered.session.bye(alice.now()))
        await media.expect(Ended)


# calls that the media server makes


async def test_the_media_server_calls_for_an_account_which_pays(world: World, media: Phone) -> None:
    async with world.phone("201") as paid:
        await paid.register()
        await call_from_media(world, media, "201", "102", "42027777100")
        invite = await paid.ringing()
        assert invite.request.from_.uri.user == "42027777100"
        assert invite.request.get("P-Served-User") is None
        paid.perform(invite.accept(paid.now(), body=sdp(41000)))
        answered = await media.connected()
        media.perform(answered.session.bye(media.now()))
        await paid.expect(Ended)
    (xdr,) = await world.settled()
    assert (xdr["direction"], xdr["caller"], xdr["amount"]) == ("internal", "42027777100", Decimal("0.01000"))
    assert await world.balance("102") == Decimal("4.99")


@pytest.mark.parametrize("who", ["the media server", "the called party"])
@pytest.mark.parametrize("presses", [False, True])
async def test_who_is_rung_back_pays_only_if_he_presses_the_key(
    world: World, media: Phone, who: str, presses: bool
) -> None:
    """Case L13: a forged missed call made somebody be rung at his own expense."""
    async with world.phone("201") as paid:
        await paid.register()
        await call_from_media(world, media, "201", "102", "*98", charged=";charged=accepted")
        invite = await paid.ringing()
        paid.perform(invite.accept(paid.now(), body=sdp(41000)))
        answered = await media.connected()
        if presses:
            media.perform(answered.session.send("INFO", media.now(), headers=[(ACCEPTED, "yes")]))
            assert (await media.expect(Replied)).response.status == 200
        one, other = (media, paid) if who == "the media server" else (paid, media)
        session = answered.session if one is media else invite.session()
        one.perform(session.bye(one.now()))
        await other.expect(Ended)
        assert all(request.method != "INFO" for request in paid.received if isinstance(request, Request))
    (xdr,) = await world.settled()
    assert xdr["amount"] == (Decimal("0.01000") if presses else 0)
    assert await world.balance("102") == (Decimal("4.99") if presses else 5)


async def test_a_call_forwarded_by_the_media_server_is_the_forwarders(world: World, media: Phone) -> None:
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "201", "max_calls": 1}))
    async with world.phone("201") as paid:
        await paid.register()
        await call_from_media(world, media, "201", "102", "101", case="orig-cdiv")
        invite = await paid.ringing()
        row = await world.sql.fetchrow("SELECT direction, forward FROM billing_activecall")
        assert row is not None
        assert tuple(row) == ("forwarded", "201")
        await call_from_media(world, media, "201", "102", "101", case="orig-cdiv")
        assert (await media.expect(Failed)).response.status == 486
        paid.perform(invite.reject(486, paid.now()))
        assert (await media.expect(Failed)).response.status == 486


@pytest.mark.parametrize(
    ("account", "change", "status"),
    [("999", "", 403), ("102", "UPDATE billing_account SET state = 'blocked' WHERE number = '102'", 403),
     ("105", "UPDATE billing_rate SET connect_fee = 5 WHERE prefix = '20'", 402)],
)  # fmt: skip
async def test_such_a_call_is_authorised_as_any_other(
    world: World, media: Phone, account: str, change: str, status: int
) -> None:
    if change:
        await world.sql.execute(change)
        await world.routes_reloaded()
    async with world.phone("201") as paid:
        await paid.register()
        await call_from_media(world, media, "201", account, "101")
        assert (await media.expect(Failed)).response.status == status


async def test_nobody_else_is_believed(world: World) -> None:
    served = ("P-Served-User", "<sip:102@127.0.0.1>;sescase=orig")
    async with world.phone("101") as alice, world.phone("201") as paid, world.phone("stranger", "") as stranger:
        await paid.register()
        await stranger.call("201", served, authenticate=False)
        assert (await stranger.expect(Failed)).response.status == 407
        invite = await alice.call("201", served)
        request = (await paid.ringing()).request
        assert request.get("P-Served-User") is None
        assert request.from_.uri.user == "101"
        alice.perform(invite.cancel(alice.now()))
        await paid.expect(Cancelled)
    (xdr,) = await world.settled()
    assert xdr["caller"] == "101"


async def test_a_forward_to_an_access_number_opens_nobodys_mailbox(world: World, media: Phone) -> None:
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "*98"}, {"to": "*72101"}))
    async with world.phone("101") as alice:
        await alice.call("102")
        invite = await media.ringing()
        assert "target" not in invite.request.uri.params
        assert invite.request.get("P-Served-User") is None
        media.perform(invite.reject(486, media.now()))
        assert (await alice.expect(Failed)).response.status == 486


async def test_a_forward_that_must_be_confirmed_is_dialled_by_the_media_server(world: World, media: Phone) -> None:
    entry = {"to": MOBILE, "confirm": True, "caller_id": "forwarder", "seconds": 20}
    await answering(world, "102", mode="forward", follow_me=follow_me(entry))
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await alice.call("102")
        invite = await media.ringing()
        uri = invite.request.uri
        assert (uri.user, uri.params["target"], uri.params["seconds"]) == ("confirm", MOBILE, "20")
        assert invite.request.get("P-Served-User") == "<sip:102@127.0.0.1>;sescase=orig"
        assert invite.request.from_.uri.user == "102"
        await call_from_media(world, media, MOBILE, "102", "102", case="orig-cdiv")
        mobile = await carrier.ringing()
        assert mobile.request.from_.uri.user == "420222000102"
        carrier.perform(mobile.accept(carrier.now(), body=sdp(41000)))
        dialled = await media.connected()
        with pytest.raises(TimeoutError):
            await alice.expect(Acknowledged, 0.2)  # not answered before the key
        media.perform(invite.accept(media.now(), body=sdp(41100)))
        answered = await alice.connected()
        alice.perform(answered.session.bye(alice.now()))
        await media.expect(Ended)
        media.perform(dialled.session.bye(media.now()))
        await carrier.expect(Ended)
    rows = await world.settled()
    assert sorted((row["direction"], row["dialled"], row["amount"]) for row in rows) == [
        ("forwarded", MOBILE, Decimal("0.04500")), ("internal", "102", Decimal(0)),
    ]  # fmt: skip


# the second number


async def second_number(world: World) -> None:
    """The demo tenant has one; its mobile phone shall not ring for long here."""
    await answering(world, "42027777100", mode="forward_then_voicemail",
                    follow_me=follow_me({"to": MOBILE, "seconds": 1, "caller_id": "forwarder"}))  # fmt: skip


async def test_its_owner_gets_to_his_mailbox(world: World, media: Phone) -> None:
    await second_number(world)
    async with carriers(world) as (carrier, _):
        carrier.user = "42073723123"
        await carrier.call("42027777100", authenticate=False)
        invite = await media.ringing()
        uri = invite.request.uri
        assert (uri.user, uri.params["target"]) == ("voicemail-access", "sip%3A42027777100%40127.0.0.1")
        known = {name: uri.params.get(name) for name in ("gateway", "identified", "vouched")}
        assert known == {"gateway": "sample-carrier", "identified": "yes", "vouched": "number"}
        assert invite.request.to.uri.user == "42027777100"
        assert invite.request.get("P-Served-User") == "<sip:42027777100@127.0.0.1>;sescase=orig"
        media.perform(invite.accept(media.now(), body=sdp(41000)))
        answered = await carrier.connected()
        # from the menu he calls out
        await call_from_media(world, media, "420273333444", "42027777100", "42027777100")
        outgoing = await carrier.ringing()
        assert (outgoing.request.uri.user, outgoing.request.from_.uri.user) == ("420273333444", "42027777100")
        carrier.perform(outgoing.reject(486, carrier.now()))
        await media.expect(Failed)
        carrier.perform(answered.session.bye(carrier.now()))
        await media.expect(Ended)
    rows = await world.settled()
    assert [(row["direction"], row["dialled"]) for row in rows] == [
        ("incoming", "42027777100"), ("outgoing", "420273333444"),
    ]  # fmt: skip


async def test_anybody_else_is_forwarded_and_then_leaves_a_message(world: World, media: Phone) -> None:
    await second_number(world)
    async with carriers(world) as (carrier, _):
        carrier.user = "42075553333"
        caller = await carrier.call("42027777100", authenticate=False)
        forwarded = await carrier.ringing()
        assert (forwarded.request.uri.user, forwarded.request.from_.uri.user) == (MOBILE, "42027777100")
        invite = await media.ringing()
        assert dict(invite.request.uri.params) == {
            "target": "sip%3A42027777100%40127.0.0.1",
            "cause": "302",
            "gateway": "sample-carrier",
            "identified": "yes",
        }
        assert Uri.parse(invite.request.values("P-Asserted-Identity")[0].strip("<>")).user == "42075553333"
        media.perform(invite.reject(486, media.now()))
        failed = await carrier.expect(Failed)
        assert failed.invite is caller
    rows = await world.settled()
    assert sorted(row["direction"] for row in rows) == ["forwarded", "incoming"]


async def test_its_owners_other_number_is_any_other_caller(world: World, media: Phone) -> None:
    await second_number(world)
    async with carriers(world) as (carrier, _):
        carrier.user = "42073723123"
        await carrier.call("103", authenticate=False)
        assert (await carrier.expect(Failed)).response.status == 480
        with pytest.raises(TimeoutError):
            await media.expect(Invited, 0.2)


# announcements


@pytest.mark.parametrize(
    ("dialled", "prompt", "status"), [("777777", "ann-invalid-number", 404), ("104", "ann-unavailable", 480)]
)
async def test_a_refusal_is_said_in_early_media_before_it_comes(
    world: World, media: Phone, dialled: str, prompt: str, status: int
) -> None:
    world.switch._take_over(replace(world.switch.settings, announcements=True))
    async with world.phone("101") as alice:
        await alice.call(dialled)
        invite = await media.expect(Invited)
        uri = invite.invite.request.uri
        assert (uri.user, uri.params["prompt"], uri.params["status"]) == ("announcement", prompt, str(status))
        media.perform(invite.invite.progress(183, media.now(), body=sdp(41000)))
        early = await alice.expect(Progressed)
        assert (early.response.status, early.response.sdp) == (183, sdp(41000))
        media.perform(invite.invite.reject(486, media.now()))
        failed = (await alice.expect(Failed)).response
        assert failed.status == status
        assert "Q.850" in (failed.get("Reason") or "")
    assert await world.settled() == []


async def test_an_announcement_that_answers_all_the_same_is_hung_up(world: World, media: Phone) -> None:
    world.switch._take_over(replace(world.switch.settings, announcements=True))
    async with world.phone("101") as alice:
        await alice.call("777777")
        await media.answer()
        assert (await alice.expect(Failed)).response.status == 404
        await media.expect(Ended)


async def test_without_a_media_server_that_answers_the_refusal_comes_all_the_same(world: World, media: Phone) -> None:
    world.switch._take_over(replace(world.switch.settings, announcements=True))
    async with world.phone("101") as alice:
        media.lose = 100
        await alice.call("777777")
        assert (await alice.expect(Failed)).response.status == 404


async def test_carriers_and_forwarded_legs_hear_no_announcements(world: World, media: Phone) -> None:
    world.switch._take_over(replace(world.switch.settings, announcements=True))
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "777777"}))
    async with carriers(world) as (carrier, _):
        await carrier.call("777777", authenticate=False)
        assert (await carrier.expect(Failed)).response.status == 404
        await carrier.call("102", authenticate=False)
        assert (await carrier.expect(Failed)).response.status == 404
        with pytest.raises(TimeoutError):
            await media.expect(Invited, 0.2)
