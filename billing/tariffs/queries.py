# SPDX-License-Identifier: Apache-2.0
"""Tariffs, their rates and products, as they are shown."""

from __future__ import annotations

from billing.store.query import Row, rows

__all__ = ["product", "products", "rates", "tariff", "tariffs"]

TARIFFS_FROM = """
SELECT t.name, t.currency, r.rates, r.blocked, r.coming, r.ended,
       ARRAY(SELECT p.name FROM billing_product p WHERE p.tariff_id = t.id ORDER BY p.name) AS products
  FROM billing_tariff t
 CROSS JOIN LATERAL (
       SELECT count(*) AS rates, count(*) FILTER (WHERE r.blocked) AS blocked,
              count(*) FILTER (WHERE r.effective_from > now()) AS coming,
              count(*) FILTER (WHERE r.effective_to <= now()) AS ended
         FROM billing_rate r WHERE r.tariff_id = t.id) AS r"""
TARIFFS = f"""{TARIFFS_FROM}
 WHERE strpos(lower(t.name), lower(%(text)s)) > 0 ORDER BY t.name LIMIT %(limit)s"""

RATES = """
SELECT r.prefix, r.destination, r.country, r.connect_fee, r.first_increment, r.next_increment, r.first_price,
       r.next_price, r.effective_from, r.effective_to, r.blocked, t.currency
  FROM billing_rate r JOIN billing_tariff t ON t.id = r.tariff_id
 WHERE t.name = %(tariff)s
   AND (%(text)s = '' OR starts_with(r.prefix, %(text)s) OR strpos(lower(r.destination), lower(%(text)s)) > 0
        OR r.prefix = ANY(ARRAY(SELECT left(%(text)s, n) FROM generate_series(1, length(%(text)s)) n
                                 WHERE %(text)s ~ '^[0-9]+$')))
 ORDER BY r.prefix, r.effective_from LIMIT %(limit)s"""

PRODUCTS_FROM = """
SELECT p.name, t.name AS tariff, t.currency,
       (SELECT count(*) FROM billing_account a WHERE a.product_id = p.id) AS accounts
  FROM billing_product p JOIN billing_tariff t ON t.id = p.tariff_id"""
PRODUCTS = f"""{PRODUCTS_FROM}
 WHERE strpos(lower(p.name), lower(%(text)s)) > 0 OR strpos(lower(t.name), lower(%(text)s)) > 0
 ORDER BY p.name LIMIT %(limit)s"""


def tariffs(text: str = "", *, limit: int = 1000) -> list[Row]:
    """Tariffs whose name holds `text`, with how many rates they have."""
    return rows(TARIFFS, text=text, limit=limit)


def tariff(name: str) -> Row | None:
    """The tariff of that name; None: there is none."""
    found = rows(f"{TARIFFS_FROM} WHERE t.name = %(name)s", name=name)
    return found[0] if found else None


def rates(tariff: str, text: str = "", *, limit: int = 1000) -> list[Row]:
    """Rates of a tariff: those whose prefix begins with `text`, those that a number so long could be charged by, and
    those whose destination holds it."""
    return rows(RATES, tariff=tariff, text=text, limit=limit)


def products(text: str = "", *, limit: int = 1000) -> list[Row]:
    """Products whose name, or whose tariff's, holds `text`."""
    return rows(PRODUCTS, text=text, limit=limit)


def product(name: str) -> Row | None:
    """The product of that name; None: there is none."""
    found = rows(f"{PRODUCTS_FROM} WHERE p.name = %(name)s", name=name)
    return found[0] if found else None
