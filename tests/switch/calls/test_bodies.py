# SPDX-License-Identifier: Apache-2.0
"""Bodies between two parties: a session description is found wherever it is, and no answer leads to a silent call."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from switch.sip.message.body import read_content
from switch.sip.message.parsing import parse_message
from switch.sip.session import Acknowledged, Answered, Ended, Failed, Progressed, Replied, Requested
from switch.sip.transaction import Send
from switch.sip.user_agent import Invited
from tests.sip.test_body import LOCATION, MIXED, multi, part
from tests.switch.phone import sdp
from tests.switch.routing.test_gateways import OUTSIDE, carriers

if TYPE_CHECKING:
    from switch.settings import SwitchSettings
    from switch.sip.message.message import Request, Response
    from switch.sip.session import IncomingInvite, Outcome, OutgoingInvite
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

HELP = "420600000112"
TYPE = "Content-Type: application/sdp"
LOCATED = part(LOCATION, "Content-Type: application/pidf+xml", "Content-ID: <alice@example.com>")
GEOLOCATION = ("Geolocation", "<cid:alice@example.com>")
ISUP = part(b"\1\0\r\n", "Content-Type: application/ISUP;version=x", "Content-Disposition: signal;handling=optional")
GZIP = (("Content-Type", "application/sdp"), ("Content-Encoding", "gzip"))


@pytest.fixture
def settings(settings: SwitchSettings) -> SwitchSettings:
    """With an emergency number that the sample carrier takes."""
    return replace(settings, emergency_numbers=(HELP,))


def described(body: bytes, *others: bytes) -> bytes:
    """A multipart of a session description and other parts, which come first."""
    return multi(*others, part(body, TYPE))


async def call(phone: Phone, number: str, body: bytes, *lines: tuple[str, str]) -> OutgoingInvite:
    """Call with a body that is no plain session description, by an account that has to log in."""
    invite = await phone.call(number, ("Content-Type", MIXED), *lines, body=b"", authenticate=False)
    failed = await phone.expect(Failed)
    assert failed.response.status == 407
    invite.request.body = body
    phone.perform(invite.resend([phone.credentials(invite.request, failed.response)], phone.now()))
    return invite


def with_body(outcome: Outcome, body: bytes, *lines: tuple[str, str]) -> list[object]:
    """What a user agent sends, with another body."""
    effects: list[object] = []
    for effect in outcome:
        if isinstance(effect, Send):
            message = parse_message(effect.data)
            message.describe(body)
            message.remove("Content-Type")
            for line in lines:
                message.add(*line)
            effect = replace(effect, data=message.to_bytes())
        effects.append(effect)
    return effects


def respond(phone: Phone, invite: IncomingInvite, status: int, body: bytes, *lines: tuple[str, str]) -> None:
    """Answer with any body, as user agents that are not ours do."""
    now = phone.now()
    outcome = invite.progress(status, now, body=sdp()) if status < 200 else invite.accept(now, body=sdp())
    phone.perform(with_body(outcome, body, *lines))


async def said_to(phone: Phone, status: int) -> Response:
    """The final response of a call that failed."""
    failed = await phone.expect(Failed)
    assert failed.response.status == status
    return failed.response


def hung_up(phone: Phone) -> Request:
    """The BYE that came, after an ACK."""
    methods = [message.method for message in phone.received if hasattr(message, "method")]
    assert methods[-2:] == ["ACK", "BYE"]
    return phone.received[-1]  # type: ignore[return-value]


# where the description is


async def test_an_offer_beside_other_parts_rings_a_phone_without_them(world: World) -> None:
    """Case D1: in INVITE, 183, 200, re-INVITE and its answer."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await call(alice, "102", described(sdp(), LOCATED, ISUP), GEOLOCATION)
        invite = await bob.ringing()
        asked = invite.request
        assert (asked.content_type, asked.body, asked.get("Geolocation")) == ("application/sdp", sdp(), None)
        respond(bob, invite, 183, described(sdp(40100), ISUP), ("Content-Type", MIXED))
        while (early := await alice.expect(Progressed)).response.status != 183:
            pass
        assert (early.response.content_type, early.response.body) == ("application/sdp", sdp(40100))
        respond(bob, invite, 200, described(sdp(40100), ISUP), ("Content-Type", MIXED))
        answered = await alice.connected()
        assert (answered.response.content_type, answered.response.body) == ("application/sdp", sdp(40100))
        offer = described(sdp(40002, version=2), LOCATED)
        alice.perform(answered.session.send("INVITE", alice.now(), body=offer, content_type=MIXED))
        requested = await bob.expect(Requested)
        assert requested.request.body == sdp(40002, version=2)
        reply = described(sdp(40100, version=2), LOCATED)
        bob.perform(requested.session.respond(requested.transaction, 200, bob.now(), body=reply, content_type=MIXED))
        replied = await alice.expect(Replied)
        assert (replied.response.status, replied.response.body) == (200, sdp(40100, version=2))


