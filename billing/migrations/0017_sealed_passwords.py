# SPDX-License-Identifier: Apache-2.0
"""Room for sealed passwords; `softswitch migrate` seals those that are in clear, for that needs the keys."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0016_vouching")]

    operations: ClassVar = [
        migrations.AlterField(model_name="account", name="password", field=models.CharField(max_length=1024)),
        migrations.AlterField(
            model_name="gateway", name="password", field=models.CharField(blank=True, max_length=1024, null=True)
        ),
    ]
