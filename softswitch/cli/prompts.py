# SPDX-License-Identifier: Apache-2.0
"""The commands for what callers hear: build, list and check the prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from prompts import FOLDER
from softswitch.cli.context import FAILED, Column, json_option
from softswitch.speech import catalogue as catalogues

if TYPE_CHECKING:
    from softswitch.cli.context import Shell
    from softswitch.speech.catalogue import Catalogue, Prompt

__all__ = ["prompts"]

LISTED = (
    Column("id", "Prompt"),
    Column("text", "Text", grows=True),
    Column("then", "Followed by", is_dispensable=True),
    Column("seconds", "Seconds", is_number=True),
)
folder_option = click.option(
    "--dir",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=FOLDER,
    help="Another folder of languages than the one that came along.",
)
language_option = click.option("--language", "-l", metavar="CODE", help="One language only.")


@click.group()
def prompts() -> None:
    """What callers hear: list, build and check the prompts.

    A recording of your own replaces a prompt when it lies in the folder "custom" of the language, or in
    LANGUAGE of ivr.prompts_dir, under the prompt's id: custom/vm-intro.mp3.
    """


@prompts.command("list")
@language_option
@folder_option
@click.option("--find", metavar="WORD", default="", help="Only prompts whose id or text holds the word.")
@json_option
@click.pass_obj
def list_(shell: Shell, language: str | None, folder: Path, find: str, as_json: bool) -> None:
    """List the prompts: id, text, what follows, length."""
    from softswitch.speech import build as building
    from softswitch.speech import finish

    rows = []
    for found in _catalogues(folder, language or "en"):
        for prompt in found.prompts.values():
            if find.lower() in f"{prompt.id} {prompt.text}".lower():
                file = building.file_of(folder / found.language, prompt)
                seconds = round(finish.seconds(file.read_bytes()), 1) if file.exists() else None
                rows.append({"id": prompt.id, "text": prompt.text, "then": prompt.then, "seconds": seconds})
    shell.show(rows, LISTED, as_json=as_json, nothing="There is no such prompt.")


@prompts.command()
@language_option
@folder_option
@click.option("--engine", default="festival", show_default=True, help="festival, flite, espeak-ng, command:TEMPLATE.")
@click.option("--voice", help="Another voice of the engine than the catalogue names.")
@click.option("--only", metavar="ID", multiple=True, help="These prompts, whether their text has changed or not.")
@click.option("--all", "everything", is_flag=True, help="All prompts, whether their text has changed or not.")
@click.pass_obj
def build(
    shell: Shell,
    language: str | None,
    folder: Path,
    engine: str,
    voice: str | None,
    only: tuple[str, ...],
    everything: bool,
) -> None:
    """Make the sound of prompts whose text has changed, by a speech engine.

    command:TEMPLATE is any other engine, such as 'command:piper --model {voice} --output_file {file}': {text},
    {voice}, {language} and {file} are filled in; without {text} the text comes on its standard input, without
    {file} the sound is taken from its standard output.
    """
    from softswitch.speech import build as building
    from softswitch.speech.engines import EngineError

    failed = 0
    for found in _catalogues(folder, language):
        place = folder / found.language
        wanted = _wanted(found, place, only, everything=everything)
        try:
            for done in building.build(found, wanted, place, engine, voice):
                if isinstance(done, building.Problem):
                    failed += 1
                    shell.failed(f"{found.language}/{done.id}: {done.text}")
        except EngineError as error:
            raise click.ClickException(str(error)) from error
        shell.done(f"{found.language}: {len(wanted) - failed} built, {len(found.prompts)} in all")
    if failed:
        raise click.exceptions.Exit(FAILED)


@prompts.command()
@language_option
@folder_option
@click.pass_obj
def check(shell: Shell, language: str | None, folder: Path) -> None:
    """Check that every prompt is there, says what the catalogue says, and is neither too loud nor too quiet."""
    from softswitch.speech import build as building

    wrong = False
    for found in _catalogues(folder, language):
        problems = building.check(found, folder / found.language)
        for problem in problems:
            shell.failed(f"{found.language}/{problem.id}: {problem.text}")
        if not problems:
            shell.done(f"{found.language}: {len(found.prompts)} prompts are in order")
        wrong = wrong or bool(problems)
    if wrong:
        raise click.exceptions.Exit(FAILED)


def _catalogues(folder: Path, language: str | None) -> list[Catalogue]:
    known = catalogues.languages(folder)
    if language is not None and language not in known:
        raise click.BadParameter(f'no language "{language}" in {folder}: {", ".join(known)}', param_hint="--language")
    try:
        return [
            catalogues.read_catalogue(folder / name / "catalogue.yaml") for name in known if language in {None, name}
        ]
    except catalogues.CatalogueError as error:
        raise click.ClickException(str(error)) from error


def _wanted(found: Catalogue, place: Path, only: tuple[str, ...], *, everything: bool) -> list[Prompt]:
    from softswitch.speech import build as building

    if unknown := [name for name in only if name not in found.prompts]:
        raise click.BadParameter(f"no prompt {', '.join(unknown)} in {found.language}", param_hint="--only")
    if only:
        return [found.prompts[name] for name in only]
    return [prompt for prompt in found.prompts.values() if everything or building.needs_building(place, prompt)]
