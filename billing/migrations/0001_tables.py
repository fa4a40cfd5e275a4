# SPDX-License-Identifier: Apache-2.0
"""Tables, keys, indexes and the constraints that Django can say."""

from __future__ import annotations

from decimal import Decimal

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.db import migrations, models

import billing.models.fields


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Binding",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "aor", "key", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("aor", billing.models.fields.Identifier(max_length=64)),
                ("key", billing.models.fields.Identifier(max_length=512)),
                ("contact", models.CharField(max_length=1024)),
                ("received", models.CharField(max_length=255, null=True)),
                (
                    "path",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=512), size=None),
                ),
                ("expires_at", models.DateTimeField()),
                ("q", models.FloatField()),
                ("call_id", models.CharField(max_length=255)),
                ("cseq", models.BigIntegerField()),
                ("instance", models.CharField(max_length=255, null=True)),
                ("reg_id", models.IntegerField(null=True)),
                ("user_agent", models.CharField(max_length=255)),
                ("node", billing.models.fields.Identifier(max_length=64)),
                ("socket", models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", billing.models.fields.Identifier(max_length=64)),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "heartbeat_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", billing.models.fields.Identifier(max_length=120, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Tariff",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", billing.models.fields.Identifier(max_length=120, unique=True)),
                ("currency", models.CharField(max_length=3)),
                ("revision", models.BigIntegerField(db_default=0, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="ActiveCall",
            fields=[
                ("call_id", billing.models.fields.Identifier(max_length=64, primary_key=True, serialize=False)),
                ("node", billing.models.fields.Identifier(max_length=64)),
                ("account_id", models.BigIntegerField()),
                ("balance_id", models.BigIntegerField()),
                (
                    "direction",
                    models.CharField(
                        choices=[("internal", "Internal"), ("outgoing", "Outgoing"), ("incoming", "Incoming")],
                        max_length=8,
                    ),
                ),
                ("caller", models.CharField(max_length=255)),
                ("dialled", models.CharField(max_length=255)),
                ("destination", models.CharField(max_length=120)),
                ("country", models.CharField(max_length=60)),
                ("gateway_id", models.BigIntegerField(null=True)),
                ("sip_call_id", models.CharField(max_length=255)),
                ("started_at", models.DateTimeField()),
                ("answered_at", models.DateTimeField(null=True)),
                ("currency", models.CharField(max_length=3)),
                ("rate_id", models.BigIntegerField(null=True)),
                ("prefix", models.CharField(max_length=18, null=True)),
                ("connect_fee", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("first_increment", models.IntegerField(null=True)),
                ("next_increment", models.IntegerField(null=True)),
                ("first_price", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("next_price", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("life_id", models.BigIntegerField()),
                ("locked", models.DecimalField(decimal_places=5, max_digits=20)),
                ("slice", models.IntegerField(db_default=0)),
                ("owes", models.BooleanField(db_default=models.Value(False))),
                ("limited", models.BooleanField(db_default=models.Value(False))),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("limited", True)), fields=["account_id"], name="active_call_limited"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("locked__gte", 0)), name="active_call_locked_positive")
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
                            models.When(
                                kind="debit",
                                then=django.db.models.expressions.CombinedExpression(
                                    models.F("amount"), "-", models.F("locked")
                                ),
                            ),
                            default=django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("credit_limit"), "-", models.F("amount")
                                ),
                                "-",
                                models.F("locked"),
                            ),
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
            name="Customer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", billing.models.fields.Identifier(max_length=120, unique=True)),
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
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "balance",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="customer", to="billing.balance"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Gateway",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", billing.models.fields.Identifier(max_length=64, unique=True)),
                ("host", models.CharField(max_length=255)),
                ("port", models.PositiveIntegerField(db_default=5060, default=5060)),
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
                ("password", models.CharField(blank=True, max_length=128, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("port__gte", 1), ("port__lte", 65535)), name="gateway_port"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", billing.models.fields.Identifier(max_length=64, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("debit", "debit"),
                            ("credit", "credit with its own limit"),
                            ("subordinate", "credit within the customer's limit"),
                            ("voucher", "voucher"),
                        ],
                        max_length=11,
                    ),
                ),
                ("password", models.CharField(max_length=128)),
                ("display", models.CharField(blank=True, db_default=models.Value(""), max_length=120)),
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
                ("activation_date", models.DateField(blank=True, null=True)),
                ("expiry_date", models.DateField(blank=True, null=True)),
                ("max_calls", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "balance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="accounts", to="billing.balance"
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="accounts", to="billing.customer"
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="accounts",
                        to="billing.product",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Rate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("prefix", billing.models.fields.Identifier(blank=True, max_length=18)),
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
                ("effective_from", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("effective_to", models.DateTimeField(blank=True, null=True)),
                ("blocked", models.BooleanField(db_default=models.Value(False), default=False)),
                (
                    "tariff",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rates",
                        to="billing.tariff",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="product",
            name="tariff",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="products", to="billing.tariff"
            ),
        ),
        migrations.CreateModel(
            name="Xdr",
            fields=[
                ("call_id", billing.models.fields.Identifier(max_length=64, primary_key=True, serialize=False)),
                ("node", billing.models.fields.Identifier(max_length=64)),
                ("account_id", models.BigIntegerField()),
                ("balance_id", models.BigIntegerField()),
                (
                    "direction",
                    models.CharField(
                        choices=[("internal", "Internal"), ("outgoing", "Outgoing"), ("incoming", "Incoming")],
                        max_length=8,
                    ),
                ),
                ("caller", models.CharField(max_length=255)),
                ("dialled", models.CharField(max_length=255)),
                ("destination", models.CharField(max_length=120)),
                ("country", models.CharField(max_length=60)),
                ("gateway_id", models.BigIntegerField(null=True)),
                ("sip_call_id", models.CharField(max_length=255)),
                ("started_at", models.DateTimeField()),
                ("answered_at", models.DateTimeField(null=True)),
                ("currency", models.CharField(max_length=3)),
                ("rate_id", models.BigIntegerField(null=True)),
                ("prefix", models.CharField(max_length=18, null=True)),
                ("connect_fee", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("first_increment", models.IntegerField(null=True)),
                ("next_increment", models.IntegerField(null=True)),
                ("first_price", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("next_price", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("ended_at", models.DateTimeField()),
                ("billed_seconds", models.IntegerField()),
                ("amount", models.DecimalField(decimal_places=5, max_digits=20)),
                ("cause", models.SmallIntegerField()),
                ("sip_status", models.SmallIntegerField(null=True)),
                ("ended_by", models.CharField(max_length=8)),
            ],
            options={
                "verbose_name": "xDR",
                "verbose_name_plural": "xDRs",
                "indexes": [models.Index(fields=["account_id", "started_at"], name="xdr_history")],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("amount__gte", 0)), name="xdr_amount_positive")
                ],
            },
        ),
        migrations.CreateModel(
            name="Alias",
            fields=[
                ("name", billing.models.fields.Identifier(max_length=64, primary_key=True, serialize=False)),
                ("allow_authentication", models.BooleanField(db_default=models.Value(False), default=False)),
                ("is_number", models.BooleanField(db_default=models.Value(False), default=False, editable=False)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="aliases", to="billing.account"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "aliases",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("name__regex", "^[^\\s@]+(@pstn)?$")), name="alias_form")
                ],
            },
        ),
        migrations.CreateModel(
            name="GatewayRoute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("prefix", billing.models.fields.Identifier(blank=True, max_length=18)),
                ("position", models.PositiveSmallIntegerField(db_default=1, default=1)),
                ("strip", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("prepend", models.CharField(blank=True, db_default=models.Value(""), max_length=18)),
                (
                    "gateway",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="routes",
                        to="billing.gateway",
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
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                ("key", billing.models.fields.Identifier(max_length=255, primary_key=True, serialize=False)),
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
                        ],
                        max_length=10,
                    ),
                ),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ("note", models.CharField(blank=True, db_default=models.Value(""), max_length=255)),
                (
                    "balance",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
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
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__regex", "^[^\\s@]+$")), name="account_number_form"
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_calls__gt", 0)), name="account_max_calls_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "subordinate"), _negated=True),
                fields=("balance",),
                name="account_own_balance",
            ),
        ),
        migrations.AddConstraint(
            model_name="rate",
            constraint=models.UniqueConstraint(fields=("tariff", "prefix", "effective_from"), name="rate_once"),
        ),
        migrations.AddConstraint(
            model_name="rate",
            constraint=models.CheckConstraint(
                condition=models.Q(("prefix__regex", "^[0-9]*$")), name="rate_prefix_digits"
            ),
        ),
        migrations.AddConstraint(
            model_name="rate",
            constraint=models.CheckConstraint(
                condition=models.Q(("first_increment__gte", 1), ("next_increment__gte", 1)), name="rate_increments"
            ),
        ),
        migrations.AddConstraint(
            model_name="rate",
            constraint=models.CheckConstraint(
                condition=models.Q(("connect_fee__gte", 0), ("first_price__gte", 0), ("next_price__gte", 0)),
                name="rate_prices",
            ),
        ),
        migrations.AddConstraint(
            model_name="rate",
            constraint=models.CheckConstraint(
                condition=models.Q(("effective_to__gt", models.F("effective_from"))), name="rate_dates"
            ),
        ),
    ]
