# SPDX-License-Identifier: Apache-2.0
"""config.yaml, read and checked: `load` gives a `Configuration` or tells every mistake at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softswitch.config.claims import Claim, claims, collisions
from softswitch.config.document import Document, Problem, read_document
from softswitch.config.model import Configuration
from softswitch.config.sections import read_configuration
from softswitch.config.values import Endpoint

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Claim", "Configuration", "ConfigurationInvalidError", "Endpoint", "Problem", "check", "claims", "load"]


class ConfigurationInvalidError(Exception):
    """The file cannot be used; `str()` gives a line for each mistake."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        super().__init__(file, problems)
        self.file = file
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(describe(self.file, problem) for problem in self.problems)


def describe(file: Path, problem: Problem) -> str:
    """`config.yaml:12: sip.listen[0]: unknown transport "udpp" (did you mean "udp"?)`."""
    place = f"{problem.path}: " if problem.path else ""
    return f"{file.name}:{problem.line}: {place}{problem.text}"


def load(file: Path) -> Configuration:
    """Reads and checks a file; raises `ConfigurationInvalidError` with all of its mistakes."""
    return check(file)[0]


def check(file: Path) -> tuple[Configuration, list[Problem]]:
    """As `load`, and tells besides what looks wrong but stops nothing."""
    document, root = read_document(file)
    if document.unreadable:
        raise ConfigurationInvalidError(file, document.problems)
    configuration = read_configuration(root)
    _check_ports(document, configuration)
    if not configuration.domains and not document.has_problem_below("domains"):
        document.complain_at("domains", "is empty: the first domain is the digest realm")
    if not configuration.sip.listen and not document.has_problem_below("sip.listen"):
        document.complain_at("sip.listen", "is empty: phones need an address to register at")
    if document.problems:
        raise ConfigurationInvalidError(file, sorted(document.problems))
    return configuration, sorted(document.warnings)


def _check_ports(document: Document, configuration: Configuration) -> None:
    for first, second in collisions(claims(configuration)):
        document.complain_at(second.path, f"{second.endpoint} is taken by {first.path} already")
