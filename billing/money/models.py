# SPDX-License-Identifier: Apache-2.0
"""Balances and the ledger that moves them (docs/money.md)."""

from __future__ import annotations

from django.db import models
from django.db.models import Case, F, Q, Value, When

from billing.store.fields import Identifier, created_at, currency, money

__all__ = ["Balance", "LedgerEntry"]


class Balance(models.Model):
    """Funds of a debit account (what is left), or the debt of a credit account or customer (what is owed).

    `amount` is the sum of the balance's ledger entries; only the ledger's trigger changes it. `locked` is held by
    live calls. That `available` cannot be negative is what makes overspending impossible.
    """

    class Kind(models.TextChoices):
        """Which way the amount counts."""

        DEBIT = "debit"
        CREDIT = "credit"

    kind = models.CharField(max_length=6, choices=Kind.choices)
    currency = currency()
    amount = money(default=0)
    locked = money(default=0)
    credit_limit = money(null=True)
    available = models.GeneratedField(
        expression=Case(
            When(kind="debit", then=F("amount") - F("locked")),
            default=F("credit_limit") - F("amount") - F("locked"),
        ),
        output_field=money(),
        db_persist=True,
    )

    class Meta:
        constraints = (
            models.CheckConstraint(name="balance_no_overspend", condition=Q(available__gte=0)),
            models.CheckConstraint(name="balance_locked_positive", condition=Q(locked__gte=0)),
            models.CheckConstraint(
                name="balance_limit_of_credit",
                condition=Q(kind="debit", credit_limit__isnull=True)
                | Q(kind="credit", credit_limit__isnull=False, credit_limit__gte=0),
            ),
        )

    def __str__(self) -> str:
        limit = "" if self.credit_limit is None else f", limit {self.credit_limit}"
        return f"{self.kind} in {self.currency}{limit}"


class LedgerEntry(models.Model):
    """One movement of a balance, for ever: inserting it moves the balance, and nothing else does.

    `amount` counts as the balance does: positive adds to the funds of a debit balance or to the debt of a credit
    one. No foreign key is checked here, because the trigger that moves the balance refuses an entry without one.
    """

    class Kind(models.TextChoices):
        """Why the balance moved."""

        OPENING = "opening"
        TOPUP = "topup"
        WITHDRAWAL = "withdrawal"
        CALL = "call"
        CORRECTION = "correction"
        VOUCHER = "voucher"
        ADJUSTMENT = "adjustment"
        """Of many accounts at once."""

    key = Identifier(max_length=255, primary_key=True)
    """Idempotency key: the same movement asked for again finds its entry here. A call's is `call:` and its id."""
    balance = models.ForeignKey(
        Balance, on_delete=models.PROTECT, related_name="entries", db_constraint=False, db_index=False
    )
    amount = money()
    released = money(default=0)
    """How much of the balance's locks this entry frees in the same stroke."""
    kind = models.CharField(max_length=10, choices=Kind.choices)
    at = created_at()
    note = models.CharField(max_length=255, blank=True, db_default=Value(""))

    class Meta:
        verbose_name_plural = "ledger entries"
        indexes = (models.Index(name="ledger_statement", fields=("balance", "at")),)
        constraints = (
            models.CheckConstraint(name="ledger_amount_not_zero", condition=~Q(amount=0)),
            models.CheckConstraint(name="ledger_released_positive", condition=Q(released__gte=0)),
        )
