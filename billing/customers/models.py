# SPDX-License-Identifier: Apache-2.0
"""Customers, their accounts, and the names that accounts go by."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q, Value

from billing.money.models import Balance
from billing.store.fields import Identifier, SealedPassword, created_at, money
from billing.tariffs.models import Product
from billing_client.rules.incoming import MODES
from billing_client.rules.lifecycle import LONGEST_DAYS

__all__ = ["Account", "AccountUse", "Alias", "Batch", "Customer", "usual_calls_out"]


class State(models.TextChoices):
    """Whether services may be used; anything but active forbids it."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    CLOSED = "closed"


def state() -> models.CharField[str, str]:
    """A state column."""
    return models.CharField(max_length=9, choices=State.choices, default=State.ACTIVE, db_default=Value(State.ACTIVE))


class LimitAction(models.TextChoices):
    """What happens when a spending limit is reached."""

    BLOCK = "block", "refuse funds until the hour or day is over"
    LOCK = "lock", "block the customer until an administrator lifts it"
    ALERT = "alert", "only say so"


def limit_action() -> models.CharField[str, str]:
    """What a limit does."""
    default = LimitAction.BLOCK
    return models.CharField(max_length=5, choices=LimitAction.choices, default=default, db_default=Value(default))


def json_object() -> models.JSONField[Any, Any]:
    """Things that are said by name; empty: none is."""
    return models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))


def most_calls() -> models.PositiveIntegerField[Any, Any]:
    """A limit of simultaneous calls; null: any number."""
    return models.PositiveIntegerField(null=True, blank=True)


class Limited(models.Model):
    """Limits that `start_call` and `extend_call` hold; one that is set counts calls that begin after it."""

    max_calls = most_calls()
    """In both directions together."""
    max_calls_in = most_calls()
    max_calls_out = most_calls()
    max_call_price = money(null=True)
    """The most that one call may cost: it ends there. Null: no such limit."""

    class Meta:
        abstract = True
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.CheckConstraint(
                name="%(class)s_limits_positive",
                condition=Q(max_calls__gt=0)
                & Q(max_calls_in__gte=0)
                & Q(max_calls_out__gte=0)
                & Q(max_call_price__gt=0),
            ),
        )


class Customer(Limited):
    """Who pays the bill. Subordinate accounts share the customer's balance and its limit."""

    name = Identifier(max_length=120, unique=True)
    state = state()
    hourly_limit = money(null=True)
    """The most that calls may cost in an hour (UTC), in each currency; what live calls hold counts. Null: none."""
    hourly_action = limit_action()
    daily_limit = money(null=True)
    """The same for a day (UTC)."""
    daily_action = limit_action()
    balance = models.OneToOneField(Balance, on_delete=models.PROTECT, related_name="customer")
    timezone = models.CharField(max_length=64, default="UTC", db_default=Value("UTC"))
    """The billing time zone (IANA): in which its accounts' days begin."""
    alias_authentication = models.BooleanField(default=True, db_default=Value(True))
    """False: no alias of its accounts registers or calls by itself, whatever the alias says."""
    numbering = json_object()
    """How its phones dial (`billing_client.rules.dialling.NumberPlan`), where that differs from the node."""
    emergency = json_object()
    """`location`: where its phones are, for who helps; `callback`: the number to call back."""
    created_at = created_at()

    class Meta(Limited.Meta):
        constraints = (
            *Limited.Meta.constraints,
            models.CheckConstraint(
                name="customer_spending_positive", condition=Q(hourly_limit__gte=0) & Q(daily_limit__gte=0)
            ),
        )

    def __str__(self) -> str:
        return self.name


class Batch(models.Model):
    """Accounts or vouchers of one customer under a name. Names are unique among all customers."""

    class Kind(models.TextChoices):
        """What is in it."""

        ACCOUNT = "account"
        VOUCHER = "voucher"

    name = Identifier(max_length=120, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="batches")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    created_at = created_at()

    class Meta:
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return self.name


def usual_calls_out(kind: str) -> int:
    """How many calls a new account makes at a time unless it is said: each could lock or spend what others share."""
    return 1 if kind == "debit" else 10


