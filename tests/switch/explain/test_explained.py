# SPDX-License-Identifier: Apache-2.0
"""A switch that explains itself: what is kept of a call, and what it says of one that is not made."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from billing_client.inquiry import Inquiry
from softswitch.explaining.ladder import summary
from switch.calls.view import CallState
from switch.explain.explain import Conditions, Question, explain
from switch.routing.plan import Applications
from switch.settings import CreditSettings
from switch.sip.digest import answer_challenge, choose_challenge
from switch.sip.message.parsing import parse_message
from switch.sip.session import Acknowledged, Ended, Failed
from switch.sip.user_agent import Invited
from switch.trace.recorder import read_record
from tests.patience import PATIENCE_SECONDS
from tests.switch.routing.test_gateways import carriers

if TYPE_CHECKING:
    from switch.explain.explain import Explanation
    from switch.trace.recorder import Record
    from tests.switch.conftest import World

pytestmark = pytest.mark.asyncio

EMERGENCY = ("112", "911")


async def recorded(world: World) -> Record:
    """The only record that the store has once all calls are over."""
    await world.settled()
    await world.switch.recorder.flush()
    (row,) = await world.sql.fetch("SELECT * FROM billing_calltrace")
    return read_record(row["body"])


async def written(world: World) -> None:
    """Wait until the store has every registration."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while world.switch.location.unwritten:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.01)


async def asked(
    world: World, caller: str, dialled: str, menus: Applications | None = None, **about: object
) -> Explanation:
    """What the switch says of a call that is not made."""
    await written(world)
    inquiry = await Inquiry.connect(world.switch.settings.store_dsn)
    try:
        question = Question(caller=caller, dialled=dialled, at=datetime.now(UTC))
        for name, value in about.items():
            object.__setattr__(question, name, value)
        conditions = Conditions(
            credit=CreditSettings(),
            emergency=EMERGENCY,
            applications=menus or Applications.of(world.switch.settings),
            ring_seconds=world.switch.settings.ring_seconds,
        )
        return await explain(inquiry, question, conditions)
    finally:
        await inquiry.close()


def is_ringing(world: World) -> bool:
    """Whether a call rings somewhere."""
    return any(call.state is CallState.RINGING for call in world.switch.control.calls.values())


async def a_call(world: World, caller: str, callee: str) -> None:
    """A call that is answered and hung up by the caller."""
    async with world.phone(caller) as alice, world.phone(callee) as bob:
        await bob.register()
        await alice.call(callee)
        await bob.answer()
        answered = await alice.connected()
        await bob.expect(Acknowledged)
        alice.perform(answered.session.bye(alice.now()))
        await bob.expect(Ended)
        await asyncio.sleep(0.05)  # the answers to BYE


async def test_both_legs_are_kept_message_by_message(world: World) -> None:
    await a_call(world, "101", "102")
    record = await recorded(world)
    rungs = [(one.leg, "sent" if one.is_sent else "received", summary(one.data)) for one in record.crossings]
    assert [rung for rung in rungs if rung[0] == "a"] == [
        ("a", "received", "INVITE + SDP"),
        ("a", "sent", "100 Trying (INVITE)"),
        ("a", "sent", "180 Ringing (INVITE)"),
        ("a", "sent", "200 OK (INVITE) + SDP"),
        ("a", "received", "ACK"),
        ("a", "received", "BYE"),
        ("a", "sent", "200 OK (BYE)"),
    ]
    assert [rung for rung in rungs if rung[0] == "b1"] == [
        ("b1", "sent", "INVITE + SDP"),
        ("b1", "received", "180 Ringing (INVITE)"),
        ("b1", "received", "200 OK (INVITE) + SDP"),
        ("b1", "sent", "ACK"),
        ("b1", "sent", "BYE"),
        ("b1", "received", "200 OK (BYE)"),
    ]
    assert [one.at for one in record.crossings] == sorted(one.at for one in record.crossings)


async def test_every_decision_leaves_its_reason(world: World) -> None:
    await a_call(world, "101", "201")
    record = await recorded(world)
    kinds = [step.kind for step in record.steps]
    assert kinds == ["caller", "account", "callee", "rate", "funds", "ring", "answer", "end"]
    texts = {step.kind: step.text for step in record.steps}
    assert "101" in texts["caller"]
    assert "by prefix" in texts["rate"]
    assert texts["funds"].startswith("locked 0.10000 of")
    assert texts["end"] == "caller ended the call (bye)"


