# SPDX-License-Identifier: Apache-2.0
"""Live calls, and records of ended ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.store.query import Row, rows

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["calls", "xdrs"]

CALLS = """
SELECT l.call_id, l.node, a.number AS account, c.name AS customer, l.direction, l.caller, l.dialled, l.destination,
       l.country, g.name AS gateway, CASE WHEN l.answered_at IS NULL THEN 'ringing' ELSE 'connected' END AS state,
       l.started_at, l.answered_at,
       extract(epoch FROM now() - coalesce(l.answered_at, l.started_at))::integer AS seconds,
       l.first_price AS price, l.locked, l.currency, l.sip_call_id
  FROM billing_activecall l
  JOIN billing_account a ON a.id = l.account_id
  JOIN billing_customer c ON c.id = a.customer_id
  LEFT JOIN billing_gateway g ON g.id = l.gateway_id
 WHERE %(filter)s = '' OR a.number LIKE %(filter)s || '%%' OR l.call_id = %(filter)s
 ORDER BY l.started_at, l.call_id LIMIT %(limit)s"""

XDRS = """
SELECT x.call_id, x.node, a.number AS account, c.name AS customer, x.direction, x.caller, x.dialled, x.destination,
       x.country, g.name AS gateway, x.started_at, coalesce(k.answered_at, x.answered_at) AS answered_at,
       coalesce(k.ended_at, x.ended_at) AS ended_at,
       coalesce(round(extract(epoch FROM coalesce(k.ended_at, x.ended_at) - coalesce(k.answered_at, x.answered_at)), 3),
                0) AS seconds,
       coalesce(k.billed_seconds, x.billed_seconds) AS billed_seconds, x.amount + coalesce(k.amount, 0) AS amount,
       x.currency, x.prefix, x.first_price, x.next_price, x.connect_fee,
       coalesce(k.cause, x.cause) AS cause, coalesce(k.sip_status, x.sip_status) AS sip_status,
       coalesce(k.ended_by, x.ended_by) AS ended_by, k.amount AS corrected_by, x.transferred_by, x.sip_call_id
  FROM billing_xdr x
  JOIN billing_account a ON a.id = x.account_id
  JOIN billing_customer c ON c.id = a.customer_id
  LEFT JOIN billing_correction k ON k.call_id = x.call_id
  LEFT JOIN billing_gateway g ON g.id = x.gateway_id
 WHERE (%(account)s::text IS NULL OR a.number = %(account)s)
   AND (%(since)s::timestamptz IS NULL OR x.started_at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR x.started_at < %(until)s)
   AND (%(number)s::text IS NULL OR starts_with(x.caller, %(number)s) OR starts_with(x.dialled, %(number)s))
   AND (%(customer)s::text IS NULL OR c.name = %(customer)s)
   AND (%(gateway)s::text IS NULL OR g.name = %(gateway)s)
   AND (%(cause)s::integer IS NULL OR coalesce(k.cause, x.cause) = %(cause)s)
 ORDER BY x.started_at DESC, x.call_id LIMIT %(limit)s"""


def calls(filter: str = "", *, limit: int = 1000) -> list[Row]:  # noqa: A002
    """Live calls on all nodes: of accounts whose number begins with `filter`, or the one with that id."""
    return rows(CALLS, filter=filter, limit=limit)


def xdrs(
    *,
    account: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    number: str | None = None,
    customer: str | None = None,
    gateway: str | None = None,
    cause: int | None = None,
    limit: int = 100,
) -> list[Row]:
    """Records of ended calls, the newest first. `number`: what the caller's or the dialled number begins with; `cause`:
    of Q.850."""
    return rows(
        XDRS, account=account, since=since, until=until, number=number, customer=customer, gateway=gateway, cause=cause,
        limit=limit,
    )  # fmt: skip
