# SPDX-License-Identifier: Apache-2.0
"""What phones write of where they are leads nowhere else: strangers and accounts on datagrams, gateways that listen."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from switch.sip.message.message import Request
from switch.sip.session import Acknowledged, Ended, Failed, Replied, Requested
from switch.sip.user_agent import Arrived, Invited
from switch.sip.ways import Anywhere
from tests.patience import PATIENCE_SECONDS
from tests.switch.following import answering, follow_me, media, settings
from tests.switch.lamp.test_lamp import subscription
from tests.switch.phone import Phone, sdp
from tests.switch.routing.test_gateways import OUTSIDE, carriers

if TYPE_CHECKING:
    from switch.sip.message.flow import Flow
    from switch.sip.message.uri import Uri
    from switch.sip.session import Answered, OutgoingInvite
    from tests.switch.conftest import World

__all__ = ["media", "settings"]

pytestmark = pytest.mark.asyncio

PREMIUM = "906123123"
QUIET_SECONDS = 0.3


async def is_silent(*phones: Phone) -> bool:
    """Whether nothing has come there."""
    await asyncio.sleep(QUIET_SECONDS)
    return not any(message for phone in phones for message in phone.received)


class Stubborn(Anywhere):
    """A phone that tells stories and does not believe them itself."""

    def next_hop(self, uri: Uri, flow: Flow) -> Flow:
        """Where it has always sent to."""
        return flow


def methods(phone: Phone) -> set[str]:
    """Of the requests that have come there."""
    return {message.method for message in phone.received if isinstance(message, Request)}


def place(phone: Phone, user: str = PREMIUM) -> str:
    """A URI at somebody else's address."""
    return f"sip:{user}@{phone.address}"


async def talk(caller: Phone, callee: Phone, number: str) -> tuple[OutgoingInvite, Answered]:
    """Both in a call."""
    invite = await caller.call(number)
    await callee.answer()
    return invite, await caller.connected()


# dialogs --------------------------------------------------------------------------------------------------------
async def test_a_callers_contact_at_a_gateway_brings_the_gateway_nothing(world: World) -> None:
    """Case L1."""
    async with carriers(world) as (gateway, _), world.phone("101") as mallory, world.phone("102") as bob:
        await bob.register()
        mallory.contact = f"<{place(gateway)}>"
        await mallory.call("102")
        invite = await bob.answer()
        answered = await mallory.connected()
        await bob.expect(Acknowledged)
        bob.perform(invite.session().send("INVITE", bob.now(), body=sdp(40102, version=2)))
        asked = await mallory.expect(Requested)
        assert (asked.request.method, asked.request.uri.user) == ("INVITE", PREMIUM), "it went where it signals from"
        mallory.perform(answered.session.bye(mallory.now()))
        await bob.expect(Ended)
        assert await is_silent(gateway)
    assert world.switch.core.faults == 0


async def test_a_callees_contact_at_a_gateway_brings_the_gateway_nothing(world: World) -> None:
    """Case L1: neither the ACK nor what follows."""
    async with carriers(world) as (gateway, _), world.phone("101") as alice, world.phone("102") as mallory:
        await mallory.register()
        await alice.call("102")
        invite = await mallory.ringing()
        mallory.contact = f"<{place(gateway)}>"
        mallory.perform(invite.accept(mallory.now(), body=sdp(40100)))
        answered = await alice.connected()
        await mallory.expect(Acknowledged)
        alice.perform(answered.session.send("INVITE", alice.now(), body=sdp(40002, version=2)))
        assert (await mallory.expect(Requested)).request.method == "INVITE"
        alice.perform(answered.session.bye(alice.now()))
        await mallory.expect(Ended)
        assert await is_silent(gateway)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_a_target_that_is_refreshed_in_mid_call_leads_no_further(world: World, method: str) -> None:
    """Case L1: the Contact of a re-INVITE and of UPDATE, and of the answer to the other side's."""
    async with carriers(world) as (gateway, _), world.phone("101") as mallory, world.phone("102") as bob:
        await bob.register()
        _, answered = await talk(mallory, bob, "102")
        await bob.expect(Acknowledged)
        mallory.contact = f"<{place(gateway)}>"
        body = sdp(40002, version=2) if method == "INVITE" else b""
        mallory.perform(answered.session.send(method, mallory.now(), body=body))
        if method == "INVITE":
            asked = await bob.expect(Requested)
            bob.perform(asked.session.respond(asked.transaction, 200, bob.now(), body=sdp(40102, version=2)))
            replied = await mallory.expect(Replied)
            mallory.perform(answered.session.ack(replied.request, mallory.now()))
        await asyncio.sleep(0.1)
        (call,) = world.switch.control.calls.values()
        assert all(session.dialog.next_flow().remote[1] != gateway.local[1] for session in call.invite.sessions)
        call.hang_up("admin", 16, "over")
        await mallory.expect(Ended)
        assert await is_silent(gateway)


