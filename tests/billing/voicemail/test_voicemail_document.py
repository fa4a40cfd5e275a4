# SPDX-License-Identifier: Apache-2.0
"""Mailboxes in the documents that `softswitch apply` takes, and what an administrator does with mailboxes."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from billing_client.mailboxes.mailboxes import StoreMailboxes
from billing_client.mailboxes.words import Deposit, Mailbox, Sound
from billing_client.vouchers.words import GuessSource
from tests.billing.back_office import ACTOR, opened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

CUSTOMER = {"name": "Acme", "currency": "USD"}
ALICE = {"number": "101", "customer": "Acme", "kind": "subordinate", "aliases": ["42027777100"]}
PLAIN: dict[str, Any] = {
    "enabled": True, "has_pin": False, "ask_pin": False, "max_messages": None, "operator": "", "email": [],
    "attach": "wav", "delete_after_email": False,
}  # fmt: skip


@pytest.fixture
def ops(dsn: str) -> Iterator[Any]:
    """The back office of this test's store, which has account 101."""
    for office in opened(dsn):
        office.apply({"customers": [CUSTOMER], "accounts": [ALICE]})
        yield office


def changes(ops: Any, **fields: Any) -> list[str]:
    """What saying this of account 101 changes, as it is shown."""
    document = {"accounts": [{"number": "101", **fields}]}
    shown = [str(change) for change in ops.apply(document)]
    assert ops.apply(document) == []
    return shown


def settings(ops: Any) -> dict[str, Any]:
    found: dict[str, Any] = ops.accounts("101")[0]["voicemail"]
    return found


def problems(ops: Any, **fields: Any) -> list[str]:
    from billing.document.apply import ApplyError

    with pytest.raises(ApplyError) as refused:
        ops.apply({"accounts": [{"number": "101", **fields}]})
    return refused.value.problems


def ask(dsn: str, question: Callable[[StoreMailboxes], Awaitable[Any]]) -> Any:
    """Ask the mailboxes as an application does."""

    async def asked() -> Any:
        mailboxes = await StoreMailboxes.connect(dsn, node="test", connections=1, lock_after=3)
        try:
            return await question(mailboxes)
        finally:
            await mailboxes.close()

    return asyncio.run(asked())


def test_an_account_of_which_nothing_is_said_has_a_plain_mailbox(ops: Any) -> None:
    assert settings(ops) == PLAIN
    assert changes(ops, voicemail={}) == []


def test_settings_are_made_shown_and_taken_back(ops: Any, dsn: str) -> None:
    said = {
        "ask_pin": True, "max_messages": 7, "operator": "100", "email": ["a@example.com", "b@example.com"],
        "attach": "mp3", "delete_after_email": True,
    }  # fmt: skip
    assert changes(ops, voicemail=said) == [
        "mailbox 101: ask_pin False -> True",
        "mailbox 101: max_messages None -> 7",
        "mailbox 101: operator  -> 100",
        "mailbox 101: email [] -> ['a@example.com', 'b@example.com']",
        "mailbox 101: attach wav -> mp3",
        "mailbox 101: delete_after_email False -> True",
    ]
    assert settings(ops) == PLAIN | said
    found: Mailbox = ask(dsn, lambda mailboxes: mailboxes.mailbox("101"))
    assert (found.ask_pin, found.max_messages, found.operator, found.attach) == (True, 7, "100", "mp3")
    assert changes(ops, voicemail={"email": "a@example.com"}) == [
        "mailbox 101: email ['a@example.com', 'b@example.com'] -> ['a@example.com']"
    ]
    nothing = dict.fromkeys(said)
    assert len(changes(ops, voicemail=nothing)) == 6
    assert settings(ops) == PLAIN


def test_a_pin_is_set_changed_and_taken_away_without_being_shown(ops: Any, dsn: str) -> None:
    assert changes(ops, voicemail={"pin": "4829"}) == ["mailbox 101: pin none -> ********"]
    assert changes(ops, voicemail={"pin": 902817}) == ["mailbox 101: pin ******** -> ********"]
    assert settings(ops)["has_pin"] is True
    verdict = ask(dsn, lambda mailboxes: mailboxes.check_pin("101", "902817", GuessSource("1")))
    assert verdict.verdict == "right"
    assert changes(ops, voicemail={"pin": None}) == ["mailbox 101: pin ******** -> none"]
    assert changes(ops, voicemail={"pin": ""}) == []


@pytest.mark.parametrize("value", [False, {"enabled": False}])
def test_a_mailbox_is_switched_off_and_on(ops: Any, dsn: str, value: Any) -> None:
    assert changes(ops, voicemail=value) == ["mailbox 101: enabled True -> False"]
    assert ask(dsn, lambda mailboxes: mailboxes.mailbox("101")) is None
    assert changes(ops, voicemail=True) == ["mailbox 101: enabled False -> True"]
    assert ask(dsn, lambda mailboxes: mailboxes.mailbox("101")) is not None


