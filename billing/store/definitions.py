# SPDX-License-Identifier: Apache-2.0
"""Functions, views and triggers as the files of `sql` define them, and as a store has them.

Each that we made carries the checksum of its text in its comment, so that the store itself says what is ours and what
is old: no table can disagree with it, and a dump brings it along.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.backends.utils import CursorWrapper

__all__ = ["Definition", "Key", "apply", "defined", "drop_views", "present", "stale"]

Kind = Literal["function", "view", "trigger"]
Key = tuple[Kind, str, str]
"""Kind, name and (of a trigger) the table."""

SQL: Final = Path(__file__).with_name("sql")
CALLS: Final = ("ActiveCall", "Xdr")
TRIGGERS: Final = "triggers.sql"
MARK: Final = "softswitch "
"""With this begins the comment of what is ours; the checksum follows."""

_TRIGGER: Final = re.compile(r"^CREATE (?:CONSTRAINT )?TRIGGER (\w+) .*?\bON (\w+)\b.*?;$", re.MULTILINE | re.DOTALL)
_COLUMNS: Final = re.compile(r"^( *)([a-z.]*)\{call\},\n", re.MULTILINE)
"""A line of `{call},` or `c.{call},` stands for all columns that live calls and records have in common."""
_CREATED: Final = re.compile(r"^CREATE (?:OR REPLACE )?(FUNCTION|VIEW) (\w+)", re.MULTILINE)

PRESENT: Final = """
SELECT 'function', p.proname, '', p.oid, coalesce(obj_description(p.oid, 'pg_proc'), '')
  FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
 UNION ALL
SELECT 'view', c.relname, '', c.oid, coalesce(obj_description(c.oid, 'pg_class'), '')
  FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'v'
 UNION ALL
SELECT 'trigger', t.tgname, c.relname, t.oid, coalesce(obj_description(t.oid, 'pg_trigger'), '')
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND NOT t.tgisinternal"""

REPLACED: Final = """
SELECT %s::regprocedure::text WHERE EXISTS (
    SELECT FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace AND p.proname = %s AND p.oid <> %s)"""
"""The function as it was, if the one of its name that was just made has other arguments."""

PIN_SEARCH_PATH: Final = """
DO $$
DECLARE
    here text := current_schema();
    function regprocedure;
BEGIN
    FOR function IN SELECT p.oid FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
                     WHERE p.pronamespace = here::regnamespace AND l.lanname = 'plpgsql'
                       AND NOT coalesce(array_to_string(p.proconfig, ' '), '') LIKE '%search_path=%'
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', function, here);
    END LOOP;
