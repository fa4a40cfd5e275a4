# SPDX-License-Identifier: Apache-2.0
"""What the back office asks of the store; the demo tenant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from billing.audit_log.actor import ActionError
from billing_client.rules.rating import seconds_covered
from billing_client.store import Store
from billing_client.types import StoreEvent
from tests.billing.back_office import opened
from tests.store.bindings import binding
from tests.store.calls import STARTED_AT, CallDesk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CARRIERS = (("127.0.0.1", 6070), ("127.0.0.1", 6071))


@pytest.fixture
def ops(dsn: str) -> Iterator[Any]:
    """The back office of this test's store."""
    yield from opened(dsn)


@pytest.fixture
def demo(ops: Any) -> Any:
    """The back office of a store with the demo tenant."""
    ops.load_demo(CARRIERS)
    return ops


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Run an operation as the command line does, outside of any event loop."""
    import asyncio

    from django.db import connections

    def run() -> Any:
        try:
            return function(*args)
        finally:
            connections["default"].close()

    return await asyncio.to_thread(run)


def test_a_migrated_store_needs_no_migration(ops: Any) -> None:
    assert ops.is_migrated()
    assert ops.migrate() == 0


def test_the_models_match_the_migrations(ops: Any) -> None:
    from django.core.management import call_command

    call_command("makemigrations", "billing", check=True, dry_run=True, verbosity=0)


def test_the_demo_tenant_is_loaded_once_and_keeps_what_it_became(ops: Any) -> None:
    first = ops.load_demo(CARRIERS)
    assert first.created
    assert {account.number: account.available for account in first.accounts} == {
        "101": 10, "102": 5, "103": 20, "104": 20, "105": Decimal("0.20"), "106": 5, "107": 20, "201": 20,
        "42027777100": 10,
    }  # fmt: skip
    assert len({account.password for account in first.accounts}) == 9
    ops.topup("101", Decimal(1), "k")
    ops.apply({"accounts": [{"number": "102", "display": "Robert"}]})
    second = ops.load_demo((("127.0.0.1", 7070), ("127.0.0.1", 7071)))
    assert not second.created
    assert [account.password for account in second.accounts] == [account.password for account in first.accounts]
    assert second.accounts[0].available == 11
    assert second.accounts[1].display == "Robert"
    assert ops.audit() == []


@pytest.mark.asyncio
async def test_the_demo_tenant_as_the_switch_sees_it(demo: Any, dsn: str) -> None:
    store = await Store.connect(dsn, node="sw1", connections=1)
    try:
        rates, routes = await store.load_rates(), await store.load_routes()
        short = await store.parties(caller="105", ani=None, dialled="201")
        did = await store.parties(caller=None, ani="42073723123", dialled="42027777100")
    finally:
        await store.close()
    caller = short.caller
    assert caller is not None
    assert caller.tariff_id is not None
    paid, free, outside = (
        rates.rate_for(caller.tariff_id, number, datetime.now(UTC)) for number in ("201", "102", "420777123456")
    )
    assert paid is not None
    assert seconds_covered(paid, caller.available) == 20
    assert free is not None
    assert free.is_free
    assert outside is not None
    assert (outside.prefix, outside.first_increment, outside.next_increment) == ("4207", 30, 6)
    assert did.caller is not None
    assert did.callee is not None
    assert (did.caller.number, did.caller.via, did.callee.number) == ("42027777100", "ani", "42027777100")
    gateways = [(route.gateway.name, route.gateway.port) for route in routes.routes_for("420777123456")]
    assert gateways == [("sample-carrier", 6070), ("sample-carrier-b", 6071)]
    assert routes.gateway_at("127.0.0.1", 6070) is not None
    assert routes.gateway_at("127.0.0.1", 5099) is None, "a phone on the carrier's host is a phone"


@pytest.mark.asyncio
async def test_live_calls_registrations_and_records_are_shown(demo: Any, dsn: str) -> None:
    store = await Store.connect(dsn, node="sw1", connections=1)
    events: list[StoreEvent] = []
    await store.listen(events.append)
    try:
        party = (await store.parties(caller="101", ani=None, dialled="201")).caller
        assert party is not None
        desk = CallDesk(store)
        await store.write_bindings([binding("101")], [])
        call_id, _ = await desk.start((party.account_id, party.balance_id), "0.30")
        (live,) = await in_thread(demo.calls)
        assert (live["call_id"], live["account"], live["state"], live["locked"]) == (
            call_id, "101", "ringing", Decimal("0.30"),
        )  # fmt: skip
        assert [row["aor"] for row in await in_thread(demo.registrations)] == ["101"]
        await in_thread(demo.disconnect, call_id, "admin")
        await desk.finish(call_id, "0.20")
        with pytest.raises(ActionError, match="just ended"):
            await in_thread(demo.disconnect, call_id, "admin")
        assert await in_thread(demo.calls) == []
        (record,) = await in_thread(demo.xdrs)
        assert (record["amount"], record["billed_seconds"], record["seconds"]) == (Decimal("0.20"), 20, 20)
        assert StoreEvent("disconnect", "", "sw1", call_id, "admin") in events
    finally:
        await store.close()

    def narrowed(**filters: Any) -> int:
        return len(demo.xdrs(**filters))

    assert await in_thread(lambda: narrowed(account="102")) == 0
    assert await in_thread(lambda: narrowed(account="101", since=STARTED_AT)) == 1
    assert await in_thread(lambda: narrowed(until=STARTED_AT)) == 0
    assert await in_thread(lambda: narrowed(since=STARTED_AT + timedelta(seconds=1))) == 0
    assert await in_thread(demo.audit) == []


def test_accounts_are_found_by_number_and_customer(demo: Any) -> None:
    assert [row["number"] for row in demo.accounts("10", limit=3)] == ["101", "102", "103"]
    assert len(demo.accounts("demo comp")) == 9
    assert demo.accounts("nobody") == []


def test_a_topup_is_credited_once_for_its_key(demo: Any) -> None:
    first = demo.topup("101", Decimal("1.5"), "k", "cash")
    assert (first.amount, first.available, first.applied) == (Decimal("11.5"), Decimal("11.5"), True)
    assert demo.topup("101", Decimal("1.5"), "k", "cash").applied is False
    assert demo.accounts("101")[0]["balance"] == Decimal("11.5")


def test_a_payment_lessens_the_debt_of_the_customer(demo: Any) -> None:
    receipt = demo.topup("103", Decimal(5), "k")
    assert (receipt.amount, receipt.available) == (-5, 25)


@pytest.mark.parametrize(
    ("number", "amount", "reason"),
    [
        ("102", "5.00001", "less than 5.00001 available"),
        ("nobody", "1", "there is no account nobody"),
        ("102", "0", "not an amount above zero"),
        ("102", "-1", "not an amount above zero"),
        ("102", "NaN", "not an amount above zero"),
        ("102", "0.000001", "at most five decimals"),
    ],
)
def test_a_withdrawal_takes_only_what_is_there(demo: Any, number: str, amount: str, reason: str) -> None:
    from billing.money.actions import LedgerError

    with pytest.raises(LedgerError, match=reason):
        demo.withdraw(number, Decimal(amount), "k")
    assert demo.withdraw("102", Decimal(5), "k").available == 0


def test_a_key_used_for_another_amount_is_refused(demo: Any) -> None:
    from billing.money.actions import LedgerError

    demo.topup("101", Decimal(1), "k")
    with pytest.raises(LedgerError, match="another entry"):
        demo.topup("101", Decimal(2), "k")
