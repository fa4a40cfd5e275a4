# SPDX-License-Identifier: Apache-2.0
"""Receipts of recharges: queued with the money, once, sent by e-mail and SMS beside the call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import parseaddr
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from billing_client.vouchers.receipts import Receipt, StoreReceipts
from billing_client.vouchers.words import Redeemed, VoucherStoreUnavailable, WantedReceipts
from ivr.post import mail
from ivr.post.handover import MailSettings, Refusals
from ivr.post.receipttext import LANGUAGES, compose_receipt, short_text
from ivr.post.texting import SmsUnavailable, text_due
from tests.store.vouchers import SOURCE, outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from billing_client.vouchers.redeeming import StoreVouchers
    from tests.store.conftest import Tenant
    from tests.store.vouchers import Press

ALICE, BOB, SENDER = "alice@example.net", "bob@example.net", "Softswitch <no-reply@example.com>"
BOTH = WantedReceipts(("email", "sms"), "cs", "42075553333")
MINUTE = timedelta(minutes=1)
RECEIPT = Receipt(
    key="call 1",
    attempts=1,
    queued_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    recipients=(ALICE,),
    account="101",
    language="",
    timezone="Europe/Prague",
    amount=Decimal("10.00000"),
    currency="USD",
    available=Decimal("12.34500"),
    expires_on=date(2027, 3, 27),
)


@dataclass
class Clock:
    """The time, which tests move."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(seconds=5))

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Server:
    """Takes e-mails and short messages, or does not."""

    taken: list[tuple[str, ...]] = field(default_factory=list)
    refuses: list[Refusals | Exception] = field(default_factory=list)

    async def hand_over(self, settings: MailSettings, email: Receipt) -> Refusals:
        """See `ivr.post.mail`."""
        refused = self.refuses.pop(0) if self.refuses else Refusals()
        assert isinstance(refused, Refusals)
        written = compose_receipt(email, settings.sender, settings.language)
        self.taken += [(to, written["Subject"]) for to in email.recipients if to not in refused.later + refused.never]
        return refused

    async def send(self, number: str, text: str, key: str) -> None:
        """See SmsGateway."""
        if self.refuses and isinstance(self.refuses[0], Exception):
            raise self.refuses.pop(0)  # type: ignore[misc]
        self.taken.append((number, text, key))

    async def close(self) -> None:
        """See SmsGateway."""


@pytest_asyncio.fixture
async def door(press: Press) -> AsyncIterator[StoreVouchers]:
    found = await press.door()
    yield found
    await found.close()


@pytest_asyncio.fixture
async def queues(dsn: str, tenant: Tenant) -> AsyncIterator[tuple[StoreReceipts, StoreReceipts]]:
    """Of e-mails and of short messages; account 101 has two addresses."""
    await tenant.sql.execute("INSERT INTO billing_mailbox (account_id, email) VALUES (1, $1)", [ALICE, BOB])
    emails = await StoreReceipts.connect(dsn, "email", node="test")
    texts = await StoreReceipts.connect(dsn, "sms", node="test")
    yield emails, texts
    await emails.close()
    await texts.close()


Queues = tuple[StoreReceipts, StoreReceipts]
SETTINGS = MailSettings(sender=SENDER, host="127.0.0.1")


async def mailed(queue: StoreReceipts, server: Server, clock: Clock) -> int:
    return await mail.deliver_due(queue, SETTINGS, clock=clock, hand_over=server.hand_over)


