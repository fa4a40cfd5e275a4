# SPDX-License-Identifier: Apache-2.0
"""Moving money by hand: every movement is a ledger entry under an idempotency key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import IntegrityError, connection, transaction

from billing.money.models import Balance

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["LedgerError", "Receipt", "post", "topup", "withdraw"]


class LedgerError(Exception):
    """The movement was refused; the text says why."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The balance after a movement."""

    number: str
    amount: Decimal
    """Funds of a debit account; debt of a credit account or of a subordinate account's customer."""
    available: Decimal
    currency: str
    applied: bool
    """False: the key had been used for this very movement before, nothing changed now."""


def topup(number: str, amount: Decimal, key: str, note: str = "") -> Receipt:
    """Add to the funds of an account, or pay off its debt; once for each `key`. Raises LedgerError."""
    return _move(number, _positive(amount), f"topup:{key}", "topup", note)


def withdraw(number: str, amount: Decimal, key: str, note: str = "") -> Receipt:
    """Take from what is available, never from what calls have locked; once for each `key`. Raises LedgerError."""
    return _move(number, -_positive(amount), f"withdrawal:{key}", "withdrawal", note)


def post(key: str, balance_id: int, gain: Decimal, kind: str, note: str) -> bool:
    """Post an entry once; `gain` is what the owner gains. False: it was there already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT post_entry(%s, %s, %s, %s, %s)", [key, balance_id, gain, kind, note])
        return bool(cursor.fetchone()[0])


def _move(number: str, gain: Decimal, key: str, kind: str, note: str) -> Receipt:
    try:
        with transaction.atomic():
            balance = Balance.objects.filter(accounts__number=number).first()
            if balance is None:
                raise LedgerError(f"there is no account {number}")
            applied = post(key, balance.pk, gain, kind, note)
            balance.refresh_from_db()
    except IntegrityError as error:
        if "balance_no_overspend" in str(error):
            raise LedgerError(f"account {number} has less than {-gain} available") from error
        raise LedgerError(str(error).splitlines()[0]) from error
    return Receipt(number, balance.amount, balance.available, balance.currency, applied)


def _positive(amount: Decimal) -> Decimal:
    if not amount.is_finite() or amount <= 0 or amount != round(amount, 5):
        raise LedgerError(f"{amount} is not an amount above zero of at most five decimals")
    return amount
