# SPDX-License-Identifier: Apache-2.0
"""Message lamps: which may be lit, what they show, and who has subscribed to them.

Which may be lit is asked of the store a page at a time and not account by account. A lamp is lit where a message is
present. Where one was deleted lately it may still be lit, if nobody told the phone: deleted messages stay in the store
for some hours (`voicemail.purge_hours`), and a binding does not last so long. All other lamps are dark, and whoever
registered has been told so.

Subscriptions are kept so that they outlive the switch that serves them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from billing_client.mailboxes.words import MessageCounts
from billing_client.names import name, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncpg import Record

    from billing_client.link.pool import Pool

__all__ = [
    "FIRST_LAMPS",
    "LampCursor",
    "SubscriptionRow",
    "lamps",
    "message_counts",
    "subscription",
    "subscription_columns",
]

MESSAGE_COUNTS: Final = """
SELECT c.name, c.new, c.old, c.new_urgent, c.old_urgent,
       ARRAY(SELECT o.name FROM billing_alias o WHERE o.account_id = n.account_id AND o.allow_authentication)::text[]
  FROM message_counts($1) c JOIN billing_alias n ON n.name = c.name"""
_EVER: Final = datetime.min.replace(tzinfo=UTC)
_NOBODY: Final = UUID(int=0)
_WITH_MESSAGES: Final = """
SELECT v.account_id, a.number
  FROM (SELECT DISTINCT account_id FROM billing_voicemessage
         WHERE deleted_at IS NULL AND account_id > $1 ORDER BY account_id LIMIT $2) AS v
  JOIN billing_account a ON a.id = v.account_id ORDER BY v.account_id"""
_LATELY_DELETED: Final = """
SELECT v.deleted_at, v.id, a.number
  FROM (SELECT deleted_at, id, account_id FROM billing_voicemessage
         WHERE deleted_at IS NOT NULL AND (deleted_at, id) > ($1, $2) ORDER BY deleted_at, id LIMIT $3) AS v
  JOIN billing_account a ON a.id = v.account_id ORDER BY v.deleted_at, v.id"""


@dataclass(frozen=True, slots=True)
class LampCursor:
    """How far the lamps have been read: first accounts with messages, then messages that were deleted."""

    account_id: int | None
    """None: all accounts with messages have been read."""
    deleted_at: datetime = _EVER
    message_id: UUID = _NOBODY


FIRST_LAMPS: Final = LampCursor(0)


async def message_counts(pool: Pool, numbers: Sequence[str]) -> dict[str, MessageCounts]:
    """What the lamps of these numbers (accounts or aliases) show; without those that have no mailbox."""
    found = await pool.fetch(MESSAGE_COUNTS, [name(number) for number in numbers])
    return {row[0]: MessageCounts(row[1], row[2], row[3], row[4], tuple(row[5])) for row in found}


async def lamps(pool: Pool, after: LampCursor, limit: int) -> tuple[list[str], LampCursor | None]:
    """Account numbers, some of them perhaps twice, and where to go on; None: that was all."""
    if after.account_id is not None:
        found = await pool.fetch(_WITH_MESSAGES, after.account_id, limit)
        return _numbers(found), LampCursor(found[-1]["account_id"] if len(found) == limit else None)
    found = await pool.fetch(_LATELY_DELETED, after.deleted_at, after.message_id, limit)
    last = found[-1] if len(found) == limit else None
    return _numbers(found), None if last is None else LampCursor(None, last["deleted_at"], last["id"])


def _numbers(found: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(row["number"] for row in found))


WRITE_SUBSCRIPTIONS: Final = (
    "SELECT write_subscriptions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
)
RESUME_SUBSCRIPTIONS: Final = "SELECT * FROM resume_subscriptions($1, $2, $3, $4)"
_LONGEST: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """A subscription: the dialog of its NOTIFY requests (RFC 3261 section 12), and until when."""

    tag: str
    """Ours in the dialog; no two subscriptions have the same."""
    account: str
    """Number of the account whose mailbox it is about."""
    call_id: str
    local: str
    """Our From, with the tag."""
    remote: str
    """The subscriber's To, with the tag."""
    remote_tag: str
    target: str
    """The subscriber's Contact URI."""
    routes: tuple[str, ...]
    event: str
    local_cseq: int
    remote_cseq: int
    source: str
    """`transport:host:port` that the last SUBSCRIBE came from."""
    socket: str
    """The same of ours that it came to."""
    natted: bool
    expires_at: datetime


def subscription(row: Record) -> SubscriptionRow:
    """A row of `billing_subscription`."""
    values = {field.name: row[field.name] for field in fields(SubscriptionRow)}
    values["routes"] = tuple(row["routes"].split("\n")) if row["routes"] else ()
    return SubscriptionRow(**values)


def subscription_columns(rows: Iterable[SubscriptionRow]) -> list[list[Any]]:
    """Rows turned into the columns that `write_subscriptions` takes, in the order of the key."""
    columns: list[list[Any]] = [[] for _ in range(15)]
    for row in sorted(rows, key=lambda row: row.tag):
        values = (
            row.tag, row.account, text(row.call_id, _LONGEST), text(row.local, _LONGEST), text(row.remote, _LONGEST),
            text(row.remote_tag, _LONGEST), text(row.target, _LONGEST), text("\n".join(row.routes), _LONGEST),
            text(row.event, _LONGEST), row.local_cseq, row.remote_cseq, row.source, row.socket, row.natted,
            row.expires_at,
        )  # fmt: skip
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return columns
