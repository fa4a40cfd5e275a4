# SPDX-License-Identifier: Apache-2.0
"""What is played for a prompt: the built one, the administrator's instead, English where a language lacks it."""

from __future__ import annotations

import io
import logging
import os
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ivr.say.prompts import PromptLibrary
from prompts import FOLDER
from softswitch.speech.catalogue import read_catalogue

if TYPE_CHECKING:
    from pathlib import Path


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, 8000, 0, "NONE", ""))
        written.writeframes(np.full(int(seconds * 8000), 1000, dtype="<i2").tobytes())
    return file.getvalue()


def put(folder: Path, name: str, seconds: float) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(wav(seconds))
    return file


def seconds(library: PromptLibrary, prompt: str, language: str = "en") -> list[float]:
    return [round(sound.seconds, 3) for sound in library.sounds(prompt, language)]


def test_every_shipped_prompt_of_every_language_is_a_sound() -> None:
    library = PromptLibrary(FOLDER)
    assert library.languages == ["cs", "en"]
    for language in library.languages:
        library.preload(language)
        for prompt in read_catalogue(FOLDER / language / "catalogue.yaml").prompts:
            assert len(library.sounds(prompt, language)) == 1
    assert seconds(library, "beep")[0] == pytest.approx(0.4, abs=0.02)


def test_the_administrators_recording_goes_before_the_built_one(tmp_path: Path) -> None:
    put(tmp_path / "en", "hello.ogg", 1)
    put(tmp_path / "en", "bye.ogg", 1)
    put(tmp_path / "en" / "custom", "hello.wav", 2)
    own = tmp_path / "own"
    put(own / "en", "bye.wav", 3)
    put(own / "en", "reception.wav", 4)
    library = PromptLibrary(tmp_path, own)
    assert [seconds(library, name) for name in ("hello", "bye", "reception")] == [[2], [3], [4]]


def test_what_another_language_lacks_is_played_in_english_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "en", "hello.wav", 1)
    put(tmp_path / "cs", "bye.wav", 2)
    library = PromptLibrary(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert [seconds(library, "hello", "cs") for _ in range(3)] == [[1]] * 3
        assert seconds(library, "bye", "cs-CZ") == [2]
        assert seconds(library, "nothing", "cs") == []
    assert [record.message for record in caplog.records] == [
        "a prompt is missing in a language: its English one is played",
        "a prompt is missing: nothing is played",
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")  # of pydub
def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_being_played(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "en", "hello.wav", 1)
    (tmp_path / "en" / "broken.wav").write_bytes(b"RIFF, but no more")
    library = PromptLibrary(tmp_path)
    assert seconds(library, "broken") == []
    assert seconds(library, "hello") == [1]
    assert "a prompt cannot be read" in caplog.messages


def test_a_reload_takes_new_and_changed_files_and_keeps_the_others(tmp_path: Path) -> None:
    put(tmp_path / "en", "same.wav", 1)
    changed = put(tmp_path / "en", "changed.wav", 1)
    library = PromptLibrary(tmp_path)
    same = library.sounds("same", "en")[0]
    assert seconds(library, "changed") == [1]
    put(tmp_path / "en", "changed.wav", 2)
    os.utime(changed, (1, 1))
    put(tmp_path / "en", "new.wav", 3)
    assert seconds(library, "new") == []
    library.reload(None)
    assert [seconds(library, name) for name in ("changed", "new")] == [[2], [3]]
    assert library.sounds("same", "en")[0] is same


def test_a_file_may_be_named_by_its_path(tmp_path: Path) -> None:
    greeting = put(tmp_path, "greeting.wav", 5)
    assert seconds(PromptLibrary(FOLDER), str(greeting), "cs") == [5]