@pytest.mark.asyncio
async def test_a_recharge_is_told_of_once_by_each_way_however_often_it_is_asked_for(
    press: Press, door: StoreVouchers, queues: Queues
) -> None:
    code, server, clock = await press.print(), Server(), Clock()
    answers = await asyncio.gather(*(door.redeem(code, "101", "call 1", SOURCE, BOTH) for _ in range(5)))
    assert {type(answer) for answer in answers} == {Redeemed}
    for _ in range(2):
        await mailed(queues[0], server, clock)
        await text_due(queues[1], server, "en", clock=clock)
        await door.redeem(code, "101", "call 1", SOURCE, BOTH)
        clock.now += timedelta(hours=1)
    subject = "Váš účet 101 byl dobit částkou 10.00 USD"
    assert server.taken == [
        (ALICE, subject),
        (BOB, subject),
        ("42075553333", "Účet 101 byl dobit částkou 10.00 USD. K dispozici: 20.00 USD.", "call 1"),
    ]


@pytest.mark.asyncio
async def test_nothing_is_told_of_a_wrong_code_or_where_nothing_is_wanted(
    press: Press, door: StoreVouchers, queues: Queues, tenant: Tenant
) -> None:
    assert outcome(await door.redeem("8527544000", "101", "call 1", SOURCE, BOTH)) == "unknown"
    assert outcome(await door.redeem(await press.print(), "101", "call 2", SOURCE)) == "ok"
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_receipt") == 0


@pytest.mark.asyncio
async def test_an_account_without_an_address_or_a_caller_without_a_number_gets_none(
    press: Press, door: StoreVouchers, queues: Queues, tenant: Tenant
) -> None:
    server, clock = Server(), Clock()
    await door.redeem(await press.print(), "301", "call 1", SOURCE, replace(BOTH, caller="anonymous"))
    assert await mailed(queues[0], server, clock) == await text_due(queues[1], server, "en", clock=clock) == 0
    assert server.taken == []
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_receipt WHERE sent_at IS NULL") == 0


@pytest.mark.asyncio
async def test_the_language_of_the_account_goes_before_that_of_the_call(
    press: Press, door: StoreVouchers, queues: Queues, tenant: Tenant
) -> None:
    await tenant.sql.execute("UPDATE billing_account SET language = 'en', expiry_date = '2099-03-27' WHERE id = 1")
    await door.redeem(await press.print(), "101", "call 1", SOURCE, BOTH)
    [receipt] = await queues[0].take_emails(Clock().now, MINUTE, 10)
    assert (receipt.language, receipt.expires_on, receipt.attempts) == ("en", date(2099, 3, 27), 1)


@pytest.mark.asyncio
async def test_who_did_not_get_it_is_tried_again_and_the_others_are_not(
    press: Press, door: StoreVouchers, queues: Queues
) -> None:
    clock, server = Clock(), Server(refuses=[Refusals(later=(BOB,), reason="450 busy")])
    await door.redeem(await press.print(), "101", "call 1", SOURCE, BOTH)
    assert await mailed(queues[0], server, clock) == 1
    assert await mailed(queues[0], server, clock) == 0
    clock.now += 2 * MINUTE
    assert await mailed(queues[0], server, clock) == 1
    assert [to for to, _ in server.taken] == [ALICE, BOB]


@pytest.mark.asyncio
async def test_a_gateway_that_is_away_gets_it_later_and_one_that_refuses_or_is_away_for_a_day_does_not(
    press: Press, door: StoreVouchers, queues: Queues
) -> None:
    clock, server = Clock(), Server(refuses=[SmsUnavailable("503"), SmsUnavailable("503"), ValueError("no number")])
    await door.redeem(await press.print(), "101", "call 1", SOURCE, BOTH)
    await door.redeem(await press.print(), "101", "call 2", SOURCE, BOTH)
    tried = []
    for _ in range(4):
        tried.append(await text_due(queues[1], server, "en", clock=clock))
        clock.now += MINUTE
    assert tried == [2, 2, 0, 0]
    assert len(server.taken) == 1
    server.refuses = [SmsUnavailable("503")] * 99
    await door.redeem(await press.print(), "101", "call 3", SOURCE, BOTH)
    attempts = 0
    for _ in range(60):
        attempts += await text_due(queues[1], server, "en", clock=clock)
        clock.now += timedelta(hours=1)
    assert 10 < attempts < 30
    assert len(server.taken) == 1


