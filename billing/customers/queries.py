# SPDX-License-Identifier: Apache-2.0
"""Accounts as they are shown, with what their customers, balances, mailboxes and names add."""

from __future__ import annotations

from datetime import UTC, datetime

from billing.audit_log.actor import ActionError
from billing.customers.models import Account, Alias
from billing.store.query import Row, rows
from billing_client.rules.lifecycle import LifeTerms, expiry, refusal, status
from billing_client.rules.numbering import digits_of

__all__ = ["NoAccountError", "account", "accounts", "customer", "customers", "number_of"]

LONGEST_CONTROL_NUMBER = 9

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
       alert.at AS spending_alert_at, a.timezone, a.language, a.transfers, c.timezone AS billing_timezone,
       a.activation_date, a.expiry_date, a.expire_after_first_use_days, a.expire_after_last_use_days,
       u.first_used_at, u.last_used_at, u.renewed_at,
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
    OR a.display ILIKE '%%' || %(filter)s || '%%'
    OR a.id IN (SELECT n.account_id FROM billing_alias n
                 WHERE n.name LIKE %(filter)s || '%%' AND n.name NOT LIKE '%%@pin')
 ORDER BY a.number COLLATE "C" LIMIT %(limit)s"""


class NoAccountError(ActionError):
    """Nothing that was asked for leads to an account; the text says what it was."""


def number_of(name: str) -> str:
    """The number of the account that a number, an alias, or a batch with a control number (`Spring/17`) leads to.

    Raises NoAccountError.
    """
    batch, _, control = name.rpartition("/")
    if batch and digits_of(control) and len(control) <= LONGEST_CONTROL_NUMBER:
        placed = Account.objects.filter(batch__name=batch, control_number=int(control))
        if number := placed.values_list("number", flat=True).first():
            return number
    found = Alias.objects.filter(name=name).values_list("account__number", flat=True).first()
    if found is None:
        raise NoAccountError(f'nobody has the number or alias "{name}"')
    return found


def accounts(filter: str = "", *, limit: int = 1000) -> list[Row]:  # noqa: A002 (reads best at the call)
    """Accounts of which a number or alias begins with `filter`, or whose own name or customer's holds it."""
    now = datetime.now(UTC)
    return [_with_life(row, now) for row in rows(ACCOUNTS, filter=filter, limit=limit)]


def account(name: str) -> Row:
    """The account that a name of it leads to. Raises NoAccountError."""
    found = rows(f"{ACCOUNTS_FROM} WHERE a.number = %(number)s", number=number_of(name))
    return _with_life(found[0], datetime.now(UTC))


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


CUSTOMERS_FROM = """
SELECT c.name, c.state, b.currency, b.amount AS owes, b.credit_limit, b.available, b.locked,
       (SELECT count(*) FROM billing_account a WHERE a.customer_id = c.id) AS accounts,
       (SELECT count(*) FROM billing_batch g WHERE g.customer_id = c.id) AS batches,
       c.timezone, c.hourly_limit, c.daily_limit, c.max_calls, c.max_calls_in, c.max_calls_out, c.max_call_price,
       c.alias_authentication, c.created_at
  FROM billing_customer c JOIN billing_balance b ON b.id = c.balance_id"""
CUSTOMERS = f"""{CUSTOMERS_FROM}
 WHERE strpos(lower(c.name), lower(%(text)s)) > 0
    OR %(text)s <> '' AND c.id IN (
          SELECT a.customer_id FROM billing_account a JOIN billing_alias n ON n.account_id = a.id
           WHERE starts_with(n.name, %(text)s) AND n.name NOT LIKE '%%@pin')
 ORDER BY c.name COLLATE "C" LIMIT %(limit)s"""


def customers(text: str = "", *, limit: int = 1000) -> list[Row]:
    """Customers whose name holds `text`, or who have a number or an alias that begins with it."""
    return rows(CUSTOMERS, text=text, limit=limit)


def customer(name: str) -> Row | None:
    """The customer of that name; None: there is none."""
    found = rows(f"{CUSTOMERS_FROM} WHERE c.name = %(name)s", name=name)
    return found[0] if found else None
