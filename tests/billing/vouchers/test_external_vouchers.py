# SPDX-License-Identifier: Apache-2.0
"""Vouchers of stores outside are depleted and credited once, whatever fails and whenever."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from billing_client.types import StoreRefused, StoreUnavailable
from billing_client.vouchers import external as external_vouchers
from billing_client.vouchers.http import HttpVoucherStore
from billing_client.vouchers.words import Redeemed, VoucherStoreUnavailable
from softswitch.demo.sample_vouchers import SampleVoucherStore
from tests.patience import PATIENCE_SECONDS
from tests.store.proxy import Proxy
from tests.store.vouchers import SOURCE, outcome, patience_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from billing_client.vouchers.redeeming import StoreVouchers
    from tests.store.conftest import Tenant
    from tests.store.vouchers import Press

pytestmark = pytest.mark.asyncio

DUE = "UPDATE billing_redemption SET due_at = now() - interval '1 second' WHERE state = 'pending'"


@pytest_asyncio.fixture
async def outside(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SampleVoucherStore]:
    """A store outside with vouchers 9990000 to 9990099, 5.00 each; nobody waits long for it."""
    monkeypatch.setattr(external_vouchers, "PAUSES", (0.01, 0.02))
    async with SampleVoucherStore({f"99900{n:02}": Decimal("5.00") for n in range(100)}, token="secret") as store:
        yield store


def adapter(outside: SampleVoucherStore, fault: str = "") -> HttpVoucherStore:
    """Who waits long for an answer, but for one that is to come too late."""
    return HttpVoucherStore("acme", outside.url, token="secret", timeout_seconds=patience_for(fault))


@pytest_asyncio.fixture
async def door(press: Press, outside: SampleVoucherStore) -> AsyncIterator[StoreVouchers]:
    """Asks the store outside; locks late."""
    found = await press.door(stores=[adapter(outside)], lock_after=1000)
    yield found
    await found.close()


async def states(tenant: Tenant) -> list[str]:
    rows = await tenant.sql.fetch("SELECT state FROM billing_redemption WHERE digest IS NOT NULL ORDER BY created_at")
    return [row["state"] for row in rows]


async def asked(outside: SampleVoucherStore, path: str) -> None:
    """Wait until the store outside has been asked."""
    while path not in outside.requests:  # noqa: ASYNC110 (it is another program in real life)
        await asyncio.sleep(0.001)


async def test_a_code_that_is_not_found_here_is_redeemed_outside(
    door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    answer = await door.redeem("9990001", "101", "call-1", SOURCE)
    assert isinstance(answer, Redeemed)
    assert (answer.amount, answer.currency, answer.balance) == (Decimal(5), "USD", Decimal(15))
    assert outside.depleted_by == {"9990001": "call-1"}
    assert await states(tenant) == ["done"]
    assert await door.redeem("9990001", "101", "call-1", SOURCE) == answer
    assert outside.requests == ["check", "deplete"]
    assert outcome(await door.redeem("9990001", "101", "call-2", SOURCE)) == "used"
    assert outcome(await door.redeem("9990001", "301", "call-3", SOURCE)) == "used"
    assert (await tenant.balance(2))[0] == 15
    assert await tenant.audit() == []


async def test_a_code_that_is_found_here_is_never_sent_outside(
    press: Press, door: StoreVouchers, outside: SampleVoucherStore
) -> None:
    code = await press.print()
    assert outcome(await door.redeem(code[:-1] + "0", "101", "call-1", SOURCE)) == "password"
    assert outcome(await door.redeem(code, "101", "call-2", SOURCE)) == "ok"
    assert outside.requests == []


async def test_a_code_that_nobody_knows_leaves_nothing_behind(door: StoreVouchers, tenant: Tenant) -> None:
    assert outcome(await door.redeem("1234567", "101", "call-1", SOURCE)) == "unknown"
    assert outcome(await door.redeem("1234567", "101", "call-2", SOURCE)) == "unknown"
    assert await states(tenant) == []
    failures = await tenant.sql.fetchval("SELECT failures FROM billing_voucherguess WHERE subject = 'account 101'")
    assert failures == 2


async def test_the_code_is_no_text_in_the_store(
    door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    outside.faults = ["deplete:error"] * 3
    assert outcome(await door.redeem("9990001", "101", "call-1", SOURCE)) == "pending"
    row = await tenant.sql.fetchrow("SELECT r::text AS whole, sealed FROM billing_redemption r")
    assert row is not None
    assert "9990001" not in row["whole"]
    assert b"9990001" not in row["sealed"]


async def test_an_account_in_another_currency_than_its_customer_is_not_recharged_from_outside(
    door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    await tenant.sql.execute(
        "INSERT INTO billing_balance (id, kind, currency) VALUES (9, 'debit', 'EUR');"
        "INSERT INTO billing_account (id, number, customer_id, kind, balance_id, password)"
        " VALUES (9, '901', 1, 'debit', 9, '')"
    )
    assert outcome(await door.redeem("9990001", "901", "call-1", SOURCE)) == "currency"
    assert outside.requests == []


async def test_a_subordinate_account_asks_nobody(door: StoreVouchers, outside: SampleVoucherStore) -> None:
    assert outcome(await door.redeem("9990001", "201", "call-1", SOURCE)) == "kind"
    assert outside.requests == []


@pytest.mark.parametrize("fault", ["error", "lost", "garbage", "slow"])
async def test_a_store_that_fails_once_is_asked_again_with_the_same_key(
    press: Press, outside: SampleVoucherStore, tenant: Tenant, fault: str
) -> None:
    door = await press.door(stores=[adapter(outside, fault)])
    outside.faults = [f"deplete:{fault}"]
    assert outcome(await door.redeem("9990001", "101", "call-1", SOURCE)) == "ok"
    assert outside.requests == ["check", "deplete", "deplete"]
    assert (await tenant.balance(2))[0] == 15
    assert await tenant.audit() == []
    await door.close()


@pytest.mark.parametrize("fault", ["error", "lost", "garbage"])
async def test_a_store_that_goes_on_failing_is_reconciled_later(
    door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant, fault: str
) -> None:
    outside.faults = [f"deplete:{fault}"] * 4
    assert outcome(await door.redeem("9990001", "101", "call-1", SOURCE)) == "pending"
    assert (await tenant.balance(2))[0] == 10
    assert await door.reconcile() == 0  # it is not due yet
    await tenant.sql.execute(DUE)
    assert await door.reconcile() == 0  # the fourth fault
    await tenant.sql.execute(DUE)
    assert await door.reconcile() == 1
    assert (await tenant.balance(2))[0] == 15
    assert await states(tenant) == ["done"]
    assert await tenant.audit() == []
    assert outcome(await door.redeem("9990001", "101", "call-1", SOURCE)) == "ok"


async def test_whoever_asks_again_takes_the_pending_redemption_over(
    door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    outside.faults = ["deplete:lost"] * 3
    assert outcome(await door.redeem("9990001", "101", "call-1", SOURCE)) == "pending"
    assert outcome(await door.redeem("9990001", "301", "call-2", SOURCE)) == "used"
    assert outcome(await door.redeem("9990001", "101", "call-3", SOURCE)) == "ok"
    assert outside.depleted_by == {"9990001": "call-1"}
    assert (await tenant.balance(2))[0] == 15


@pytest.mark.parametrize("fault", ["error", "silent", "garbage", "lost"])
async def test_a_store_that_cannot_even_check_leaves_the_voucher_as_it_was(
    press: Press, outside: SampleVoucherStore, tenant: Tenant, fault: str
) -> None:
    door = await press.door(stores=[adapter(outside, fault)])
    outside.faults = [f"check:{fault}"]
    assert outcome(await door.redeem("9990001", "101", "call-1", SOURCE)) == "unavailable"
    assert await states(tenant) == []
    assert outcome(await door.redeem("9990001", "101", "call-1", SOURCE)) == "ok"
    await door.close()


async def test_an_amount_that_is_none_credits_nothing(
    door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    for number, amount in enumerate(("0", "-5", "NaN", "Infinity", "0.000001", "1e30")):
        outside.vouchers["9990001"] = Decimal(amount)
        assert outcome(await door.redeem("9990001", "101", f"call-{number}", SOURCE)) == "unavailable"
    assert outside.depleted_by == {}
    assert (await tenant.balance(2))[0] == 10


async def test_a_voucher_that_somebody_else_depleted_meanwhile_is_used(
    door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    outside.faults = ["deplete:error"]

    async def taken() -> None:
        await asked(outside, "deplete")
        outside.depleted_by["9990001"] = "another"

    answer, _ = await asyncio.gather(door.redeem("9990001", "101", "call-1", SOURCE), taken())
    assert outcome(answer) == "used"
    assert await states(tenant) == ["refused"]
    assert (await tenant.balance(2))[0] == 10
    assert await tenant.audit() == []


async def test_several_stores_are_asked_in_their_order(
    press: Press, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    async with SampleVoucherStore({"7770001": Decimal(3)}, token="secret") as second:
        stores = [
            adapter(outside),
            HttpVoucherStore("second", second.url, token="secret", timeout_seconds=PATIENCE_SECONDS),
        ]
        door = await press.door(stores=stores)
        assert outcome(await door.redeem("7770001", "101", "call-1", SOURCE)) == "ok"
        assert outside.requests == ["check"]
        assert await tenant.sql.fetchval("SELECT store FROM billing_redemption") == "second"
        await door.close()


async def test_one_code_at_once_from_many_calls_credits_once(
    press: Press, door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    another = await press.door(stores=[adapter(outside)], lock_after=1000)
    answers = await asyncio.gather(
        *((door, another)[n % 2].redeem("9990001", ("101", "301")[n % 3 == 0], f"call-{n}", SOURCE) for n in range(60))
    )
    await tenant.sql.execute(DUE)  # of one that the store outside answered too late
    await door.reconcile()
    credited = (await tenant.balance(2))[0] - 10 - (await tenant.balance(3))[0]
    assert credited == 5
    assert {outcome(answer) for answer in answers} <= {"ok", "used", "unavailable", "pending"}
    assert await tenant.audit() == []
    await another.close()


class Slow:
    """A store outside that answers when the test says so; it knows one voucher, until that is depleted."""

    name = "slow"

    def __init__(self) -> None:
        self.asked: list[asyncio.Event] = []
        self.is_depleted = False

    async def check(self, code: str) -> Decimal | None:
        """What it is worth by the time of the answer."""
        answer = asyncio.Event()
        self.asked.append(answer)
        await answer.wait()
        return None if self.is_depleted else Decimal(5)

    async def deplete(self, code: str, key: str) -> bool:
        """It goes to the first."""
        self.is_depleted = True
        return True

    async def close(self) -> None:
        """Nothing is open."""

    async def questions(self, count: int) -> None:
        """Wait until so many have come."""
        while len(self.asked) < count:  # noqa: ASYNC110 (it is another program in real life)
            await asyncio.sleep(0.001)


async def test_a_code_that_was_redeemed_while_it_was_asked_for_is_used_and_not_unknown(
    press: Press, tenant: Tenant
) -> None:
    """Case H9: two calls of one account, of which the second hears of the code after the first has used it."""
    store = Slow()
    door = await press.door(stores=[store], lock_after=1000)
    first = asyncio.create_task(door.redeem("9990001", "101", "call-1", SOURCE))
    await store.questions(1)
    second = asyncio.create_task(door.redeem("9990001", "101", "call-2", SOURCE))
    await store.questions(2)
    store.asked[0].set()
    assert outcome(await first) == "ok"
    store.asked[1].set()
    assert outcome(await second) == "used"
    assert (await tenant.balance(2))[0] == 15
    await door.close()


async def test_a_code_that_somebody_else_redeems_meanwhile_is_not_unknown(press: Press, tenant: Tenant) -> None:
    """Case H9, its neighbour: the redemption was given up by another node, and the code redeemed by another account."""
    store = Slow()
    door = await press.door(stores=[store], lock_after=1000)
    first = asyncio.create_task(door.redeem("9990001", "101", "call-1", SOURCE))
    await store.questions(1)
    await tenant.sql.execute(DUE)
    assert await door.reconcile() == 1
    second = asyncio.create_task(door.redeem("9990001", "301", "call-2", SOURCE))
    await store.questions(2)
    store.asked[1].set()
    assert outcome(await second) == "ok"
    store.asked[0].set()
    assert outcome(await first) == "used"
    await door.close()


async def test_a_redemption_that_was_given_up_before_the_store_was_told_is_dropped(
    press: Press, door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    outside.faults = ["check:silent"]
    task = asyncio.create_task(door.redeem("9990001", "101", "call-1", SOURCE))
    await asked(outside, "check")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await states(tenant) == ["pending"]
    await tenant.sql.execute(DUE)
    assert await door.reconcile() == 1
    assert await states(tenant) == []
    assert outside.depleted_by == {}


async def test_a_key_of_an_external_code_serves_no_other(door: StoreVouchers) -> None:
    await door.redeem("9990001", "101", "call-1", SOURCE)
    with pytest.raises(StoreRefused):
        await door.redeem("9990002", "101", "call-1", SOURCE)
    with pytest.raises(StoreRefused):
        await door.redeem("9990001", "301", "call-1", SOURCE)


async def test_crashes_and_faults_at_any_point_neither_lose_nor_double(
    press: Press, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    """Calls are cancelled, connections cut, answers lost; then reconciled as the next start does it."""
    randomness = random.Random(7)
    outside.faults = [f"deplete:{randomness.choice(['lost', 'error', 'garbage'])}" for _ in range(25)]
    async with Proxy(press.dsn) as proxy:
        door = await press.door(dsn=proxy.dsn, stores=[adapter(outside)], lock_after=1000, timeout_seconds=2)

        async def attempt(number: int) -> None:
            await asyncio.sleep(randomness.uniform(0, 0.8))
            task = asyncio.create_task(door.redeem(f"99900{number:02}", "101", f"key-{number}", SOURCE))
            if randomness.random() < 0.4:
                await asyncio.sleep(randomness.uniform(0, 0.05))
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        async def cut() -> None:
            for _ in range(20):
                await asyncio.sleep(randomness.uniform(0, 0.06))
                proxy.cut()

        await asyncio.gather(cut(), *map(attempt, range(50)))
        await door.close()
    survivor = await press.door(stores=[adapter(outside)], lock_after=1000)
    outside.faults = []
    await tenant.sql.execute(DUE)
    while await survivor.reconcile():
        pass
    assert set(await states(tenant)) == {"done"}
    assert (await tenant.balance(2))[0] == 10 + 5 * len(outside.depleted_by)
    assert await tenant.audit() == []
    await survivor.close()


async def test_a_pending_redemption_is_a_finding_of_the_audit_after_a_while(
    door: StoreVouchers, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    outside.faults = ["deplete:error"] * 3
    await door.redeem("9990001", "101", "call-1", SOURCE)
    assert await tenant.audit() == []
    await tenant.sql.execute("UPDATE billing_redemption SET created_at = created_at - interval '1 hour'")
    found = await tenant.audit()
    assert [(row["finding"], row["subject"]) for row in found] == [("external voucher is pending", "redemption call-1")]


async def test_a_store_that_nobody_serves_any_more_is_waited_for(
    press: Press, outside: SampleVoucherStore, tenant: Tenant
) -> None:
    door = await press.door(stores=[adapter(outside)])
    outside.faults = ["deplete:error"] * 3
    assert outcome(await door.redeem("9990001", "101", "call-1", SOURCE)) == "pending"
    await door.close()
    other = await press.door(stores=[HttpVoucherStore("other", outside.url)])
    await tenant.sql.execute(DUE)
    assert await other.reconcile() == 0
    assert await states(tenant) == ["pending"]
    await other.close()


async def test_a_wrong_token_is_no_answer(outside: SampleVoucherStore) -> None:
    store = HttpVoucherStore("acme", outside.url, timeout_seconds=PATIENCE_SECONDS)
    with pytest.raises(VoucherStoreUnavailable, match="status 401"):
        await store.check("9990001")
    await store.close()


async def test_the_store_of_ours_going_away_is_told(press: Press, outside: SampleVoucherStore, tenant: Tenant) -> None:
    async with Proxy(press.dsn) as proxy:
        door = await press.door(dsn=proxy.dsn, stores=[adapter(outside)], timeout_seconds=0.5)
        outside.faults = ["deplete:error"] * 2
        task = asyncio.create_task(door.redeem("9990001", "101", "call-1", SOURCE))
        await asked(outside, "deplete")
        proxy.refuses = True
        proxy.cut()
        with pytest.raises(StoreUnavailable):
            await task
        await door.close()
    assert outside.depleted_by == {"9990001": "call-1"}
    door = await press.door(stores=[adapter(outside)])
    assert outcome(await door.redeem("9990001", "101", "call-1", SOURCE)) == "ok"
    assert (await tenant.balance(2))[0] == 15
    await door.close()