async def test_a_late_answer_beside_other_parts_reaches_the_callee(world: World) -> None:
    """Case D1: in an ACK."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102", body=b"")
        invite = await bob.ringing()
        respond(bob, invite, 200, described(sdp(40100), ISUP), ("Content-Type", MIXED))
        answered = await alice.expect(Answered)
        assert answered.response.body == sdp(40100)
        ack = answered.session.ack(answered.invite.request, alice.now(), sdp())
        alice.perform(with_body(ack, described(sdp(), LOCATED), ("Content-Type", MIXED)))
        while not any(getattr(message, "method", "") == "ACK" for message in bob.received):
            await bob.events.get()
        (got,) = [message for message in bob.received if getattr(message, "method", "") == "ACK"]
        assert (got.content_type, got.body) == ("application/sdp", sdp())


async def test_who_helps_gets_where_the_caller_is(world: World) -> None:
    """Case D1: the location crosses to the emergency gateway, nothing else does."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await call(alice, HELP, described(sdp(), LOCATED, ISUP), GEOLOCATION)
        asked = (await carrier.ringing()).request
        assert asked.get("Geolocation") == GEOLOCATION[1]
        assert asked.content_type == "multipart/mixed"
        assert b"ISUP" not in asked.body
        content = read_content(asked.get, asked.body)
        assert content.description == sdp()
        (location,) = content.locations
        assert (location.body, location.get("Content-ID")) == (LOCATION, "<alice@example.com>")


async def test_where_a_caller_is_reaches_no_other_carrier(world: World) -> None:
    """Case D1."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await call(alice, OUTSIDE, described(sdp(), LOCATED), GEOLOCATION)
        asked = (await carrier.ringing()).request
        assert (asked.content_type, asked.body, asked.get("Geolocation")) == ("application/sdp", sdp(), None)


async def test_a_part_that_must_be_understood_and_is_not_is_refused(world: World) -> None:
    """Case D1."""
    required = ISUP.replace(b"optional", b"required")
    async with world.phone("101") as alice:
        await call(alice, "102", described(sdp(), required))
        response = await said_to(alice, 415)
        assert (response.status, response.get("Accept")) == (415, "application/sdp")


# answers that are not understood


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", ()),
        (b"hello", (("Content-Type", "text/plain"),)),
        (b"\x1f\x8b\x08", GZIP),
        (described(sdp())[:-30], (("Content-Type", "multipart/mixed;boundary=other"),)),
        (multi(part(b"hello", "Content-Type: text/plain"), ISUP), (("Content-Type", MIXED),)),
        (multi(part(sdp(), TYPE, "Content-Disposition: early-session")), (("Content-Type", MIXED),)),
        (sdp(), ()),
    ],
)
@pytest.mark.parametrize("offer", [sdp(), b""])
async def test_an_answer_that_is_not_understood_is_no_answer(
    world: World, body: bytes, lines: tuple[tuple[str, str], ...], offer: bytes
) -> None:
    """Case D2: the carrier gets ACK and BYE, the caller 502, nobody pays."""
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await alice.call(OUTSIDE, body=offer)
        respond(first, await first.ringing(), 200, body, *lines)
        await first.expect(Ended)
        assert "cause=88" in (hung_up(first).get("Reason") or "")
        respond(second, await second.ringing(), 200, body, *lines)  # the next gateway is tried
        await second.expect(Ended)
        hung_up(second)
        assert "cause=88" in ((await said_to(alice, 502)).get("Reason") or "")
    (record,) = await world.settled()
    assert (record["amount"], record["billed_seconds"], record["cause"]) == (Decimal(0), 0, 88)


async def test_an_answer_that_is_not_understood_leaves_the_other_phones_ringing(world: World) -> None:
    """Case D2, of a phone: another one may be picked up."""
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("102") as other:
        await bob.register()
        await other.register()
        await alice.call("102")
        mute, heard = await bob.ringing(), await other.ringing()
        respond(bob, mute, 200, b"hello", ("Content-Type", "text/plain"))
        await bob.expect(Ended)
        other.perform(heard.accept(other.now(), body=sdp(40100)))
        assert (await alice.connected()).response.sdp == sdp(40100)


async def test_an_answer_after_early_media_need_not_repeat_it(world: World) -> None:
    """Case D2: what a description before the answer has said counts."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        invite = await bob.ringing()
        respond(bob, invite, 183, sdp(40100), ("Content-Type", "application/sdp"))
        respond(bob, invite, 200, b"")
        assert (await alice.connected()).response.sdp == sdp(40100)
        await bob.expect(Acknowledged)


