# SPDX-License-Identifier: Apache-2.0
"""The entry of a process (switch, media, ivr, carrier): configuration, log, signals, and the word that it is ready.

SIGTERM and SIGINT ask the process to end in order, a second one ends it at once. SIGHUP reads the file again: a good
one is handed on, a broken one is told in the log while the process keeps what it has.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from softswitch.config import load
from softswitch.config.reading import Reloading
from softswitch.processes import logs
from softswitch.processes.launch import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from softswitch.config import Configuration, ConfigurationInvalidError

__all__ = ["Program", "Start", "notify_systemd", "run_program", "tell_refused"]

Settings = TypeVar("Settings")
ORPHAN_SECONDS = 5.0
"""How long a process goes on whose supervisor was killed: its ports are wanted by the next start."""
log = logging.getLogger("softswitch")


@dataclass(frozen=True, slots=True)
class Program(Generic[Settings]):
    """What one process does: how its settings come from the configuration, and its coroutine."""

    name: str
    settings: Callable[[Configuration], Settings]
    run: Callable[[Settings, Callable[[], None], asyncio.Event, asyncio.Queue[Settings]], Awaitable[None]]
    """Called with the settings, `ready`, `stop` and the queue of new settings."""


@dataclass(frozen=True, slots=True)
class Start:
    """How the process was started."""

    file: Path
    parent: int | None = None
    """The supervisor's pid: the process ends when that does."""
    ready_descriptor: int | None = None
    """A pipe that takes the word that the process is ready."""


def run_program(program: Program[Settings], start: Start) -> None:
    """Runs the process until it is asked to end; raises `ConfigurationInvalidError` on a broken file."""
    if start.parent is not None:
        end_with_parent(start.parent, signal.SIGTERM)
    os.umask(0o077)  # what a process writes is its owner's: recordings, journals, sockets, logs
    configuration = load(start.file)
    logs.set_up(program.name, configuration.log)
    import uvloop  # where no process runs, nobody needs it

    uvloop.run(_run(program, configuration, start))


async def _run(program: Program[Settings], configuration: Configuration, start: Start) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    reloads: asyncio.Queue[Settings] = asyncio.Queue()
    task = asyncio.current_task()
    assert task is not None

    def end() -> None:
        if stop.is_set():
            log.warning("asked again to end: ending now")
            task.cancel()
        stop.set()
        if start.parent is not None and os.getppid() != start.parent:
            loop.call_later(ORPHAN_SECONDS, os._exit, 1)

    def take_over(fresh: Configuration) -> None:
        logs.set_up(program.name, fresh.log)
        reloads.put_nowait(program.settings(fresh))

    reloading = Reloading(lambda: start.file, take_over, tell_refused)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, reloading.ask)
    try:
        await program.run(program.settings(configuration), lambda: _say_ready(start), stop, reloads)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    finally:
        await reloading.close()


def tell_refused(error: ConfigurationInvalidError) -> None:
    """Says in the log what is wrong with a changed file."""
    log.error("the changed configuration is refused, the one before stays")
    for problem in str(error).splitlines():
        log.error("%s", problem)


def _say_ready(start: Start) -> None:
    """Tells the supervisor through its pipe, or systemd."""
    if start.ready_descriptor is not None:
        os.write(start.ready_descriptor, b"ready\n")
        os.close(start.ready_descriptor)
    notify_systemd()


def notify_systemd() -> None:
    """Says that this process is ready where systemd started it as Type=notify (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)
