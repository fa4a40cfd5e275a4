# SPDX-License-Identifier: Apache-2.0
"""A row of the log goes with the deed, in one transaction."""

from __future__ import annotations

import getpass
from typing import Any

from billing.audit_log.models import AuditLog

__all__ = ["actor", "log_action"]


def actor() -> str:
    """Who acts: the user of the operating system."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def log_action(action: str, subject: str, **details: Any) -> None:
    """Write a row: an action such as "vouchers.export", what it was done to, and what else tells (nothing secret)."""
    AuditLog.objects.create(actor=actor(), action=action, subject=subject, details=details)
