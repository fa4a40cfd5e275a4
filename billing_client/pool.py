# SPDX-License-Identifier: Apache-2.0
"""A few connections to PostgreSQL, each with its prepared statements: one operation is one round trip.

asyncpg's own pool resets a connection at every release, which doubles the round trips; here nothing is ever left to
reset, because each operation is a single statement in a transaction of its own.

A lost connection is replaced in the background, with growing pauses. Operations carry idempotency keys, so one that
was cut is sent again over another connection; when none can be had in time the caller gets `StoreUnavailable`.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from billing_client.types import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from asyncpg.prepared_stmt import PreparedStatement

__all__ = ["LOST", "UNREACHABLE", "Link", "Pool", "connect"]

LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary became a standby under us
)
"""The connection is of no use any more, but another may be."""

UNREACHABLE = (*LOST, TimeoutError, asyncpg.PostgresError)
"""Why a connection cannot be opened (a server that starts or recovers refuses in many ways)."""

AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""Nothing was done, and doing it again may go well."""

ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0


async def connect(dsn: str, *, name: str, timeout_seconds: float) -> asyncpg.Connection[asyncpg.Record]:
    """Open a connection; several hosts and target_session_attrs in the DSN work as libpq's do."""
    return await asyncpg.connect(
        dsn,
        timeout=timeout_seconds,
        server_settings={
            "application_name": name,
            "statement_timeout": str(round(timeout_seconds * 1000)),
            # The best plan of each of our statements does not depend on its arguments.
            "plan_cache_mode": "force_generic_plan",
            # Each goes by a key. The table of live calls is empty at times, and a plan made then would read all of it
            # for ever after.
            "enable_seqscan": "off",
            "jit": "off",
        },
    )


class Link:
    """A connection and its prepared statements."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Take over an open connection."""
        self.connection = connection
        self._prepared: dict[str, PreparedStatement[asyncpg.Record]] = {}

    async def prepare(self, statements: Iterable[str]) -> None:
        """Have the server parse statements that are not parsed yet."""
        for sql in statements:
            if sql not in self._prepared:
                self._prepared[sql] = await self.connection.prepare(sql)

    async def fetch(self, sql: str, args: Sequence[Any], timeout_seconds: float) -> list[asyncpg.Record]:
        """Run a statement."""
        prepared = self._prepared.get(sql)
        if prepared is None:
            await self.prepare([sql])
            prepared = self._prepared[sql]
        return await prepared.fetch(*args, timeout=timeout_seconds)


class Pool:
    """A fixed number of links, those used last used first."""

    def __init__(self, dsn: str, *, name: str, size: int, timeout_seconds: float, prepare: Sequence[str]) -> None:
        """`timeout_seconds` bounds each wait: for a connection, for a free link, for an answer."""
        self._dsn = dsn
        self._name = name
        self._size = size
        self._timeout_seconds = timeout_seconds
        self._prepare = prepare
        self._links: set[Link] = set()
        self._idle: list[Link] = []
        self._waiting: deque[asyncio.Future[Link]] = deque()
        self._repairs: set[asyncio.Task[None]] = set()
        self._down_at = 0.0
        self._closed = False

    @property
    def is_connected(self) -> bool:
        """True if at least one link is open."""
        return bool(self._links)

    async def open(self) -> None:
        """Open every link, or raise StoreUnavailable."""
        try:
            for _ in range(self._size):
                self._release(await self._connect())
        except UNREACHABLE as error:
            await self.close()
            raise StoreUnavailable(f"cannot connect to the store: {error}") from error

    async def close(self) -> None:
        """Close every link; operations that wait for one fail."""
        self._closed = True
        repairs = tuple(self._repairs)
        for task in repairs:
            task.cancel()
        await asyncio.gather(*repairs, return_exceptions=True)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(StoreUnavailable("the store is closed"))
        links, self._links = self._links, set()
        self._idle.clear()
        for link in links:
            await _close(link.connection, self._timeout_seconds)

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Run one statement; StoreUnavailable if it cannot be, StoreRefused if the store objects."""
        lost: BaseException | None = None
        for _ in range(ATTEMPTS):
            link = self._idle.pop() if self._idle else await self._wait()
            try:
                rows = await link.fetch(sql, args, self._timeout_seconds)
            except (TimeoutError, asyncpg.QueryCanceledError) as error:  # before LOST: it is an OSError
                self._discard(link)
                raise StoreUnavailable("the store does not answer in time") from error
            except LOST as error:
                self._discard(link)
                lost = error
            except AGAIN as error:
                self._release(link)
                lost = error
            except asyncpg.PostgresError as error:
                self._release(link)
                raise StoreRefused(f"{type(error).__name__}: {error}") from error
            except BaseException:
                self._discard(link)  # cancelled with an answer on its way: nobody else may read it
                raise
            else:
                self._release(link)
                return rows
        raise StoreUnavailable(f"{ATTEMPTS} attempts failed: {lost}") from lost

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection in a read-only transaction that sees one state of the store, for long reads."""
        link = self._idle.pop() if self._idle else await self._wait()
        try:
            async with link.connection.transaction(isolation="repeatable_read", readonly=True):
                yield link.connection
        except (*LOST, TimeoutError, asyncpg.QueryCanceledError) as error:
            self._discard(link)
            raise StoreUnavailable(f"the store was lost: {error}") from error
        except BaseException:
            self._discard(link)
            raise
        else:
            self._release(link)

    async def _wait(self) -> Link:
        """Wait for a link, but fail at once if the store has been out of reach for as long as we would wait."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        if not self._links and loop.time() - self._down_at > self._timeout_seconds:
            raise StoreUnavailable("the store cannot be reached")
        waiter: asyncio.Future[Link] = loop.create_future()
        self._waiting.append(waiter)
        try:
            return await asyncio.wait_for(waiter, self._timeout_seconds)
        except TimeoutError:
            raise StoreUnavailable("no connection to the store in time") from None
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._release(waiter.result())
            raise

    def _release(self, link: Link) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(link)
                return
        self._idle.append(link)

    def _discard(self, link: Link) -> None:
        """Drop a broken link and have it replaced; idle ones that broke with it go the same way when next used."""
        link.connection.terminate()
        if self._closed or link not in self._links:
            return
        self._links.discard(link)
        loop = asyncio.get_running_loop()
        if not self._links:
            self._down_at = loop.time()
        repair = loop.create_task(self._repair(), name="store repair")
        self._repairs.add(repair)
        repair.add_done_callback(self._repairs.discard)

    async def _repair(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                link = await self._connect()
            except UNREACHABLE:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # spreads the nodes
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._release(link)
                return

    async def _connect(self) -> Link:
        connection = await connect(self._dsn, name=self._name, timeout_seconds=self._timeout_seconds)
        link = Link(connection)
        try:
            await link.prepare(self._prepare)
            # asyncpg ends a prepare by Flush, not Sync: the server's statement_timeout would run on while we idle.
            await connection.execute("SELECT 1")
        except BaseException:
            connection.terminate()
            raise
        self._links.add(link)
        return link


async def _close(connection: asyncpg.Connection[asyncpg.Record], timeout_seconds: float) -> None:
    try:
        await connection.close(timeout=timeout_seconds)
    except UNREACHABLE:
        connection.terminate()
