# SPDX-License-Identifier: Apache-2.0
"""The command that writes the document that `softswitch apply` reads."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from softswitch.cli.context import Shell

__all__ = ["export", "written"]

HEAD: Final = """\
# What "softswitch apply" reads (docs/apply.md). What is not said of a thing is as a new one has it.
# Aliases that are not here (PINs of cards, numbers claimed by telephone) stay where they are:
merge: [aliases]
"""
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_/-]*")
_MEANS_ELSE: Final = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


@click.command()
@click.option("--customer", help="Only this customer, its accounts, and what they are charged by.")
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A new file, readable by you only."
)
@click.option("--secrets", is_flag=True, help="With passwords and PINs of cards; it is noted.")
@click.pass_obj
def export(shell: Shell, customer: str | None, output: Path | None, secrets: bool) -> None:
    """Write the document that "softswitch apply" reads.

    Passwords and PINs are left out, and an account made of it gets a new password.
    """
    with shell.store() as actor:
        from billing.exporting import actions

        lists = actions.export(actor, customer=customer, secrets=secrets)
        try:
            with _file(output, shell.out.file) as file:
                for part in written(lists):
                    file.write(part)
        except FileExistsError as error:
            raise click.ClickException(f"{output} is there already: name a new file") from error
    if output is not None:
        shell.done(f"written to {output}")


@contextmanager
def _file(path: Path | None, standard: Any) -> Iterator[TextIO]:
    if path is None:
        yield standard
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        yield file


def written(lists: Iterable[tuple[str, Iterable[Mapping[str, Any]]]]) -> Iterator[str]:
    """The text of a document, piece by piece: a thing a block, a part of one a line."""
    yield HEAD
    for name, things in lists:
        yield from _list(name, things)


def _list(name: str, things: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    head = f"{name}:\n"
    for thing in things:
        yield head
        head, mark = "", "-"
        for key, value in thing.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                yield f"  {mark} {key}:\n" + "".join(f"      - {_flow(item)}\n" for item in value)
            else:
                yield f"  {mark} {key}: {_flow(value)}\n"
            mark = " "


def _flow(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value.normalize(), "f")
        case int() | date():
            return value.isoformat() if isinstance(value, date) else str(value)
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
    text = str(value)
    plain = _WORD.fullmatch(text) and text.lower() not in _MEANS_ELSE
    return text if plain else json.dumps(text, ensure_ascii=False)
