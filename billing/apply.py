# SPDX-License-Identifier: Apache-2.0
"""Bring the store to what a document says (`billing.document` has its form), all or nothing.

A dry run does the same in a transaction that is rolled back, so that what it shows is what would happen, checks of
the store included.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import IntegrityError, models, transaction

from billing.account_generation import account_batch, last_number
from billing.answering_document import merge_answering
from billing.batch_error import BatchError
from billing.change import Change
from billing.document import read_document
from billing.ledger import post
from billing.models import Account, Alias, Balance, Customer, Gateway, GatewayRoute, Product, Tariff
from billing.rates import apply_rates
from billing.voicemail import apply_voicemail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from billing.document import AccountSpec, Document, GatewaySpec, Named, TariffSpec

__all__ = ["ApplyError", "apply", "new_password"]

Thing = TypeVar("Thing", bound=models.Model)

SECRET = {"password"}
MASK = "********"


class ApplyError(Exception):
    """The document cannot be applied; nothing was changed."""

    def __init__(self, problems: list[str]) -> None:
        """`problems` each begin with the path of the mistake in the document."""
        super().__init__("\n".join(problems))
        self.problems = problems


def new_password() -> str:
    """A random SIP password that can be typed on a phone."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "".join(secrets.choice(alphabet) for _ in range(12))


def apply(document: Mapping[str, Any], *, dry_run: bool = False, base: Path | None = None) -> list[Change]:
    """Apply a parsed document and return what changed; raises ApplyError. `base`: where relative CSV paths begin."""
    problems: list[str] = []
    read = read_document(document, problems, base)
    if problems:
        raise ApplyError(problems)
    with transaction.atomic():
        changes = _Application().run(read)
        if dry_run:
            transaction.set_rollback(True)
    return changes


