# SPDX-License-Identifier: Apache-2.0
"""What was done, as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.store.query import rows

if TYPE_CHECKING:
    from datetime import datetime

    from billing.store.query import Row

__all__ = ["audit_log"]

AUDIT_LOG = """
SELECT at, actor, role, via, origin, action, kind, subject, reason, before::json, after::json, details::json
  FROM billing_auditlog
 WHERE starts_with(action, %(action)s) AND (%(subject)s = '' OR subject = %(subject)s)
   AND (%(account)s = '' OR kind = 'account' AND subject = %(account)s
        OR %(account)s IN (before->>'account', after->>'account', details->>'account'))
   AND (%(actor)s = '' OR actor = %(actor)s)
   AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
 ORDER BY id DESC LIMIT %(limit)s"""


def audit_log(
    action: str = "",
    subject: str = "",
    *,
    account: str = "",
    actor: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> list[Row]:
    """What was done, the newest first; `action` is the beginning of its name, `account` the number of one:
    what was done to it, to its calls, to its names."""
    return rows(
        AUDIT_LOG, action=action, subject=subject, account=account, actor=actor, since=since, until=until, limit=limit
    )
