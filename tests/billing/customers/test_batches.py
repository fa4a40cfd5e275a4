# SPDX-License-Identifier: Apache-2.0
"""Batches of accounts: made, assigned, exported and updated by many."""

from __future__ import annotations

import csv
import stat
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing.audit_log.actor import ActionError
from billing.customers.batch_error import BatchError
from billing_client.rules.check_digit import is_checked
from tests.billing.back_office import ACTOR
from tests.store.test_operations import ops

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ops"]

DOCUMENT: dict[str, Any] = {
    "customers": [{"name": "Acme", "currency": "USD"}, {"name": "Other", "currency": "USD"}],
    "tariffs": [{"name": "Retail", "currency": "USD"}],
    "products": [{"name": "Home", "tariff": "Retail"}, {"name": "Office", "tariff": "Retail"}],
    "accounts": [
        {"number": "101", "customer": "Acme", "kind": "subordinate"},
        {"number": "102", "customer": "Acme", "kind": "debit", "opening_balance": 3},
        {"number": "201", "customer": "Other", "kind": "subordinate"},
    ],
}
SPRING: dict[str, Any] = {"customer": "Acme", "batch": "spring", "product": "Home", "opening_balance": Decimal(10)}


def silent(done: int, total: int) -> None:
    """Progress that nobody sees."""


@pytest.fixture
def provider(ops: Any) -> Any:
    """A store with two customers."""
    ops.apply(DOCUMENT)
    return ops


def make(count: int, **asked: Any) -> tuple[int, int]:
    """Generate, as the command does."""
    from billing.customers.generation import AccountGeneration, generate

    return generate(ACTOR, AccountGeneration(count=count, **(SPRING | asked)), silent)


def update(filters: dict[str, Any], **written: str) -> int:
    """Update, as the command does."""
    from billing.customers import batch_update

    return batch_update.update(ACTOR, batch_update.Filters(**filters), batch_update.read_changes(written))


def test_accounts_are_generated_with_funds_and_names_that_can_be_used(provider: Any) -> None:
    assert make(25, pin_digits=8) == (1, 25)
    from billing.models import Account, Alias

    made = list(Account.objects.filter(batch__name="spring").order_by("control_number"))
    assert [account.control_number for account in made] == list(range(1, 26))
    assert all(is_checked(account.number) and len(account.number) == 12 for account in made)
    assert len({account.password for account in made}) == 25
    assert Alias.objects.filter(account=made[0]).count() == 2
    assert provider.account(made[0].number)["available"] == 10
    assert provider.audit() == []


@pytest.mark.parametrize("asked", [{"pin_digits": 7}, {"pin_digits": 7, "first_number": 500}])
def test_cards_get_pins_of_which_one_guess_in_a_million_is_right(provider: Any, asked: dict[str, Any]) -> None:
    """Case L18: for twenty-five cards seven digits are too few, and eight will do."""
    with pytest.raises(BatchError, match="need PINs of 8 digits"):
        make(25, **asked)
    assert make(25, pin_digits=8) == (1, 25)
    with pytest.raises(BatchError, match="need PINs of 9 digits"):  # with those that others have
        make(120, batch="another", pin_digits=8)
    assert provider.audit() == []


def test_passwords_may_be_digits_that_are_typed_at_the_telephone(provider: Any) -> None:
    make(20, password_digits=8)
    from billing.models import Account

    passwords = {account.password for account in Account.objects.filter(batch__name="spring")}
    assert len(passwords) == 20
    assert all(len(password) == 8 and password.isdecimal() for password in passwords)


def test_an_interrupted_generation_goes_on_without_doubling(provider: Any) -> None:
    """The specification: "When creating new accounts, you can either create them in a new batch or add them to an
    existing batch." """
    assert make(10) == (1, 10)
    assert make(30) == (11, 30)
    assert make(30) == (31, 30)
    from billing.models import Account

    assert Account.objects.filter(batch__name="spring").count() == 30


