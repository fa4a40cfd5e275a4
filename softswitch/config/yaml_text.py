# SPDX-License-Identifier: Apache-2.0
"""YAML as it is written: every scalar stays its text, everything knows its line, nothing is there twice.

YAML reads `0606` as 390, `12:30:45` as 45045 and the second of two equal keys without a word; a document of an
administrator says what stands in it. What is nested or repeated by anchors beyond reason is refused before it is built.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["NULL_TAG", "Problem", "Written", "WrittenList", "WrittenMapping", "compose", "line_of", "written_tree"]

NULL_TAG: Final = "tag:yaml.org,2002:null"
MERGE_TAG: Final = "tag:yaml.org,2002:merge"
DEEPEST: Final = 40
LARGEST: Final = 20_000_000
"""Values of a document, each counted as often as anchors repeat it."""
# libyaml where PyYAML was built with it: ten times as fast, the same nodes
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file."""

    line: int
    path: str
    text: str


class Written(str):
    """The text of a scalar."""

    __slots__ = ("line",)
    line: int


class WrittenMapping(dict[str, Any]):
    """A mapping; `line` is where it begins, `lines` where its keys stand."""

    __slots__ = ("line", "lines")
    line: int
    lines: dict[str, int]


class WrittenList(list[Any]):
    """A list; `line` is where it begins."""

    __slots__ = ("line",)
    line: int


def compose(file: Path) -> tuple[yaml.Node | None, list[Problem]]:
    """The root node of a file (None: it is empty), or what is wrong with it as YAML."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        too_deep = _too_deep(text)
        if too_deep is not None:
            return None, [Problem(too_deep, "", f"nested more than {DEEPEST} deep")]
        root = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        return None, [Problem(mark.line + 1 if mark else 1, "", f"not YAML: {said}")]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return None, [Problem(1, "", f"cannot be read: {reason}")]
    if root is not None and _size(root, {}) > LARGEST:
        return None, [Problem(1, "", "too large: its anchors repeat each other")]
    return root, []


def _too_deep(text: str) -> int | None:
    """The line where a text is nested too deeply; found before anything is built, which takes stack for each level."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                return event.start_mark.line + 1 if event.start_mark else 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node; one that holds itself is larger than anything."""
    size = known.get(id(node))
    if size is None:
        known[id(node)] = LARGEST + 1  # while it is being counted
        size = known[id(node)] = 1 + sum(_size(child, known) for child in _children(node))
    return size


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def written_tree(root: yaml.Node, problems: list[Problem]) -> Any:
    """Mappings, lists and texts of a document; keys that stand twice are added to `problems`."""
    return _written(root, "", problems)


def _written(node: yaml.Node, path: str, problems: list[Problem]) -> Any:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, problems)
    if isinstance(node, yaml.SequenceNode):
        items = WrittenList(_written(item, f"{path}[{index}]", problems) for index, item in enumerate(node.value))
        items.line = line
        return items
    if node.tag == NULL_TAG:
        return None
    text = Written(node.value)
    text.line = line
    return text


def _mapping(node: yaml.MappingNode, path: str, problems: list[Problem]) -> WrittenMapping:
    found = WrittenMapping()
    found.line, found.lines = node.start_mark.line + 1, {}
    merged: list[WrittenMapping] = []
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
        place = f"{path}.{key}" if path else key
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(Problem(line, path, "a key is a list or a mapping"))
        elif key_node.tag == MERGE_TAG:
            given = _written(value_node, place, problems)
            every = given if isinstance(given, WrittenList) else [given]
            merged += [one for one in every if isinstance(one, WrittenMapping)]
        elif key in found:
            problems.append(Problem(line, place, f"given twice, first in line {found.lines[key]}"))
        else:
            found[key], found.lines[key] = _written(value_node, place, problems), line
    for one in merged:
        for key, value in one.items():
            if key not in found:
                found[key], found.lines[key] = value, one.lines[key]
    return found


def line_of(tree: Any, path: str) -> int:
    """The line of what stands at a path such as `accounts[3].aliases[0].name`, or of the nearest thing around it."""
    line = 1
    for key, index in _STEP.findall(path):
        if key and isinstance(tree, WrittenMapping):
            line, tree = tree.lines.get(key, line), tree.get(key)
        elif index and isinstance(tree, WrittenList) and int(index) < len(tree):
            tree = tree[int(index)]
            line = getattr(tree, "line", line)
        else:
            break
    return line
