# SPDX-License-Identifier: Apache-2.0
"""How tables lie on the disk, and what Django cannot say of them."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

FILLED: dict[str, int] = {
    "account": 90, "accountuse": 50, "activecall": 60, "balance": 60, "binding": 60, "node": 50, "pinfailure": 60,
    "redemption": 80, "subscription": 60, "voucher": 85, "voucherguess": 60,
}  # fmt: skip
"""Per cent. Rows that change in place leave room on their page, so that an update touches no index (HOT)."""

COMPRESSED = ("calltrace.body", "greeting.data", "voicesound.data")
"""Columns that do not become smaller: the body comes compressed, and recorded sound does not compress."""

OFTEN_VACUUMED = """
ALTER TABLE billing_activecall SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)"""

ADDRESSES = r"""
CREATE INDEX alias_address ON billing_alias (name) WHERE name ~ '^(\d{1,3}\.){3}\d{1,3}$|:.*:'"""
"""Names that are addresses tell who calls from there; see the function `addresses`."""

SPELLINGS = """
ALTER TABLE billing_alias ADD CONSTRAINT alias_spelling CHECK (name !~ '^[+*#]' AND name !~* '^urn:') NOT VALID"""
"""No new name is another spelling of a number, a star code or a service. Names that a store had already stayed;
`softswitch doctor` tells of them."""


def external(column: str) -> str:
    """The statement that stores a column, TABLE.NAME, as it comes."""
    table, name = column.split(".")
    return f"ALTER TABLE billing_{table} ALTER COLUMN {name} SET STORAGE EXTERNAL"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0004_messages_and_vouchers")]

    operations: ClassVar = [
        migrations.RunSQL(
            [
                *(f"ALTER TABLE billing_{table} SET (fillfactor = {share})" for table, share in FILLED.items()),
                *map(external, COMPRESSED),
                OFTEN_VACUUMED,
                ADDRESSES,
                SPELLINGS,
            ],
            migrations.RunSQL.noop,
        )
    ]
