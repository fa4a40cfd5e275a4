# SPDX-License-Identifier: Apache-2.0
"""Passwords in the store: no copy of it shows one, and whoever needs them opens them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from billing_client.secrets.keyring import KeyFile, KeyRing, KeyRingError
from billing_client.secrets.passwords import MARK, Passwords
from billing_client.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from pytest import LogCaptureFixture  # noqa: PT013

RUN = """
import json, sys
from pathlib import Path
from billing.store.preparing import migrate, setup
from billing_client.secrets.keyring import KeyFile
from tests.billing.back_office import ACTOR
keys = KeyFile(Path(sys.argv[2]))
setup(sys.argv[1], keys)
from billing.passwords.actions import seal
"""
DOCUMENT = """
from billing.demo import load_demo
migrate()
seal(ACTOR, keys)
summary = load_demo(ACTOR)
print(json.dumps({one.number: one.password for one in summary.accounts}))
"""


def run(dsn: str, keys: Path, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", RUN + program, dsn, str(keys)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept(dsn: str) -> dict[str, str]:
    with psycopg.connect(dsn) as connection:
        return dict(
            connection.execute(
                "SELECT number, password FROM billing_account UNION ALL"
                " SELECT name, password FROM billing_gateway WHERE password IS NOT NULL"
            ).fetchall()
        )


def put_in_clear(dsn: str, count: int) -> None:
    """As an earlier release left them."""
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE billing_account SET password = 'clear-' || number")
        connection.execute("UPDATE billing_gateway SET username = 'u', password = 'secret of ' || name")
        connection.execute(
            "INSERT INTO billing_account (number, customer_id, kind, balance_id, password)"
            " SELECT 'm' || n, customer_id, kind, balance_id, 'clear-m' || n"
            "   FROM generate_series(1, %s) n, (SELECT * FROM billing_account WHERE kind = 'subordinate' LIMIT 1) a",
            [count],
        )


@pytest.mark.asyncio
async def test_what_is_applied_is_sealed_and_the_switch_opens_it(dsn: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    passwords = json.loads(run(dsn, keys, DOCUMENT))
    in_store = kept(dsn)
    assert all(text.startswith(MARK) for text in in_store.values())
    assert not any(clear in text for clear in passwords.values() for text in in_store.values())
    store = await Store.connect(dsn, node="test", passwords=Passwords(KeyFile(keys)))
    try:
        found = await store.subscriber("101")
        assert found is not None
        assert found.password == passwords["101"]
        parties = await store.parties(caller="101", ani=None, dialled="102")
        assert parties.caller is not None
        assert parties.callee is not None
        assert (parties.caller.password, parties.callee.password) == (passwords["101"], passwords["102"])
    finally:
        await store.close()


@pytest.mark.asyncio
async def test_migrating_seals_what_was_in_clear_and_loses_none(dsn: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    run(dsn, keys, DOCUMENT)
    put_in_clear(dsn, 2500)
    before = kept(dsn)
    assert run(dsn, keys, "print(seal(ACTOR, keys), seal(ACTOR, keys))").split() == [
        str(len(before)), "0",
    ]  # fmt: skip
    passwords = Passwords(KeyFile(keys))
    after = kept(dsn)
    assert all(text.startswith(MARK) for text in after.values())
    assert {name: passwords.open(text) for name, text in after.items()} == before
    store = await Store.connect(dsn, node="test", passwords=passwords)
    try:
        routes = await store.load_routes()
        assert {one.password for one in routes.gateways.values()} == {
            f"secret of {one.name}" for one in routes.gateways.values()
        }
    finally:
        await store.close()


def test_a_new_key_seals_all_and_the_old_one_may_go(dsn: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    clear = json.loads(run(dsn, keys, DOCUMENT))
    run(
        dsn,
        keys,
        "from billing.vouchers.actions import rotate\nrotate(ACTOR, keys, lambda done, left: None, drop_old=True)",
    )
    assert set(KeyFile(keys).ring().keys) == {2}
    passwords = Passwords(KeyFile(keys))
    opened = {name: passwords.open(text) for name, text in kept(dsn).items()}
    assert {number: opened[number] for number in clear} == clear
    assert all(text.startswith(f"{MARK}2$") for text in kept(dsn).values())


@pytest.mark.asyncio
async def test_without_the_keys_nobody_logs_in_and_it_is_said_once(
    dsn: str, tmp_path: Path, caplog: LogCaptureFixture
) -> None:
    keys = tmp_path / "keys"
    run(dsn, keys, DOCUMENT)
    KeyFile(tmp_path / "other").write(KeyRing.make())
    for wrong in (None, KeyFile(tmp_path / "missing"), KeyFile(tmp_path / "other")):
        caplog.clear()
        store = await Store.connect(dsn, node="test", passwords=Passwords(wrong))
        try:
            for _ in range(3):
                found = await store.subscriber("101")
                assert found is not None
                assert found.password == ""
        finally:
            await store.close()
        (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
        assert MARK not in record.getMessage() + str(record.__dict__["reason"])


def test_a_missing_file_of_keys_is_told_and_no_new_one_is_made(dsn: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    run(dsn, keys, DOCUMENT)
    keys.rename(tmp_path / "elsewhere")
    said = run(
        dsn,
        keys,
        "from billing_client.secrets.keyring import KeyRingError\ntry:\n    seal(ACTOR, keys)\n"
        "except KeyRingError as error:\n    print(error)\n",
    )
    assert "is missing" in said
    assert not keys.exists()


@pytest.mark.parametrize("clear", ["x", "a b", "žluťoučký", "$", "p" * 128, "🔒" * 128])
def test_any_password_comes_back(clear: str, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys")
    file.write(KeyRing.make())
    passwords = Passwords(file)
    sealed = passwords.seal(clear)
    assert sealed.isascii()
    assert len(sealed) <= 1024
    assert sealed != passwords.seal(clear), "equal passwords do not look equal"
    assert passwords.seal(sealed) == sealed
    assert passwords.open(sealed) == Passwords(file).open(sealed) == clear
    assert Passwords(None).seal(clear) == clear


@pytest.mark.parametrize(
    "kept", ["$sealed$", "$sealed$1$", "$sealed$x$AAAA", "$sealed$1$é", "$sealed$9$AAAA", "$sealed$1$AAAA"]
)
def test_what_was_changed_cannot_be_opened(kept: str, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys")
    file.write(KeyRing.make())
    with pytest.raises(KeyRingError):
        Passwords(file).open(kept)
