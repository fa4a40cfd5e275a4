# SPDX-License-Identifier: Apache-2.0
"""The catalogues that are shipped, and how a catalogue is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ivr.say import GRAMMARS
from prompts import FOLDER
from softswitch.speech.catalogue import CatalogueError, languages, read_catalogue

if TYPE_CHECKING:
    from pathlib import Path

GRAMMAR_SECTIONS = {"numbers", "times and durations", "money"}
CATALOGUES = {language: read_catalogue(FOLDER / language / "catalogue.yaml") for language in languages(FOLDER)}


def test_every_language_has_a_grammar_and_every_grammar_a_catalogue() -> None:
    assert set(CATALOGUES) == set(GRAMMARS)
    assert all(catalogue.language == language for language, catalogue in CATALOGUES.items())


@pytest.mark.parametrize("language", sorted(set(CATALOGUES) - {"en"}))
def test_what_applications_play_is_in_every_language(language: str) -> None:
    """Only the grammar's own words may differ from language to language."""
    ours = CATALOGUES[language].prompts
    wanted = {prompt.id for prompt in CATALOGUES["en"].prompts.values() if prompt.section not in GRAMMAR_SECTIONS}
    assert sorted(wanted - set(ours)) == []


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_what_is_followed_by_something_is_spoken_so(language: str) -> None:
    keys = [p for p in CATALOGUES[language].prompts.values() if p.then == "press-N"]
    assert len(keys) > 40
    assert [p.id for p in keys if not p.text.endswith(",")] == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sections: {a: {Vm_Login: Hi}}", '"Vm_Login" is no id of a prompt'),
        ("sections: {a: {hi: {txt: Hi}}}", "hi: unknown: txt"),
        ("sections: {a: {hi: ''}}", "hi: has no text"),
        ("sections: {a: {hi: {tone: 1 kHz}}}", 'expected a tone such as "1000 Hz 400 ms"'),
        ("language: xx\nname: X\nsections: {a: {hi: Hi}, b: {hi: Ho}}", "more than once: hi"),
        ("sections: [", "expected"),
        ("name: X", "sections"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text(text)
    with pytest.raises(CatalogueError, match=complaint):
        read_catalogue(file)
