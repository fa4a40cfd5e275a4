# SPDX-License-Identifier: Apache-2.0
"""Mailboxes in the store: `billing_client.mailboxes.words.Mailboxes` over a pool of connections, and what keeps them
tidy."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from billing_client.link.pool import Pool
from billing_client.mailboxes.words import DepositPace, Email, Mailbox, Message, PinVerdict, Sound
from billing_client.names import LONGEST_NAME, name, text
from billing_client.rules.lifecycle import LifeTerms, refusal
from billing_client.rules.pins import DEFAULT_SLOW_AFTER, hash_pin, is_pin
from billing_client.types import StoreRefused
from billing_client.vouchers.guessing import Guesses, LoginDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from asyncpg import Record

    from billing_client.mailboxes.words import Deposit, DepositResult, Folder, GreetingKind
    from billing_client.vouchers.words import GuessSource

__all__ = ["StoreMailboxes"]

MAILBOX = "SELECT * FROM mailbox($1)"
MESSAGES = "SELECT * FROM messages($1, $2)"
SOUND = "SELECT format, data, seconds FROM billing_voicesound WHERE id = $1"
DEPOSIT = """
SELECT deposit_message($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) AS result"""
FORWARD = "SELECT forward_message($1, $2, $3, $4, $5, $6, $7, $8) AS result"
# Rows are locked in the order of their keys, so that two who change the same messages do not wait in a circle.
CHANGED = "(SELECT id FROM billing_voicemessage WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE)"
MOVE = f"UPDATE billing_voicemessage SET folder = $2 WHERE id IN {CHANGED} AND folder <> $2"
DELETE = f"UPDATE billing_voicemessage SET deleted_at = now() WHERE id IN {CHANGED} AND deleted_at IS NULL"
UNDELETE = f"UPDATE billing_voicemessage SET deleted_at = NULL WHERE id IN {CHANGED} AND deleted_at IS NOT NULL"
EMAIL = "SELECT email_message($1) AS queued"
GREETING = "SELECT format, data, seconds FROM billing_greeting WHERE account_id = mailbox_account($1) AND kind = $2"
SET_GREETING = "SELECT set_greeting($1, $2, $3, $4, $5) AS done"
SET_PIN = "SELECT set_pin($1, $2) AS done"
TAKE_EMAILS = "SELECT * FROM take_emails($1, $2, $3)"
EMAIL_ACCEPTED = "SELECT email_accepted($1)"
EMAIL_AGAIN = "SELECT email_again($1, $2, $3, $4)"
EMAIL_GIVEN_UP = "DELETE FROM billing_voiceemail WHERE message_id = $1 AND attempts = $2"
PURGE = "SELECT purge_messages($1, $2) AS messages, prune_pin_failures($2) AS failures, prune_emails($2) AS emails"

LONGEST_CALLER_NAME = 120
COMPARISONS_AT_A_TIME = 2
"""Each takes a processor and 8 MiB for 20 ms; the event loop goes on meanwhile."""


class StoreMailboxes:
    """The door to mailboxes; make one by `connect`."""

    def __init__(
        self, pool: Pool, logins: LoginDoor, *, max_messages: int, max_seconds: int, pace: DepositPace
    ) -> None:
        """`max_messages` holds where a mailbox sets no limit of its own. The pool is closed by `close`."""
        self._pool = pool
        self._max_messages = max_messages
        self._max_seconds = max_seconds
        self._logins = logins
        self._pace = pace
        self._comparing = ThreadPoolExecutor(COMPARISONS_AT_A_TIME, "pin")

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        node: str,
        connections: int = 4,
        timeout_seconds: float = 5.0,
        max_messages: int = 100,
        max_seconds: int = 180,
        lock_after: int = 9,
        lock_seconds: int = 900,
        slow_after: int = DEFAULT_SLOW_AFTER,
        pace: DepositPace | None = None,
        guesses: Guesses | None = None,
    ) -> StoreMailboxes:
        """Open connections of its own; raises StoreUnavailable. `timeout_seconds` bounds every wait for the store, the
        transport of a message of some minutes included. PINs are locked for `lock_seconds` (twice as long at each
        further lock) after `lock_after` wrong ones in a row; wrong ones are counted in `guesses` too."""
        pool = Pool(
            dsn,
            name=f"softswitch {node} mailboxes",
            size=connections,
            timeout_seconds=timeout_seconds,
            prepare=(MAILBOX, MESSAGES, DEPOSIT, SOUND),
        )
        await pool.open()
        logins = LoginDoor(pool, lock_after, lock_seconds, slow_after, guesses or Guesses())
        return cls(pool, logins, max_messages=max_messages, max_seconds=max_seconds, pace=pace or DepositPace())

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()
        self._comparing.shutdown(wait=False)

    # Mailboxes

    async def mailbox(self, number: str) -> Mailbox | None:
        """See `Mailboxes`."""
        found = await self._pool.fetch(MAILBOX, name(number))
        return self._mailbox(found[0]) if found else None

    def _mailbox(self, row: Record) -> Mailbox:
        return Mailbox(
            account_id=row["account_id"],
            number=row["number"],
            display=row["display"],
            language=row["language"],
            timezone=row["timezone"] or "UTC",
            has_pin=row["has_pin"],
            ask_pin=row["ask_pin"],
            greetings=frozenset(row["greetings"]),
            max_messages=self._max_messages if row["max_messages"] is None else row["max_messages"],
            max_seconds=self._max_seconds,
            operator=row["operator"],
            new=row["new"],
            old=row["old"],
            new_urgent=row["new_urgent"],
            old_urgent=row["old_urgent"],
            attach=row["attach"],
            delete_after_email=row["delete_after_email"],
            usable=refusal(LifeTerms.parse(row["terms"]), datetime.now(UTC)),
        )

    async def check_pin(self, number: str, pin: str, source: GuessSource) -> PinVerdict:
        """See `Mailboxes`. The attempt is counted first and taken back (a second round trip) if it was right; asked for
        a mailbox that is not there, or has no PIN, it counts and takes as long as any other."""
        asked = name(number)
        row = await self._logins.attempt(asked, source)
        if row["is_locked"]:
            return PinVerdict("locked", row["delay"])
        if not await self._in_thread(is_pin, pin, row["hash"]):
            delay = await self._logins.wrong(asked, source, row)
            return PinVerdict("wrong" if row["hash"] else "none", delay)
        await self._logins.right(asked, source)
        return PinVerdict("right", row["delay"])

    async def set_pin(self, number: str, pin: str) -> None:
        """See `Mailboxes`; StoreRefused if there is no such mailbox."""
        hashed = await self._in_thread(hash_pin, pin)
        self._done(number, await self._pool.fetch(SET_PIN, name(number), hashed))

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._comparing, function, *arguments)

    async def greeting(self, number: str, kind: GreetingKind) -> Sound | None:
        """See `Mailboxes`."""
        return _sound(await self._pool.fetch(GREETING, name(number), kind))

    async def set_greeting(self, number: str, kind: GreetingKind, sound: Sound | None) -> None:
        """See `Mailboxes`; StoreRefused if there is no such mailbox."""
        self._done(number, await self._pool.fetch(SET_GREETING, name(number), kind, *_columns(sound)))

    @staticmethod
    def _done(number: str, rows: Sequence[Record]) -> None:
        if not rows[0]["done"]:
            raise StoreRefused(f"{number} has no mailbox")

    # Messages

    async def messages(self, number: str, folder: Folder) -> list[Message]:
        """See `Mailboxes`."""
        return [_message(row) for row in await self._pool.fetch(MESSAGES, name(number), folder)]

    async def sound(self, message_id: str) -> Sound | None:
        """See `Mailboxes`; `Message.comment_of` is the id of a sound too."""
        ids = _ids([message_id])
        return _sound(await self._pool.fetch(SOUND, ids[0])) if ids else None

    async def deposit(self, deposit: Deposit) -> DepositResult:
        """See `Mailboxes`."""
        found = await self._pool.fetch(
            DEPOSIT,
            _id(deposit.message_id),
            name(deposit.mailbox),
            text(deposit.caller, LONGEST_NAME),
            text(deposit.caller_name, LONGEST_CALLER_NAME),
            deposit.received_at,
            deposit.urgent,
            *_columns(deposit.sound),
            *_columns(deposit.forwarded),
            self._max_messages,
            self._pace.from_one_caller,
            self._pace.messages_an_hour,
            self._pace.emails_an_hour,
        )
        return _result(found)

    async def forward(
        self, message_id: str, to: str, sender: str, comment: Sound | None, copy_id: str
    ) -> DepositResult:
        """See `Mailboxes`. Without a comment the copy is from who called at first; with one it is from `sender`."""
        found = await self._pool.fetch(
            FORWARD,
            _id(message_id),
            name(to),
            text(sender, LONGEST_NAME),
            *_columns(comment),
            _id(copy_id),
            self._max_messages,
        )
        return _result(found)

    async def move(self, message_ids: Sequence[str], folder: Folder) -> None:
        """See `Mailboxes`."""
        await self._pool.fetch(MOVE, _ids(message_ids), folder)

    async def delete(self, message_ids: Sequence[str]) -> None:
        """See `Mailboxes`."""
        await self._pool.fetch(DELETE, _ids(message_ids))

    async def undelete(self, message_ids: Sequence[str]) -> None:
        """See `Mailboxes`."""
        await self._pool.fetch(UNDELETE, _ids(message_ids))

    async def purge(self, before: datetime, most: int) -> int:
        """Remove up to `most` messages for good that were deleted before then; returns how many.

        Wrong PINs and e-mails that are too old to matter go too.
        """
        removed: int = (await self._pool.fetch(PURGE, before, most))[0]["messages"]
        return removed

    # E-mails

    async def email(self, message_id: str) -> bool:
        """See `Mailboxes`."""
        queued: bool = (await self._pool.fetch(EMAIL, _id(message_id)))[0]["queued"]
        return queued

    async def take_emails(self, at: datetime, lease: timedelta, most: int) -> list[Email]:
        """Take e-mails that are due; nobody else gets them within the lease."""
        return [_email(row) for row in await self._pool.fetch(TAKE_EMAILS, at, lease.total_seconds(), most)]

    async def email_accepted(self, email: Email) -> None:
        """Done with; the message is deleted where the mailbox wants that."""
        await self._pool.fetch(EMAIL_ACCEPTED, _id(email.message_id))

    async def email_again(self, email: Email, recipients: Sequence[str], at: datetime) -> None:
        """Try again then, for these recipients."""
        await self._pool.fetch(EMAIL_AGAIN, _id(email.message_id), email.attempts, list(recipients), at)

    async def email_given_up(self, email: Email) -> None:
        """Try no more; the message stays."""
        await self._pool.fetch(EMAIL_GIVEN_UP, _id(email.message_id), email.attempts)


def _id(message_id: str) -> UUID:
    """Raises StoreRefused for what is no UUID."""
    try:
        return UUID(message_id)
    except ValueError as error:
        raise StoreRefused(f"{message_id!r} is no message id") from error


def _ids(message_ids: Sequence[str]) -> list[UUID]:
    """Those that can be ids of messages."""
    ids = []
    for message_id in message_ids:
        try:
            ids.append(UUID(message_id))
        except ValueError:
            continue
    return ids


def _columns(sound: Sound | None) -> tuple[str | None, bytes | None, float | None]:
    return (None, None, None) if sound is None else (sound.format, sound.data, sound.seconds)


def _sound(rows: Sequence[Record]) -> Sound | None:
    return Sound(rows[0]["format"], rows[0]["data"], rows[0]["seconds"]) if rows else None


def _result(rows: Sequence[Record]) -> DepositResult:
    result: DepositResult = rows[0]["result"]
    return result


def _message(row: Record) -> Message:
    return Message(
        message_id=str(row["id"]),
        folder=row["folder"],
        caller=row["caller"],
        caller_name=row["caller_name"],
        received_at=row["received_at"],
        seconds=row["seconds"],
        urgent=row["urgent"],
        comment_of=row["comment_of"] and str(row["comment_of"]),
    )


def _email(row: Record) -> Email:
    sounds = [
        Sound(row[form], row[data], row["seconds"])
        for form, data in (("format", "data"), ("introduced_format", "introduced_data"))
        if row[data] is not None
    ]
    return Email(
        message_id=str(row["message_id"]),
        attempts=row["attempts"],
        queued_at=row["queued_at"],
        recipients=tuple(row["recipients"]),
        mailbox=row["number"],
        display=row["display"],
        language=row["language"],
        timezone=row["timezone"] or "UTC",
        attach=row["attach"],
        caller=row["caller"],
        caller_name=row["caller_name"],
        received_at=row["received_at"],
        seconds=row["seconds"],
        urgent=row["urgent"],
        sounds=tuple(sounds),
    )
