# SPDX-License-Identifier: Apache-2.0
"""The time zone of customers."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0007_lamp")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="customer",
            name="timezone",
            field=models.CharField(db_default=models.Value("UTC"), default="UTC", max_length=64),
        ),
    ]
