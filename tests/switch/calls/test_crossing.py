# SPDX-License-Identifier: Apache-2.0
"""What crosses towards phones and carriers, sent as a stranger would: everything at once, by datagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from switch.sip.session import Cancelled, Failed, Progressed, Replied, Requested
from switch.sip.user_agent import Arrived, Invited
from tests.switch.calls.test_bridge import connect
from tests.switch.following import media, settings
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import OUTSIDE, carriers, help_by_the_first
from tests.switch.test_requests import uri

if TYPE_CHECKING:
    from switch.sip.message.message import Message
    from switch.sip.session import Session
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

__all__ = ["media", "settings"]
pytestmark = pytest.mark.asyncio

PRESSES_BUTTONS = (
    ("Call-Info", "<sip:127.0.0.1>;answer-after=0"),
    ("Alert-Info", "<http://127.0.0.1/ring.wav>;info=alert-autoanswer"),
    ("Alert-Info", "intercom"),
    ("Alert-Info", "Ring Answer"),
    ("Answer-Mode", "Auto;require"),
    ("Priv-Answer-Mode", "Auto"),
    ("P-Auto-Answer", "normal"),
    ("X-Auto-Answer", "true"),
    ("Refer-Sub", "false"),
    ("Event", "talk"),
    ("Priority", "emergency"),
    ("Resource-Priority", "dsn.flash"),
    ("Request-Disposition", "parallel"),
    ("Reply-To", "<sip:906123123@premium.example>"),
    ("Referred-By", "<sip:boss@premium.example>"),
    ("Error-Info", "<sip:906123123@premium.example>"),
    ("Recv-Info", "x-reboot"),
    ("Content-Disposition", "alert;handling=optional"),
    ("Made-Up-Tomorrow", "reboot"),
)
IDENTIFIES = (
    ("P-Charge-Info", "<sip:420777000020@carrier.example>"),
    ("Charge", "420777000020"),
    ("Identity", "eyJhbGciOiJFUzI1NiJ9..c2ln;info=<https://cert.example/a>;alg=ES256;ppt=shaken"),
    ("Date", "Mon, 30 Nov 2026 10:00:00 GMT"),
    ("Diversion", "<sip:420777000020@carrier.example>;reason=unconditional"),
    ("History-Info", "<sip:420777000020@carrier.example>;index=1"),
    ("P-Asserted-Identity", "<sip:420777000020@carrier.example>"),
    ("P-Preferred-Identity", "<sip:420777000020@carrier.example>"),
    ("P-Asserted-Service", "urn:urn-7:3gpp-service.ims.icsi.mmtel"),
    ("P-Served-User", "<sip:102@127.0.0.1>;sescase=orig"),
    ("Remote-Party-ID", "<sip:420777000020@carrier.example>;party=calling"),
    ("P-Access-Network-Info", "3GPP-E-UTRAN;utran-cell-id-3gpp=1"),
    ("P-Charging-Vector", "icid-value=1"),
    ("P-Early-Media", "sendrecv"),
    ("Organization", "Your Bank"),
    ("User-Agent", "sold by us"),
    ("X-Account", "102"),
    ("Geolocation", "<https://lost.example/me>"),
)
CROSSES = (
    ("Subject", "tea"),
    ("Session-ID", "ab30317f1a784dc48ff824d0d3715d86"),
    ("User-to-User", "56a390f3;encoding=hex"),
)


def names(message: Message, lines: tuple[tuple[str, str], ...]) -> set[str]:
    """Which of the headers a message has."""
    wanted = {name for name, _ in lines}
    return {name for name, _ in message.headers if name in wanted}


async def ask(phone: Phone, session: Session, method: str, *lines: tuple[str, str], body: bytes = b"") -> Replied:
    """Send a request within a call, and wait for the answer."""
    kind = next((value for name, value in lines if name == "Content-Type"), "")
    rest = [line for line in lines if line[0] != "Content-Type"]
    phone.perform(session.send(method, phone.now(), headers=rest, body=body, content_type=kind))
    return await phone.expect(Replied)


async def hears_nothing(phone: Phone, *kinds: type[object]) -> None:
    """Nothing of the kind reaches a phone."""
    for kind in kinds:
        with pytest.raises(TimeoutError):
            await phone.expect(kind, 0.2)


# invitations -----------------------------------------------------------------------------------------------------
async def test_nothing_that_a_phone_writes_makes_another_phone_act_or_names_somebody_else(world: World) -> None:
    """Case L7."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102", *PRESSES_BUTTONS, *IDENTIFIES, *CROSSES, ("Supported", "answermode, 100rel"))
        request = (await bob.ringing()).request
        assert names(request, PRESSES_BUTTONS) == set()
        assert names(request, IDENTIFIES) == set()
        assert names(request, CROSSES) == {"Subject", "Session-ID", "User-to-User"}
        assert request.values("Supported") == ["100rel", "timer"]
        assert b"premium" not in request.to_bytes()


