# SPDX-License-Identifier: Apache-2.0
"""What is specified of accounts, sentence by sentence, on a real store: balances, names, use. The life cycle itself is
pure and has its sentences in test_lifecycle.py; what phones see of it is in
tests/switch/access/test_account_life.py."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from billing_client.selfcare import Login, StoreSelfCare
from billing_client.store import Store
from billing_client.types import StoreEvent
from billing_client.vouchers.words import GuessSource
from tests.patience import PATIENCE_SECONDS
from tests.store.bindings import binding
from tests.store.calls import STARTED_AT, CallDesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from billing_client.mailboxes.mailboxes import StoreMailboxes
    from tests.store.conftest import Tenant

ANSWERED_AT = STARTED_AT + timedelta(seconds=2)
USE = "SELECT first_used_at, last_used_at, renewed_at FROM billing_accountuse WHERE account_id = $1"
TERM = "UPDATE billing_account SET expire_after_last_use_days = 25 WHERE id = 1"


async def uses(tenant: Tenant, account_id: int) -> tuple[datetime | None, ...]:
    """First use, last use, recharge."""
    row = await tenant.sql.fetchrow(USE, account_id)
    return () if row is None else tuple(row)


async def call(desk: CallDesk, who: tuple[int, int], price: str, **fields: Any) -> str:
    """A call that was answered and costs so much; what became of its first lock."""
    call_id, grant = await desk.start(who, price, **fields)
    if grant.refusal is not None:
        return grant.refusal
    await desk.finish(call_id, price)
    return "charged"


@pytest_asyncio.fixture
async def selfcare(dsn: str, tenant: Tenant) -> AsyncIterator[StoreSelfCare]:
    """The door of calling cards."""
    door = await StoreSelfCare.connect(dsn, node="test")
    yield door
    await door.close()


# Debit


@pytest.mark.asyncio
async def test_a_debit_balance_begins_with_the_opening_balance_and_decreases_with_every_call(
    desk: CallDesk, tenant: Tenant
) -> None:
    """The specification: "The balance shows the available funds on the account. Initially, the balance is equal
    to the "opening balance" (typically the prepaid amount), and decreases with every call made." """
    assert (await tenant.balance(2))[0] == 10
    assert await call(desk, tenant.debit, "4") == "charged"
    assert await tenant.balance(2) == (6, 0, 6)


@pytest.mark.asyncio
async def test_a_debit_account_is_unusable_at_zero(desk: CallDesk, tenant: Tenant) -> None:
    """The specification: "The account is unusable when the balance hits zero." """
    assert await call(desk, tenant.debit, "10") == "charged"
    assert await tenant.balance(2) == (0, 0, 0)
    assert await call(desk, tenant.debit, "0.01") == "funds"
    assert (await desk.start(tenant.debit, 0))[1].refusal is None  # what costs nothing, such as to recharge it


# Credit


@pytest.mark.asyncio
async def test_a_credit_account_makes_any_number_of_calls_at_a_time(desk: CallDesk, tenant: Tenant) -> None:
    """The specification: "Unlimited number of simultaneous sessions." """
    starts = [desk.start(tenant.credit, 0, direction="outgoing") for _ in range(50)]
    assert {grant.refusal for _, grant in await asyncio.gather(*starts)} == {None}


@pytest.mark.asyncio
async def test_a_credit_balance_is_what_is_owed_from_zero_up_and_down_by_payments(
    desk: CallDesk, tenant: Tenant
) -> None:
    """The specification: "The balance reflects how much the account owner owes you. It starts with zero and goes
    up every time a service is used [...], and decreases when a payment is received." """
    assert (await tenant.balance(3))[0] == 0
    await call(desk, tenant.credit, "3")
    assert await tenant.balance(3) == (3, 0, 2)
    await tenant.sql.execute("SELECT post_entry('payment', 3, 2, 'payment', '')")
    assert await tenant.balance(3) == (1, 0, 4)


@pytest.mark.asyncio
async def test_a_credit_account_is_unusable_at_its_limit(desk: CallDesk, tenant: Tenant) -> None:
    """The specification: "The account is unusable when the balance reaches the "credit limit"." """
    await call(desk, tenant.credit, "5")
    assert await tenant.balance(3) == (5, 0, 0)
    assert await call(desk, tenant.credit, "0.01") == "funds"


