# SPDX-License-Identifier: Apache-2.0
"""Accounts in batches; many accounts made or changed by one statement."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0009_vouchers")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="account",
            name="batch",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="accounts",
                to="billing.batch",
            ),
        ),
        migrations.AddField(
            model_name="account", name="control_number", field=models.PositiveIntegerField(blank=True, null=True)
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                name="account_control_number_form",
                condition=Q(batch__isnull=True, control_number__isnull=True)
                | Q(batch__isnull=False, control_number__isnull=False, control_number__gte=1),
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(name="account_control_number", fields=("batch", "control_number")),
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
                    ("adjustment", "Adjustment"),
                ],
                max_length=10,
            ),
        ),
        migrations.RunSQL(
            [Path(__file__).with_name("account_batches.sql").read_text(encoding="utf-8")], migrations.RunSQL.noop
        ),
    ]
