# SPDX-License-Identifier: Apache-2.0
"""Mailboxes: what goes in comes out once, in order, within the limit, and lamps hear of it."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.mailboxes.mailboxes import StoreMailboxes
from billing_client.mailboxes.words import Deposit, DepositPace, MessageCounts, Sound
from billing_client.types import StoreEvent, StoreRefused
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from billing_client.mailboxes.words import Mailboxes
    from billing_client.store import Store
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOUND = Sound("wav", bytes(range(256)) * 64, 1.024)
COMMENT = Sound("wav", b"RIFFcomment", 2.5)
_minutes = itertools.count()


def message(mailbox: str = "101", **changes: Any) -> Deposit:
    """A message, each a minute after the one before."""
    made = Deposit(
        message_id=str(uuid.uuid4()),
        mailbox=mailbox,
        caller="42075553333",
        caller_name="Žofie",
        received_at=NOON + timedelta(minutes=next(_minutes)),
        sound=SOUND,
    )
    return replace(made, **changes)


async def test_the_store_is_a_mailboxes_as_applications_know_it(mailboxes: StoreMailboxes) -> None:
    door: Mailboxes = mailboxes
    assert await door.mailbox("999") is None


async def test_every_account_has_a_mailbox_without_anybody_making_it(mailboxes: StoreMailboxes) -> None:
    found = await mailboxes.mailbox("101")
    assert found is not None
    assert (found.number, found.display, found.timezone, found.language) == ("101", "Alice", "UTC", "")
    assert (found.has_pin, found.ask_pin, found.greetings, found.usable) == (False, False, frozenset(), None)
    assert (found.max_messages, found.max_seconds, found.operator, found.attach) == (5, 180, "", "")
    assert (found.new, found.old, found.new_urgent, found.old_urgent) == (0, 0, 0, 0)


async def test_an_alias_leads_to_the_mailbox(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    await tenant.sql.execute(
        "INSERT INTO billing_alias (name, account_id) VALUES ('42027777100', 1), ('42073723123@pstn', 1)"
    )
    one = message("42027777100")
    assert await mailboxes.deposit(one) == "stored"
    for name in ("101", "42027777100", "42073723123@pstn"):
        found = await mailboxes.mailbox(name)
        assert found is not None
        assert (found.number, found.new) == ("101", 1)
        assert [listed.message_id for listed in await mailboxes.messages(name, "new")] == [one.message_id]


async def test_accounts_whose_mailbox_is_off_have_none(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    await tenant.sql.execute("INSERT INTO billing_mailbox (account_id, enabled) VALUES (1, false)")
    for number in ("101", "999", "not a name\0", "x" * 100):
        assert await mailboxes.mailbox(number) is None
        assert await mailboxes.deposit(message(number)) == "unknown"
        assert await mailboxes.messages(number, "new") == []


async def test_the_mailbox_of_a_blocked_account_says_why_it_cannot_be_used(
    mailboxes: StoreMailboxes, tenant: Tenant
) -> None:
    await tenant.sql.execute("UPDATE billing_account SET state = 'blocked' WHERE id = 1")
    found = await mailboxes.mailbox("101")
    assert found is not None
    assert found.usable == "account blocked"


async def test_a_message_comes_out_as_it_went_in(mailboxes: StoreMailboxes) -> None:
    sent = message(urgent=True)
    assert await mailboxes.deposit(sent) == "stored"
    (listed,) = await mailboxes.messages("101", "new")
    assert (listed.message_id, listed.folder, listed.caller, listed.caller_name) == (
        sent.message_id, "new", "42075553333", "Žofie",
    )  # fmt: skip
    assert (listed.received_at, listed.seconds, listed.urgent, listed.comment_of) == (
        sent.received_at, 1.024, True, None,
    )  # fmt: skip
    assert await mailboxes.sound(sent.message_id) == SOUND
    assert await mailboxes.sound(str(uuid.uuid4())) is None
    assert await mailboxes.sound("no id") is None


async def test_a_message_is_stored_once_however_often_it_is_sent(mailboxes: StoreMailboxes) -> None:
    sent = message()
    results = await asyncio.gather(*(mailboxes.deposit(sent) for _ in range(10)))
    assert results == ["stored"] * 10
    assert len(await mailboxes.messages("101", "new")) == 1
    await mailboxes.delete([sent.message_id])
    assert await mailboxes.deposit(sent) == "stored"
    assert await mailboxes.messages("101", "new") == []


async def test_simultaneous_messages_never_exceed_the_limit(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    results = await asyncio.gather(*(mailboxes.deposit(message()) for _ in range(20)))
    assert sorted(results) == ["full"] * 15 + ["stored"] * 5
    await tenant.sql.execute("UPDATE billing_mailbox SET max_messages = 7 WHERE account_id = 1")
    results = await asyncio.gather(*(mailboxes.deposit(message()) for _ in range(20)))
    assert sorted(results) == ["full"] * 18 + ["stored"] * 2
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_voicesound") == 7


async def test_deleting_makes_room_and_what_was_full_stays_stored(mailboxes: StoreMailboxes) -> None:
    sent = [message() for _ in range(5)]
    for one in sent:
        await mailboxes.deposit(one)
    assert await mailboxes.deposit(message()) == "full"
    assert await mailboxes.deposit(sent[2]) == "stored"
    await mailboxes.delete([sent[0].message_id])
    assert await mailboxes.deposit(message()) == "stored"


async def test_messages_are_listed_urgent_first_then_oldest_first(mailboxes: StoreMailboxes) -> None:
    sent = [message(), message(urgent=True), message(), message(urgent=True)]
    for one in reversed(sent):
        await mailboxes.deposit(one)
    listed = await mailboxes.messages("101", "new")
    assert [one.message_id for one in listed] == [sent[index].message_id for index in (1, 3, 0, 2)]


async def test_messages_are_moved_deleted_and_taken_back_into_their_folder(mailboxes: StoreMailboxes) -> None:
    sent = [message(), message(urgent=True)]
    ids = [one.message_id for one in sent]
    for one in sent:
        await mailboxes.deposit(one)
    await mailboxes.move([ids[0], "no id"], "friends")
    assert [one.message_id for one in await mailboxes.messages("101", "friends")] == ids[:1]
    await mailboxes.delete(ids)
    await mailboxes.delete(ids)
    assert await mailboxes.messages("101", "friends") == []
    await mailboxes.undelete(ids)
    assert [one.folder for one in await mailboxes.messages("101", "friends")] == ["friends"]
    assert [one.message_id for one in await mailboxes.messages("101", "new")] == ids[1:]
    with pytest.raises(StoreRefused):
        await mailboxes.move(ids, "attic")  # type: ignore[arg-type]


async def test_counts_are_those_of_a_lamp_for_one_and_for_many(
    mailboxes: StoreMailboxes, store: Store, tenant: Tenant
) -> None:
    await tenant.sql.execute("INSERT INTO billing_alias (name, account_id) VALUES ('420', 1)")
    sent = [message(), message(urgent=True), message(urgent=True), message()]
    for one in sent:
        await mailboxes.deposit(one)
    await mailboxes.move([sent[1].message_id], "work")
    await mailboxes.delete([sent[3].message_id])
    assert await store.message_counts(["101", "420", "201", "999", "\0"]) == {
        "101": MessageCounts(2, 1, 1, 1),
        "420": MessageCounts(2, 1, 1, 1),
        "201": MessageCounts(0, 0, 0, 0),
    }
    found = await mailboxes.mailbox("101")
    assert found is not None
    assert (found.new, found.old, found.new_urgent, found.old_urgent) == (2, 1, 1, 1)


async def test_each_change_of_a_mailbox_is_announced(mailboxes: StoreMailboxes, store: Store, tenant: Tenant) -> None:
    heard: asyncio.Queue[StoreEvent] = asyncio.Queue()
    await store.listen(heard.put_nowait)
    sent = message()

    async def announced() -> StoreEvent:
        return await asyncio.wait_for(heard.get(), PATIENCE_SECONDS)

    of_101 = StoreEvent("mailbox", number="101")
    await mailboxes.deposit(sent)
    assert await announced() == of_101
    await mailboxes.move([sent.message_id], "old")
    assert await announced() == of_101
    await mailboxes.delete([sent.message_id])
    assert await announced() == of_101
    await mailboxes.undelete([sent.message_id])
    assert await announced() == of_101
    await mailboxes.forward(sent.message_id, "201", "101", None, str(uuid.uuid4()))
    assert await announced() == StoreEvent("mailbox", number="201")
    await tenant.sql.execute("UPDATE billing_mailbox SET enabled = false WHERE account_id = 1")
    assert await announced() == of_101
    await mailboxes.deposit(message())
    await mailboxes.move([sent.message_id], "old")
    await mailboxes.set_pin("301", "4829")
    await tenant.sql.execute("INSERT INTO billing_mailbox (account_id, enabled) VALUES (3, false)"
                             " ON CONFLICT (account_id) DO UPDATE SET enabled = false")  # fmt: skip
    assert await announced() == StoreEvent("mailbox", number="301")
    assert heard.empty()


async def test_a_forwarded_message_is_a_copy_from_who_called_at_first(mailboxes: StoreMailboxes) -> None:
    sent, copy = message(urgent=True), str(uuid.uuid4())
    await mailboxes.deposit(sent)
    for _ in range(2):
        assert await mailboxes.forward(sent.message_id, "201", "101", None, copy) == "stored"
    (listed,) = await mailboxes.messages("201", "new")
    assert (listed.message_id, listed.caller, listed.caller_name, listed.urgent, listed.seconds) == (
        copy, "42075553333", "Žofie", True, 1.024,
    )  # fmt: skip
    await mailboxes.delete([sent.message_id])
    await mailboxes.purge(datetime.now(UTC) + timedelta(seconds=1), 10)
    assert await mailboxes.sound(copy) == SOUND
    assert await mailboxes.forward(copy, "999", "101", None, str(uuid.uuid4())) == "unknown"
    assert await mailboxes.forward(str(uuid.uuid4()), "101", "201", None, str(uuid.uuid4())) == "unknown"


async def test_a_comment_comes_before_the_message_that_it_introduces(mailboxes: StoreMailboxes) -> None:
    sent, copy, onward = message(), str(uuid.uuid4()), str(uuid.uuid4())
    await mailboxes.deposit(sent)
    assert await mailboxes.forward(sent.message_id, "201", "101", COMMENT, copy) == "stored"
    (listed,) = await mailboxes.messages("201", "new")
    assert (listed.caller, listed.caller_name, listed.seconds) == ("101", "Alice", 2.5)
    assert await mailboxes.sound(copy) == COMMENT
    assert listed.comment_of is not None
    assert await mailboxes.sound(listed.comment_of) == SOUND
    # Onward without a comment: both sounds. With another comment: that and the message itself.
    assert await mailboxes.forward(copy, "301", "201", None, onward) == "stored"
    (listed,) = await mailboxes.messages("301", "new")
    assert listed.comment_of is not None
    assert (await mailboxes.sound(onward), await mailboxes.sound(listed.comment_of)) == (COMMENT, SOUND)
    other = Sound("wav", b"RIFFother", 1.0)
    assert await mailboxes.forward(copy, "301", "201", other, str(uuid.uuid4())) == "stored"
    *_, last = await mailboxes.messages("301", "new")
    assert last.comment_of is not None
    assert (await mailboxes.sound(last.message_id), await mailboxes.sound(last.comment_of)) == (other, SOUND)


async def test_a_deposit_may_bring_the_message_that_it_introduces(mailboxes: StoreMailboxes) -> None:
    sent = message(sound=COMMENT, forwarded=SOUND)
    assert await mailboxes.deposit(sent) == "stored"
    (listed,) = await mailboxes.messages("101", "new")
    assert listed.comment_of is not None
    assert (await mailboxes.sound(listed.message_id), await mailboxes.sound(listed.comment_of)) == (COMMENT, SOUND)


async def test_greetings_are_recorded_replaced_and_removed(mailboxes: StoreMailboxes) -> None:
    assert await mailboxes.greeting("101", "busy") is None
    await mailboxes.set_greeting("101", "busy", COMMENT)
    await mailboxes.set_greeting("101", "name", SOUND)
    await mailboxes.set_greeting("101", "busy", SOUND)
    assert await mailboxes.greeting("101", "busy") == SOUND
    found = await mailboxes.mailbox("101")
    assert found is not None
    assert found.greetings == {"busy", "name"}
    await mailboxes.set_greeting("101", "busy", None)
    await mailboxes.set_greeting("101", "busy", None)
    assert await mailboxes.greeting("101", "busy") is None
    with pytest.raises(StoreRefused):
        await mailboxes.set_greeting("999", "busy", SOUND)


async def test_deleted_messages_are_purged_with_their_sounds_a_limited_number_at_a_time(
    mailboxes: StoreMailboxes, tenant: Tenant
) -> None:
    sent = [message(forwarded=SOUND) for _ in range(4)]
    for one in sent:
        await mailboxes.deposit(one)
    await mailboxes.delete([one.message_id for one in sent[:3]])
    yesterday = datetime.now(UTC) - timedelta(hours=24)
    assert await mailboxes.purge(yesterday, 2) == 0
    await tenant.sql.execute("UPDATE billing_voicemessage SET deleted_at = deleted_at - interval '25 hours'")
    assert [await mailboxes.purge(yesterday, 2) for _ in range(3)] == [2, 1, 0]
    assert await tenant.sql.fetchval("SELECT count(*) FROM billing_voicesound") == 2
    assert [one.message_id for one in await mailboxes.messages("101", "new")] == [sent[3].message_id]


async def test_what_comes_from_the_wire_cannot_make_a_deposit_fail(mailboxes: StoreMailboxes) -> None:
    assert await mailboxes.deposit(message(caller="4\0" + "2" * 300, caller_name="\udcff" + "n" * 300)) == "stored"
    (listed,) = await mailboxes.messages("101", "new")
    assert (len(listed.caller), len(listed.caller_name)) == (64, 120)
    with pytest.raises(StoreRefused):
        await mailboxes.deposit(message(message_id="no id"))


async def test_the_audit_finds_nothing(mailboxes: StoreMailboxes, tenant: Tenant) -> None:
    await mailboxes.deposit(message())
    assert await tenant.audit() == []


async def left(mailboxes: StoreMailboxes, caller: str, mailbox: str = "101") -> str:
    """What becomes of one more message."""
    return await mailboxes.deposit(message(mailbox, caller=caller, received_at=datetime.now(UTC)))


@pytest.mark.parametrize("caller", ["42075553333", "anonymous"])
async def test_one_caller_has_a_share_of_a_mailbox_and_others_find_room(dsn: str, tenant: Tenant, caller: str) -> None:
    """Case L22: a hundred messages of one stranger."""
    mailboxes = await StoreMailboxes.connect(dsn, node="test", pace=DepositPace(from_one_caller=3))
    ways = [caller, f"+{caller}"] if caller.isdigit() else [caller, ""]  # one number, however it is written
    assert [await left(mailboxes, ways[turn % 2]) for turn in range(5)] == [*["stored"] * 3, "full", "full"]
    assert await left(mailboxes, "42075554444") == "stored"
    assert await left(mailboxes, caller, "301") == "stored"
    await mailboxes.close()


async def test_many_callers_at_once_leave_no_more_than_so_many_messages_an_hour(dsn: str, tenant: Tenant) -> None:
    """Case L22, its neighbour: a new number each time."""
    mailboxes = await StoreMailboxes.connect(dsn, node="test", pace=DepositPace(messages_an_hour=6))
    outcomes = await asyncio.gather(*(left(mailboxes, f"4207555{turn:04}") for turn in range(15)))
    assert sorted(outcomes) == ["full"] * 9 + ["stored"] * 6
    await tenant.sql.execute("UPDATE billing_voicemessage SET received_at = received_at - interval '1 hour'")
    assert await left(mailboxes, "42075559999") == "stored"
    await mailboxes.close()


async def test_e_mails_of_a_mailbox_go_out_at_a_pace(dsn: str, tenant: Tenant) -> None:
    """Case L22: a flood is told of late, and a flood of e-mails never leaves."""
    mailboxes = await StoreMailboxes.connect(dsn, node="test", pace=DepositPace(emails_an_hour=4))
    await left(mailboxes, "42075553333")
    await tenant.sql.execute("DELETE FROM billing_voiceemail")
    await tenant.sql.execute("UPDATE billing_mailbox SET email = '{alice@example.com}'")
    for turn in range(8):
        await left(mailboxes, f"4207555{turn:04}")
    due = await tenant.sql.fetch("SELECT due_at - now() AS late FROM billing_voiceemail ORDER BY due_at")
    minutes = [round(row["late"].total_seconds() / 60) for row in due]
    assert minutes == [0, 0, 0, 0, 15, 30, 45, 60]
    await mailboxes.close()
