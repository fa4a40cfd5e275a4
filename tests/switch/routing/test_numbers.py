# SPDX-License-Identifier: Apache-2.0
"""A number is a number: whatever a phone or a carrier writes, rate, route, record and carrier have the same digits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from switch.sip.message.message import Request
from switch.sip.session import Failed
from switch.sip.user_agent import Invited
from tests.switch.following import SECRET, answering, call_from_media, follow_me, media
from tests.switch.phone import Phone, sdp
from tests.switch.routing.test_gateways import carriers

if TYPE_CHECKING:
    from switch.settings import SwitchSettings
    from switch.sip.session import IncomingInvite
    from tests.switch.conftest import World

__all__ = ["media"]
pytestmark = pytest.mark.asyncio

OUTSIDE = "420600000001"
POLICE = "420600000110"
HELP = "420600000112"
ALONE = "UPDATE billing_gateway SET enabled = false WHERE name = 'sample-carrier-b'"
ALIAS = "INSERT INTO billing_alias (name, account_id) SELECT $1, id FROM billing_account WHERE number = $2"


@pytest.fixture
def settings(settings: SwitchSettings, media: Phone) -> SwitchSettings:
    """With emergency numbers that the sample carrier takes, and an application."""
    return replace(
        settings,
        emergency_numbers=("112", HELP, POLICE),
        emergency_services={"police": POLICE},
        media_server=media.local,
        media_secret=SECRET,
        access_numbers={"*43": "echo", "8001": "calling_card"},
        feature_codes=("*72", "*21*", "#21#"),
    )


async def dial(phone: Phone, uri: str, *lines: tuple[str, str], challenged: bool = True) -> None:
    """Send an INVITE to any URI; `HERE` in it is the switch."""
    host, port = phone.switch
    uri = uri.replace("HERE", f"{host}:{port}")
    request = phone.make("INVITE", uri, *lines, ("Content-Type", "application/sdp"), body=sdp())
    invite = phone.agent.invite(request, phone.flow, natted=False, owner=phone)
    phone.perform(invite.start(phone.now()))
    if challenged:
        failed = await phone.expect(Failed)
        assert failed.response.status == 407, failed.response
        phone.perform(invite.resend([phone.credentials(invite.request, failed.response)], phone.now()))


async def refused(phone: Phone, uri: str, *lines: tuple[str, str], challenged: bool = True) -> int:
    """The final status of an INVITE that nobody rings for."""
    await dial(phone, uri, *lines, challenged=challenged)
    return (await phone.expect(Failed)).response.status


def asked(phone: Phone) -> list[Request]:
    """The requests that a phone was sent, but for those that tell of its own mailbox."""
    return [one for one in phone.received if isinstance(one, Request) and one.method != "NOTIFY"]


async def declined(gateway: Phone, caller: Phone) -> Request:
    """What a gateway is sent; it takes nothing, and the caller hears so."""
    invite: IncomingInvite = (await gateway.expect(Invited)).invite
    gateway.perform(invite.reject(486, gateway.now()))
    assert (await caller.expect(Failed)).response.status == 486
    return invite.request


SPELLINGS = [
    f"sip:{OUTSIDE};npdi;rn=+19005550000@HERE;user=phone",
    f"sip:{OUTSIDE}%3Bnpdi%3Brn=+19005550000@HERE",
    f"sip:{OUTSIDE};isub=1411;ext=44;postd=pp22@HERE",
    f"sip:{OUTSIDE};phone-context=+1@HERE;user=phone",
    f"sip:+{OUTSIDE};tgrp=cheap;trunk-context=carrier.example@HERE",
    f"sip:{OUTSIDE}@HERE;npdi;rn=+19005550000;user=phone",
    "sip:%2B420-600.(000)001@HERE",
    "sip:+420%20600%20000%20001@HERE",
    f"sip:{OUTSIDE}%23@HERE",
    f"SIP:{OUTSIDE}#@HERE",
    f"sip:{OUTSIDE}:secret@HERE",
    f"tel:+{OUTSIDE};npdi;rn=+19005550000",
    f"TEL:{OUTSIDE};phone-context=sip.example.com",
]


async def test_every_spelling_of_a_number_is_rated_routed_recorded_and_sent_as_its_digits(world: World) -> None:
    """Cases A2, B5."""
    async with carriers(world) as (first, _), world.phone("101") as alice:
        for uri in SPELLINGS:
            await dial(alice, uri)
            request = await declined(first, alice)
            assert (request.uri.user, request.to.uri.user) == (OUTSIDE, OUTSIDE), uri
            assert "rn=" not in request.to_bytes().decode()
    xdrs = await world.settled()
    assert len(xdrs) == len(SPELLINGS)
    assert {(xdr["dialled"], xdr["destination"]) for xdr in xdrs} == {(OUTSIDE, "Czech Republic")}


NO_NUMBERS = [
    *[(f"sip:{user}@HERE", 484) for user in (
        "420/777123001", "420,777123001", "420_777123001", "420x777123001", "420*777", "420%23777", "0x1A4", "420abc",
        "420%C2%B2777", "420%D9%A7%D9%A7%D9%A7", "+", "+%2B420777", "420&777", "420%3D777", "1" * 33, "1" * 80,
    )],
    *[(f"sip:{user}@HERE", 404) for user in (
        "%D9%A4%D9%A2%D9%A0", "%EF%BC%94%EF%BC%92%EF%BC%90", "%E2%81%B4%C2%B2%E2%81%B0", "%F0%9F%93%9E", "bob.smith",
        "*99", "#420777", "*72x", ";npdi", "x" * 80,
    )],
    *[(f"sip:{user}@HERE", 400) for user in (
        "420777%00", "420777%0D%0AX-Evil:1", "%1b%5b2J%0aFAKE", "420%09777", "420%E2%80%AE777", "420%C2%A0777",
        "420%E2%80%A8777", "420%FF777", "420%2500", "420%7F",
    )],
]  # fmt: skip


async def test_what_is_no_number_never_leaves(world: World) -> None:
    """Cases A5, B6, G6: a number begins it, and a cheaper prefix would have rated it."""
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await world.sql.execute(
            "INSERT INTO billing_gatewayroute (gateway_id, prefix) SELECT id, '' FROM billing_gateway"
        )
        await world.routes_reloaded()
        for uri, status in NO_NUMBERS:
            assert await refused(alice, uri) == status, uri
        assert not first.received
    assert await world.settled() == []


async def test_a_refused_text_breaks_no_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Case B6."""
    caplog.set_level("INFO")
    async with world.phone("101") as alice:
        await dial(alice, "sip:420777%0D%0AX-Evil%22%1b@HERE")
        response = (await alice.expect(Failed)).response
    assert response.get("X-Evil") is None
    await world.settled()
    told = [record for record in caplog.records if record.message == "call ended"]
    assert told
    for record in told:
        assert str(vars(record)["dialled"]).isprintable()