def test_a_number_that_is_taken_stops_a_row_of_numbers_and_nothing_of_the_chunk_stays(provider: Any) -> None:
    with pytest.raises(BatchError, match="101"):
        make(3, batch="row", first_number=100)
    from billing.models import Account

    assert not Account.objects.filter(batch__name="row").exists()
    assert make(3, batch="row", first_number=700) == (1, 3)
    assert sorted(Account.objects.filter(batch__name="row").values_list("number", flat=True)) == ["700", "701", "702"]
    assert provider.audit() == []


@pytest.mark.parametrize("asked", [{"kind": "credit", "credit_limit": Decimal(50)}, {"kind": "subordinate"}])
def test_every_kind_of_account_can_be_generated(provider: Any, asked: dict[str, Any]) -> None:
    make(5, opening_balance=None, **asked)
    assert provider.audit() == []


def test_an_account_is_found_by_batch_name_and_control_number(provider: Any) -> None:
    """The specification: "Each batch has its own descriptive name, giving you two ways to identify an account: By
    account ID [...]; By a combination of batch name and the account's control number (a sequential number within the
    batch)." """
    from billing.models import Account

    make(1, batch="Cards for Christmas 2026/27, gold")
    card = provider.account("Cards for Christmas 2026/27, gold/1")
    assert card["batch"] == "Cards for Christmas 2026/27, gold"
    assert provider.account(card["number"]) == card
    make(3)
    second = Account.objects.get(batch__name="spring", control_number=2).number
    assert provider.account("spring/2")["number"] == second
    with pytest.raises(ActionError, match='nobody has the number or alias "spring/4"'):
        provider.account("spring/4")
    assert provider.move("spring/2", "block") == ("active", "blocked")
    assert provider.account(second)["state"] == "blocked"


def test_a_batch_belongs_to_one_customer(provider: Any) -> None:
    """The specification: "a batch always belongs to a customer, so you cannot mix different customers' accounts within
    the same batch, and you cannot have two batches of the same name under two different customers." """
    from django.db import IntegrityError, transaction

    from billing.customers.batches import assign
    from billing.models import Account, Batch

    make(1)
    with pytest.raises(BatchError, match="another customer's"):
        make(1, customer="Other")
    with pytest.raises(BatchError, match="another customer's"):
        assign(ACTOR, "spring", ["201"])
    with pytest.raises(BatchError, match="one customer"):
        assign(ACTOR, "mixed", ["101", "201"])
    with pytest.raises(IntegrityError, match="another customer's"), transaction.atomic():
        Account.objects.filter(number="201").update(batch=Batch.objects.get(name="spring"), control_number=9)


def test_an_account_without_a_batch_gets_one_later(provider: Any) -> None:
    """The specification: "You can also create new accounts without assigning them to any batch [...]. You can always
    assign a batch to these accounts later." """
    from billing.customers.batches import assign, batches
    from billing.document.apply import ApplyError

    assert assign(ACTOR, "few", ["102"]) == [("102", 1)]
    document = {"accounts": [{"number": "101", "batch": "few"}]}
    assert [str(change) for change in provider.apply(document)] == ["account 101: batch None -> few 2"]
    assert provider.apply(document) == []
    with pytest.raises(ApplyError, match="stays there"):
        provider.apply({"accounts": [{"number": "101", "batch": "others"}]})
    with pytest.raises(BatchError, match="in a batch already"):
        assign(ACTOR, "few", ["102"])
    assert [(row["batch"], row["accounts"], row["last"]) for row in batches()] == [("few", 2, 2)]


def test_an_export_is_for_its_owner_only_and_is_noted(provider: Any, tmp_path: Path) -> None:
    from billing.audit_log.queries import audit_log
    from billing.customers.batches import export

    make(3, pin_digits=8)
    file = tmp_path / "spring.csv"
    assert export(ACTOR, "spring", file, silent) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [row["control_number"] for row in rows] == ["1", "2", "3"]
    assert all(len(row["pin"]) == 8 and len(row["password"]) == 12 for row in rows)
    noted = audit_log("accounts.export")[0]
    assert noted["details"]["count"] == 3
    assert rows[0]["password"] not in str(audit_log())
    with pytest.raises(FileExistsError):
        export(ACTOR, "spring", file, silent)