@pytest.mark.asyncio
async def test_a_negative_credit_balance_is_a_deposit(desk: CallDesk, tenant: Tenant) -> None:
    """The specification: "The balance can also be negative – this means you owe money to the account owner (e.g.,
    the account owner has made a deposit)." """
    await tenant.sql.execute("SELECT post_entry('deposit', 3, 7, 'payment', '')")
    assert await tenant.balance(3) == (-7, 0, 12)
    assert await call(desk, tenant.credit, "12") == "charged"


@pytest.mark.asyncio
async def test_with_a_limit_of_zero_only_a_deposit_can_be_used(desk: CallDesk, tenant: Tenant) -> None:
    """The specification: "By setting the credit limit to zero you can provide "secured" services [...], in which
    case an account owner can only use a service when there is a deposit remaining in his account." """
    await tenant.sql.execute("UPDATE billing_balance SET credit_limit = 0 WHERE id = 3")
    assert await call(desk, tenant.credit, "0.01") == "funds"
    await tenant.sql.execute("SELECT post_entry('deposit', 3, 1, 'payment', '')")
    assert await call(desk, tenant.credit, "1") == "charged"
    assert await tenant.balance(3) == (0, 0, 0)
    assert await call(desk, tenant.credit, "0.01") == "funds"


# Subordinate


@pytest.mark.asyncio
async def test_calls_of_all_lines_of_a_company_make_one_balance_grow(desk: CallDesk, tenant: Tenant) -> None:
    """The specification: "a company has several phone lines (accounts). The users make calls, and therefore, the
    balance for the whole company increases. [...] sends a single payment that covers and is then applied to all
    accounts. Therefore, the company's balance decreases with one action." """
    await tenant.sql.execute(
        "INSERT INTO billing_account (id, number, customer_id, kind, balance_id, product_id, password)"
        " VALUES (4, '202', 1, 'subordinate', 1, 1, 'pw202')"
    )
    await call(desk, tenant.subordinate, "3")
    await call(desk, (4, 1), "4")
    assert await tenant.balance(1) == (7, 0, 13)
    await tenant.sql.execute("SELECT post_entry('one payment', 1, 7, 'payment', 'invoice')")
    assert await tenant.balance(1) == (0, 0, 20)


@pytest.mark.asyncio
async def test_the_customers_limit_holds_for_all_its_subordinate_accounts(desk: CallDesk, tenant: Tenant) -> None:
    """The specification: "a customer makes a unified payment for all accounts and controls their own credit
    limit." """
    await call(desk, tenant.subordinate, "20")
    assert await call(desk, tenant.subordinate, "0.01") == "funds"
    assert await call(desk, tenant.debit, "1") == "charged"  # it has a balance of its own


# First and last use


@pytest.mark.parametrize("late", [False, True], ids=["in time", "from the journal"])
@pytest.mark.asyncio
async def test_a_call_that_was_answered_is_a_use(desk: CallDesk, tenant: Tenant, late: bool) -> None:
    start = desk.start_of(tenant.debit, "1", "1")
    if not late:
        await desk.store.start_call(start)
    await desk.finish(start.call_id, "1", start=start)
    assert await uses(tenant, 1) == (ANSWERED_AT, ANSWERED_AT + timedelta(seconds=20), None)
    assert await tenant.audit() == []


@pytest.mark.asyncio
async def test_a_call_that_was_not_answered_is_no_use(desk: CallDesk, tenant: Tenant) -> None:
    call_id, _ = await desk.start(tenant.debit, "1")
    await desk.finish(call_id, "0", answered_at=None)
    assert await uses(tenant, 1) == ()


@pytest.mark.asyncio
async def test_calls_that_are_settled_together_are_uses(desk: CallDesk, tenant: Tenant) -> None:
    accounts = (tenant.debit, tenant.credit, tenant.subordinate, tenant.credit)
    calls = [(await desk.start(who, "0.5"))[0] for who in accounts]
    await desk.store.finish_calls([desk.finish_of(call_id, "0.5") for call_id in calls])
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_accountuse WHERE last_used_at IS NOT NULL") == 3


