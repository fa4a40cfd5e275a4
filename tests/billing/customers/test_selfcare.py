# SPDX-License-Identifier: Apache-2.0
"""What callers ask of their own account, from a real store."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from billing_client.rules.pins import hash_pin
from billing_client.selfcare import KnownPhone, Login, Quote, StoreSelfCare
from billing_client.vouchers.words import GuessSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

NOW = datetime(2027, 6, 1, 22, 30, tzinfo=UTC)
CARD = "48291047"
ANI = "42073723123"
ACCESS = "18005550100"
CALLER = GuessSource(ANI, ACCESS, is_vouched=True)


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
    assert await selfcare.log_in(CARD, GuessSource("42075553333", ACCESS, is_vouched=True)) == Login("right", "101")
    # Under the same number where nobody vouches for it, nobody is locked.
    assert await selfcare.log_in(CARD, GuessSource(ANI, ACCESS)) == Login("right", "101")


async def test_no_more_pins_are_looked_at_however_many_calls_try_at_once(selfcare: StoreSelfCare) -> None:
    answers = await asyncio.gather(*(selfcare.log_in(f"{guess:08}", CALLER) for guess in range(20)))
    assert [answer.verdict for answer in answers].count("wrong") == 3


async def test_guessed_pins_are_written_nowhere(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    await selfcare.log_in("55667788", CALLER)
    tables = "billing_pinfailure UNION ALL SELECT subject FROM billing_voucherguess"
    subjects = [row["subject"] for row in await tenant.sql.fetch(f"SELECT subject FROM {tables}")]
    assert len(subjects) == 3
    assert not any("55667788" in subject for subject in subjects)


@pytest_asyncio.fixture
async def carriers(tenant: Tenant) -> None:
    """Two gateways that vouch for their numbers, and one that does not."""
    await tenant.sql.execute(
        "INSERT INTO billing_gateway (name, host, identifies) VALUES"
        " ('good', '192.0.2.1', 'yes'), ('other', '192.0.2.2', 'yes'), ('plain', '192.0.2.3', 'no')"
    )


@pytest.mark.usefixtures("carriers")
@pytest.mark.parametrize(
    ("rule", "known_by"), [("enough", {"good", "other"}), ("once", set()), ("pin", set()), ("off", set())]
)
async def test_a_number_identifies_by_gateways_that_vouch_and_as_far_as_its_account_lets_it(
    selfcare: StoreSelfCare, tenant: Tenant, rule: str, known_by: set[str]
) -> None:
    """Case L3."""
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ($1, 1)", f"{ANI}@pstn")
    await tenant.sql.execute("UPDATE billing_account SET ani = $1", rule)
    for gateway in ("good", "other", "plain", "", "nobody"):
        found = await selfcare.by_phone(ANI, gateway)
        assert found == (KnownPhone("101", "number") if gateway in known_by else None)
    assert await selfcare.by_phone(CARD, "good") is None
    assert await selfcare.by_phone("\0" * 100, "good") is None


@pytest.mark.usefixtures("carriers")
async def test_after_the_right_pin_a_number_is_enough_by_that_gateway(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    """Case L3: the first call of a new carrier and number asks the PIN."""
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ($1, 1)", f"{ANI}@pstn")
    caller = GuessSource(ANI, ACCESS, gateway="good", is_vouched=True)
    await selfcare.log_in("11111111", caller)
    assert await selfcare.by_phone(ANI, "good") is None
    assert (await selfcare.log_in(CARD, caller)).verdict == "right"
    assert await selfcare.by_phone(ANI, "good") == KnownPhone("101", "number")
    assert await selfcare.by_phone(ANI, "other") is None
    # A number that nobody vouches for is not learnt, whatever PIN comes with it.
    await selfcare.log_in(CARD, GuessSource(ANI, ACCESS, gateway="plain"))
    assert await selfcare.by_phone(ANI, "plain") is None
    # Nor is somebody else's number, by one's own PIN.
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('42075553333@pstn', 2)")
    await selfcare.log_in(CARD, GuessSource("42075553333", ACCESS, gateway="good", is_vouched=True))
    assert await selfcare.by_phone("42075553333", "good") is None


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


@pytest.mark.usefixtures("carriers")
async def test_a_claimed_number_dials_only_until_a_call_to_it_has_proved_it(
    selfcare: StoreSelfCare, tenant: Tenant
) -> None:
    """Case L4."""
    assert await selfcare.claim_phone("101", ANI, "good") == "claimed"
    assert await selfcare.claim_phone("101", ANI, "good") == "claimed"
    assert await selfcare.by_phone(ANI, "good") == KnownPhone("101", "claimed")
    assert await selfcare.claim_phone("201", ANI, "good") == "taken"
    assert await selfcare.claim_phone("999", "42075553333", "good") == "unknown"
    assert not await selfcare.phone_proven("201", ANI)
    assert await selfcare.phone_proven("101", ANI)
    assert await selfcare.by_phone(ANI, "good") == KnownPhone("101", "number")
    assert await selfcare.claim_phone("101", ANI, "good") == "known"
    found = await tenant.sql.fetch("SELECT account_id FROM billing_alias WHERE name LIKE '%@pstn'")
    assert [row["account_id"] for row in found] == [1]


@pytest.mark.usefixtures("carriers")
async def test_an_account_claims_few_numbers_even_at_once(selfcare: StoreSelfCare) -> None:
    """Case L4."""
    numbers = [f"4206000000{turn:02}" for turn in range(10)]
    outcomes = await asyncio.gather(*(selfcare.claim_phone("101", number, "good") for number in numbers))
    assert sorted(outcomes) == ["claimed"] * 3 + ["full"] * 7
    claimed = [number for number, outcome in zip(numbers, outcomes, strict=True) if outcome == "claimed"]
    await selfcare.phone_proven("101", claimed[0])
    assert await selfcare.claim_phone("101", "420600000099", "good") == "claimed"


async def test_colleagues_are_accounts_of_one_customer(selfcare: StoreSelfCare, tenant: Tenant) -> None:
    """Case L5."""
    await tenant.sql.execute(
        "INSERT INTO billing_customer (id, name, balance_id) VALUES (9, 'others', 3);"
        "INSERT INTO billing_account (id, number, customer_id, kind, balance_id, password)"
        " VALUES (9, '901', 9, 'subordinate', 3, 'x');"
        "INSERT INTO billing_alias (name, account_id) VALUES ('902', 9), ('202', 2), ('420600@pstn', 2)"
    )
    for extension in ("101", "201", "202"):
        assert await selfcare.are_colleagues("101", extension)
    for extension in ("901", "902", "1188", "420600@pstn", f"{CARD}@pin", ""):
        assert not await selfcare.are_colleagues("101", extension)


async def test_a_number_is_rung_back_so_often_and_not_after_a_call_that_was_of_no_use(
    selfcare: StoreSelfCare, tenant: Tenant
) -> None:
    """Case L13."""
    first = await selfcare.take_ring_back("101", ANI, 3)
    assert first is not None
    assert await selfcare.take_ring_back("101", ANI, 3) is None  # nobody has pressed a key there
    await selfcare.ring_back_used(first)
    for _ in range(2):
        again = await selfcare.take_ring_back("101", ANI, 3)
        assert again is not None
        await selfcare.ring_back_used(again)
    assert await selfcare.take_ring_back("101", ANI, 3) is None  # three in this hour
    await tenant.sql.execute("UPDATE billing_ringback SET at = at - interval '61 minutes'")
    rests = []
    for _ in range(4):
        assert await selfcare.take_ring_back("101", ANI, 99) is not None
        rest = 0
        while not await rings(tenant):
            await tenant.sql.execute("UPDATE billing_ringback SET at = at - interval '5 minutes 1 second'")
            rest += 5
        rests.append(rest)
    assert rests == [10, 20, 40, 80]


async def rings(tenant: Tenant) -> bool:
    """Whether the number would be rung now."""
    transaction = tenant.sql.transaction()
    await transaction.start()
    found = await tenant.sql.fetchval("SELECT ring_back_taken('101', $1, 99, 99)", ANI)
    await transaction.rollback()
    return found is not None


async def test_all_numbers_of_an_account_together_are_rung_so_often(selfcare: StoreSelfCare) -> None:
    """Case L13."""
    taken = [await selfcare.take_ring_back("101", f"4206000{turn:05}", 2) for turn in range(12)]
    assert sum(one is not None for one in taken) == 8
    assert await selfcare.take_ring_back("999", ANI, 2) is None
