# SPDX-License-Identifier: Apache-2.0
"""Live calls with the funds that they hold, and the records of ended ones.

These tables are written for every call. They check no foreign key: each row is made by a function of the store that
has the rows it speaks of in hand, and neither accounts nor balances are ever deleted once they were used.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q, Value

from billing.store.fields import Identifier, created_at, currency, money

__all__ = ["ActiveCall", "Correction", "Node", "Spending", "SpendingAlert", "Xdr"]


class Direction(models.TextChoices):
    """Seen from the provider."""

    INTERNAL = "internal"
    OUTGOING = "outgoing"
    INCOMING = "incoming"
    FORWARDED = "forwarded"


class Node(models.Model):
    """One life of a switch process: a restart begins another, and settles the calls of those before it.

    Another node settles them when the heartbeat of this life stops.
    """

    name = Identifier(max_length=64)
    started_at = created_at()
    heartbeat_at = created_at()
    steady_at = created_at()
    """Since when its heartbeat has come without a gap: only who was heard all the time may declare others dead."""
    ended_at = models.DateTimeField(null=True)
    """When it was declared dead; it begins no more calls, and its calls are orphans."""


class Call(models.Model):
    """What a live call and its record have in common."""

    call_id = Identifier(max_length=64, primary_key=True)
    node = Identifier(max_length=64)
    account_id = models.BigIntegerField()
    balance_id = models.BigIntegerField()
    direction = models.CharField(max_length=9, choices=Direction.choices)
    caller = models.CharField(max_length=255)
    dialled = models.CharField(max_length=255)
    """The number in its one form."""
    typed = models.CharField(max_length=64, default="", db_default=Value(""))
    """As it was dialled, where that is another."""
    destination = models.CharField(max_length=120)
    country = models.CharField(max_length=60)
    gateway_id = models.BigIntegerField(null=True)
    sip_call_id = models.CharField(max_length=255)
    started_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    currency = currency()
    """Of the balance; empty for a call that locks no funds."""
    rate_id = models.BigIntegerField(null=True)
    """Null, like the terms below: the call is free."""
    prefix = models.CharField(max_length=18, null=True)
    connect_fee = money(null=True)
    first_increment = models.IntegerField(null=True)
    next_increment = models.IntegerField(null=True)
    first_price = money(null=True)
    next_price = money(null=True)
    transferred_by = models.CharField(max_length=64, null=True)
    """Number of the account that gave this call away, or began it to give another one away; null: nobody did."""

    class Meta:
        abstract = True


def limited_by(column: str) -> models.Index:
    """An index of those calls alone that somebody's limits count."""
    return models.Index(
        name=f"active_call_{column.removesuffix('_id')}", fields=(column,), condition=Q(**{f"{column}__isnull": False})
    )


class ActiveCall(Call):
    """A live call and the funds that it holds."""

    life_id = models.BigIntegerField()
    """The `Node` that holds the call."""
    locked = money()
    slice = models.IntegerField(db_default=0)
    """Number of the last slice of funds granted; makes extending idempotent."""
    owes = models.BooleanField(db_default=Value(False))
    """True: the balance counts debt, so a charge adds to it."""
    limited = models.BooleanField(db_default=Value(False))
    """True: counts against the limits of the account; like the next three, as it was when the call began."""
    customer_id = models.BigIntegerField(null=True)
    """The account's customer, if it has limits."""
    callee_id = models.BigIntegerField(null=True)
    """The account that is called, if its incoming calls are limited."""
    callee_customer_id = models.BigIntegerField(null=True)
    """Its customer, if that one's are."""
    cap = money(null=True)
    """The most that this call may lock."""
    forward = models.CharField(max_length=120, null=True)
    """Of a forwarded call: the name of the account's forward that it counts against."""
    forwards = models.CharField(max_length=64, null=True)
    """Of a forwarded call: the id of the call that is forwarded, whose legs count as one; its own where that is not
    known."""
    beside = models.CharField(max_length=64, null=True)
    """The id of a call of the same account that is held, or given away by this one: it did not count against this
    one's limits."""

    class Meta:
        indexes = (
            models.Index(name="active_call_limited", fields=("account_id",), condition=Q(limited=True)),
            limited_by("customer_id"),
            limited_by("callee_id"),
            limited_by("callee_customer_id"),
            models.Index(name="active_call_forward", fields=("account_id",), condition=Q(forward__isnull=False)),
        )
        constraints = (models.CheckConstraint(name="active_call_locked_positive", condition=Q(locked__gte=0)),)


class Xdr(Call):
    """The record of an ended call, written once, with the terms that it was charged by."""

    ended_at = models.DateTimeField()
    billed_seconds = models.IntegerField()
    amount = money()
    """What was charged; the ledger has it under the key `call:` and the call's id."""
    cause = models.SmallIntegerField()
    """Q.850."""
    sip_status = models.SmallIntegerField(null=True)
    ended_by = models.CharField(max_length=8)
    held = money(null=True)
    """What an orphan had locked when it was settled: the most that its switch may still charge."""

    class Meta:
        verbose_name = "xDR"
        verbose_name_plural = "xDRs"
        indexes = (models.Index(name="xdr_history", fields=("account_id", "started_at")),)
        constraints = (models.CheckConstraint(name="xdr_amount_positive", condition=Q(amount__gte=0)),)


class Correction(models.Model):
    """The true end of a call that was settled as an orphan, told by its switch later; written once, beside the xDR."""

    call_id = Identifier(max_length=64, primary_key=True)
    amount = money()
    """What is charged more than the xDR says, or less; the ledger has it under `correction:` and the call's id."""
    answered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    billed_seconds = models.IntegerField()
    cause = models.SmallIntegerField()
    sip_status = models.SmallIntegerField(null=True)
    ended_by = models.CharField(max_length=8)
    at = created_at()


class Spending(models.Model):
    """What the calls of a customer with limits cost in an hour (UTC), counted when they end."""

    pk = models.CompositePrimaryKey("customer_id", "currency", "hour")
    customer_id = models.BigIntegerField()
    currency = currency()
    hour = models.DateTimeField()
    amount = money()


class SpendingAlert(models.Model):
    """A spending limit that was reached: the first time in its hour or day."""

    pk = models.CompositePrimaryKey("customer_id", "currency", "period", "since")
    customer_id = models.BigIntegerField()
    currency = currency()
    period = models.CharField(max_length=4)
    """"hour" or "day"."""
    since = models.DateTimeField()
    """When the hour or day began."""
    action = models.CharField(max_length=5)
    most = money()
    spent = money()
    """Charged and locked at that moment."""
    at = created_at()
