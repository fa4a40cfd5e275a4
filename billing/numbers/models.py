# SPDX-License-Identifier: Apache-2.0
"""Numbers of the outside by which accounts are known, and calls to them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q, Value

from billing.carriers.models import Gateway
from billing.customers.models import Account, Alias
from billing.store.fields import Identifier, Network, created_at

__all__ = ["NumberRange", "NumberWay", "RingBack", "TrunkNetwork"]


class NumberRange(models.Model):
    """Public numbers that lead to a trunk, both ends among them; no number is in two (an exclusion constraint)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="ranges")
    first = models.BigIntegerField()
    last = models.BigIntegerField()

    class Meta:
        constraints = (
            models.CheckConstraint(name="number_range_form", condition=Q(first__gte=1_000_000, last__gte=F("first"))),
        )


class TrunkNetwork(models.Model):
    """Addresses that a trunk calls from; no address is in two (an exclusion constraint)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="networks")
    network = Network(max_length=64)


class NumberWay(models.Model):
    """A gateway by which a known number has come, its caller giving the right PIN: the number is enough by it now."""

    pk = models.CompositePrimaryKey("alias", "gateway")
    alias = models.ForeignKey(Alias, on_delete=models.CASCADE, related_name="ways", db_index=False)
    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="known_numbers")
    at = created_at()


class RingBack(models.Model):
    """A call to who had called, at the expense of an account."""

    number = Identifier(max_length=64)
    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="ring_backs", db_index=False, db_constraint=False
    )
    at = created_at()
    used = models.BooleanField(db_default=Value(False))
    """Whoever answered wanted it."""

    class Meta:
        indexes = (
            models.Index(name="ringback_number", fields=("number", "at")),
            models.Index(name="ringback_account", fields=("account", "at")),
        )
