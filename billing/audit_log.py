# SPDX-License-Identifier: Apache-2.0
"""The log of what administrators did; it goes with the deed, in one transaction."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

from billing.models import AuditLog
from billing.query import rows

if TYPE_CHECKING:
    from billing.query import Row

__all__ = ["actor", "audit_log", "log_action"]

AUDIT_LOG = """
SELECT at, actor, action, subject, details::json FROM billing_auditlog
 WHERE action LIKE %(action)s || '%%' AND (%(subject)s = '' OR subject = %(subject)s)
 ORDER BY id DESC LIMIT %(limit)s"""


def actor() -> str:
    """Who acts: the user of the operating system."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def log_action(action: str, subject: str, **details: Any) -> None:
    """Write a row: an action such as "vouchers.export", what it was done to, and what else tells (nothing secret)."""
    AuditLog.objects.create(actor=actor(), action=action, subject=subject, details=details)


def audit_log(action: str = "", subject: str = "", *, limit: int = 100) -> list[Row]:
    """What administrators did, the newest first; `action` is the beginning of its name."""
    return rows(AUDIT_LOG, action=action, subject=subject, limit=limit)
