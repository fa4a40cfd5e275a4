# SPDX-License-Identifier: Apache-2.0
"""Rates in bulk: compared in memory, written by COPY. A hundred thousand take seconds."""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Any

from django.db import connection

from billing.document.change import Change
from billing.document.contents import RateSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

__all__ = ["apply_rates"]

COLUMNS = tuple(field.name for field in fields(RateSpec))
KEY_COLUMNS = 2

Key = tuple[str, "datetime"]


def apply_rates(tariff_id: int, tariff: str, rates: Iterable[RateSpec], *, merge: bool = False) -> list[Change]:
    """Make these the rates of the tariff, `merge`: besides those there are; what does not differ is not touched."""
    wanted = {(rate.prefix, rate.effective_from): astuple(rate)[KEY_COLUMNS:] for rate in rates}
    present = _present(tariff_id)
    if merge:
        present = {key: terms for key, terms in present.items() if key in wanted}
    changes = [*_differences(tariff, present, wanted)]
    if not changes:
        return []
    with connection.cursor() as cursor:
        gone = [rate_id for key, (rate_id, _) in present.items() if key not in wanted]
        if gone:
            cursor.execute("DELETE FROM billing_rate WHERE id = ANY(%s)", [gone])
        new = [(*key, *terms) for key, terms in wanted.items() if key not in present or present[key][1] != terms]
        if new:
            _write(cursor, tariff_id, new)
    return changes


def _present(tariff_id: int) -> dict[Key, tuple[int, tuple[Any, ...]]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, {', '.join(COLUMNS)} FROM billing_rate WHERE tariff_id = %s", [tariff_id])
        return {(row[1], row[2]): (row[0], row[3:]) for row in cursor.fetchall()}


def _differences(
    tariff: str, present: dict[Key, tuple[int, tuple[Any, ...]]], wanted: dict[Key, tuple[Any, ...]]
) -> Iterator[Change]:
    for key, terms in wanted.items():
        name = f"{tariff}/{key[0]}"
        if key not in present:
            yield Change("rate", name, "", None, dict(zip(COLUMNS, (*key, *terms), strict=True)))
        elif present[key][1] != terms:
            for field, before, after in zip(COLUMNS[KEY_COLUMNS:], present[key][1], terms, strict=True):
                if before != after:
                    yield Change("rate", name, field, before, after)
    for key in present.keys() - wanted.keys():
        yield Change("rate", f"{tariff}/{key[0]}", "", "present", None)


def _write(cursor: Any, tariff_id: int, rows: list[tuple[Any, ...]]) -> None:
    names = ", ".join(COLUMNS)
    cursor.execute(f"CREATE TEMP TABLE rate_load AS SELECT {names} FROM billing_rate WITH NO DATA")
    with cursor.copy(f"COPY rate_load ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS[KEY_COLUMNS:])
    cursor.execute(
        f"INSERT INTO billing_rate (tariff_id, {names}) SELECT %s, {names} FROM rate_load"
        f" ON CONFLICT (tariff_id, prefix, effective_from) DO UPDATE SET {updates}",
        [tariff_id],
    )
    cursor.execute("DROP TABLE rate_load")
