# SPDX-License-Identifier: Apache-2.0
"""Moving money by hand: every movement is a ledger entry under an idempotency key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError, connection

from billing.audit_log.action import Action
from billing.audit_log.actor import ActionError
from billing.money.models import Balance

if TYPE_CHECKING:
    from decimal import Decimal

    from billing.audit_log.actor import Actor

__all__ = ["LedgerError", "Receipt", "topup", "withdraw"]

TOPUP: Final = Action("money.topup", "account")
WITHDRAW: Final = Action("money.withdraw", "account")


class LedgerError(ActionError):
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


def topup(actor: Actor, number: str, amount: Decimal, key: str, note: str = "") -> Receipt:
    """Add to the funds of an account, or pay off its debt; once for each `key`. Raises LedgerError."""
    return _move(TOPUP, actor, number, _positive(amount), f"topup:{key}", note)


def withdraw(actor: Actor, number: str, amount: Decimal, key: str, note: str = "") -> Receipt:
    """Take from what is available, never from what calls have locked; once for each `key`. Raises LedgerError."""
    return _move(WITHDRAW, actor, number, -_positive(amount), f"withdrawal:{key}", note)


def _move(action: Action, actor: Actor, number: str, gain: Decimal, key: str, note: str) -> Receipt:
    try:
        with action.by(actor, number, reason=note) as deed:
            balance = Balance.objects.filter(accounts__number=number).first()
            if balance is None:
                raise LedgerError(f"there is no account {number}")
            applied = _post(key, balance.pk, gain, key.partition(":")[0], note)
            balance.refresh_from_db()  # the entry locked it: nobody else has moved it since
            grown = gain if balance.kind == "debit" else -gain
            deed.changed({"balance": balance.amount - grown}, {"balance": balance.amount})
            deed.tell(amount=gain, currency=balance.currency, key=key)
            if not applied:
                deed.nothing()
    except IntegrityError as error:
        if "balance_no_overspend" in str(error):
            raise LedgerError(f"account {number} has less than {-gain} available") from error
        raise LedgerError(str(error).splitlines()[0]) from error
    return Receipt(number, balance.amount, balance.available, balance.currency, applied)


def _post(key: str, balance_id: int, gain: Decimal, kind: str, note: str) -> bool:
    """Post an entry once; `gain` is what the owner gains. False: it was there already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT post_entry(%s, %s, %s, %s, %s)", [key, balance_id, gain, kind, note])
        return bool(cursor.fetchone()[0])


def _positive(amount: Decimal) -> Decimal:
    if not amount.is_finite() or amount <= 0 or amount != round(amount, 5):
        raise LedgerError(f"{amount} is not an amount above zero of at most five decimals")
    return amount
