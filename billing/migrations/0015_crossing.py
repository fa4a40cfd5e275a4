# SPDX-License-Identifier: Apache-2.0
"""What a carrier gets in From of a call that an account of ours forwards."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q, Value


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0014_numbers")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="gateway",
            name="forwarded_caller",
            field=models.CharField(
                choices=[("original", "Original"), ("forwarder", "Forwarder")],
                db_default=Value("original"),
                default="original",
                max_length=9,
            ),
        ),
        migrations.AddConstraint(
            model_name="gateway",
            constraint=models.CheckConstraint(
                name="gateway_forwarded_caller", condition=Q(forwarded_caller__in=("original", "forwarder"))
            ),
        ),
    ]
