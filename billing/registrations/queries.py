# SPDX-License-Identifier: Apache-2.0
"""Where phones can be reached now."""

from __future__ import annotations

from billing.store.query import Row, rows

__all__ = ["registrations"]

REGISTRATIONS = """
SELECT r.aor, a.number, r.contact, r.received, r.user_agent, r.node, r.socket, r.q, r.expires_at,
       extract(epoch FROM r.expires_at - now())::integer AS expires_seconds
  FROM billing_binding r
  LEFT JOIN billing_alias n ON n.name = r.aor
  LEFT JOIN billing_account a ON a.id = n.account_id
 WHERE r.expires_at > now() AND (%(filter)s = '' OR r.aor LIKE %(filter)s || '%%')
 ORDER BY r.aor, r.key LIMIT %(limit)s"""


def registrations(filter: str = "", *, limit: int = 1000) -> list[Row]:  # noqa: A002
    """Live bindings whose AOR begins with `filter`."""
    return rows(REGISTRATIONS, filter=filter, limit=limit)