async def test_a_183_that_is_not_understood_is_passed_over(world: World) -> None:
    """Case D2."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        invite = await bob.ringing()
        respond(bob, invite, 183, b"\x1f\x8b\x08", *GZIP)
        while (early := await alice.expect(Progressed)).response.status != 183:
            pass
        assert (early.response.body, early.response.get("Content-Encoding")) == (b"", None)
        bob.perform(invite.accept(bob.now(), body=sdp(40100)))
        assert (await alice.connected()).response.sdp == sdp(40100)


@pytest.mark.parametrize("lines", [(), (("Content-Type", "text/plain"),), GZIP])
async def test_a_late_answer_that_is_not_understood_ends_the_call_unpaid(
    world: World, lines: tuple[tuple[str, str], ...]
) -> None:
    """Case D2: the callee offered in its 200, the ACK says nothing that is understood."""
    async with carriers(world) as (carrier, _), world.phone("101") as alice:
        await alice.call(OUTSIDE, body=b"")
        invite = await carrier.ringing()
        carrier.perform(invite.accept(carrier.now(), body=sdp(41000)))
        answered = await alice.expect(Answered)
        ack = answered.session.ack(answered.invite.request, alice.now(), sdp())
        alice.perform(with_body(ack, b"hello" if lines else b"", *lines))
        await alice.expect(Ended)
        await carrier.expect(Ended)
        hung_up(carrier)
    (record,) = await world.settled()
    assert (record["amount"], record["billed_seconds"], record["cause"]) == (Decimal(0), 0, 88)


async def test_a_new_answer_that_is_not_understood_leaves_the_call_as_it_was(world: World) -> None:
    """Case D2, within a call: 488 for who asked, and the call goes on."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        await bob.answer()
        answered = await alice.connected()
        for body in (b"", b"hello"):
            alice.perform(answered.session.send("INVITE", alice.now(), body=sdp(40002, version=2)))
            requested = await bob.expect(Requested)
            bob.perform(
                requested.session.respond(requested.transaction, 200, bob.now(), body=body, content_type="text/plain")
            )
            assert (await alice.expect(Replied)).response.status == 488
            await bob.expect(Acknowledged)
        alice.perform(answered.session.send("INVITE", alice.now(), body=sdp(40002, version=3)))
        requested = await bob.expect(Requested)
        bob.perform(requested.session.respond(requested.transaction, 200, bob.now(), body=sdp(40100)))
        assert (await alice.expect(Replied)).response.status == 200


async def test_two_descriptions_in_one_answer_are_the_first(world: World) -> None:
    """Case D2."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        invited = await bob.expect(Invited)
        respond(bob, invited.invite, 200, described(sdp(40102), part(sdp(40100), TYPE)), ("Content-Type", MIXED))
        assert (await alice.connected()).response.sdp == sdp(40100)


# numbers -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("line", ["Q.850;cause=²", "Q.850;cause=" + "9" * 5_000, 'Q.850;cause=17;text="'])
async def test_a_reason_that_cannot_be_read_is_none(world: World, line: str) -> None:
    """Case D4: the call was hung up by who hung it up, normally."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        await bob.answer()
        answered = await alice.connected()
        alice.perform(answered.session.bye(alice.now(), [("Reason", line)]))
        ended = await bob.expect(Ended)
        assert ended.request is not None
        assert line not in ended.request.all("Reason")
    (record,) = await world.settled()
    assert (record["cause"], record["ended_by"]) == (16, "caller")


async def test_an_answer_with_an_odd_session_timer_is_an_answer(world: World) -> None:
    """Case D4: an answered call is not lost for a number that may be missing."""
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        invite = await bob.ringing()
        lines = [("Session-Expires", "²;refresher=uas"), ("Min-SE", "9" * 5_000)]
        bob.perform(invite.accept(bob.now(), headers=lines, body=sdp(40100)))
        await alice.connected()
        await bob.expect(Acknowledged)