@pytest.mark.parametrize("line", ["<sip:{};lr>", "<sip:127.0.0.1;lr;maddr={}>"])
async def test_a_phones_record_route_is_none(world: World, line: str) -> None:
    """Case L1."""
    async with carriers(world) as (gateway, _), world.phone("101") as mallory, world.phone("102") as bob:
        await bob.register()
        mallory.agent._context.ways = Stubborn
        await mallory.call("102", ("Record-Route", line.format(gateway.address)))
        invite = await bob.answer()
        await mallory.connected()
        await bob.expect(Acknowledged)
        bob.perform(invite.session().bye(bob.now()))
        ended = await mallory.expect(Ended)
        assert ended.request is not None
        assert ended.request.get("Route") is None
        assert await is_silent(gateway)


@pytest.mark.parametrize("method", ["INVITE", "SUBSCRIBE"])
@pytest.mark.parametrize("tag", ["", ";tag="])
async def test_what_would_make_a_dialog_without_a_from_tag_is_refused(world: World, method: str, tag: str) -> None:
    """Case L1."""
    async with world.phone("101") as mallory:
        request = mallory.make(
            method,
            f"sip:{102 if method == 'INVITE' else 101}@{world.address[0]}:{world.address[1]}",
            ("Contact", f"<sip:101@{mallory.address}>"),
            ("Event", "message-summary"),
        )
        request.set("From", f"<sip:101@127.0.0.1>{tag}")
        response = await mallory.authenticated(request)
        assert response.status == 400
    assert world.switch.core.agent.session_count == 0


async def test_a_request_in_a_dialog_that_nobody_knows_is_481(world: World) -> None:
    async with world.phone("101") as mallory:
        for method in ("INVITE", "BYE", "UPDATE", "INFO", "SUBSCRIBE", "NOTIFY"):
            request = mallory.make(method, "sip:102@127.0.0.1", ("Contact", f"<sip:1@{mallory.address}>"))
            request.set("To", "<sip:102@127.0.0.1>;tag=")
            request.set("Event", "message-summary")
            assert (await mallory.request(request)).status == 481, method


async def test_an_answer_without_a_to_tag_is_no_call(world: World) -> None:
    """Case L1: it is acknowledged and hung up, and the caller hears that it failed, not silence."""
    async with world.phone("101") as alice, world.phone("102") as odd:
        await answering(world, "102", mode="ring")
        await odd.register()
        await alice.call("102")
        invited = await odd.expect(Invited)
        response = invited.invite.request.response(200, headers=[("Contact", f"<sip:102@{odd.address}>")])
        response.set("To", "<sip:102@127.0.0.1>")
        odd._transport.sendto(response.to_bytes(), world.address)
        assert (await alice.expect(Failed)).response.status in (480, 502)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "BYE" not in methods(odd):  # noqa: ASYNC110 (it is no event of the phone: it knows no dialog)
                await asyncio.sleep(0.01)
        assert "ACK" in methods(odd)
    (xdr,) = await world.settled()
    assert xdr["answered_at"] is None


# registrations --------------------------------------------------------------------------------------------------
async def register(phone: Phone, world: World, contact: str, *lines: tuple[str, str]) -> int:
    """The status of a REGISTER with this contact."""
    host, port = world.address
    request = phone.make("REGISTER", f"sip:{host}:{port}", ("Contact", contact), *lines, to=f"sip:{phone.user}@{host}")
    return (await phone.authenticated(request)).status


