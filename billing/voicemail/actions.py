# SPDX-License-Identifier: Apache-2.0
"""Mailboxes as an administrator repairs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from billing.voicemail.queries import account_of, message_of
from billing_client.rules.pins import hash_pin, new_pin

if TYPE_CHECKING:
    from billing.store.query import Row

__all__ = [
    "delete",
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


def delete(message: str) -> Row:
    """Delete a message, as its owner would: it is purged some hours later. Returns it."""
    found = message_of(message)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_voicemessage SET deleted_at = now() WHERE id = %s AND deleted_at IS NULL",
            [found["message"]],
        )
    return found


def reset_pin(account: str) -> str:
    """Give a mailbox a new PIN, lift its lock, and return the PIN, which nobody can find out again."""
    number = account_of(account)
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
    number = account_of(account)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_greeting(%s, %s, %s, %s, %s)", [number, kind, data and "wav", data, data and seconds]
        )