async def test_failover_is_told_with_every_leg_and_rejection(world: World) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await alice.call("420600000001")
        invite = (await first.expect(Invited)).invite
        first.perform(invite.reject(503, first.now()))
        invite = (await second.expect(Invited)).invite
        second.perform(invite.reject(486, second.now()))
        await alice.expect(Failed)
        await asyncio.sleep(0.05)
    record = await recorded(world)
    assert [step.text for step in record.steps if step.kind in ("ring", "hunt")] == [
        "ringing sample-carrier by udp",
        "sample-carrier: 503 Service Unavailable",
        "that is no word about the callee: the next gateway is tried",
        "ringing sample-carrier-b by udp",
        "sample-carrier-b: 486 Busy Here",
    ]
    for leg, status in (("b1", "503"), ("b2", "486")):
        rungs = [summary(one.data) for one in record.crossings if one.leg == leg]
        assert rungs[0] == "INVITE + SDP"
        assert any(rung.startswith(status) for rung in rungs)
        assert rungs[-1] == "ACK"


def over_tcp(cseq: int, *more: str) -> bytes:
    """101 calls 102, who is not registered."""
    lines = (
        "INVITE sip:102@127.0.0.1 SIP/2.0", f"Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKtcp{cseq}", "Max-Forwards: 70",
        "From: <sip:101@127.0.0.1>;tag=1", "To: <sip:102@127.0.0.1>", "Call-ID: by-tcp", f"CSeq: {cseq} INVITE",
        "Contact: <sip:101@127.0.0.1:9>", *more, "Content-Length: 0", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


async def test_calls_over_tcp_are_kept_too(world: World) -> None:
    host, port = next((host, port) for kind, host, port in world.switch.transport.bound if kind == "tcp")
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(over_tcp(1))
        challenge = parse_message(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS))
        chosen = choose_challenge(challenge.all("Proxy-Authenticate"))
        assert chosen is not None
        uri, password = "sip:102@127.0.0.1", world.passwords["101"]
        credentials = answer_challenge(chosen, "INVITE", uri, "101", password, cnonce="c")
        writer.write(over_tcp(2, f"Proxy-Authorization: {credentials}"))
        await asyncio.wait_for(reader.readuntil(b"SIP/2.0 480"), PATIENCE_SECONDS)
        await world.settled()
    finally:
        writer.close()
        await writer.wait_closed()
    record = await recorded(world)
    assert {one.flow.transport for one in record.crossings} == {"tcp"}
    assert summary(record.crossings[0].data) == "INVITE"
    assert record.steps[0].kind == "caller"


async def test_a_refused_call_is_found_and_says_why(world: World) -> None:
    async with world.phone("101") as alice:
        await alice.call("777777")
        await alice.expect(Failed)
        await alice.call("102")
        await alice.expect(Failed)
    await world.settled()
    await world.switch.recorder.flush()
    rows = await world.sql.fetch("SELECT * FROM billing_calltrace WHERE keys @> ARRAY['102']::varchar[]")
    assert [(row["sip_status"], row["ended_by"], row["account"]) for row in rows] == [(480, "failure", "101")]
    assert read_record(rows[0]["body"]).steps[-1].text == "480 102 is not registered"


