# SPDX-License-Identifier: Apache-2.0
"""Vouchers, what was redeemed of them, and who guesses (docs/vouchers.md)."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from billing.customers.models import Batch
from billing.store.fields import Identifier, created_at, currency, money
from billing.tariffs.models import Product

__all__ = ["Receipt", "Redemption", "Voucher", "VoucherGuess"]


class Voucher(models.Model):
    """Money on paper. It never calls, so it has no balance and no alias: its amount moves when it is redeemed.

    Rows come by the million; triggers keep what the two foreign keys point to, at no cost for each row.
    """

    class State(models.TextChoices):
        """Whether it may be redeemed."""

        ACTIVE = "active"
        INACTIVE = "inactive"
        BLOCKED = "blocked"

    id = Identifier(max_length=20, primary_key=True)
    """Digits; the last one checks the others (Damm)."""
    batch = models.ForeignKey(
        Batch, on_delete=models.DO_NOTHING, related_name="vouchers", db_constraint=False, db_index=False
    )
    control_number = models.IntegerField()
    key_id = models.IntegerField(null=True)
    """Which key of the ring sealed the password; null: the voucher has none, its id is all of its code."""
    sealed = models.BinaryField(null=True)
    """The password: AES-256-GCM, nonce before, tag behind."""
    amount = money()
    currency = currency()
    state = models.CharField(max_length=8, choices=State.choices, db_default=Value(State.ACTIVE))
    expires = models.DateField(null=True)
    """First day on which it is worth nothing, in the time zone of the batch's customer."""
    sub_realm = models.CharField(max_length=64, db_default=Value(""))
    product = models.ForeignKey(
        Product, on_delete=models.DO_NOTHING, null=True, related_name="vouchers", db_constraint=False, db_index=False
    )
    created_at = created_at()
    used_at = models.DateTimeField(null=True)
    used_by = models.BigIntegerField(null=True)
    """Id of the account."""

    class Meta:
        constraints = (
            models.UniqueConstraint(name="voucher_control_number", fields=("batch", "control_number")),
            models.CheckConstraint(name="voucher_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(name="voucher_id_form", condition=Q(id__regex=r"^[0-9]{6,20}$")),
            models.CheckConstraint(
                name="voucher_sealed_by",
                condition=Q(key_id__isnull=True, sealed__isnull=True) | Q(key_id__isnull=False, sealed__isnull=False),
            ),
            models.CheckConstraint(
                name="voucher_used",
                condition=Q(used_at__isnull=True, used_by__isnull=True)
                | Q(used_at__isnull=False, used_by__isnull=False),
            ),
        )


class Redemption(models.Model):
    """A voucher that was redeemed under a key, or one of an external store that is being redeemed."""

    class State(models.TextChoices):
        """`pending`: the external store is asked, or has not said for certain what it did."""

        PENDING = "pending"
        DONE = "done"
        REFUSED = "refused"

    key = Identifier(max_length=128, primary_key=True)
    account_id = models.BigIntegerField()
    state = models.CharField(max_length=7, choices=State.choices)
    voucher = Identifier(max_length=20, db_default=Value(""))
    """Empty: it is one of an external store."""
    store = Identifier(max_length=64, db_default=Value(""))
    """The external store that knows it; empty while none has said so."""
    digest = models.BinaryField(null=True)
    """Of an external code (HMAC): one code is redeemed once, whatever the key."""
    key_id = models.IntegerField(null=True)
    sealed = models.BinaryField(null=True)
    """The external code, as a password is sealed, for as long as the store must be asked."""
    amount = money(null=True)
    currency = currency()
    funds = money(null=True)
    """The balance after it, and what was available."""
    available = money(null=True)
    created_at = created_at()
    done_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    """When the external store is asked again."""
    attempts = models.IntegerField(db_default=0)
    note = models.CharField(max_length=255, db_default=Value(""))

    class Meta:
        indexes = (
            models.Index(name="redemption_due", fields=("due_at",), condition=Q(state="pending")),
            models.Index(name="redemption_account", fields=("account_id",)),
        )
        constraints = (
            models.UniqueConstraint(
                name="redemption_once", fields=("digest",), condition=Q(digest__isnull=False) & ~Q(state="refused")
            ),
            models.CheckConstraint(
                name="redemption_of",
                condition=(~Q(voucher="") & Q(digest__isnull=True)) | Q(voucher="", digest__isnull=False),
            ),
            models.CheckConstraint(
                name="redemption_done",
                condition=~Q(state="done") | Q(amount__gt=0, funds__isnull=False, done_at__isnull=False),
            ),
        )


class VoucherGuess(models.Model):
    """Wrong codes of late: for an account, over an access number, of a prefix, of all; and PINs."""

    subject = Identifier(max_length=128, primary_key=True)
    weight = models.IntegerField()
    """How many times more failures than a single caller it takes to slow and to lock."""
    failures = models.IntegerField(db_default=0)
    since = models.DateTimeField(db_default=Now())
    at = models.DateTimeField(db_default=Now())
    locked_until = models.DateTimeField(null=True)
    slots = ArrayField(models.CharField(max_length=64), default=list, db_default=Value([]))
    """Guesses that are counted already, and not known to be wrong or right."""
    next_at = models.DateTimeField(null=True)
    """Of an access number: when the next PIN is taken from callers whom nobody vouches for."""


class Receipt(models.Model):
    """A receipt of a recharge that is wanted, or was sent."""

    pk = models.CompositePrimaryKey("key", "channel")
    key = Identifier(max_length=128)
    """Of the redemption, which may still be under way at a store outside."""
    channel = Identifier(max_length=5)
    """"email" or "sms"."""
    language = models.CharField(max_length=16)
    """That was spoken; it counts where the account has none."""
    caller = models.CharField(max_length=64)
    """The number that called."""
    recipients = ArrayField(models.CharField(max_length=254), null=True)
    """Those that have not accepted it yet; null: it was not tried."""
    queued_at = created_at()
    due_at = models.DateTimeField()
    """When it may be tried; while somebody tries, when it may be tried by others."""
    attempts = models.IntegerField(db_default=0)
    sent_at = models.DateTimeField(null=True)
    """When it was accepted, or given up."""

    class Meta:
        indexes = (models.Index(name="receipt_due", fields=("channel", "due_at"), condition=Q(sent_at__isnull=True)),)
        constraints = (models.CheckConstraint(name="receipt_channel", condition=Q(channel__in=("email", "sms"))),)
