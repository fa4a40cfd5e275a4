# SPDX-License-Identifier: Apache-2.0
"""What providers know of vouchers, sentence by sentence (each test quotes its own)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from billing_client.secrets.keyring import KeyFile
from billing_client.vouchers.http import HttpVoucherStore
from billing_client.vouchers.words import GuessSource, Redeemed
from softswitch.demo.sample_vouchers import SampleVoucherStore
from tests.store.vouchers import PASSWORD, SOURCE, outcome

if TYPE_CHECKING:
    from billing_client.store import Store
    from billing_client.vouchers.redeeming import StoreVouchers
    from tests.store.conftest import Tenant
    from tests.store.vouchers import Press

pytestmark = pytest.mark.asyncio


async def test_a_voucher_can_be_used_to_recharge_a_credit_or_debit_account(
    press: Press, vouchers: StoreVouchers
) -> None:
    """ "A voucher can be used to 'recharge' (increase the available amount of) a credit or debit account." """
    for number, before in (("101", 10), ("301", 5)):
        answer = await vouchers.redeem(await press.print("3"), number, number, SOURCE)
        assert isinstance(answer, Redeemed)
        assert answer.available == before + 3


async def test_the_balance_of_the_voucher_is_transferred_to_the_main_account(
    press: Press, vouchers: StoreVouchers, tenant: Tenant
) -> None:
    """ "In this case, the balance of the voucher account is transferred to the main account." """
    code = await press.print("3.21")
    await vouchers.redeem(code, "101", "call", SOURCE)
    assert (await tenant.balance(2))[0] == Decimal("13.21")
    used_by = await tenant.sql.fetchval("SELECT used_by FROM billing_voucher WHERE used_at IS NOT NULL")
    assert used_by == tenant.debit[0]


async def test_a_voucher_cannot_be_used_for_any_services(press: Press, store: Store) -> None:
    """ "An account of this type cannot be used for any services such as making calls." """
    code = await press.print()
    for name in (code, code[: -len(PASSWORD)]):
        assert await store.subscriber(name) is None
        parties = await store.parties(caller=name, ani=None, dialled="101")
        assert parties.caller is None


@pytest.mark.parametrize("number", ["101", "301"])
async def test_a_voucher_of_a_different_product_tops_up(
    press: Press, vouchers: StoreVouchers, tenant: Tenant, number: str
) -> None:
    """ "End users can top up both a debit account and a credit account with an individual credit limit with a voucher
    that has a different product assigned." """
    await tenant.sql.execute("INSERT INTO billing_product (id, name, tariff_id) VALUES (2, 'another', 1)")
    assert outcome(await vouchers.redeem(await press.print(product=2), number, "call", SOURCE)) == "ok"


