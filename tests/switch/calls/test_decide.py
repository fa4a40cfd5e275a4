# SPDX-License-Identifier: Apache-2.0
"""The decision about a call: its order, what it costs the store, and the table of states that a call lives by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.parties import Parties, Party
from switch.calls.call import TABLE
from switch.calls.decide import decide
from switch.calls.view import CallState
from switch.routing.plan import Called, DialPlan, Plan, Refusal
from switch.sip.digest import Verdict
from switch.sip.session import Answered, Failed, Progressed
from switch.sip.session.outcome import SessionEvent
from switch.trace.trace import Trace
from tests.switch.phone import sdp
from tests.switch.routing.test_plan import ALICE, BOB, NOW, PHONE, RATES, ROUTES

if TYPE_CHECKING:
    from billing_client.rules.numbering import Number
    from switch.routing.caller import Caller
    from tests.switch.conftest import World

STEPS = ["identify", "dial plan", "planned", "find ways", "authorise"]
NOBODY_THERE = Refusal(480, 20, "nobody is there")
NO_FUNDS = Refusal(402, 21, "no funds")


class Fake:
    """Hands that note what they are asked for; `over_after` that step the caller has hung up."""

    at = NOW
    source = "192.0.2.1"

    def __init__(self, ends: Parties, *, over_after: str = "", **answers: Any) -> None:
        self.trace = Trace()
        self.done: list[str] = []
        self._ends = ends
        self._over_after = over_after
        self._answers = answers

    def is_over(self) -> bool:
        """Whether that step is done."""
        return self._over_after in self.done

    async def identify(self, dialled: Number) -> tuple[Parties, Caller] | Verdict:
        """Alice, unless told otherwise."""
        self.done.append("identify")
        verdict: Verdict | None = self._answers.get("verdict")
        return verdict or (self._ends, PHONE)

    async def dial_plan(self, ends: Parties, dialled: str) -> DialPlan:
        """That of the tests."""
        self.done.append("dial plan")
        return DialPlan(RATES, ROUTES, ("112",))

    async def planned(self, ends: Parties, plan: Plan | Refusal) -> None:
        """Noted."""
        self.done.append("planned")

    async def find_ways(self, plan: Plan, caller: Caller, ends: Parties) -> Refusal | None:
        """As told."""
        self.done.append("find ways")
        return self._answers.get("ways")

    async def authorise(self, plan: Plan, payer: Party, caller: Caller) -> Refusal | None:
        """As told."""
        self.done.append("authorise")
        return self._answers.get("funds")


@pytest.mark.asyncio
async def test_a_call_is_identified_planned_found_a_way_and_authorised_in_this_order() -> None:
    hands = Fake(Parties(ALICE, BOB, ()))
    decision = await decide(Called("102"), hands)
    assert isinstance(decision, Plan)
    assert decision.callee == BOB
    assert hands.done == STEPS


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("called", "answers", "decision", "steps"),
    [
        (Called("?", NOBODY_THERE), {}, NOBODY_THERE, 0),
        (Called("102"), {"verdict": Verdict.STALE}, Verdict.STALE, 1),
        (Called("102"), {"ways": NOBODY_THERE}, NOBODY_THERE, 4),
        (Called("102"), {"funds": NO_FUNDS}, NO_FUNDS, 5),
    ],
)
async def test_what_refuses_a_call_ends_the_decision(
    called: Called, answers: dict[str, Any], decision: Refusal | Verdict, steps: int
) -> None:
    hands = Fake(Parties(ALICE, BOB, ()), **answers)
    assert await decide(called, hands) == decision
    assert hands.done == STEPS[:steps]


@pytest.mark.asyncio
async def test_the_dial_plan_refuses_before_anybody_is_looked_for() -> None:
    hands = Fake(Parties(replace(ALICE, refusal="account blocked"), BOB, ()))
    decision = await decide(Called("102"), hands)
    assert isinstance(decision, Refusal)
    assert hands.done == STEPS[:3]


@pytest.mark.asyncio
@pytest.mark.parametrize(("step", "steps"), [("identify", 1), ("find ways", 4), ("authorise", 5)])
async def test_who_hangs_up_while_it_is_decided_gets_no_call(step: str, steps: int) -> None:
    hands = Fake(Parties(ALICE, BOB, ()), over_after=step)
    assert await decide(Called("102"), hands) is None
    assert hands.done == STEPS[:steps]


def names(base: type[SessionEvent]) -> set[str]:
    """The kinds of events; by name, as a dataclass with slots is made twice."""
    below: list[type[SessionEvent]] = base.__subclasses__()
    return {name for sub in below for name in {sub.__name__, *names(sub)}}


def test_every_event_of_a_leg_does_something_defined_in_every_state_of_a_call() -> None:
    told_to_others = {"OfInvite", "OfSession", "SubscriptionEnded"}
    assert names(SessionEvent) - told_to_others == {kind.__name__ for kind in TABLE}
    assert all(set(row) == set(CallState) for row in TABLE.values())


def test_only_a_call_that_rings_can_ring_on_be_answered_or_fail() -> None:
    for kind in (Progressed, Answered, Failed):
        row = TABLE[kind]
        elsewhere = {row[state] for state in CallState if state is not CallState.RINGING}
        assert len(elsewhere) == 1
        assert row[CallState.RINGING] not in elsewhere


@pytest.mark.asyncio
async def test_a_call_asks_the_store_for_both_ends_once_and_is_registered_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    store = world.switch.store
    parties, start_call = store.parties, store.start_call

    async def note_parties(**names: Any) -> Parties:
        asked.append(f"parties {names['caller']} {names['dialled']}")
        return await parties(**names)

    async def note_start(start: Any) -> Any:
        asked.append("start")
        return await start_call(start)

    async with world.phone("101") as alice, world.phone("102") as bob:
        await bob.register()
        monkeypatch.setattr(store, "parties", note_parties)
        monkeypatch.setattr(store, "start_call", note_start)
        await alice.call("102")
        incoming = await bob.ringing()
        bob.perform(incoming.accept(bob.now(), body=sdp(41000)))
        answered = await alice.connected()
        alice.perform(answered.session.bye(alice.now()))
    await world.settled()
    assert [one for one in asked if one == "start" or one.startswith("parties 101")] == ["parties 101 102", "start"]
