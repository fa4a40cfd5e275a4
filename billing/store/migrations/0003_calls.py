# SPDX-License-Identifier: Apache-2.0
"""Calls and their records, lives of nodes, registrations."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models
from django.db.models.functions import Now

from billing.store.fields import Identifier


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("billing", "0002_accounts"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Node",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", Identifier(max_length=64)),
                ("started_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("heartbeat_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("ended_at", models.DateTimeField(null=True)),
                ("steady_at", models.DateTimeField(db_default=Now(), editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="ActiveCall",
            fields=[
                ("call_id", Identifier(max_length=64, primary_key=True, serialize=False)),
                ("node", Identifier(max_length=64)),
                ("account_id", models.BigIntegerField()),
                ("balance_id", models.BigIntegerField()),
                (
                    "direction",
                    models.CharField(
                        choices=[
                            ("internal", "Internal"),
                            ("outgoing", "Outgoing"),
                            ("incoming", "Incoming"),
                            ("forwarded", "Forwarded"),
                        ],
                        max_length=9,
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
                ("callee_customer_id", models.BigIntegerField(null=True)),
                ("callee_id", models.BigIntegerField(null=True)),
                ("cap", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("customer_id", models.BigIntegerField(null=True)),
                ("forward", models.CharField(max_length=120, null=True)),
                ("forwards", models.CharField(max_length=64, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("limited", True)), fields=["account_id"], name="active_call_limited"
                    ),
                    models.Index(
                        condition=models.Q(("customer_id__isnull", False)),
                        fields=["customer_id"],
                        name="active_call_customer",
                    ),
                    models.Index(
                        condition=models.Q(("callee_id__isnull", False)),
                        fields=["callee_id"],
                        name="active_call_callee",
                    ),
                    models.Index(
                        condition=models.Q(("callee_customer_id__isnull", False)),
                        fields=["callee_customer_id"],
                        name="active_call_callee_customer",
                    ),
                    models.Index(
                        condition=models.Q(("forward__isnull", False)),
                        fields=["account_id"],
                        name="active_call_forward",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("locked__gte", 0)), name="active_call_locked_positive")
                ],
            },
        ),
        migrations.CreateModel(
            name="Xdr",
            fields=[
                ("call_id", Identifier(max_length=64, primary_key=True, serialize=False)),
                ("node", Identifier(max_length=64)),
                ("account_id", models.BigIntegerField()),
                ("balance_id", models.BigIntegerField()),
                (
                    "direction",
                    models.CharField(
                        choices=[
                            ("internal", "Internal"),
                            ("outgoing", "Outgoing"),
                            ("incoming", "Incoming"),
                            ("forwarded", "Forwarded"),
                        ],
                        max_length=9,
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
                ("held", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
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
            name="Correction",
            fields=[
                ("call_id", Identifier(max_length=64, primary_key=True, serialize=False)),
                ("amount", models.DecimalField(decimal_places=5, max_digits=20)),
                ("answered_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField()),
                ("billed_seconds", models.IntegerField()),
                ("cause", models.SmallIntegerField()),
                ("sip_status", models.SmallIntegerField(null=True)),
                ("ended_by", models.CharField(max_length=8)),
                ("at", models.DateTimeField(db_default=Now(), editable=False)),
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
                ("at", models.DateTimeField(db_default=Now(), editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="CallTrace",
            fields=[
                ("call_id", Identifier(max_length=64, primary_key=True, serialize=False)),
                ("node", Identifier(max_length=64)),
                ("account", Identifier(max_length=64)),
                ("caller", models.CharField(max_length=255)),
                ("dialled", models.CharField(max_length=255)),
                ("started_at", models.DateTimeField(db_index=True)),
                ("answered_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField()),
                ("cause", models.SmallIntegerField()),
                ("sip_status", models.SmallIntegerField(null=True)),
                ("ended_by", models.CharField(max_length=8)),
                ("keys", ArrayField(base_field=models.CharField(max_length=255), size=None)),
                ("body", models.BinaryField()),
            ],
            options={
                "indexes": [GinIndex(fields=["keys"], name="call_trace_keys")],
            },
        ),
        migrations.CreateModel(
            name="Binding",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "aor", "key", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("aor", Identifier(max_length=64)),
                ("key", Identifier(max_length=512)),
                ("contact", models.CharField(max_length=1024)),
                ("received", models.CharField(max_length=255, null=True)),
                ("path", ArrayField(base_field=models.CharField(max_length=512), size=None)),
                ("expires_at", models.DateTimeField()),
                ("q", models.FloatField()),
                ("call_id", models.CharField(max_length=255)),
                ("cseq", models.BigIntegerField()),
                ("instance", models.CharField(max_length=255, null=True)),
                ("reg_id", models.IntegerField(null=True)),
                ("user_agent", models.CharField(max_length=255)),
                ("node", Identifier(max_length=64)),
                ("socket", models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("tag", Identifier(max_length=64, primary_key=True, serialize=False)),
                ("node", Identifier(max_length=64)),
                ("account", Identifier(max_length=64)),
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
    ]
