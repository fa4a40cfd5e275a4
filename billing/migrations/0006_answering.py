# SPDX-License-Identifier: Apache-2.0
"""How accounts answer: modes, forwards, follow-me; calls that are forwarded."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models

DIRECTIONS = (
    ("internal", "Internal"),
    ("outgoing", "Outgoing"),
    ("incoming", "Incoming"),
    ("forwarded", "Forwarded"),
)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0005_voicemail")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="account",
            name="answering",
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddField(model_name="activecall", name="forward", field=models.CharField(max_length=120, null=True)),
        migrations.AddIndex(
            model_name="activecall",
            index=models.Index(
                name="active_call_forward", fields=["account_id"], condition=models.Q(forward__isnull=False)
            ),
        ),
        *(
            migrations.AlterField(
                model_name=model, name="direction", field=models.CharField(max_length=9, choices=DIRECTIONS)
            )
            for model in ("activecall", "xdr")
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                name="account_answering_form",
                condition=models.Q(answering__mode__isnull=True)
                | models.Q(
                    answering__mode__in=(
                        "ring",
                        "forward",
                        "voicemail",
                        "ring_then_forward",
                        "ring_then_voicemail",
                        "forward_then_voicemail",
                        "ring_then_forward_then_voicemail",
                        "reject",
                    )
                ),
            ),
        ),
        migrations.RunSQL(
            [Path(__file__).with_name("answering.sql").read_text(encoding="utf-8")], migrations.RunSQL.noop
        ),
    ]
