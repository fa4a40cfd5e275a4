# SPDX-License-Identifier: Apache-2.0
"""Products point to tariffs, tariffs hold rates; `billing_client.rules.rating` says how a call is charged by them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from billing.store.fields import Identifier, currency, money

__all__ = ["Product", "Rate", "Tariff"]


class Tariff(models.Model):
    """A price list in one currency: what calls are sold for, or what a carrier takes for them."""

    class Routing(models.TextChoices):
        """By what carriers are put in order."""

        ORDER = "order"
        COST = "cost"

    name = Identifier(max_length=120, unique=True)
    currency = currency()
    routing = models.CharField(max_length=5, choices=Routing.choices, default="order", db_default=Value("order"))
    """By what the carriers of calls that are charged by it are put in order."""
    least_margin = money(null=True)
    """What a minute must leave of its price when the carrier is paid; None: anything."""
    revision = models.BigIntegerField(db_default=0, editable=False)
    """Grows with every change of a rate (triggers do it), so that readers reload only what changed."""

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """What an account buys."""

    name = Identifier(max_length=120, unique=True)
    tariff = models.ForeignKey(Tariff, on_delete=models.PROTECT, related_name="products")
    """Of calls to the outside."""
    inside = models.ForeignKey(
        Tariff, on_delete=models.PROTECT, null=True, blank=True, related_name="inside_products", db_index=False
    )
    """Of calls to accounts of the same customer; null: they are free."""
    between = models.ForeignKey(
        Tariff, on_delete=models.PROTECT, null=True, blank=True, related_name="between_products", db_index=False
    )
    """Of calls to accounts of other customers; null: as calls to the outside, by the public number."""

    def __str__(self) -> str:
        return self.name


class Rate(models.Model):
    """The price of calls to numbers that begin with `prefix`; prices are per minute, increments in seconds."""

    tariff = models.ForeignKey(Tariff, on_delete=models.CASCADE, related_name="rates", db_index=False)
    prefix = Identifier(max_length=18, blank=True)
    destination = models.CharField(max_length=120, blank=True, db_default=Value(""))
    country = models.CharField(max_length=60, blank=True, db_default=Value(""))
    connect_fee = money(default=0)
    first_increment = models.PositiveIntegerField(default=1, db_default=1)
    next_increment = models.PositiveIntegerField(default=1, db_default=1)
    first_price = money()
    next_price = money()
    effective_from = models.DateTimeField(db_default=Now())
    effective_to = models.DateTimeField(null=True, blank=True)
    blocked = models.BooleanField(default=False, db_default=Value(False))

    class Meta:
        constraints = (
            models.UniqueConstraint(name="rate_once", fields=("tariff", "prefix", "effective_from")),
            models.CheckConstraint(name="rate_prefix_digits", condition=Q(prefix__regex=r"^[0-9]*$")),
            models.CheckConstraint(
                name="rate_increments", condition=Q(first_increment__gte=1) & Q(next_increment__gte=1)
            ),
            models.CheckConstraint(
                name="rate_prices", condition=Q(connect_fee__gte=0) & Q(first_price__gte=0) & Q(next_price__gte=0)
            ),
            models.CheckConstraint(name="rate_dates", condition=Q(effective_to__gt=F("effective_from"))),
        )