class Account(Limited):
    """An end user: its number is the SIP user name and the user part of its address of record."""

    class Kind(models.TextChoices):
        """Where the money comes from."""

        DEBIT = "debit", "debit"
        CREDIT = "credit", "credit with its own limit"
        SUBORDINATE = "subordinate", "credit within the customer's limit"

    class Ani(models.TextChoices):
        """How far a number of the outside that is its alias identifies it."""

        ENOUGH = "enough", "its number is enough"
        ONCE = "once", "the PIN is asked once for each gateway"
        PIN = "pin", "the PIN is always asked"
        OFF = "off", "its numbers do not identify"

    class Transfers(models.TextChoices):
        """Whither it may send its calls on: by transfer, or because its phone answers "moved"."""

        OUTSIDE = "outside", "anywhere that it may call"
        INSIDE = "inside", "to accounts and applications"
        NOWHERE = "nowhere", "not at all"

    number = Identifier(max_length=64, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="accounts")
    extension = Identifier(max_length=6, blank=True, default="", db_default=Value(""))
    """What its colleagues dial and see; another customer may have the same. Empty: it has none."""
    kind = models.CharField(max_length=11, choices=Kind.choices)
    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="accounts")
    """Its own, or its customer's if it is subordinate (a trigger sees to it)."""
    product = models.ForeignKey(Product, on_delete=models.PROTECT, null=True, blank=True, related_name="accounts")
    password = SealedPassword()
    """SIP password, clear in Python and sealed in the store (docs/adr/0022-passwords-sealed.md)."""
    display = models.CharField(max_length=120, blank=True, db_default=Value(""))
    timezone = models.CharField(max_length=64, blank=True, default="", db_default=Value(""))
    """IANA name; empty: the customer's."""
    language = models.CharField(max_length=16, blank=True, default="", db_default=Value(""))
    """Of the prompts and e-mails that its user gets; empty: the configured one."""
    sub_realm = models.CharField(max_length=64, blank=True, default="", db_default=Value(""))
    """Only vouchers of the same sub-realm recharge the account."""
    ani = models.CharField(max_length=6, choices=Ani.choices, default="once", db_default=Value("once"))
    """How far its numbers of the outside identify it (`billing_client.rules.vouching`)."""
    transfers = models.CharField(
        max_length=7, choices=Transfers.choices, default="outside", db_default=Value("outside")
    )
    """Whither its phones may transfer or redirect calls, at its own expense."""
    state = state()
    activation_date = models.DateField(null=True, blank=True)
    """First day on which the account can be used, in the customer's time zone."""
    expiry_date = models.DateField(null=True, blank=True)
    """First day on which the account cannot be used."""
    expire_after_first_use_days = models.PositiveIntegerField(null=True, blank=True)
    """So many days after its first use, or a recharge since, it can be used. Null: no such term."""
    expire_after_last_use_days = models.PositiveIntegerField(null=True, blank=True)
    """The same after its last use. Of several terms the one that ends first counts
    (`billing_client.rules.lifecycle`)."""
    batch = models.ForeignKey(
        "billing.Batch", on_delete=models.PROTECT, null=True, blank=True, related_name="accounts", db_index=False
    )
    """Of its own customer (a trigger sees to it)."""
    control_number = models.PositiveIntegerField(null=True, blank=True)
    """Its place in the batch, from 1."""
    answering = json_object()
    """How it takes its calls; `billing.document.answering` has the form. Empty: its phones ring."""
    caller_id = models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
    """Which numbers it may show; `billing.document.caller_id` has the form. Empty: its own, and hides none."""
    trunk = models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
    """How it is called if it is a telephone system; `billing.document.trunks` has the form. Empty: it is none."""
    numbering = json_object()
    """How its phones dial, where that differs from the customer."""
    emergency = json_object()
    """Where they are, and the number to call back, where that differs from the customer."""
    created_at = created_at()

    class Meta(Limited.Meta):
        constraints = (
            *Limited.Meta.constraints,
            models.CheckConstraint(name="account_kind", condition=Q(kind__in=("debit", "credit", "subordinate"))),
            models.CheckConstraint(name="account_ani", condition=Q(ani__in=("enough", "once", "pin", "off"))),
            models.CheckConstraint(
                name="account_transfers", condition=Q(transfers__in=("outside", "inside", "nowhere"))
            ),
            models.CheckConstraint(name="account_extension_form", condition=Q(extension__regex=r"^[0-9]{0,6}$")),
            models.UniqueConstraint(
                name="account_extension", fields=("customer", "extension"), condition=~Q(extension="")
            ),
            models.CheckConstraint(name="account_number_form", condition=Q(number__regex=r"^[^\s@]+$")),
            models.CheckConstraint(
                name="account_answering_form", condition=Q(answering__mode__isnull=True) | Q(answering__mode__in=MODES)
            ),
            models.CheckConstraint(
                name="account_terms_positive",
                condition=Q(expire_after_first_use_days__gte=1, expire_after_first_use_days__lte=LONGEST_DAYS)
                | Q(expire_after_first_use_days__isnull=True),
            ),
            models.CheckConstraint(
                name="account_last_use_positive",
                condition=Q(expire_after_last_use_days__gte=1, expire_after_last_use_days__lte=LONGEST_DAYS)
                | Q(expire_after_last_use_days__isnull=True),
            ),
            models.CheckConstraint(
                name="account_control_number_form",
                condition=Q(batch__isnull=True, control_number__isnull=True)
                | Q(batch__isnull=False, control_number__isnull=False, control_number__gte=1),
            ),
            models.UniqueConstraint(name="account_control_number", fields=("batch", "control_number")),
            models.UniqueConstraint(name="account_own_balance", fields=("balance",), condition=~Q(kind="subordinate")),
        )

    def __str__(self) -> str:
        return self.number


class AccountUse(models.Model):
    """When an account was used: a row beside it, because it is written after every call (`touch_account`)."""

    account = models.OneToOneField(
        Account, on_delete=models.CASCADE, primary_key=True, related_name="use", db_constraint=False
    )
    first_used_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    renewed_at = models.DateTimeField(null=True)
    """When it was last recharged."""


class Alias(models.Model):
    """A name that leads to an account. The account's own number is one of them (a trigger keeps it), so the primary
    key makes every name unique and any name is found in the same way.

    `42073723123@pstn` identifies calls from the outside by their calling number (ANI), `192.0.2.10` those of a
    gateway by their address, `48291744@pin` whoever enters that PIN, `534564#5550@pin` who enters that code and calls
    from a number of account 534564.
    """

    name = Identifier(max_length=64, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="aliases")
    allow_authentication = models.BooleanField(default=False, db_default=Value(False))
    """True: it registers and is rung by itself. False: it only leads calls to the account."""
    is_number = models.BooleanField(default=False, db_default=Value(False), editable=False)
    claimed_at = models.DateTimeField(null=True, editable=False)
    """When somebody claimed this number by telephone; null: it is known to be the account's."""

    class Meta:
        verbose_name_plural = "aliases"
        constraints = (
            models.CheckConstraint(
                name="alias_form",
                condition=Q(name__regex=r"^([^\s@]+(@pstn)?|\d{4,32}@pin|[^\s@#]+#\d{2,16}@pin)$"),
            ),
        )

    def __str__(self) -> str:
        return self.name
