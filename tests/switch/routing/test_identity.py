# SPDX-License-Identifier: Apache-2.0
"""Which number carriers see, in the headers that each wants; whose claim is believed; and who may hide."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.rules.books import Gateway, Route
from billing_client.rules.callerid import CallerRules, CarrierStyle, read_rules, read_style
from switch.routing.caller import Caller, Forwarding
from switch.routing.identity import Presented, diversion_lines, identity_lines, presented
from switch.settings import CallerIdSettings
from switch.sip.session import Cancelled, Failed
from tests.patience import PATIENCE_SECONDS
from tests.switch.explain.test_explained import asked
from tests.switch.following import MOBILE, answering, follow_me
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import OUTSIDE, carriers
from tests.switch.routing.test_plan import ALICE as ALICES

if TYPE_CHECKING:
    from billing_client.parties import Party
    from switch.sip.message.message import Request
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

ALICE, BOB = "420222000101", "420222000102"
FALSE = "420777000020"
ANONYMOUS = "Anonymous <sip:anonymous@anonymous.invalid>"
SEEN = Presented(number=ALICE, display="Alice", payer=ALICE, payer_display="Alice")
HIDDEN = replace(SEEN, is_hidden=True)
FORWARDED = Presented(number="44123", display="Eve", payer=BOB, payer_display="Bob", is_diverted=True)
NOBODY = Presented(number="", display="Dave", payer="", payer_display="Dave", usual="")


def route(style: CarrierStyle | None = None, **gateway: Any) -> Route:
    """A way to a carrier that wants it so."""
    return Route(Gateway(1, "carrier", "192.0.2.1", 5060, "udp", style=style or CarrierStyle(), **gateway), "", 1)


def of(**style: Any) -> Route:
    return route(CarrierStyle(**style))


# what each carrier gets -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seen", "way", "sender", "lines"),
    [
        (SEEN, of(), f"Alice <sip:{ALICE}@we>", [f"P-Asserted-Identity: <sip:{ALICE}@we>"]),
        (SEEN, of(number_format="e164"), f"Alice <sip:+{ALICE}@we>", [f"P-Asserted-Identity: <sip:+{ALICE}@we>"]),
        (SEEN, route(number_format="e164"), f"Alice <sip:+{ALICE}@we>", [f"P-Asserted-Identity: <sip:+{ALICE}@we>"]),
        (SEEN, of(domain="gateway"), f"Alice <sip:{ALICE}@192.0.2.1>",
         [f"P-Asserted-Identity: <sip:{ALICE}@192.0.2.1>"]),
        (SEEN, of(domain="gateway", asserted_domain="ims.example"), f"Alice <sip:{ALICE}@192.0.2.1>",
         [f"P-Asserted-Identity: <sip:{ALICE}@ims.example>"]),
        (SEEN, of(asserted="tel", name=False), f"<sip:{ALICE}@we>", [f"P-Asserted-Identity: <tel:+{ALICE}>"]),
        (SEEN, of(asserted="no", remote_party=True), f"Alice <sip:{ALICE}@we>",
         [f"Remote-Party-ID: Alice <sip:{ALICE}@we>;party=calling;screen=yes;privacy=off"]),
        (HIDDEN, of(), ANONYMOUS, [f"P-Asserted-Identity: <sip:{ALICE}@we>"]),
        (HIDDEN, of(hidden="number"), f"Alice <sip:{ALICE}@we>", [f"P-Asserted-Identity: <sip:{ALICE}@we>"]),
        (HIDDEN, of(remote_party=True), ANONYMOUS,
         [f"P-Asserted-Identity: <sip:{ALICE}@we>",
          f"Remote-Party-ID: <sip:{ALICE}@we>;party=calling;screen=yes;privacy=full"]),
        # who does not honour Privacy is not told a hidden number at all
        (HIDDEN, of(privacy=False, hidden="number", remote_party=True), ANONYMOUS, []),
        (FORWARDED, of(), 'Eve <sip:44123@we>', [f"P-Asserted-Identity: <sip:{BOB}@we>"]),
        (FORWARDED, route(forwarded_caller="forwarder"), f"Bob <sip:{BOB}@we>",
         [f"P-Asserted-Identity: <sip:{BOB}@we>"]),
        (replace(FORWARDED, is_hidden=True), of(), ANONYMOUS, [f"P-Asserted-Identity: <sip:{BOB}@we>"]),
        (replace(FORWARDED, number=""), of(), f"Eve <sip:{BOB}@we>", [f"P-Asserted-Identity: <sip:{BOB}@we>"]),
        (NOBODY, of(), ANONYMOUS, []),
        (replace(NOBODY, usual="420222000000"), of(), 'Dave <sip:420222000000@we>',
         ["P-Asserted-Identity: <sip:420222000000@we>"]),
        (replace(NOBODY, usual="420222000000"), of(default_number="420333000000"), 'Dave <sip:420333000000@we>',
         ["P-Asserted-Identity: <sip:420333000000@we>"]),
    ],
)  # fmt: skip
def test_a_carrier_is_told_who_calls_in_the_headers_that_it_wants(
    seen: Presented, way: Route, sender: str, lines: list[str]
) -> None:
    found, told = identity_lines(seen, way, "we")
    assert str(found) == sender
    assert [f"{name}: {value}" for name, value in told] == lines


@pytest.mark.parametrize(
    ("seen", "way", "line"),
    [
        (FORWARDED, of(), f"<sip:{BOB}@we>;reason=user-busy;counter=2"),
        (FORWARDED, of(number_format="e164", domain="gateway"), f"<sip:+{BOB}@192.0.2.1>;reason=user-busy;counter=2"),
        (replace(FORWARDED, payer_hides=True), of(), f"<sip:{BOB}@we>;reason=user-busy;counter=2;privacy=full"),
        (FORWARDED, of(diversion=False), None),
        (replace(FORWARDED, payer=""), of(), None),
        (replace(FORWARDED, payer="", usual=ALICE), of(), f"<sip:{ALICE}@we>;reason=user-busy;counter=2"),
    ],
)
def test_who_forwarded_is_told_by_a_public_number_or_not_at_all(seen: Presented, way: Route, line: str | None) -> None:
    found = diversion_lines(seen, way, "we", reason="user-busy", counter=2)
    assert found == ([] if line is None else [("Diversion", line)])


# what an account may show -----------------------------------------------------------------------------------------
def account(number: str = "101", **rules: Any) -> Party:
    """One with these rules."""
    names = tuple(rules.pop("names", ()))
    shows = read_rules(json.dumps(rules), number, names)
    return replace(ALICES, number=number, name=number, shows=shows)


@pytest.mark.parametrize(
    ("rules", "default"),
    [
        ({"names": ["101"]}, ""),
        ({"names": ["101", BOB, ALICE]}, ALICE),
        ({"number": BOB, "names": [BOB, ALICE]}, BOB),
        ({"names": ["101", "420603123456@pstn"]}, "420603123456"),
        ({"names": ["101", ALICE], "default": BOB}, BOB),
        ({"names": ["101"], "numbers": [FALSE]}, ""),
    ],
)
def test_an_account_shows_its_own_public_number_unless_another_is_said(rules: dict[str, Any], default: str) -> None:
    assert account(**rules).shows.default == default


@pytest.mark.parametrize(
    ("claimed", "found"),
    [(ALICE, ALICE), (f"+{ALICE}", ALICE), ("+420 222-000-101", ALICE), (FALSE, FALSE), ("420777000021", ""), ("", "")],
)
def test_a_claim_is_found_among_the_numbers_of_the_account_however_it_is_spelt(claimed: str, found: str) -> None:
    assert account(names=["101", ALICE], numbers=[FALSE]).shows.find(claimed) == found


def test_nobody_is_shown_by_a_name_within_the_house() -> None:
    extension = account(names=["101"])
    assert presented(extension, Caller("101", "Alice", None), "").number == ""
    forwarder = account("102", names=["102", BOB])
    forwarding = Forwarding("102", "mobile", number="101", public="")
    seen = presented(forwarder, Caller("101", "Alice", None, forwarding), "")
    assert (seen.number, seen.payer, seen.shown_at(of().gateway)) == ("", BOB, BOB)


def test_keys_of_a_later_version_do_no_harm() -> None:
    assert read_style('{"asserted": "tel", "hologram": true, "domain": null}') == CarrierStyle(asserted="tel")
    assert read_rules('{"foreign": "pray"}', "101") == CallerRules(names=frozenset({"101"}))


# live calls -------------------------------------------------------------------------------------------------------
async def settings_of(world: World, **caller_id: Any) -> None:
    """Other settings from now on."""
    world.switch._take_over(replace(world.switch.settings, caller_id=CallerIdSettings(**caller_id)))


async def rules_of(world: World, number: str, **rules: Any) -> None:
    """Other rules of an account from now on."""
    await world.sql.execute(
        "UPDATE billing_account SET caller_id = $2::jsonb WHERE number = $1", number, json.dumps(rules)
    )


async def outside(phone: Phone, carrier: Phone, number: str, *lines: tuple[str, str], sender: str = "") -> Request:
    """The INVITE that the carrier gets; the call is given up."""
    host, port = phone.switch
    request = phone.make(
        "INVITE", f"sip:{number}@{host}:{port}", *lines, ("Content-Type", "application/sdp"), body=sdp()
    )
    if sender:
        request.set("From", f"<sip:{sender}@{host}>;tag=x")
    invite = phone.agent.invite(request, phone.flow, natted=False, owner=phone)
    phone.perform(invite.start(phone.now()))
    challenged = await phone.expect(Failed)
    phone.perform(invite.resend([phone.credentials(invite.request, challenged.response)], phone.now()))
    found = (await carrier.ringing()).request
    phone.perform(invite.cancel(phone.now()))
    await carrier.expect(Cancelled)
    await phone.expect(Failed)
    return found


def without_tag(request: Request) -> str:
    return (request.get("From") or "").partition(";tag=")[0]


def identities(request: Request) -> list[str]:
    """All that says who calls."""
    wanted = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy", "Diversion", "History-Info")
    return [without_tag(request), *(f"{name}: {value}" for name, value in request.headers if name in wanted)]


def trace_of(world: World) -> str:
    (call,) = world.switch.control.calls.values()
    return "\n".join(call.trace)


@pytest.mark.asyncio
async def test_a_carrier_never_sees_an_extension(world: World) -> None:
    async with carriers(world) as (carrier, _), world.phone("104") as dave:
        request = await outside(dave, carrier, OUTSIDE)
        assert identities(request) == [ANONYMOUS]
        assert not any("104" in (request.get(name) or "") for name in ("From", "To", "Contact"))
        await settings_of(world, default_number="420222000000")
        assert identities(await outside(dave, carrier, OUTSIDE)) == [
            'Dave <sip:420222000000@127.0.0.1>', "P-Asserted-Identity: <sip:420222000000@127.0.0.1>",
        ]  # fmt: skip


@pytest.mark.asyncio
async def test_an_operator_may_refuse_who_has_no_number_and_emergency_calls_go_all_the_same(world: World) -> None:
    await settings_of(world, without_number="refuse")
    await world.sql.execute(
        "INSERT INTO billing_gatewayroute (gateway_id, prefix) SELECT id, '112' FROM billing_gateway"
    )
    async with carriers(world) as (carrier, _), world.phone("104") as dave, world.phone("101") as alice:
        await dave.call(OUTSIDE)
        failed = await dave.expect(Failed)
        assert (failed.response.status, "no number to show" in (failed.response.get("Reason") or "")) == (403, True)
        assert (await outside(dave, carrier, "112")).uri.user == "112"
        assert (await outside(alice, carrier, OUTSIDE)).from_.uri.user == ALICE


@pytest.mark.asyncio
async def test_a_phone_shows_the_number_that_it_says_if_that_is_its_accounts(world: World) -> None:
    await rules_of(world, "101", numbers=["420603000001"])
    async with carriers(world) as (carrier, _), world.phone("101") as alice, world.phone("102") as bob:
        preferred = ("P-Preferred-Identity", "<tel:+420603000001>")
        for seen in (
            await outside(alice, carrier, OUTSIDE, sender="420603000001"),
            await outside(alice, carrier, OUTSIDE, preferred),
        ):
            assert identities(seen) == [
                "Alice <sip:420603000001@127.0.0.1>", "P-Asserted-Identity: <sip:420603000001@127.0.0.1>",
            ]  # fmt: skip
        await bob.register()
        assert (await outside(alice, bob, "102", preferred)).from_.uri.user == "420603000001"
        assert (await outside(alice, bob, "102")).from_.uri.user == "101"


@pytest.mark.asyncio
async def test_a_phone_that_claims_somebody_elses_number_shows_its_own_or_makes_no_call(world: World) -> None:
    """Abuse: the number of a bank."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        for lines, sender in (((), FALSE), ([("P-Asserted-Identity", f"<sip:{FALSE}@bank>")], ""), ((), BOB)):
            request = await outside(alice, carrier, OUTSIDE, *lines, sender=sender)
            assert identities(request) == [
                f"Alice <sip:{ALICE}@127.0.0.1>", f"P-Asserted-Identity: <sip:{ALICE}@127.0.0.1>",
            ]  # fmt: skip
        await alice.call(OUTSIDE, ("P-Preferred-Identity", f"<sip:{FALSE}@bank>"))
        await carrier.ringing()
        assert f"its phone says {FALSE}, which is no number of account 101" in trace_of(world)
    await rules_of(world, "101", foreign="refuse")
    async with carriers(world), world.phone("101") as alice:
        await alice.call(OUTSIDE, ("P-Preferred-Identity", f"<sip:{FALSE}@bank>"))
        assert (await alice.expect(Failed)).response.status == 403


