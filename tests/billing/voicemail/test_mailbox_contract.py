# SPDX-License-Identifier: Apache-2.0
"""The mailboxes in memory that scripted callers talk to behave as those in the store: the same tests over both."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.mailboxes.words import Deposit, Sound
from billing_client.types import StoreRefused
from billing_client.vouchers.words import GuessSource
from tests.ivr.mailbox_memory import MemoryMailboxes

if TYPE_CHECKING:
    from billing_client.mailboxes.mailboxes import StoreMailboxes
    from billing_client.mailboxes.words import Mailboxes
    from tests.store.conftest import Tenant

pytestmark = pytest.mark.asyncio

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOUND, COMMENT = Sound("wav", b"RIFFsound", 4.0), Sound("wav", b"RIFFcomment", 2.5)


@pytest.fixture(params=["memory", "store"])
def door(request: pytest.FixtureRequest, mailboxes: StoreMailboxes) -> Mailboxes:
    """101 (Alice), 201 (Bob) and 301, each with room for five messages; three wrong PINs lock."""
    if request.param == "store":
        return mailboxes
    memory = MemoryMailboxes(lock_after=3)
    for number, display in (("101", "Alice"), ("201", "Bob"), ("301", "")):
        memory.add(number, display=display, max_messages=5)
    return memory


def message(minute: int = 0, **changes: Any) -> Deposit:
    made = Deposit(
        message_id=str(uuid.uuid4()),
        mailbox="101",
        caller="42075553333",
        caller_name="Zora",
        received_at=NOON + timedelta(minutes=minute),
        sound=SOUND,
    )
    return replace(made, **changes)


async def test_a_mailbox_tells_what_is_in_it(door: Mailboxes) -> None:
    sent = [message(), message(1, urgent=True), message(2)]
    for one in sent:
        assert await door.deposit(one) == "stored"
    await door.move([sent[1].message_id], "work")
    await door.delete([sent[2].message_id])
    found = await door.mailbox("101")
    assert found is not None
    assert (found.number, found.display, found.max_messages, found.usable) == ("101", "Alice", 5, None)
    assert (found.new, found.old, found.new_urgent, found.old_urgent) == (1, 1, 0, 1)
    assert await door.mailbox("999") is None
    assert await door.messages("999", "new") == []


async def test_messages_come_urgent_first_and_deposited_once(door: Mailboxes) -> None:
    sent = [message(2), message(1), message(3, urgent=True)]
    for one in (*sent, *sent):
        assert await door.deposit(one) == "stored"
    listed = await door.messages("101", "new")
    assert [one.message_id for one in listed] == [sent[2].message_id, sent[1].message_id, sent[0].message_id]
    assert (listed[1].caller, listed[1].caller_name, listed[1].seconds) == ("42075553333", "Zora", 4.0)
    assert listed[1].received_at == sent[1].received_at
    assert await door.sound(sent[0].message_id) == SOUND
    assert await door.deposit(message(mailbox="999")) == "unknown"


async def test_a_full_mailbox_takes_no_more_until_something_is_deleted(door: Mailboxes) -> None:
    sent = [message(minute) for minute in range(5)]
    for one in sent:
        await door.deposit(one)
    assert await door.deposit(message()) == "full"
    assert await door.deposit(sent[0]) == "stored"
    await door.delete([sent[0].message_id])
    assert await door.deposit(message()) == "stored"


async def test_a_deleted_message_comes_back_where_it_was(door: Mailboxes) -> None:
    sent = message()
    await door.deposit(sent)
    await door.move([sent.message_id], "friends")
    await door.delete([sent.message_id])
    assert await door.messages("101", "friends") == []
    await door.undelete([sent.message_id])
    assert [one.folder for one in await door.messages("101", "friends")] == ["friends"]


async def test_a_forwarded_message_is_a_copy_with_or_without_a_comment(door: Mailboxes) -> None:
    sent, plain, introduced = message(urgent=True), str(uuid.uuid4()), str(uuid.uuid4())
    await door.deposit(sent)
    assert await door.forward(sent.message_id, "201", "101", None, plain) == "stored"
    assert await door.forward(sent.message_id, "301", "101", COMMENT, introduced) == "stored"
    assert await door.forward(sent.message_id, "999", "101", None, str(uuid.uuid4())) == "unknown"
    (copy,) = await door.messages("201", "new")
    assert (copy.message_id, copy.caller, copy.urgent, copy.comment_of) == (plain, "42075553333", True, None)
    (copy,) = await door.messages("301", "new")
    assert (copy.caller, copy.caller_name, copy.seconds) == ("101", "Alice", 2.5)
    assert copy.comment_of is not None
    assert (await door.sound(introduced), await door.sound(copy.comment_of)) == (COMMENT, SOUND)


async def test_a_deposit_may_introduce_another_message(door: Mailboxes) -> None:
    await door.deposit(message(sound=COMMENT, forwarded=SOUND))
    (listed,) = await door.messages("101", "new")
    assert listed.comment_of is not None
    assert await door.sound(listed.comment_of) == SOUND


async def test_greetings_are_kept_by_kind(door: Mailboxes) -> None:
    await door.set_greeting("101", "busy", SOUND)
    await door.set_greeting("101", "name", COMMENT)
    await door.set_greeting("101", "busy", None)
    found = await door.mailbox("101")
    assert found is not None
    assert found.greetings == {"name"}
    assert (await door.greeting("101", "name"), await door.greeting("101", "busy")) == (COMMENT, None)
    with pytest.raises(StoreRefused):
        await door.set_greeting("999", "busy", SOUND)


async def test_wrong_pins_lock_the_mailbox_for_the_right_one_too(door: Mailboxes) -> None:
    assert (await door.check_pin("101", "4829", GuessSource("201"))).verdict == "none"
    await door.set_pin("101", "4829")
    assert (await door.check_pin("101", "4829", GuessSource("201"))).verdict == "right"
    for source in ("202", "203", "204"):
        assert (await door.check_pin("101", "1111", GuessSource(source))).verdict == "wrong"
    assert (await door.check_pin("101", "4829", GuessSource("205"))).verdict == "locked"
    with pytest.raises(StoreRefused):
        await door.set_pin("999", "4829")


async def test_a_message_is_e_mailed_on_request_where_there_is_an_address(door: Mailboxes, tenant: Tenant) -> None:
    sent = message()
    await door.deposit(sent)
    assert await door.email(sent.message_id) is False
    if isinstance(door, MemoryMailboxes):
        door.add("401", has_email=True)
        sent = message(mailbox="401")
        await door.deposit(sent)
    else:
        await tenant.sql.execute("UPDATE billing_mailbox SET email = ARRAY['alice@example.com'] WHERE account_id = 1")
    for _ in range(2):
        assert await door.email(sent.message_id) is True
    if not isinstance(door, MemoryMailboxes):
        assert await tenant.sql.fetchval("SELECT count(*) FROM billing_voiceemail") == 1
    assert await door.email(str(uuid.uuid4())) is False
