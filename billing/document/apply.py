# SPDX-License-Identifier: Apache-2.0
"""Bring the store to what a document says (`billing.document.contents` has its form), all or nothing.

A dry run does the same in a transaction that is rolled back, so that what it shows is what would happen, checks of
the store included.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction

from billing.audit_log.action import Action
from billing.carriers.models import EmergencyRoute, Gateway, GatewayRoute
from billing.customers.models import Customer
from billing.customers.names import FREE
from billing.document.accounts import apply_accounts
from billing.document.addresses import address_problems
from billing.document.answering import forwards_of
from billing.document.applying import ApplyError, Applying, at, needed, same_currency
from billing.document.caller_id import merge_caller_id
from billing.document.change import Change
from billing.document.contents import COMPLETED, PRODUCT_TARIFFS, read_document
from billing.document.forward_targets import GatewayPlace, at_gateway
from billing.document.noting import note
from billing.document.owners import foreign_numbers, taken_numbers, trunk_problems
from billing.document.rates import apply_rates
from billing.money.models import Balance
from billing.removing.actions import KINDS, RemovalError, remove
from billing.tariffs.models import Product, Tariff

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from billing.audit_log.actor import Actor
    from billing.customers.names import Reserved
    from billing.document.contents import Document, GatewaySpec, Named, RouteSpec, TariffSpec
    from billing.document.numbering import EmergencySpec

__all__ = ["ApplyError", "apply"]

APPLY: Final = Action("document.apply", "document")


def apply(
    actor: Actor,
    document: Mapping[str, Any],
    *,
    name: str = "",
    reserved: Reserved = FREE,
    dry_run: bool = False,
    base: Path | None = None,
) -> list[Change]:
    """Apply a parsed document and return what changed; raises ApplyError. `base`: where relative CSV paths begin;
    `reserved`: names that lead somewhere else than to accounts; `name`: what the document is called in the log."""
    problems: list[str] = []
    read = read_document(document, problems, base, reserved)
    if not problems:
        problems += address_problems(read, reserved)
        problems += trunk_problems(read, reserved)
    if problems:
        raise ApplyError(problems)
    with APPLY.by(actor, name) as deed:
        changes = _Application(read.merge).apply(read)
        changes += _complete(actor, read)
        if dry_run:
            deed.nothing()
            transaction.set_rollback(True)
        else:
            note(deed, changes)
    return changes


def _check_forwards(document: Document) -> None:
    """No forward leads to a gateway by its address: it would leave unrated. Raises ApplyError."""
    named = [spec for spec in document.accounts if spec.answering]
    gateways = [GatewayPlace(*row) for row in Gateway.objects.values_list("name", "host", "port", "any_port")]
    problems = [
        f"{spec.path}.{path}: {to!r} is at gateway {name}: write the number alone"
        for spec in named
        for path, to in forwards_of(spec.answering or {})
        if (name := at_gateway(to, gateways)) is not None
    ]
    if problems:
        raise ApplyError(problems)


def _complete(actor: Actor, document: Document) -> list[Change]:
    """Remove what complete lists leave out. Raises ApplyError with all that stands against it."""
    problems, changes = [], []
    for name in COMPLETED:
        if name not in document.complete:
            continue
        kind = name.removesuffix("s")
        named = {spec.key for spec in getattr(document, name)}
        there = KINDS[kind]._default_manager.order_by("name").values_list("name", flat=True)
        for key in [one for one in there if one not in named]:
            try:
                remove(actor, kind, key, reason="not in a complete list")
            except RemovalError as error:
                problems.append(f"complete: {error}, and is not in {name}")
            else:
                changes.append(Change(kind, key, "", "present", None))
    if problems:
        raise ApplyError(problems)
    return changes


class _Application:
    """One run over a document."""

    def __init__(self, merge: frozenset[str]) -> None:
        self.run = Applying(merge)

    def apply(self, document: Document) -> list[Change]:
        for customer in document.customers:
            with at(customer.path):
                self._customer(customer)
        for tariff in document.tariffs:
            with at(tariff.path):
                self._tariff(tariff)
        for product in document.products:
            with at(product.path):
                self._product(product)
        apply_accounts(self.run, document.accounts)
        problems = [*foreign_numbers(document.accounts), *taken_numbers(document.accounts)]
        if problems:
            raise ApplyError(problems)
        for gateway in document.gateways:
            with at(gateway.path):
                self._gateway(gateway)
        _check_forwards(document)
        return self.run.changes

    def _customer(self, spec: Named) -> None:
        columns = dict(spec.columns)
        currency = columns.pop("currency", None)
        limit = columns.pop("credit_limit", None)
        customer = Customer.objects.select_related("balance").filter(name=spec.key).first()
        if customer is None:
            columns["balance"] = Balance.objects.create(
                kind="credit", currency=needed(spec, "currency", currency), credit_limit=limit or Decimal(0)
            )
            self.run.create(Customer, "customer", "name", spec.key, columns)
            return
        same_currency(spec, customer.balance, currency)
        if limit is not None:
            self.run.update(customer.balance, "customer", spec.key, {"credit_limit": limit})
        self.run.update(customer, "customer", spec.key, columns)

    def _tariff(self, spec: TariffSpec) -> None:
        tariff = Tariff.objects.filter(name=spec.key).first()
        if tariff is None:
            needed(spec, "currency", spec.columns.get("currency"))
            tariff = self.run.create(Tariff, "tariff", "name", spec.key, spec.columns)
        else:
            self.run.update(tariff, "tariff", spec.key, spec.columns)
        if spec.rates is not None:
            self.run.changes += apply_rates(tariff.pk, spec.key, spec.rates, merge="rates" in self.run.merge)

    def _product(self, spec: Named) -> None:
        columns = dict(spec.columns)
        for field in PRODUCT_TARIFFS:
            if columns.get(field):
                columns[field] = self.run.find(Tariff, spec, field, columns[field])
            elif field in columns:
                columns[field] = None
        product = Product.objects.filter(name=spec.key).first()
        if product is None:
            needed(spec, "tariff", columns.get("tariff"))
            self.run.create(Product, "product", "name", spec.key, columns)
        else:
            self.run.update(product, "product", spec.key, columns)

    def _gateway(self, spec: GatewaySpec) -> None:
        gateway, columns = Gateway.objects.filter(name=spec.key).first(), dict(spec.columns)
        if columns.get("cost_tariff") is not None:
            columns["cost_tariff"] = self.run.find(Tariff, spec, "cost_tariff", columns["cost_tariff"])
        if spec.caller_id is not None:
            columns["caller_id"] = merge_caller_id(gateway.caller_id if gateway else {}, spec.caller_id)
        if gateway is None:
            needed(spec, "host", columns.get("host"))
            gateway = self.run.create(Gateway, "gateway", "name", spec.key, columns)
        else:
            self.run.update(gateway, "gateway", spec.key, columns)
        if spec.routes is not None:
            self._routes(gateway, spec.key, spec.routes)
        if spec.emergency is not None:
            self._emergency_routes(gateway, spec.key, spec.emergency)

    def _routes(self, gateway: Gateway, name: str, routes: Iterable[RouteSpec]) -> None:
        wanted = {route.prefix: route for route in routes}
        present = {route.prefix: route for route in GatewayRoute.objects.filter(gateway=gateway)}
        for prefix in () if "routes" in self.run.merge else present.keys() - wanted.keys():
            present[prefix].delete()
            self.run.changes.append(Change("route", f"{name}/{prefix}", "", "present", None))
        for prefix, route in wanted.items():
            columns = {"position": route.position, "strip": route.strip, "prepend": route.prepend}
            key = f"{name}/{prefix}"
            if prefix in present:
                self.run.update(present[prefix], "route", key, columns)
            else:
                self.run.create(GatewayRoute, "route", "prefix", key, {"gateway": gateway, **columns}, prefix)

    def _emergency_routes(self, gateway: Gateway, name: str, routes: Iterable[EmergencySpec]) -> None:
        wanted = {route.key: route for route in routes}
        present = {(r.number, r.country, r.area): r for r in EmergencyRoute.objects.filter(gateway=gateway)}
        for key in present.keys() - wanted.keys():
            present[key].delete()
            self.run.changes.append(Change("emergency route", f"{name}/{'/'.join(key)}", "", "present", None))
        for key, route in wanted.items():
            columns, shown = {"position": route.position, "send": route.send}, f"{name}/{'/'.join(key)}"
            if key in present:
                self.run.update(present[key], "emergency route", shown, columns)
            else:
                where = {"gateway": gateway, "country": route.country, "area": route.area, **columns}
                self.run.create(EmergencyRoute, "emergency route", "number", shown, where, route.number)