@pytest.mark.parametrize(
    "uri",
    [
        "sip:+18885550199;npdi;rn=+18885550000@HERE;user=phone",
        "sip:18885550199;tgrp=bundle1;trunk-context=carrier.example@HERE",
        "sip:+1-888-555-0199;rn=+18885550000;npdi@HERE",
        "sip:+18885550199%3Bnpdi@HERE",
        "tel:+18885550199;npdi;rn=+18885550000",
    ],
)
async def test_a_carriers_number_with_parameters_rings_its_account(world: World, uri: str) -> None:
    """Case B1."""
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        await world.sql.execute(ALIAS, "18885550199", "101")
        await dial(first, uri, challenged=False)
        invite = await alice.ringing()
        assert invite.request.to.uri.user == "18885550199"


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        (f"sip:{HELP};phone-context=sip.example.com@HERE;user=phone", HELP),
        (f"sip:{HELP};npdi@HERE", HELP),
        (f"sip:+{HELP}@HERE", HELP),
        (f"sip:{HELP}%23@HERE", HELP),
        (f"tel:{HELP};phone-context=+420", HELP),
        ("urn:service:sos", "112"),
        ("URN:Service:SOS", "112"),
        ("urn:service:sos.fire", "112"),
        ("urn:service:sos.police", POLICE),
        ("urn:service:sos.Police.municipal", POLICE),
        ("sip:urn%3Aservice%3Asos.police@HERE", POLICE),
    ],
)
async def test_every_spelling_of_an_emergency_is_an_emergency_call(world: World, uri: str, number: str) -> None:
    """Cases B2, L20: for an account without funds, and who helps sees who calls."""
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await world.sql.execute(
            "INSERT INTO billing_gatewayroute (gateway_id, prefix) SELECT id, '112' FROM billing_gateway"
        )
        await world.sql.execute("UPDATE billing_account SET product_id = NULL WHERE number = '101'")
        await world.sql.execute(ALONE)  # else the other one is tried after it
        await world.routes_reloaded()
        await dial(alice, uri, ("Privacy", "id; critical"))
        request = await declined(first, alice)
        assert request.uri.user == number
        assert request.from_.uri.user == "420222000101"
        assert "sip:420222000101@" in (request.get("P-Asserted-Identity") or "")
        assert request.get("Privacy") is None
    (xdr,) = await world.settled()
    assert (xdr["dialled"], xdr["rate_id"], xdr["amount"]) == (number, None, 0)


async def test_other_services_are_none_of_ours(world: World) -> None:
    async with world.phone("101") as alice:
        for uri in ("urn:service:counseling", "urn:service:sosx", "urn:nena:service:sos", "mailto:a@b"):
            assert await refused(alice, uri, challenged=False) == 416