@pytest.mark.asyncio
async def test_two_nodes_send_many_receipts_once_each_and_a_dead_one_leaves_its_own_to_the_other(
    press: Press, door: StoreVouchers, queues: Queues, dsn: str
) -> None:
    clock, server = Clock(), Server()
    for call in range(12):
        await door.redeem(await press.print(), "101", f"call {call}", SOURCE, BOTH)
    other = await StoreReceipts.connect(dsn, "sms", node="other")
    died_with = await other.take_emails(clock.now, MINUTE, 2)
    while sum(await asyncio.gather(*(text_due(queue, server, "en", clock=clock) for queue in (queues[1], other)))):
        pass
    assert len(server.taken) == 10
    clock.now += 2 * MINUTE
    await text_due(other, server, "en", clock=clock)
    assert len({key for _, _, key in server.taken}) == len(server.taken) == 12
    assert len(died_with) == 2
    await other.close()


@dataclass
class Outside:
    """A store outside that does not say for a while whether it depleted a voucher."""

    name: str = "acme"
    is_silent: bool = True

    async def check(self, code: str) -> Decimal | None:
        return Decimal(5) if code == "99900001" else None

    async def deplete(self, code: str, key: str) -> bool:
        if self.is_silent:
            raise VoucherStoreUnavailable("away")
        return True

    async def close(self) -> None:
        return None


@pytest.mark.asyncio
async def test_a_voucher_of_a_store_outside_is_told_of_once_that_store_has_said_so(
    press: Press, queues: Queues, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing_client.vouchers.external.PAUSES", (0.01,))
    server, clock, outside = Server(), Clock(), Outside()
    door = await press.door(stores=[outside])
    assert outcome(await door.redeem("99900001", "101", "call 1", SOURCE, BOTH)) == "pending"
    assert outcome(await door.redeem("99900002", "101", "call 2", SOURCE, BOTH)) == "unknown"
    assert await text_due(queues[1], server, "en", clock=clock) == 0
    outside.is_silent = False
    await tenant.sql.execute("UPDATE billing_redemption SET due_at = now() - interval '1 second'")
    assert await door.reconcile() == 1
    assert await text_due(queues[1], server, "en", clock=clock) == 1
    assert [key for _, _, key in server.taken] == ["call 1"]
    later = "UPDATE billing_receipt SET queued_at = now() - interval '9 days', due_at = now() - interval '9 days',"
    await tenant.sql.execute(f"{later} sent_at = sent_at - interval '9 days'")
    await door.reconcile()
    await door.close()
    assert [row["key"] for row in await tenant.sql.fetch("SELECT key FROM billing_receipt")] == ["call 1"]


def test_a_receipt_says_what_was_paid_what_there_is_and_until_when() -> None:
    message = compose_receipt(RECEIPT, SENDER, "en")
    assert message["Subject"] == "Your account 101 was recharged with 10.00 USD"
    assert (message["From"], message["To"]) == (SENDER, ALICE)
    assert message["Message-ID"] == compose_receipt(RECEIPT, SENDER, "cs")["Message-ID"]
    assert parseaddr(str(message["Message-ID"]))[1].endswith("@example.com")
    body = message.get_body()
    assert body is not None
    assert body.get_content() == (
        "Thank you. Your account was recharged.\n\n"
        "Account:    101\n"
        "Amount:     10.00 USD\n"
        "Available:  12.345 USD\n"
        "Recharged:  Sunday, 22 November 2026, 13:00 CET\n"
        "Expires on: 2027-03-27\n"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_writes_receipts_and_short_messages_that_fit(language: str) -> None:
    receipt = replace(RECEIPT, language=f"{language}-XX", expires_on=None)
    assert "10.00 USD" in compose_receipt(receipt, SENDER, "xx")["Subject"]
    assert "12.345 USD" in short_text(receipt, "xx")
    assert len(short_text(replace(receipt, account="4" * 15), "xx")) <= 160
