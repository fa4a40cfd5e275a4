# SPDX-License-Identifier: Apache-2.0
"""`softswitch accounts generate`, `export` and `update`, and `softswitch auditlog`, as an administrator uses them."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest

from softswitch.config import load
from softswitch.processes.store import EmbeddedStore, store_dsn
from tests.softswitch.support import command, softswitch, write_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLY = """
customers: [{name: Acme, currency: USD}]
tariffs: [{name: Retail, currency: USD}]
products: [{name: Card, tariff: Retail}, {name: Gold, tariff: Retail}]
"""
COUNT = """
SELECT count(*), count(DISTINCT number), count(DISTINCT control_number), coalesce(max(control_number), 0)
  FROM billing_account a JOIN billing_batch b ON b.id = a.batch_id WHERE b.name = %s"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of an installation whose store runs."""
    file = write_configuration(tmp_path_factory.mktemp("batches"))
    document = file.with_name("customers.yaml")
    document.write_text(APPLY, encoding="utf-8")
    with EmbeddedStore(load(file).data_dir).running():
        assert softswitch(file, "migrate").returncode == 0
        assert softswitch(file, "apply", "--yes", str(document)).returncode == 0
        yield file


def generation(batch: str, count: int, *more: str) -> list[str]:
    return ["accounts", "generate", "--customer", "Acme", "--batch", batch, "--count", str(count), *more]


def test_an_administrator_sees_filters_settings_and_count_before_anything_is_changed(file: Path) -> None:
    """The specification: "You can see the list of applied filtering criteria and settings to be changed in the
    confirmation dialog window once you click Update accounts." """
    done = softswitch(file, *generation("spring", 20, "--product", "Card", "--opening-balance", "10"))
    assert "20 accounts generated, control numbers 1 to 20" in done.stdout, done.stderr
    update = command(
        file, "accounts", "update", "--batch", "spring", "--numbers", "3-7", "--unregistered", "--balance-from", "10",
        "--set", "product=Gold", "--set", "balance=+5", "--set", "expiry_date=2099-01-31",
    )  # fmt: skip
    refused = subprocess.run(update, input="n\n", capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    said = refused.stderr.splitlines()
    assert said[0] == "Accounts: 5 (batch spring, numbers 3-7, registered no, balance from 10)"
    assert [line.strip() for line in said[1:4]] == ["product -> Gold", "expiry_date -> 2099-01-31", "balance -> +5"]
    assert "Update 5 accounts?" in said[4]
    account = json.loads(softswitch(file, "account", "spring/3", "--json").stdout)
    assert (account["product"], account["balance"]) == ("Card", "10.00000")
    agreed = subprocess.run(update, input="y\n", capture_output=True, text=True, check=False)
    assert "5 accounts updated" in agreed.stdout
    account = json.loads(softswitch(file, "account", "spring/3", "--json").stdout)
    assert (account["product"], account["balance"]) == ("Gold", "15.00000")
    assert (
        "1 account updated" in softswitch(file, *update[5:], "--yes", "--balance-below", "11", "--numbers", "8").stdout
    )
    _, noted = json.loads(
        softswitch(file, "auditlog", "--subject", "spring", "--action", "accounts.upd", "--json").stdout
    )
    assert "numbers 3-7" in noted["details"]["filters"]
    assert (noted["before"]["product"], noted["after"]["product"]) == ("Card", "Gold")
    assert softswitch(file, "audit").returncode == 0


def test_custom_fields_choose_no_accounts(file: Path) -> None:
    """The specification: "Note that filtering by custom fields is not supported for batch account update." """
    done = softswitch(file, "accounts", "update", "--custom-field", "colour=red", "--set", "state=blocked", "--yes")
    assert done.returncode == 2
    assert "No such option" in done.stderr


def test_a_generation_that_is_killed_goes_on_without_doubling(file: Path) -> None:
    arguments = generation("killed", 30_000)
    process = subprocess.Popen(command(file, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with psycopg.connect(store_dsn(load(file)), autocommit=True) as connection:
        while (there := counted(connection, "killed")[0]) == 0:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        there = counted(connection, "killed")[0]
        assert 0 < there < 30_000
        done = softswitch(file, *arguments)
        assert f"control numbers {there + 1} to 30000" in done.stdout, done.stderr
        assert counted(connection, "killed") == (30_000, 30_000, 30_000, 30_000)


def counted(connection: psycopg.Connection, batch: str) -> tuple[int, ...]:
    row = connection.execute(COUNT, [batch]).fetchone()
    assert row is not None
    return tuple(row)


def test_doctor_tells_of_cards_with_short_pins_and_a_number_that_was_claimed_is_listed_and_forgotten(
    file: Path,
) -> None:
    """Cases L4 and L18."""
    softswitch(file, *generation("cards", 3, "--pin-digits", "8"))
    [first, *_] = json.loads(softswitch(file, "accounts", "--json").stdout)
    number = first["number"]
    with psycopg.connect(store_dsn(load(file)), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO billing_alias (name, account_id, claimed_at)"
            " SELECT '42073723123@pstn', id, now() FROM billing_account WHERE number = %s",
            [number],
        )
        connection.execute(
            "INSERT INTO billing_alias (name, account_id)"
            " SELECT n || '@pin', a.id FROM billing_account a, unnest(ARRAY['482910', '593021']) n WHERE number = %s",
            [number],
        )
    assert "2 cards have PINs of 6 digits: one guess in 500,000 is right" in softswitch(file, "doctor").stdout
    assert "42073723123@pstn (claimed, not proven)" in softswitch(file, "account", number).stdout
    assert softswitch(file, "forget", number, "+42073723123").returncode == 0
    assert softswitch(file, "forget", number, "42073723123").returncode == 1
    assert "42073723123" not in softswitch(file, "account", number).stdout
    assert len(json.loads(softswitch(file, "auditlog", "--action", "accounts.forget_number", "--json").stdout)) == 1


def test_who_exports_for_the_printer_is_noted_and_nobody_else_reads_the_file(file: Path, tmp_path: Path) -> None:
    softswitch(file, *generation("printed", 4, "--pin-digits", "10"))
    target = tmp_path / "printed.csv"
    assert (
        "3 accounts written"
        in softswitch(file, "accounts", "export", "printed", str(target), "--numbers", "2-4").stdout
    )
    assert target.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert [row["control_number"] for row in rows] == ["2", "3", "4"]
    [noted] = json.loads(softswitch(file, "auditlog", "--action", "accounts.export", "--json").stdout)
    assert (noted["subject"], noted["details"]["count"]) == ("printed", 3)
    assert not any(row["pin"] in json.dumps(noted) or row["password"] in json.dumps(noted) for row in rows)
    again = softswitch(file, "accounts", "export", "printed", str(target))
    assert again.returncode == 1
    assert "is there already" in again.stderr
