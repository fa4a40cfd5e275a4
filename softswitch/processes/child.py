# SPDX-License-Identifier: Apache-2.0
"""A supervised process: started, waited for, restarted with growing pauses when it ends unasked."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

__all__ = ["Child", "ChildFailedError", "program_command"]

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A process that ran for so long starts again with the first pause."""
READY_SECONDS = 120.0
"""A start takes some seconds of processor time; a starved machine gives them late."""
MOST_PATIENCE = 8.0
"""So many times as long at the most."""
KILL_SECONDS = 10.0
log = logging.getLogger("softswitch")


class ChildFailedError(Exception):
    """A process did not come up; its own words are in the log above."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended, in words."""

    code: int

    def __str__(self) -> str:
        return f"ended by {signal.Signals(-self.code).name}" if self.code < 0 else f"ended with status {self.code}"


def program_command(name: str, file: Path) -> Callable[[int], list[str]]:
    """The command line of one of our own processes; the argument is the descriptor that takes its readiness."""

    def command(ready_descriptor: int) -> list[str]:
        program = [sys.executable, "-m", "softswitch", "--config", str(file), name]
        return [*program, "--parent", str(os.getpid()), "--ready-fd", str(ready_descriptor)]

    return command


class Child:
    """One supervised process."""

    def __init__(
        self,
        name: str,
        command: Callable[..., list[str]],
        *,
        output: Path | None = None,
        wait_ready: Callable[[Child], Awaitable[None]] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """`command` makes the command line, given the descriptor that takes the word "ready".

        `wait_ready` replaces the wait for that word (and the descriptor); `output` takes what the process prints.
        """
        self.name = name
        self.restarts = 0
        self._patience = 1.0
        """For the next start, in READY_SECONDS. It doubles: a slow process is not ended for it again and again."""
        self._command = command
        self._output = output
        self._wait_ready = wait_ready
        self._stop_signal = stop_signal
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopping = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.is_alive and self._process else None

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Starts the process and waits until it is ready; raises `ChildFailedError` when it ends or idles instead."""
        seconds = READY_SECONDS * self._patience
        try:
            if self._wait_ready:
                await self._spawn()
                await self._wait_ready(self)
            else:
                await asyncio.wait_for(self._start_and_hear(), seconds)
        except TimeoutError:
            self._patience = min(2 * self._patience, MOST_PATIENCE)
            await self._end(KILL_SECONDS)
            raise ChildFailedError(f"{self.name} is not ready after {seconds:g} s") from None
        self._patience = 1.0

    async def _start_and_hear(self) -> None:
        """Starts the process with a pipe for its word that it is ready; the pipe closes where the process fails."""
        reader, writer = os.pipe()
        word = asyncio.create_task(_read_word(reader))
        try:
            await self._spawn(writer)
        finally:
            os.close(writer)
        if not await word:
            assert self._process is not None
            raise ChildFailedError(f"{self.name} {Exit(await self._process.wait())} before it was ready")

    async def _spawn(self, *descriptors: int) -> None:
        output = self._output.open("ab") if self._output else None
        try:
            command = await asyncio.to_thread(self._command, *descriptors)  # it may have to make room first
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=descriptors,
                start_new_session=True,  # the terminal's Ctrl-C reaches the supervisor alone, which ends all in order
            )
        finally:
            if output:
                output.close()

    async def keep_running(self) -> None:
        """Starts the process again whenever it ends, until `stop`."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            assert self._process is not None
            since = time.monotonic()
            code = await self._process.wait()
            if self._is_stopping:
                return
            pause = FIRST_PAUSE_SECONDS if time.monotonic() - since > STEADY_SECONDS else pause
            log.error("%s %s; starting it again in %.1f s", self.name, Exit(code), pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            if await self._start_again():
                log.warning("%s runs again", self.name)

    async def _start_again(self) -> bool:
        self.restarts += 1
        try:
            await self.start()
        except ChildFailedError as error:
            log.error("%s", error)
            return False
        except Exception as error:  # one process that cannot be started is no reason to end the others
            log.error("%s: %s", self.name, error)
            return False
        return True

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal, where the process runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def stop(self, patience_seconds: float = KILL_SECONDS) -> None:
        """Asks the process to end, ends it when it does not, and starts it no more."""
        self._is_stopping = True
        await self._end(patience_seconds)

    async def _end(self, patience_seconds: float) -> None:
        if self._process is None:
            return
        self.send_signal(self._stop_signal)
        try:
            await asyncio.wait_for(self._process.wait(), patience_seconds)
        except TimeoutError:
            log.error("%s does not end: killing it", self.name)
            self.send_signal(signal.SIGKILL)
            await self._process.wait()


async def _read_word(descriptor: int) -> bytes:
    """What a process wrote into the pipe before it closed it: nothing where it failed."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _protocol = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        return await reader.read(16)
    finally:
        transport.close()
