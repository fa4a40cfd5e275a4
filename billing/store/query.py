# SPDX-License-Identifier: Apache-2.0
"""One way to ask the store for plain rows."""

from __future__ import annotations

from typing import Any

from django.db import connection

__all__ = ["Row", "rows"]

Row = dict[str, Any]


def rows(sql: str, **parameters: Any) -> list[Row]:
    """What a statement finds, each row by the names of its columns."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