async def test_a_binding_never_leads_to_a_gateway_the_media_server_or_ourselves(world: World, media: Phone) -> None:
    """Case A3, A4, L2."""
    async with carriers(world) as (gateway, _), world.phone("101") as alice, world.phone("102") as mallory:
        await answering(world, "102", mode="ring")
        host, port = world.address
        places = [gateway.address, media.address, f"{host}:{port}", f"{host}:{port};transport=tcp"]
        for there in places:
            assert await register(mallory, world, f"<sip:voicemail-access@{there};target=10150>") == 403, there
        path = ("Path", f"<sip:{gateway.address};lr>")
        assert await register(mallory, world, f"<{place(gateway)}>", path) == 403
        assert await register(mallory, world, f"<sip:102@{mallory.address}>", path) == 403
        assert await register(mallory, world, f"<sip:102@{mallory.address}>", ("Path", "<sip:192.0.2.1;lr>")) == 403
        await alice.call("102")
        assert (await alice.expect(Failed)).response.status == 480
        assert await is_silent(gateway, media)


async def test_a_contact_elsewhere_rings_where_its_phone_signals_from(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as other:
        for contact in (f"<sip:102@192.0.2.99;maddr={other.address}>", "<sip:102@10.1.1.1>", "<sip:102@127.1>"):
            assert await register(bob, world, contact) == 200
            invite = await alice.call("102")
            await bob.expect(Invited)
            alice.perform(invite.cancel(alice.now()))
            await alice.expect(Failed)
            assert await register(bob, world, contact[:-1] + ">;expires=0") == 200
        assert await is_silent(other)


async def test_a_row_that_leads_to_a_gateway_rings_nobody(world: World) -> None:
    """Case A3: whatever another node or an earlier life wrote."""
    async with carriers(world) as (gateway, _), world.phone("101") as alice:
        await answering(world, "102", mode="ring")
        host, port = world.address
        await world.sql.execute(
            "INSERT INTO billing_binding"
            " (aor, key, contact, path, expires_at, q, call_id, cseq, user_agent, node, socket)"
            " VALUES ('102', 'k', $1, '{}', now() + interval '5 minutes', 1, 'c', 1, '', 'other', $2)",
            place(gateway),
            f"udp:{host}:{port}",
        )
        await alice.call("102")
        assert (await alice.expect(Failed)).response.status == 480
        assert await is_silent(gateway)


async def behind_proxy(world: World) -> None:
    """The phones of this machine are proxies in front of the switch."""
    world.switch.settings = replace(world.switch.settings, trusted_proxies=("127.0.0.1",))
    world.switch.places.changed()


async def test_path_and_record_route_of_a_proxy_in_front_of_us_lead_through_it(world: World) -> None:
    """What Kamailio with Path does works as it did, once it is in sip.trusted_proxies."""
    await behind_proxy(world)
    async with world.phone("101") as alice, world.phone("102") as kamailio:
        path = ("Path", f"<sip:{kamailio.address};lr>")
        assert await register(kamailio, world, "<sip:102@10.1.1.1>", path) == 200
        alice.agent._context.ways = Stubborn
        await alice.call("102", ("Record-Route", f"<sip:{alice.address};lr>"))
        invite = await kamailio.ringing()
        assert invite.request.get("Route") == f"<sip:{kamailio.address};lr>"
        assert invite.request.uri_text == "sip:102@10.1.1.1"
        kamailio.perform(invite.accept(kamailio.now(), body=sdp(40100)))
        await alice.connected()
        await kamailio.expect(Acknowledged)
        kamailio.perform(invite.session().bye(kamailio.now()))
        ended = await alice.expect(Ended)
        assert ended.request is not None
        assert ended.request.get("Route") == f"<sip:{alice.address};lr>"


async def test_a_phone_behind_a_proxy_cannot_have_it_go_to_a_gateway(world: World) -> None:
    """Case A3, L1: the proxy would go there for us."""
    await behind_proxy(world)
    async with carriers(world) as (gateway, _), world.phone("102") as kamailio:
        path = f"<sip:{kamailio.address};lr>"
        assert await register(kamailio, world, f"<{place(gateway)}>", ("Path", path)) == 403
        beyond = f"{path}, <sip:{gateway.address};lr>"
        assert await register(kamailio, world, "<sip:102@10.1.1.1>", ("Path", beyond)) == 403
        kamailio.contact = f"<{place(gateway)}>"
        await kamailio.call("101", authenticate=False)
        assert (await kamailio.expect(Failed)).response.status == 403


# forwards -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "target",
    [
        f"sip:{PREMIUM}@{{gateway}}",
        f"sip:{PREMIUM}@{{gateway}};transport=tcp",
        f"sip:{PREMIUM}@192.0.2.200;maddr={{gateway_host}}",
        "sip:voicemail-access@{media};target=103",
        "sip:voicemail-access@0.0.0.0:{media_port}",
        "sip:voicemail-access@127.1:{media_port}",
        "sip:voicemail-access@[::ffff:127.0.0.1]:{media_port}",
        "sip:102@{us}",
    ],
)
async def test_a_forward_leads_to_no_gateway_and_to_nothing_of_ours(world: World, media: Phone, target: str) -> None:
    """Case L12: at call time, whoever wrote the forward."""
    async with carriers(world) as (gateway, _), world.phone("101") as alice:
        await world.sql.execute(
            "INSERT INTO billing_rate (tariff_id, prefix, destination, first_price, next_price, effective_from)"
            " SELECT tariff_id, '', 'SIP', 0.60, 0.60, '2000-01-01' FROM billing_rate LIMIT 1"
        )
        await world.routes_reloaded()
        object.__setattr__(world.switch.settings, "domains", ("sip.example.com",))
        host, port = world.address
        to = target.format(
            gateway=gateway.address,
            gateway_host=gateway.local[0],
            media=media.address,
            media_port=media.local[1],
            us=f"{host}:{port}",
        )
        await answering(world, "102", mode="forward", follow_me=follow_me({"to": to}))
        await alice.call("102")
        assert (await alice.expect(Failed)).response.status == 480
        assert await is_silent(gateway, media)
    assert all(row["answered_at"] is None for row in await world.settled())
    assert world.switch.core.faults == 0


