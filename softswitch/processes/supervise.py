# SPDX-License-Identifier: Apache-2.0
"""`softswitch up`: the store, the switch, media, the media server and the sample carrier, supervised until SIGTERM.

Order of the start: store, migrations, demo tenant, media (the relay), ivr (the media server), carrier, switch (which
needs them all); of the end: the reverse, so that the switch still settles its running calls in the store.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from softswitch.config.fields import fixed_differences
from softswitch.config.reading import Reloading
from softswitch.processes.child import Child, program_command
from softswitch.processes.ports import taken_ports
from softswitch.processes.process import tell_refused
from softswitch.processes.runfiles import hold, media_secret, nonce_secret
from softswitch.processes.store import STOP_SECONDS, EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from softswitch.config import Configuration

__all__ = ["PortsTakenError", "Supervisor", "up_file"]

log = logging.getLogger("softswitch")
GRACE_SECONDS = 10.0
"""Beyond the switch's own drain time."""
FIXED_KEYS = ("node", "data_dir", "store", "metrics", "demo")
"""Keys that a reload cannot change."""


class PortsTakenError(Exception):
    """Ports that the configuration names are in use; `str()` gives a line for each."""


def up_file(configuration: Configuration) -> Path:
    """Held by the `up` that runs on a data directory."""
    return configuration.data_dir / "run" / "up.pid"


class Supervisor:
    """Everything that `up` runs."""

    def __init__(self, configuration: Configuration, tell: Callable[[str], None]) -> None:
        """`tell` shows a step of the start to whoever watches."""
        self.configuration = configuration
        self._tell = tell
        self._stop = asyncio.Event()
        self._children: list[Child] = []
        self._stops_asked = 0
        self._reloading = Reloading(lambda: self.configuration.file, self._take_over, tell_refused)

    async def run(self, *, prepare: Callable[[], None], welcome: Callable[[], None]) -> None:
        """Starts everything, calls `welcome`, and ends everything when asked to.

        `prepare` brings the store up to date; it runs in a thread once the store answers.
        Raises `StoreError`, `ChildFailedError`, `PortsTakenError` or `AlreadyRunningError` where the start fails.
        """
        with ExitStack() as held:
            held.enter_context(hold(up_file(self.configuration)))
            taken = taken_ports(self.configuration)
            if taken:
                raise PortsTakenError("\n".join(str(one) for one in taken))
            self._listen_to_signals()
            starting = asyncio.create_task(self._start(held, prepare))
            stopping = asyncio.create_task(self._stop.wait())
            try:
                await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if starting.done():
                    starting.result()
                    welcome()
                    await self._supervise()
            finally:
                await _cancel(starting, stopping)
                await self._reloading.close()
                await self._end()

    async def _start(self, held: ExitStack, prepare: Callable[[], None]) -> None:
        configuration = self.configuration
        nonce_secret(configuration)
        media_secret(configuration)
        if configuration.store.dsn is None:
            store = EmbeddedStore(configuration.data_dir)
            held.enter_context(hold(store.lock_file))
            await self._start_store(store)
        await asyncio.to_thread(prepare)
        for name in self._programs():
            self._tell(f"Starting {name} ...")
            await self._add(Child(name, program_command(name, configuration.file)))

    def _programs(self) -> list[str]:
        media = ["media"] if self.configuration.media.is_builtin else []
        carrier = ["carrier"] if self.configuration.demo.enabled else []
        return [*media, "ivr", *carrier, "switch"]

    async def _start_store(self, store: EmbeddedStore) -> None:
        self._tell("Starting the store ...")
        await asyncio.to_thread(store.prepare)

        async def wait_ready(child: Child) -> None:
            await asyncio.to_thread(store.wait_ready, lambda: child.is_alive)

        child = Child(
            "store",
            store.command,
            output=store.log_file,
            wait_ready=wait_ready,
            stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown
        )
        await self._add(child)

    async def _add(self, child: Child) -> None:
        self._children.append(child)
        await child.start()

    async def _supervise(self) -> None:
        keepers = [asyncio.create_task(child.keep_running()) for child in self._children]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait({stopping, *keepers}, return_when=asyncio.FIRST_COMPLETED)
            for keeper in done - {stopping}:
                keeper.result()
        finally:
            await _cancel(*keepers, stopping)

    async def _end(self) -> None:
        draining = self.configuration.sip.drain_seconds + GRACE_SECONDS
        patience = {"switch": draining, "ivr": draining, "store": STOP_SECONDS}
        for child in reversed(self._children):
            if child.is_alive:
                await child.stop(patience.get(child.name, GRACE_SECONDS))

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def _ask_to_stop(self) -> None:
        self._stops_asked += 1
        self._stop.set()
        if self._stops_asked == 1:
            drain = self.configuration.sip.drain_seconds
            self._tell(f"Ending: running calls have {drain} s (Ctrl-C again ends them now) ...")
            return
        for child in self._children:  # a second signal: the processes take it as "at once"
            if child.name != "store":
                child.send_signal(signal.SIGTERM)

    def reload(self) -> None:
        """Takes a changed file over, soon; a broken one is refused and told, and everything goes on as it was."""
        self._reloading.ask()

    def _take_over(self, fresh: Configuration) -> None:
        for key in fixed_changes(self.configuration, fresh):
            log.warning("%s: the change counts from the next start", key)
        self.configuration = replace(fresh, **{key: getattr(self.configuration, key) for key in FIXED_KEYS})
        for child in self._children:
            child.send_signal(signal.SIGHUP)
        log.info("configuration taken over from %s", fresh.file)


def fixed_changes(before: Configuration, after: Configuration) -> list[str]:
    """The keys that changed and that only a new start takes over."""
    return list(fixed_differences(before, after))


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
