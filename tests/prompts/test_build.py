# SPDX-License-Identifier: Apache-2.0
"""How prompts are made: by an engine that is a program, levelled, trimmed, and made again when their text changes."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from prompts import FOLDER
from softswitch.cli import softswitch
from softswitch.speech import finish
from softswitch.speech.build import check
from softswitch.speech.catalogue import Tone, languages, read_catalogue
from softswitch.speech.engines import EngineError, engine

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

ENGINE = """
import sys, numpy, soundfile
text, file = sys.argv[1:]
if "mute" in text:
    sys.exit("I have lost my voice")
times = numpy.arange(int(22050 * 0.08 * len(text))) / 22050
voice = 0.02 * numpy.sin(2 * numpy.pi * 440 * times) * (1 + 0.5 * numpy.sin(2 * numpy.pi * 3 * times))
soundfile.write(file, numpy.concatenate([numpy.zeros(11025), voice, numpy.zeros(22050)]), 22050, format="WAV")
"""
CATALOGUE = """
language: xx
name: Test
sections:
  all:
    beep: {tone: "1000 Hz 400 ms"}
    hello: Hello to you.
    you-have: {text: "You have,", then: number}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "engine.py").write_text(ENGINE)
    (tmp_path / "xx").mkdir()
    (tmp_path / "xx" / "catalogue.yaml").write_text(CATALOGUE)
    return tmp_path


def prompts(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(softswitch, ["prompts", *arguments, "--dir", str(folder)])


def build(folder: Path, *arguments: str) -> Result:
    program = f"command:{sys.executable} {folder / 'engine.py'} {{text}} {{file}}"
    return prompts(folder, "build", "--engine", program, *arguments)


def sound(folder: Path, name: str) -> np.ndarray:
    samples, rate = soundfile.read(folder / "xx" / f"{name}.ogg")
    assert rate == 16_000
    return np.asarray(samples)


@pytest.mark.parametrize("language", languages(FOLDER))
def test_the_shipped_prompts_are_complete_and_as_the_catalogue_says(language: str) -> None:
    catalogue = read_catalogue(FOLDER / language / "catalogue.yaml")
    assert check(catalogue, FOLDER / language) == []


def test_the_shipped_prompts_are_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.glob("*/*.ogg")) < 9_000_000


def test_a_built_prompt_is_as_loud_as_others_and_trimmed(folder: Path) -> None:
    assert build(folder).exit_code == 0
    sentence, fragment = sound(folder, "hello"), sound(folder, "you-have")
    for samples in (sentence, fragment):
        assert finish.level_dbfs(samples) == pytest.approx(finish.SPEECH_DBFS, abs=1)
        assert np.abs(samples).max() < 10 ** (-2.5 / 20)
    assert len(sentence) / 16_000 == pytest.approx(13 * 0.08 + 0.18, abs=0.04)
    assert len(fragment) / 16_000 == pytest.approx(9 * 0.08 + 0.07, abs=0.04)
    assert len(sound(folder, "beep")) / 16_000 == pytest.approx(0.4, abs=0.02)
    assert prompts(folder, "check").exit_code == 0


def test_only_what_changed_is_made_again(folder: Path) -> None:
    assert "3 built" in build(folder).output
    assert "0 built" in build(folder).output
    file = folder / "xx" / "catalogue.yaml"
    file.write_text(CATALOGUE.replace("Hello to you.", "Good morning to you."))
    assert "its text has changed" in prompts(folder, "check").output
    assert "1 built" in build(folder).output
    assert "1 built" in build(folder, "--only", "beep").output
    assert "3 built" in build(folder, "--all").output


def test_what_an_engine_cannot_say_is_told_and_the_old_sound_stays(folder: Path) -> None:
    build(folder)
    (folder / "xx" / "catalogue.yaml").write_text(CATALOGUE.replace("Hello to you.", "I am mute."))
    result = build(folder)
    assert result.exit_code == 1
    assert "xx/hello" in result.output
    assert "I have lost my voice" in result.output
    assert len(sound(folder, "hello"))


def test_check_finds_files_that_are_missing_stray_loud_or_too_long(folder: Path) -> None:
    build(folder)
    (folder / "xx" / "you-have.ogg").unlink()
    (folder / "xx" / "nobody.ogg").write_bytes(b"")
    loud = np.sign(np.sin(np.arange(16_000 * 9) / 5)) * 0.9
    (folder / "xx" / "hello.ogg").write_bytes(finish.encoded(loud, "Hello to you."))
    result = prompts(folder, "check")
    assert result.exit_code == 1
    assert "xx/you-have: is not built" in result.output
    assert "xx/nobody: a file of no prompt" in result.output
    assert "xx/hello: lasts 9.00 s, which is not plausible" in result.output


def test_list_shows_text_and_length(folder: Path) -> None:
    build(folder)
    result = prompts(folder, "list", "-l", "xx", "--find", "hello")
    assert "Hello to you." in result.output
    assert "you-have" not in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["build", "--engine", "gramophone"], 'no engine "gramophone"'),
        (["build", "--engine", "espeak-ng"], 'espeak-ng has no voice for "xx"'),
        (["build", "--only", "bye"], "no prompt bye in xx"),
        (["list", "-l", "yy"], 'no language "yy"'),
    ],
)
def test_wrong_arguments_are_told(folder: Path, arguments: list[str], complaint: str) -> None:
    result = prompts(folder, *arguments)
    assert result.exit_code != 0
    assert complaint in " ".join(result.output.split())


def test_a_program_may_take_the_text_from_its_input_and_give_the_sound_on_its_output() -> None:
    assert engine("command:sed s/{voice}/{language}/")("a low voice", "low", "cs") == b"a cs voice"


def test_an_engine_that_is_not_installed_is_told() -> None:
    with pytest.raises(EngineError, match="no-such-program is not installed"):
        engine("command:no-such-program")("text", "", "en")


def test_a_tone_is_of_our_own_making() -> None:
    signal = finish.synthesised(Tone(1000, 0.4))
    spectrum = np.abs(np.fft.rfft(signal))
    assert np.argmax(spectrum) / 0.4 == pytest.approx(1000, abs=3)
    assert not finish.synthesised(Tone(0, 0.1)).any()


def test_sound_of_another_rate_keeps_its_pitch_and_length() -> None:
    file = io.BytesIO()
    times = np.arange(44_100) / 44_100
    soundfile.write(file, 0.1 * np.sin(2 * np.pi * 500 * times), 44_100, format="WAV")
    signal = finish.finished(file.getvalue(), is_sentence=False)
    assert len(signal) / finish.RATE == pytest.approx(1.07, abs=0.02)
    assert np.argmax(np.abs(np.fft.rfft(signal))) * finish.RATE / len(signal) == pytest.approx(500, abs=2)
