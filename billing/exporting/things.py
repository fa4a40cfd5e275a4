# SPDX-License-Identifier: Apache-2.0
"""Things of the store as a document says them: what differs from what a new one has, under the names of its columns.

A column that a model gains is exported from then on; what is no part of a document is named here.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final

from django.db import models

from billing.carriers.models import Gateway
from billing.customers.models import Account, Customer, usual_calls_out
from billing.document.contents import ALWAYS
from billing.tariffs.models import Product, Rate, Tariff
from billing_client.rules.trunks import NumberRange

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Thing", "accounts", "customers", "gateways", "products", "tariffs"]

Thing = dict[str, Any]

AT_A_TIME: Final = 1000
NEVER: Final = {"id", "account", "tariff_id", "balance", "control_number", "pin", "emails_until"}
"""Columns that no document has: money has the ledger, and of a mailbox's PIN there is only a hash."""
SECRET: Final = {"password", "registers"}
"""Left out unless secrets are asked for; a gateway that registers needs its password beside it."""


def customers(name: str | None) -> Iterator[Thing]:
    """All customers, or the one of this name."""
    for one in _named(Customer.objects.select_related("balance"), name):
        money = {"currency": one.balance.currency, "credit_limit": one.balance.credit_limit}
        yield {"name": one.name, **money, **_said(one, {"name"})}


def tariffs(customer: str | None) -> Iterator[Thing]:
    """All tariffs with their rates, or those that accounts of this customer are charged by."""
    found = Tariff.objects.order_by("name")
    if customer is not None:
        uses = (f"{kind}products__accounts__customer__name" for kind in ("", "inside_", "between_"))
        found = found.filter(reduce(or_, (models.Q(**{use: customer}) for use in uses))).distinct()
    for one in found:
        rates = [_rate(rate) for rate in Rate.objects.filter(tariff=one).order_by("prefix", "effective_from")]
        yield {"name": one.name, "currency": one.currency, "rates": rates}


def _rate(rate: Rate) -> Thing:
    prices: Thing = {"first_price": rate.first_price, "next_price": rate.next_price}
    if rate.first_price == rate.next_price:
        prices = {"price": rate.first_price}
    hidden = {"tariff", "prefix", "first_price", "next_price"} | (
        {"effective_from"} if rate.effective_from == ALWAYS else set()
    )
    return {"prefix": rate.prefix, **prices, **_said(rate, hidden)}


def products(customer: str | None) -> Iterator[Thing]:
    """All products, or those that accounts of this customer have."""
    found = Product.objects.select_related("tariff", "inside", "between").order_by("name")
    if customer is not None:
        found = found.filter(accounts__customer__name=customer).distinct()
    for one in found:
        yield {"name": one.name, **_said(one, {"name"})}


def accounts(customer: str | None, *, secrets: bool) -> Iterator[Thing]:
    """All accounts, or those of this customer: those of a batch in the order of their control numbers."""
    found = Account.objects.select_related("customer__balance", "balance", "product", "batch", "mailbox")
    if customer is not None:
        found = found.filter(customer__name=customer)
    found = found.prefetch_related("aliases", "ranges", "networks").order_by("batch__name", "control_number", "number")
    for one in found.iterator(chunk_size=AT_A_TIME):
        yield _account(one, secrets=secrets)


def _account(one: Account, *, secrets: bool) -> Thing:
    hidden = {"number", "customer", "kind", "trunk"} | (set() if secrets else SECRET)
    said: Thing = {"number": one.number, "customer": one.customer.name, "kind": one.kind}
    if one.kind != "subordinate" and one.balance.currency != one.customer.balance.currency:
        said["currency"] = one.balance.currency
    if one.kind == "credit":
        said["credit_limit"] = one.balance.credit_limit
    said |= _said(one, hidden, max_calls_out=usual_calls_out(one.kind))
    aliases = [
        {"name": alias.name, "allow_authentication": alias.allow_authentication}
        for alias in sorted(one.aliases.all(), key=lambda alias: alias.name)
        if not alias.is_number and alias.claimed_at is None and (secrets or not alias.name.endswith("@pin"))
    ]
    if aliases:
        said["aliases"] = aliases
    if one.trunk:
        ranges = sorted((each.first, each.last) for each in one.ranges.all())
        networks = sorted(each.network for each in one.networks.all())
        said["trunk"] = {**one.trunk, "ranges": [str(NumberRange(*each)) for each in ranges], "addresses": networks}
    voicemail = _said(one.mailbox, set()) if hasattr(one, "mailbox") else {}
    if voicemail:
        said["voicemail"] = voicemail
    return said


def gateways(*, secrets: bool) -> Iterator[Thing]:
    """All gateways with their routes."""
    for one in Gateway.objects.prefetch_related("routes", "emergency_routes").order_by("name"):
        said = {"name": one.name, **_said(one, {"name"} | (set() if secrets else SECRET))}
        routes = [
            {"prefix": route.prefix, "order": route.position, **_said(route, {"gateway", "prefix", "position"})}
            for route in sorted(one.routes.all(), key=lambda route: route.prefix)
        ]
        if routes:
            said["routes"] = routes
        rescue = [
            {**_said(route, {"gateway", "position"}), "order": route.position}
            for route in sorted(one.emergency_routes.all(), key=lambda route: (route.country, route.area, route.number))
        ]
        if rescue:
            said["emergency"] = rescue
        yield said


def _named(found: models.QuerySet[Customer], name: str | None) -> models.QuerySet[Customer]:
    return found.order_by("name") if name is None else found.filter(name=name)


def _said(thing: models.Model, hidden: set[str], **usual: Any) -> Thing:
    """The columns of a thing that differ from those of a new one, by their names; what they point to by its name."""
    said = {}
    for field in thing._meta.concrete_fields:
        if field.name in hidden or field.name in NEVER or not field.editable:
            continue
        value = getattr(thing, field.name)
        if value != usual.get(field.name, _usual(field)):
            said[field.name] = str(value) if isinstance(value, models.Model) else value
    return said


def _usual(field: models.Field[Any, Any]) -> Any:
    """What the column of a new thing holds."""
    if field.default is not models.NOT_PROVIDED:
        return field.default() if callable(field.default) else field.default
    default = field.db_default
    return None if default is models.NOT_PROVIDED else getattr(default, "value", default)