async def test_nothing_that_a_carriers_caller_writes_makes_a_phone_act(world: World) -> None:
    """Case L7, from outside: what a carrier vouches for is the number alone."""
    async with carriers(world) as (carrier, _), world.phone("102") as bob:
        await bob.register()
        lines = [line for line in IDENTIFIES if line[0] != "P-Asserted-Identity"]
        await carrier.call(
            "102", *PRESSES_BUTTONS, *lines, ("P-Asserted-Identity", "<sip:42075553333@c>"), authenticate=False
        )
        request = (await bob.ringing()).request
        assert names(request, PRESSES_BUTTONS) == set()
        assert names(request, IDENTIFIES) == {"Diversion"}  # shown, not believed
        assert request.from_.uri.user == "42075553333"


async def test_what_a_phone_says_of_who_calls_and_who_pays_reaches_no_carrier(world: World) -> None:
    """Case A7."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await alice.call(OUTSIDE, *PRESSES_BUTTONS, *IDENTIFIES, *CROSSES)
        request = (await carrier.ringing()).request
        assert names(request, PRESSES_BUTTONS) == set()
        assert names(request, IDENTIFIES) == {"P-Asserted-Identity"}
        assert request.values("P-Asserted-Identity") == ["<sip:420222000101@127.0.0.1>"]
        assert names(request, CROSSES) == {"Subject", "Session-ID", "User-to-User"}
        assert b"420777000020" not in request.to_bytes()


@pytest.mark.parametrize(
    ("display", "inside"),
    [('"420777000020" ', "Alice"), ('"+420 777 000 020" ', "Alice"), ('"Call 420777000020" ', "Alice"),
     ('"sip:boss@bank.example" ', "Alice"), ('"Desk" ', "Desk"), ("", "Alice")],
)  # fmt: skip
async def test_the_name_of_a_phone_is_no_number_and_carriers_get_the_accounts(
    world: World, display: str, inside: str
) -> None:
    """Case A7: a telephone shows a name in the number's place."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        for number, callee, name, shown in (("102", bob, inside, "101"), (OUTSIDE, carrier, "Alice", "420222000101")):
            host, port = world.address
            request = alice.make(
                "INVITE", f"sip:{number}@{host}:{port}", ("Content-Type", "application/sdp"), body=sdp()
            )
            request.set("From", f"{display}<sip:420777000020@{host}>;tag=x")
            invite = alice.agent.invite(request, alice.flow, natted=False, owner=alice)
            alice.perform(invite.start(alice.now()))
            challenged = await alice.expect(Failed)
            alice.perform(invite.resend([alice.credentials(invite.request, challenged.response)], alice.now()))
            seen = (await callee.ringing()).request.from_
            assert (seen.uri.user, seen.display) == (shown, name)
            alice.perform(invite.cancel(alice.now()))
            await callee.expect(Cancelled)
            await alice.expect(Failed)


