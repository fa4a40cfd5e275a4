# SPDX-License-Identifier: Apache-2.0
"""Number plans, extensions, prices of calls between accounts of ours, and where calls for help go."""

from __future__ import annotations

from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import billing.store.fields


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("billing", "0011_costs"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="EmergencyCall",
            fields=[
                ("call_id", billing.store.fields.Identifier(max_length=64, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ("node", billing.store.fields.Identifier(max_length=64)),
                ("account", models.CharField(max_length=64)),
                ("customer", models.CharField(max_length=120)),
                ("dialled", models.CharField(max_length=64)),
                ("callback", models.CharField(db_default=models.Value(""), max_length=64)),
                ("location", models.CharField(db_default=models.Value(""), max_length=255)),
                ("gateways", models.CharField(db_default=models.Value(""), max_length=255)),
                (
                    "recipients",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=254),
                        db_default=models.Value([]),
                        default=list,
                        size=None,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(db_default=0)),
                ("due_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="EmergencyRoute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", billing.store.fields.Identifier(blank=True, max_length=18)),
                ("country", billing.store.fields.Identifier(blank=True, max_length=2)),
                ("area", billing.store.fields.Identifier(blank=True, max_length=8)),
                ("position", models.PositiveSmallIntegerField(db_default=1, default=1)),
                ("send", models.CharField(blank=True, db_default=models.Value(""), max_length=18)),
            ],
        ),
        migrations.AddField(
            model_name="account",
            name="emergency",
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddField(
            model_name="account",
            name="extension",
            field=billing.store.fields.Identifier(blank=True, db_default=models.Value(""), default="", max_length=6),
        ),
        migrations.AddField(
            model_name="account",
            name="numbering",
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddField(
            model_name="activecall",
            name="typed",
            field=models.CharField(db_default=models.Value(""), default="", max_length=64),
        ),
        migrations.AddField(
            model_name="customer",
            name="emergency",
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddField(
            model_name="customer",
            name="numbering",
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddField(
            model_name="product",
            name="between",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="between_products",
                to="billing.tariff",
            ),
        ),
        migrations.AddField(
            model_name="product",
            name="inside",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="inside_products",
                to="billing.tariff",
            ),
        ),
        migrations.AddField(
            model_name="xdr",
            name="typed",
            field=models.CharField(db_default=models.Value(""), default="", max_length=64),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("extension__regex", "^[0-9]{0,6}$")), name="account_extension_form"
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(
                condition=models.Q(("extension", ""), _negated=True),
                fields=("customer", "extension"),
                name="account_extension",
            ),
        ),
        migrations.AddIndex(
            model_name="emergencycall",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="emergency_call_due"
            ),
        ),
        migrations.AddIndex(
            model_name="emergencycall",
            index=models.Index(fields=["at"], name="emergency_call_at"),
        ),
        migrations.AddField(
            model_name="emergencyroute",
            name="gateway",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="emergency_routes",
                to="billing.gateway",
            ),
        ),
        migrations.AddConstraint(
            model_name="emergencyroute",
            constraint=models.UniqueConstraint(
                fields=("gateway", "number", "country", "area"), name="emergency_route_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="emergencyroute",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("number__regex", "^[0-9]*$"), ("area__regex", "^[0-9]*$"), ("send__regex", "^[+]?[0-9]*$")
                ),
                name="emergency_route_digits",
            ),
        ),
    ]
