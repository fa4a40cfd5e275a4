# SPDX-License-Identifier: Apache-2.0
"""Calls from account to account, as two phones live them, on a real store."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from switch.sip.message.address import Via
from switch.sip.message.message import Request, Response
from switch.sip.session import Acknowledged, Answered, Cancelled, Ended, Failed, Progressed, Replied, Requested
from switch.sip.transaction import Send
from switch.sip.user_agent import Invited
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from tests.patience import Lived
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio


def reason_of(response: Response) -> str:
    """The Reason header of a response."""
    return response.get("Reason") or ""


async def failure(phone: Phone) -> Response:
    """The final response to a call that fails."""
    return (await phone.expect(Failed)).response


async def test_two_phones_talk_and_the_free_call_leaves_one_record(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        incoming = await bob.ringing()
        assert incoming.request.from_.uri.user == "101"
        assert (await alice.expect(Progressed)).response.status == 180
        bob.perform(incoming.accept(bob.now(), body=sdp(41000)))
        answered = await alice.connected()
        assert answered.response.sdp == sdp(41000)
        await bob.expect(Acknowledged)
        alice.perform(answered.session.bye(alice.now()))
        assert (await bob.expect(Ended)).reason == "bye"
    (xdr,) = await world.settled()
    assert (xdr["caller"], xdr["dialled"], xdr["amount"], xdr["ended_by"]) == ("101", "102", Decimal(0), "caller")
    assert await world.balance("101") == Decimal("10.00")


async def test_the_callee_sees_nothing_of_the_callers_side(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        invite = await alice.call("102", ("Subject", "kept, as it is"), ("P-Asserted-Identity", "<sip:boss@evil>"))
        request = (await bob.ringing()).request
        text = request.to_bytes().decode()
        assert alice.address not in text
        assert invite.request.call_id not in text
        assert invite.request.from_tag is not None
        assert invite.request.from_tag not in text
        assert "boss@evil" not in text
        assert "Proxy-Authorization" not in text
        assert request.get("Subject") == "kept, as it is"
        assert request.max_forwards == 69


async def test_a_paid_call_is_charged_exactly(world: World) -> None:
    async with world.phone("102") as bob, world.phone("201") as paid:
        await paid.register()
        await bob.call("201")
        await paid.answer()
        answered = await bob.connected()
        await asyncio.sleep(1.2)
        bob.perform(answered.session.bye(bob.now()))
        await paid.expect(Ended)
    (xdr,) = await world.settled()
    assert (xdr["billed_seconds"], xdr["amount"]) == (2, Decimal("0.02000"))
    assert await world.balance("102") == Decimal("4.98000")


async def test_a_call_ends_on_both_legs_when_its_funds_do(world: World, lived: Lived) -> None:
    async with world.phone("105") as poor, world.phone("201") as paid:
        await world.sql.execute(
            "UPDATE billing_rate SET first_price = 6, next_price = 6 WHERE prefix = '20'"
        )  # 0.20 pays for two seconds
        await world.routes_reloaded()
        await paid.register()
        await poor.call("201")
        await paid.answer()
        await poor.connected()
        started, lived_started = poor.now(), lived.seconds
        ended = await poor.expect(Ended)
        assert poor.now() - started > 1.9
        assert lived.seconds - lived_started < 2.4
        assert ended.request is not None
        assert "Funds" in (ended.request.get("Reason") or "")
        assert (await paid.expect(Ended)).reason == "bye"
    (xdr,) = await world.settled()
    assert (xdr["billed_seconds"], xdr["amount"], xdr["ended_by"]) == (2, Decimal("0.20000"), "funds")
    assert await world.balance("105") == Decimal(0)


async def test_all_phones_of_an_account_ring_and_the_first_answer_wins(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as desk, world.phone("102") as mobile:
        await desk.register()
        await mobile.register()
        await alice.call("102")
        _, invite = await asyncio.gather(desk.ringing(), mobile.ringing())
        mobile.perform(invite.accept(mobile.now(), body=sdp(41000)))
        await alice.connected()
        cancelled = await desk.expect(Cancelled)
        assert "Call completed elsewhere" in (cancelled.request.get("Reason") or "")


@pytest.mark.parametrize(
    ("number", "status", "cause"),
    [("104", 480, "cause=20"), ("777", 404, "cause=1"), ("999", 404, "cause=1")],
)
async def test_a_callee_who_cannot_be_reached(world: World, number: str, status: int, cause: str) -> None:
    async with world.phone("101") as alice:
        await alice.call(number)
        response = await failure(alice)
        assert response.status == status
        assert cause in reason_of(response)


@pytest.mark.parametrize(("status", "cause"), [(486, "cause=17"), (603, "cause=21"), (480, "cause=18")])
async def test_a_callee_who_refuses(world: World, status: int, cause: str) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        invite = await bob.ringing()
        bob.perform(invite.reject(status, bob.now()))
        response = await failure(alice)
        assert response.status == status
        assert cause in reason_of(response)
    (xdr,) = await world.settled()
    assert xdr["answered_at"] is None


async def test_a_caller_who_gives_up_stops_the_ringing(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        invite = await alice.call("102")
        await bob.ringing()
        await alice.expect(Progressed)
        alice.perform(invite.cancel(alice.now()))
        assert (await failure(alice)).status == 487
        await bob.expect(Cancelled)
    (xdr,) = await world.settled()
    assert xdr["ended_by"] == "caller"


async def test_hold_and_resume_cross_the_switch(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        await bob.answer()
        answered = await alice.connected()
        await bob.expect(Acknowledged)
        hold = sdp(40000, direction="sendonly", version=2)
        alice.perform(answered.session.send("INVITE", alice.now(), body=hold))
        asked = await bob.expect(Requested)
        assert asked.request.sdp == hold
        held = sdp(40100, direction="recvonly", version=2)
        bob.perform(asked.session.respond(asked.transaction, 200, bob.now(), body=held))
        replied = await alice.expect(Replied)
        assert replied.response.sdp == held
        alice.perform(answered.session.ack(replied.request, alice.now()))
        await bob.expect(Acknowledged)
        # the callee takes it back, by a re-INVITE without offer
        bob.perform(asked.session.send("INVITE", bob.now()))
        late = await alice.expect(Requested)
        assert late.request.sdp is None
        offer = sdp(40000, version=3)
        alice.perform(late.session.respond(late.transaction, 200, alice.now(), body=offer))
        replied = await bob.expect(Replied)
        assert replied.response.sdp == offer
        answer = sdp(40100, version=3)
        bob.perform(asked.session.ack(replied.request, bob.now(), answer))
        assert (await alice.expect(Acknowledged)).request.sdp == answer


async def test_an_invite_without_offer_is_answered_in_the_ack(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102", body=b"")
        invite = await bob.ringing()
        assert invite.request.sdp is None
        bob.perform(invite.accept(bob.now(), body=sdp(41000)))
        answered = await alice.expect(Answered)
        assert answered.response.sdp == sdp(41000)
        alice.perform(answered.session.ack(answered.invite.request, alice.now(), sdp(42000)))
        assert (await bob.expect(Acknowledged)).request.sdp == sdp(42000)


async def test_info_crosses_with_its_body_and_its_answer(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        await bob.answer()
        answered = await alice.connected()
        body = b"Signal=5\r\nDuration=160\r\n"
        alice.perform(answered.session.send("INFO", alice.now(), body=body, content_type="application/dtmf-relay"))
        asked = await bob.expect(Requested)
        assert (asked.request.body, asked.request.content_type) == (body, "application/dtmf-relay")
        bob.perform(asked.session.respond(asked.transaction, 200, bob.now()))
        assert (await alice.expect(Replied)).response.status == 200


async def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(world: World) -> None:
    answers = []
    for user, password in (("101", "wrong"), ("nobody", "wrong"), ("42073723123@pstn", world.passwords["101"])):
        async with world.phone(user, password) as phone:
            await phone.call("102")
            response = await failure(phone)
            answers.append((response.status, response.reason, sorted(name for name, _ in response.headers)))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 407


async def test_no_funds_no_call(world: World) -> None:
    async with world.phone("105") as poor, world.phone("201") as paid:
        await paid.register()
        await world.sql.execute("UPDATE billing_rate SET connect_fee = 5 WHERE prefix = '20'")
        await world.routes_reloaded()
        await poor.call("201")
        response = await failure(poor)
        assert response.status == 402
        with pytest.raises(TimeoutError):
            await paid.expect(Invited, 0.2)


async def test_an_administrator_ends_a_call(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        await bob.answer()
        await alice.connected()
        call_id = await world.sql.fetchval("SELECT call_id FROM billing_activecall")
        await world.sql.execute("SELECT pg_notify('softswitch', $1)", f"disconnect:test:{call_id}:fraud")
        assert (await alice.expect(Ended)).reason == "bye"
        assert (await bob.expect(Ended)).reason == "bye"
    (xdr,) = await world.settled()
    assert xdr["ended_by"] == "admin"


@pytest.mark.parametrize("stranger", [None, "call", "tag"])
async def test_a_phone_that_has_learnt_its_address_can_still_cancel_and_nobody_else_can(
    world: World, stranger: str | None
) -> None:
    """Case D3: the CANCEL has the branch of the INVITE and another sent-by."""
    async with world.phone("101") as alice, world.phone("102") as bob, world.phone("103") as eve:
        await bob.register()
        invite = await alice.call("102")
        await bob.ringing()
        assert invite.transaction is not None
        sent = invite.transaction.request
        lines = [line for line in sent.headers if line[0] in ("From", "To", "Call-ID", "Max-Forwards")]
        cancel = Request("CANCEL", sent.uri_text, [*lines, ("CSeq", f"{sent.cseq} CANCEL")])
        via = sent.via
        cancel.push_via(str(Via(via.transport, "203.0.113.9", 40000, {"branch": via.branch, "rport": None})))
        if stranger == "call":
            cancel.set("Call-ID", "another")
        elif stranger == "tag":
            cancel.set("From", "<sip:103@example.com>;tag=another")
        sender = alice if stranger is None else eve
        sender.perform([Send(cancel.to_bytes(), sender.flow, None)])
        if stranger is None:
            await bob.expect(Cancelled)
            assert (await alice.expect(Failed)).response.status == 487
        else:
            while not any(isinstance(message, Response) for message in eve.received):  # noqa: ASYNC110 (there is no event for it)
                await asyncio.sleep(0.01)
            assert [message.status for message in eve.received if isinstance(message, Response)] == [481]
