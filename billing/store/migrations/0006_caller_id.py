# SPDX-License-Identifier: Apache-2.0
"""Which numbers accounts may show, and how carriers want to be told."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Value


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0005_storage")]

    operations: ClassVar = [
        migrations.AddField(
            "account", "caller_id", models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
        ),
        migrations.AddField(
            "gateway", "caller_id", models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
        ),
    ]