async def test_a_body_that_is_no_session_description_stays_here(world: World) -> None:
    """A neighbour of L7: a page or a ring tone beside no offer."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        optional = ("Content-Disposition", "render;handling=optional")
        host, port = world.address
        request = alice.make("INVITE", f"sip:102@{host}:{port}", optional, ("Content-Type", "text/html"), body=b"<a>")
        invite = alice.agent.invite(request, alice.flow, natted=False, owner=alice)
        alice.perform(invite.start(alice.now()))
        challenged = await alice.expect(Failed)
        alice.perform(invite.resend([alice.credentials(invite.request, challenged.response)], alice.now()))
        request = (await bob.ringing()).request
        assert (request.body, request.content_type) == (b"", "")


async def test_where_somebody_is_goes_to_those_who_come_to_help_only(world: World) -> None:
    """A neighbour of A7."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await help_by_the_first(world)
        await alice.call("112", ("Geolocation", "<https://lost.example/me>"), ("Charge", "1"))
        request = (await carrier.ringing()).request
        assert request.get("Geolocation") == "<https://lost.example/me>"
        assert request.get("Charge") is None


# responses -------------------------------------------------------------------------------------------------------
async def test_ringing_and_answer_of_a_phone_bring_no_more_than_they_should(world: World) -> None:
    """Case L7: Alert-Info in 180, and its neighbours in 200."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        invite = (await bob.expect(Invited)).invite
        bob.perform(invite.progress(180, bob.now(), headers=[*PRESSES_BUTTONS, *IDENTIFIES, *CROSSES[1:]]))
        ringing = (await alice.expect(Progressed)).response
        bob.perform(invite.accept(bob.now(), headers=[*PRESSES_BUTTONS, *IDENTIFIES], body=sdp(41000)))
        answer = (await alice.connected()).response
        for response in (ringing, answer):
            assert names(response, PRESSES_BUTTONS) == set()
            assert names(response, IDENTIFIES) == set()
        assert ringing.get("Session-ID") is not None


@pytest.mark.parametrize("status", [300, 301, 302, 305, 380])
async def test_a_phone_sends_nobody_elsewhere(world: World, status: int) -> None:
    """Neighbour of L5 and A1: a redirection would be a call that the caller, or nobody, pays."""
    async with carriers(world) as (carrier, other), world.phone("101") as alice, world.phone("102") as bob:
        await world.sql.execute("UPDATE billing_account SET answering = '{}'")
        await bob.register()
        await alice.call("102")
        invite = (await bob.expect(Invited)).invite
        contact = ("Contact", f"<sip:906123123@{carrier.address}>")
        bob.perform(invite.reject(status, bob.now(), headers=[contact, ("Error-Info", "<sip:906123123@x>")]))
        response = (await alice.expect(Failed)).response
        assert (response.status, response.get("Contact"), response.get("Error-Info")) == (480, None, None)
        await hears_nothing(carrier, Invited)
        await hears_nothing(other, Invited)


async def test_the_reason_of_a_refusal_crosses_without_the_name_of_the_machine(world: World) -> None:
    """Neighbour of A7."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await world.sql.execute("UPDATE billing_account SET answering = '{}'")
        await bob.register()
        await alice.call("102")
        invite = (await bob.expect(Invited)).invite
        lines = [
            ("Warning", '399 pbx7.inside.example:5060 "out, to lunch"'),
            ("Warning", "399 broken"),
            ("Retry-After", "60"),
        ]
        bob.perform(invite.reject(486, bob.now(), headers=[*lines, ("Server", "pbx7"), ("Call-Info", "<sip:x>")]))
        response = (await alice.expect(Failed)).response
        assert response.all("Warning") == ['399 softswitch "out, to lunch"']
        assert response.get("Retry-After") == "60"
        assert (response.get("Server"), response.get("Call-Info")) == (None, None)


