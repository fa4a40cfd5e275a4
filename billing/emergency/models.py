# SPDX-License-Identifier: Apache-2.0
"""Emergency calls, each noted when it is let through, with the e-mail that tells of it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Value

from billing.store.fields import Identifier, created_at

__all__ = ["EmergencyCall"]


class EmergencyCall(models.Model):
    """A call for help."""

    call_id = Identifier(max_length=64, primary_key=True)
    at = created_at()
    node = Identifier(max_length=64)
    account = models.CharField(max_length=64)
    """The account's number; text, because no account is ever in the way of such a call."""
    customer = models.CharField(max_length=120)
    dialled = models.CharField(max_length=64)
    callback = models.CharField(max_length=64, db_default=Value(""))
    location = models.CharField(max_length=255, db_default=Value(""))
    gateways = models.CharField(max_length=255, db_default=Value(""))
    """Names of those it may leave through, in their order; empty: none."""
    recipients = ArrayField(models.CharField(max_length=254), default=list, db_default=Value([]))
    """Whom an e-mail is still to tell."""
    attempts = models.PositiveIntegerField(db_default=0)
    due_at = models.DateTimeField(null=True)
    """When the e-mail is tried next; null: it has gone, or there is none."""

    class Meta:
        indexes = (
            models.Index(name="emergency_call_due", fields=("due_at",), condition=models.Q(due_at__isnull=False)),
            models.Index(name="emergency_call_at", fields=("at",)),
        )