async def test_an_emergency_route_takes_its_number_and_no_longer_one(world: World) -> None:
    """Case L20: the second gateway serves 112 alone, the first all that begins with 1."""
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await world.sql.execute(
            "INSERT INTO billing_gatewayroute (gateway_id, prefix)"
            " SELECT id, '112' FROM billing_gateway WHERE name = 'sample-carrier-b'"
        )
        await world.routes_reloaded()
        await dial(alice, "sip:112@HERE")
        assert (await declined(second, alice)).uri.user == "112"
        await dial(alice, "sip:112123456@HERE")
        assert (await declined(first, alice)).uri.user == "112123456"


@pytest.mark.parametrize(
    ("asserted", "number", "name"),
    [
        ('"Dr Who" <sip:dr.who@carrier.example>, <tel:+34999999999>', "34999999999", "Dr Who"),
        ('<tel:+34999999999>, "Dr Who" <sip:dr.who@carrier.example>', "34999999999", "Dr Who"),
        ('"Who" <sip:77@carrier.example>, <tel:+34-999-999-999;npdi;rn=+3400>', "34999999999", "Who"),
        ('"Who" <sip:+34999999999;npdi;rn=+3400@carrier.example;user=phone>', "34999999999", "Who"),
        ('"Dr Who" <sip:dr.who@carrier.example>', "dr.who", "Dr Who"),
        ("<sip:34999999999%23@carrier.example>", "34999999999", ""),
        ("<sip:42073723123%40pstn@carrier.example>", "anonymous", ""),
        ("<sip:34%0D%0AX@carrier.example>", "anonymous", ""),
    ],
)
async def test_the_number_and_the_name_of_who_calls(world: World, asserted: str, number: str, name: str) -> None:
    """Case B3 (RFC 3325 section 9.1)."""
    async with carriers(world) as (first, _), world.phone("102") as bob:
        await bob.register()
        await dial(first, "sip:102@HERE", ("P-Asserted-Identity", asserted), challenged=False)
        sender = (await bob.ringing()).request.from_
        assert (sender.uri.user, sender.display) == (number, name)


@pytest.mark.parametrize(
    ("change", "sent", "shown"),
    [
        ("UPDATE billing_gateway SET number_format = 'e164'", "+420600000001", "+42027777100"),
        ("UPDATE billing_gatewayroute SET prepend = '+'", "+420600000001", "+42027777100"),
        ("UPDATE billing_gatewayroute SET strip = 3, prepend = '+33'", "+33600000001", "+42027777100"),
        ("UPDATE billing_gatewayroute SET strip = 3, prepend = '00'", "00600000001", "42027777100"),
    ],
)
async def test_a_carrier_gets_numbers_in_its_own_form(world: World, change: str, sent: str, shown: str) -> None:
    """Case B4."""
    async with carriers(world) as (first, _), world.phone("42027777100") as john:
        await world.sql.execute(change)
        await world.routes_reloaded()
        await dial(john, f"sip:{OUTSIDE}@HERE")
        request = await declined(first, john)
        assert request.uri.user == sent
        assert request.to.uri.user == (f"+{OUTSIDE}" if sent.startswith("+") else OUTSIDE)
        assert request.from_.uri.user == shown
        assert f"sip:{shown}@" in (request.get("P-Asserted-Identity") or "")
    (xdr,) = await world.settled()
    assert xdr["dialled"] == OUTSIDE