# the lamp -------------------------------------------------------------------------------------------------------
async def test_the_lamp_is_told_where_its_phone_signals_from(world: World) -> None:
    """Case L19, L1: the Contact and the Record-Route of SUBSCRIBE name others."""
    async with carriers(world) as (gateway, _), world.phone("101") as mallory, world.phone("x") as victim:
        for there in (gateway.address, f"192.0.2.9;maddr={victim.address.partition(':')[0]}"):
            request = subscription(mallory, world)
            request.set("Contact", f"<sip:101@{there}>")
            request.add("Record-Route", f"<sip:{gateway.address};lr>")
            assert (await mallory.authenticated(request)).status == 200
            notify = (await mallory.expect(Arrived)).request
            assert notify.method == "NOTIFY"
            assert notify.get("Route") is None
        assert await is_silent(gateway, victim)


# carriers -------------------------------------------------------------------------------------------------------
async def test_a_carriers_contact_at_another_carrier_is_not_followed(world: World) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        invite = await first.ringing()
        first.contact = f"<{place(second)}>"
        first.perform(invite.accept(first.now(), body=sdp(41000)))
        answered = await alice.connected()
        await first.expect(Acknowledged)
        alice.perform(answered.session.bye(alice.now()))
        await first.expect(Ended)
        assert await is_silent(second)
    await world.settled()


async def test_no_new_request_reaches_a_gateway_without_a_call_in_the_store(world: World) -> None:
    """The second wall: whatever part of the switch would send one, it is not sent, counted and logged."""
    switch = world.switch
    async with carriers(world) as (gateway, _), world.phone("101") as alice:
        flow = type(alice.flow)("udp", world.address, gateway.local)
        for method in ("INVITE", "OPTIONS", "MESSAGE"):
            request = alice.make(method, place(gateway))
            agent = switch.core.agent
            switch.core.perform(agent.layer.send_request(request, flow, switch.core.now())[1])
        assert await is_silent(gateway)
        assert switch.core.faults == 3
        page = switch.pages.all()["/metrics"]()[2]
        assert b"softswitch_gateway_faults_total 3.0" in page


async def test_a_call_that_the_store_does_not_have_leaves_for_no_gateway(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours in the way of a call: the caller hears of it, the carrier does not."""
    monkeypatch.setattr("switch.money.payment.Warrant", lambda _call_id: None)
    async with carriers(world) as (gateway, _), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        assert (await alice.expect(Failed)).response.status == 500
        assert await is_silent(gateway)
    assert world.switch.core.faults == 1
    await world.settled()
