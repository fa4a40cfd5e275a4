# SPDX-License-Identifier: Apache-2.0
"""Accounts, their names and numbers; the log of administrators."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now

from billing.store.fields import Identifier


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("billing", "0001_money"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Batch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", Identifier(max_length=120, unique=True)),
                ("kind", models.CharField(choices=[("account", "Account"), ("voucher", "Voucher")], max_length=7)),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
                (
                    "customer",
                    models.ForeignKey(on_delete=models.PROTECT, related_name="batches", to="billing.customer"),
                ),
            ],
            options={
                "verbose_name_plural": "batches",
            },
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", Identifier(max_length=64, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("debit", "debit"),
                            ("credit", "credit with its own limit"),
                            ("subordinate", "credit within the customer's limit"),
                        ],
                        max_length=11,
                    ),
                ),
                ("password", models.CharField(max_length=1024)),
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
                ("max_calls_out", models.PositiveIntegerField(blank=True, null=True)),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("balance", models.ForeignKey(on_delete=models.PROTECT, related_name="accounts", to="billing.balance")),
                (
                    "customer",
                    models.ForeignKey(on_delete=models.PROTECT, related_name="accounts", to="billing.customer"),
                ),
                (
                    "product",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=models.PROTECT, related_name="accounts", to="billing.product"
                    ),
                ),
                ("max_call_price", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("max_calls", models.PositiveIntegerField(blank=True, null=True)),
                ("max_calls_in", models.PositiveIntegerField(blank=True, null=True)),
                ("language", models.CharField(blank=True, db_default=models.Value(""), default="", max_length=16)),
                ("timezone", models.CharField(blank=True, db_default=models.Value(""), default="", max_length=64)),
                (
                    "answering",
                    models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict),
                ),
                ("expire_after_first_use_days", models.PositiveIntegerField(blank=True, null=True)),
                ("expire_after_last_use_days", models.PositiveIntegerField(blank=True, null=True)),
                ("sub_realm", models.CharField(blank=True, db_default=models.Value(""), default="", max_length=64)),
                (
                    "batch",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=models.PROTECT,
                        related_name="accounts",
                        to="billing.batch",
                    ),
                ),
                ("control_number", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "ani",
                    models.CharField(
                        choices=[
                            ("enough", "its number is enough"),
                            ("once", "the PIN is asked once for each gateway"),
                            ("pin", "the PIN is always asked"),
                            ("off", "its numbers do not identify"),
                        ],
                        db_default=models.Value("once"),
                        default="once",
                        max_length=6,
                    ),
                ),
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
                        name="account_limits_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ("debit", "credit", "subordinate"))), name="account_kind"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ani__in", ("enough", "once", "pin", "off"))), name="account_ani"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("number__regex", "^[^\\s@]+$")), name="account_number_form"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("answering__mode__isnull", True),
                            (
                                "answering__mode__in",
                                (
                                    "ring",
                                    "forward",
                                    "voicemail",
                                    "ring_then_forward",
                                    "ring_then_voicemail",
                                    "forward_then_voicemail",
                                    "ring_then_forward_then_voicemail",
                                    "reject",
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="account_answering_form",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("expire_after_first_use_days__gte", 1), ("expire_after_first_use_days__lte", 36500)
                            ),
                            ("expire_after_first_use_days__isnull", True),
                            _connector="OR",
                        ),
                        name="account_terms_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("expire_after_last_use_days__gte", 1), ("expire_after_last_use_days__lte", 36500)
                            ),
                            ("expire_after_last_use_days__isnull", True),
                            _connector="OR",
                        ),
                        name="account_last_use_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("batch__isnull", True), ("control_number__isnull", True)),
                            models.Q(
                                ("batch__isnull", False), ("control_number__gte", 1), ("control_number__isnull", False)
                            ),
                            _connector="OR",
                        ),
                        name="account_control_number_form",
                    ),
                    models.UniqueConstraint(fields=("batch", "control_number"), name="account_control_number"),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "subordinate"), _negated=True),
                        fields=("balance",),
                        name="account_own_balance",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AccountUse",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=models.CASCADE,
                        primary_key=True,
                        related_name="use",
                        serialize=False,
                        to="billing.account",
                    ),
                ),
                ("first_used_at", models.DateTimeField(null=True)),
                ("last_used_at", models.DateTimeField(null=True)),
                ("renewed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Alias",
            fields=[
                ("name", Identifier(max_length=64, primary_key=True, serialize=False)),
                ("allow_authentication", models.BooleanField(db_default=models.Value(False), default=False)),
                ("is_number", models.BooleanField(db_default=models.Value(False), default=False, editable=False)),
                ("account", models.ForeignKey(on_delete=models.CASCADE, related_name="aliases", to="billing.account")),
                ("claimed_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "verbose_name_plural": "aliases",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("name__regex", "^([^\\s@]+(@pstn)?|\\d{4,32}@pin|[^\\s@#]+#\\d{2,16}@pin)$")
                        ),
                        name="alias_form",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="NumberWay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "alias", "gateway", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "alias",
                    models.ForeignKey(
                        db_index=False, on_delete=models.CASCADE, related_name="ways", to="billing.alias"
                    ),
                ),
                (
                    "gateway",
                    models.ForeignKey(on_delete=models.CASCADE, related_name="known_numbers", to="billing.gateway"),
                ),
                ("at", models.DateTimeField(db_default=Now(), editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="RingBack",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", Identifier(max_length=64)),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.CASCADE,
                        related_name="ring_backs",
                        to="billing.account",
                    ),
                ),
                ("at", models.DateTimeField(db_default=Now(), editable=False)),
                ("used", models.BooleanField(db_default=models.Value(False))),
            ],
            options={
                "indexes": [
                    models.Index(fields=["number", "at"], name="ringback_number"),
                    models.Index(fields=["account", "at"], name="ringback_account"),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_default=Now(), editable=False)),
                ("actor", models.CharField(max_length=120)),
                ("action", Identifier(max_length=64)),
                ("subject", models.CharField(max_length=255)),
                ("details", models.JSONField(default=dict)),
            ],
            options={
                "indexes": [models.Index(fields=["action", "at"], name="audit_log_action")],
            },
        ),
    ]
