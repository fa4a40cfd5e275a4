# SPDX-License-Identifier: Apache-2.0
"""Vouchers are redeemed once, by whom and when they may be, and their passwords are no text in the store."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from billing_client.types import StoreRefused, StoreUnavailable
from billing_client.vouchers.words import GuessSource, Redeemed, VoucherRejected
from tests.store.proxy import Proxy
from tests.store.vouchers import PASSWORD, SOURCE, outcome

if TYPE_CHECKING:
    from billing_client.vouchers.redeeming import StoreVouchers
    from tests.store.conftest import Tenant
    from tests.store.vouchers import Press

pytestmark = pytest.mark.asyncio


async def test_a_voucher_credits_a_debit_account(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    code = await press.print("7.50")
    answer = await vouchers.redeem(code, "101", "call-1", SOURCE)
    assert answer == Redeemed(
        amount=Decimal("7.50"), currency="USD", balance=Decimal("17.50"), available=Decimal("17.50"),
        expires_at=None, days=None,
    )  # fmt: skip
    assert await tenant.balance(2) == (Decimal("17.50"), 0, Decimal("17.50"))
    assert await tenant.audit() == []


async def test_a_voucher_pays_off_the_debt_of_a_credit_account_with_a_limit_of_its_own(
    press: Press, vouchers: StoreVouchers, tenant: Tenant
) -> None:
    assert outcome(await vouchers.redeem(await press.print("7"), "301", "call-1", SOURCE)) == "ok"
    assert await tenant.balance(3) == (-7, 0, 12)
    assert await tenant.audit() == []


async def test_an_alias_leads_to_the_account(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('42073723123@pstn', 1)")
    assert outcome(await vouchers.redeem(await press.print("7"), "42073723123@pstn", "call-1", SOURCE)) == "ok"
    assert (await tenant.balance(2))[0] == 17


async def test_a_subordinate_account_cannot_be_recharged(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    code = await press.print()
    assert outcome(await vouchers.redeem(code, "201", "call-1", SOURCE)) == "kind"
    assert outcome(await vouchers.redeem("123", "201", "call-1", SOURCE)) == "kind"
    assert outcome(await vouchers.redeem(code, "nobody", "call-2", SOURCE)) == "account"
    await tenant.sql.execute("UPDATE billing_account SET state = 'closed' WHERE id = 1")
    assert outcome(await vouchers.redeem(code, "101", "call-3", SOURCE)) == "account"
    assert outcome(await vouchers.redeem(code, "301", "call-4", SOURCE)) == "ok"


async def test_each_refusal_has_its_own_reason_inside(press: Press, tenant: Tenant) -> None:
    vouchers = await press.door(lock_after=1000)
    today = datetime.now(UTC).date()
    codes = {
        "inactive": await press.print(state="inactive"),
        "blocked": await press.print(state="blocked"),
        "expired": await press.print(expires=today - timedelta(days=1)),
        "currency": await press.print(currency="EUR"),
        "realm": await press.print(sub_realm="north"),
        "plain": await press.print(password=None),
        "password": (await press.print())[:-1] + "0",
        "unknown": "1234567890123456789",
        "used": await press.print(),
    }
    assert outcome(await vouchers.redeem(codes["used"], "101", "first", SOURCE)) == "ok"
    for number, (reason, code) in enumerate(codes.items()):
        assert outcome(await vouchers.redeem(code, "101", f"call-{number}", SOURCE)) == reason
    for number, code in enumerate(("", "٨٥٢٧٥", "a" * 300, "12\x0034", codes["used"] + "1")):
        assert outcome(await vouchers.redeem(code, "101", f"odd-{number}", SOURCE)) in ("unknown", "password")
    assert (await tenant.balance(2))[0] == 20
    assert await tenant.audit() == []
    await vouchers.close()


async def test_a_voucher_without_a_password_counts_where_that_is_allowed(press: Press) -> None:
    vouchers = await press.door(allow_plain=True)
    assert outcome(await vouchers.redeem(await press.print(password=None), "101", "call-1", SOURCE)) == "ok"
    sealed = await press.print()
    assert outcome(await vouchers.redeem(sealed[: -len(PASSWORD)], "101", "call-2", SOURCE)) == "password"
    assert outcome(await vouchers.redeem(sealed, "101", "call-3", SOURCE)) == "ok"
    await vouchers.close()


async def test_spaces_and_dashes_in_a_code_say_nothing(press: Press, vouchers: StoreVouchers) -> None:
    code = await press.print()
    assert outcome(await vouchers.redeem(f"{code[:4]} {code[4:9]}-{code[9:]}", "101", "call-1", SOURCE)) == "ok"


async def test_a_sub_realm_must_be_the_accounts(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    await tenant.sql.execute("UPDATE billing_account SET sub_realm = 'north' WHERE id = 1")
    assert outcome(await vouchers.redeem(await press.print(), "101", "call-1", SOURCE)) == "realm"
    assert outcome(await vouchers.redeem(await press.print(sub_realm="north"), "101", "call-2", SOURCE)) == "ok"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
async def test_a_voucher_expires_when_its_day_begins_where_the_customer_is(
    press: Press, vouchers: StoreVouchers, tenant: Tenant, zone: str
) -> None:
    await tenant.sql.execute("UPDATE billing_customer SET timezone = $1", zone)
    today: date = await tenant.sql.fetchval("SELECT (now() AT TIME ZONE $1)::date", zone)
    assert outcome(await vouchers.redeem(await press.print(expires=today), "101", "call-1", SOURCE)) == "expired"
    tomorrow = today + timedelta(days=1)
    assert outcome(await vouchers.redeem(await press.print(expires=tomorrow), "101", "call-2", SOURCE)) == "ok"


async def test_the_same_key_gives_the_same_answer(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    code = await press.print()
    first = await vouchers.redeem(code, "101", "call-1", SOURCE)
    await tenant.sql.execute("SELECT post_entry('withdrawal:1', 2, -3, 'withdrawal', '')")
    assert await vouchers.redeem(code, "101", "call-1", SOURCE) == first
    assert (await tenant.balance(2))[0] == 17
    assert outcome(await vouchers.redeem(code, "101", "call-2", SOURCE)) == "used"


async def test_a_key_serves_one_voucher_and_one_account(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    code, other = await press.print(), await press.print()
    await vouchers.redeem(code, "101", "call-1", SOURCE)
    with pytest.raises(StoreRefused):
        await vouchers.redeem(other, "101", "call-1", SOURCE)
    with pytest.raises(StoreRefused):
        await vouchers.redeem(code, "301", "call-1", SOURCE)
    with pytest.raises(ValueError):
        await vouchers.redeem(code, "101", "", SOURCE)
    both = await asyncio.gather(
        *(vouchers.redeem(one, "101", "call-2", SOURCE) for one in (other, await press.print())),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in both) == ["Redeemed", "StoreRefused"]
    assert (await tenant.balance(2))[0] == 30


async def test_the_same_key_at_once_credits_once(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    code = await press.print()
    answers = await asyncio.gather(*(vouchers.redeem(code, "101", "call-1", SOURCE) for _ in range(20)))
    assert {outcome(answer) for answer in answers} == {"ok"}
    assert (await tenant.balance(2))[0] == 20


async def test_no_password_is_text_in_the_store(press: Press, tenant: Tenant) -> None:
    code = await press.print()
    row = await tenant.sql.fetchrow("SELECT v::text AS whole, sealed FROM billing_voucher v")
    assert row is not None
    assert PASSWORD not in row["whole"]
    assert PASSWORD.encode() not in row["sealed"]
    assert code not in row["whole"]


async def test_what_was_sealed_opens_for_its_own_voucher_only(press: Press, tenant: Tenant) -> None:
    vouchers = await press.door(lock_after=1000)
    dear, cheap = await press.print("100", password="11111111"), await press.print("1", password="22222222")
    sealed = "UPDATE billing_voucher SET sealed = (SELECT sealed FROM billing_voucher WHERE id = $1) WHERE id = $2"
    await tenant.sql.execute(sealed, cheap[:-8], dear[:-8])
    for code in (dear, dear[:-8] + "22222222"):
        assert outcome(await vouchers.redeem(code, "101", code, SOURCE)) == "password"
    await vouchers.close()


async def test_a_key_that_came_after_the_start_is_found(press: Press, vouchers: StoreVouchers) -> None:
    assert outcome(await vouchers.redeem(await press.print(), "101", "call-1", SOURCE)) == "ok"
    press.keys.write(press.keys.ring().with_new_key())
    assert outcome(await vouchers.redeem(await press.print(), "101", "call-2", SOURCE)) == "ok"


async def test_without_its_key_a_voucher_is_not_redeemed(press: Press, vouchers: StoreVouchers) -> None:
    code = await press.print()
    press.keys.path.unlink()
    assert outcome(await vouchers.redeem(code, "101", "call-1", SOURCE)) == "password"


async def test_wrong_codes_make_the_answers_late_and_then_lock(press: Press) -> None:
    vouchers = await press.door(lock_after=7)
    code = await press.print()
    delays = []
    for number in range(7):
        answer = await vouchers.redeem("1234567890", "101", f"call-{number}", SOURCE)
        assert isinstance(answer, VoucherRejected)
        delays.append(answer.delay_seconds)
    assert delays == [1, 2, 4, 8, 16, 30, 30]
    assert outcome(await vouchers.redeem(code, "101", "call-8", SOURCE)) == "locked"
    assert outcome(await vouchers.redeem(code, "101", "call-10", GuessSource("420600", "*99"))) == "locked"
    answer = await vouchers.redeem(code, "301", "call-11", SOURCE)
    assert outcome(answer) == "ok"
    await vouchers.close()


@pytest.mark.parametrize("guesses", [300, 10])
async def test_no_more_codes_are_looked_at_than_may_be_wrong_however_many_calls_try_at_once(
    press: Press, tenant: Tenant, guesses: int
) -> None:
    """Case A8."""
    right = await press.print()
    nodes = [await press.door(lock_after=9) for _ in range(2)]
    codes = [f"{number:011}" for number in range(guesses)]
    codes[-1] = right  # of the last one who tries
    answers = await asyncio.gather(
        *(nodes[turn % 2].redeem(code, "101", f"call-{turn}", SOURCE) for turn, code in enumerate(codes))
    )
    found = Counter(map(outcome, answers))
    assert found["unknown"] == 9  # a right one gives its slot back
    assert found["locked"] + found["ok"] == guesses - 9
    alarms = await tenant.sql.fetch("SELECT subject FROM billing_auditlog WHERE action = 'vouchers.guessing'")
    assert [row["subject"] for row in alarms if row["subject"].startswith("account")] == ["account 101"]
    for node in nodes:
        await node.close()


async def test_codes_of_a_store_outside_are_counted_before_it_is_asked(press: Press) -> None:
    """Case A8, its neighbour."""
    outside = _Asked()
    vouchers = await press.door(lock_after=9, stores=[outside])
    answers = await asyncio.gather(
        *(vouchers.redeem(f"999{turn:05}", "101", f"call-{turn}", SOURCE) for turn in range(60))
    )
    assert Counter(map(outcome, answers)) == {"unknown": 9, "locked": 51}
    assert len(outside.checked) == 9
    await vouchers.close()


class _Asked:
    """A store of vouchers outside that knows none."""

    name = "outside"

    def __init__(self) -> None:
        self.checked: list[str] = []

    async def check(self, code: str) -> None:
        self.checked.append(code)
        await asyncio.sleep(0.05)

    async def deplete(self, code: str, key: str) -> bool:
        raise AssertionError(code, key)

    async def close(self) -> None:
        """Nothing is open."""


async def test_right_codes_at_once_take_no_slots_from_each_other(press: Press, tenant: Tenant) -> None:
    vouchers = await press.door(lock_after=2)
    codes = [await press.print("1") for _ in range(12)]
    answers = await asyncio.gather(*(vouchers.redeem(code, "101", code, SOURCE) for code in codes))
    assert set(map(outcome, answers)) == {"ok"}
    assert (
        await tenant.sql.fetchval("SELECT max(failures) FROM billing_voucherguess WHERE subject LIKE 'account %'") == 0
    )
    await vouchers.close()


async def test_the_same_guess_asked_again_under_its_key_is_no_further_one(
    press: Press, vouchers: StoreVouchers
) -> None:
    await press.tenant.sql.execute("INSERT INTO billing_voucherguess (subject, weight) VALUES ('account 101', 1)")
    async with press.tenant.sql.transaction():
        await press.tenant.sql.execute("SELECT FROM billing_voucherguess FOR UPDATE")
        for _ in range(3):  # as a call does whose store does not answer: the task is gone before the answer is
            task = asyncio.create_task(vouchers.redeem("1234567890", "101", "call-1", SOURCE))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert outcome(await vouchers.redeem(await press.print(), "101", "call-2", SOURCE)) == "ok"


async def test_wrong_codes_under_somebody_elses_number_lock_nobody_else(press: Press, vouchers: StoreVouchers) -> None:
    """Case A9: the attacker shows the number of the owner of 301, and only his own account pays for it."""
    for number in range(5):
        await vouchers.redeem("1234567890", "101", f"wrong-{number}", SOURCE)
    answer = await vouchers.redeem(await press.print(), "301", "honest", SOURCE)
    assert isinstance(answer, Redeemed)
    assert answer.delay_seconds == 0


async def test_an_account_that_a_number_alone_identified_is_locked_by_that_way_only(
    press: Press, vouchers: StoreVouchers
) -> None:
    """Case A9, its neighbour: who guesses by a number that a carrier vouches for locks no phone of ours."""
    by_number = GuessSource("42073723123", "*99", gateway="carrier", is_vouched=True)
    for number in range(3):
        await vouchers.redeem("1234567890", "101", f"wrong-{number}", by_number)
    code = await press.print()
    assert outcome(await vouchers.redeem(code, "101", "again", by_number)) == "locked"
    assert outcome(await vouchers.redeem(code, "101", "own", GuessSource("101", "*99", phone="101"))) == "ok"


async def test_locks_double_and_end(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    lasted = []
    for number in range(9):
        await vouchers.redeem("1234567890", "101", f"call-{number}", SOURCE)
        left = await tenant.sql.fetchval(
            "SELECT max(locked_until) - now() FROM billing_voucherguess WHERE subject LIKE 'a%'"
        )
        if left and left > timedelta(0):
            lasted.append(round(left.total_seconds() / 10) * 10)
            await tenant.sql.execute("UPDATE billing_voucherguess SET locked_until = locked_until - $1::interval", left)
    assert lasted == [100, 200, 400]
    assert outcome(await vouchers.redeem(await press.print(), "101", "call-10", SOURCE)) == "ok"


async def test_a_right_code_lowers_no_count(press: Press, vouchers: StoreVouchers) -> None:
    for number in range(2):
        await vouchers.redeem("1234567890", "101", f"wrong-{number}", SOURCE)
    right = await vouchers.redeem(await press.print(), "101", "right", SOURCE)
    assert isinstance(right, Redeemed)
    assert right.delay_seconds == 2
    await vouchers.redeem("1234567890", "101", "wrong-3", SOURCE)
    assert outcome(await vouchers.redeem(await press.print(), "101", "right-2", SOURCE)) == "locked"


async def test_wrong_codes_are_forgotten_in_time(press: Press, vouchers: StoreVouchers, tenant: Tenant) -> None:
    for number in range(3):
        await vouchers.redeem("1234567890", "101", f"wrong-{number}", SOURCE)
    await tenant.sql.execute(
        "UPDATE billing_voucherguess SET at = at - interval '25 hours', since = since - interval '25 hours',"
        " locked_until = locked_until - interval '25 hours'"
    )
    answer = await vouchers.redeem("1234567890", "101", "again", SOURCE)
    assert answer == VoucherRejected("unknown", 1)
    await tenant.sql.execute("UPDATE billing_voucherguess SET at = at - interval '25 hours'")
    await vouchers.reconcile()
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_voucherguess") == 0


async def test_whoever_scans_a_prefix_from_many_numbers_raises_an_alarm(
    press: Press, vouchers: StoreVouchers, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[object] = []
    await tenant.sql.add_listener("softswitch", lambda *event: heard.append(event[-1]))
    for number in range(30):
        source = GuessSource(f"4206{number:05}", f"*{number}")
        assert outcome(await vouchers.redeem(f"8527544{number:04}", f"nobody{number}", "k", source)) == "account"
        await tenant.sql.execute("DELETE FROM billing_voucherguess WHERE subject LIKE 'account %'")
        assert outcome(await vouchers.redeem(f"8527544{number:04}99", "101", f"k{number}", source)) == "unknown"
    assert [record.subject for record in caplog.records if hasattr(record, "subject")] == ["prefix 8527544xxxx"] * 2
    rows = await tenant.sql.fetch("SELECT actor, action, subject FROM billing_auditlog")
    assert [tuple(row) for row in rows] == [("store", "vouchers.guessing", "prefix 8527544xxxx")] * 2
    await tenant.sql.execute("SELECT 1")
    assert "guessing:prefix 8527544xxxx" in heard
    # Case A9: whoever has a voucher that begins alike hears nothing of it, however many were wrong.
    await tenant.sql.execute("DELETE FROM billing_voucherguess WHERE subject LIKE 'account %'")
    await tenant.sql.execute("UPDATE billing_voucherguess SET failures = 899 WHERE subject LIKE 'prefix %'")
    await vouchers.redeem("85275440000", "101", "wrong", GuessSource("1", "2"))
    answer = await vouchers.redeem(await press.print(), "301", "x", GuessSource("1", "2"))
    assert isinstance(answer, Redeemed)
    assert answer.delay_seconds == 0


async def test_an_unknown_code_takes_as_long_as_a_known_one(press: Press) -> None:
    vouchers = await press.door(lock_after=100_000)
    known = (await press.print())[:-1] + "0"
    unknown = "9" * len(known)
    taken: dict[str, list[float]] = {known: [], unknown: []}
    for number in range(300):
        code = (known, unknown)[number % 2]
        begin = time.perf_counter()
        await vouchers.redeem(code, "101", f"call-{number}", SOURCE)
        taken[code].append(time.perf_counter() - begin)
    medians = [sorted(times)[len(times) // 2] for times in taken.values()]
    assert 0.7 < medians[0] / medians[1] < 1.4
    await vouchers.close()


async def test_a_connection_that_is_cut_at_any_moment_neither_loses_nor_doubles(press: Press, tenant: Tenant) -> None:
    randomness = random.Random(5)
    codes = [await press.print("1") for _ in range(60)]
    async with Proxy(press.dsn) as proxy:
        vouchers = await press.door(dsn=proxy.dsn, timeout_seconds=2)

        async def redeemed(code: str) -> str:
            await asyncio.sleep(randomness.uniform(0, 0.5))
            while True:
                try:
                    return outcome(await vouchers.redeem(code, "101", f"key-{code}", SOURCE))
                except StoreUnavailable:
                    await asyncio.sleep(0.02)

        async def cut() -> None:
            for _ in range(25):
                await asyncio.sleep(randomness.uniform(0, 0.04))
                proxy.cut()

        _, *answers = await asyncio.gather(cut(), *map(redeemed, codes))
        assert set(answers) == {"ok"}
        await vouchers.close()
    assert (await tenant.balance(2))[0] == 70
    assert await tenant.audit() == []


async def test_a_redemption_whose_caller_hung_up_is_whole_or_nothing(press: Press, tenant: Tenant) -> None:
    vouchers = await press.door(connections=2)
    for number in range(1, 41):
        code = await press.print("1")
        task = asyncio.create_task(vouchers.redeem(code, "101", f"key-{number}", SOURCE))
        await asyncio.sleep(number * 0.0002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert outcome(await vouchers.redeem(code, "101", f"key-{number}", SOURCE)) == "ok"
        assert (await tenant.balance(2))[0] == 10 + number
    await vouchers.close()
