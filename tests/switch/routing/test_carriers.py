# SPDX-License-Identifier: Apache-2.0
"""What carriers and their name servers do: names, challenges, rests, reliable responses, late answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from switch.explain.explain import Question
from switch.explain.questions import NodeKnowledge, Questions, ask
from switch.sip.session import Acknowledged, Answered, Cancelled, Ended, Failed, Progressed, Replied, Requested
from switch.sip.transaction.timers import Timers
from switch.sip.user_agent import Invited
from tests.ports import free_port
from tests.switch.carrier_doubles import OUTSIDE, carriers, name_server, named, until_at
from tests.switch.phone import sdp

if TYPE_CHECKING:
    from pathlib import Path

    from switch.sip.session import IncomingInvite
    from tests.patience import Lived
    from tests.switch.conftest import World
    from tests.switch.phone import Phone

pytestmark = pytest.mark.asyncio

RELIABLE = ("Supported", "100rel")


async def invited(carrier: Phone, seconds: float | None = None) -> IncomingInvite:
    """The next call that comes to a carrier."""
    return (await carrier.expect(Invited, seconds)).invite


# names ------------------------------------------------------------------------------------------------------------
async def test_the_name_server_of_the_second_carrier_holds_nobody_up(world: World, lived: Lived) -> None:
    """Case J1."""
    async with name_server(world) as names, carriers(world) as (first, _), world.phone("101") as alice:
        names.silent.add("dead")
        await named(world, "dead.test", port=5060, gateway="sample-carrier-b")
        began = lived.seconds
        await alice.call(OUTSIDE)
        await invited(first)
        assert lived.seconds - began < 1.0


async def test_a_first_carrier_whose_name_is_not_resolved_gives_way_to_the_second(world: World, lived: Lived) -> None:
    async with name_server(world) as names, carriers(world) as (_, second), world.phone("101") as alice:
        names.silent.add("dead")
        await named(world, "dead.test")
        began = lived.seconds
        await alice.call(OUTSIDE)
        await invited(second, 8)
        assert lived.seconds - began < 3.5


async def test_a_name_that_was_known_serves_on_while_its_server_is_dead(world: World, lived: Lived) -> None:
    async with name_server(world) as names, carriers(world) as (first, _), world.phone("101") as alice:
        names.zone["a.test", "A"] = ["127.0.0.1"]
        await named(world, "a.test", port=first.local[1])
        await until_at(world, first.local)
        names.is_dead = True
        await asyncio.sleep(1.2)  # the TTL is a second
        began = lived.seconds
        await alice.call(OUTSIDE)
        await invited(first)
        assert lived.seconds - began < 1.0


async def test_a_name_without_port_is_found_by_its_services_and_a_dead_target_passed_over(
    world: World, lived: Lived
) -> None:
    """Case J2: the DNS has SRV records only, and nobody is at the first of them."""
    async with name_server(world) as names, carriers(world) as (first, _), world.phone("101") as alice:
        names.zone["_sip._udp.carrier.test", "SRV"] = [
            f"10 0 {free_port()} one.carrier.test.",
            f"20 0 {first.local[1]} two.carrier.test.",
        ]
        names.zone["one.carrier.test", "A"] = names.zone["two.carrier.test", "A"] = ["127.0.0.1"]
        await named(world, "carrier.test")
        await alice.call(OUTSIDE)
        invite = await invited(first, 8)
        assert invite.request.uri_text == f"sip:{OUTSIDE}@carrier.test"
        # what nobody answered at is asked last by the next call
        first.perform(invite.reject(486, first.now()))
        assert (await alice.expect(Failed)).response.status == 486
        began = lived.seconds
        await alice.call(OUTSIDE)
        await invited(first)
        assert lived.seconds - began < 1.0


async def test_naptr_goes_before_services(world: World) -> None:
    async with name_server(world) as names, carriers(world) as (first, second), world.phone("101") as alice:
        names.zone["carrier.test", "NAPTR"] = ['10 0 "s" "SIP+D2U" "" _sip._udp.east.carrier.test.']
        names.zone["_sip._udp.east.carrier.test", "SRV"] = [f"0 0 {first.local[1]} one.carrier.test."]
        names.zone["_sip._udp.carrier.test", "SRV"] = [f"0 0 {second.local[1]} one.carrier.test."]
        names.zone["one.carrier.test", "A"] = ["127.0.0.1"]
        await named(world, "carrier.test")
        await alice.call(OUTSIDE)
        await invited(first)


async def test_who_calls_from_where_a_name_leads_is_that_carrier(world: World) -> None:
    """Case J3."""
    async with name_server(world) as names, carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        names.zone["_sip._udp.carrier.test", "SRV"] = [
            f"10 0 {free_port()} one.carrier.test.",
            f"20 0 {first.local[1]} two.carrier.test.",
        ]
        names.zone["one.carrier.test", "A"] = names.zone["two.carrier.test", "A"] = ["127.0.0.1"]
        await world.sql.execute("UPDATE billing_gateway SET any_port = true WHERE name = 'sample-carrier'")
        await named(world, "carrier.test")
        await until_at(world, first.local)
        names.is_dead = True
        await asyncio.sleep(1.2)
        await first.call("101", ("P-Asserted-Identity", "<sip:42075553333@carrier>"), authenticate=False)
        invite = await alice.ringing()
        assert invite.request.from_.uri.user == "42075553333"
        # the phone shares the address of the carrier, and is a phone all the same
        await alice.call("102")
        await alice.register()


async def test_a_name_that_moves_takes_its_carrier_along(world: World) -> None:
    async with name_server(world) as names, carriers(world) as (first, second):
        await world.sql.execute("UPDATE billing_gateway SET enabled = false WHERE name = 'sample-carrier-b'")
        names.zone["carrier.test", "A"] = ["127.0.0.1"]
        names.zone["_sip._udp.carrier.test", "SRV"] = [f"0 0 {first.local[1]} carrier.test."]
        await named(world, "carrier.test")
        await until_at(world, first.local)
        names.zone["_sip._udp.carrier.test", "SRV"] = [f"0 0 {second.local[1]} carrier.test."]
        await until_at(world, first.local, known=False)


@pytest.mark.parametrize("what", ["phone", "ourselves"])
async def test_no_name_makes_a_phone_or_ourselves_a_carrier(world: World, what: str) -> None:
    async with name_server(world) as names, carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        place = alice.local if what == "phone" else world.address
        names.zone["_sip._udp.carrier.test", "SRV"] = [
            f"0 0 {place[1]} carrier.test.",
            f"0 0 {first.local[1]} carrier.test.",
        ]
        names.zone["carrier.test", "A"] = ["127.0.0.1"]
        await named(world, "carrier.test")
        await until_at(world, first.local)
        found = world.switch.core.destinations.place(*place)
        assert found is None or not found.carriers
        await alice.call("102")  # is challenged, as a phone is


# challenges -------------------------------------------------------------------------------------------------------
async def test_a_stale_nonce_of_a_carrier_costs_a_round_and_not_the_call(world: World) -> None:
    """Case J4."""
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await world.sql.execute("UPDATE billing_gateway SET username = 'us', password = 'secret'")
        await world.routes_reloaded()
        await alice.call(OUTSIDE)
        for nonce, stale in (("one", ""), ("two", ", stale=true")):
            invite = await invited(first)
            challenge = f'Digest realm="carrier", nonce="{nonce}", algorithm=MD5, qop="auth"{stale}'
            first.perform(invite.reject(407, first.now(), headers=[("Proxy-Authenticate", challenge)]))
        last = await invited(first)
        assert 'nonce="two"' in (last.request.get("Proxy-Authorization") or "")
        first.perform(last.accept(first.now(), body=sdp(41000)))
        answered = await alice.connected()
        await first.expect(Acknowledged)
        # within the call it challenges again
        alice.perform(answered.session.bye(alice.now()))
        await first.expect(Ended)


async def test_a_carrier_that_refuses_our_password_gives_way_to_the_next(world: World) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await world.sql.execute("UPDATE billing_gateway SET username = 'us', password = 'wrong'")
        await world.routes_reloaded()
        await alice.call(OUTSIDE)
        for nonce in ("one", "two"):
            invite = await invited(first)
            challenge = f'Digest realm="carrier", nonce="{nonce}", qop="auth"'
            first.perform(invite.reject(407, first.now(), headers=[("Proxy-Authenticate", challenge)]))
        await invited(second)


# rests ------------------------------------------------------------------------------------------------------------
async def test_what_a_carrier_says_of_itself_outlives_the_call(world: World) -> None:
    """Case J5: 503 with Retry-After: 60."""
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        first.perform(
            (await invited(first)).reject(503, first.now(), headers=[("Retry-After", "60 (busy);duration=9")])
        )
        second.perform((await invited(second)).reject(486, second.now()))
        await alice.expect(Failed)
        await alice.call(OUTSIDE)
        invite = await invited(second)
        with pytest.raises(TimeoutError):
            await invited(first, 0.2)
        (rest,) = world.switch.outside.rests.all(alice.now())
        assert (rest.gateway, rest.address) == ("sample-carrier", first.address)
        assert 55 < rest.until - alice.now() <= 60
        _, _, page = world.switch.pages.all()["/metrics"]()
        assert f'softswitch_carrier_rest_seconds{{address="{first.address}",gateway="sample-carrier"}}' in page.decode()
        # when no other is left, it is asked all the same
        second.perform(invite.reject(503, second.now()))
        first.perform((await invited(first)).reject(486, first.now()))
        assert (await alice.expect(Failed)).response.status == 486
        assert [rest.gateway for rest in world.switch.outside.rests.all(alice.now())] == ["sample-carrier-b"]


@pytest.mark.parametrize("status", [486, 480, 404, 500, 502, 504, 603])
async def test_what_is_about_one_call_is_forgotten_with_it(world: World, status: int) -> None:
    async with carriers(world) as (first, second), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        first.perform((await invited(first)).reject(status, first.now(), headers=[("Retry-After", "60")]))
        if status in (500, 502, 504):
            second.perform((await invited(second)).reject(486, second.now()))
        await alice.expect(Failed)
        assert world.switch.outside.rests.all(alice.now()) == []


# reliable responses -----------------------------------------------------------------------------------------------
async def test_a_carrier_that_requires_reliable_responses_gets_them_from_us(world: World) -> None:
    """Case J6: the phone does not know how."""
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        await first.call("101", ("Require", "100rel"), authenticate=False)
        invite = await alice.ringing()
        assert invite.request.get("Require") is None
        progress = await first.expect(Progressed)
        assert progress.reliable
        assert progress.session is not None
        first.perform(progress.session.prack(progress.response, first.now()))
        assert (await first.expect(Replied)).response.status == 200
        alice.perform(invite.progress(183, alice.now(), body=sdp(41000)))
        progress = await first.expect(Progressed)
        assert (progress.reliable, progress.response.sdp) == (True, sdp(41000))
        alice.perform(invite.accept(alice.now(), body=sdp(41000)))
        with pytest.raises(TimeoutError):
            await first.expect(Answered, 0.2)  # RFC 3262 section 3: not before the PRACK
        assert progress.session is not None
        first.perform(progress.session.prack(progress.response, first.now()))
        await first.connected()
        await alice.expect(Acknowledged)


async def test_an_offer_in_a_prack_that_can_go_nowhere_is_refused_and_the_call_stands(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        await first.call("101", ("Require", "100rel"), authenticate=False)
        invite = await alice.ringing()
        for status, offer in ((180, b""), (183, sdp(40002))):
            if status == 183:
                alice.perform(invite.progress(183, alice.now(), body=sdp(41000)))
            progress = await first.expect(Progressed)
            assert (progress.response.status, progress.reliable) == (status, True)
            assert progress.session is not None
            first.perform(progress.session.prack(progress.response, first.now(), body=offer))
            assert (await first.expect(Replied)).response.status == (488 if offer else 200)
        alice.perform(invite.accept(alice.now(), body=sdp(41000)))
        await first.connected()


async def test_a_phone_that_requires_them_gets_them_though_the_carrier_does_not_know_how(world: World) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.call(OUTSIDE, ("Require", "100rel"))
        invite = await first.ringing()
        assert invite.request.get("Require") is None
        progress = await alice.expect(Progressed)
        assert progress.reliable
        assert progress.session is not None
        alice.perform(progress.session.prack(progress.response, alice.now()))
        first.perform(invite.accept(first.now(), body=sdp(41000)))
        await alice.connected()


async def test_a_carrier_that_insists_on_them_sends_them_to_us(world: World) -> None:
    """421 for a phone that does not know how."""
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.call(OUTSIDE)
        first.perform((await invited(first)).reject(421, first.now(), headers=[("Require", "100rel")]))
        invite = await invited(first)
        assert invite.accepts_reliable
        first.perform(invite.progress(183, first.now(), body=sdp(41000), reliable=True))
        assert (await first.expect(Requested)).request.method == "PRACK"
        progress = await alice.expect(Progressed)
        assert (progress.reliable, progress.response.sdp) == (False, sdp(41000))
        first.perform(invite.accept(first.now()))
        await alice.connected()


@pytest.mark.parametrize("tag", ["precondition", "gruu", "100rel, something"])
async def test_what_we_do_not_know_is_still_refused_by_us(world: World, tag: str) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        await first.call("101", ("Require", tag), authenticate=False)
        response = (await first.expect(Failed)).response
        assert response.status == 420
        assert "100rel" not in (response.get("Unsupported") or "")


@pytest.mark.parametrize("tag", ["timer", "path"])
async def test_what_concerns_only_our_leg_is_no_matter_of_the_phone(world: World, tag: str) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        await first.call("101", ("Require", tag), authenticate=False)
        assert (await alice.ringing()).request.get("Require") is None


async def test_the_answer_counts_though_the_prack_before_it_is_never_answered(world: World, lived: Lived) -> None:
    """Case J7."""
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.call(OUTSIDE, RELIABLE)
        invite = await first.ringing()
        first.perform(invite.progress(183, first.now(), body=sdp(41000), reliable=True))
        while not (progress := (await alice.expect(Progressed))).reliable:
            pass
        assert progress.session is not None
        alice.perform(progress.session.prack(progress.response, alice.now()))
        assert (await first.expect(Requested)).request.method == "PRACK"
        began = lived.seconds
        tag = invite.session().dialog.local_tag
        ok = invite.request.response(200, to_tag=tag, headers=[("Contact", f"<sip:{first.address}>")])
        first.perform(first.agent.layer.respond(invite.transaction, ok, first.now()))
        await alice.connected()
        assert lived.seconds - began < 1.0


# late answers -----------------------------------------------------------------------------------------------------
async def test_an_answer_long_after_our_cancel_is_acknowledged_and_ended(world: World) -> None:
    """Case J8: 36 s of it, and then some, at fifty times the speed."""
    world.switch.core.agent.layer._timers = Timers(t1=0.01, t2=0.08)
    async with carriers(world) as (first, _), world.phone("101") as alice:
        call = await alice.call(OUTSIDE)
        invite = await first.ringing()
        await alice.expect(Progressed)
        alice.perform(call.cancel(alice.now()))
        first.lose = 1000  # the CANCEL and its repetitions
        await alice.expect(Failed)
        await world.settled()
        await asyncio.sleep(1.5)  # 64 * T1 are 0.64 s
        first.lose = 0
        assert not any(isinstance(event, Cancelled) for event in first.events._queue)  # type: ignore[attr-defined]
        first.perform(invite.accept(first.now(), body=sdp(41000)))
        await first.expect(Acknowledged)
        assert (await first.expect(Ended)).reason == "bye"
        assert world.switch.core.agent.session_count == 0


# what is told -----------------------------------------------------------------------------------------------------
async def test_explain_knows_what_rests_and_where_names_lead(world: World, tmp_path: Path) -> None:
    switch = world.switch
    path = tmp_path / "questions.sock"
    task = asyncio.create_task(
        Questions(
            lambda: switch.settings, switch.books, NodeKnowledge(switch.core, switch.outside.rests, world.switch.lines)
        ).run(path)
    )
    async with name_server(world) as names, carriers(world) as (first, second), world.phone("101") as alice:
        names.zone["carrier.test", "A"] = ["127.0.0.1"]
        await named(world, "carrier.test", port=first.local[1])
        await until_at(world, first.local)
        await alice.call(OUTSIDE)
        first.perform((await invited(first)).reject(503, first.now()))
        await invited(second)
        asked = Question(caller="101", dialled=OUTSIDE, at=datetime.now(UTC))
        told = await ask(path, asked)
        assert told is not None
        texts = [reason["text"] for reason in told["reasons"]]
        assert any(f"sample-carrier at {first.address} rests for another" in text for text in texts)
        told = await ask(path, replace(asked, caller="42075553333", dialled="101", source=first.address))
        assert told is not None
        assert any("by carrier sample-carrier" in reason["text"] for reason in told["reasons"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("method", ["INVITE", "INFO"])
async def test_what_we_do_not_know_is_refused_within_a_call_too_and_the_call_stands(world: World, method: str) -> None:
    async with carriers(world) as (first, _), world.phone("101") as alice:
        await alice.register()
        await first.call("101", authenticate=False)
        await alice.answer()
        session = (await first.connected()).session
        await alice.expect(Acknowledged)
        body = sdp(41000) if method == "INVITE" else b""
        for require, status in (("precondition", 420), ("timer", 200)):
            first.perform(session.send(method, first.now(), headers=[("Require", require)], body=body))
            if status == 200:
                asked = await alice.expect(Requested)
                assert asked.request.get("Require") is None
                alice.perform(asked.session.respond(asked.transaction, 200, alice.now(), body=body))
            response = (await first.expect(Replied)).response
            assert response.status == status
            assert response.get("Unsupported") == (require if status == 420 else None)
