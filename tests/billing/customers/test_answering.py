# SPDX-License-Identifier: Apache-2.0
"""How accounts answer, in the store: applied, changed by star codes, told with the parties; forwards are counted."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.answering import AnsweringChange, StoreAnswering
from billing_client.rules.incoming import AnsweringRules, FollowMe, Forward, Period, read_rules
from billing_client.store import Store
from tests.billing.document.test_apply import document, ops
from tests.store.calls import CallDesk

if TYPE_CHECKING:
    from tests.store.conftest import Tenant

__all__ = ["ops"]

FREE: dict[str, Any] = {"want": 0, "minimum": 0, "rate": None, "direction": "forwarded"}
ANSWERING: dict[str, Any] = {
    "mode": "ring_then_forward_then_voicemail",
    "ring_seconds": 20,
    "on_decline": "end",
    "forward": {"busy": "102", "no_answer": {"to": "420600000001", "seconds": 30}},
    "follow_me": {
        "order": "simultaneous",
        "entries": [
            {"name": "mobile", "to": "420600000001", "caller_id": "forwarder", "max_calls": 2, "confirm": True,
             "periods": [{"days": ["mon", "fri"], "from": "08:00", "to": "18:30"}]},
            "sip:office@example.org",
        ],
    },
}  # fmt: skip


def with_answering(**answering: Any) -> dict[str, Any]:
    """The provider with one account that answers so."""
    changed = document()
    changed["accounts"][0]["answering"] = answering
    return changed


def test_rules_are_applied_shown_and_read_back(ops: Any, dsn: str) -> None:
    ops.apply(with_answering(**ANSWERING))
    assert ops.apply(with_answering(**ANSWERING)) == []
    assert ops.accounts("101")[0]["answering"]["follow_me"]["entries"][1] == {
        "name": "sip:office@example.org", "to": "sip:office@example.org",
    }  # fmt: skip
    rules = asyncio.run(rules_of(dsn, "101"))
    assert rules == AnsweringRules(
        mode="ring_then_forward_then_voicemail",
        ring_seconds=20,
        decline_ends=True,
        forwards={
            "busy": Forward(name="busy", to="102"),
            "no_answer": Forward(name="no_answer", to="420600000001", seconds=30),
        },
        follow_me=FollowMe(
            "simultaneous",
            (
                Forward(
                    name="mobile",
                    to="420600000001",
                    caller_id="forwarder",
                    max_calls=2,
                    confirm=True,
                    periods=(Period(frozenset({0, 4}), 8 * 60, 18 * 60 + 30),),
                ),
                Forward(name="sip:office@example.org", to="sip:office@example.org"),
            ),
        ),
        timezone="UTC",
    )


def test_what_is_not_said_stays_and_null_takes_away(ops: Any) -> None:
    ops.apply(with_answering(**ANSWERING))
    ops.apply(with_answering(mode="ring", follow_me=None, forward={"busy": None}))
    assert ops.accounts("101")[0]["answering"] == {
        "mode": "ring",
        "ring_seconds": 20,
        "on_decline": "end",
        "forward": {"no_answer": {"to": "420600000001", "seconds": 30}},
    }


def test_an_account_says_whose_the_messages_of_forwarded_calls_are(ops: Any) -> None:
    """Case K4."""
    from billing.document.apply import ApplyError

    assert read_rules(json.dumps({})).messages == "own"
    for messages in ("forwarded", "own"):
        ops.apply(with_answering(mode="ring_then_voicemail", messages=messages))
        shown = ops.accounts("101")[0]["answering"]
        assert shown["messages"] == messages
        assert read_rules(json.dumps(shown)).messages == messages
    with pytest.raises(ApplyError, match="messages"):
        ops.apply(with_answering(messages="theirs"))


def test_mistakes_are_named_by_their_path(ops: Any) -> None:
    from billing.document.apply import ApplyError

    with pytest.raises(ApplyError) as caught:
        ops.apply(
            with_answering(
                mode="rings",
                forward={"bussy": "1", "busy": {"to": "a b"}},
                follow_me=[{"to": "1", "periods": [{"days": ["monday"], "from": "8"}]}, {"to": "1"}],
            )
        )
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        "accounts[0].answering.mode",
        "accounts[0].answering.forward.busy.to",
        "accounts[0].answering.forward.bussy",
        "accounts[0].answering.follow_me.entries[0].periods[0].days",
        "accounts[0].answering.follow_me.entries[0].periods[0].from",
        "accounts[0].answering.follow_me.entries",
    ]


@pytest.mark.parametrize(
    ("to", "wrong"),
    [
        ("sip:906123456@192.0.2.9", "is at gateway first"),
        ("sip:906123456@192.0.2.9:5090", "is at gateway first"),
        ("sips:906123456@[::ffff:192.0.2.9]", "is at gateway first"),
        ("sip:906123456@SIP.Carrier.example.;transport=tcp", "is at gateway named"),
        ("sip:906123456@192.0.2.10:5070", "is at gateway exact"),
        ("sip:x@example.com;maddr=127.0.0.1", "has maddr"),
        ("sip:x@example.com;MADDR=127.0.0.1", "has maddr"),
        ("sip:x@0.0.0.0:5080", "no single machine"),
        ("sip:x@[::]:5080", "no single machine"),
        ("sip:x@224.0.0.1", "no single machine"),
        ("sip:x@169.254.169.254", "no single machine"),
        ("sip:x@127.1:5080", "in disguise"),
        ("sip:x@0x7f000001", "in disguise"),
        ("sip:x@2130706433", "in disguise"),
    ],
)
def test_a_forward_to_a_gateways_address_or_to_no_machine_is_refused_when_it_is_set(
    ops: Any, to: str, wrong: str
) -> None:
    """Case L12."""
    from billing.document.apply import ApplyError

    gateways = [
        {"name": "first", "host": "192.0.2.9"},
        {"name": "named", "host": "sip.carrier.example"},
        {"name": "exact", "host": "192.0.2.10", "port": 5070, "any_port": False},
    ]
    for answering in ({"forward": {"busy": to}}, {"follow_me": [{"to": to}]}):
        with pytest.raises(ApplyError, match=wrong) as caught:
            ops.apply(with_answering(**answering) | {"gateways": gateways})
        assert caught.value.problems[0].startswith("accounts[0].answering.f")
    ops.apply({"gateways": gateways})
    with pytest.raises(ApplyError, match=wrong):
        ops.apply(with_answering(forward={"busy": to}))
    ops.apply(with_answering(forward={"busy": "sip:desk@192.0.2.10:5071"}))


async def rules_of(dsn: str, number: str) -> AnsweringRules:
    """What the switch is told of how an account answers."""
    store = await Store.connect(dsn, node="test")
    try:
        callee = (await store.parties(caller=None, ani=None, dialled=number)).callee
        assert callee is not None
        return callee.answering
    finally:
        await store.close()


@pytest.mark.asyncio
async def test_star_codes_change_single_things(tenant: Tenant, dsn: str) -> None:
    door = await StoreAnswering.connect(dsn, node="test")
    assert await rules_of(dsn, "101") == AnsweringRules()
    assert await door.set_answering("101", AnsweringChange(trigger="always", forward_to="201"))
    assert await door.set_answering("101", AnsweringChange(trigger="busy", forward_to="301"))
    assert await door.set_answering("101", AnsweringChange(do_not_disturb=True, mode="ring_then_voicemail"))
    rules = await rules_of(dsn, "101")
    assert {trigger: forward.to for trigger, forward in rules.forwards.items()} == {"always": "201", "busy": "301"}
    assert (rules.do_not_disturb, rules.mode) == (True, "ring_then_voicemail")
    assert await door.set_answering("101", AnsweringChange(trigger="always", forward_to=""))
    assert await door.set_answering("101", AnsweringChange(do_not_disturb=False))
    rules = await rules_of(dsn, "101")
    assert (list(rules.forwards), rules.do_not_disturb) == (["busy"], False)
    assert not await door.set_answering("999", AnsweringChange(do_not_disturb=True))
    await door.close()


@pytest.mark.asyncio
async def test_a_mailbox_that_is_in_use_answers_unless_the_mode_says_otherwise(tenant: Tenant, dsn: str) -> None:
    await tenant.sql.execute("INSERT INTO billing_mailbox (account_id) VALUES (1)")
    await tenant.sql.execute("UPDATE billing_account SET timezone = 'Europe/Prague' WHERE id = 1")
    rules = await rules_of(dsn, "101")
    assert (rules.mode, rules.has_mailbox, rules.timezone) == ("ring_then_voicemail", True, "Europe/Prague")
    await tenant.sql.execute("UPDATE billing_mailbox SET enabled = false")
    rules = await rules_of(dsn, "101")
    assert (rules.mode, rules.has_mailbox) == ("ring", False)


@pytest.mark.asyncio
async def test_a_forwarded_call_counts_against_its_forward(desk: CallDesk, tenant: Tenant) -> None:
    mobile = {**FREE, "forward": "mobile", "forward_most": 2}
    found = [(await desk.start(tenant.debit, **mobile))[1].refusal for _ in range(3)]
    assert found == [None, None, "concurrency"]
    assert (await desk.start(tenant.debit, **{**mobile, "forward": "home"}))[1].refusal is None
    assert (await desk.start(tenant.debit, **{**FREE, "direction": "outgoing"}))[1].refusal is None


@pytest.mark.asyncio
async def test_a_forwarded_call_is_an_outgoing_call_of_who_forwards(desk: CallDesk, tenant: Tenant) -> None:
    """Case L14."""
    await tenant.sql.execute("UPDATE billing_account SET max_calls_out = 2 WHERE id = 1")
    mobile = {**FREE, "forward": "mobile", "forward_most": 9}
    outgoing = {**FREE, "direction": "outgoing"}
    call_id, grant = await desk.start(tenant.debit, **mobile, forwards="first")
    assert grant.refusal is None
    assert (await desk.start(tenant.debit, **outgoing))[1].refusal is None
    assert (await desk.start(tenant.debit, **outgoing))[1].refusal == "concurrency"
    for known in ({"forwards": "second"}, {}):
        assert (await desk.start(tenant.debit, **mobile, **known))[1].refusal == "concurrency"
    assert (await desk.start(tenant.credit, **mobile, forwards="first"))[1].refusal is None, "of another payer"
    await desk.finish(call_id, 0)
    assert (await desk.start(tenant.debit, **outgoing))[1].refusal is None


@pytest.mark.asyncio
async def test_the_legs_of_one_forwarded_call_are_one_call_of_who_forwards(desk: CallDesk, tenant: Tenant) -> None:
    """Case L14, its neighbour: a follow-me list that rings all at once; and `max_calls` counts the forwarded call."""
    await tenant.sql.execute("UPDATE billing_account SET max_calls_out = 1, max_calls = 1 WHERE id = 1")
    incoming = {**FREE, "direction": "incoming"}
    first, grant = await desk.start(tenant.debit, **incoming)
    assert grant.refusal is None
    legs = [{**FREE, "forward": name, "forward_most": 9, "forwards": first} for name in ("mobile", "home", "office")]
    assert [(await desk.start(tenant.debit, **leg))[1].refusal for leg in legs] == [None, None, None]
    assert (await desk.start(tenant.debit, **incoming))[1].refusal == "concurrency"
    assert (await desk.start(tenant.debit, **{**FREE, "direction": "outgoing"}))[1].refusal == "concurrency"


@pytest.mark.asyncio
async def test_seven_calls_forwarded_at_once_by_two_nodes_are_one(dsn: str, desk: CallDesk, tenant: Tenant) -> None:
    """Case L14: seven strangers call at the same moment, the account may make one call."""
    await tenant.sql.execute("UPDATE billing_account SET max_calls_out = 1 WHERE id = 1")
    other = await Store.connect(dsn, node="other")
    try:
        desks = (desk, CallDesk(other))
        starts = [
            desks[number % 2].start(
                tenant.debit, "0.30", direction="forwarded", forward="star", forward_most=9, forwards=str(number)
            )
            for number in range(7)
        ]
        granted = [grant.refusal for _, grant in await asyncio.gather(*starts)]
    finally:
        await other.close()
    assert sorted(map(str, granted)) == ["None", *["concurrency"] * 6]
    assert await tenant.sql.fetchval("SELECT sum(locked) FROM billing_activecall") == Decimal("0.30")


@pytest.mark.asyncio
async def test_a_forwarded_call_counts_against_its_customer(desk: CallDesk, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_customer SET max_calls_out = 1 WHERE id = 1")
    mobile = {**FREE, "forward": "mobile", "forward_most": 2}
    assert [(await desk.start(tenant.debit, **mobile))[1].refusal for _ in range(2)] == [None, "concurrency"]


@pytest.mark.asyncio
async def test_forwards_of_two_accounts_to_each_other_never_wait_in_a_circle(desk: CallDesk, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_account SET max_calls = 100")
    forwards = [
        {**FREE, "forward": "mobile", "forward_most": 100, "callee_id": called}
        for called in (tenant.credit[0], tenant.debit[0])
    ]
    starts = [desk.start(who, **fields) for who, fields in zip((tenant.debit, tenant.credit), forwards, strict=True)]
    for _ in range(10):
        starts += [
            desk.start(who, **fields) for who, fields in zip((tenant.debit, tenant.credit), forwards, strict=True)
        ]
    assert {grant.refusal for _, grant in await asyncio.gather(*starts)} == {None}


@pytest.mark.asyncio
async def test_a_forward_is_charged_to_the_forwarder_and_recorded_as_such(desk: CallDesk, tenant: Tenant) -> None:
    call_id, grant = await desk.start(tenant.debit, "0.30", direction="forwarded", forward="mobile", forward_most=1)
    assert grant.refusal is None
    await desk.finish(call_id, "0.20")
    row = await tenant.sql.fetchrow("SELECT direction, amount FROM billing_xdr WHERE call_id = $1", call_id)
    assert row is not None
    assert (row["direction"], str(row["amount"])) == ("forwarded", "0.20000")
    assert await tenant.audit() == []
