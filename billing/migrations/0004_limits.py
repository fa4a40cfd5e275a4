# SPDX-License-Identifier: Apache-2.0
"""Limits of calls and of spending; settling the calls of another node that died."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import django.db.models.functions.datetime
from django.db import migrations, models

import billing.models.fields

PARTS = ("limits", "settlement", "audit")


def run(part: str) -> migrations.RunSQL:
    """Run the .sql file beside this migration."""
    sql = Path(__file__).with_name(f"{part}.sql").read_text(encoding="utf-8")
    return migrations.RunSQL([sql], migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0003_traces")]

    operations: ClassVar = [
        migrations.RemoveConstraint("account", "account_max_calls_positive"),
        migrations.RenameField("account", "max_calls", "max_calls_out"),
        migrations.CreateModel(
            name="Correction",
            fields=[
                ("call_id", billing.models.fields.Identifier(max_length=64, primary_key=True, serialize=False)),
                ("amount", models.DecimalField(decimal_places=5, max_digits=20)),
                ("answered_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField()),
                ("billed_seconds", models.IntegerField()),
                ("cause", models.SmallIntegerField()),
                ("sip_status", models.SmallIntegerField(null=True)),
                ("ended_by", models.CharField(max_length=8)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="Spending",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "customer_id", "currency", "hour", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("customer_id", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("hour", models.DateTimeField()),
                ("amount", models.DecimalField(decimal_places=5, max_digits=20)),
            ],
        ),
        migrations.CreateModel(
            name="SpendingAlert",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "customer_id",
                        "currency",
                        "period",
                        "since",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("customer_id", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("period", models.CharField(max_length=4)),
                ("since", models.DateTimeField()),
                ("action", models.CharField(max_length=5)),
                ("most", models.DecimalField(decimal_places=5, max_digits=20)),
                ("spent", models.DecimalField(decimal_places=5, max_digits=20)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
        ),
        migrations.AddField(
            model_name="account",
            name="max_call_price",
            field=models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="max_calls",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="max_calls_in",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="activecall",
            name="callee_customer_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="activecall",
            name="callee_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="activecall",
            name="cap",
            field=models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name="activecall",
            name="customer_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="customer",
            name="daily_action",
            field=models.CharField(
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
        migrations.AddField(
            model_name="customer",
            name="daily_limit",
            field=models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name="customer",
            name="hourly_action",
            field=models.CharField(
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
        migrations.AddField(
            model_name="customer",
            name="hourly_limit",
            field=models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name="customer",
            name="max_call_price",
            field=models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name="customer",
            name="max_calls",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="customer",
            name="max_calls_in",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="customer",
            name="max_calls_out",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="node",
            name="ended_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="node",
            name="steady_at",
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
        ),
        migrations.AddField(
            model_name="xdr",
            name="held",
            field=models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True),
        ),
        migrations.AlterField(
            model_name="ledgerentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("opening", "Opening"),
                    ("topup", "Topup"),
                    ("withdrawal", "Withdrawal"),
                    ("call", "Call"),
                    ("correction", "Correction"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddIndex(
            model_name="activecall",
            index=models.Index(
                condition=models.Q(("customer_id__isnull", False)), fields=["customer_id"], name="active_call_customer"
            ),
        ),
        migrations.AddIndex(
            model_name="activecall",
            index=models.Index(
                condition=models.Q(("callee_id__isnull", False)), fields=["callee_id"], name="active_call_callee"
            ),
        ),
        migrations.AddIndex(
            model_name="activecall",
            index=models.Index(
                condition=models.Q(("callee_customer_id__isnull", False)),
                fields=["callee_customer_id"],
                name="active_call_callee_customer",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("max_calls__gt", 0), ("max_calls_in__gte", 0), ("max_calls_out__gte", 0), ("max_call_price__gt", 0)
                ),
                name="account_limits_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("max_calls__gt", 0), ("max_calls_in__gte", 0), ("max_calls_out__gte", 0), ("max_call_price__gt", 0)
                ),
                name="customer_limits_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("hourly_limit__gte", 0), ("daily_limit__gte", 0)), name="customer_spending_positive"
            ),
        ),
        *map(run, PARTS),
    ]
