# SPDX-License-Identifier: Apache-2.0
"""`softswitch migrate`: of a new store, of the last one before the squash, and of one whose functions are others.

`before_squash.sql.gz` is what pg_dump made of a store of commit 485e1df, the last before that: the demo tenant with
calls (one live, one settled as an orphan and corrected), a voicemail, vouchers, an adjustment and a claimed number.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import subprocess
import sys
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row

from billing.store import definitions
from billing.store.former import HISTORY, SQUASHED
from billing_client.store import Store
from tests.billing.back_office import opened
from tests.conftest import database_dsn
from tests.store.calls import CallDesk
from tests.store.test_dump import run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(180)

TABLES = "SELECT relname FROM pg_class WHERE relname ~ '^billing_' AND relkind = 'r'"
BEFORE = Path(__file__).with_name("before_squash.sql.gz")
STEP = """
import sys
from billing.store.preparing import StoreVersionError, migrate, setup
setup(sys.argv[1])
try:
    print(migrate())
except StoreVersionError as error:
    print(error)
"""


def empty(server: str, name: str) -> Iterator[str]:
    """An empty database, for the time of a test."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield database_dsn(server, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def other(store_server: str) -> Iterator[str]:
    """An empty database."""
    yield from empty(store_server, "upgraded")


@pytest.fixture
def former(other: str) -> str:
    """A store of the last commit before the squash, with data."""
    run("psql", "--quiet", "--set=ON_ERROR_STOP=1", other, given=gzip.decompress(BEFORE.read_bytes()))
    return other


@pytest.fixture
def ops(dsn: str) -> Iterator[Any]:
    """The back office of this test's store; what a test did to its functions is mended after it."""
    for office in opened(dsn):
        yield office
        office.migrate()


def migrate(dsn: str) -> str:
    """What a process says that migrates this store."""
    done = subprocess.run([sys.executable, "-c", STEP, dsn], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def schema(dsn: str) -> list[str]:
    """Everything that a store is made of, but the numbers that a dump is signed with."""
    dumped = run("pg_dump", "--schema-only", "--no-owner", dsn).decode()
    return [line for line in dumped.split("\n") if not line.startswith("\\")]


def restored_schema(server: str, dsn: str) -> list[str]:
    """The same of a store that goes through a dump first: PostgreSQL writes some conditions another way after that."""
    with contextmanager(empty)(server, "restored") as other:
        run("psql", "--quiet", "--set=ON_ERROR_STOP=1", other, given=run("pg_dump", "--schema-only", dsn))
        return schema(other)


def contents(dsn: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of our tables."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        tables = [row["relname"] for row in connection.execute(TABLES)]
        return {name: connection.execute(f"SELECT * FROM {name} t ORDER BY t::text").fetchall() for name in tables}


def kept(after: dict[str, list[dict[str, Any]]], before: dict[str, list[dict[str, Any]]]) -> bool:
    """Whether every row is as it was, whatever columns it has got."""
    return all(
        [row | was for row, was in zip(after[table], rows, strict=True)] == after[table]
        for table, rows in before.items()
    )


def execute(dsn: str, *statements: str) -> list[tuple[Any, ...]]:
    """Statements in one transaction; the rows of the last."""
    with psycopg.connect(dsn) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_the_last_store_before_the_squash_becomes_one_of_today(former: str, dsn: str, store_server: str) -> None:
    before = contents(former)
    assert len(before["billing_account"]) == 8
    assert int(migrate(former)) > 100
    assert restored_schema(store_server, former) == restored_schema(store_server, dsn)
    assert kept(contents(former), before)
    assert execute(former, "SELECT * FROM audit()") == []
    made = "SELECT name FROM django_migrations WHERE app = 'billing' ORDER BY id"
    history = execute(former, made)
    assert history == execute(dsn, made)
    assert history[: len(SQUASHED)] == [(name,) for name in SQUASHED]
    assert migrate(former) == "0"


@pytest.mark.asyncio
async def test_calls_go_on_after_the_upgrade(former: str) -> None:
    """One that was live when the program was exchanged is settled, and the next one is charged."""
    await asyncio.to_thread(migrate, former)
    ((balance, account),) = execute(former, "SELECT balance_id, account_id FROM billing_activecall")
    store = await Store.connect(former, node="sw2", connections=1)
    try:
        assert await store.adopt_orphans() == 1
        assert execute(former, f"SELECT locked FROM billing_balance WHERE id = {balance}") == [(0,)]
        desk = CallDesk(store)
        call_id, _ = await desk.start((account, balance), "0.30", call_id="after")
        assert (await desk.finish(call_id, "0.20")).amount == Decimal("0.20")
        execute(former, "ALTER TABLE billing_activecall ADD COLUMN later text")
        _, grant = await desk.start((account, balance), "0.30", call_id="later")
        assert grant.refusal is None, "a column that was added while we run is learnt of"
    finally:
        await store.close()
    assert execute(former, "SELECT * FROM audit()") == []
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="entries are only ever added"):
        execute(former, "DELETE FROM billing_ledgerentry")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            ("DELETE FROM django_migrations WHERE app = 'billing' AND name >= '0012'",),
            "the store is too old for this program: its last change is 0011_guessing",
        ),
        (
            ("INSERT INTO django_migrations (app, name, applied) VALUES ('billing', '0019_more', now())",),
            "the store is too old for this program",
        ),
    ],
)
def test_a_store_of_another_commit_before_the_squash_is_refused(
    former: str, changes: tuple[str, ...], said: str
) -> None:
    before = contents(former)
    execute(former, *changes)
    assert migrate(former).startswith(said)
    assert contents(former) == before


