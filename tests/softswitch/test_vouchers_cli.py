# SPDX-License-Identifier: Apache-2.0
"""`softswitch vouchers` as an administrator uses it."""

from __future__ import annotations

import asyncio
import csv
import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing_client.rules.check_digit import is_checked
from billing_client.secrets.keyring import KeyFile
from billing_client.selfcare import StoreSelfCare
from billing_client.vouchers.words import GuessSource, Redeemed, VoucherRejected
from softswitch.config import load
from softswitch.processes.store import EmbeddedStore, store_dsn
from softswitch.settings import ivr_settings
from softswitch.vouchers import open_vouchers
from tests.softswitch.support import command, softswitch, write_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLY = """
customers: [{name: Acme, currency: USD}, {name: Other, currency: EUR}]
tariffs: [{name: Retail, currency: USD}]
products: [{name: Card, tariff: Retail}]
accounts:
  - {number: "101", customer: Acme, kind: debit, product: Card}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of an installation whose store runs."""
    file = write_configuration(tmp_path_factory.mktemp("vouchers"))
    document = file.with_name("accounts.yaml")
    document.write_text(APPLY, encoding="utf-8")
    with EmbeddedStore(load(file).data_dir).running():
        assert softswitch(file, "migrate").returncode == 0
        assert softswitch(file, "apply", "--yes", str(document)).returncode == 0
        yield file


