# SPDX-License-Identifier: Apache-2.0
"""Sealing the passwords of accounts and gateways that lie in the store: those in clear, and all by a new key.

Batch by batch, each a transaction of its own: what is interrupted goes on where it was. A password is replaced only if
it is still what was read, so one that changes meanwhile is never lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection, transaction

from billing_client.secrets.passwords import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.secrets.keyring import KeyRing
    from billing_client.secrets.passwords import Passwords

__all__ = ["keys_of_passwords", "passwords_of_others", "reseal_passwords", "seal_clear"]

AT_A_TIME: Final = 1000
TABLES: Final = ("billing_account", "billing_gateway")
CLEAR: Final = """
SELECT id, password FROM {table}
 WHERE id > %s AND password <> '' AND NOT starts_with(password, %s) ORDER BY id LIMIT %s"""
OTHERS: Final = """
SELECT id, password FROM {table}
 WHERE id > %s AND starts_with(password, %s) AND split_part(password, '$', 3) <> %s ORDER BY id LIMIT %s"""
REPLACE: Final = """
UPDATE {table} t SET password = n.sealed
  FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS n (id, was, sealed)
 WHERE t.id = n.id AND t.password = n.was"""
KEYS: Final = "SELECT DISTINCT split_part(password, '$', 3) FROM {table} WHERE starts_with(password, %s)"
COUNT_OTHERS: Final = (
    "SELECT count(*) FROM {table} WHERE starts_with(password, %s) AND split_part(password, '$', 3) <> %s"
)


def seal_clear(passwords: Passwords) -> int:
    """Seal the passwords that are in clear; how many. Raises KeyRingError."""
    return sum(_replace(table, CLEAR, (MARK,), passwords.seal) for table in TABLES)


def reseal_passwords(passwords: Passwords, ring: KeyRing) -> int:
    """Seal by the newest key of a ring what others of it sealed; how many. Raises KeyRingError."""
    asked = (MARK, str(ring.newest))
    return sum(_replace(table, OTHERS, asked, lambda kept: passwords.resealed(kept, ring)) for table in TABLES)


def passwords_of_others(key: int) -> int:
    """Passwords that another key sealed."""
    with connection.cursor() as cursor:
        count = 0
        for table in TABLES:
            cursor.execute(COUNT_OTHERS.format(table=table), [MARK, str(key)])
            count += int(cursor.fetchone()[0])
        return count


def keys_of_passwords() -> set[int]:
    """The numbers of the keys that seal passwords."""
    with connection.cursor() as cursor:
        found: set[int] = set()
        for table in TABLES:
            cursor.execute(KEYS.format(table=table), [MARK])
            found |= {int(row[0]) for row in cursor.fetchall()}
        return found


def _replace(table: str, select: str, asked: tuple[str, ...], change: Callable[[str], str]) -> int:
    after, done = 0, 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(select.format(table=table), [after, *asked, AT_A_TIME])
            found = cursor.fetchall()
            if not found:
                return done
            ids, was = [row[0] for row in found], [row[1] for row in found]
            cursor.execute(REPLACE.format(table=table), [ids, was, [change(kept) for kept in was]])
            done += cursor.rowcount
            after = ids[-1]
