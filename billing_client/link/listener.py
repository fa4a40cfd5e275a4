# SPDX-License-Identifier: Apache-2.0
"""Hears what the store announces on the channel `softswitch`, for as long as it lives."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from billing_client.link.pool import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, UNREACHABLE, connect
from billing_client.types import StoreEvent, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

__all__ = ["CHANNEL", "Listener"]

CHANNEL = "softswitch"
PROBE_SECONDS = 15.0

log = logging.getLogger(__name__)


class Listener:
    """One connection that listens; after a gap it says "resync", because notifications are not kept."""

    def __init__(self, dsn: str, *, name: str, timeout_seconds: float, on_event: Callable[[StoreEvent], None]) -> None:
        """`on_event` is called on the event loop and must not block."""
        self._dsn = dsn
        self._name = name
        self._timeout_seconds = timeout_seconds
        self._on_event = on_event
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, or raise StoreUnavailable; later losses are repaired in the background."""
        try:
            connection = await self._connect()
        except UNREACHABLE as error:
            raise StoreUnavailable(f"cannot listen to the store: {error}") from error
        self._task = asyncio.get_running_loop().create_task(self._run(connection), name="store listener")

    async def stop(self) -> None:
        """Hear no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        try:
            while True:
                next_one = await self._until_lost(connection)
                connection.terminate()
                connection = next_one or await self._reconnect()
                self._on_event(StoreEvent("resync"))
        finally:
            connection.terminate()

    async def _until_lost(
        self, connection: asyncpg.Connection[asyncpg.Record]
    ) -> asyncpg.Connection[asyncpg.Record] | None:
        """Return once the connection is of no use, with another if there is one already.

        A probe finds out where TCP alone would stay silent.
        """
        closed = asyncio.Event()
        connection.add_termination_listener(lambda _: closed.set())
        while not connection.is_closed():
            try:
                await asyncio.wait_for(closed.wait(), PROBE_SECONDS)
            except TimeoutError:
                try:
                    next_one = await self._probe(connection)
                except UNREACHABLE:
                    return None
                if next_one is not None:
                    return next_one
        return None

    async def _probe(self, connection: asyncpg.Connection[asyncpg.Record]) -> asyncpg.Connection[asyncpg.Record] | None:
        """None: it answers. What is late may be starved or cut: then whoever answers first, it or another, listens on.

        So a store that is slow costs no "resync", with which everything known by heart goes.
        """
        asked = asyncio.ensure_future(connection.execute("SELECT 1"))
        other: asyncio.Task[asyncpg.Connection[asyncpg.Record]] | None = None
        try:
            done, _ = await asyncio.wait({asked}, timeout=self._timeout_seconds)
            if not done:
                other = asyncio.get_running_loop().create_task(self._reconnect())
                await asyncio.wait({asked, other}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done() and (other is None or not other.done()):
                asked.result()
                return None
            assert other is not None
            return other.result()
        finally:
            for task in (asked, other):
                if task is not None and not task.done():
                    task.cancel()
            await asyncio.gather(*filter(None, (asked, other)), return_exceptions=True)

    async def _reconnect(self) -> asyncpg.Connection[asyncpg.Record]:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._connect()
            except UNREACHABLE:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        connection = await connect(self._dsn, name=self._name, timeout_seconds=self._timeout_seconds)
        with ExitStack() as undo:
            undo.callback(connection.terminate)
            await connection.add_listener(CHANNEL, self._heard)
            undo.pop_all()
        return connection

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: Any) -> None:
        event = StoreEvent.parse(str(payload))
        if event is None:
            log.warning("the store announced something unknown", extra={"payload": payload})
        else:
            self._on_event(event)