def test_all_accounts_of_a_batch_get_another_product_at_once(provider: Any) -> None:
    """The specification: "you can assign another product to all the accounts within a batch at once." """
    from billing.audit_log.queries import audit_log

    make(5)
    assert update({"batch": "spring"}, product="Office") == 5
    assert update({"product": "Office"}, max_calls_out="none") == 5
    latest, first = audit_log("accounts.update")
    assert latest["details"] == {"filters": "product Office", "count": 5}
    assert (latest["before"], latest["after"]) == ({"max_calls_out": "1"}, {"max_calls_out": None})
    assert (first["before"], first["after"]) == ({"product": "Home"}, {"product": "Office"})
    assert (first["subject"], first["details"]["filters"]) == ("spring", "batch spring")


def test_chosen_accounts_are_blocked_or_given_funds(provider: Any) -> None:
    """The specification: "You can activate or block accounts, change their balance, assign products or change other
    settings for either the whole batch or for specific accounts." """
    from billing.models import Account

    make(6)
    assert update({"batch": "spring", "numbers": (2, 3)}, state="blocked", expiry_date="2099-01-31") == 2
    assert update({"state": "blocked"}, balance="+5", state="active") == 2
    assert update({"batch": "spring", "numbers": (6, 6)}, balance="-4") == 1
    amounts = list(
        Account.objects.filter(batch__name="spring")
        .order_by("control_number")
        .values_list("balance__amount", flat=True)
    )
    assert amounts == [10, 15, 15, 10, 10, 6]
    assert provider.audit() == []


def test_registration_and_dates_choose_too(provider: Any) -> None:
    """The specification: "you can apply additional filtering options such as control number, registration status,
    etc." """
    from datetime import UTC, date, datetime

    from billing.customers.batch_update import Filters, count
    from billing.models import Account, AccountUse

    assert count(Filters(registered=True)) == 0
    assert count(Filters(registered=False, customer="Acme")) == 2
    assert count(Filters(created_after=datetime(2000, 1, 1, tzinfo=UTC))) == 3
    assert count(Filters(created_before=datetime(2000, 1, 1, tzinfo=UTC))) == 0
    provider.apply({"accounts": [{"number": "101", "expiry_date": "2030-05-05"}]})
    assert count(Filters(expires_before=date(2030, 5, 6))) == count(Filters(expires_after=date(2030, 5, 5))) == 1
    assert count(Filters(expires_before=date(2030, 5, 5))) == count(Filters(expires_after=date(2030, 5, 6))) == 0
    AccountUse.objects.create(account=Account.objects.get(number="101"), last_used_at=datetime(2030, 5, 1, tzinfo=UTC))
    assert count(Filters(unused_since=datetime(2030, 5, 1, tzinfo=UTC))) == 2
    assert count(Filters(unused_since=datetime(2030, 5, 2, tzinfo=UTC))) == 3
    AccountUse.objects.all().delete()


def test_balances_choose_and_every_account_of_the_batch_is_easily_changed(provider: Any) -> None:
    """The specification: "In addition to better account tracking, this also permits easy modification of a large number
    of accounts." "The Batch account update function allows you to apply new settings to a group of accounts at a time."
    """
    from billing.customers.batch_update import Filters, count

    make(6)
    assert update({"batch": "spring", "numbers": (1, 2)}, balance="-9.5") == 2
    assert count(Filters(batch="spring", balance_below=Decimal(1))) == 2
    assert count(Filters(batch="spring", balance_from=Decimal("0.5"))) == 6
    assert count(Filters(batch="spring", balance_from=Decimal("0.6"), balance_below=Decimal(10))) == 0
    assert update({"batch": "spring", "balance_below": Decimal(1)}, balance="+9.5") == 2
    assert count(Filters(batch="spring", balance_from=Decimal(10))) == 6
    assert update({"batch": "spring"}, max_calls="2", language="cs", timezone="Europe/Prague") == 6


