# SPDX-License-Identifier: Apache-2.0
"""Speech engines: text in, a sound file out. Each is a program that is called once a prompt; a further one is a
function of text, voice and language, or needs none: `command:` takes any program."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ENGINES", "EngineError", "engine"]

SECONDS = 60.0
FESTIVAL_ENCODINGS = {"cs": "iso-8859-2", "pl": "iso-8859-2", "ru": "utf-8"}
"""Festival's voices take the 8-bit encoding of their language."""


class EngineError(Exception):
    """An engine is not there or did not speak; the text says why, and where to get it."""


def festival(text: str, voice: str, language: str) -> bytes:
    """Festival (Debian: festival and a package of voices, such as festvox-us-slt-hts)."""
    encoded = text.encode(FESTIVAL_ENCODINGS.get(language, "iso-8859-1"), "replace")
    return _spoken(lambda file: ["text2wave", "-eval", f"(voice_{voice})", "-o", file], encoded)


def flite(text: str, voice: str, language: str) -> bytes:
    """Flite (Debian: flite)."""
    return _spoken(lambda file: ["flite", "-voice", voice, "-t", text, "-o", file])


def espeak_ng(text: str, voice: str, language: str) -> bytes:
    """eSpeak NG (Debian: espeak-ng)."""
    return _spoken(lambda file: ["espeak-ng", "-v", voice, "-w", file, text])


ENGINES: dict[str, Callable[[str, str, str], bytes]] = {"festival": festival, "flite": flite, "espeak-ng": espeak_ng}


def engine(name: str) -> Callable[[str, str, str], bytes]:
    """The engine of a name. `command:TEMPLATE` is any program: {text}, {voice}, {language} and {file} of the template
    are filled in; without {text} the text comes on its standard input, without {file} the sound is taken from its
    standard output. Raises EngineError."""
    if name in ENGINES:
        return ENGINES[name]
    kind, colon, template = name.partition(":")
    if kind != "command" or not colon or not template.strip():
        raise EngineError(f'no engine "{name}": {", ".join(ENGINES)}, or command:TEMPLATE')

    def command(text: str, voice: str, language: str) -> bytes:
        def words(file: str) -> list[str]:
            values = {"{text}": text, "{voice}": voice, "{language}": language, "{file}": file}
            return [_filled(word, values) for word in shlex.split(template)]

        given = b"" if "{text}" in template else text.encode()
        return _spoken(words, given, from_output="{file}" not in template)

    return command


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def _spoken(words: Callable[[str], Sequence[str]], given: bytes = b"", *, from_output: bool = False) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spoken.wav"
        command = words(str(file))
        try:
            done = subprocess.run(command, input=given, capture_output=True, timeout=SECONDS, check=False)
        except FileNotFoundError:
            raise EngineError(f"{command[0]} is not installed") from None
        except subprocess.TimeoutExpired:
            raise EngineError(f"{command[0]} did not finish within {SECONDS:.0f} seconds") from None
        sound = done.stdout if from_output else file.read_bytes() if file.exists() else b""
        if done.returncode or not sound:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise EngineError(f"{command[0]} made no sound" + (f": {said[-1]}" if said else ""))
        return sound
