# SPDX-License-Identifier: Apache-2.0
"""Opens a store, and brings its schema up to date: one who does it at a time, all of it or nothing."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from billing.settings import configure
from billing.store import definitions, former
from billing_client.secrets.passwords import Passwords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from billing_client.secrets.keyring import KeyFile

__all__ = ["StoreVersionError", "alone", "is_migrated", "migrate", "pending", "setup"]

PREPARING: Final = 0x50F75
"""The advisory lock of whoever brings the store up to date."""


class StoreVersionError(Exception):
    """The store is of a version that this program cannot bring up to date; the text says what to do."""


def setup(dsn: str, keys: KeyFile | None = None) -> None:
    """Start Django on this store. `keys` seal and open passwords; None: those that are written are not sealed."""
    configure(dsn, sealing=Passwords(keys))


def is_migrated() -> bool:
    """True if the schema is up to date. Raises StoreVersionError."""
    return not pending()


@contextmanager
def alone(waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds this store's preparation for the time of the block: of nodes that start at once, one prepares it.

    `waiting` is called where another has it, before we wait. May be nested.
    """
    from django.db import Error, connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [PREPARING])
        if not cursor.fetchone()[0]:
            waiting()
            cursor.execute("SELECT pg_advisory_lock(%s)", [PREPARING])
    try:
        yield
    finally:
        # A connection that was lost has let go of it already.
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [PREPARING])


def migrate() -> int:
    """Make the migrations, functions, views and triggers that the store lacks or has in another form; how many.

    Two at once wait for each other. Raises StoreVersionError.
    """
    from django.core.management import call_command
    from django.db import connection, transaction

    with alone():
        steps = pending()
        if not steps:
            return 0
        with transaction.atomic(), connection.cursor() as cursor:
            if _is_former(_made()):
                former.adopt(cursor)
            found = definitions.present(cursor)
            definitions.drop_views(cursor, found)
            if _pending_migrations():
                call_command("migrate", interactive=False, verbosity=0)
            definitions.apply(cursor, definitions.defined(), found)
    return steps


def pending() -> int:
    """How many migrations, functions, views and triggers are not as this program has them. Raises StoreVersionError."""
    from django.db import connection

    made = _made()
    with connection.cursor() as cursor:
        stale = definitions.stale(definitions.defined(), definitions.present(cursor))
    if _is_former(made):
        return len(stale)
    if made & former.HISTORY:
        raise StoreVersionError(
            f"the store is too old for this program: its last change is {max(made)}, and what this program can bring up"
            f" to date has at least {max(former.HISTORY)}; migrate it with a version in between first"
        )
    if unknown := made - _known():
        raise StoreVersionError(
            f"the store is newer than this program, which does not know {max(unknown)}: use the program that made that"
        )
    return len(stale) + _pending_migrations()


def _is_former(made: set[str]) -> bool:
    return made == former.HISTORY


def _made() -> set[str]:
    """The names of our migrations that the store has made."""
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    return {name for app, name in MigrationRecorder(connection).applied_migrations() if app == "billing"}


def _known() -> set[str]:
    from django.db.migrations.loader import MigrationLoader

    return {name for app, name in MigrationLoader(None).disk_migrations if app == "billing"}


def _pending_migrations() -> int:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