# within a call ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "status", "lines"),
    [
        ("NOTIFY", 481, (("Event", "talk"), ("Subscription-State", "active"))),
        ("NOTIFY", 481, (("Event", "hold"), ("Subscription-State", "active"))),
        ("NOTIFY", 481, (("Event", "check-sync;reboot=true"), ("Subscription-State", "terminated"))),
        ("SUBSCRIBE", 489, (("Event", "dialog"), ("Expires", "60"))),
        ("PUBLISH", 489, (("Event", "presence"),)),
        ("OPTIONS", 200, ()),
        ("REBOOT", 405, ()),
        ("INFO", 469, (("Info-Package", "x-talk"),)),
    ],
)  # fmt: skip
async def test_a_request_that_makes_a_phone_act_is_answered_by_us_from_either_side(
    world: World, method: str, status: int, lines: tuple[tuple[str, str], ...]
) -> None:
    """Cases A1 and L6 within a call, and their neighbours."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        mine, theirs = await connect(alice, bob)
        sides = [(bob, theirs, alice), (alice, mine, bob)]
        for phone, session, other in sides[: 1 if status == 481 else 2]:  # 481 ends the call, as the phone sees it
            assert (await ask(phone, session, method, *lines)).response.status == status
            await hears_nothing(other, Requested)
        if status != 481:
            assert (await ask(alice, mine, "OPTIONS")).response.status == 200  # the call lives on


async def test_a_carriers_caller_refers_nobody(world: World) -> None:
    """Case A1: at the callee's expense, or at anybody's."""
    async with carriers(world) as (carrier, other), world.phone("102") as bob:
        await bob.register()
        await carrier.call("102", ("P-Asserted-Identity", "<sip:42075553333@c>"), authenticate=False)
        await bob.answer()
        answered = await carrier.connected()
        replied = await ask(carrier, answered.session, "REFER", ("Refer-To", f"<sip:{OUTSIDE}@127.0.0.1>"))
        assert replied.response.status == 403
        await hears_nothing(bob, Requested)
        await hears_nothing(other, Invited)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", 200),
        ("application/dtmf", b"5", 200),
        ("application/media_control+xml", b"<media_control/>", 200),
        ("text/plain", b"hello", 200),
        ("", b"", 200),
        ("application/x-broadworks-call-center+xml", b"<x/>", 415),
        ("application/hook-flash", b"flash", 415),
        ("message/sipfrag", b"SIP/2.0 200 OK", 415),
        ("application/vnd.nortelnetworks.digits", b"p=Digit-Collection", 415),
        ("application/dtmf", b"5" * 2000, 413),
    ],
)
async def test_keys_and_pictures_cross_and_commands_to_telephones_do_not(
    world: World, kind: str, body: bytes, status: int
) -> None:
    """Neighbour of L6: INFO says by its content what it is for; the header lines of makers stay here."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        mine, _ = await connect(alice, bob)
        lines = [("Content-Type", kind)] if kind else []
        alice.perform(
            mine.send("INFO", alice.now(), headers=[("Record", "on"), ("Event", "talk")], body=body, content_type=kind)
        )
        if status == 200:
            asked = await bob.expect(Requested)
            assert (asked.request.body, asked.request.content_type) == (body, kind)
            assert (asked.request.get("Record"), asked.request.get("Event")) == (None, None)
            bob.perform(asked.session.respond(asked.transaction, 200, bob.now()))
        else:
            await hears_nothing(bob, Requested)
        assert (await alice.expect(Replied)).response.status == status
        assert lines == lines


