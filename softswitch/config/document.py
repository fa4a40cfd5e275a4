# SPDX-License-Identifier: Apache-2.0
"""A YAML file as sections that know where they stand, so that every mistake is told with its line and its path.

A `Section` hands out the values that are asked for, notes what is wrong instead of stopping at it, and knows at its end
which keys nobody asked for. Values are read from their text as written: YAML's own reading of `off` (a boolean) or
`1:30` (ninety) never gets in the way.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeVar

import yaml

from softswitch.config.yaml_text import NULL_TAG, Problem, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

__all__ = ["Document", "Problem", "Section", "WrongValueError", "did_you_mean", "read_document"]

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

    def complain(self, node: yaml.Node, path: str, text: str) -> None:
        self.problems.append(Problem(node.start_mark.line + 1, path, text))

    def has_problem_below(self, path: str) -> bool:
        return any(problem.path.startswith(path) for problem in self.problems)

    def complain_at(self, path: str, text: str) -> None:
        """Complains of a value that was read before (`path` as in `lines`)."""
        self.problems.append(Problem(self.lines.get(path, 1), path, text))

    def warn_at(self, path: str, text: str) -> None:
        """As `complain_at`, for what looks wrong but stops nothing."""
        self.warnings.append(Problem(self.lines.get(path, 1), path, text))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean "udp"?)` for the nearest known word, or nothing."""
    spelled = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower(), spelled, n=1, cutoff=0.6)
    return f' (did you mean "{spelled[near[0]]}"?)' if near else ""


def read_document(file: Path) -> tuple[Document, Section]:
    """Reads a file's outermost section; syntax errors become the document's problems, with an empty section."""
    document = Document(file)
    found, document.problems = compose(file)
    if found is not None and not isinstance(found, yaml.MappingNode):
        document.complain(found, "", 'expected "key: value" lines')
    document.unreadable = bool(document.problems)
    return document, Section(document, found if isinstance(found, yaml.MappingNode) else None, "")


class Section:
    """A mapping of the file; used as a context manager, it complains at its end of keys that nobody asked for."""

    def __init__(self, document: Document, node: yaml.MappingNode | None, path: str) -> None:
        self.document = document
        self.path = path
        self._known: set[str] = set()
        self._nodes: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value if node else ():
            key = str(key_node.value)
            if key in self._nodes:
                first = self._nodes[key][0].start_mark.line + 1
                document.complain(key_node, self.path_of(key), f"given twice, first in line {first}")
            self._nodes[key] = (key_node, value_node)

    def path_of(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for key in self._nodes.keys() - self._known:
            hint = did_you_mean(key, self._known)
            known = "" if hint else f"; known here: {', '.join(sorted(self._known))}"
            self.document.complain(self._nodes[key][0], self.path_of(key), f"unknown key{hint}{known}")

    def has(self, key: str) -> bool:
        """Whether the key stands in the file with a value other than null."""
        self._known.add(key)
        return self._node(key) is not None

    def value(self, key: str, parse: Callable[[str], T], default: D) -> T | D:
        """The parsed text of a key; `default` where it is missing, null or wrong (a mistake is noted)."""
        node = self._node(key)
        if node is None:
            return default
        found = self._scalar(node, self.path_of(key), parse)
        return default if found is None else found

    def values(self, key: str, parse: Callable[[str], T], default: tuple[T, ...]) -> tuple[T, ...]:
        """The parsed items of a list; a single item needs no brackets."""
        node = self._node(key)
        if node is None:
            return default
        path = self.path_of(key)
        if isinstance(node, yaml.ScalarNode):
            found = self._scalar(node, path, parse)
            return default if found is None else (found,)
        if not isinstance(node, yaml.SequenceNode):
            self.document.complain(node, path, "expected a list")
            return default
        self.document.lines[path] = node.start_mark.line + 1
        items = (self._scalar(item, f"{path}[{index}]", parse) for index, item in enumerate(node.value))
        return tuple(item for item in items if item is not None)

    def section(self, key: str) -> Section:
        """The mapping under a key; an empty one where the key is missing, null or no mapping (which is noted)."""
        node = self._node(key)
        if node is not None and not isinstance(node, yaml.MappingNode):
            self.document.complain(node, self.path_of(key), "expected keys of its own below it")
            node = None
        return Section(self.document, node, self.path_of(key))

    def is_mapping(self, key: str) -> bool:
        """Whether keys of their own stand below the key."""
        return isinstance(self._node(key), yaml.MappingNode)

    def words(self) -> Iterator[str]:
        """Every key as written, for sections whose keys are the administrator's own words."""
        for key in list(self._nodes):
            self._known.add(key)
            yield key

    def complain(self, key: str, text: str) -> None:
        """Notes a mistake of a key that stands in the file."""
        self._known.add(key)
        self.document.complain(self._nodes[key][0], self.path_of(key), text)

    def _node(self, key: str) -> yaml.Node | None:
        self._known.add(key)
        node = self._nodes[key][1] if key in self._nodes else None
        return None if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == NULL_TAG) else node

    def _scalar(self, node: yaml.Node, path: str, parse: Callable[[str], T]) -> T | None:
        self.document.lines[path] = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode):
            self.document.complain(node, path, "expected a single value")
            return None
        try:
            return parse(str(node.value))
        except WrongValueError as wrong:
            self.document.complain(node, path, str(wrong))
            return None
