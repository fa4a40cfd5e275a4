# SPDX-License-Identifier: Apache-2.0
"""Records of calls: found by what is known of a call, and what became of its money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.store.query import rows

if TYPE_CHECKING:
    from datetime import datetime

    from billing.store.query import Row

__all__ = ["trace", "traces"]

COLUMNS = """
t.call_id, t.node, t.account, t.caller, t.dialled, t.started_at, t.answered_at, t.ended_at,
       round(extract(epoch FROM t.ended_at - coalesce(t.answered_at, t.started_at)), 1) AS seconds,
       t.cause, t.sip_status, t.ended_by"""

TRACES = f"""
SELECT {COLUMNS}
  FROM billing_calltrace t
 WHERE (%(call)s::text IS NULL OR t.call_id LIKE %(call)s || '%%')
   AND (%(keys)s::varchar[] IS NULL OR t.keys @> %(keys)s::varchar[])
   AND (%(account)s::text IS NULL OR t.account = %(account)s)
   AND (%(since)s::timestamptz IS NULL OR t.started_at >= %(since)s)
 ORDER BY t.started_at DESC, t.call_id LIMIT %(limit)s"""

TRACE = f"SELECT {COLUMNS}, t.keys, t.body FROM billing_calltrace t WHERE t.call_id = %(call)s"

XDR = """
SELECT x.direction, a.number AS account, c.name AS customer, x.destination, x.country, g.name AS gateway,
       x.transferred_by, x.answered_at,
       x.ended_at, x.billed_seconds, x.amount, x.currency, x.prefix, x.connect_fee, x.first_increment, x.first_price,
       x.next_increment, x.next_price
  FROM billing_xdr x
  JOIN billing_account a ON a.id = x.account_id
  JOIN billing_customer c ON c.id = a.customer_id
  LEFT JOIN billing_gateway g ON g.id = x.gateway_id
 WHERE x.call_id = %(call)s"""

LEDGER = """
SELECT key, kind, amount, released, at FROM billing_ledgerentry
 WHERE key IN ('call:' || %(call)s::text, 'correction:' || %(call)s::text) ORDER BY at"""


def traces(
    *,
    call: str | None = None,
    keys: list[str] | None = None,
    account: str | None = None,
    since: datetime | None = None,
    limit: int = 20,
) -> list[Row]:
    """Records, newest first, without bodies; `call` is how the id begins, `keys` are numbers and Call-IDs of it."""
    return rows(TRACES, call=call, keys=keys, account=account, since=since, limit=limit)


def trace(call: str) -> Row | None:
    """One record with its body, the call's xDR and its entries in the ledger; None: there is no such record."""
    found = rows(TRACE, call=call)
    if not found:
        return None
    xdr = rows(XDR, call=call)
    return {**found[0], "xdr": xdr[0] if xdr else None, "ledger": rows(LEDGER, call=call)}
