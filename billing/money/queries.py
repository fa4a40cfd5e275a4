# SPDX-License-Identifier: Apache-2.0
"""The ledger of an account, and whether the books are right."""

from __future__ import annotations

from billing.store.query import Row, rows

__all__ = ["audit", "ledger"]

LEDGER = """
SELECT e.at, e.kind, e.amount, sum(e.amount) OVER (ORDER BY e.at, e.key) AS balance, b.currency, e.note, e.key
  FROM billing_account a
  JOIN billing_balance b ON b.id = a.balance_id
  JOIN billing_ledgerentry e ON e.balance_id = b.id
 WHERE a.number = %(account)s
 ORDER BY e.at DESC, e.key DESC LIMIT %(limit)s"""


def ledger(account: str, *, limit: int = 100) -> list[Row]:
    """Movements of the balance that an account spends from, the newest first, each with the balance after it."""
    return rows(LEDGER, account=account, limit=limit)


def audit() -> list[Row]:
    """Everything in which ledger, balances, locks and records disagree; empty: the books are right."""
    return rows("SELECT finding, subject, expected, found FROM audit()")
