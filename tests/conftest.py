# SPDX-License-Identifier: Apache-2.0
"""The billing store for tests: a real PostgreSQL a worker, a database of its own for each test."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest
import pytest_asyncio
from hypothesis import settings

from billing_client.store import Store
from softswitch.processes.store import DATABASE, EmbeddedStore
from tests.patience import Lived

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# How long an example takes on a busy machine says nothing about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

MIGRATE = "import sys; from billing.store.preparing import migrate, setup; setup(sys.argv[1]); migrate()"

LEAVE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()"""

EMPTY = """
DO $$ DECLARE
    relation record;
BEGIN
    SET LOCAL session_replication_role = replica;  -- the ledger's triggers would refuse
    FOR relation IN SELECT oid::regclass AS name, relkind, pg_relation_size(oid) AS size
        FROM pg_class WHERE relkind IN ('r', 'S') AND relname LIKE 'billing\\_%'
    LOOP
        IF relation.relkind = 'S' THEN
            PERFORM setval(relation.name, 1, false);
        ELSE
            EXECUTE CASE WHEN relation.size > 500000 THEN 'TRUNCATE ' ELSE 'DELETE FROM ' END || relation.name
                || CASE WHEN relation.size > 500000 THEN ' CASCADE' ELSE '' END;
        END IF;
    END LOOP;
END $$"""


def database_dsn(server_dsn: str, database: str) -> str:
    """The DSN of another database of the embedded server."""
    return server_dsn.replace(f"/{DATABASE}?", f"/{database}?")


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a server of this worker's own; its databases `template_store` and `store` are migrated."""
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
            subprocess.run([sys.executable, "-c", MIGRATE, template], check=True, timeout=240)
            connection.execute("CREATE DATABASE store TEMPLATE template_store")
        yield server.dsn


@pytest.fixture
def dsn(store_server: str) -> str:
    """A migrated and empty store: the worker's one, emptied, in a tenth of the time that a new one takes."""
    dsn = database_dsn(store_server, "store")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(LEAVE)
        connection.execute(EMPTY)
    return dsn


@pytest_asyncio.fixture
async def store(dsn: str) -> AsyncIterator[Store]:
    """The switch's client of a fresh store."""
    store = await Store.connect(dsn, node="test")
    try:
        yield store
    finally:
        await store.close()


@pytest_asyncio.fixture
async def lived() -> AsyncIterator[Lived]:
    """A clock that a busy machine does not drive on."""
    clock = Lived()
    async with clock.beating():
        yield clock
