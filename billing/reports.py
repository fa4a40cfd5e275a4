# SPDX-License-Identifier: Apache-2.0
"""What the command line shows: plain rows, newest or lowest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import connection

from billing_client.rules.lifecycle import LifeTerms, expiry, refusal, status

__all__ = ["Row", "account", "accounts", "audit", "calls", "ledger", "registrations", "xdrs"]

Row = dict[str, Any]

ACCOUNTS_FROM = r"""
SELECT a.number, a.display, a.kind, c.name AS customer, p.name AS product, g.name AS batch, a.control_number, a.state,
       a.terms, b.currency, b.amount AS balance, b.credit_limit, b.locked, b.available,
       a.max_calls, a.max_calls_in, a.max_calls_out, a.max_call_price,
       json_strip_nulls(json_build_object(
           'state', c.state, 'max_calls', c.max_calls, 'max_calls_in', c.max_calls_in, 'max_calls_out', c.max_calls_out,
           'max_call_price', c.max_call_price::text,
           'hourly_limit', c.hourly_limit::text,
           'hourly_action', CASE WHEN c.hourly_limit >= 0 THEN c.hourly_action END,
           'spent_this_hour', CASE WHEN c.hourly_limit >= 0 THEN spent.in_hour::text END,
           'daily_limit', c.daily_limit::text,
           'daily_action', CASE WHEN c.daily_limit >= 0 THEN c.daily_action END,
           'spent_today', CASE WHEN c.daily_limit >= 0 THEN spent.in_day::text END)) AS customer_limits,
       alert.at AS spending_alert_at, a.timezone, a.language, c.timezone AS billing_timezone, a.activation_date,
       a.expiry_date, a.expire_after_first_use_days, a.expire_after_last_use_days, u.first_used_at, u.last_used_at,
       u.renewed_at,
       json_build_object(
           'enabled', coalesce(m.enabled, true), 'has_pin', coalesce(m.pin, '') <> '',
           'ask_pin', coalesce(m.ask_pin, false), 'max_messages', m.max_messages, 'operator', coalesce(m.operator, ''),
           'email', coalesce(m.email, '{}'), 'attach', coalesce(m.attach, 'wav'),
           'delete_after_email', coalesce(m.delete_after_email, false)) AS voicemail,
       (SELECT array_agg(regexp_replace(n.name, '\d(?=\d*\d\d@pin$)', '*', 'g') ORDER BY n.name)
          FROM billing_alias n WHERE n.account_id = a.id AND NOT n.is_number) AS aliases,
       ARRAY(SELECT n.name FROM account_by_name n
              WHERE n.id = a.id AND NOT n.is_number AND n.name NOT LIKE '%%@p%%' AND n.may_register ORDER BY n.name)
           AS authenticating_aliases,
       ARRAY(SELECT n.name FROM billing_alias n WHERE n.account_id = a.id AND n.claimed_at IS NOT NULL ORDER BY n.name)
           AS claimed_numbers,
       a.ani,
       a.answering::json AS answering,
       (SELECT count(*) FROM billing_binding r WHERE r.aor = a.number AND r.expires_at > now()) AS registrations
  FROM account_with_terms a
  JOIN billing_customer c ON c.id = a.customer_id
  JOIN billing_balance b ON b.id = a.balance_id
  LEFT JOIN billing_product p ON p.id = a.product_id
  LEFT JOIN billing_batch g ON g.id = a.batch_id
  LEFT JOIN billing_mailbox m ON m.account_id = a.id
  LEFT JOIN billing_accountuse u ON u.account_id = a.id
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(s.amount), 0) AS in_day,
              coalesce(sum(s.amount) FILTER (WHERE s.hour = date_trunc('hour', now(), 'UTC')), 0) AS in_hour
         FROM billing_spending s
        WHERE s.customer_id = c.id AND s.currency = b.currency AND s.hour >= date_trunc('day', now(), 'UTC')) AS spent
 CROSS JOIN LATERAL (SELECT max(w.at) AS at FROM billing_spendingalert w WHERE w.customer_id = c.id) AS alert"""
ACCOUNTS = f"""{ACCOUNTS_FROM}
 WHERE %(filter)s = '' OR a.number LIKE %(filter)s || '%%' OR c.name ILIKE '%%' || %(filter)s || '%%'
 ORDER BY a.number COLLATE "C" LIMIT %(limit)s"""
BY_NAME = "WHERE a.id = (SELECT n.account_id FROM billing_alias n WHERE n.name = %(name)s)"

REGISTRATIONS = """
SELECT r.aor, a.number, r.contact, r.received, r.user_agent, r.node, r.socket, r.q, r.expires_at,
       extract(epoch FROM r.expires_at - now())::integer AS expires_seconds
  FROM billing_binding r
  LEFT JOIN billing_alias n ON n.name = r.aor
  LEFT JOIN billing_account a ON a.id = n.account_id
 WHERE r.expires_at > now() AND (%(filter)s = '' OR r.aor LIKE %(filter)s || '%%')
 ORDER BY r.aor, r.key LIMIT %(limit)s"""

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
       coalesce(k.ended_by, x.ended_by) AS ended_by, k.amount AS corrected_by, x.sip_call_id
  FROM billing_xdr x
  JOIN billing_account a ON a.id = x.account_id
  JOIN billing_customer c ON c.id = a.customer_id
  LEFT JOIN billing_correction k ON k.call_id = x.call_id
  LEFT JOIN billing_gateway g ON g.id = x.gateway_id
 WHERE (%(account)s::text IS NULL OR a.number = %(account)s)
   AND (%(since)s::timestamptz IS NULL OR x.started_at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR x.started_at < %(until)s)
 ORDER BY x.started_at DESC, x.call_id LIMIT %(limit)s"""


