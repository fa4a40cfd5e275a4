# SPDX-License-Identifier: Apache-2.0
"""The accounts of a document, a thousand at a time: read at once, decided one by one, written at once.

Where the store objects to what is written, the thousand is done once more account by account, so that the objection
gets the path of its cause in the document.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from django.db import DataError, IntegrityError, connection, transaction

from billing.customers.batch_error import BatchError
from billing.customers.generation import account_batch, last_number, passwords
from billing.customers.models import Account, Alias, Customer, usual_calls_out
from billing.document.answering import merge_answering
from billing.document.applying import ApplyError, at, needed, same_currency
from billing.document.caller_id import merge_caller_id
from billing.document.change import Change
from billing.document.mailboxes import change_mailbox, hashed_pins
from billing.document.owners import add_to_trunk, drop_from_trunk
from billing.document.trunks import merge_trunk
from billing.money.models import Balance
from billing.tariffs.models import Product
from billing.voicemail.models import Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from billing.document.applying import Applying
    from billing.document.contents import AccountSpec
    from billing.document.trunks import TrunkSpec

__all__ = ["apply_accounts"]

AT_A_TIME: Final = 1000
OPEN: Final = """
SELECT post_entry(key, balance, gain, 'opening', '')
  FROM unnest(%s::text[], %s::bigint[], %s::numeric[]) AS o (key, balance, gain)"""


def apply_accounts(run: Applying, specs: Sequence[AccountSpec]) -> None:
    """Bring accounts to what was said of them; raises ApplyError."""
    for chunk in _chunks(specs):
        changes = len(run.changes)
        try:
            with transaction.atomic():
                _Chunk(run, chunk).apply()
        except (DataError, IntegrityError):
            del run.changes[changes:]
            for spec in chunk:
                with at(spec.path):
                    _Chunk(run, [spec]).apply()


def _chunks(specs: Sequence[AccountSpec]) -> Iterator[list[AccountSpec]]:
    """Pieces that name no account twice."""
    chunk: dict[str, AccountSpec] = {}
    for spec in specs:
        if spec.key in chunk or len(chunk) == AT_A_TIME:
            yield list(chunk.values())
            chunk = {}
        chunk[spec.key] = spec
    if chunk:
        yield list(chunk.values())


class _Chunk:
    """Some accounts, with all that the store has of them."""

    def __init__(self, run: Applying, specs: Sequence[AccountSpec]) -> None:
        self._run = run
        self._specs = specs
        found = Account.objects.select_related("balance", "customer", "product", "batch").filter(
            number__in=[s.key for s in specs]
        )
        self._known = {account.number: account for account in found}
        known = [account.pk for account in self._known.values()]
        self._known_aliases: dict[int, dict[str, Alias]] = {account: {} for account in known}
        for alias in Alias.objects.filter(account__in=known, is_number=False):
            self._known_aliases[alias.account_id][alias.name] = alias
        self._known_mailboxes = Mailbox.objects.in_bulk(known)
        self._last_numbers: dict[int, int] = {}
        """The highest control number of each batch that grows."""
        # What is new; it is written in this order.
        self._balances: list[Balance] = []
        self._accounts: list[Account] = []
        self._aliases: list[Alias] = []
        self._mailboxes: list[Mailbox] = []
        self._openings: list[tuple[Account, Decimal]] = []
        """Of new accounts what their owners gain."""

    def apply(self) -> None:
        """Decide, then write; raises ApplyError, IntegrityError."""
        pins = self._pins()
        trunks: list[tuple[TrunkSpec, Account]] = []
        for spec in self._specs:
            account = self._account(spec)
            if spec.trunk is not None:
                trunks.append((spec.trunk, account))
            if spec.aliases is not None:
                self._change_aliases(spec, account)
            if spec.voicemail is not None:
                self._mailbox(spec.voicemail.columns, account, pins.get(spec.key))
        Balance.objects.bulk_create(self._balances)
        Account.objects.bulk_create(self._accounts)
        Alias.objects.bulk_create(self._aliases)
        Mailbox.objects.bulk_create(self._mailboxes)
        for change in (drop_from_trunk, add_to_trunk):
            for trunk, account in trunks:
                self._run.changes += change(trunk, account)
        if self._openings:
            keys = [f"opening:{account.number}" for account, _ in self._openings]
            balances = [account.balance.pk for account, _ in self._openings]
            with connection.cursor() as cursor:
                cursor.execute(OPEN, [keys, balances, [gain for _, gain in self._openings]])

    def _pins(self) -> dict[str, str | None]:
        """Of accounts whose PINs were said: their hashes, None where they are right already."""
        wanted = {}
        for spec in self._specs:
            if spec.voicemail is not None and spec.voicemail.pin is not None:
                account = self._known.get(spec.key)
                mailbox = account and self._known_mailboxes.get(account.pk)
                wanted[spec.key] = spec.voicemail.pin, mailbox.pin if mailbox else ""
        return hashed_pins(wanted)

    def _account(self, spec: AccountSpec) -> Account:
        run, columns, account = self._run, dict(spec.columns), self._known.get(spec.key)
        if spec.customer is not None:
            columns["customer"] = run.find(Customer, spec, "customer", spec.customer, "balance")
        if spec.product is not None:
            columns["product"] = run.find(Product, spec, "product", spec.product)
        if spec.answering is not None:
            columns["answering"] = merge_answering(account.answering if account else {}, spec.answering)
        if spec.caller_id is not None:
            columns["caller_id"] = merge_caller_id(account.caller_id if account else {}, spec.caller_id)
        if spec.trunk is not None:
            columns["trunk"] = merge_trunk(account.trunk if account else {}, spec.trunk)
        if account is None:
            return self._new_account(spec, columns)
        self._old_account(spec, columns, account)
        return account

    def _new_account(self, spec: AccountSpec, columns: dict[str, Any]) -> Account:
        customer = needed(spec, "customer", columns.get("customer"))
        kind = needed(spec, "kind", columns.get("kind"))
        currency = spec.currency or customer.balance.currency
        if kind == "subordinate":
            balance = customer.balance
        else:
            limit = needed(spec, "credit_limit", spec.credit_limit) if kind == "credit" else None
            balance = Balance(kind=kind, currency=currency, credit_limit=limit)
            self._balances.append(balance)
        columns.setdefault("max_calls_out", usual_calls_out(kind))
        columns.setdefault("password", passwords(1)[0])
        self._run.note_new("account", spec.key, columns)
        account = Account(number=spec.key, balance=balance, **columns)
        self._accounts.append(account)
        if spec.opening_balance:
            if kind == "subordinate":
                raise ApplyError([f"{spec.path}.opening_balance: a subordinate account has no balance of its own"])
            # What a debit account has is funds; what a credit account opens with is a debt.
            self._openings.append((account, -spec.opening_balance if kind == "credit" else spec.opening_balance))
            self._run.changes.append(Change("account", spec.key, "balance", Decimal(0), spec.opening_balance))
        if spec.batch is not None:
            self._join_batch(spec, account, spec.batch)
        return account

    def _old_account(self, spec: AccountSpec, columns: dict[str, Any], account: Account) -> None:
        if columns.get("kind", account.kind) != account.kind:
            raise ApplyError([f"{spec.path}.kind: account {spec.key} is a {account.kind} account and stays one"])
        if account.state == "closed" and columns.get("state", "closed") != "closed":
            raise ApplyError([f"{spec.path}.state: account {spec.key} is closed for good"])
        same_currency(spec, account.balance, spec.currency)
        if spec.credit_limit is not None:
            if account.kind != "credit":
                raise ApplyError([f"{spec.path}.credit_limit: only credit accounts have one"])
            self._run.update(account.balance, "account", spec.key, {"credit_limit": spec.credit_limit})
        if account.kind == "subordinate" and "customer" in columns:
            columns["balance"] = columns["customer"].balance
        self._run.update(account, "account", spec.key, columns)
        if spec.batch is not None and account.batch is None:
            self._join_batch(spec, account, spec.batch)
            account.save(update_fields=["batch", "control_number"])
        elif spec.batch is not None and account.batch is not None and account.batch.name != spec.batch:
            raise ApplyError([f"{spec.path}.batch: account {spec.key} is in batch {account.batch} and stays there"])

    def _join_batch(self, spec: AccountSpec, account: Account, name: str) -> None:
        """Give the account the next control number of a batch."""
        try:
            batch = account_batch(name, account.customer)
        except BatchError as error:
            raise ApplyError([f"{spec.path}.batch: {error}"]) from error
        last = self._last_numbers.get(batch.pk)
        self._last_numbers[batch.pk] = number = (last_number(batch) if last is None else last) + 1
        account.batch, account.control_number = batch, number
        self._run.changes.append(Change("account", spec.key, "batch", None, f"{batch} {number}"))

    def _change_aliases(self, spec: AccountSpec, account: Account) -> None:
        run = self._run
        wanted = {alias.name: {"allow_authentication": alias.allow_authentication} for alias in spec.aliases or ()}
        present = self._known_aliases.get(account.pk, {})
        for name in () if "aliases" in run.merge else present.keys() - wanted.keys():
            present[name].delete()
            run.changes.append(Change("alias", _masked(name), "", {"account": account.number}, None))
        for name, columns in wanted.items():
            if name in present:
                run.update(present[name], "alias", _masked(name), columns)
            else:
                self._aliases.append(Alias(name=name, account=account, **columns))
                run.note_new("alias", _masked(name), {"account": account, **columns})

    def _mailbox(self, columns: dict[str, Any], account: Account, pin: str | None) -> None:
        present = self._known_mailboxes.get(account.pk)
        mailbox = present or Mailbox(account=account)
        changes = change_mailbox(mailbox, account.number, columns, pin)
        self._run.changes += changes
        if changes and present is None:
            self._mailboxes.append(mailbox)
        elif changes:
            mailbox.save()


def _masked(name: str) -> str:
    """An alias as it may be shown: of a PIN the last two digits."""
    return f"{'*' * (len(name) - 6)}{name[-6:]}" if name.endswith("@pin") else name
