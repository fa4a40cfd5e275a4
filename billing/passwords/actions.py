# SPDX-License-Identifier: Apache-2.0
"""Sealing passwords that lie in clear, and the file of keys that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection

from billing.audit_log.action import Action
from billing.passwords.sealing import seal_clear
from billing_client.secrets.keyring import KeyRing, KeyRingError
from billing_client.secrets.passwords import Passwords

if TYPE_CHECKING:
    from billing.audit_log.actor import Actor
    from billing_client.secrets.keyring import KeyFile

__all__ = ["key_ring", "seal"]

SEAL: Final = Action("passwords.seal", "key")
ANYTHING_SEALED: Final = """
SELECT EXISTS (SELECT FROM billing_voucher WHERE key_id IS NOT NULL)
    OR EXISTS (SELECT FROM billing_account WHERE starts_with(password, '$sealed$'))
    OR EXISTS (SELECT FROM billing_gateway WHERE starts_with(password, '$sealed$'))"""


def seal(actor: Actor, keys: KeyFile) -> int:
    """Seal the passwords that are in clear; how many. Raises KeyRingError.

    A thousand at a time, each a transaction of its own; noted after the last, where there were any.
    """
    SEAL.check(actor)
    ring = key_ring(keys)
    count = seal_clear(Passwords(keys))
    if count:
        with SEAL.by(actor, f"key {ring.newest}") as deed:
            deed.tell(count=count)
    return count


def key_ring(keys: KeyFile) -> KeyRing:
    """The ring; a new one if there is none and nothing was sealed yet. Raises KeyRingError."""
    if keys.exists():
        return keys.ring()
    with connection.cursor() as cursor:
        cursor.execute(ANYTHING_SEALED)
        if cursor.fetchone()[0]:
            raise KeyRingError(
                f"{keys.path} is missing, and there are vouchers or passwords that it sealed: put it back"
            )
    keys.write(KeyRing.make())
    return keys.ring()