@pytest.mark.asyncio
async def test_a_number_is_hidden_and_shown_by_account_by_phone_and_by_star_code(world: World) -> None:
    own, told = f"Alice <sip:{ALICE}@127.0.0.1>", f"P-Asserted-Identity: <sip:{ALICE}@127.0.0.1>"
    shown, hidden = [own, told], [ANONYMOUS, "Privacy: id", told]
    private, public = ("Privacy", "id"), ("Privacy", "none")
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        for dialled in (f"*67{OUTSIDE}", f"%2331%23{OUTSIDE}"):
            request = await outside(alice, carrier, dialled)
            assert (request.uri.user, identities(request)) == (OUTSIDE, hidden)
        assert identities(await outside(alice, carrier, OUTSIDE, private)) == hidden
        assert identities(await outside(alice, carrier, f"*82{OUTSIDE}", private)) == shown
        await rules_of(world, "101", hide=True)
        assert identities(await outside(alice, carrier, OUTSIDE)) == hidden
        assert identities(await outside(alice, carrier, f"*82{OUTSIDE}")) == shown
        assert identities(await outside(alice, carrier, f"*31%23{OUTSIDE}")) == shown
        seen = identities(await outside(alice, carrier, OUTSIDE, public))
        assert [line for line in seen if line != "Privacy: none"] == shown
    records = await world.settled()
    assert {record["dialled"] for record in records} == {OUTSIDE}


