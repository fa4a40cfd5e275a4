# SPDX-License-Identifier: Apache-2.0
"""The rules that the store enforces by itself, and the functions that the switch calls."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.db import migrations

PARTS = ("storage", "money", "calls", "parties", "bindings", "notifications")


def run(part: str) -> migrations.RunSQL:
    """Run the .sql file beside this migration."""
    sql = Path(__file__).with_name(f"{part}.sql").read_text(encoding="utf-8")
    return migrations.RunSQL([sql], migrations.RunSQL.noop)


class Migration(migrations.Migration):
    """All in one transaction."""

    dependencies: ClassVar = [("billing", "0001_tables")]
    operations: ClassVar = [run(part) for part in PARTS]
