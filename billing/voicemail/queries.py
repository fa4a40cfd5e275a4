# SPDX-License-Identifier: Apache-2.0
"""Mailboxes as an administrator sees them."""

from __future__ import annotations

from billing.audit_log.actor import ActionError
from billing.store.query import Row, rows
from billing.voicemail.models import VoiceSound

__all__ = ["MailboxError", "account_of", "message_of", "messages", "sound"]

MESSAGES = """
SELECT v.id::text AS message, a.number AS account, v.folder, v.caller, v.caller_name, v.received_at,
       round(v.seconds::numeric, 1) AS seconds, v.urgent, v.comment_of IS NOT NULL AS is_comment, v.deleted_at,
       s.format, octet_length(s.data) AS octets, e.due_at AS email_due_at, e.attempts AS email_attempts
  FROM billing_voicemessage v
  JOIN billing_account a ON a.id = v.account_id
  LEFT JOIN billing_voicesound s ON s.id = v.id
  LEFT JOIN billing_voiceemail e ON e.message_id = v.id
 WHERE {} AND (%(deleted)s OR v.deleted_at IS NULL)
 ORDER BY v.deleted_at IS NOT NULL, array_position(ARRAY['new', 'old', 'work', 'family', 'friends'], v.folder::text),
          v.urgent DESC, v.received_at, v.id LIMIT %(limit)s"""
OF_ACCOUNT = MESSAGES.format("v.account_id = mailbox_account(%(account)s)")
BY_ID = MESSAGES.format("v.id BETWEEN %(first)s::uuid AND %(last)s::uuid")
UUID_DIGITS = 32


class MailboxError(ActionError):
    """It cannot be done; the text says why."""


def messages(account: str, *, deleted: bool = False, limit: int = 1000) -> list[Row]:
    """Messages of an account, by folder and in the order of listening; `deleted`: with those not yet purged."""
    account_of(account)
    return rows(OF_ACCOUNT, account=account, deleted=deleted, limit=limit)


def sound(message: str) -> tuple[str, str, bytes]:
    """Id, format and octets of the sound of a message; `message` is its id, or the beginning of it."""
    found = message_of(message)
    kept = VoiceSound.objects.get(id=found["message"])
    return found["message"], kept.format, bytes(kept.data)


def account_of(name: str) -> str:
    """The number of the account that has the mailbox."""
    found = rows("SELECT number FROM billing_account WHERE id = mailbox_account(%(name)s)", name=name)
    if not found:
        raise MailboxError(f"{name} has no mailbox")
    return str(found[0]["number"])


def message_of(start: str) -> Row:
    """The message with that id, or the only one whose id begins so."""
    digits = start.replace("-", "").lower()
    found = []
    if 0 < len(digits) <= UUID_DIGITS and not set(digits) - set("0123456789abcdef"):
        first, last = (digits.ljust(UUID_DIGITS, filling) for filling in "0f")
        found = rows(BY_ID, first=first, last=last, deleted=True, limit=2)
    if not found:
        raise MailboxError(f'no message has the id "{start}"')
    if len(found) > 1:
        raise MailboxError(f'several messages have ids that begin with "{start}"')
    return found[0]
