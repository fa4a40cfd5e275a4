# SPDX-License-Identifier: Apache-2.0
"""Batches, vouchers, redemptions, guessing, and the log of what administrators did."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import billing.models.fields

PARTS = ("batches", "guessing", "vouchers", "redemptions")


def run(part: str) -> migrations.RunSQL:
    """Run the .sql file beside this migration."""
    sql = Path(__file__).with_name(f"{part}.sql").read_text(encoding="utf-8")
    return migrations.RunSQL([sql], migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("billing", "0008_accounts"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="VoucherGuess",
            fields=[
                ("subject", billing.models.fields.Identifier(max_length=128, primary_key=True, serialize=False)),
                ("weight", models.IntegerField()),
                ("failures", models.IntegerField(db_default=0)),
                ("since", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("locked_until", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="account",
            name="sub_realm",
            field=models.CharField(blank=True, db_default=models.Value(""), default="", max_length=64),
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
                    ("voucher", "Voucher"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="AuditLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ("actor", models.CharField(max_length=120)),
                ("action", billing.models.fields.Identifier(max_length=64)),
                ("subject", models.CharField(max_length=255)),
                ("details", models.JSONField(default=dict)),
            ],
            options={
                "indexes": [models.Index(fields=["action", "at"], name="audit_log_action")],
            },
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", billing.models.fields.Identifier(max_length=120, unique=True)),
                ("kind", models.CharField(choices=[("account", "Account"), ("voucher", "Voucher")], max_length=7)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="batches", to="billing.customer"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "batches",
            },
        ),
        migrations.CreateModel(
            name="Redemption",
            fields=[
                ("key", billing.models.fields.Identifier(max_length=128, primary_key=True, serialize=False)),
                ("account_id", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("pending", "Pending"), ("done", "Done"), ("refused", "Refused")], max_length=7
                    ),
                ),
                ("voucher", billing.models.fields.Identifier(db_default=models.Value(""), max_length=20)),
                ("store", billing.models.fields.Identifier(db_default=models.Value(""), max_length=64)),
                ("digest", models.BinaryField(null=True)),
                ("key_id", models.IntegerField(null=True)),
                ("sealed", models.BinaryField(null=True)),
                ("amount", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("currency", models.CharField(max_length=3)),
                ("funds", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("available", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("done_at", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
                ("attempts", models.IntegerField(db_default=0)),
                ("note", models.CharField(db_default=models.Value(""), max_length=255)),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("state", "pending")), fields=["due_at"], name="redemption_due"),
                    models.Index(fields=["account_id"], name="redemption_account"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("digest__isnull", False), models.Q(("state", "refused"), _negated=True)),
                        fields=("digest",),
                        name="redemption_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(models.Q(("voucher", ""), _negated=True), ("digest__isnull", True)),
                            models.Q(("digest__isnull", False), ("voucher", "")),
                            _connector="OR",
                        ),
                        name="redemption_of",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "done"), _negated=True),
                            models.Q(("amount__gt", 0), ("done_at__isnull", False), ("funds__isnull", False)),
                            _connector="OR",
                        ),
                        name="redemption_done",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Voucher",
            fields=[
                ("id", billing.models.fields.Identifier(max_length=20, primary_key=True, serialize=False)),
                ("control_number", models.IntegerField()),
                ("key_id", models.IntegerField(null=True)),
                ("sealed", models.BinaryField(null=True)),
                ("amount", models.DecimalField(decimal_places=5, max_digits=20)),
                ("currency", models.CharField(max_length=3)),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("inactive", "Inactive"), ("blocked", "Blocked")],
                        db_default=models.Value("active"),
                        max_length=8,
                    ),
                ),
                ("expires", models.DateField(null=True)),
                ("sub_realm", models.CharField(db_default=models.Value(""), max_length=64)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("used_at", models.DateTimeField(null=True)),
                ("used_by", models.BigIntegerField(null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="vouchers",
                        to="billing.batch",
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="vouchers",
                        to="billing.product",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("batch", "control_number"), name="voucher_control_number"),
                    models.CheckConstraint(condition=models.Q(("amount__gt", 0)), name="voucher_amount_positive"),
                    models.CheckConstraint(condition=models.Q(("id__regex", "^[0-9]{6,20}$")), name="voucher_id_form"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("key_id__isnull", True), ("sealed__isnull", True)),
                            models.Q(("key_id__isnull", False), ("sealed__isnull", False)),
                            _connector="OR",
                        ),
                        name="voucher_sealed_by",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("used_at__isnull", True), ("used_by__isnull", True)),
                            models.Q(("used_at__isnull", False), ("used_by__isnull", False)),
                            _connector="OR",
                        ),
                        name="voucher_used",
                    ),
                ],
            },
        ),
        *map(run, PARTS),
    ]
