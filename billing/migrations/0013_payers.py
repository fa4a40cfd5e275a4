# SPDX-License-Identifier: Apache-2.0
"""Forwarded calls count for who pays them; who may owe makes ten calls at a time unless he is given another limit."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0012_receipts")]

    operations: ClassVar = [
        migrations.AddField(model_name="activecall", name="forwards", field=models.CharField(max_length=64, null=True)),
        migrations.RunSQL([Path(__file__).with_name("payers.sql").read_text(encoding="utf-8")], migrations.RunSQL.noop),
    ]
