# SPDX-License-Identifier: Apache-2.0
"""PINs at the telephone are counted like codes of vouchers; authorisation codes of companies; no account is a voucher."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


def run(part: str) -> migrations.RunSQL:
    """Run the .sql file beside this migration."""
    sql = Path(__file__).with_name(f"{part}.sql").read_text(encoding="utf-8")
    return migrations.RunSQL([sql], migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0010_batches")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="account",
            name="kind",
            field=models.CharField(
                choices=[
                    ("debit", "debit"),
                    ("credit", "credit with its own limit"),
                    ("subordinate", "credit within the customer's limit"),
                ],
                max_length=11,
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                name="account_kind", condition=Q(kind__in=("debit", "credit", "subordinate"))
            ),
        ),
        migrations.RemoveConstraint(model_name="alias", name="alias_form"),
        migrations.AddConstraint(
            model_name="alias",
            constraint=models.CheckConstraint(
                name="alias_form",
                condition=Q(name__regex=r"^([^\s@]+(@pstn)?|\d{4,32}@pin|[^\s@#]+#\d{2,16}@pin)$"),
            ),
        ),
        run("logins"),
    ]
