# SPDX-License-Identifier: Apache-2.0
"""A gateway may have no port: then the DNS says where its name is. Those that are there keep theirs."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0017_sealed_passwords")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="gateway", name="port", field=models.PositiveIntegerField(blank=True, null=True)
        ),
    ]