def test_a_store_that_is_newer_than_the_program_is_refused(other: str) -> None:
    migrate(other)
    execute(other, "INSERT INTO django_migrations (app, name, applied) VALUES ('billing', '0999_future', now())")
    assert migrate(other).startswith("the store is newer than this program, which does not know 0999_future")


def test_history_names_what_was_squashed() -> None:
    assert len(HISTORY) == 18
    assert not HISTORY & set(SQUASHED)


def test_each_function_and_view_has_one_file_and_each_file_one_of_them(ops: Any) -> None:
    wanted = definitions.defined()
    statements = [
        statement
        for file in definitions.SQL.glob("*/*.sql")
        for statement in re.findall(r"^CREATE (?:[A-Z]+ )+\w+", file.read_text(), re.MULTILINE)
    ]
    of_views = sum(one.text.count("CREATE TRIGGER") for one in wanted.values() if one.kind == "view")
    assert len(statements) == len(wanted) + of_views
    heads = {one.file.name: one.text.split("\n")[0] for one in wanted.values() if one.kind != "trigger"}
    assert [name for name, head in heads.items() if not head.startswith("-- ")] == []


def test_no_line_of_sql_is_longer_than_those_of_python() -> None:
    files = definitions.SQL.glob("*/*.sql")
    assert [file.name for file in files if max(map(len, file.read_text().split("\n"))) > 120] == []


def test_what_changed_is_made_anew_and_nothing_else(ops: Any, dsn: str) -> None:
    fresh = schema(dsn)
    oid = execute(dsn, "SELECT 'start_call'::regproc::oid")
    execute(
        dsn,
        "COMMENT ON FUNCTION guess_lock IS 'softswitch of another day'",
        "COMMENT ON TRIGGER ledger_post ON billing_ledgerentry IS 'softswitch of another day'",
    )
    assert not ops.is_migrated()
    assert ops.migrate() == 2
    assert ops.is_migrated()
    assert schema(dsn) == fresh
    assert execute(dsn, "SELECT 'start_call'::regproc::oid") == oid


@pytest.mark.parametrize(
    "was",
    [
        "voucher_expired(expires date) RETURNS boolean",
        "voucher_expired(expires date, zone text) RETURNS integer",
        "voucher_expired(day date, place text) RETURNS boolean",
        "voucher_expired(expires date, zone text, OUT one text, OUT other text) RETURNS record",
    ],
)
def test_a_function_whose_arguments_changed_takes_the_place_of_the_former(ops: Any, dsn: str, was: str) -> None:
    fresh = schema(dsn)
    execute(
        dsn,
        "DROP FUNCTION voucher_expired",
        f"CREATE FUNCTION {was} LANGUAGE plpgsql AS 'BEGIN END'",
        "COMMENT ON FUNCTION voucher_expired IS 'softswitch of another day'",
    )
    assert ops.migrate() == 1
    assert schema(dsn) == fresh


def test_what_no_file_names_any_more_goes_if_it_was_ours(ops: Any, dsn: str) -> None:
    fresh = schema(dsn)
    execute(
        dsn,
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "COMMENT ON FUNCTION mine IS 'of the operator'",
        "CREATE VIEW mine_too AS SELECT * FROM billing_account",
        "CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "COMMENT ON FUNCTION once IS 'softswitch 1'",
        "CREATE TRIGGER once AFTER INSERT ON billing_node FOR EACH ROW EXECUTE FUNCTION once()",
        "COMMENT ON TRIGGER once ON billing_node IS 'softswitch 1'",
        "CREATE VIEW billing_once AS SELECT 1 AS one",
        "COMMENT ON VIEW billing_once IS 'softswitch 1'",
    )
    assert ops.migrate() == 3
    assert execute(dsn, "SELECT mine()") == [(1,)]
    execute(dsn, "DROP FUNCTION mine; DROP VIEW mine_too")
    assert schema(dsn) == fresh


def test_functions_that_the_store_lost_come_back(ops: Any, dsn: str) -> None:
    fresh = schema(dsn)
    execute(
        dsn, "DROP FUNCTION settle_again; DROP TRIGGER ledger_post ON billing_ledgerentry; DROP VIEW billing_adjustment"
    )
    assert ops.migrate() == 3
    assert schema(dsn) == fresh


def test_a_migration_that_fails_changes_nothing(ops: Any, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import Error

    fresh = schema(dsn)
    broken = definitions.Definition("function", "broken", "", "CREATE FUNCTION broken() RETURNS nothing", Path())
    wanted = {**definitions.defined(), broken.key: broken}
    del wanted["trigger", "ledger_post", "billing_ledgerentry"]
    with monkeypatch.context() as patched:
        patched.setattr(definitions, "defined", lambda: wanted)
        with pytest.raises(Error):
            ops.migrate()
    assert schema(dsn) == fresh
    assert ops.is_migrated()
