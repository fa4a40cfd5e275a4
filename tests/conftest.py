# SPDX-License-Identifier: Apache-2.0
"""The billing store for tests: a real PostgreSQL a worker, a database of its own for each test."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest
import pytest_asyncio

from billing_client.store import Store
from softswitch.store import DATABASE, EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

MIGRATE = "import sys; from billing import operations; operations.setup(sys.argv[1]); operations.migrate()"

_numbers = itertools.count(1)


def database_dsn(server_dsn: str, database: str) -> str:
    """The DSN of another database of the embedded server."""
    return server_dsn.replace(f"/{DATABASE}?", f"/{database}?")


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a server, whose database `template_store` is migrated."""
    server = EmbeddedStore(tmp_path_factory.mktemp("store"))
    with server.running():
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            # Nothing of a test has to survive a power cut.
            for setting in ("fsync", "full_page_writes", "autovacuum"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE DATABASE template_store")
        # In another process, which leaves no connection behind: a template must have none.
        template = database_dsn(server.dsn, "template_store")
        subprocess.run([sys.executable, "-c", MIGRATE, template], check=True, timeout=60)
        yield server.dsn


@pytest.fixture
def dsn(store_server: str) -> Iterator[str]:
    """A fresh store, migrated and empty."""
    database = f"store_{next(_numbers)}"
    with psycopg.connect(store_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database} TEMPLATE template_store STRATEGY wal_log")
        try:
            yield database_dsn(store_server, database)
        finally:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@pytest_asyncio.fixture
async def store(dsn: str) -> AsyncIterator[Store]:
    """The switch's client of a fresh store."""
    store = await Store.connect(dsn, node="test")
    try:
        yield store
    finally:
        await store.close()
