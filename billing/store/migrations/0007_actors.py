# SPDX-License-Identifier: Apache-2.0
"""The log tells as whom, by what and from where somebody acted, why, and what it was before and after."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from billing.store.fields import Identifier


def text(length: int) -> models.CharField[str, str]:
    return models.CharField(db_default="", default="", max_length=length)


def mapping() -> models.JSONField[object, object]:
    return models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0006_caller_id")]

    operations: ClassVar = [
        migrations.AddField("auditlog", "role", text(64)),
        migrations.AddField("auditlog", "via", text(16)),
        migrations.AddField("auditlog", "origin", text(255)),
        migrations.AddField("auditlog", "kind", Identifier(db_default="", default="", max_length=16)),
        migrations.AddField("auditlog", "reason", models.TextField(db_default="", default="")),
        migrations.AddField("auditlog", "before", mapping()),
        migrations.AddField("auditlog", "after", mapping()),
        migrations.AddIndex("auditlog", models.Index(fields=["subject", "at"], name="audit_log_subject")),
    ]
