# SPDX-License-Identifier: Apache-2.0
"""Batches, and what administrators did (docs/vouchers.md)."""

from __future__ import annotations

from django.db import models

from billing.models.customers import Customer
from billing.models.fields import Identifier, created_at

__all__ = ["AuditLog", "Batch"]


class Batch(models.Model):
    """Accounts or vouchers of one customer under a name. Names are unique among all customers."""

    class Kind(models.TextChoices):
        """What is in it."""

        ACCOUNT = "account"
        VOUCHER = "voucher"

    name = Identifier(max_length=120, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="batches")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    created_at = created_at()

    class Meta:
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return self.name


class AuditLog(models.Model):
    """What an administrator did to many things at once or to secret ones, and what the store raised an alarm about.

    Rows are only ever added (a trigger sees to it).
    """

    at = created_at()
    actor = models.CharField(max_length=120)
    """Who: the user of the operating system, or `store`."""
    action = Identifier(max_length=64)
    """Such as `vouchers.export`."""
    subject = models.CharField(max_length=255)
    """What it was done to, such as the name of a batch."""
    details = models.JSONField(default=dict)
    """Whatever else tells; never a PIN or a password."""

    class Meta:
        indexes = (models.Index(name="audit_log_action", fields=("action", "at")),)
