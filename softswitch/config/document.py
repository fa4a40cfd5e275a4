# SPDX-License-Identifier: Apache-2.0
"""A YAML file as sections that know where they stand, so that every mistake is told with its line and its path.

A `Section` hands out the values that are asked for, notes what is wrong instead of stopping at it, and knows at its end
which keys nobody asked for. Values are read from their text as written: YAML's own reading of `off` (a boolean) or
`1:30` (ninety) never gets in the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeVar

from billing.reading.reader import Fields
from softswitch.config.yaml_text import Problem, Written, WrittenList, WrittenMapping, compose, written_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

__all__ = ["Document", "Problem", "Section", "WrongValueError", "read_document"]

T = TypeVar("T")
D = TypeVar("D")


class WrongValueError(ValueError):
    """A value cannot be taken; the text says why, in words for an administrator."""


@dataclass(slots=True)
class Document:
    """What one reading of a file gathers."""

    file: Path
    unreadable: bool = False
    """The file is no YAML mapping at all."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    """What looks wrong but stops nothing."""
    lines: dict[str, int] = field(default_factory=dict)
    """Line of every value that was read, by its path such as `sip.listen[0]`."""

    def has_problem_below(self, path: str) -> bool:
        return any(problem.path.startswith(path) for problem in self.problems)

    def complain_at(self, path: str, text: str) -> None:
        """Complains of a value that was read before (`path` as in `lines`)."""
        self.problems.append(Problem(self.lines.get(path, 1), path, text))

    def warn_at(self, path: str, text: str) -> None:
        """As `complain_at`, for what looks wrong but stops nothing."""
        self.warnings.append(Problem(self.lines.get(path, 1), path, text))


def read_document(file: Path) -> tuple[Document, Section]:
    """Reads a file's outermost section; syntax errors become the document's problems, with an empty section."""
    document = Document(file)
    root, document.problems = compose(file)
    document.unreadable = bool(document.problems)
    found = None if root is None else written_tree(root, document.problems)
    if found is not None and not isinstance(found, WrittenMapping):
        document.unreadable = True
        document.problems.append(Problem(found.line, "", 'expected "key: value" lines'))
    return document, Section(document, found if isinstance(found, WrittenMapping) else None, "")


class Section(Fields):
    """A mapping of the file; used as a context manager, it complains at its end of keys that nobody asked for."""

    def __init__(self, document: Document, mapping: WrittenMapping | None, path: str) -> None:
        super().__init__({} if mapping is None else mapping, path)
        self.document = document
        self._lines = {} if mapping is None else mapping.lines

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def problem(self, field: str, text: str) -> None:
        """Notes a mistake of a key that stands in the file, at the key."""
        self._asked.add(field)
        self.document.problems.append(Problem(self._lines[field], self.where(field), text))

    def has(self, key: str) -> bool:
        """Whether the key stands in the file with a value other than null."""
        return self.bare(key) is not None

    def value(self, key: str, parse: Callable[[str], T], default: D) -> T | D:
        """The parsed text of a key; `default` where it is missing, null or wrong (a mistake is noted)."""
        found = self._scalar(self.bare(key), self.where(key), parse)
        return default if found is None else found

    def values(self, key: str, parse: Callable[[str], T], default: tuple[T, ...]) -> tuple[T, ...]:
        """The parsed items of a list; a single item needs no brackets."""
        written, path = self.bare(key), self.where(key)
        if not isinstance(written, WrittenList):
            if isinstance(written, WrittenMapping):
                self._complain(written, path, "expected a list")
                return default
            found = self._scalar(written, path, parse)
            return default if found is None else (found,)
        self.document.lines[path] = written.line
        if None in written:
            self._complain(written, f"{path}[{written.index(None)}]", "is empty")
        items = (self._scalar(item, f"{path}[{index}]", parse) for index, item in enumerate(written))
        return tuple(item for item in items if item is not None)

    def section(self, key: str) -> Section:
        """The mapping under a key; an empty one where the key is missing, null or no mapping (which is noted)."""
        written = self.bare(key)
        if written is not None and not isinstance(written, WrittenMapping):
            self._complain(written, self.where(key), "expected keys of its own below it")
            written = None
        return Section(self.document, written, self.where(key))

    def is_mapping(self, key: str) -> bool:
        """Whether keys of their own stand below the key."""
        return isinstance(self.bare(key), WrittenMapping)

    def words(self) -> Iterator[str]:
        """Every key as written, for sections whose keys are the administrator's own words."""
        self._asked.update(self._mapping)
        yield from self._mapping

    def _complain(self, written: Written | WrittenList | WrittenMapping, path: str, text: str) -> None:
        self.document.problems.append(Problem(written.line, path, text))

    def _scalar(
        self, written: Written | WrittenList | WrittenMapping | None, path: str, parse: Callable[[str], T]
    ) -> T | None:
        if written is None:
            return None
        self.document.lines[path] = written.line
        if not isinstance(written, Written):
            self._complain(written, path, "expected a single value")
            return None
        try:
            return parse(str(written))
        except WrongValueError as wrong:
            self._complain(written, path, str(wrong))
            return None
