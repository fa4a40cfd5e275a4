# SPDX-License-Identifier: Apache-2.0
"""Several nodes prepare one new store at the same time: one does it, the others wait, all go on."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg

from tests.conftest import database_dsn

if TYPE_CHECKING:
    from pathlib import Path


PREPARE = """
import sys
from pathlib import Path
from dataclasses import replace
from softswitch.config import load
from softswitch.demo.demo import prepare_store
from tests.billing.back_office import ACTOR
configuration = load(Path(sys.argv[2]))
summary = prepare_store(ACTOR, configuration, sys.argv[1], lambda told: print(told, flush=True))
print("accounts:", len(summary.accounts))
"""
MIGRATE = "import sys; from billing.store.preparing import migrate, setup; setup(sys.argv[1]); print(migrate())"


def new_store(server: str, name: str) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return database_dsn(server, name)


def at_once(count: int, program: str, *arguments: str) -> list[str]:
    """What processes print that start at the same moment; all must end well."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    try:
        ended = [one.communicate(timeout=240) for one in running]
    finally:
        for one in running:
            one.kill()
            one.wait()
    assert [one.returncode for one in running] == [0] * count, ended
    return [printed for printed, _ in ended]


def test_two_migrations_at_once_wait_for_each_other(store_server: str) -> None:
    """Case I2."""
    printed = at_once(2, MIGRATE, new_store(store_server, "preparing_tables"))
    steps = sorted(int(one) for one in printed)
    assert steps[0] == 0
    assert steps[1] > 10


def test_two_nodes_that_start_at_once_load_one_demo_tenant(store_server: str, tmp_path: Path) -> None:
    """Case I2: the tables are there for both, the demo tenant once."""
    file = tmp_path / "config.yaml"
    file.write_text("domains: [sip.example.com]\ndata_dir: ./var\ndemo: {enabled: true}\n", encoding="utf-8")
    dsn = new_store(store_server, "preparing_demo")
    printed = at_once(2, PREPARE, dsn, str(file))
    assert sum("Loading the demo tenant" in one for one in printed) == 1
    assert all("accounts: 9" in one for one in printed)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM billing_account WHERE number = '101'").fetchone() == (1,)
        held = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert held == (0,)