async def test_a_sub_realm_must_be_the_same(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    """ "To top up an account with a sub-realm, a voucher must have the same sub-realm as the account is recharged." """
    await tenant.sql.execute("UPDATE billing_account SET sub_realm = 'north' WHERE id = 1")
    for number, (realm, expected) in enumerate((("", "realm"), ("south", "realm"), ("north", "ok"))):
        code = await press.print(sub_realm=realm)
        source = GuessSource(f"42060{number}")
        assert outcome(await vouchers.redeem(code, "101", f"call-{number}", source)) == expected


async def test_pins_consist_of_ids_and_passwords_that_are_stored_in_encrypted_form(
    press: Press, tenant: Tenant
) -> None:
    """ "Their PINs consist of voucher IDs and auto-generated passwords that are stored in encrypted form in the
    database." """
    code = await press.print()
    row = await tenant.sql.fetchrow("SELECT id, key_id, sealed FROM billing_voucher")
    assert row is not None
    assert PASSWORD.encode() not in row["sealed"]
    assert row["id"] + press.keys.ring().open(row["key_id"], row["sealed"], row["id"]) == code


async def test_an_encrypted_voucher_tops_up_as_an_ordinary_one(press: Press) -> None:
    """ "Making balance top-ups using vouchers with encrypted PINs is done the same way as when using ordinary
    vouchers." """
    door = await press.door(allow_plain=True)
    sealed = await door.redeem(await press.print("2"), "101", "call-1", SOURCE)
    plain = await door.redeem(await press.print("2", password=None), "101", "call-2", SOURCE)
    assert isinstance(sealed, Redeemed)
    assert isinstance(plain, Redeemed)
    assert plain.balance - sealed.balance == sealed.balance - 10 == 2
    await door.close()


async def test_the_compound_pin_is_the_id_and_the_password(press: Press, vouchers: StoreVouchers) -> None:
    """ "When you combine 'id' and 'h323_password', you will have the voucher PIN, e.g., 8527544618853552477." """
    code = await press.print()
    voucher, password = code[: -len(PASSWORD)], code[-len(PASSWORD) :]
    assert outcome(await vouchers.redeem(voucher, "101", "call-1", GuessSource("1"))) == "password"
    assert outcome(await vouchers.redeem(password + voucher, "101", "call-2", GuessSource("2"))) == "unknown"
    assert outcome(await vouchers.redeem(voucher + password, "101", "call-3", GuessSource("3"))) == "ok"


async def test_the_stored_password_is_decrypted_and_validated(press: Press, vouchers: StoreVouchers) -> None:
    """ "When a voucher PIN is entered, the system decrypts the stored password, validates the voucher PIN, and tops up
    the balance." """
    code = await press.print()
    keys = KeyFile(press.keys.path)
    ring = keys.ring()
    keys.path.unlink()
    assert outcome(await vouchers.redeem(code, "101", "call-1", SOURCE)) == "password"
    keys.write(ring)
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    assert outcome(await vouchers.redeem(wrong, "101", "call-2", SOURCE)) == "password"
    assert outcome(await vouchers.redeem(code, "101", "call-3", SOURCE)) == "ok"


@pytest.mark.parametrize(("allowed", "expected"), [(False, "plain"), (True, "ok")])
async def test_vouchers_from_before_the_encryption_are_refused_unless_allowed(
    press: Press, allowed: bool, expected: str
) -> None:
    """ "Vouchers generated before the PIN encryption was enabled can't be used because their PINs don't contain the
    encrypted part. To enable their usage, set Yes for AllowVouchersWithoutPassword." """
    door = await press.door(allow_plain=allowed)
    assert outcome(await door.redeem(await press.print(password=None), "101", "call", SOURCE)) == expected
    await door.close()


async def test_a_voucher_is_first_checked_here_and_sent_outside_only_if_it_is_not_found(
    press: Press, tenant: Tenant
) -> None:
    """ "The voucher is first checked against the internal accounts. If the voucher is not found among the
    internal accounts, it is considered external and the voucher number is sent to the external voucher storage
    system." """
    async with SampleVoucherStore({"9990001": Decimal(5)}) as outside:
        door = await press.door(stores=[HttpVoucherStore("acme", outside.url)])
        assert outcome(await door.redeem(await press.print(expires=date(2020, 1, 1)), "101", "1", SOURCE)) == "expired"
        assert outside.requests == []
        assert outcome(await door.redeem("9990001", "101", "2", SOURCE)) == "ok"
        assert outside.requests == ["check", "deplete"]
        await door.close()


async def test_an_external_voucher_tops_up_its_face_value_and_is_marked_as_depleted(
    press: Press, tenant: Tenant
) -> None:
    """ "The account balance is topped up based on the voucher face value and the voucher is marked as depleted on the
    external voucher storage system." """
    async with SampleVoucherStore({"9990001": Decimal("5.55")}) as outside:
        door = await press.door(stores=[HttpVoucherStore("acme", outside.url)])
        assert outcome(await door.redeem("9990001", "101", "call", SOURCE)) == "ok"
        assert (await tenant.balance(2))[0] == Decimal("15.55")
        assert list(outside.depleted_by) == ["9990001"]
        assert outside.answer("check", {"code": "9990001"}) == {"valid": False}
        await door.close()


async def test_the_currency_of_an_external_voucher_is_the_customers(press: Press, tenant: Tenant) -> None:
    """ "For account top-up with external vouchers the currency of the voucher is assumed to be the same as that of the
    customer." """
    async with SampleVoucherStore({"9990001": Decimal(5)}) as outside:
        door = await press.door(stores=[HttpVoucherStore("acme", outside.url)])
        answer = await door.redeem("9990001", "101", "call", SOURCE)
        customers = await tenant.sql.fetchval(
            "SELECT b.currency FROM billing_customer c JOIN billing_balance b ON b.id = c.balance_id"
        )
        assert isinstance(answer, Redeemed)
        assert answer.currency == customers == "USD"
        await door.close()


@pytest.mark.parametrize("term", ["expire_after_first_use_days", "expire_after_last_use_days"])
async def test_a_recharge_extends_the_life_cycle_of_the_account(
    press: Press, vouchers: StoreVouchers, tenant: Tenant, term: str
) -> None:
    """ "If an account is adjusted to be available for 60 days after the first use, and the account's owner recharges
    the account 57 days after the date of its first use, the service is extended for another 60 days. The account
    recharge works analogically for account expiration after the last usage." """
    await tenant.sql.execute(f"UPDATE billing_account SET {term} = 60 WHERE id = 1")
    await tenant.sql.execute("SELECT touch_account(1, now() - interval '57 days')")
    answer = await vouchers.redeem(await press.print(), "101", "call", SOURCE)
    assert isinstance(answer, Redeemed)
    assert answer.expires_at is not None
    assert answer.days == 60
    today = await tenant.sql.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    assert answer.expires_at.date() == today + timedelta(days=61)  # the whole last day is usable
    assert await vouchers.redeem(await press.print(), "101", "another", SOURCE) != answer


async def test_an_expired_account_is_revived_by_a_recharge(
    press: Press, vouchers: StoreVouchers, tenant: Tenant, store: Store
) -> None:
    """ "Another important point regarding expiration options is that a voucher recharge operation extends the life
    cycle of an account." """
    await tenant.sql.execute("UPDATE billing_account SET expire_after_last_use_days = 10 WHERE id = 1")
    await tenant.sql.execute("SELECT touch_account(1, now() - interval '30 days')")
    caller = (await store.parties(caller="101", ani=None, dialled="201")).caller
    assert caller is not None
    assert caller.refusal is not None
    assert outcome(await vouchers.redeem(await press.print(), "101", "call", SOURCE)) == "ok"
    caller = (await store.parties(caller="101", ani=None, dialled="201")).caller
    assert caller is not None
    assert caller.refusal is None
