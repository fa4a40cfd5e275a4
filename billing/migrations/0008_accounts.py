# SPDX-License-Identifier: Apache-2.0
"""The life cycle of accounts, and the switch of a customer's aliases."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


def days(name: str) -> migrations.AddField:
    """A term of an account in days; null: it has no such term."""
    return migrations.AddField(
        model_name="account", name=name, field=models.PositiveIntegerField(blank=True, null=True)
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0007_lamp")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="customer",
            name="timezone",
            field=models.CharField(db_default=models.Value("UTC"), default="UTC", max_length=64),
        ),
        migrations.AddField(
            model_name="customer",
            name="alias_authentication",
            field=models.BooleanField(db_default=models.Value(True), default=True),
        ),
        days("expire_after_first_use_days"),
        days("expire_after_last_use_days"),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                name="account_terms_positive",
                condition=Q(
                    expire_after_first_use_days__gte=1,
                    expire_after_first_use_days__lte=36_500,
                )
                | Q(expire_after_first_use_days__isnull=True),
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                name="account_last_use_positive",
                condition=Q(
                    expire_after_last_use_days__gte=1,
                    expire_after_last_use_days__lte=36_500,
                )
                | Q(expire_after_last_use_days__isnull=True),
            ),
        ),
        migrations.RemoveConstraint(model_name="alias", name="alias_form"),
        migrations.AddConstraint(
            model_name="alias",
            constraint=models.CheckConstraint(
                name="alias_form", condition=Q(name__regex=r"^([^\s@]+(@pstn)?|\d{4,32}@pin)$")
            ),
        ),
        migrations.CreateModel(
            name="AccountUse",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
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
        migrations.RunSQL(
            [Path(__file__).with_name("accounts.sql").read_text(encoding="utf-8")], migrations.RunSQL.noop
        ),
    ]
