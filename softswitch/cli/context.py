# SPDX-License-Identifier: Apache-2.0
"""What the commands share: the configuration they work on, the store behind it, and how results are shown."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing.audit_log.actor import ActionError
from billing_client.rules.currencies import amount_text as amount
from softswitch.config import Configuration, load
from softswitch.processes.actor import command_line
from softswitch.processes.store import StoreError, open_store
from softswitch.shown import json_text, one_line, some_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment

    from billing.audit_log.actor import Actor
    from billing_client.secrets.keyring import KeyFile

__all__ = ["FAILED", "STORE_UNREACHABLE", "WRONG", "Column", "Shell", "amount_text", "json_option"]

FAILED = 1
"""Exit status: what was asked for could not be done."""
WRONG = 2
"""Exit status: the command line or the configuration is wrong."""
STORE_UNREACHABLE = 3
"""Exit status: the store cannot be reached."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON list with every field.")
"""An option that commands share; the others stand with their command."""

GAP = "   "
GOOD, BAD, QUIET = "green", "red", "dim"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the key of the rows, its heading, and how its values read."""

    key: str
    heading: str
    is_number: bool = False
    grows: bool = False
    """Wraps where the terminal is narrow; the others keep their width."""
    is_dispensable: bool = False
    """Left out where the terminal is too narrow for all; --json always has it."""


class PlainConsole(Console):
    """A console through which no text can act on the terminal, whoever wrote it; styles are ours."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=some_lines(segment.text))


def console(*, to_stderr: bool = False) -> Console:
    """A console that keeps whole lines when its output goes into a file or another program."""
    stream = sys.stderr if to_stderr else sys.stdout
    return PlainConsole(file=stream, width=None if stream.isatty() else 200, highlight=False, soft_wrap=False)


@dataclass(slots=True)
class Shell:
    """The surroundings of one command."""

    file: Path
    out: Console = field(default_factory=console)
    err: Console = field(default_factory=lambda: console(to_stderr=True))

    def configuration(self) -> Configuration:
        """The checked configuration; raises `ConfigurationInvalidError`."""
        return load(self.file)

    @contextmanager
    def store(self, *, make: bool = False) -> Iterator[Actor]:
        """The store, and as whom we act on it; an embedded one that does not run is started for the time.

        `make`: make an embedded store that is not there yet.
        """
        with open_store(self.configuration(), make=make) as dsn:
            from django.db import (  # Django takes a while: only where it is needed
                DataError,
                OperationalError,
                ProgrammingError,
            )

            from billing.store.preparing import StoreVersionError, is_migrated, setup
            from billing_client.secrets.keyring import KeyRingError

            setup(dsn, self.keys())
            try:
                yield command_line()
            except ActionError as refused:
                raise click.ClickException(str(refused)) from refused
            except (KeyRingError, StoreVersionError) as error:
                raise StoreError(str(error)) from error
            except OperationalError as error:
                raise StoreError(f"the store cannot be reached: {str(error).strip()}") from error
            except (DataError, UnicodeEncodeError) as error:
                raise click.ClickException(f"the store cannot keep that: {str(error).splitlines()[0]}") from error
            except ProgrammingError as error:
                if is_migrated():
                    raise
                raise StoreError('the store\'s tables are not up to date: run "softswitch migrate"') from error

    def keys(self) -> KeyFile:
        """The file of the keys that seal passwords."""
        from billing_client.secrets.keyring import KeyFile
        from softswitch.vouchers import keys_file

        return KeyFile(keys_file(self.configuration()))

    def show(
        self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool, nothing: str
    ) -> None:
        """Shows rows as a table, or as a JSON list with every field; `nothing` is said of an empty table."""
        if as_json:
            self.json(list(rows))
        elif not rows:
            self.out.print(nothing, style=QUIET)
        else:
            self.out.print(_table(rows, columns, self.out.width))

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Table:
        """A table that fits the terminal, for a view that is drawn again and again."""
        return _table(rows, columns, self.out.width)

    def json(self, value: object) -> None:
        """Prints a value for a script."""
        self.out.file.write(json_text(value, indent=2, default=_plain) + "\n")

    def done(self, text: str) -> None:
        self.out.print(Text.assemble(("✓ ", GOOD), text))

    def failed(self, text: str) -> None:
        self.err.print(Text.assemble(("✗ ", BAD), text))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], width: int) -> Table:
    """A table that fits: columns without any value go, then dispensable ones from the right, then long values wrap."""
    shown = [column for column in columns if any(row.get(column.key) not in (None, "", []) for row in rows)]
    cells = {column.key: [_readable(row.get(column.key), row.get("currency")) for row in rows] for column in shown}

    def needed() -> int:
        return sum(max(map(len, (column.heading, *cells[column.key]))) + len(GAP) for column in shown) - len(GAP)

    for column in [column for column in reversed(shown) if column.is_dispensable]:
        if needed() > width:
            shown.remove(column)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", padding=(0, 1))
    for column in shown:
        table.add_column(
            column.heading,
            justify="right" if column.is_number else "left",
            no_wrap=not column.grows,
            overflow="fold" if column.grows else "ellipsis",
            min_width=12 if column.grows else None,
        )
    for index in range(len(rows)):
        table.add_row(*(Text(cells[column.key][index]) for column in shown))
    return table


def _readable(value: object, currency: str | None) -> str:
    """A value as a person reads it: instants in local time, amounts with the decimals of their currency or more."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone().strftime("%m-%d %H:%M:%S")
        case Decimal():
            return amount(value, currency)
        case list() | tuple():
            return ", ".join(_readable(item, currency) for item in value)
    return one_line(str(value))


def amount_text(written: str | None, currency: str | None = None) -> str:
    """An amount that came as text."""
    return "" if written is None else amount(Decimal(written), currency)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