async def test_a_change_of_the_session_brings_its_description_and_nothing_else(world: World) -> None:
    """Neighbour of L7: a re-INVITE with the headers of a first one."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        mine, _ = await connect(alice, bob)
        alice.perform(
            mine.send("INVITE", alice.now(), headers=[*PRESSES_BUTTONS[:6], *IDENTIFIES], body=sdp(40000, version=2))
        )
        asked = await bob.expect(Requested)
        assert asked.request.sdp == sdp(40000, version=2)
        assert names(asked.request, PRESSES_BUTTONS) == set()
        assert names(asked.request, IDENTIFIES) == set()


async def test_a_message_within_a_call_brings_text_and_at_a_measured_pace(world: World) -> None:
    """Case L6, within a call."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        mine, _ = await connect(alice, bob)
        page = await ask(alice, mine, "MESSAGE", ("Content-Type", "text/html"), body=b"<img src=http://x>")
        assert page.response.status == 415
        for number in range(30):
            text = [("From-The-Bank", "yes"), ("Subject", "tea")]
            alice.perform(mine.send("MESSAGE", alice.now(), headers=text, body=b"hello", content_type="text/plain"))
            asked = await bob.expect(Requested)
            assert (asked.request.body, asked.request.get("Subject")) == (b"hello", "tea"), number
            assert asked.request.get("From-The-Bank") is None
            bob.perform(asked.session.respond(asked.transaction, 200, bob.now()))
            await alice.expect(Replied)
        refused = await ask(alice, mine, "MESSAGE", ("Content-Type", "text/plain"), body=b"hello")
        assert refused.response.status == 480
        assert int(refused.response.get("Retry-After") or 0) >= 1


async def test_no_message_leaves_for_a_carrier_within_a_call(world: World) -> None:
    """Case L6: it would cost something, and nobody would pay."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        await carrier.answer()
        answered = await alice.connected()
        replied = await ask(alice, answered.session, "MESSAGE", ("Content-Type", "text/plain"), body=b"hello")
        assert replied.response.status == 403
        await hears_nothing(carrier, Requested)


# outside calls ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("user", ["101", "102", "105", "nobody", "420777000020%40pstn", "*98", OUTSIDE])
async def test_options_tell_the_same_of_every_name(world: World, user: str) -> None:
    """Cases L3 and L6: nobody learns who exists, who is registered, or which number opens a card."""
    async with world.phone("102") as bob, world.phone("nobody", "") as stranger:
        await bob.register()
        response = await stranger.request(stranger.make("OPTIONS", uri(world, user)))
        plain = await stranger.request(stranger.make("OPTIONS", uri(world)))
        assert response.status == 200
        told = {"Allow", "Accept", "Supported", "Allow-Events"}
        assert [line for line in response.headers if line[0] in told] == [
            line for line in plain.headers if line[0] in told
        ]
        assert names(response, tuple((name, "") for name in ("Contact", "Server"))) == set()
        assert "NOTIFY" not in (response.get("Allow") or "")
        await hears_nothing(bob, Arrived)


@pytest.mark.parametrize(
    ("method", "lines", "status"),
    [
        ("REFER", (("Refer-To", "<sip:420600000001@127.0.0.1>"),), 403),
        ("NOTIFY", (("Event", "check-sync;reboot=true"), ("Subscription-State", "terminated")), 481),
        ("NOTIFY", (("Event", "message-summary"), ("Subscription-State", "active")), 481),
        ("NOTIFY", (("Event", "talk"),), 481),
        ("PUBLISH", (("Event", "presence"),), 489),
    ],
)
async def test_requests_that_make_a_phone_act_reach_none_from_anybody(
    world: World, method: str, lines: tuple[tuple[str, str], ...], status: int
) -> None:
    """Cases A1 and L6, outside of calls: an account, a carrier, a stranger."""
    async with (
        carriers(world) as (carrier, _),
        world.phone("101") as alice,
        world.phone("x", "") as stranger,
        world.phone("102") as bob,
    ):
        await bob.register()
        body = b"Messages-Waiting: yes\r\nMessage-Account: sip:906123123@127.0.0.1\r\n"
        for sender in (alice, carrier, stranger):
            request = sender.make(method, uri(world, "102"), *lines, body=body)
            assert (await sender.authenticated(request)).status == status
        await hears_nothing(bob, Arrived)


async def test_a_late_notify_or_options_in_a_dialog_that_we_do_not_know_is_481(world: World) -> None:
    """Neighbour of L6: with a tag in To."""
    async with world.phone("101") as alice:
        for method in ("NOTIFY", "OPTIONS", "MESSAGE"):
            request = alice.make(method, uri(world, "102"))
            request.set("To", f"<{uri(world, '102')}>;tag=gone")
            assert (await alice.request(request)).status == 481