def vouchers(file: Path, *arguments: str) -> Any:
    """What a command prints as JSON."""
    done = softswitch(file, "vouchers", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def generated(file: Path, batch: str, count: int, *more: str) -> str:
    done = softswitch(
        file, "vouchers", "generate", "--customer", "Acme", "--batch", batch, "--count", str(count), "--amount", "10",
        *more,
    )  # fmt: skip
    return done.stdout + done.stderr


def redeemed(file: Path, code: str) -> Redeemed | VoucherRejected:
    async def once() -> Redeemed | VoucherRejected:
        door = await open_vouchers(ivr_settings(load(file)))
        try:
            return await door.redeem(code, "101", f"key-{code}", GuessSource(code))
        finally:
            await door.close()

    return asyncio.run(once())


def exported(file: Path, batch: str, target: Path, *more: str) -> list[dict[str, str]]:
    done = softswitch(file, "vouchers", "export", batch, str(target), *more)
    assert done.returncode == 0, done.stderr
    with target.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def logged(file: Path, action: str) -> list[tuple[str, Any]]:
    with psycopg.connect(store_dsn(load(file))) as connection:
        return connection.execute(
            "SELECT subject, details FROM billing_auditlog WHERE action = %s ORDER BY id", [action]
        ).fetchall()


def test_a_batch_is_generated_exported_and_redeemed(file: Path, tmp_path: Path) -> None:
    """The specification: "You may need to retrieve IDs and passwords of numerous generated vouchers to print them on
    the scratch cards." """
    assert "25 vouchers generated, control numbers 1 to 25" in generated(
        file, "spring", 25, "--expires", "2099-01-01", "--product", "Card"
    )
    rows = exported(file, "spring", tmp_path / "spring.csv")
    assert (tmp_path / "spring.csv").stat().st_mode & 0o777 == 0o600
    assert [row["control_number"] for row in rows] == [str(number) for number in range(1, 26)]
    assert {(row["amount"], row["currency"], row["expires"]) for row in rows} == {("10", "USD", "2099-01-01")}
    assert all(len(row["id"]) == 11 and is_checked(row["id"]) for row in rows)
    assert all(row["pin"].startswith(row["id"]) and len(row["pin"]) == 19 for row in rows)
    assert len({row["pin"][:4] for row in rows}) > 20  # nobody finds the next one by counting
    answer = redeemed(file, rows[3]["pin"])
    assert isinstance(answer, Redeemed)
    assert answer.amount == 10
    [batch] = vouchers(file, "list", "spring")
    assert (batch["vouchers"], batch["used"], batch["usable"], batch["outstanding"]) == (25, 1, 24, "240.00000")
    [(subject, details)] = logged(file, "vouchers.export")
    assert (subject, details["count"], details["numbers"]) == ("spring", 25, "all")
    again = softswitch(file, "vouchers", "export", "spring", str(tmp_path / "spring.csv"))
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert softswitch(file, "audit").returncode == 0


def test_pins_are_masked_unless_asked_for_which_is_noted(file: Path) -> None:
    """The specification: "you can restrict access to voucher passwords for some [...] users"."""
    generated(file, "masked", 3)
    rows = vouchers(file, "show", "masked")
    assert {row["pin"] for row in rows} == {"********"}
    assert logged(file, "vouchers.show") == []
    [row] = vouchers(file, "show", "masked", "--numbers", "2", "--pins")
    assert row["pin"].startswith(rows[1]["id"])
    assert [subject for subject, _ in logged(file, "vouchers.show")] == ["masked"]
    assert row["pin"] not in json.dumps(logged(file, "vouchers.show"))


def test_ranges_are_blocked_unblocked_and_activated(file: Path) -> None:
    generated(file, "states", 10, "--inactive")
    assert "4 vouchers activated" in softswitch(file, "vouchers", "activate", "states", "--numbers", "1-4").stdout
    assert "6 vouchers blocked" in softswitch(file, "vouchers", "block", "states", "--numbers", "3-8").stdout
    assert "1 voucher unblocked" in softswitch(file, "vouchers", "unblock", "states", "--numbers", "8").stdout
    states = [row["state"] for row in vouchers(file, "show", "states")]
    assert states == ["active"] * 2 + ["blocked"] * 5 + ["active"] + ["inactive"] * 2
    assert [details["count"] for _, details in logged(file, "vouchers.block")] == [6]


def test_who_asks_again_gets_what_is_missing_and_no_more(file: Path) -> None:
    assert "control numbers 1 to 5" in generated(file, "again", 5)
    assert "has 5 vouchers already" in generated(file, "again", 5)
    assert "control numbers 6 to 8" in generated(file, "again", 8)
    assert "not like these" in generated(file, "again", 9, "--expires", "2030-01-01")
    assert "control numbers 9 to 10" in generated(file, "again", 2, "--expires", "2030-01-01", "--add")
    assert len(vouchers(file, "show", "again")) == 10


def test_a_batch_belongs_to_one_customer(file: Path) -> None:
    generated(file, "owned", 1)
    done = softswitch(
        file, "vouchers", "generate", "--customer", "Other", "--batch", "owned", "--count", "2", "--amount", "1"
    )
    assert done.returncode == 1
    assert "batch owned is another customer's" in done.stderr
    for wrong in (["--customer", "Nobody"], ["--customer", "Acme", "--product", "None"]):
        done = softswitch(file, "vouchers", "generate", "--batch", "x", "--count", "1", "--amount", "1", *wrong)
        assert done.returncode == 1
        assert "there is no" in done.stderr


def test_a_generation_that_is_killed_goes_on_without_doubling(file: Path) -> None:
    arguments = ["vouchers", "generate", "--customer", "Acme", "--batch", "killed", "--count", "90000", "--amount", "1"]
    process = subprocess.Popen(command(file, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with psycopg.connect(store_dsn(load(file)), autocommit=True) as connection:
        count = (
            "SELECT count(*) FROM billing_voucher v JOIN billing_batch b ON b.id = v.batch_id WHERE b.name = 'killed'"
        )
        while not connection.execute(count).fetchone()[0]:  # type: ignore[index]
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        there = connection.execute(count).fetchone()[0]  # type: ignore[index]
        assert 0 < there < 90000
        done = softswitch(file, *arguments)
        assert f"control numbers {there + 1} to 90000" in done.stdout
        row = connection.execute(
            "SELECT count(*), count(DISTINCT v.id), count(DISTINCT control_number), max(control_number)"
            " FROM billing_voucher v JOIN billing_batch b ON b.id = v.batch_id WHERE b.name = 'killed'"
        ).fetchone()
    assert row == (90000, 90000, 90000, 90000)


def test_keys_rotate_and_an_interrupted_rotation_is_gone_on_with(file: Path, tmp_path: Path) -> None:
    generated(file, "rotated", 30)
    before = exported(file, "rotated", tmp_path / "before.csv")
    done = softswitch(file, "vouchers", "rotate-key")
    assert done.returncode == 0, done.stderr
    assert "are sealed by key 2" in done.stdout
    assert exported(file, "rotated", tmp_path / "after.csv") == before
    keys = KeyFile(load(file).data_dir / "voucher.keys")
    keys.write(keys.ring().with_new_key())  # as if it had been killed before the first voucher was sealed anew
    done = softswitch(file, "vouchers", "rotate-key", "--drop-old")
    assert "key 3 (resumed)" in done.stdout
    assert set(KeyFile(keys.path).ring().keys) == {3}
    assert exported(file, "rotated", tmp_path / "last.csv") == before
    assert isinstance(redeemed(file, before[0]["pin"]), Redeemed)


def test_who_guesses_is_shown_and_unlocked(file: Path) -> None:
    async def guess() -> None:
        settings = ivr_settings(load(file))
        door = await open_vouchers(settings)
        cards = await StoreSelfCare.connect(settings.store_dsn, node="test")
        for turn in range(9):
            await door.redeem(f"8527544000{turn}", "101", f"guess-{turn}", GuessSource("42070000001", "*99"))
            await cards.log_in(f"1111111{turn}", GuessSource("anonymous", "18005550100"))
        await cards.log_in("11111111", GuessSource("42070000002", is_vouched=True))
        await door.close()
        await cards.close()

    asyncio.run(guess())
    shown = softswitch(file, "guessing").stdout
    rows = json.loads(softswitch(file, "guessing", "--json").stdout)
    assert "8527544000" not in shown
    assert {(row["what"], row["kind"], row["name"], row["failures"]) for row in rows if row["what"] == "PIN"} == {
        ("PIN", "access", "18005550100", 9), ("PIN", "all", "", 10),
    }  # fmt: skip
    locked = {(row["kind"], row["name"], row["delay_seconds"]) for row in rows if row["locked_until"]}
    assert locked == {("account", "101", 30)}  # the number that it came under is anybody's
    assert rows[0]["locked_until"] is not None
    assert "42070000002" not in shown
    assert "42070000002" in softswitch(file, "guessing", "--all").stdout
    assert "forgotten" in softswitch(file, "guessing", "unlock", "ani", "42070000002").stdout
    assert "forgotten" in softswitch(file, "guessing", "unlock", "account", "101").stdout
    again = softswitch(file, "guessing", "unlock", "account", "101")
    assert (again.returncode, "nothing was counted" in again.stderr) == (1, True)
    assert softswitch(file, "guessing", "unlock", "ani").returncode == 2
    assert "ani 42070000002" in [subject for subject, _ in logged(file, "guessing.unlock")]
    rows = json.loads(softswitch(file, "guessing", "--json").stdout)
    assert not any(row["locked_until"] for row in rows)
    assert softswitch(file, "guessing", "unlock", "all").returncode == 0


def test_a_key_file_that_is_gone_is_not_replaced(file: Path) -> None:
    generated(file, "keyed", 1)
    path = load(file).data_dir / "voucher.keys"
    away = path.rename(path.with_name("away"))
    try:
        assert "put it back" in generated(file, "keyless", 1)
        assert not path.exists()
    finally:
        away.rename(path)


def test_vouchers_without_passwords_are_generated_where_that_is_configured(file: Path, tmp_path: Path) -> None:
    """The specification: "To enable generating vouchers with PIN encryption, set the following options [...]"."""
    plain = file.with_name("plain.yaml")
    plain.write_text(file.read_text(encoding="utf-8") + "vouchers: {encrypt: false, id_digits: 16}\n", encoding="utf-8")
    assert "2 vouchers generated" in generated(plain, "plain", 2)
    [row, _] = exported(plain, "plain", tmp_path / "plain.csv")
    assert row["pin"] == row["id"]
    assert len(row["pin"]) == 16
    assert vouchers(plain, "show", "plain")[0]["id"] == row["id"][:-4] + "xxxx"
    refused = redeemed(file, row["pin"])
    assert isinstance(refused, VoucherRejected)
    assert refused.reason == "plain"
    assert isinstance(redeemed(plain, row["pin"]), Redeemed)


def test_ids_that_are_too_short_for_so_many_are_refused(file: Path) -> None:
    short = file.with_name("short.yaml")
    short.write_text(file.read_text(encoding="utf-8") + "vouchers: {id_digits: 8}\n", encoding="utf-8")
    assert "too many for ids of 8 digits" in generated(short, "short", 10000)


def test_nothing_is_pending_where_no_store_is_configured(file: Path) -> None:
    assert vouchers(file, "pending") == []
    assert softswitch(file, "vouchers", "reconcile").returncode == 0
