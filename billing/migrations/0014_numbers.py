# SPDX-License-Identifier: Apache-2.0
"""Numbers as carriers want them; no new name is another spelling of a number, a star code or a service."""

from __future__ import annotations

from typing import ClassVar

import django.db.models
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0013_payers")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="gateway",
            name="number_format",
            field=models.CharField(
                choices=[("digits", "Digits"), ("e164", "E164")],
                db_default=django.db.models.Value("digits"),
                default="digits",
                max_length=6,
            ),
        ),
        migrations.AddConstraint(
            model_name="gateway",
            constraint=models.CheckConstraint(
                condition=models.Q(("number_format__in", ("digits", "e164"))), name="gateway_number_format"
            ),
        ),
        # Names that a store has already stay; `softswitch doctor` tells of them.
        migrations.RunSQL(
            "ALTER TABLE billing_alias ADD CONSTRAINT alias_spelling"
            " CHECK (name !~ '^[+*#]' AND name !~* '^urn:') NOT VALID",
            "ALTER TABLE billing_alias DROP CONSTRAINT alias_spelling",
        ),
    ]
