# SPDX-License-Identifier: Apache-2.0
"""Documents of `softswitch apply` as commands read them: mistakes are told by file, line and path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from billing.reading.line_error import LineError
from softswitch.config import describe
from softswitch.config.yaml_text import Problem, WrittenMapping, compose, line_of, written_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["read_yaml", "refused"]


def read_yaml(file: Path) -> WrittenMapping:
    """A document of `softswitch apply`'s form; raises UsageError where it is no YAML mapping."""
    root, problems = compose(file)
    found = None if root is None else written_tree(root, problems)
    if not problems and not isinstance(found, WrittenMapping):
        problems.append(Problem(1, "", 'expected "key: value" lines'))
    if problems:
        raise click.UsageError("\n".join(describe(file, problem) for problem in sorted(problems)))
    assert isinstance(found, WrittenMapping)
    return found


def refused(file: Path, document: WrittenMapping, problems: Sequence[str]) -> click.UsageError:
    """What `ApplyError` says, each mistake with its file, line and path: `acme.yaml:12: accounts[0].kind: ...`."""
    lines = []
    for problem in problems:
        path, colon, _ = problem.partition(": ")
        where = line_of(document, path) if colon else 1
        lines.append(str(problem) if isinstance(problem, LineError) else f"{file.name}:{where}: {problem}")
    return click.UsageError("\n".join(lines))
