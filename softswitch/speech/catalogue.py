# SPDX-License-Identifier: Apache-2.0
"""The catalogue of a language: `prompts/LANGUAGE/catalogue.yaml`, read and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from softswitch.config.yaml_text import compose, written_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Catalogue", "CatalogueError", "Prompt", "Tone", "languages", "read_catalogue"]

ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TONE = re.compile(r"(\d+) Hz (\d+) ms")
WORDS = frozenset({"text", "say", "then", "tone"})


class CatalogueError(Exception):
    """A catalogue cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A tone that is synthesised, not spoken."""

    hertz: int
    """0: silence."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt of a language."""

    id: str
    section: str
    text: str
    say: str
    """The text as a speech engine has to be told."""
    then: str = ""
    """What is played right after it."""
    tone: Tone | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All prompts of a language, by id, in the order of the file."""

    language: str
    name: str
    voices: Mapping[str, str] = field(default_factory=dict)
    """Voice of the language in each speech engine."""
    prompts: Mapping[str, Prompt] = field(default_factory=dict)


def languages(folder: Path) -> list[str]:
    """Languages that have a catalogue in `folder`."""
    return sorted(file.parent.name for file in folder.glob("*/catalogue.yaml"))


def read_catalogue(file: Path) -> Catalogue:
    """Reads a catalogue. Raises CatalogueError."""
    node, problems = compose(file)
    root = None if node is None else written_tree(node, problems)
    if problems or root is None:
        told = "; ".join(f"{file}:{one.line}: {one.path or 'catalogue'}: {one.text}" for one in problems)
        raise CatalogueError(told or f"{file}: is empty")
    try:
        prompts = [
            _prompt(name, section, written)
            for section, entries in root["sections"].items()
            for name, written in entries.items()
        ]
        language, name, voices = root["language"], root["name"], dict(root.get("voices") or {})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CatalogueError(f"{file}: {error}") from None
    found = {prompt.id: prompt for prompt in prompts}
    if len(found) < len(prompts):
        ids = [prompt.id for prompt in prompts]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        raise CatalogueError(f"{file}: more than once: {', '.join(twice)}")
    return Catalogue(language=language, name=name, voices=voices, prompts=found)


def _prompt(name: str, section: str, written: Any) -> Prompt:
    if not ID.fullmatch(name):
        raise ValueError(f'"{name}" is no id of a prompt: lower-case words of letters and digits, joined by "-"')
    entry = {"text": written} if isinstance(written, str) else dict(written)
    if unknown := set(entry) - WORDS:
        raise ValueError(f"{name}: unknown: {', '.join(sorted(unknown))}")
    if "tone" in entry:
        match = TONE.fullmatch(entry["tone"])
        if not match:
            raise ValueError(f'{name}: expected a tone such as "1000 Hz 400 ms", not "{entry["tone"]}"')
        tone = Tone(int(match[1]), int(match[2]) / 1000)
        return Prompt(id=name, section=section, text=f"({entry['tone']})", say="", tone=tone)
    text = str(entry.get("text") or "").strip()
    if not text:
        raise ValueError(f"{name}: has no text")
    return Prompt(id=name, section=section, text=text, say=entry.get("say", text), then=entry.get("then", ""))
