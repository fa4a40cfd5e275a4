# SPDX-License-Identifier: Apache-2.0
"""Every command that a document names exists, with the subcommand and the options that it names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import pytest

from softswitch.cli import softswitch as program
from tests.softswitch.test_paths_in_docs import PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPAN = re.compile(r"`softswitch\s([^`]+)`")
LINE = re.compile(r"^\s*(?:\$ )?(?:sudo )?softswitch +(.*)$", re.MULTILINE)
END = re.compile(r"(?:\s(?:#|\||>|&&|;|\()| {3}).*", re.DOTALL)
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


def named(text: str) -> Iterator[list[str]]:
    """The words after `softswitch` of each command in a page."""
    for found in (*SPAN.finditer(text), *LINE.finditer(text)):
        words = re.sub(r"[\[\]]", " ", END.sub("", QUOTED.sub("TEXT", f"{found[1]} "))).split()
        if words and (words[0].startswith("-") or re.fullmatch(r"[a-z][a-z_-]*", words[0])):
            yield words


def problems(words: list[str]) -> Iterator[str]:
    command: click.Command = program
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z_-]*", words[0]):
        if words[0] not in command.commands:
            if command is program or not command.invoke_without_command:
                yield f"{command.name} has no {words[0]}"
            break
        command = command.commands[words.pop(0)]
    if isinstance(command, click.Group) and "list" in command.commands:
        command = command.commands["list"]
    known = {
        one for parameter in (*program.params, *command.params) for one in parameter.opts + parameter.secondary_opts
    }
    for word in words:
        option = word.split("=")[0].rstrip(".,:)")
        if re.fullmatch(r"--[a-z][a-z-]*", option) and option not in known | {"--help"}:
            yield f"{command.name} has no {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_document_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    wrong = [f"softswitch {' '.join(words)}: {problem}" for words in named(text) for problem in problems(list(words))]
    assert wrong == []


def test_the_walk_finds_what_is_wrong() -> None:
    page = "`softswitch nothing`\n\n    softswitch accounts --nothing 5   # text\n    softswitch topup 101 5 --key x\n"
    assert [problem for words in named(page) for problem in problems(list(words))] == [
        "softswitch has no nothing",
        "accounts has no --nothing",
    ]
