# SPDX-License-Identifier: Apache-2.0
"""What every part of applying a document does: making and changing things, noting it, and naming what is wrong."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db import DataError, IntegrityError, models

from billing.document.change import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.document.contents import Named
    from billing.money.models import Balance

__all__ = ["ApplyError", "Applying", "at", "needed", "same_currency"]

Thing = TypeVar("Thing", bound=models.Model)

SECRET = {"password"}
MASK = "********"
TAKEN: Final = re.compile(r'"billing_alias_pkey"\s+DETAIL:\s+Key \(name\)=\((.*)\) already exists')


class ApplyError(Exception):
    """The document cannot be applied; nothing was changed."""

    def __init__(self, problems: list[str]) -> None:
        """`problems` each begin with the path of the mistake in the document."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Applying:
    """One run over a document, and what it has changed."""

    def __init__(self, merge: frozenset[str] = frozenset()) -> None:
        """`merge`: lists of things whose other entries stay."""
        self.merge = merge
        self.changes: list[Change] = []
        self._found: dict[tuple[type[models.Model], str], models.Model] = {}

    def create(
        self, model: type[Thing], kind: str, key_field: str, key: str, columns: dict[str, Any], value: str | None = None
    ) -> Thing:
        """Make a thing; `value` is its key where that must not be shown."""
        # The manager of a type variable is not known to the type checker.
        thing: Thing = model._default_manager.create(**{key_field: key if value is None else value}, **columns)
        self.note_new(kind, key, columns)
        return thing

    def note_new(self, kind: str, key: str, columns: dict[str, Any]) -> None:
        """Note a thing that is made."""
        self.changes.append(Change(kind, key, "", None, {field: _shown(field, columns[field]) for field in columns}))

    def update(self, thing: models.Model, kind: str, key: str, columns: dict[str, Any]) -> None:
        """Change what differs."""
        changed = {field: value for field, value in columns.items() if getattr(thing, field) != value}
        for field, value in changed.items():
            self.changes.append(Change(kind, key, field, _shown(field, getattr(thing, field)), _shown(field, value)))
            setattr(thing, field, value)
        if changed:
            thing.save(update_fields=changed.keys())

    def find(self, model: type[Thing], spec: Named, field: str, key: str, *related: str) -> Thing:
        """What a document refers to by its name; looked for once."""
        thing = self._found.get((model, key))
        if thing is None:
            thing = model._default_manager.select_related(*related).filter(name=key).first()
            if thing is None:
                raise ApplyError([f"{spec.path}.{field}: there is no {field} {key!r}"])
            self._found[model, key] = thing
        return thing  # type: ignore[return-value]  # of the model that it was found by


@contextmanager
def at(path: str) -> Iterator[None]:
    """Turn an objection of the store into a problem at this path."""
    try:
        yield
    except (DataError, IntegrityError) as error:
        raise ApplyError([f"{path}{_objection(str(error))}"]) from error


def _objection(text: str) -> str:
    if taken := TAKEN.search(text):
        return f".aliases: {taken[1]} is taken: it leads to another account already"
    return f": {text.splitlines()[0]}"


def needed(spec: Named, field: str, value: Any) -> Any:
    """A value without which the thing cannot be made."""
    if value is None:
        raise ApplyError([f"{spec.path}.{field}: is missing, and {spec.key} does not exist yet"])
    return value


def same_currency(spec: Named, balance: Balance, currency: str | None) -> None:
    """A balance keeps its currency."""
    if currency not in {None, balance.currency}:
        raise ApplyError([f"{spec.path}.currency: {spec.key} is kept in {balance.currency} and stays so"])


def _shown(field: str, value: Any) -> Any:
    if field in SECRET:
        return MASK
    return str(value) if isinstance(value, models.Model) else value
