# SPDX-License-Identifier: Apache-2.0
"""Whatever a name, a number, an alias or the id of a voucher leads to."""

from __future__ import annotations

from billing.store.query import Row, rows

__all__ = ["find"]

FIND = r"""
SELECT 'customer' AS kind, c.name, '' AS customer, c.state AS state FROM billing_customer c
 WHERE strpos(lower(c.name), lower(%(text)s)) > 0
UNION ALL
SELECT 'account', a.number, c.name, a.state FROM billing_account a JOIN billing_customer c ON c.id = a.customer_id
 WHERE starts_with(a.number, %(text)s) OR strpos(lower(a.display), lower(%(text)s)) > 0
UNION ALL
SELECT 'alias', n.name || ' of account ' || a.number, c.name, a.state
  FROM billing_alias n JOIN billing_account a ON a.id = n.account_id JOIN billing_customer c ON c.id = a.customer_id
 WHERE NOT n.is_number AND n.name NOT LIKE '%%@pin' AND starts_with(n.name, %(text)s)
UNION ALL
SELECT 'batch of ' || g.kind || 's', g.name, c.name, '' FROM billing_batch g JOIN billing_customer c
    ON c.id = g.customer_id
 WHERE strpos(lower(g.name), lower(%(text)s)) > 0
UNION ALL
SELECT 'voucher', g.name || '/' || v.control_number, c.name, CASE WHEN v.used_at IS NULL THEN v.state ELSE 'used' END
  FROM billing_voucher v JOIN billing_batch g ON g.id = v.batch_id JOIN billing_customer c ON c.id = g.customer_id
 WHERE v.id = %(text)s
UNION ALL
SELECT 'product', p.name, '', '' FROM billing_product p WHERE strpos(lower(p.name), lower(%(text)s)) > 0
UNION ALL
SELECT 'tariff', t.name, '', '' FROM billing_tariff t WHERE strpos(lower(t.name), lower(%(text)s)) > 0
UNION ALL
SELECT 'gateway', g.name, '', CASE WHEN g.enabled THEN '' ELSE 'disabled' END FROM billing_gateway g
 WHERE strpos(lower(g.name), lower(%(text)s)) > 0 OR strpos(lower(g.host), lower(%(text)s)) > 0
LIMIT %(limit)s"""


def find(text: str, *, limit: int = 100) -> list[Row]:
    """Things whose name holds `text`, numbers and aliases that begin with it, and the voucher with that id."""
    return rows(FIND, text=text, limit=limit)
