# SPDX-License-Identifier: Apache-2.0
"""Mailboxes as an administrator repairs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection

from billing.audit_log.action import Action
from billing.voicemail.models import Greeting
from billing.voicemail.queries import account_of, message_of
from billing_client.rules.pins import hash_pin, new_pin

if TYPE_CHECKING:
    from billing.audit_log.actor import Actor
    from billing.store.query import Row

__all__ = [
    "delete",
    "reset_pin",
    "set_greeting",
    "unlock",
]

DELETE: Final = Action("mailboxes.delete", "account")
RESET_PIN: Final = Action("mailboxes.reset_pin", "account")
UNLOCK: Final = Action("mailboxes.unlock", "account")
GREETING: Final = Action("mailboxes.greeting", "account")
LIFT: Final = """
DELETE FROM billing_pinfailure f
 USING (SELECT 'mailbox ' || coalesce((SELECT a.number FROM billing_account a WHERE a.id = mailbox_account(%(name)s)),
                                      %(name)s) AS subject) m
 WHERE f.subject = m.subject OR starts_with(f.subject, m.subject || ' by ')
    OR f.subject IN ('source number ' || %(name)s, 'source phone ' || %(name)s)"""


def delete(actor: Actor, message: str) -> Row:
    """Delete a message, as its owner would: it is purged some hours later. Returns it. Raises MailboxError."""
    found = message_of(message)
    with DELETE.by(actor, found["account"]) as deed, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_voicemessage SET deleted_at = now() WHERE id = %s AND deleted_at IS NULL",
            [found["message"]],
        )
        deed.changed({"message": found["folder"]}, {"message": "deleted"})
        deed.tell(id=found["message"], caller=found["caller"], received_at=found["received_at"])
        if not cursor.rowcount:
            deed.nothing()
    return found


def reset_pin(actor: Actor, account: str) -> str:
    """Give a mailbox a new PIN, lift its lock, and return the PIN, which nobody can find out again."""
    number = account_of(account)
    pin = new_pin(number)
    with RESET_PIN.by(actor, number) as deed, connection.cursor() as cursor:
        cursor.execute("SELECT set_pin(%s, %s)", [number, hash_pin(pin)])
        deed.changed({"pin": "the one before"}, {"pin": pin})
        deed.tell(forgotten=_lift(account))
    return pin


def unlock(actor: Actor, name: str) -> bool:
    """Lift the lock of a mailbox, or of a calling number that tried too often; returns whether anything was counted."""
    with UNLOCK.by(actor, name) as deed:
        counted = _lift(name)
        deed.changed({"counted for": counted}, {"counted for": 0})
        if not counted:
            deed.nothing()
    return bool(counted)


def set_greeting(actor: Actor, account: str, kind: str, data: bytes | None, seconds: float) -> None:
    """Set a greeting (WAV), or remove it."""
    number = account_of(account)
    with GREETING.by(actor, number) as deed, connection.cursor() as cursor:
        before = Greeting.objects.filter(account__number=number, kind=kind).values_list("seconds", flat=True).first()
        cursor.execute(
            "SELECT set_greeting(%s, %s, %s, %s, %s)", [number, kind, data and "wav", data, data and seconds]
        )
        deed.changed({"seconds": before}, {"seconds": seconds if data else None})
        deed.tell(kind=kind)
        if before is None and data is None:
            deed.nothing()


def _lift(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(LIFT, {"name": name})
        return int(cursor.rowcount)
