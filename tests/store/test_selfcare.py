# SPDX-License-Identifier: Apache-2.0
"""What callers ask of their own account, from a real store."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from billing_client.pins import hash_pin
from billing_client.selfcare import Login, Quote, StoreSelfCare
from billing_client.vouchers import GuessSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

NOW = datetime(2027, 6, 1, 22, 30, tzinfo=UTC)
CARD = "48291047"
ANI = "42073723123"
ACCESS = "18005550100"
CALLER = GuessSource(ANI, ACCESS)


@pytest_asyncio.fixture
async def selfcare(dsn: str, tenant: Tenant) -> AsyncIterator[StoreSelfCare]:
    """PINs are locked for 100 seconds after three wrong ones; account 101 has a card PIN."""
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ($1, 1)", f"{CARD}@pin")
    door = await StoreSelfCare.connect(dsn, node="test", lock_after=3, lock_seconds=100, utc=lambda: NOW)
    yield door
    await door.close()


async def test_a_status_tells_funds_of_debit_and_debt_and_limit_of_credit(
    selfcare: StoreSelfCare, tenant: Tenant
) -> None:
    await tenant.sql.execute("SELECT post_entry('call:x', 3, -2, 'call', '')")
    debit, credit = await selfcare.status("101"), await selfcare.status("301")
    assert debit is not None
    assert (debit.kind, debit.currency) == ("debit", "USD")
    assert [debit.balance, debit.available] == [10, 10]
    assert (debit.credit_limit, debit.expires_on, debit.days_left, debit.refusal) == (None, None, None, None)
    assert credit is not None
    assert credit.kind == "credit"
    assert [credit.balance, credit.available, credit.credit_limit] == [2, 3, 5]
    assert await selfcare.status("999") is None


async def test_a_subordinate_account_has_its_customers_funds(selfcare: StoreSelfCare) -> None:
    status = await selfcare.status("201")
    assert status is not None
    assert status.kind == "subordinate"
    assert [status.available, status.credit_limit] == [20, 20]


async def test_days_left_count_in_the_billing_time_zone(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_account SET expiry_date = '2027-06-03' WHERE id = 1")
    status = await selfcare.status("101")
    assert status is not None
    assert (status.expires_on, status.days_left) == (date(2027, 6, 3), 2)
    await tenant.sql.execute("UPDATE billing_customer SET timezone = 'Europe/Prague' WHERE id = 1")
    status = await selfcare.status("101")
    assert status is not None
    assert status.days_left == 1


async def test_an_account_that_may_not_be_used_says_why(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_account SET state = 'blocked' WHERE id = 1")
    status = await selfcare.status("101")
    assert status is not None
    assert status.refusal == "account blocked"


async def test_a_card_pin_tells_whose_it_is_alone_or_with_the_number(selfcare: StoreSelfCare) -> None:
    right = Login("right", "101")
    assert await selfcare.log_in(CARD, CALLER) == right
    assert await selfcare.log_in(CARD, CALLER, number="101") == right
    assert await selfcare.log_in(CARD, CALLER, number="201") == Login("wrong", delay_seconds=1)
    assert await selfcare.log_in("1' OR 1=1", CALLER) == Login("wrong", delay_seconds=2)


async def test_with_a_number_the_pin_of_its_mailbox_is_right_too(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    await tenant.sql.execute("INSERT INTO billing_mailbox (account_id, pin) VALUES (1, $1)", hash_pin("7391"))
    assert await selfcare.log_in("7391", CALLER, number="101") == Login("right", "101")
    assert (await selfcare.log_in("7392", CALLER, number="101")).verdict == "wrong"
    assert (await selfcare.log_in("7391", CALLER)).verdict == "wrong"


async def test_who_guesses_is_locked_across_calls_and_others_are_not(selfcare: StoreSelfCare) -> None:
    for guess, delay in (("11111111", 1), ("22222222", 2), ("33333333", 4)):
        assert await selfcare.log_in(guess, CALLER) == Login("wrong", delay_seconds=delay)
    assert await selfcare.log_in(CARD, CALLER) == Login("locked", delay_seconds=4)
    assert await selfcare.log_in(CARD, GuessSource("42075553333")) == Login("right", "101")


async def test_no_more_pins_are_looked_at_however_many_calls_try_at_once(selfcare: StoreSelfCare) -> None:
    answers = await asyncio.gather(*(selfcare.log_in(f"{guess:08}", CALLER) for guess in range(20)))
    assert [answer.verdict for answer in answers].count("wrong") == 3


async def test_guessed_pins_are_written_nowhere(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    await selfcare.log_in("55667788", CALLER)
    tables = "billing_pinfailure UNION ALL SELECT subject FROM billing_voucherguess"
    subjects = [row["subject"] for row in await tenant.sql.fetch(f"SELECT subject FROM {tables}")]
    assert len(subjects) == 4
    assert not any("55667788" in subject for subject in subjects)


async def test_a_phone_of_the_outside_is_known_by_its_number(selfcare: StoreSelfCare) -> None:
    assert await selfcare.by_phone(ANI) is None
    assert await selfcare.know_phone("101", ANI)
    assert await selfcare.by_phone(ANI) == "101"
    assert await selfcare.by_phone(CARD) is None
    assert await selfcare.by_phone("\0" * 100) is None


async def test_a_status_says_whose_it_is_and_of_which_product(selfcare: StoreSelfCare) -> None:
    status = await selfcare.status("101")
    assert status is not None
    assert (status.customer, status.product) == ("company", "retail")


async def test_an_authorisation_code_is_right_for_its_company_only(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('301#5550@pin', 2)")
    assert await selfcare.log_in("5550", CALLER, company="301") == Login("right", "201")
    for company, code in (("301", "5551"), ("101", "5550"), ("", "5550"), ("\0#", "5550")):
        assert (await selfcare.log_in(code, CALLER, company=company)).verdict != "right"


async def test_a_password_must_be_right_beside_the_pin_and_wrong_ones_count(
    selfcare: StoreSelfCare, tenant: Tenant
) -> None:
    await tenant.sql.execute("UPDATE billing_account SET password = '905112' WHERE id = 1")
    assert await selfcare.log_in(CARD, CALLER, password="905112") == Login("right", "101")
    for wrong in ("905113", "", "905112é"):
        assert (await selfcare.log_in(CARD, CALLER, password=wrong)).verdict == "wrong"
    assert (await selfcare.log_in(CARD, CALLER, password="905112")).verdict == "locked"


async def test_a_quote_says_how_long_the_funds_last(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    status = await selfcare.status("101")
    assert status is not None
    assert await selfcare.quote(status, "2012345") == Quote("ok", 1000, Decimal("0.60"), "USD")
    assert await selfcare.quote(status, "1012345") == Quote("ok", None, Decimal(0), "USD")
    assert await selfcare.quote(status, "9912345") == Quote("unknown")
    await tenant.sql.execute("UPDATE billing_account SET max_call_price = 0.60 WHERE id = 1")
    status = await selfcare.status("101")
    assert status is not None
    assert (await selfcare.quote(status, "2012345")).seconds == 60
    await tenant.sql.execute("SELECT post_entry('call:y', 2, -10, 'call', '')")
    status = await selfcare.status("101")
    assert status is not None
    assert (await selfcare.quote(status, "2012345")).verdict == "funds"
    await tenant.sql.execute("UPDATE billing_rate SET blocked = true WHERE prefix = '20'")
    assert (await selfcare.quote(status, "2012345")).verdict == "blocked"


async def test_a_phone_is_known_from_then_on_once_and_by_one_account(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    assert await selfcare.know_phone("101", ANI)
    assert await selfcare.know_phone("101", ANI)
    assert not await selfcare.know_phone("201", ANI)
    assert not await selfcare.know_phone("999", "42075553333")
    found = await tenant.sql.fetch("SELECT account_id FROM billing_alias WHERE name LIKE '%@pstn'")
    assert [row["account_id"] for row in found] == [1]