def test_more_balances_than_calls_can_wait_for_are_not_adjusted_at_once(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from billing.customers import batch_update

    make(3)
    monkeypatch.setattr(batch_update, "MOST_ADJUSTED", 2)
    with pytest.raises(BatchError, match="at most 2 accounts"):
        update({"batch": "spring"}, balance="+1")
    assert update({"batch": "spring", "numbers": (1, 2)}, balance="+1") == 2
    assert update({"batch": "spring"}, state="blocked") == 3


def test_balances_move_in_the_order_of_their_ids_so_that_nobody_waits_in_a_circle(provider: Any, dsn: str) -> None:
    from billing.models import Account

    make(40)
    rows = Account.objects.filter(batch__name="spring").order_by("balance_id").values_list("pk", "balance_id")
    accounts, balances = zip(*rows, strict=True)
    lock = "SELECT id FROM billing_balance WHERE id = ANY (%s) ORDER BY id FOR NO KEY UPDATE"

    def adjust() -> None:
        with psycopg.connect(dsn) as adjusting:
            adjusting.execute("INSERT INTO billing_adjustment VALUES (7, 1, %s)", [[*accounts[20:], *accounts[:20]]])

    with psycopg.connect(dsn) as calling, psycopg.connect(dsn, autocommit=True) as asking:
        calling.execute(lock, [[balances[15]]])
        thread = threading.Thread(target=adjust)
        thread.start()
        while not asking.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert thread.is_alive()
        free = [row[0] for row in asking.execute(f"{lock} SKIP LOCKED", [list(balances)])]
        calling.rollback()
        thread.join()
    assert free == list(balances[16:])
    assert provider.audit() == []


def test_all_are_changed_or_none(provider: Any) -> None:
    from billing.audit_log.queries import audit_log

    make(3)
    update({"batch": "spring", "numbers": (1, 1)}, balance="-9")
    with pytest.raises(BatchError, match="less available"):
        update({"batch": "spring"}, balance="-2", state="blocked")
    with pytest.raises(BatchError, match="subordinate"):
        update({"customer": "Acme"}, balance="+1")
    assert len(audit_log("accounts.update")) == 1
    assert update({"state": "blocked"}, state="active") == 0


def test_more_accounts_than_were_shown_are_not_changed(provider: Any) -> None:
    from billing.customers import batch_update

    make(3)
    filters, changes = batch_update.Filters(batch="spring"), batch_update.read_changes({"state": "blocked"})
    with pytest.raises(BatchError, match="choose 3 accounts now, not 2"):
        batch_update.update(ACTOR, filters, changes, 2)
    assert batch_update.count(batch_update.Filters(state="blocked")) == 0


def test_random_numbers_are_nobody_elses_telephone_number(provider: Any) -> None:
    """No country code begins with 0 (ITU-T E.164), so calls to telephone numbers never end at a card."""
    from billing.models import Account

    make(20)
    assert all(account.number[0] == "0" for account in Account.objects.filter(batch__name="spring"))


@pytest.mark.parametrize("written", [{"state": "closed"}, {"password": "x"}, {"balance": "much"}, {}])
def test_what_cannot_be_set_is_refused(ops: Any, written: dict[str, str]) -> None:
    with pytest.raises(BatchError):
        update({}, **written)


def test_a_call_starts_while_its_account_is_being_updated(provider: Any, dsn: str) -> None:
    """The rows stay locked until the update ends; whoever counts calls waits for none of them."""
    make(2)
    with psycopg.connect(dsn) as updating, psycopg.connect(dsn) as calling:
        updating.execute("UPDATE billing_account SET state = 'blocked'")
        calling.execute("SET lock_timeout = '2s'")
        answer = calling.execute(
            "SELECT is_one_call_too_many('c', NULL, false, (SELECT id FROM billing_account WHERE number = '102'),"
            " NULL, NULL, NULL)"
        ).fetchone()
        assert answer == (False,)
        updating.rollback()


def test_two_who_generate_for_one_batch_share_it(provider: Any) -> None:
    from django.db import connections

    from billing.models import Account

    def run() -> None:
        make(400)
        connections["default"].close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Account.objects.filter(batch__name="spring").count() == 400
    assert provider.audit() == []
