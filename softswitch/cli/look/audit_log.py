# SPDX-License-Identifier: Apache-2.0
"""The log of what was done, as it is shown."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from billing.printing.cells import harmless
from softswitch.cli.context import Column, json_option
from softswitch.cli.times import Instant
from softswitch.shown import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from billing.store.query import Row
    from softswitch.cli.context import Shell

__all__ = ["auditlog"]

AUDIT_LOG = (
    Column("at", "At"),
    Column("actor", "Who"),
    Column("from", "From", grows=True),
    Column("action", "What"),
    Column("subject", "To", grows=True),
    Column("changes", "Changed", grows=True),
    Column("reason", "Why", grows=True),
    Column("details", "Details", grows=True),
)
CSV = ("at", "actor", "role", "via", "origin", "action", "kind", "subject", "reason", "before", "after", "details")


@click.command()
@click.option("--account", help="Only what was done to this account: its number, an alias, or such as Spring/17.")
@click.option("--actor", default="", help="Only what this one did.")
@click.option("--action", default="", help="Only actions that begin so, such as accounts.")
@click.option("--subject", default="", help="Only what was done to this, such as a batch.")
@click.option("--since", type=Instant(), help="A time such as 2026-12-01T08:00, or 30m, 2h, 1d ago.")
@click.option("--until", type=Instant(), help="Before that time.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000_000), help="How many at most.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with every field.")
@json_option
@click.pass_obj
def auditlog(shell: Shell, /, account: str | None, as_csv: bool, as_json: bool, **filters: Any) -> None:
    """What was done, by whom, from where, and what it changed; the newest first."""
    with shell.store():
        from billing.audit_log.queries import audit_log
        from billing.customers.queries import number_of

        rows = audit_log(account=number_of(account) if account else "", **filters)
    if as_csv:
        _write_csv(shell, rows)
        return
    shown = rows if as_json else [_readable(row) for row in rows]
    shell.show(shown, AUDIT_LOG, as_json=as_json, nothing="Nothing is noted.")


def _readable(row: Row) -> Row:
    where = ", ".join(filter(None, (row["via"], row["origin"])))
    changes = ", ".join(_changes(row["before"], row["after"]))
    return row | {"from": where, "changes": changes, "details": ", ".join(_details(row["details"]))}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Such as `state active -> blocked`; of a whole thing that it was made or removed, with what it has or had."""
    whole = after if "thing" in after else before if "thing" in before else None
    if whole is not None:
        yield "made" if whole is after else "removed"
        yield from (f"{name} {_value(value)}" for name, value in whole.items() if name != "thing")
        return
    for name in {**before, **after}:
        yield f"{name} {_value(before.get(name))} -> {_value(after.get(name))}"


def _details(details: Mapping[str, Any]) -> Iterator[str]:
    """What else a row tells, in words."""
    for name, value in details.items():
        if isinstance(value, dict):
            yield from (f"{each} -> {_value(to)}" for each, to in value.items())
        elif value not in (None, False, ""):
            yield name if value is True else f"{name} {value}"


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def _write_csv(shell: Shell, rows: Sequence[Row]) -> None:
    out = csv.writer(shell.out.file)
    out.writerow(CSV)
    for row in rows:
        out.writerow([_cell(row[name]) for name in CSV])


def _cell(value: Any) -> str:
    """A value that no spreadsheet takes for a formula: whoever gives reasons and names must not act there."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(harmless(json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else one_line(str(value))))
