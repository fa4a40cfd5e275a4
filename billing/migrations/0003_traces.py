# SPDX-License-Identifier: Apache-2.0
"""Records of calls for explaining them: the table, and how a switch writes and prunes it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

import billing.models.fields


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0002_rules")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="CallTrace",
            fields=[
                ("call_id", billing.models.fields.Identifier(max_length=64, primary_key=True, serialize=False)),
                ("node", billing.models.fields.Identifier(max_length=64)),
                ("account", billing.models.fields.Identifier(max_length=64)),
                ("caller", models.CharField(max_length=255)),
                ("dialled", models.CharField(max_length=255)),
                ("started_at", models.DateTimeField(db_index=True)),
                ("answered_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField()),
                ("cause", models.SmallIntegerField()),
                ("sip_status", models.SmallIntegerField(null=True)),
                ("ended_by", models.CharField(max_length=8)),
                (
                    "keys",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=255), size=None),
                ),
                ("body", models.BinaryField()),
            ],
            options={
                "indexes": [django.contrib.postgres.indexes.GinIndex(fields=["keys"], name="call_trace_keys")],
            },
        ),
        migrations.RunSQL([Path(__file__).with_name("traces.sql").read_text(encoding="utf-8")], migrations.RunSQL.noop),
    ]
