# SPDX-License-Identifier: Apache-2.0
"""Commands that list things or show one of them: they take the same options and answer in the same ways.

One rule for all: the plural lists and searches (`customers [TEXT]`), the singular shows one (`customer NAME`).
"""

from __future__ import annotations

import csv
import difflib
import functools
import json
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from billing.printing.cells import harmless
from billing_client.rules.currencies import amount_text
from softswitch.cli.context import json_option
from softswitch.shown import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from softswitch.cli.context import Column, Shell

    Row = Mapping[str, Any]

__all__ = ["csv_option", "limit_option", "listing", "one", "unknown", "write_csv"]

csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV with every field.")
limit_option = click.option(
    "--limit", default=1000, show_default=True, type=click.IntRange(1, 10_000_000), help="How many at most."
)


def listing(
    columns: Sequence[Column], *, nothing: str, csv_lacks: str = ""
) -> Callable[[Callable[..., list[Any]]], Callable[..., None]]:
    """Makes a command's body of a function that finds rows, given `limit` and whatever else the command takes.

    `nothing` is said where nothing is found; while TEXT was searched for, that none has it. `csv_lacks`: a
    field that CSV has not, for whoever reads it has it not.
    """

    def decorate(find: Callable[..., list[Any]]) -> Callable[..., None]:
        @limit_option
        @csv_option
        @json_option
        @click.pass_obj
        @functools.wraps(find)
        def command(shell: Shell, /, as_json: bool, as_csv: bool, **given: Any) -> None:
            with shell.store():
                rows = find(**given)
            if as_csv:
                write_csv(shell, rows, columns, lacks=csv_lacks)
                return
            text = given.get("text")
            shell.show(rows, columns, as_json=as_json, nothing=f'Nothing has "{text}".' if text else nothing)
            if len(rows) == given["limit"] and not as_json:
                shell.err.print(f"Only the first {len(rows)}: --limit takes more.", style="dim")

        return command

    return decorate


def one(kind: str) -> Callable[[Callable[[str], tuple[Row | None, Callable[[], list[Any]]]]], Callable[..., None]]:
    """Makes a command's body of a function that gives the thing of a name, and the query of all that there are."""

    def decorate(find: Callable[[str], tuple[Row | None, Callable[[], list[Any]]]]) -> Callable[..., None]:
        @click.argument("name")
        @json_option
        @click.pass_obj
        @functools.wraps(find)
        def command(shell: Shell, name: str, as_json: bool) -> None:
            with shell.store():
                row, others = find(name)
                names = [other["name"] for other in others()] if row is None else []
            if row is None:
                raise click.ClickException(unknown(kind, name, names))
            if as_json:
                shell.json(row)
                return
            table = Table.grid(padding=(0, 2))
            for title, value in row.items():
                said = _said(value, row.get("currency"))
                if said:
                    table.add_row(Text(title.replace("_", " "), style="bold"), Text(said))
            shell.out.print(table)

        return command

    return decorate


def unknown(kind: str, name: str, names: Sequence[str]) -> str:
    """That there is no such thing, with the nearest name that there is, or the command that lists them."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f' (did you mean "{one_line(near[0])}"?)' if near else f'; "softswitch {kind}s" lists them'
    return f'there is no {kind} "{one_line(name)}"{hint}'


def _said(value: object, currency: str | None) -> str:
    """A value as one reads it in a line of its own; empty: there is nothing to say."""
    match value:
        case None | "":
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        case Decimal():
            return amount_text(value, currency)
        case dict():
            return ", ".join(f"{key} {_said(each, currency)}" for key, each in value.items())
        case list() | tuple():
            return ", ".join(_said(each, currency) for each in value)
    return one_line(str(value))


def write_csv(shell: Shell, rows: Sequence[Row], columns: Sequence[Column], *, lacks: str = "") -> None:
    """Print rows as CSV with every field, those of `columns` first; without rows the headings alone."""
    first = [column.key for column in columns if column.key != lacks]
    fields = [*first, *(key for key in (rows[0] if rows else ()) if key not in {*first, lacks})]
    out = csv.writer(shell.out.file)
    out.writerow(fields)
    for row in rows:
        out.writerow([_cell(row.get(field)) for field in fields])


def _cell(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case bool():
            return "true" if value else "false"
        case dict() | list() | tuple():
            return json.dumps(value, ensure_ascii=False, default=str) if value else ""
    return harmless(value)
