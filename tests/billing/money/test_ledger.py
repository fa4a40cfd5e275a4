# SPDX-License-Identifier: Apache-2.0
"""The ledger is only ever added to, and it alone moves balances."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from tests.store.calls import CallDesk
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

REFUSED = asyncpg.IntegrityConstraintViolationError


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_ledgerentry SET amount = 1",
        "DELETE FROM billing_ledgerentry",
        "TRUNCATE billing_ledgerentry",
        "UPDATE billing_xdr SET amount = 0",
        "DELETE FROM billing_xdr",
        "TRUNCATE billing_xdr",
    ],
)
async def test_entries_and_records_are_never_changed(tenant: Tenant, statement: str) -> None:
    with pytest.raises(REFUSED, match="only ever added"):
        await tenant.sql.execute(statement)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE billing_balance SET amount = amount + 1 WHERE id = 2", "ledger entries only"),
        ("INSERT INTO billing_balance (kind, currency, amount) VALUES ('debit', 'USD', 5)", "begins at zero"),
        ("UPDATE billing_balance SET currency = 'EUR' WHERE id = 2", "never change"),
        ("UPDATE billing_balance SET kind = 'credit', credit_limit = 1 WHERE id = 2", "never change"),
        ("UPDATE billing_tariff SET currency = 'EUR'", "never changes"),
    ],
)
async def test_balances_are_moved_by_the_ledger_alone(tenant: Tenant, statement: str, reason: str) -> None:
    with pytest.raises(REFUSED, match=reason):
        await tenant.sql.execute(statement)


async def test_an_entry_moves_its_balance(tenant: Tenant) -> None:
    await tenant.sql.execute(
        "INSERT INTO billing_ledgerentry (key, balance_id, amount, kind) VALUES ('x', 2, 1, 'topup')"
    )
    assert (await tenant.balance(2))[0] == 11
    assert await tenant.audit() == []


async def test_an_entry_without_a_balance_is_refused(tenant: Tenant) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await tenant.sql.execute(
            "INSERT INTO billing_ledgerentry (key, balance_id, amount, kind) VALUES ('x', 99, 1, 'topup')"
        )


async def test_a_key_posts_once(tenant: Tenant) -> None:
    post = "SELECT post_entry('topup:1', 2, $1, 'topup', '')"
    assert await tenant.sql.fetchval(post, Decimal(1)) is True
    assert await tenant.sql.fetchval(post, Decimal(1)) is False
    with pytest.raises(asyncpg.UniqueViolationError, match="another entry"):
        await tenant.sql.fetchval(post, Decimal(2))
    assert (await tenant.balance(2))[0] == 11


async def test_what_the_owner_gains_pays_off_debt(tenant: Tenant) -> None:
    await tenant.sql.execute("SELECT post_entry('topup:1', 3, 2, 'topup', '')")
    assert await tenant.balance(3) == (-2, 0, 7)


async def test_what_calls_have_locked_cannot_be_withdrawn(desk: CallDesk, tenant: Tenant) -> None:
    await desk.start(tenant.debit, 9)
    with pytest.raises(asyncpg.CheckViolationError):
        await tenant.sql.execute("SELECT post_entry('w', 2, -1.00001, 'withdrawal', '')")
    await tenant.sql.execute("SELECT post_entry('w', 2, -1, 'withdrawal', '')")
    assert await tenant.balance(2) == (9, 9, 0)


async def test_a_balance_is_adjusted_by_its_account_and_never_by_an_entry_alone(tenant: Tenant) -> None:
    with pytest.raises(REFUSED, match="inserted into billing_adjustment"):
        await tenant.sql.execute("SELECT post_entry('a', 2, 1, 'adjustment', '')")
    adjust = "INSERT INTO billing_adjustment (number, gain, accounts) VALUES (1, 3, '{1, 3}')"
    await tenant.sql.execute(adjust)
    assert await tenant.balance(2) == (13, 0, 13)
    assert await tenant.balance(3) == (-3, 0, 8)
    with pytest.raises(asyncpg.UniqueViolationError):
        await tenant.sql.execute(adjust)
    assert await tenant.balance(2) == (13, 0, 13)
    assert await tenant.audit() == []


async def test_used_balances_and_accounts_cannot_be_deleted(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, 1)
    await desk.finish(call_id, 0)
    with pytest.raises(REFUSED, match="close it instead"):
        await tenant.sql.execute(
            "DELETE FROM billing_alias WHERE account_id = 1; DELETE FROM billing_account WHERE id = 1"
        )
    with pytest.raises(REFUSED, match="close it instead"):
        await tenant.sql.execute("DELETE FROM billing_balance WHERE id = 2")


@pytest.mark.parametrize(
    ("kind", "balance"), [("debit", 1), ("debit", 2), ("debit", 4), ("credit", 1), ("subordinate", 2)]
)
async def test_an_account_spends_from_a_balance_of_its_kind_that_nobody_else_has(
    tenant: Tenant, kind: str, balance: int
) -> None:
    await tenant.sql.execute(
        "INSERT INTO billing_balance (id, kind, currency, credit_limit) VALUES (4, 'credit', 'USD', 1)"
    )
    with pytest.raises(REFUSED, match=r"cannot use balance|account_own_balance"):
        await tenant.sql.execute(
            "INSERT INTO billing_account (id, number, customer_id, kind, balance_id, password)"
            " VALUES (9, '9', 1, $1, $2, '')",
            kind,
            balance,
        )


async def test_an_account_is_priced_in_the_currency_that_it_spends(tenant: Tenant) -> None:
    await tenant.sql.execute("INSERT INTO billing_tariff (id, name, currency) VALUES (2, 'euro', 'EUR')")
    await tenant.sql.execute("INSERT INTO billing_product (id, name, tariff_id) VALUES (2, 'euro', 2)")
    with pytest.raises(REFUSED, match="another currency"):
        await tenant.sql.execute("UPDATE billing_account SET product_id = 2 WHERE id = 1")
    with pytest.raises(REFUSED, match="another currency"):
        await tenant.sql.execute("UPDATE billing_product SET tariff_id = 2 WHERE id = 1")


async def test_the_audit_finds_what_was_tampered_with(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, 1)
    await desk.finish(call_id, "0.5")
    other, _ = await desk.start(tenant.debit, 1)
    await tenant.sql.execute("SET session_replication_role = replica")  # no trigger fires
    await tenant.sql.execute("UPDATE billing_balance SET amount = amount + 1 WHERE id = 2")
    await tenant.sql.execute("UPDATE billing_activecall SET locked = 3 WHERE call_id = $1", other)
    await tenant.sql.execute("UPDATE billing_xdr SET amount = 0.4")
    await tenant.sql.execute(
        "INSERT INTO billing_ledgerentry (key, balance_id, amount, kind) VALUES ('call:ghost', 1, 0.1, 'call')"
    )
    findings = {(row["finding"], row["subject"]) for row in await tenant.audit()}
    assert findings == {
        ("balance differs from its ledger", "1"),
        ("balance differs from its ledger", "2"),
        ("locks differ from live calls", "2"),
        ("record and ledger disagree", f"call:{call_id}"),
        ("record and ledger disagree", "call:ghost"),
    }