class _Application:
    """One run over a document."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def run(self, document: Document) -> list[Change]:
        for customer in document.customers:
            with _at(customer.path):
                self._customer(customer)
        for tariff in document.tariffs:
            with _at(tariff.path):
                self._tariff(tariff)
        for product in document.products:
            with _at(product.path):
                self._product(product)
        for account in document.accounts:
            with _at(account.path):
                self._account(account)
        for gateway in document.gateways:
            with _at(gateway.path):
                self._gateway(gateway)
        return self.changes

    def _customer(self, spec: Named) -> None:
        columns = dict(spec.columns)
        currency = columns.pop("currency", None)
        limit = columns.pop("credit_limit", None)
        customer = Customer.objects.select_related("balance").filter(name=spec.key).first()
        if customer is None:
            columns["balance"] = Balance.objects.create(
                kind="credit", currency=_needed(spec, "currency", currency), credit_limit=limit or Decimal(0)
            )
            self._create(Customer, "customer", "name", spec.key, columns)
            return
        self._same_currency(spec, customer.balance, currency)
        if limit is not None:
            self._update(customer.balance, "customer", spec.key, {"credit_limit": limit})
        self._update(customer, "customer", spec.key, columns)

    def _tariff(self, spec: TariffSpec) -> None:
        tariff = Tariff.objects.filter(name=spec.key).first()
        if tariff is None:
            _needed(spec, "currency", spec.columns.get("currency"))
            tariff = self._create(Tariff, "tariff", "name", spec.key, spec.columns)
        else:
            self._update(tariff, "tariff", spec.key, spec.columns)
        if spec.rates is not None:
            self.changes += apply_rates(tariff.pk, spec.key, spec.rates)

    def _product(self, spec: Named) -> None:
        columns = dict(spec.columns)
        if "tariff" in columns:
            columns["tariff"] = _find(Tariff, spec, "tariff", columns["tariff"])
        product = Product.objects.filter(name=spec.key).first()
        if product is None:
            _needed(spec, "tariff", columns.get("tariff"))
            self._create(Product, "product", "name", spec.key, columns)
        else:
            self._update(product, "product", spec.key, columns)

    def _account(self, spec: AccountSpec) -> None:
        columns = dict(spec.columns)
        if spec.customer is not None:
            columns["customer"] = _find(Customer, spec, "customer", spec.customer)
        if spec.product is not None:
            columns["product"] = _find(Product, spec, "product", spec.product)
        account = Account.objects.select_related("balance", "customer").filter(number=spec.key).first()
        if spec.answering is not None:
            columns["answering"] = merge_answering(account.answering if account else {}, spec.answering)
        if account is None:
            account = self._new_account(spec, columns)
        else:
            self._old_account(spec, columns, account)
        if spec.batch is not None:
            self._batch(spec, account)
        if spec.aliases is not None:
            self._aliases(spec, account)
        if spec.voicemail is not None:
            self.changes += apply_voicemail(account, spec.voicemail)

    def _new_account(self, spec: AccountSpec, columns: dict[str, Any]) -> Account:
        customer = _needed(spec, "customer", columns.get("customer"))
        kind = _needed(spec, "kind", columns.get("kind"))
        currency = spec.currency or customer.balance.currency
        if kind == "subordinate":
            columns["balance"] = customer.balance
        elif kind == "credit":
            limit = _needed(spec, "credit_limit", spec.credit_limit)
            columns["balance"] = Balance.objects.create(kind="credit", currency=currency, credit_limit=limit)
        else:
            columns["balance"] = Balance.objects.create(kind="debit", currency=currency)
            columns.setdefault("max_calls_out", 1)
        columns.setdefault("password", new_password())
        account = self._create(Account, "account", "number", spec.key, columns)
        if spec.opening_balance:
            if kind == "subordinate":
                raise ApplyError([f"{spec.path}.opening_balance: a subordinate account has no balance of its own"])
            # What a debit account has is funds; what a credit account opens with is a debt.
            gain = -spec.opening_balance if kind == "credit" else spec.opening_balance
            post(f"opening:{spec.key}", account.balance_id, gain, "opening", "")
            self.changes.append(Change("account", spec.key, "balance", Decimal(0), spec.opening_balance))
        return account

    def _old_account(self, spec: AccountSpec, columns: dict[str, Any], account: Account) -> None:
        if columns.get("kind", account.kind) != account.kind:
            raise ApplyError([f"{spec.path}.kind: account {spec.key} is a {account.kind} account and stays one"])
        self._same_currency(spec, account.balance, spec.currency)
        if spec.credit_limit is not None:
            if account.kind != "credit":
                raise ApplyError([f"{spec.path}.credit_limit: only credit accounts have one"])
            self._update(account.balance, "account", spec.key, {"credit_limit": spec.credit_limit})
        if account.kind == "subordinate" and "customer" in columns:
            columns["balance"] = columns["customer"].balance
        self._update(account, "account", spec.key, columns)

    def _batch(self, spec: AccountSpec, account: Account) -> None:
        """Give the account the next control number of a batch; in a batch it stays."""
        if account.batch_id is not None:
            if account.batch is not None and account.batch.name != spec.batch:
                raise ApplyError([f"{spec.path}.batch: account {spec.key} is in batch {account.batch} and stays there"])
            return
        try:
            batch = account_batch(spec.batch or "", account.customer)
        except BatchError as error:
            raise ApplyError([f"{spec.path}.batch: {error}"]) from error
        account.batch, account.control_number = batch, last_number(batch) + 1
        account.save(update_fields=["batch", "control_number"])
        self.changes.append(Change("account", spec.key, "batch", None, f"{batch} {account.control_number}"))

    def _aliases(self, spec: AccountSpec, account: Account) -> None:
        wanted = {alias.name: {"allow_authentication": alias.allow_authentication} for alias in spec.aliases or ()}
        present = {alias.name: alias for alias in Alias.objects.filter(account=account, is_number=False)}
        for name in present.keys() - wanted.keys():
            present[name].delete()
            self.changes.append(Change("alias", _masked(name), "", "present", None))
        for name, columns in wanted.items():
            if name in present:
                self._update(present[name], "alias", _masked(name), columns)
            else:
                self._create(Alias, "alias", "name", _masked(name), {"account": account, **columns}, name)

    def _gateway(self, spec: GatewaySpec) -> None:
        gateway = Gateway.objects.filter(name=spec.key).first()
        if gateway is None:
            _needed(spec, "host", spec.columns.get("host"))
            gateway = self._create(Gateway, "gateway", "name", spec.key, spec.columns)
        else:
            self._update(gateway, "gateway", spec.key, spec.columns)
        if spec.routes is None:
            return
        wanted = {route.prefix: route for route in spec.routes}
        present = {route.prefix: route for route in GatewayRoute.objects.filter(gateway=gateway)}
        for prefix in present.keys() - wanted.keys():
            present[prefix].delete()
            self.changes.append(Change("route", f"{spec.key}/{prefix}", "", "present", None))
        for prefix, route in wanted.items():
            columns = {"position": route.position, "strip": route.strip, "prepend": route.prepend}
            key = f"{spec.key}/{prefix}"
            if prefix in present:
                self._update(present[prefix], "route", key, columns)
            else:
                self._create(GatewayRoute, "route", "prefix", key, {"gateway": gateway, **columns}, prefix)

    def _create(
        self, model: type[Thing], kind: str, key_field: str, key: str, columns: dict[str, Any], value: str | None = None
    ) -> Thing:
        # The manager of a type variable is not known to the type checker.
        thing: Thing = model._default_manager.create(**{key_field: key if value is None else value}, **columns)
        self.changes.append(Change(kind, key, "", None, {field: _shown(field, columns[field]) for field in columns}))
        return thing

    def _update(self, thing: models.Model, kind: str, key: str, columns: dict[str, Any]) -> None:
        changed = {field: value for field, value in columns.items() if getattr(thing, field) != value}
        for field, value in changed.items():
            self.changes.append(Change(kind, key, field, _shown(field, getattr(thing, field)), _shown(field, value)))
            setattr(thing, field, value)
        if changed:
            thing.save(update_fields=changed.keys())

    def _same_currency(self, spec: Named, balance: Balance, currency: str | None) -> None:
        if currency not in {None, balance.currency}:
            raise ApplyError([f"{spec.path}.currency: {spec.key} is kept in {balance.currency} and stays so"])


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Turn an objection of the store into a problem at this path."""
    try:
        yield
    except IntegrityError as error:
        raise ApplyError([f"{path}: {str(error).splitlines()[0]}"]) from error


def _find(model: type[Thing], spec: Named, field: str, key: str) -> Thing:
    thing: Thing | None = model._default_manager.filter(name=key).first()
    if thing is None:
        raise ApplyError([f"{spec.path}.{field}: there is no {field} {key!r}"])
    return thing


def _needed(spec: Named, field: str, value: Any) -> Any:
    if value is None:
        raise ApplyError([f"{spec.path}.{field}: is missing, and {spec.key} does not exist yet"])
    return value


def _masked(name: str) -> str:
    """An alias as it may be shown: of a PIN the last two digits."""
    return f"{'*' * (len(name) - 6)}{name[-6:]}" if name.endswith("@pin") else name


def _shown(field: str, value: Any) -> Any:
    if field in SECRET:
        return MASK
    return str(value) if isinstance(value, models.Model) else value
