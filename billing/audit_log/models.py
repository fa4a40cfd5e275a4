# SPDX-License-Identifier: Apache-2.0
"""The log of what was done (docs/vouchers.md)."""

from __future__ import annotations

from django.db import models

from billing.store.fields import Identifier, created_at

__all__ = ["AuditLog"]


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