async def test_no_credential_reaches_the_store(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        invite = await alice.call("102")
        sent = invite.request.get("Proxy-Authorization") or ""
        response = sent.partition('response="')[2].partition('"')[0]
        assert len(response) >= 32
        await bob.ringing()
        alice.perform(invite.cancel(alice.now()))
        await alice.expect(Failed)
    record = await recorded(world)
    whole = b"".join(one.data for one in record.crossings) + repr(record.steps).encode()
    assert response.encode() not in whole
    assert world.passwords["101"].encode() not in whole
    assert b"response=[masked]" in whole


async def test_a_call_that_is_talked_on_is_squeezed(world: World) -> None:
    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        await alice.call("102")
        await bob.answer()
        answered = await alice.connected()
        await bob.expect(Acknowledged)
        (call,) = world.switch.control.calls.values()
        assert call.ladder is not None
        assert len(call.ladder) > 5
        call.ladder.squeeze()
        assert len(call.ladder) == 0
        assert sum(map(len, call.ladder.packed)) < 2000
        alice.perform(answered.session.bye(alice.now()))
        await bob.expect(Ended)
        await asyncio.sleep(0.05)
    record = await recorded(world)
    assert summary(record.crossings[0].data) == "INVITE + SDP"
    assert summary(record.crossings[-1].data) in ("200 OK (BYE)", "BYE")


@pytest.mark.parametrize("dialled", ["102", "201", "777777", "420600000001", "112", "105"])
@pytest.mark.parametrize("caller", ["101", "105"])
async def test_explain_says_what_a_live_call_does(world: World, caller: str, dialled: str) -> None:
    async with world.phone("201") as paid, world.phone(caller) as alice:
        await paid.register()
        foreseen = await asked(world, caller, dialled)
        invite = await alice.call(dialled)
        if foreseen.refusal is not None:
            assert (await alice.expect(Failed)).response.status == foreseen.refusal.status
        else:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not is_ringing(world):  # noqa: ASYNC110 (nothing announces it)
                    await asyncio.sleep(0.01)
            alice.perform(invite.cancel(alice.now()))
            await alice.expect(Failed)
    record = await recorded(world)
    decided = ("account", "callee", "refused")
    assert [step.text for step in record.steps if step.kind in decided] == [
        step.text for step in foreseen.trace.steps if step.kind in decided
    ]
    taken = [step.text for step in foreseen.trace.steps if not step.text.startswith("not taken")]
    for kind in ("rate", "route", "funds"):
        live = [step.text for step in record.steps if step.kind == kind]
        assert [text for text in taken if text in live] == live


async def test_explain_changes_nothing(world: World) -> None:
    before = await world.sql.fetch("SELECT * FROM billing_balance ORDER BY id")
    async with world.phone("201") as paid:
        await paid.register()
        found = await asked(world, "101", "201")
    assert found.refusal is None
    assert found.first_slice
    assert await world.sql.fetch("SELECT * FROM billing_balance ORDER BY id") == before
    assert await world.sql.fetchval("SELECT count(*) FROM billing_activecall") == 0
    assert await world.sql.fetchval("SELECT count(*) FROM billing_node") == 1


async def test_explain_names_what_holds_the_funds(world: World) -> None:
    async with world.phone("101") as alice, world.phone("201") as paid:
        await paid.register()
        await alice.call("201")
        await paid.ringing()
        found = await asked(world, "101", "201")
        (call,) = world.switch.control.calls.values()
        assert [(lock.call_id, lock.account, lock.dialled) for lock in found.locks] == [(call.call_id, "101", "201")]


async def test_explain_at_another_time_takes_the_rate_of_that_time(world: World) -> None:
    await world.sql.execute(
        "INSERT INTO billing_rate (tariff_id, prefix, first_price, next_price, effective_from)"
        " SELECT tariff_id, '4206', 9, 9, now() + interval '1 day' FROM billing_rate WHERE prefix = '420' LIMIT 1"
    )
    now = await asked(world, "101", "420600000001")
    assert any(step.text.startswith("not taken: 4206 ") for step in now.trace.steps)
    later = await asked(world, "101", "420600000001", at=datetime.now(UTC) + timedelta(days=2))
    assert later.plan is not None
    assert later.plan.rate is not None
    assert later.plan.rate.prefix == "4206"


async def test_explain_names_the_menu_that_a_number_leads_to(world: World) -> None:
    menus = Applications({"*411": "menu:office"}, is_served=True)
    found = await asked(world, "101", "*411", menus=menus)
    (step,) = (step for step in found.trace.steps if step.kind == "ring")
    assert (step.text, dict(step.data)) == ("the media server is asked for menu office", {"menu": "office"})


async def test_explain_of_a_refused_call_says_what_refuses_it_and_speaks_of_no_longer_prefix(world: World) -> None:
    await world.sql.execute("UPDATE billing_account SET state = 'blocked' WHERE number = '101'")
    refused = await asked(world, "101", "420600000001")
    assert refused.refusal is not None
    assert [step.text for step in refused.trace.steps if step.text.startswith("not taken: 420 ")] == [
        "not taken: 420 (0.05000 a minute): the call is refused"
    ]
    assert not any("longer prefix" in step.text for step in refused.trace.steps)


async def test_explain_names_the_blocked_prefix_that_stands_before_a_rate(world: World) -> None:
    await world.sql.execute(
        "INSERT INTO billing_rate (tariff_id, prefix, first_price, next_price, effective_from, blocked)"
        " SELECT tariff_id, '4206', 9, 9, now() - interval '1 day', true FROM billing_rate WHERE prefix = '420' LIMIT 1"
    )
    refused = await asked(world, "101", "420600000001")
    assert refused.refusal is not None
    assert any(
        step.text.startswith("not taken: 420 ") and step.text.endswith("4206 is blocked")
        for step in refused.trace.steps
    )


async def test_explain_knows_carriers_by_their_address(world: World) -> None:
    async with world.phone("102") as bob:
        await bob.register()
        found = await asked(world, "420777000111", "102", source="127.0.0.1:1")
    assert found.refusal is None
    assert found.plan is not None
    assert found.plan.direction == "incoming"
    stranger = await asked(world, "nobody", "102", source="192.0.2.77")
    assert stranger.refusal is not None
    assert stranger.refusal.status == 407
