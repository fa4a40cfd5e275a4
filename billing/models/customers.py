# SPDX-License-Identifier: Apache-2.0
"""Customers, their accounts, and the names that accounts go by."""

from __future__ import annotations

from django.db import models
from django.db.models import Q, Value

from billing.models.fields import Identifier, created_at
from billing.models.money import Balance
from billing.models.pricing import Product

__all__ = ["Account", "Alias", "Customer"]


class State(models.TextChoices):
    """Whether services may be used; anything but active forbids it."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    CLOSED = "closed"


def state() -> models.CharField[str, str]:
    """A state column."""
    return models.CharField(max_length=9, choices=State.choices, default=State.ACTIVE, db_default=Value(State.ACTIVE))


class Customer(models.Model):
    """Who pays the bill. Subordinate accounts share the customer's balance and its limit."""

    name = Identifier(max_length=120, unique=True)
    state = state()
    balance = models.OneToOneField(Balance, on_delete=models.PROTECT, related_name="customer")
    created_at = created_at()

    def __str__(self) -> str:
        return self.name


class Account(models.Model):
    """An end user: its number is the SIP user name and the user part of its address of record."""

    class Kind(models.TextChoices):
        """Where the money comes from."""

        DEBIT = "debit", "debit"
        CREDIT = "credit", "credit with its own limit"
        SUBORDINATE = "subordinate", "credit within the customer's limit"
        VOUCHER = "voucher", "voucher"

    number = Identifier(max_length=64, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="accounts")
    kind = models.CharField(max_length=11, choices=Kind.choices)
    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="accounts")
    """Its own, or its customer's if it is subordinate (a trigger sees to it)."""
    product = models.ForeignKey(Product, on_delete=models.PROTECT, null=True, blank=True, related_name="accounts")
    password = models.CharField(max_length=128)
    """SIP password, in clear (docs/adr/0009-store.md says why)."""
    display = models.CharField(max_length=120, blank=True, db_default=Value(""))
    state = state()
    activation_date = models.DateField(null=True, blank=True)
    expiry_date = models.DateField(null=True, blank=True)
    """First day on which the account cannot be used."""
    max_calls = models.PositiveIntegerField(null=True, blank=True)
    """How many calls it may make at a time; null: any number."""
    created_at = created_at()

    class Meta:
        constraints = (
            models.CheckConstraint(name="account_number_form", condition=Q(number__regex=r"^[^\s@]+$")),
            models.CheckConstraint(name="account_max_calls_positive", condition=Q(max_calls__gt=0)),
            models.UniqueConstraint(name="account_own_balance", fields=("balance",), condition=~Q(kind="subordinate")),
        )

    def __str__(self) -> str:
        return self.number


class Alias(models.Model):
    """A name that leads to an account. The account's own number is one of them (a trigger keeps it), so the primary
    key makes every name unique and any name is found in the same way.

    `42073723123@pstn` identifies calls from the outside by their calling number (ANI).
    """

    name = Identifier(max_length=64, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="aliases")
    allow_authentication = models.BooleanField(default=False, db_default=Value(False))
    """True: it registers and is rung by itself. False: it only leads calls to the account."""
    is_number = models.BooleanField(default=False, db_default=Value(False), editable=False)

    class Meta:
        verbose_name_plural = "aliases"
        constraints = (models.CheckConstraint(name="alias_form", condition=Q(name__regex=r"^[^\s@]+(@pstn)?$")),)

    def __str__(self) -> str:
        return self.name
