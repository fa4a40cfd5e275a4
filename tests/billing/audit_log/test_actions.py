# SPDX-License-Identifier: Apache-2.0
"""Every action has an actor who may do it, and is noted once, with what it changed, in the transaction of the deed."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import billing
from billing.audit_log.actor import AUDITOR, HELPDESK, Actor, NotAllowedError
from billing_client.rules.pins import hash_pin
from billing_client.secrets.keyring import KeyFile
from tests.billing.back_office import ACTOR, opened
from tests.store.test_upgrade import contents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from pytest import MonkeyPatch  # noqa: PT013

Sample = Callable[[Actor, Path], object]

DOCUMENT: dict[str, Any] = {
    "customers": [{"name": "Acme", "currency": "USD", "credit_limit": 20}],
    "tariffs": [{"name": "Retail", "currency": "USD"}],
    "products": [{"name": "Home", "tariff": "Retail"}],
    "accounts": [
        {"number": "101", "customer": "Acme", "kind": "debit", "opening_balance": 10, "password": "topsecret",
         "aliases": ["42073723123@pstn"]},
        {"number": "102", "customer": "Acme", "kind": "subordinate", "state": "inactive"},
        {"number": "103", "customer": "Acme", "kind": "subordinate", "state": "blocked"},
        {"number": "104", "customer": "Acme", "kind": "debit", "opening_balance": 10, "batch": "Spring"},
    ],
}  # fmt: skip
THINGS = """
INSERT INTO billing_node (name) VALUES ('sw1');
INSERT INTO billing_activecall (call_id, node, account_id, balance_id, direction, caller, dialled, started_at, currency,
                                destination, country, sip_call_id, life_id, locked)
    SELECT 'c1', 'sw1', a.id, a.balance_id, 'internal', '101', '102', now(), 'USD', '', '', '', n.id, 0
      FROM billing_account a, billing_node n WHERE a.number = '101';
