# SPDX-License-Identifier: Apache-2.0
"""The sounds of prompts, by id and language: those that came along, and the administrator's instead of them.

A folder of a language holds `ID.ogg` files. What lies in its folder `custom`, or in the folder of that language in the
administrator's own directory, goes before them, in any format that can be read. An id without a built prompt is welcome
there too: an auto attendant's greeting. A prompt that begins with "/" is a file.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from media.sound.sound import Sound, SoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ORIGIN", "PromptLibrary"]

ORIGIN: Final = "en"
"""The language that is complete; others fall back on it."""
NO_SOUND: Final = frozenset({".yaml", ".yml", ".md", ".txt", ".new", ".py"})

log = logging.getLogger(__name__)

Stamp = tuple[Path, int, int]
"""A file, when it was changed (ns) and its size: the same sound as long as these are the same."""


class PromptLibrary:
    """Prompts of all languages. Files are read on first use, or all at once by `preload`, and kept."""

    def __init__(self, folder: Path, own: Path | None = None) -> None:
        """`folder`: a folder of each language; `own`: the same, of the administrator."""
        self._folder = folder
        self._own: Path | None = None
        self._files: dict[str, dict[str, Path]] = {}
        self._sounds: dict[Stamp, tuple[Sound, ...]] = {}
        self._known: dict[tuple[str, str], tuple[Sound, ...]] = {}
        self._missed: set[tuple[str, str]] = set()
        self.reload(own)

    @property
    def languages(self) -> list[str]:
        """Languages that have prompts."""
        return sorted(self._files)

    def reload(self, own: Path | None) -> None:
        """Look at the folders again. What is being played goes on; files that did not change are not read again."""
        self._own = own
        folders = [folder for folder in (self._folder, self._own) if folder is not None and folder.is_dir()]
        languages = {child.name for folder in folders for child in folder.iterdir() if child.is_dir()}
        found = {language: self._found(language) for language in sorted(languages)}
        self._files = {language: files for language, files in found.items() if files}
        self._known.clear()
        self._missed.clear()

    def preload(self, language: str) -> None:
        """Read all prompts of a language; takes a second or two, so in a thread where others wait."""
        with ThreadPoolExecutor(2) as readers:
            list(readers.map(lambda prompt: self.sounds(prompt, language), self._files.get(language, {})))

    def sounds(self, prompt: str, language: str) -> Sequence[Sound]:
        """What is played for a prompt; nothing where it is missing, which is logged once."""
        known = self._known.get((prompt, language))
        if known is None:
            known = self._known[prompt, language] = self._looked_up(prompt, language)
        return known

    def _looked_up(self, prompt: str, language: str) -> tuple[Sound, ...]:
        if prompt.startswith("/"):
            return self._read(Path(prompt))
        for candidate in dict.fromkeys((language, language.partition("-")[0].lower(), ORIGIN)):
            file = self._files.get(candidate, {}).get(prompt)
            if file is not None and (sounds := self._read(file)):
                if candidate == ORIGIN and not language.startswith(ORIGIN):
                    self._miss(prompt, language, "a prompt is missing in a language: its English one is played")
                return sounds
        self._miss(prompt, language, "a prompt is missing: nothing is played")
        return ()

    def _miss(self, prompt: str, language: str, what: str) -> None:
        if (prompt, language) not in self._missed:
            self._missed.add((prompt, language))
            log.warning(what, extra={"prompt": prompt, "language": language})

    def _found(self, language: str) -> dict[str, Path]:
        """Files by prompt; later folders go before earlier ones."""
        places = [self._folder / language, self._folder / language / "custom"]
        if self._own is not None:
            places.append(self._own / language)
        return {file.stem: file for place in places for file in _sound_files(place)}

    def _read(self, file: Path) -> tuple[Sound, ...]:
        try:
            status = file.stat()
            stamp = (file, status.st_mtime_ns, status.st_size)
            if stamp not in self._sounds:
                self._sounds[stamp] = (Sound.read(file.read_bytes()),)
            return self._sounds[stamp]
        except (OSError, SoundError) as error:
            log.warning("a prompt cannot be read", extra={"file": str(file), "reason": str(error)})
            return ()


def _sound_files(place: Path) -> Iterator[Path]:
    if place.is_dir():
        for file in sorted(place.iterdir()):
            if file.is_file() and file.suffix.lower() not in NO_SOUND and not file.name.startswith("."):
                yield file
