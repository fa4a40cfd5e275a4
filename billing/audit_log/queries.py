# SPDX-License-Identifier: Apache-2.0
"""What was done, as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.store.query import rows

if TYPE_CHECKING:
    from billing.store.query import Row

__all__ = ["audit_log"]

AUDIT_LOG = """
SELECT at, actor, action, subject, details::json FROM billing_auditlog
 WHERE action LIKE %(action)s || '%%' AND (%(subject)s = '' OR subject = %(subject)s)
 ORDER BY id DESC LIMIT %(limit)s"""


def audit_log(action: str = "", subject: str = "", *, limit: int = 100) -> list[Row]:
    """What administrators did, the newest first; `action` is the beginning of its name."""
    return rows(AUDIT_LOG, action=action, subject=subject, limit=limit)