END $$"""
"""Functions find their tables whatever the session's search path is: that of a restore is empty. Those in PL/pgSQL
only: plain queries such as `parties` would not be inlined any more, and those that functions ask have the path of who
asks."""


@dataclass(frozen=True)
class Definition:
    """A function, a view (with triggers of its own) or a trigger of a table, as its file defines it."""

    kind: Kind
    name: str
    table: str
    """Of a trigger; else empty."""
    text: str
    file: Path

    @property
    def key(self) -> Key:
        """What tells it from the others."""
        return self.kind, self.name, self.table

    @cached_property
    def mark(self) -> str:
        """The comment that it carries in the store."""
        return MARK + sha256(self.text.encode()).hexdigest()[:32]

    @property
    def marking(self) -> str:
        """The statement that makes it carry that."""
        return f"COMMENT ON {_called(self.key)} IS '{self.mark}';"


@dataclass(frozen=True, slots=True)
class Found:
    """One of ours in the store."""

    oid: int
    mark: str


def defined() -> dict[Key, Definition]:
    """All that the files define. Raises ValueError where a file does not define what its name says."""
    found: dict[Key, Definition] = {}
    for file in sorted(SQL.glob("*/*.sql")):
        for one in _read(file):
            if one.key in found:
                raise ValueError(f"{' '.join(one.key)}: defined by {found[one.key].file} and {file}")
            found[one.key] = one
    return found


def _read(file: Path) -> Iterator[Definition]:
    text = _COLUMNS.sub(_columns, file.read_text(encoding="utf-8"))
    if file.name == TRIGGERS:
        for each in _TRIGGER.finditer(text):
            yield Definition("trigger", each[1], each[2], each[0], file)
        return
    created = _CREATED.findall(text)
    if [name for _, name in created] != [file.stem]:
        raise ValueError(f"{file}: defines {created}, and shall define {file.stem} alone")
    yield Definition("view" if created[0][0] == "VIEW" else "function", file.stem, "", text, file)


def _columns(line: re.Match[str]) -> str:
    """What a live call and its record have in common."""
    from django.apps import apps

    live, ended = ([field.column for field in apps.get_model("billing", name)._meta.fields] for name in CALLS)
    names = [column for column in live if column in ended]
    return line[1] + ", ".join(f"{line[2]}{name}" for name in names) + ",\n"


def present(cursor: CursorWrapper) -> dict[Key, Found]:
    """What of ours the store has."""
    cursor.execute(PRESENT)
    return {(kind, name, table): Found(oid, mark)
            for kind, name, table, oid, mark in cursor.fetchall() if mark.startswith(MARK)}  # fmt: skip


def stale(wanted: Mapping[Key, Definition], found: Mapping[Key, Found]) -> list[Key]:
    """What is to be made, made anew, or dropped."""
    made = [key for key, one in wanted.items() if key not in found or found[key].mark != one.mark]
    return made + [key for key in found if key not in wanted]


def drop_views(cursor: CursorWrapper, found: Mapping[Key, Found]) -> None:
    """Drop the views, which hold on to columns and functions; `apply` makes them again."""
    if names := [name for kind, name, _ in found if kind == "view"]:
        cursor.execute(f"DROP VIEW {', '.join(names)}")  # all at once: they ask each other


def apply(cursor: CursorWrapper, wanted: Mapping[Key, Definition], found: Mapping[Key, Found]) -> None:
    """Make what is stale, and the views, in the transaction of the caller.

    Functions are replaced in place, which no call that runs meanwhile notices, unless their arguments changed. Triggers
    are made anew only where they changed, because that locks their table.
    """
    changed = stale(wanted, found)
    functions, triggers = (
        [wanted[key] for key in changed if key in wanted and key[0] == kind] for kind in ("function", "trigger")
    )
    _drop(cursor, (key for key in changed if key[0] == "trigger" and key in found))
    _drop(cursor, (key for key in changed if key[0] == "function" and key not in wanted))
    cursor.execute("SET LOCAL check_function_bodies = off")  # they speak of others that come later
    for one in functions:
        if one.key in found:
            _replace(cursor, one, found[one.key])
    _make(cursor, (one for one in functions if one.key not in found))
    cursor.execute(PIN_SEARCH_PATH)
    _make(cursor, _in_order([one for one in wanted.values() if one.kind == "view"]))
    _make(cursor, triggers)


def _replace(cursor: CursorWrapper, one: Definition, former: Found) -> None:
    from django.db import ProgrammingError, transaction

    try:
        with transaction.atomic():
            cursor.execute(one.text)
    except ProgrammingError:  # it returns something else, or its arguments have other names
        _drop(cursor, [one.key])
        cursor.execute(one.text)
    else:
        cursor.execute(REPLACED, [former.oid, one.name, former.oid])
        for (signature,) in cursor.fetchall():
            cursor.execute(f"DROP FUNCTION {signature}")
    cursor.execute(one.marking)


def _make(cursor: CursorWrapper, definitions: Iterable[Definition]) -> None:
    if statements := [part for one in definitions for part in (one.text, one.marking)]:
        cursor.execute("\n".join(statements))


def _in_order(views: list[Definition]) -> Iterator[Definition]:
    """Each after those that it asks."""
    asked = {one.name: {other.name for other in views if re.search(rf"\b{other.name}\b", one.text)} for one in views}
    by_name = {one.name: one for one in views}
    for name in TopologicalSorter({name: others - {name} for name, others in asked.items()}).static_order():
        yield by_name[name]


def _drop(cursor: CursorWrapper, keys: Iterable[Key]) -> None:
    if statements := [f"DROP {_called(key)};" for key in keys]:
        cursor.execute("\n".join(statements))


def _called(key: Key) -> str:
    kind, name, table = key
    return f"{kind} {name} ON {table}" if table else f"{kind} {name}"