@pytest.mark.asyncio
async def test_neither_use_moves_the_wrong_way(desk: CallDesk, tenant: Tenant) -> None:
    hour = timedelta(hours=1)
    for shift in (2 * hour, 0 * hour, 3 * hour, 1 * hour):
        call_id, _ = await desk.start(tenant.credit, "0.1")
        ended = ANSWERED_AT + shift + timedelta(seconds=20)
        await desk.finish(call_id, "0.1", answered_at=ANSWERED_AT + shift, ended_at=ended)
    first, last, _ = await uses(tenant, 3)
    assert (first, last) == (ANSWERED_AT, ANSWERED_AT + 3 * hour + timedelta(seconds=20))


@pytest.mark.asyncio
async def test_uses_within_a_minute_are_written_once(desk: CallDesk, tenant: Tenant) -> None:
    version = "SELECT xmin::text FROM billing_accountuse WHERE account_id = 3"
    await call(desk, tenant.credit, "0.1")
    before = await tenant.sql.fetchval(version)
    await call(desk, tenant.credit, "0.1")
    assert await tenant.sql.fetchval(version) == before


@pytest.mark.asyncio
async def test_a_forwarded_call_is_a_use_of_who_pays_for_it(desk: CallDesk, tenant: Tenant) -> None:
    assert await call(desk, tenant.credit, "1", direction="forwarded", forward="mobile", forward_most=1) == "charged"
    used = await tenant.sql.fetch("SELECT account_id FROM billing_accountuse")
    assert [row[0] for row in used] == [3]


@pytest.mark.asyncio
async def test_many_calls_of_one_account_that_end_at_once_do_not_wait_in_a_circle(
    desk: CallDesk, tenant: Tenant
) -> None:
    calls = [(await desk.start(tenant.credit, "0.1" if number % 2 else "0"))[0] for number in range(20)]
    alone = [desk.finish(call_id, "0.1") for call_id in calls[:10]]
    together = desk.store.finish_calls([desk.finish_of(call_id, "0.1") for call_id in reversed(calls[10:])])
    await asyncio.gather(*alone, together)
    assert await tenant.audit() == []


@pytest.mark.asyncio
async def test_a_recharge_is_written_once_and_told_to_switches(store: Store, tenant: Tenant) -> None:
    events: list[StoreEvent] = []
    await tenant.sql.execute(TERM)
    await store.listen(events.append)
    at = datetime(2030, 1, 5, tzinfo=UTC)
    for when in (at, at - timedelta(days=3)):
        await tenant.sql.execute("SELECT touch_account(1, $1, true)", when)
    assert await uses(tenant, 1) == (None, None, at)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while StoreEvent("account", number="101") not in events:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# The life cycle, as the store and whoever asks it see it


@pytest.mark.asyncio
async def test_an_account_expires_days_after_the_call_that_was_its_last(
    dsn: str, desk: CallDesk, tenant: Tenant
) -> None:
    """The specification: "the number of days from the last use that the services will be available" """
    await tenant.sql.execute(TERM)
    await call(desk, tenant.debit, "1")
    now = datetime(2030, 1, 26, 23, 59, 59, tzinfo=UTC)
    store = await Store.connect(dsn, node="later", utc=lambda: now)
    try:
        assert (await store.parties(caller="101", ani=None, dialled="")).caller is not None
        caller = (await store.parties(caller="101", ani=None, dialled="")).caller
        assert caller is not None
        assert caller.refusal is None
        now += timedelta(seconds=1)
        caller = (await store.parties(caller="101", ani=None, dialled="")).caller
        subscriber = await store.subscriber("101")
        assert caller is not None
        assert subscriber is not None
        assert caller.refusal == subscriber.usable == "account expired on 2030-01-27: 25 days after its last use"
        await tenant.sql.execute("UPDATE billing_account SET expire_after_last_use_days = 35")
        caller = (await store.parties(caller="101", ani=None, dialled="")).caller
        assert caller is not None
        assert caller.refusal is None
    finally:
        await store.close()


