# SPDX-License-Identifier: Apache-2.0
"""Makes and checks the sound files of a language's prompts."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from softswitch.speech import finish
from softswitch.speech.engines import EngineError, engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from softswitch.speech.catalogue import Catalogue, Prompt

__all__ = ["Problem", "build", "check", "file_of", "needs_building"]

SECONDS_A_LETTER = (0.02, 0.25)
"""Plausible length of speech; a letter that stands alone takes longer than one in a word."""
LEAST_SECONDS = 0.12
LEVEL_DBFS = (-24.0, -16.0)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a prompt."""

    id: str
    text: str


def file_of(folder: Path, prompt: Prompt) -> Path:
    """Where the built sound of a prompt is."""
    return folder / f"{prompt.id}.ogg"


def needs_building(folder: Path, prompt: Prompt) -> bool:
    """Whether its sound is not there, or says something else than the catalogue by now."""
    try:
        return finish.title(file_of(folder, prompt).read_bytes()) != _said(prompt)
    except (OSError, soundfile.SoundFileError):
        return True


def build(
    catalogue: Catalogue, prompts: Iterable[Prompt], folder: Path, engine_name: str, voice: str | None
) -> Iterator[Prompt | Problem]:
    """Makes the sounds of `prompts`, as many at a time as there are processors; tells each when it is done, or why not.

    Raises EngineError if there is no such engine, or none of its voices is known for the language.
    """
    speak = engine(engine_name)
    chosen = voice or catalogue.voices.get(engine_name.partition(":")[0], "")
    if not chosen and engine_name.partition(":")[0] != "command":
        raise EngineError(f'{engine_name} has no voice for "{catalogue.language}" in the catalogue: use --voice')

    def made(prompt: Prompt) -> Prompt | Problem:
        try:
            signal = _signal(prompt, lambda: speak(prompt.say, chosen, catalogue.language))
        except (EngineError, soundfile.SoundFileError) as error:
            return Problem(prompt.id, str(error))
        if not prompt.tone and not len(signal):
            return Problem(prompt.id, "the engine made silence")
        target = file_of(folder, prompt)
        new = target.with_suffix(".new")
        new.write_bytes(finish.encoded(signal, _said(prompt)))
        new.replace(target)
        return prompt

    with ThreadPoolExecutor(os.cpu_count() or 1) as workers:
        yield from workers.map(made, prompts)


def check(catalogue: Catalogue, folder: Path) -> list[Problem]:
    """What is wrong with the files of a language: missing, of another text, too loud or quiet, of no plausible length,
    or of no prompt."""
    prompts = catalogue.prompts
    found = [Problem(prompt.id, said) for prompt in prompts.values() if (said := _fault(folder, prompt))]
    strays = sorted(file.stem for file in folder.glob("*.ogg") if file.stem not in prompts)
    return found + [Problem(name, "a file of no prompt") for name in strays]


def _fault(folder: Path, prompt: Prompt) -> str | None:
    file = file_of(folder, prompt)
    if not file.exists():
        return "is not built"
    if needs_building(folder, prompt):
        return "its text has changed since it was built"
    signal, rate = finish.decoded(file.read_bytes())
    seconds = len(signal) / rate
    if prompt.tone:
        return None if abs(seconds - prompt.tone.seconds) < 0.03 else f"lasts {seconds:.2f} s"
    least, most = (limit * len(prompt.say) for limit in SECONDS_A_LETTER)
    if not max(least, LEAST_SECONDS) <= seconds <= most + 0.6:
        return f"lasts {seconds:.2f} s, which is not plausible"
    level, peak = finish.level_dbfs(signal), float(np.abs(signal).max())
    if not LEVEL_DBFS[0] <= level <= LEVEL_DBFS[1]:
        return f"its level is {level:.1f} dBFS"
    return "is clipped" if peak > 10 ** (-1 / 20) else None


def _said(prompt: Prompt) -> str:
    return prompt.say or prompt.text


def _signal(prompt: Prompt, speak: Callable[[], bytes]) -> finish.Signal:
    if prompt.tone:
        return finish.synthesised(prompt.tone)
    return finish.finished(speak(), is_sentence=prompt.say.rstrip().endswith((".", "?", "!")))
