# SPDX-License-Identifier: Apache-2.0
"""A configuration read beside the event loop: `softswitch.config.reading FILE` reads and checks, in a process of its
own.

A file of ten thousand menus takes seconds of Python, and a thread would take them from the loop that answers phones.
What is left to do here is to take the result over, in a thread that gives way.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from softswitch.config import ConfigurationInvalidError, load
from softswitch.config.yaml_text import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from softswitch.config import Configuration

__all__ = ["Reloading", "read_beside"]

POLITENESS: Final = 15
"""nice(2): calls go before."""


async def read_beside(file: Path) -> Configuration:
    """As `load`; the loop turns meanwhile. Raises `ConfigurationInvalidError`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "softswitch.config.reading", str(file)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    with ExitStack() as undo:
        undo.callback(process.kill)
        written, _ = await process.communicate()
        undo.pop_all()
    if process.returncode != 0:
        raise ConfigurationInvalidError(file, [Problem(1, "", "its reader ended before it was read")])
    read: Configuration | list[Problem] = await asyncio.to_thread(pickle.loads, written)
    if isinstance(read, list):
        raise ConfigurationInvalidError(file, read)
    return read


class Reloading:
    """Reads a file when it is asked to, one reading at a time; asked meanwhile, it reads once more."""

    def __init__(
        self,
        file: Callable[[], Path],
        good: Callable[[Configuration], None],
        broken: Callable[[ConfigurationInvalidError], None],
    ) -> None:
        """`good` gets what was read, `broken` why it was refused."""
        self._file = file
        self._good = good
        self._broken = broken
        self._is_asked = False
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Read the file soon."""
        self._is_asked = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._read(), name="reload")

    async def close(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while self._is_asked:
                self._is_asked = False
                try:
                    fresh = await read_beside(self._file())
                except ConfigurationInvalidError as error:
                    self._broken(error)
                else:
                    self._good(fresh)
        finally:
            self._task = None


def main(file: Path) -> None:
    os.nice(POLITENESS)
    try:
        read: Configuration | list[Problem] = load(file)
    except ConfigurationInvalidError as error:
        read = error.problems
    sys.stdout.buffer.write(pickle.dumps(read, pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
