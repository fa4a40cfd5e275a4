# SPDX-License-Identifier: Apache-2.0
"""Who registers, who calls, whom a number reaches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.store.bindings import binding

if TYPE_CHECKING:
    from billing_client.store import Store
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

TODAY = datetime.now(UTC).date()
ALIASES = """
INSERT INTO billing_alias (name, account_id, allow_authentication) VALUES
    ('42027777100', 1, false), ('42027777200', 1, true), ('42073723123@pstn', 1, false)"""


async def test_an_account_authenticates_under_its_number(store: Store, tenant: Tenant) -> None:
    found = await store.subscriber("101")
    assert found is not None
    assert (found.name, found.account_id, found.number, found.password) == ("101", 1, "101", "pw101")
    assert found.usable is None
    assert found.bindings == ()
    assert "pw101" not in repr(found)


async def test_an_alias_authenticates_only_where_that_is_allowed(store: Store, tenant: Tenant) -> None:
    await tenant.sql.execute(ALIASES)
    mere = await store.subscriber("42027777100")
    assert mere is not None
    assert mere.usable == "alias 42027777100 does not authenticate"
    assert await store.subscriber("42073723123@pstn") is None
    assert await store.subscriber("nobody") is None
    found = await store.subscriber("42027777200")
    assert found is not None
    assert (found.name, found.number) == ("42027777200", "101")


async def test_bindings_come_with_their_subscriber_best_first_without_the_expired(store: Store, tenant: Tenant) -> None:
    worse, better = binding("101", "a", q=0.2), binding("101", "b", q=0.7)
    expired = binding("101", "c", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await store.write_bindings([worse, better, expired, binding("201")], [])
    found = await store.subscriber("101")
    assert found is not None
    assert found.bindings == (better, worse)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE billing_account SET state = 'blocked'", "account blocked"),
        ("UPDATE billing_customer SET state = 'suspended'", "customer suspended"),
        (
            f"UPDATE billing_account SET activation_date = '{TODAY + timedelta(days=2)}'",
            f"account not yet active: it is from {TODAY + timedelta(days=2)}",
        ),
        (
            f"UPDATE billing_account SET expiry_date = '{TODAY - timedelta(days=1)}'",
            f"account expired on {TODAY - timedelta(days=1)}: its expiry date",
        ),
        (f"UPDATE billing_account SET expiry_date = '{TODAY + timedelta(days=2)}'", None),
        (f"UPDATE billing_account SET activation_date = '{TODAY - timedelta(days=1)}'", None),
    ],
)
async def test_states_and_dates_forbid_use(store: Store, tenant: Tenant, change: str, reason: str | None) -> None:
    await tenant.sql.execute(change)
    found = await store.subscriber("101")
    assert found is not None
    assert found.usable == reason
    caller = (await store.parties(caller="101", ani=None, dialled="201")).caller
    assert caller is not None
    assert caller.refusal == reason


async def test_a_call_knows_both_ends(store: Store, tenant: Tenant) -> None:
    phone = binding("201")
    await store.write_bindings([phone, binding("101")], [])
    found = await store.parties(caller="101", ani=None, dialled="201")
    caller, callee = found.caller, found.callee
    assert caller is not None
    assert callee is not None
    assert (caller.number, caller.display, caller.kind, caller.via) == ("101", "Alice", "debit", "account")
    assert (caller.customer_id, caller.customer_name) == (1, "company")
    assert (caller.tariff_id, caller.balance_id, caller.currency, caller.available) == (1, 2, "USD", Decimal(10))
    assert caller.may_call
    assert "pw101" not in repr(caller)
    assert (callee.number, callee.balance_id, callee.available) == ("201", 1, Decimal(20))
    assert found.bindings == (phone,)


async def test_both_ends_have_the_language_of_their_account(store: Store, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_account SET language = 'cs' WHERE number = '101'")
    found = await store.parties(caller="101", ani=None, dialled="201")
    assert found.caller is not None
    assert found.callee is not None
    assert (found.caller.language, found.callee.language) == ("cs", "")


async def test_nobody_of_ours_is_none(store: Store, tenant: Tenant) -> None:
    found = await store.parties(caller=None, ani=None, dialled="420777")
    assert (found.caller, found.callee, found.bindings) == (None, None, ())


async def test_who_calls_itself_is_both_ends(store: Store, tenant: Tenant) -> None:
    await store.write_bindings([binding("101", "a"), binding("101", "b")], [])
    found = await store.parties(caller="101", ani=None, dialled="101")
    assert found.caller == found.callee is not None
    assert len(found.bindings) == 2


async def test_a_number_of_the_outside_is_identified_by_its_alias(store: Store, tenant: Tenant) -> None:
    await tenant.sql.execute(ALIASES)
    caller = (await store.parties(caller=None, ani="42073723123", dialled="201")).caller
    assert caller is not None
    assert (caller.number, caller.via, caller.may_call) == ("101", "ani", False)
    by_name = (await store.parties(caller="101", ani="42073723123", dialled="201")).caller
    assert by_name is not None
    assert by_name.via == "account"


async def test_an_alias_rings_the_account_unless_it_registers_by_itself(store: Store, tenant: Tenant) -> None:
    await tenant.sql.execute(ALIASES)
    phone, own = binding("101"), binding("42027777200")
    await store.write_bindings([phone, own], [])
    did = await store.parties(caller=None, ani=None, dialled="42027777100")
    assert did.callee is not None
    assert (did.callee.name, did.callee.via, did.callee.may_call) == ("101", "alias", False)
    assert did.bindings == (phone,)
    registering = await store.parties(caller=None, ani=None, dialled="42027777200")
    assert registering.callee is not None
    assert registering.callee.name == "42027777200"
    assert registering.bindings == (own,)


async def test_a_voucher_makes_no_calls_for_it_is_no_account(tenant: Tenant) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="account_kind"):
        await tenant.sql.execute("UPDATE billing_account SET kind = 'voucher' WHERE id = 1")


async def test_a_name_belongs_to_one_account(tenant: Tenant) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('201', 1)")
    await tenant.sql.execute("UPDATE billing_account SET number = '111' WHERE id = 1")
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('101', 2)")


@pytest.mark.parametrize("name", ["10 1", "a@b", "", "1@pstn@pstn"])
async def test_names_have_no_spaces_and_no_domain_but_pstn(tenant: Tenant, name: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ($1, 1)", name)


@pytest.mark.parametrize("wild", ["\udcff", "a\0b", "é" * 300, ""])
async def test_names_that_cannot_be_are_nobody(store: Store, tenant: Tenant, wild: str) -> None:
    assert await store.subscriber(wild) is None
    found = await store.parties(caller=wild, ani=None, dialled=wild)
    assert (found.caller, found.callee) == (None, None)
    found = await store.parties(caller=None, ani=wild, dialled="201")
    assert found.caller is None
    assert found.callee is not None
