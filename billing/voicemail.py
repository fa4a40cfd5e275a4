# SPDX-License-Identifier: Apache-2.0
"""Mailboxes as an administrator sees and repairs them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from django.db import connection

from billing.change import Change
from billing.models import VoiceSound
from billing.query import rows
from billing_client.rules.pins import hash_pin, is_pin, new_pin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.models import Mailbox
    from billing.query import Row

__all__ = [
    "MailboxError",
    "change_mailbox",
    "delete",
    "export",
    "hashed_pins",
    "messages",
    "reset_pin",
    "set_greeting",
    "unlock",
]

UNLOCK = """
DELETE FROM billing_pinfailure f
 USING (SELECT 'mailbox ' || coalesce((SELECT a.number FROM billing_account a WHERE a.id = mailbox_account(%(name)s)),
                                      %(name)s) AS subject) m
 WHERE f.subject = m.subject OR starts_with(f.subject, m.subject || ' by ')
    OR f.subject IN ('source number ' || %(name)s, 'source phone ' || %(name)s)"""
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
SET, NOT_SET = "********", "none"
"""How a document's changes show a PIN."""


class MailboxError(Exception):
    """It cannot be done; the text says why."""


def messages(account: str, *, deleted: bool = False, limit: int = 1000) -> list[Row]:
    """Messages of an account, by folder and in the order of listening; `deleted`: with those not yet purged."""
    _account(account)
    return rows(OF_ACCOUNT, account=account, deleted=deleted, limit=limit)


def export(message: str) -> tuple[str, str, bytes]:
    """Id, format and octets of the sound of a message; `message` is its id, or the beginning of it."""
    found = _message(message)
    sound = VoiceSound.objects.get(id=found["message"])
    return found["message"], sound.format, bytes(sound.data)


def delete(message: str) -> Row:
    """Delete a message, as its owner would: it is purged some hours later. Returns it."""
    found = _message(message)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_voicemessage SET deleted_at = now() WHERE id = %s AND deleted_at IS NULL",
            [found["message"]],
        )
    return found


def reset_pin(account: str) -> str:
    """Give a mailbox a new PIN, lift its lock, and return the PIN, which nobody can find out again."""
    number = _account(account)
    pin = new_pin(number)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_pin(%s, %s)", [number, hash_pin(pin)])
    unlock(account)
    return pin


def unlock(name: str) -> bool:
    """Lift the lock of a mailbox, or of a calling number that tried too often; returns whether anything was counted."""
    with connection.cursor() as cursor:
        cursor.execute(UNLOCK, {"name": name})
        return bool(cursor.rowcount)


def set_greeting(account: str, kind: str, data: bytes | None, seconds: float) -> None:
    """Set a greeting (WAV), or remove it."""
    number = _account(account)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_greeting(%s, %s, %s, %s, %s)", [number, kind, data and "wav", data, data and seconds]
        )


def _account(name: str) -> str:
    """The number of the account that has the mailbox."""
    found = rows("SELECT number FROM billing_account WHERE id = mailbox_account(%(name)s)", name=name)
    if not found:
        raise MailboxError(f"{name} has no mailbox")
    return str(found[0]["number"])


def _message(start: str) -> Row:
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


def hashed_pins(wanted: Mapping[str, tuple[str, str]]) -> dict[str, str | None]:
    """Of each name's PIN and the hash that it has: a new hash, or None where the PIN is right already.

    A hash takes 20 ms, so they are made by several threads.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(zip(wanted, threads.map(_rehashed, wanted.values()), strict=True))


def _rehashed(asked: tuple[str, str]) -> str | None:
    pin, hashed = asked
    if is_pin(pin, hashed) if pin and hashed else pin == hashed:
        return None
    return hash_pin(pin) if pin else ""


def change_mailbox(mailbox: Mailbox, number: str, columns: Mapping[str, Any], pin: str | None) -> list[Change]:
    """Bring a mailbox to what was said, without saving it; what changed. `pin`: its new hash; None: as it is."""
    changed = {field: value for field, value in columns.items() if getattr(mailbox, field) != value}
    changes = [Change("mailbox", number, field, getattr(mailbox, field), value) for field, value in changed.items()]
    for field, value in changed.items():
        setattr(mailbox, field, value)
    if pin is not None:
        changes.append(Change("mailbox", number, "pin", SET if mailbox.pin else NOT_SET, SET if pin else NOT_SET))
        mailbox.pin = pin
    return changes