INSERT INTO billing_voucherguess (subject, weight, failures) VALUES ('phone 101', 1, 7);
INSERT INTO billing_pinfailure (subject, failures, at) VALUES ('mailbox 101', 2, now());
INSERT INTO billing_voicemessage (id, account_id, folder, caller, caller_name, received_at, seconds,
                                  urgent)
    SELECT '6f9619ff-8b86-d011-b42d-00c04fc964ff', id, 'new', '102', '', now(), 2, false
      FROM billing_account WHERE number = '101'"""

IDLE = {
    "customers": [{"name": "Idle", "currency": "USD"}],
    "tariffs": [{"name": "Unused", "currency": "USD"}, {"name": "Idle", "currency": "USD"}],
    "products": [{"name": "Idle", "tariff": "Unused"}],
    "gateways": [{"name": "idle", "host": "192.0.2.99", "routes": ["1"]}],
}
"""Things that nothing stands against the removal of."""


def modules() -> Iterator[ModuleType]:
    """Every module of billing that can be imported once Django runs."""
    for found in pkgutil.walk_packages(billing.__path__, "billing."):
        if ".migrations" not in found.name:
            yield importlib.import_module(found.name)


def declared() -> set[str]:
    """The names of all actions there are."""
    from billing.audit_log.action import Action

    values = [value for module in modules() for value in vars(module).values()]
    nested = [one for value in values if isinstance(value, dict) for one in value.values()]
    return {one.name for one in values + nested if isinstance(one, Action)}


def accounts(move: str, name: str) -> Sample:
    from billing.customers.actions import move as moved

    return lambda actor, _: moved(actor, name, move, reason="as he asked")


def vouchers(move: str) -> Sample:
    from billing.vouchers.actions import Numbers, set_state

    return lambda actor, _: set_state(actor, "Paper", Numbers(1, 2) if move == "block" else Numbers(), move)


def removal(kind: str, name: str) -> Sample:
    from billing.removing.actions import remove

    return lambda actor, _: remove(actor, kind, name)


def samples() -> dict[str, Sample]:
    """Of each action one way to do it in the store of `tenant`."""
    from billing.calls.actions import disconnect
    from billing.customers import batch_update, batches
    from billing.customers.actions import new_password, note
    from billing.customers.generation import AccountGeneration
    from billing.customers.generation import generate as generate_accounts
    from billing.document.apply import apply
    from billing.exporting.actions import export
    from billing.guessing.actions import unlock
    from billing.money.actions import topup, withdraw
    from billing.numbers.actions import forget_number
    from billing.passwords.actions import seal
    from billing.voicemail import actions as voicemail
    from billing.vouchers import actions as paper
    from billing.vouchers.generation import Generation
    from billing.vouchers.generation import generate as generate_vouchers

    more = AccountGeneration(customer="Acme", batch="More", count=2)
    cards = Generation(customer="Acme", batch="Cards", count=2, amount=Decimal(5))

    def silent(_done: int, _total: int) -> None: ...

    def update(actor: Actor, _: Path) -> object:
        changes = batch_update.read_changes({"max_calls": "3", "balance": "+1"})
        return batch_update.update(actor, batch_update.Filters(batch="Spring"), changes)

    return {
        "accounts.activate": accounts("activate", "102"),
        "accounts.block": accounts("block", "42073723123@pstn"),
        "accounts.close": accounts("close", "101"),
        "accounts.export": lambda actor, at: batches.export(actor, "Spring", at / "spring.csv", silent),
        "accounts.forget_number": lambda actor, _: forget_number(actor, "101", "+42073723123"),
        "accounts.generate": lambda actor, _: generate_accounts(actor, more, silent),
        "accounts.note": lambda actor, _: note(actor, "101", "will pay on Friday"),
        "accounts.password": lambda actor, _: new_password(actor, "Spring/1"),
        "accounts.suspend": accounts("suspend", "Spring/1"),
        "accounts.unblock": accounts("unblock", "103"),
        "accounts.update": update,
        "batches.assign": lambda actor, _: batches.assign(actor, "Spring", ["101"]),
        "calls.disconnect": lambda actor, _: disconnect(actor, "c1", "fraud"),
        "document.export": lambda actor, _: [list(things) for _, things in export(actor, secrets=True)],
        "document.apply": lambda actor, _: apply(actor, {"customers": [{"name": "Other", "currency": "EUR"}]}),
        "guessing.unlock": lambda actor, _: unlock(actor, "phone", "101"),
        "mailboxes.delete": lambda actor, _: voicemail.delete(actor, "6f96"),
        "mailboxes.greeting": lambda actor, _: voicemail.set_greeting(actor, "101", "busy", b"RIFF", 2.0),
        "mailboxes.reset_pin": lambda actor, _: voicemail.reset_pin(actor, "101"),
        "mailboxes.unlock": lambda actor, _: voicemail.unlock(actor, "101"),
        "money.topup": lambda actor, _: topup(actor, "101", Decimal(5), "k", "cash"),
        "money.withdraw": lambda actor, _: withdraw(actor, "101", Decimal(5), "k", "mistyped"),
        "passwords.seal": lambda actor, at: seal(actor, KeyFile(at / "keys")),
        "customers.remove": removal("customer", "Idle"),
        "tariffs.remove": removal("tariff", "Idle"),
        "products.remove": removal("product", "Idle"),
        "gateways.remove": removal("gateway", "idle"),
        "routes.remove": removal("route", "idle/1"),
        "vouchers.activate": vouchers("activate"),
        "vouchers.block": vouchers("block"),
        "vouchers.export": lambda actor, at: paper.export(
            actor, "Paper", at / "paper.csv", paper.Numbers(), KeyFile(at / "keys"), silent
        ),
        "vouchers.generate": lambda actor, _: generate_vouchers(actor, cards, None, silent),
        "vouchers.rotate-key": lambda actor, at: paper.rotate(actor, KeyFile(at / "keys"), silent),
        "vouchers.show": lambda actor, at: paper.show(actor, "Paper", paper.Numbers(), KeyFile(at / "keys")),
        "vouchers.unblock": vouchers("unblock"),
    }


SHOWS = {
    "accounts.export",
    "accounts.note",
    "passwords.seal",
    "document.export",
    "vouchers.export",
    "vouchers.rotate-key",
    "vouchers.show",
}
"""They change nothing that one could compare, or only how it is sealed."""
AFTERWARDS = {"passwords.seal"}
"""Noted after many transactions: each seals a thousand, and whoever is interrupted goes on with the rest."""


@pytest.fixture
def tenant(dsn: str, tmp_path: Path) -> Iterator[Any]:
    """A store in which each action has something to do."""
    for office in opened(dsn):
        from billing.vouchers.generation import Generation, generate

        office.apply(DOCUMENT)
        office.apply(IDLE)
        paper = Generation(customer="Acme", batch="Paper", count=6, amount=Decimal(5))
        generate(ACTOR, paper, None, lambda _done, _total: None)
        with psycopg.connect(dsn) as connection:
            for statement in THINGS.split(";"):
                connection.execute(statement)
            connection.execute("UPDATE billing_voucher SET state = 'blocked' WHERE control_number IN (3, 4)")
            connection.execute("UPDATE billing_voucher SET state = 'inactive' WHERE control_number IN (5, 6)")
            connection.execute("INSERT INTO billing_mailbox (account_id, pin) SELECT id, %s FROM billing_account"
                               " WHERE number = '101'", [hash_pin("482917")])  # fmt: skip
        yield office


def noted(dsn: str) -> list[dict[str, Any]]:
    return contents(dsn)["billing_auditlog"]


def test_every_action_is_walked_by_the_next_test(dsn: str) -> None:
    for _ in opened(dsn):
        assert declared() == NAMES


NAMES = {
    "accounts.activate", "accounts.block", "accounts.close", "accounts.export", "accounts.forget_number",
    "accounts.generate", "accounts.note", "accounts.password", "accounts.suspend", "accounts.unblock",
    "accounts.update", "batches.assign", "calls.disconnect", "document.apply", "document.export", "guessing.unlock",
    "customers.remove", "tariffs.remove", "products.remove", "gateways.remove", "routes.remove",
    "mailboxes.delete", "mailboxes.greeting", "mailboxes.reset_pin", "mailboxes.unlock", "money.topup",
    "money.withdraw", "passwords.seal", "vouchers.activate", "vouchers.block", "vouchers.export",
    "vouchers.generate", "vouchers.rotate-key", "vouchers.show", "vouchers.unblock",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NAMES))
def test_an_action_is_noted_once_with_what_it_changed_and_never_happens_unnoted(
    tenant: Any, dsn: str, tmp_path: Path, monkeypatch: MonkeyPatch, name: str
) -> None:
    from billing.audit_log.models import AuditLog

    do = samples()[name]
    before = contents(dsn)
    with pytest.raises(NotAllowedError, match="tester may not do that"):
        do(replace(ACTOR, role=AUDITOR), tmp_path)
    assert contents(dsn) == before
    assert list(tmp_path.iterdir()) == []
    if name not in AFTERWARDS:
        with monkeypatch.context() as patched:
            patched.setattr(AuditLog, "save", full)
            with pytest.raises(OSError, match="the log is full"):
                do(ACTOR, tmp_path)
        assert contents(dsn) == before, "what cannot be noted is not done"
        assert not list(tmp_path.glob("*.csv"))
    do(ACTOR, tmp_path)
    known = {row["id"] for row in before["billing_auditlog"]}
    fresh = [row for row in noted(dsn) if row["id"] not in known and row["action"] == name]
    assert len(fresh) == 1
    (row,) = fresh
    assert (row["actor"], row["role"], row["via"], row["origin"]) == (
        "tester", "administrator", "command line", "test machine",
    )  # fmt: skip
    assert name in SHOWS or name == "document.apply" or row["before"] or row["after"]
    assert row["kind"]
    assert all(secret not in str(row) for secret in ("topsecret", "$sealed$", "pbkdf2", "scrypt"))


def full(*_: object, **__: object) -> None:
    raise OSError("the log is full")


def test_what_an_action_changed_is_told_with_its_reason(tenant: Any, dsn: str) -> None:
    tenant.topup("101", Decimal("2.50"), "k", "paid in cash")
    tenant.move("Spring/1", "block", reason="fraud")
    blocked, paid = sorted(noted(dsn), key=lambda row: -row["id"])[:2]
    assert (paid["subject"], paid["before"], paid["after"], paid["reason"]) == (
        "101", {"balance": "10.00000"}, {"balance": "12.50000"}, "paid in cash",
    )  # fmt: skip
    assert (blocked["subject"], blocked["before"], blocked["after"], blocked["reason"]) == (
        "104", {"state": "active"}, {"state": "blocked"}, "fraud",
    )  # fmt: skip


def test_what_was_refused_or_changed_nothing_is_not_noted(tenant: Any, dsn: str) -> None:
    from billing.audit_log.actor import ActionError
    from billing.customers.generation import AccountGeneration, generate

    tenant.topup("101", Decimal(1), "k")
    count = len(noted(dsn))
    tenant.topup("101", Decimal(1), "k")
    tenant.apply(DOCUMENT | {"accounts": DOCUMENT["accounts"][:1]})
    tenant.apply({"customers": [{"name": "Tried", "currency": "EUR"}]}, dry_run=True)
    generate(ACTOR, AccountGeneration(customer="Acme", batch="Spring", count=1), lambda _done, _total: None)
    for name, words in (
        ("withdraw", ("101", Decimal(1000), "w")),
        ("move", ("103", "suspend")),
        ("forget_number", ("101", "999")),
        ("disconnect", ("none", "admin")),
    ):
        with pytest.raises(ActionError):
            getattr(tenant, name)(*words)
    assert len(noted(dsn)) == count


def test_a_document_leaves_an_entry_for_the_run_and_one_for_each_thing_it_changed(tenant: Any, dsn: str) -> None:
    known = {row["id"] for row in noted(dsn)}
    tenant.apply({
        "accounts": [{"number": "101", "display": "Alice", "max_calls": 2, "password": "othersecret"},
                     {"number": "105", "customer": "Acme", "kind": "subordinate"}],
        "tariffs": [{"name": "Retail", "rates": [{"prefix": "420", "price": "0.1"}]}],
    }, name="acme.yaml")  # fmt: skip
    rows = {(row["action"], row["subject"]): row for row in noted(dsn) if row["id"] not in known}
    assert set(rows) == {
        ("document.apply", "acme.yaml"), ("document.account", "101"), ("document.account", "105"),
    }  # fmt: skip
    assert rows["document.apply", "acme.yaml"]["details"] == {"account changes": 2, "rate changes": 1}
    alice = rows["document.account", "101"]
    assert (alice["kind"], alice["before"]["display"], alice["after"]["display"]) == ("account", "", "Alice")
    assert alice["after"]["max_calls"] == 2
    assert "othersecret" not in str(rows)


def test_what_was_done_to_the_calls_and_names_of_an_account_is_found_by_it(tenant: Any) -> None:
    from billing.audit_log.queries import audit_log

    tenant.disconnect("c1", "fraud")
    tenant.apply({"accounts": [{"number": "101", "aliases": ["42077777701"]}]})
    found = [(row["action"], row["subject"]) for row in audit_log(account="101")][:3]
    assert sorted(found) == [
        ("calls.disconnect", "c1"), ("document.alias", "42073723123@pstn"), ("document.alias", "42077777701"),
    ]  # fmt: skip


def test_the_helpdesk_moves_no_money_and_sees_no_password(tenant: Any, dsn: str) -> None:
    """The specification: who helps callers does not see passwords of vouchers."""
    helper = replace(ACTOR, role=HELPDESK)
    walked = samples()
    allowed = {name for name in NAMES if HELPDESK.allows(name)}
    assert allowed == {
        "accounts.activate", "accounts.block", "accounts.forget_number", "accounts.note", "accounts.suspend",
        "accounts.unblock", "calls.disconnect", "guessing.unlock", "mailboxes.delete", "mailboxes.greeting",
        "mailboxes.reset_pin", "mailboxes.unlock",
    }  # fmt: skip
    for name in ("money.topup", "accounts.password", "vouchers.show", "document.apply"):
        with pytest.raises(NotAllowedError, match="is not for helpdesk"):
            walked[name](helper, Path())


@pytest.mark.parametrize("statement", ["UPDATE billing_auditlog SET actor = 'x'", "DELETE FROM billing_auditlog"])
def test_the_log_is_only_added_to(tenant: Any, dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.IntegrityError, match="only ever added"):
        connection.execute(statement)


WRITES = re.compile(
    r"\b(INSERT INTO|UPDATE (billing_|\{table\})|DELETE FROM|COPY (billing_|\{table\}))"
    r"|\b(post_entry|set_pin|set_greeting|pg_notify)\("
)
METHODS = {"save", "bulk_create", "create", "delete", "get_or_create", "bulk_update", "update_or_create"}
WITHIN = {"account_batch", "reseal_passwords", "seal_clear"}
"""Public, and only called by actions, as parts of them."""
ASKS = {"watch_calls"}
"""Asks the switches to tell what runs; it changes nothing."""


def test_nothing_public_writes_to_the_store_without_an_actor() -> None:
    """Actions, documents and the preparation of the store write; and what is public among actions takes an actor."""
    found = set()
    for file in Path(billing.__path__[0]).rglob("*.py"):
        place = file.relative_to(billing.__path__[0]).parts[0]
        if place in ("store", "document", "audit_log"):
            continue
        tree = ast.parse(file.read_text())
        known: set[str] = set()
        for _ in range(4):  # what writes, what names that, and so on
            known |= {name for node in tree.body if writes(node, known) for name in names(node)}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name in known:
                first = node.args.args[0].arg if node.args.args else ""
                if first != "actor":
                    found.add(node.name)
    assert found == WITHIN | ASKS


def names(node: ast.stmt) -> list[str]:
    """What a statement of a module names: a constant, a function, a class."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def writes(node: ast.AST, known: set[str]) -> bool:
    """Whether SQL that writes stands in it or is named in it, or a model is saved."""
    for one in ast.walk(node):
        match one:
            case ast.Constant(value=str() as text) if WRITES.search(text):
                return True
            case ast.Name(id=name) if name in known:
                return True
            case ast.Call(func=ast.Attribute(attr=method)) if method in METHODS:
                return True
    return False


def test_the_command_line_has_no_other_way_to_the_store_than_actions_and_queries() -> None:
    """No model, no connection, no SQL that writes; the actor is made in one place."""
    import softswitch

    for file in Path(softswitch.__path__[0]).rglob("*.py"):
        text = file.read_text()
        tree = ast.parse(text)
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not [one for one in imported if re.fullmatch(r"billing(\.\w+)?\.models", one)], file
        constants = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant)]
        assert not [one for one in constants if isinstance(one, str) and WRITES.search(one)], file
        if file.parts[-2:] != ("processes", "actor.py"):
            assert "Actor(" not in text, file
