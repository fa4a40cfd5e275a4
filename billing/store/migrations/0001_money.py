# SPDX-License-Identifier: Apache-2.0
"""Prices, funds, customers and carriers."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now

from billing.store.fields import Identifier


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Tariff",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", Identifier(max_length=120, unique=True)),
                ("currency", models.CharField(max_length=3)),
                ("revision", models.BigIntegerField(db_default=0, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", Identifier(max_length=120, unique=True)),
                ("tariff", models.ForeignKey(on_delete=models.PROTECT, related_name="products", to="billing.tariff")),
            ],
        ),
        migrations.CreateModel(
            name="Rate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("prefix", Identifier(blank=True, max_length=18)),
                ("destination", models.CharField(blank=True, db_default=models.Value(""), max_length=120)),
                ("country", models.CharField(blank=True, db_default=models.Value(""), max_length=60)),
                (
                    "connect_fee",
                    models.DecimalField(db_default=Decimal(0), decimal_places=5, default=Decimal(0), max_digits=20),
                ),
                ("first_increment", models.PositiveIntegerField(db_default=1, default=1)),
                ("next_increment", models.PositiveIntegerField(db_default=1, default=1)),
                ("first_price", models.DecimalField(decimal_places=5, max_digits=20)),
                ("next_price", models.DecimalField(decimal_places=5, max_digits=20)),
                ("effective_from", models.DateTimeField(db_default=Now())),
                ("effective_to", models.DateTimeField(blank=True, null=True)),
                ("blocked", models.BooleanField(db_default=models.Value(False), default=False)),
                (
                    "tariff",
                    models.ForeignKey(
                        db_index=False, on_delete=models.CASCADE, related_name="rates", to="billing.tariff"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("tariff", "prefix", "effective_from"), name="rate_once"),
                    models.CheckConstraint(
                        condition=models.Q(("prefix__regex", "^[0-9]*$")), name="rate_prefix_digits"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("first_increment__gte", 1), ("next_increment__gte", 1)),
                        name="rate_increments",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("connect_fee__gte", 0), ("first_price__gte", 0), ("next_price__gte", 0)),
                        name="rate_prices",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("effective_to__gt", models.F("effective_from"))), name="rate_dates"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Balance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("debit", "Debit"), ("credit", "Credit")], max_length=6)),
                ("currency", models.CharField(max_length=3)),
                (
                    "amount",
                    models.DecimalField(db_default=Decimal(0), decimal_places=5, default=Decimal(0), max_digits=20),
                ),
                (
                    "locked",
                    models.DecimalField(db_default=Decimal(0), decimal_places=5, default=Decimal(0), max_digits=20),
                ),
                ("credit_limit", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                (
                    "available",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(kind="debit", then=models.F("amount") - models.F("locked")),
                            default=models.F("credit_limit") - models.F("amount") - models.F("locked"),
                        ),
                        output_field=models.DecimalField(decimal_places=5, max_digits=20),
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("available__gte", 0)), name="balance_no_overspend"),
                    models.CheckConstraint(condition=models.Q(("locked__gte", 0)), name="balance_locked_positive"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("credit_limit__isnull", True), ("kind", "debit")),
                            models.Q(("credit_limit__gte", 0), ("credit_limit__isnull", False), ("kind", "credit")),
                            _connector="OR",
                        ),
                        name="balance_limit_of_credit",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                ("key", Identifier(max_length=255, primary_key=True, serialize=False)),
                ("amount", models.DecimalField(decimal_places=5, max_digits=20)),
                (
                    "released",
                    models.DecimalField(db_default=Decimal(0), decimal_places=5, default=Decimal(0), max_digits=20),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("opening", "Opening"),
                            ("topup", "Topup"),
                            ("withdrawal", "Withdrawal"),
                            ("call", "Call"),
                            ("correction", "Correction"),
                            ("voucher", "Voucher"),
                            ("adjustment", "Adjustment"),
                        ],
                        max_length=10,
                    ),
                ),
                ("at", models.DateTimeField(db_default=Now(), editable=False)),
                ("note", models.CharField(blank=True, db_default=models.Value(""), max_length=255)),
                (
                    "balance",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.PROTECT,
                        related_name="entries",
                        to="billing.balance",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "ledger entries",
                "indexes": [models.Index(fields=["balance", "at"], name="ledger_statement")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount", 0), _negated=True), name="ledger_amount_not_zero"
                    ),
                    models.CheckConstraint(condition=models.Q(("released__gte", 0)), name="ledger_released_positive"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Customer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", Identifier(max_length=120, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("inactive", "Inactive"),
                            ("blocked", "Blocked"),
                            ("suspended", "Suspended"),
                            ("closed", "Closed"),
                        ],
                        db_default=models.Value("active"),
                        default="active",
                        max_length=9,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
                (
                    "balance",
                    models.OneToOneField(on_delete=models.PROTECT, related_name="customer", to="billing.balance"),
                ),
                (
                    "daily_action",
                    models.CharField(
                        choices=[
                            ("block", "refuse funds until the hour or day is over"),
                            ("lock", "block the customer until an administrator lifts it"),
                            ("alert", "only say so"),
                        ],
                        db_default=models.Value("block"),
                        default="block",
                        max_length=5,
                    ),
                ),
                ("daily_limit", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                (
                    "hourly_action",
                    models.CharField(
                        choices=[
                            ("block", "refuse funds until the hour or day is over"),
                            ("lock", "block the customer until an administrator lifts it"),
                            ("alert", "only say so"),
                        ],
                        db_default=models.Value("block"),
                        default="block",
                        max_length=5,
                    ),
                ),
                ("hourly_limit", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("max_call_price", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("max_calls", models.PositiveIntegerField(blank=True, null=True)),
                ("max_calls_in", models.PositiveIntegerField(blank=True, null=True)),
                ("max_calls_out", models.PositiveIntegerField(blank=True, null=True)),
                ("timezone", models.CharField(db_default=models.Value("UTC"), default="UTC", max_length=64)),
                ("alias_authentication", models.BooleanField(db_default=models.Value(True), default=True)),
            ],
            options={
                "abstract": False,
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_calls__gt", 0),
                            ("max_calls_in__gte", 0),
                            ("max_calls_out__gte", 0),
                            ("max_call_price__gt", 0),
                        ),
                        name="customer_limits_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("hourly_limit__gte", 0), ("daily_limit__gte", 0)),
                        name="customer_spending_positive",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Gateway",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", Identifier(max_length=64, unique=True)),
                ("host", models.CharField(max_length=255)),
                ("port", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "transport",
                    models.CharField(
                        choices=[("udp", "Udp"), ("tcp", "Tcp")],
                        db_default=models.Value("udp"),
                        default="udp",
                        max_length=3,
                    ),
                ),
                ("enabled", models.BooleanField(db_default=models.Value(True), default=True)),
                ("inbound", models.BooleanField(db_default=models.Value(True), default=True)),
                ("outbound", models.BooleanField(db_default=models.Value(True), default=True)),
                ("any_port", models.BooleanField(db_default=models.Value(True), default=True)),
                ("username", models.CharField(blank=True, max_length=64, null=True)),
                ("password", models.CharField(blank=True, max_length=1024, null=True)),
                (
                    "number_format",
                    models.CharField(
                        choices=[("digits", "Digits"), ("e164", "E164")],
                        db_default=models.Value("digits"),
                        default="digits",
                        max_length=6,
                    ),
                ),
                (
                    "forwarded_caller",
                    models.CharField(
                        choices=[("original", "Original"), ("forwarder", "Forwarder")],
                        db_default=models.Value("original"),
                        default="original",
                        max_length=9,
                    ),
                ),
                (
                    "identifies",
                    models.CharField(
                        choices=[("no", "no"), ("yes", "yes"), ("attested", "where STIR attests them fully")],
                        db_default=models.Value("no"),
                        default="no",
                        max_length=8,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("port__gte", 1), ("port__lte", 65535)), name="gateway_port"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("number_format__in", ("digits", "e164"))), name="gateway_number_format"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("forwarded_caller__in", ("original", "forwarder"))),
                        name="gateway_forwarded_caller",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("identifies__in", ("no", "yes", "attested"))), name="gateway_identifies"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="GatewayRoute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("prefix", Identifier(blank=True, max_length=18)),
                ("position", models.PositiveSmallIntegerField(db_default=1, default=1)),
                ("strip", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("prepend", models.CharField(blank=True, db_default=models.Value(""), max_length=18)),
                (
                    "gateway",
                    models.ForeignKey(
                        db_index=False, on_delete=models.CASCADE, related_name="routes", to="billing.gateway"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("gateway", "prefix"), name="route_once"),
                    models.CheckConstraint(
                        condition=models.Q(("prefix__regex", "^[0-9]*$")), name="route_prefix_digits"
                    ),
                ],
            },
        ),
    ]
