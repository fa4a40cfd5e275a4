# SPDX-License-Identifier: Apache-2.0
"""Receipts of recharges."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.functions.datetime
from django.db import migrations, models

import billing.models.fields


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0011_guessing")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Receipt",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "key", "channel", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", billing.models.fields.Identifier(max_length=128)),
                ("channel", billing.models.fields.Identifier(max_length=5)),
                ("language", models.CharField(max_length=16)),
                ("caller", models.CharField(max_length=64)),
                (
                    "recipients",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=254), null=True, size=None
                    ),
                ),
                (
                    "queued_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("due_at", models.DateTimeField()),
                ("attempts", models.IntegerField(db_default=0)),
                ("sent_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("sent_at__isnull", True)), fields=["channel", "due_at"], name="receipt_due"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("channel__in", ("email", "sms"))), name="receipt_channel"
                    )
                ],
            },
        ),
        migrations.RunSQL(
            [Path(__file__).with_name("receipts.sql").read_text(encoding="utf-8")], migrations.RunSQL.noop
        ),
    ]