@pytest.mark.asyncio
async def test_who_hides_is_hidden_from_phones_through_a_forward_and_in_a_message(world: World) -> None:
    await rules_of(world, "101", hide=True)
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": "103"}))
    async with world.phone("101") as alice, world.phone("103") as carol:
        await carol.register()
        for dialled in ("103", "102", "*67103"):
            assert without_tag(await outside(alice, carol, dialled)) == ANONYMOUS
        assert (await outside(alice, carol, "*82102")).from_.uri.user == "101"
    await answering(world, "102", mode="forward", follow_me=follow_me({"to": MOBILE}))
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        assert identities(await outside(alice, carrier, "102")) == [
            ANONYMOUS, "Privacy: id", f"Diversion: <sip:{BOB}@127.0.0.1>;reason=follow-me;counter=1",
            f"P-Asserted-Identity: <sip:{BOB}@127.0.0.1>",
        ]  # fmt: skip


@pytest.mark.asyncio
async def test_a_star_code_changes_who_is_seen_and_nothing_else(world: World) -> None:
    """Abuse: what is barred stays barred, what is no number stays a code."""
    before = world.switch.books.rates
    await world.sql.execute("UPDATE billing_rate SET blocked = true WHERE prefix = '44'")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while world.switch.books.rates is before:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)
    async with world.phone("101") as alice:
        for dialled in ("44123456789", "*6744123456789", "*8244123456789"):
            await alice.call(dialled)
            assert (await alice.expect(Failed)).response.status == 403, dialled
        for dialled in ("*67", "*67*82420600000001", "*67*97"):
            await alice.call(dialled)
            assert (await alice.expect(Failed)).response.status == 404, dialled


@pytest.mark.asyncio
async def test_explain_tells_which_number_is_shown_and_why(world: World) -> None:

    async def told(caller: str, dialled: str) -> str:
        found = await asked(world, caller, dialled)
        return "\n".join(step.text for step in found.trace.read() if step.kind == "caller")

    own = f"carriers see {ALICE}, the number of account 101"
    assert own in await told("101", OUTSIDE)
    assert f"{own}; it is withheld from who is called" in await told("101", f"*67{OUTSIDE}")
    assert "account 104 has no public number" in await told("104", OUTSIDE)