LEDGER = """
SELECT e.at, e.kind, e.amount, sum(e.amount) OVER (ORDER BY e.at, e.key) AS balance, b.currency, e.note, e.key
  FROM billing_account a
  JOIN billing_balance b ON b.id = a.balance_id
  JOIN billing_ledgerentry e ON e.balance_id = b.id
 WHERE a.number = %(account)s
 ORDER BY e.at DESC, e.key DESC LIMIT %(limit)s"""


def accounts(filter: str = "", *, limit: int = 1000) -> list[Row]:  # noqa: A002 (reads best at the call)
    """Accounts whose number begins with `filter`, or whose customer's name holds it."""
    now = datetime.now(UTC)
    return [_with_life(row, now) for row in _rows(ACCOUNTS, filter=filter, limit=limit)]


def account(name: str) -> Row | None:
    """The account that a number or an alias leads to; None: there is none."""
    found = _rows(f"{ACCOUNTS_FROM} {BY_NAME}", name=name)
    return _with_life(found[0], datetime.now(UTC)) if found else None


def _with_life(row: Row, now: datetime) -> Row:
    """The terms of an account's life turned into what they come to."""
    terms = LifeTerms.parse(row.pop("terms"))
    end = None if terms is None else expiry(terms)
    return row | {
        "status": status(terms, now),
        "refusal": refusal(terms, now),
        "expires_at": end and end.at,
        "expires_on": end and end.day,
        "expiry_reason": end and end.reason,
    }


def registrations(filter: str = "", *, limit: int = 1000) -> list[Row]:  # noqa: A002
    """Live bindings whose AOR begins with `filter`."""
    return _rows(REGISTRATIONS, filter=filter, limit=limit)


def calls(filter: str = "", *, limit: int = 1000) -> list[Row]:  # noqa: A002
    """Live calls on all nodes: of accounts whose number begins with `filter`, or the one with that id."""
    return _rows(CALLS, filter=filter, limit=limit)


def xdrs(
    *, account: str | None = None, since: datetime | None = None, until: datetime | None = None, limit: int = 100
) -> list[Row]:
    """Records of ended calls, the newest first."""
    return _rows(XDRS, account=account, since=since, until=until, limit=limit)


def ledger(account: str, *, limit: int = 100) -> list[Row]:
    """Movements of the balance that an account spends from, the newest first, each with the balance after it."""
    return _rows(LEDGER, account=account, limit=limit)


def audit() -> list[Row]:
    """Everything in which ledger, balances, locks and records disagree; empty: the books are right."""
    return _rows("SELECT finding, subject, expected, found FROM audit()")


def _rows(sql: str, **parameters: Any) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
