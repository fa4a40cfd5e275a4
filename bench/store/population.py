# SPDX-License-Identifier: Apache-2.0
"""Fills a store with any number of accounts and rates, fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

__all__ = ["number_of", "populate", "prefix_of"]

TARIFF = """
INSERT INTO billing_tariff (id, name, currency) VALUES (1, 'bench', 'USD');
INSERT INTO billing_product (id, name, tariff_id) VALUES (1, 'bench', 1);
INSERT INTO billing_balance (id, kind, currency, credit_limit) VALUES (1, 'credit', 'USD', 1000);
INSERT INTO billing_customer (id, name, balance_id) VALUES (1, 'bench', 1);
"""

RATES = """
INSERT INTO billing_rate (tariff_id, prefix, destination, country, first_price, next_price, effective_from)
SELECT 1, n::text, 'Destination ' || n % 500, 'XX', (n % 500 + 1) / 100.0, (n % 500 + 1) / 200.0, '2000-01-01'
  FROM generate_series(1000000, 1000000 + $1::integer - 1) AS n"""

# Balances with funds come from the ledger, as always; the other rules are checked row by row only without this.
ACCOUNTS = (
    """
INSERT INTO billing_balance (id, kind, currency) SELECT n + 1, 'debit', 'USD' FROM generate_series(1, $1::integer) n""",
    """
INSERT INTO billing_ledgerentry (key, balance_id, amount, kind)
SELECT 'opening:' || n, n + 1, 1000, 'opening' FROM generate_series(1, $1::integer) n""",
    """
INSERT INTO billing_account (id, number, customer_id, kind, balance_id, product_id, password)
SELECT n, (1000000 + n)::text, 1, 'debit', n + 1, 1, 'secret' FROM generate_series(1, $1::integer) n""",
    """
INSERT INTO billing_alias (name, account_id, allow_authentication, is_number)
SELECT number, id, true, true FROM billing_account""",
    """
INSERT INTO billing_binding (aor, key, contact, received, path, expires_at, q, call_id, cseq, user_agent, node, socket)
SELECT number, 'contact', 'sip:' || number || '@192.0.2.1:5060', '192.0.2.1:5060', '{}', now() + interval '1 day', 1,
       md5(number), 1, 'bench', 'bench', 'udp:192.0.2.9:5060' FROM billing_account""",
)


def number_of(index: int) -> str:
    """The number of account `index`, from 1."""
    return str(1000000 + index)


def prefix_of(index: int) -> str:
    """The prefix of rate `index`, from 0."""
    return str(1000000 + index)


async def populate(connection: asyncpg.Connection[asyncpg.Record], *, accounts: int, rates: int) -> None:
    """Fill an empty, migrated store."""
    await connection.execute(TARIFF)
    await connection.execute(RATES, rates)
    await connection.execute("ALTER TABLE billing_account DISABLE TRIGGER USER")
    for sql in ACCOUNTS:
        await connection.execute(sql, *([accounts] if "$1" in sql else []))
    await connection.execute("ALTER TABLE billing_account ENABLE TRIGGER USER")
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
