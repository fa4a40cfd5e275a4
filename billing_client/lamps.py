# SPDX-License-Identifier: Apache-2.0
"""Which message lamps may be lit, asked of the store a page at a time and not account by account.

A lamp is lit where a message is present. Where one was deleted lately it may still be lit, if nobody told the phone:
deleted messages stay in the store for some hours (`voicemail.purge_hours`), and a binding does not last so long. All
other lamps are dark, and whoever registered has been told so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record

    from billing_client.pool import Pool

__all__ = ["FIRST_LAMPS", "LampCursor", "lamps"]

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
