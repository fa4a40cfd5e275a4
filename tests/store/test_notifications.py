# SPDX-License-Identifier: Apache-2.0
"""What the store announces, and what it does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from billing_client.types import StoreEvent
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from billing_client.store import Store
    from tests.store.calls import CallDesk
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

MARK = "SELECT pg_notify('softswitch', 'account:mark')"


class Ear:
    """Hears everything up to a mark that the test sets."""

    def __init__(self, tenant: Tenant) -> None:
        self.events: list[StoreEvent] = []
        self._tenant = tenant

    async def heard_of(self, *statements: str) -> list[StoreEvent]:
        """What was announced because of these statements."""
        self.events.clear()
        for statement in statements:
            await self._tenant.sql.execute(statement)
        await self._tenant.sql.execute(MARK)
        mark = StoreEvent("account", number="mark")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while mark not in self.events:  # noqa: ASYNC110 (the store calls back, it sets no event)
                await asyncio.sleep(0.005)
        return [event for event in self.events if event != mark]


@pytest_asyncio.fixture
async def ear(store: Store, tenant: Tenant) -> Ear:
    """A listener on a store that is at rest."""
    ear = Ear(tenant)
    await store.listen(ear.events.append)
    return ear


RATES, ROUTES = StoreEvent("rates"), StoreEvent("routes")
GATEWAY = "INSERT INTO billing_gateway (id, name, host) VALUES (1, 'g', '192.0.2.1')"


async def test_a_bulk_load_of_rates_says_one_word(ear: Ear) -> None:
    load = "INSERT INTO billing_rate (tariff_id, prefix, first_price, next_price) SELECT 1, n::text, 1, 1"
    assert await ear.heard_of(f"{load} FROM generate_series(30, 5030) n") == [RATES]


@pytest.mark.parametrize(
    ("statement", "event"),
    [
        ("UPDATE billing_rate SET first_price = 1", RATES),
        ("DELETE FROM billing_rate", RATES),
        ("TRUNCATE billing_rate", RATES),
        ("INSERT INTO billing_tariff (id, name, currency) VALUES (9, 'new', 'USD')", RATES),
        (GATEWAY, ROUTES),
        ("UPDATE billing_account SET password = 'new' WHERE id = 1", StoreEvent("account", number="101")),
        ("UPDATE billing_balance SET credit_limit = 6 WHERE id = 3", StoreEvent("account", number="301")),
        ("INSERT INTO billing_alias (name, account_id) VALUES ('x', 2)", StoreEvent("account", number="201")),
        ("DELETE FROM billing_alias WHERE name = '301'", StoreEvent("account", number="301")),
    ],
)
async def test_changes_are_announced(ear: Ear, statement: str, event: StoreEvent) -> None:
    assert set(await ear.heard_of(statement)) == {event}


async def test_a_change_of_a_customer_concerns_all_its_accounts(ear: Ear) -> None:
    heard = await ear.heard_of("UPDATE billing_customer SET state = 'blocked'")
    assert sorted(event.number for event in heard) == ["101", "201", "301"]


async def test_a_change_of_very_many_accounts_says_resync(ear: Ear) -> None:
    balances = (
        "INSERT INTO billing_balance (id, kind, currency) SELECT n, 'debit', 'USD' FROM generate_series(100, 300) n"
    )
    accounts = (
        "INSERT INTO billing_account (id, number, customer_id, kind, balance_id, password)"
        " SELECT n, n::text || 'x', 1, 'debit', n, '' FROM generate_series(100, 300) n"
    )
    assert StoreEvent("resync") in await ear.heard_of(balances, accounts)
    assert await ear.heard_of("UPDATE billing_account SET password = 'new'") == [StoreEvent("resync")]


async def test_a_call_announces_nothing(ear: Ear, desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, 1)
    await desk.finish(call_id, "0.5")
    assert await ear.heard_of("SELECT post_entry('topup:1', 2, 1, 'topup', '')") == []


async def test_nothing_is_announced_that_did_not_happen(ear: Ear) -> None:
    assert await ear.heard_of("BEGIN", "UPDATE billing_account SET password = 'x'", "ROLLBACK") == []


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (
            "disconnect:sw1:call-1:admin: with: colons",
            StoreEvent("disconnect", "", "sw1", "call-1", "admin: with: colons"),
        ),
        ("account:7", StoreEvent("account", number="7")),
        ("resync", StoreEvent("resync")),
        ("weather:fine", None),
        ("", None),
    ],
)
async def test_payloads(payload: str, event: StoreEvent | None) -> None:
    assert StoreEvent.parse(payload) == event


async def test_only_changed_tariffs_are_loaded_anew(store: Store, tenant: Tenant) -> None:
    await tenant.sql.execute("INSERT INTO billing_tariff (id, name, currency) VALUES (2, 'other', 'EUR')")
    before = await store.load_rates()
    await tenant.sql.execute(
        "INSERT INTO billing_rate (tariff_id, prefix, first_price, next_price) VALUES (2, '9', 1, 1)"
    )
    after = await store.load_rates(before)
    assert after.tariffs[1] is before.tariffs[1]
    assert (len(before), len(after)) == (2, 3)
    assert after.currency(2) == "EUR"


async def test_routes_are_loaded_with_their_gateways(store: Store, tenant: Tenant) -> None:
    await tenant.sql.execute(GATEWAY)
    await tenant.sql.execute("INSERT INTO billing_gatewayroute (gateway_id, prefix, strip) VALUES (1, '420', 3)")
    (route,) = (await store.load_routes()).routes_for("420777")
    assert (route.gateway.name, route.gateway.port, route.number("420777")) == ("g", None, "777")
