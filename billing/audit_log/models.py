# SPDX-License-Identifier: Apache-2.0
"""The log of what was done (docs/audit-log.md)."""

from __future__ import annotations

from django.db import models

from billing.store.fields import Identifier, created_at

__all__ = ["AuditLog"]


class AuditLog(models.Model):
    """One action, or an alarm that the store raised. Rows are only ever added (a trigger sees to it)."""

    at = created_at()
    actor = models.CharField(max_length=120)
    """Who: a user, or `store`."""
    role = models.CharField(max_length=64, default="", db_default="")
    """As whom; empty: of a row from before roles, or of the store."""
    via = models.CharField(max_length=16, default="", db_default="")
    """By what: `billing.audit_log.actor.Via`."""
    origin = models.CharField(max_length=255, default="", db_default="")
    """From where: an address, a machine."""
    action = Identifier(max_length=64)
    """Such as `vouchers.export`."""
    kind = Identifier(max_length=16, default="", db_default="")
    """What `subject` is: an account, a batch."""
    subject = models.CharField(max_length=255)
    """What it was done to, such as the number of an account, the name of a batch."""
    reason = models.TextField(default="", db_default="")
    """Why, in words of whoever did it."""
    before = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    """What was changed, as it was; never a PIN or a password."""
    after = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    """And as it is."""
    details = models.JSONField(default=dict)
    """Whatever else tells; never a PIN or a password."""

    class Meta:
        indexes = (
            models.Index(name="audit_log_action", fields=("action", "at")),
            models.Index(name="audit_log_subject", fields=("subject", "at")),
        )