@pytest.mark.asyncio
async def test_an_expired_account_gets_to_no_mailbox(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    """The specification: "Account with the "Expired" status can no longer access any services" """
    await tenant.sql.execute("UPDATE billing_account SET expiry_date = '2020-03-20'")
    mailbox = await mailboxes.mailbox("101")
    assert mailbox is not None
    assert mailbox.usable == "account expired on 2020-03-20: its expiry date"


@pytest.mark.asyncio
async def test_days_are_those_of_the_customer_and_an_account_without_a_zone_has_the_customers(
    store: Store, mailboxes: StoreMailboxes, tenant: Tenant
) -> None:
    await tenant.sql.execute("UPDATE billing_customer SET timezone = 'America/New_York'")
    await tenant.sql.execute(
        "UPDATE billing_account SET expiry_date = '2999-01-01', answering = '{\"mode\": \"ring\"}'"
    )
    await tenant.sql.execute("UPDATE billing_account SET timezone = 'Europe/Prague' WHERE id = 2")
    found = await store.parties(caller="101", ani=None, dialled="201")
    assert found.caller is not None
    assert found.callee is not None
    assert found.caller.life is not None
    assert found.caller.life.timezone == found.caller.answering.timezone == "America/New_York"
    assert found.callee.answering.timezone == "Europe/Prague"
    own, other = await mailboxes.mailbox("101"), await mailboxes.mailbox("201")
    assert own is not None
    assert other is not None
    assert (own.timezone, other.timezone) == ("America/New_York", "Europe/Prague")


# Aliases


@pytest.mark.asyncio
async def test_an_alias_uses_the_balance_and_product_of_its_account(store: Store, tenant: Tenant) -> None:
    """The specification: "When a customer uses an alias ID for authentication, [...] retrieves information about
    the main account and uses its balance, product, and other parameters for all further operations." """
    await tenant.sql.execute(
        "INSERT INTO billing_alias (name, account_id, allow_authentication) VALUES ('77', 1, true)"
    )
    alias = (await store.parties(caller="77", ani=None, dialled="")).caller
    main = (await store.parties(caller="101", ani=None, dialled="")).caller
    assert alias is not None
    assert main is not None
    assert (alias.account_id, alias.balance_id, alias.tariff_id, alias.available, alias.password) == (
        main.account_id, main.balance_id, main.tariff_id, main.available, main.password,
    )  # fmt: skip


@pytest.mark.asyncio
async def test_a_phone_is_identified_by_its_number(store: Store, tenant: Tenant) -> None:
    """The specification: "An account identifies the end user who is using the service. [...] a SIP phone is identified
    by its phone number." """
    found = (await store.parties(caller="101", ani=None, dialled="301")).caller
    assert found is not None
    assert (found.number, found.account_id, found.password) == ("101", tenant.debit[0], "pw101")


@pytest.mark.asyncio
async def test_several_numbers_dial_without_a_pin_from_one_prepaid_card(store: Store, tenant: Tenant) -> None:
    """The specification: "several phone numbers may be registered for PINless dialing to a single prepaid
    card" """
    await tenant.sql.execute(
        "INSERT INTO billing_alias (name, account_id) VALUES ('420777000001@pstn', 1), ('420777000002@pstn', 1)"
    )
    for ani in ("420777000001", "420777000002"):
        found = (await store.parties(caller=None, ani=ani, dialled="")).caller
        assert found is not None
        assert (found.number, found.via) == ("101", "ani")
    assert (await store.parties(caller=None, ani="420777000003", dialled="")).caller is None


@pytest.mark.parametrize("switch", ["alias", "customer"])
@pytest.mark.asyncio
async def test_without_authentication_an_alias_leads_to_its_account_and_does_not_register(
    store: Store, tenant: Tenant, switch: str
) -> None:
    """The specification: "independent registrations for each additional alias created under the main account will
    be prevented (this is done by disabling the Allow authentication toggle in the alias configuration at the
    account level or disabling the alias authentication/registration option at the customer level). In this case,
    incoming calls to the alias will be routed to the main account." """
    await tenant.sql.execute(
        "INSERT INTO billing_alias (name, account_id, allow_authentication) VALUES ('77', 1, $1)", switch == "customer"
    )
    await tenant.sql.execute("UPDATE billing_customer SET alias_authentication = $1", switch == "alias")
    await store.write_bindings([binding("101"), binding("77")], [])
    subscriber = await store.subscriber("77")
    assert subscriber is not None
    assert (subscriber.usable, subscriber.bindings) == ("alias 77 does not authenticate", ())
    found = await store.parties(caller="77", ani=None, dialled="77")
    assert found.callee is not None
    assert found.callee.name == "101"
    assert [row.aor for row in found.bindings] == ["101"]
    assert found.caller is not None
    assert not found.caller.may_call
    own = await store.subscriber("101")
    assert own is not None
    assert own.usable is None


@pytest.mark.asyncio
async def test_an_alias_that_authenticates_is_rung_by_itself(store: Store, tenant: Tenant) -> None:
    """The specification: "you must register this alias on an IP phone; if the alias is not registered the
    incoming calls to the corresponding phone number will be dropped" """
    await tenant.sql.execute(
        "INSERT INTO billing_alias (name, account_id, allow_authentication) VALUES ('77', 1, true)"
    )
    await store.write_bindings([binding("101")], [])
    found = await store.parties(caller=None, ani=None, dialled="77")
    assert found.callee is not None
    assert (found.callee.name, found.bindings) == ("77", ())


# Other ways to be known


@pytest.mark.asyncio
async def test_a_calling_card_is_identified_by_its_pin_and_only_there(
    store: Store, selfcare: StoreSelfCare, mailboxes: StoreMailboxes, tenant: Tenant
) -> None:
    """The specification: "a prepaid calling card is an account identified by a PIN" """
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('48291744@pin', 1)")
    assert await selfcare.log_in("48291744", GuessSource("420777000001")) == Login("right", "101")
    for wrong in ("48291745", "", "48291744@pin", "4829174 4", "9" * 60, "٤٨٢٩١٧٤٤"):
        assert (await selfcare.log_in(wrong, GuessSource("420777000002"))).verdict == "wrong"
    # Nobody finds out a PIN by dialling it, logging in with it or asking for its mailbox.
    assert await store.subscriber("48291744@pin") is None
    found = await store.parties(caller="48291744@pin", ani=None, dialled="48291744@pin")
    assert (found.caller, found.callee) == (None, None)
    assert await mailboxes.mailbox("48291744@pin") is None
    assert await selfcare.status("48291744@pin") is None
    by_number = await selfcare.status("101")
    assert by_number is not None
    assert by_number.number == "101"


@pytest.mark.asyncio
async def test_a_gateway_is_identified_by_its_address(store: Store, tenant: Tenant) -> None:
    """The specification: "a customer's VoIP gateway could be an account identified by its IP address" """
    await tenant.sql.execute(
        "INSERT INTO billing_alias (name, account_id, allow_authentication) VALUES"
        " ('192.0.2.10', 1, true), ('2001:db8::10', 2, true), ('192.0.2.11', 3, false), ('300.1.1.1', 3, true)"
    )
    routes = await store.load_routes()
    assert routes.account_at("192.0.2.10") == "192.0.2.10"
    assert routes.account_at("::ffff:192.0.2.10") == "192.0.2.10"
    assert routes.account_at("2001:DB8:0:0::10") == "2001:db8::10"
    assert [routes.account_at(host) for host in ("192.0.2.11", "192.0.2.12", "300.1.1.1", "pbx")] == [None] * 4
    await tenant.sql.execute("UPDATE billing_customer SET alias_authentication = false")
    await tenant.sql.execute("UPDATE billing_account SET number = '192.0.2.20' WHERE id = 3")
    routes = await store.load_routes()
    assert routes.account_at("192.0.2.10") is None
    assert routes.account_at("192.0.2.20") == "192.0.2.20"  # the account's own number is no alias


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO billing_alias (name, account_id) VALUES ('2001:db8::1', 1)",
        "UPDATE billing_alias SET allow_authentication = true WHERE name = '192.0.2.10'",
        "DELETE FROM billing_alias WHERE name = '192.0.2.10'",
        "UPDATE billing_alias SET name = '192' WHERE name = '192.0.2.10'",
        "UPDATE billing_customer SET alias_authentication = false",
    ],
)
@pytest.mark.asyncio
async def test_switches_hear_of_changed_addresses(store: Store, tenant: Tenant, change: str) -> None:
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('192.0.2.10', 1)")
    events: list[StoreEvent] = []
    await store.listen(events.append)
    await tenant.sql.execute(change)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while StoreEvent("routes") not in events:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
