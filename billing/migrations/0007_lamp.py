# SPDX-License-Identifier: Apache-2.0
"""Subscriptions to message lamps, which outlive the switch that serves them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models

import billing.models.fields


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0006_answering")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("tag", billing.models.fields.Identifier(max_length=64, primary_key=True, serialize=False)),
                ("node", billing.models.fields.Identifier(max_length=64)),
                ("account", billing.models.fields.Identifier(max_length=64)),
                ("call_id", models.TextField()),
                ("local", models.TextField()),
                ("remote", models.TextField()),
                ("remote_tag", models.TextField()),
                ("target", models.TextField()),
                ("routes", models.TextField()),
                ("event", models.TextField()),
                ("local_cseq", models.BigIntegerField()),
                ("remote_cseq", models.BigIntegerField()),
                ("source", models.CharField(max_length=64)),
                ("socket", models.CharField(max_length=64)),
                ("natted", models.BooleanField()),
                ("expires_at", models.DateTimeField()),
            ],
        ),
        migrations.RunSQL(
            [Path(__file__).with_name("subscriptions.sql").read_text(encoding="utf-8")], migrations.RunSQL.noop
        ),
    ]