async def test_emergency_numbers_get_no_plus(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await world.sql.execute(ALONE)
        await world.sql.execute("UPDATE billing_gateway SET number_format = 'e164'")
        await world.sql.execute(
            "INSERT INTO billing_gatewayroute (gateway_id, prefix) SELECT id, '112' FROM billing_gateway"
        )
        await world.routes_reloaded()
        await dial(alice, "sip:112@HERE")
        request = await declined(first, alice)
        assert (request.uri.user, request.from_.uri.user) == ("112", "+420222000101")


@pytest.mark.parametrize(
    ("dialled", "application", "argument"),
    [
        ("*43%23", "echo", None), ("*43#", "echo", None), ("8001%23", "calling_card", None),
        ("+8001", "calling_card", None), ("*43;phone-context=sip.example.com", "echo", None),
        ("*72420600000001%23", "feature", OUTSIDE), ("*72+420-600-000-001", "feature", OUTSIDE),
        ("*21*420600000001%23", "feature", OUTSIDE), ("%2321%23", "feature", None),
    ],
)  # fmt: skip
async def test_the_hash_of_a_dial_plan_is_no_digit(
    world: World, media: Phone, dialled: str, application: str, argument: str | None
) -> None:
    """Case B5; it is one where the code of a mobile phone ends with it."""
    async with world.phone("101") as alice:
        await dial(alice, f"sip:{dialled}@HERE")
        uri = (await media.ringing()).request.uri
        assert (uri.user, uri.params.get("argument")) == (application, argument)


CREDENTIALS = ("42073723123%40pstn", "42073723123%40PSTN", "42073723123@pstn", "48291744%40pin", "127.0.0.9",
               "%3A%3A1", "42073723123%40pstn;npdi", "+42073723123%40pstn", "192.0.2.10%23")  # fmt: skip


async def test_names_that_identify_callers_are_never_dialled_or_asked_for(world: World) -> None:
    """Case L3: OPTIONS for `NUMBER@pstn` told which numbers open cards."""
    async with world.phone("101") as alice, world.phone("42027777100") as john:
        await john.register()
        for name in ("48291744@pin", "127.0.0.9", "::1", "192.0.2.10"):
            await world.sql.execute(ALIAS, name, "42027777100")
        for user in CREDENTIALS:
            if "@" in user:
                continue  # two of them are no URI
            assert await refused(alice, f"sip:{user}@HERE") == 404, user
            host, port = world.address
            for method, status in (("OPTIONS", 200), ("MESSAGE", 404)):  # OPTIONS is the same for every name
                request = alice.make(method, f"sip:{user}@{host}:{port}")
                assert (await alice.authenticated(request)).status == status, (method, user)
            lamp = alice.make(
                "SUBSCRIBE", f"sip:{user}@{host}:{port}", ("Event", "message-summary"),
                ("Contact", f"<sip:101@{alice.address}>"),
            )  # fmt: skip
            assert (await alice.authenticated(lamp)).status == 404, user
    assert not asked(john)


@pytest.mark.parametrize("name", ["42073723123@pstn", "127.0.0.9", "::1"])
async def test_nobody_registers_as_what_identifies_callers(world: World, name: str) -> None:
    """Case L3, though the account's password is right."""
    await world.sql.execute("DELETE FROM billing_alias WHERE name = $1", name)
    await world.sql.execute(ALIAS.replace("account_id)", "account_id, allow_authentication)").replace(
        "id FROM", "id, true FROM"), name, "101")  # fmt: skip
    async with world.phone(name, world.passwords["101"]) as phone:
        host, port = world.address
        user = name.replace("@", "%40").replace(":", "%3A")
        contact = ("Contact", f"<sip:101@{phone.address}>")
        request = phone.make("REGISTER", f"sip:{host}:{port}", contact, to=f"sip:{user}@{host}")
        assert (await phone.authenticated(request)).status in (401, 403, 404)
    assert await world.sql.fetchval("SELECT count(*) FROM billing_binding") == 0


@pytest.mark.parametrize(
    "to",
    ["sip:42073723123%40pstn@127.0.0.1", "sip:42073723123@pstn", "127.0.0.9", "sip:48291744%40pin@127.0.0.1"],
)
async def test_a_forward_leads_to_no_name_that_identifies_callers(world: World, to: str) -> None:
    """Case L3: forwards, menus and applications dial as phones do."""
    async with world.phone("101") as alice, world.phone("42027777100") as john:
        await john.register()
        await world.sql.execute(ALIAS, "127.0.0.9", "42027777100")
        await world.sql.execute(ALIAS, "48291744@pin", "42027777100")
        await answering(world, "102", mode="forward", follow_me=follow_me({"to": to}))
        await answering(world, "42027777100", mode="ring")
        assert await refused(alice, "sip:102@HERE") >= 400
        assert not asked(john)


async def test_an_application_dials_no_name_that_identifies_callers(world: World, media: Phone) -> None:
    """Case L3."""
    async with world.phone("42027777100") as john:
        await john.register()
        await call_from_media(world, media, "42073723123%40pstn", "101", "101")
        assert (await media.expect(Failed)).response.status == 404
        assert not asked(john)


async def test_a_paid_line_has_no_cheap_alias(world: World) -> None:
    """Case L16: 201 costs 0.60 a minute, numbers that begin with 44 cost 0.03."""
    async with world.phone("101") as alice, world.phone("201") as line:
        await line.register()
        for name in ("445550199", "chat"):
            await world.sql.execute(ALIAS, name, "201")
        for dialled in ("201", "445550199", "chat"):
            await dial(alice, f"sip:{dialled}@HERE")
            await declined(line, alice)
        await answering(world, "102", mode="forward", follow_me=follow_me({"to": "445550199"}))
        await dial(alice, "sip:102@HERE")
        await declined(line, alice)
    xdrs = [xdr for xdr in await world.settled() if xdr["dialled"] != "102"]
    assert [xdr["dialled"] for xdr in xdrs] == ["201", "445550199", "chat", "445550199"]
    assert {xdr["destination"] for xdr in xdrs} == {"Paid internal line"}