def test_time_zone_and_language_are_the_accounts(ops: Any, dsn: str) -> None:
    assert changes(ops, timezone="Europe/Prague", language="cs") == [
        "account 101: timezone  -> Europe/Prague",
        "account 101: language  -> cs",
    ]
    account = ops.accounts("101")[0]
    assert (account["timezone"], account["language"]) == ("Europe/Prague", "cs")
    found: Mailbox = ask(dsn, lambda mailboxes: mailboxes.mailbox("42027777100"))
    assert (found.timezone, found.language) == ("Europe/Prague", "cs")
    assert len(changes(ops, timezone=None, language=None)) == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"voicemail": {"pin": "1234"}}, "accounts[0].voicemail.pin: is too easy to guess"),
        ({"voicemail": {"pin": 7710}, "aliases": []}, None),
        ({"voicemail": {"pin": "101999"}}, "accounts[0].voicemail.pin: is too easy to guess"),
        ({"voicemail": {"pin": "secret"}}, "accounts[0].voicemail.pin: is too easy to guess"),
        ({"voicemail": {"attach": "mp4"}}, "accounts[0].voicemail.attach: 'mp4' is none of"),
        ({"voicemail": {"email": "nobody"}}, "accounts[0].voicemail.email: 'nobody' is not an e-mail address"),
        ({"voicemail": {"email": ["a@b\nBcc: c@d"]}}, "accounts[0].voicemail.email: "),
        ({"voicemail": {"email": ["a@b"] * 11}}, "accounts[0].voicemail.email: is not a list of up to 10"),
        ({"voicemail": {"max_messages": 0}}, "accounts[0].voicemail.max_messages: "),
        ({"voicemail": {"operator": "1 2"}}, "accounts[0].voicemail.operator: '1 2' is not a number"),
        ({"voicemail": {"emial": "a@b"}}, 'accounts[0].voicemail.emial: unknown key (did you mean "email"?)'),
        ({"voicemail": "maybe"}, "accounts[0].voicemail: is not a mapping"),
        ({"timezone": "Europe/Nowhere"}, "accounts[0].timezone: 'Europe/Nowhere' is not a time zone"),
        ({"timezone": "../etc/passwd"}, "accounts[0].timezone: "),
        ({"timezone": "Europe"}, "accounts[0].timezone: "),
        ({"language": "Klingon"}, "accounts[0].language: 'Klingon' is not a language"),
    ],
)
def test_mistakes_are_told_by_path_and_without_the_pin(ops: Any, said: dict[str, Any], told: str | None) -> None:
    if told is None:
        assert len(changes(ops, **said)) == 2
        return
    (problem,) = problems(ops, **said)
    assert problem.startswith(told)
    assert "secret" not in problem
    assert "1234" not in problem


def leave(dsn: str, sound: Sound = Sound("wav", b"RIFF", 1.5)) -> str:  # noqa: B008 (it cannot be changed)
    message_id = str(uuid.uuid4())
    deposit = Deposit(message_id=message_id, mailbox="101", caller="42075553333", caller_name="",
                      received_at=datetime.now(UTC), sound=sound)  # fmt: skip
    assert ask(dsn, lambda mailboxes: mailboxes.deposit(deposit)) == "stored"
    return message_id


def test_an_administrator_lists_exports_and_deletes_messages(ops: Any, dsn: str) -> None:
    from billing.voicemail import actions, queries

    ids = sorted(leave(dsn) for _ in range(2))
    assert {row["message"] for row in queries.messages("42027777100")} == set(ids)
    assert queries.sound(ids[0][:13]) == (ids[0], "wav", b"RIFF")
    assert actions.delete(ACTOR, ids[0])["account"] == "101"
    assert [row["message"] for row in queries.messages("101")] == [ids[1]]
    assert [row["message"] for row in queries.messages("101", deleted=True)] == [ids[1], ids[0]]
    for wrong in ("", "zz", "f" * 33, str(uuid.uuid4())):
        with pytest.raises(queries.MailboxError):
            queries.sound(wrong)
    with pytest.raises(queries.MailboxError):
        queries.messages("999")


def test_a_new_pin_lifts_the_lock(ops: Any, dsn: str) -> None:
    from billing.voicemail import actions as voicemail

    async def three_wrong(mailboxes: StoreMailboxes) -> list[str]:
        return [
            (await mailboxes.check_pin("101", "0000", GuessSource("420", is_vouched=True))).verdict for _ in range(4)
        ]

    assert ask(dsn, three_wrong) == ["none", "none", "none", "locked"]
    pin = voicemail.reset_pin(ACTOR, "42027777100")
    verdict = ask(dsn, lambda mailboxes: mailboxes.check_pin("101", pin, GuessSource("421")))
    assert verdict.verdict == "right"
    verdict = ask(dsn, lambda mailboxes: mailboxes.check_pin("101", pin, GuessSource("420", is_vouched=True)))
    assert verdict.verdict == "locked"
    assert voicemail.unlock(ACTOR, "420") is True
    assert voicemail.unlock(ACTOR, "420") is False
    verdict = ask(dsn, lambda mailboxes: mailboxes.check_pin("101", pin, GuessSource("420", is_vouched=True)))
    assert verdict.verdict == "right"
