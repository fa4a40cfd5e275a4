# SPDX-License-Identifier: Apache-2.0
"""Trunks: ranges of numbers, networks that they call from, how they are called."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q, Value

import billing.store.fields

APART = """
ALTER TABLE billing_numberrange ADD CONSTRAINT number_range_once
    EXCLUDE USING gist (int8range(first, last, '[]') WITH &&);
ALTER TABLE billing_trunknetwork ADD CONSTRAINT trunk_network_once EXCLUDE USING gist (network inet_ops WITH &&)"""
"""No number and no address is of two accounts."""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0007_actors")]

    operations: ClassVar = [
        migrations.AddField(
            "account", "trunk", models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
        ),
        migrations.CreateModel(
            "NumberRange",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("first", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="ranges", to="billing.account"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        name="number_range_form", condition=Q(first__gte=1_000_000, last__gte=F("first"))
                    )
                ]
            },
        ),
        migrations.CreateModel(
            "TrunkNetwork",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("network", billing.store.fields.Network(max_length=64)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="networks", to="billing.account"
                    ),
                ),
            ],
        ),
        migrations.RunSQL(APART, migrations.RunSQL.noop),
    ]
