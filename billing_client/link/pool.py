# SPDX-License-Identifier: Apache-2.0
"""A few connections to PostgreSQL, each with its prepared statements: one operation is one round trip.

asyncpg's own pool resets a connection at every release, which doubles the round trips; here nothing is ever left to
reset, because each operation is a single statement in a transaction of its own.

A lost connection is replaced in the background, one at a time, with growing pauses. Operations carry idempotency keys,
so one that was cut is sent again over another connection; when none can be had in time the caller gets
`StoreUnavailable`.

A store that is starved (of processor, of disk) is not a lost one: who asks waits no longer than he can, but the
connection stays and its late answer makes it free again. So the store is well again as soon as it can answer, and does
not first have to let everybody in anew (adr/0010).
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.protocol import NO_TIMEOUT

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
    asyncpg.DatatypeMismatchError,  # calls have another column since we connected: who connects anew learns of it
    asyncpg.ReadOnlySQLTransactionError,  # the primary became a standby under us
)
"""The connection is of no use any more, but another may be."""

UNREACHABLE = (*LOST, TimeoutError, asyncpg.PostgresError)
"""Why a connection cannot be opened (a server that starts or recovers refuses in many ways)."""

AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""Nothing was done, and doing it again may go well."""

ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
SILENT_SECONDS = 30.0
"""An answer that is so late will not come: the connection is given up."""
SURPLUS = 2
"""So many connections beyond the pool's size may be opened while others are late: they may be cut without a word."""
KEEP_ALIVE = {
    "SO_KEEPALIVE": 1,
    "TCP_KEEPIDLE": 15,  # seconds: less than any firewall's memory of a connection
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 10_000,  # milliseconds; a stopped process still acknowledges, a dead machine does not
}
"""What tells a starved store from one that is gone."""


async def connect(dsn: str, *, name: str, timeout_seconds: float) -> asyncpg.Connection[asyncpg.Record]:
    """Open a connection; several hosts and target_session_attrs in the DSN work as libpq's do."""
    connection = await asyncpg.connect(
        dsn,
        timeout=timeout_seconds,
        command_timeout=SILENT_SECONDS,
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
    _keep_alive(connection)
    return connection


def _keep_alive(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    transport: asyncio.Transport | None = getattr(connection, "_transport", None)  # asyncpg has no other way to it
    wire: socket.socket | None = transport.get_extra_info("socket") if transport is not None else None
    if wire is None or wire.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for name, value in KEEP_ALIVE.items():
        level = socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP
        if hasattr(socket, name):
            wire.setsockopt(level, getattr(socket, name), value)


class Link:
    """A connection and its prepared statements."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Take over an open connection."""
        self.connection = connection
        self.used_at = 0.0
        """When it was last given out."""
        self.helps_out = False
        """Opened beyond the pool's size, while others were late."""
        self.task: asyncio.Task[list[asyncpg.Record]] | None = None
        """What runs on it."""
        self._prepared: dict[str, PreparedStatement[asyncpg.Record]] = {}

    async def prepare(self, statements: Iterable[str]) -> None:
        """Have the server parse statements that are not parsed yet."""
        for sql in statements:
            if sql not in self._prepared:
                self._prepared[sql] = await self.connection.prepare(sql)

    async def fetch(self, sql: str, args: Sequence[Any], timeout_seconds: Any) -> list[asyncpg.Record]:
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
        self._late: set[Link] = set()
        """Those of them whose answer nobody waits for any more."""
        self._idle: list[Link] = []
        self._waiting: deque[asyncio.Future[Link]] = deque()
        self._mending: asyncio.Task[None] | None = None
        self._down_at = 0.0
        self._closed = False

    @property
    def is_connected(self) -> bool:
        """True if at least one link is open and not late."""
        return len(self._links) > len(self._late)

    async def open(self) -> None:
        """Open every link, or raise StoreUnavailable; where the store lets only some in, the others come later."""
        try:
            for _ in range(self._size):
                self._release(await self._connect())
        except UNREACHABLE as error:
            if self._links:
                self._mend_soon()
                return
            await self.close()
            raise StoreUnavailable(f"cannot connect to the store: {error}") from error

    async def close(self) -> None:
        """Close every link; operations that wait for one fail."""
        self._closed = True
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.gather(self._mending, return_exceptions=True)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(StoreUnavailable("the store is closed"))
        links, self._links = self._links, set()
        self._idle.clear()
        for link in links:
            await _close(link.connection, self._timeout_seconds)
        await asyncio.gather(*(link.task for link in links if link.task is not None), return_exceptions=True)

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Run one statement; StoreUnavailable if it cannot be, StoreRefused if the store objects."""
        lost: BaseException | None = None
        for _ in range(ATTEMPTS):
            link = self._pop_idle() or await self._wait()
            try:
                return await self._ask(link, sql, args)
            except asyncpg.QueryCanceledError as error:
                raise StoreUnavailable("the store does not answer in time") from error
            except (*LOST, *AGAIN) as error:
                lost = error
            except asyncpg.PostgresError as error:
                raise StoreRefused(f"{type(error).__name__}: {error}") from error
        raise StoreUnavailable(f"{ATTEMPTS} attempts failed: {lost}") from lost

    async def _ask(self, link: Link, sql: str, args: Sequence[Any]) -> list[asyncpg.Record]:
        """Wait for an answer as long as we can. What runs on the link runs on, whatever becomes of who asked."""
        loop = asyncio.get_running_loop()
        link.used_at = loop.time()
        answer: asyncio.Future[list[asyncpg.Record]] = loop.create_future()
        self._start(link, sql, args, answer)
        timer = loop.call_later(self._timeout_seconds, self._too_late, link, answer)
        try:
            return await answer
        finally:
            timer.cancel()

    def _start(self, link: Link, sql: str, args: Sequence[Any], answer: asyncio.Future[list[asyncpg.Record]]) -> None:
        fetching = link.fetch(sql, args, NO_TIMEOUT)  # our own timer does, which costs half of asyncpg's
        link.task = asyncio.get_running_loop().create_task(fetching)
        link.task.add_done_callback(partial(self._ended, link, answer))

    def _ended(
        self, link: Link, answer: asyncio.Future[list[asyncpg.Record]], task: asyncio.Task[list[asyncpg.Record]]
    ) -> None:
        """What becomes of the link and of who asked: only a link that is of no use any more is closed."""
        error = None if task.cancelled() else task.exception()
        is_sound = error is None or (isinstance(error, asyncpg.PostgresError) and not isinstance(error, LOST))
        if is_sound and not task.cancelled():
            self._release(link)
        else:
            self._discard(link)
        if answer.done():
            return
        if task.cancelled():
            answer.cancel()
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(task.result())

    def _too_late(self, link: Link, answer: asyncio.Future[list[asyncpg.Record]]) -> None:
        if answer.done():
            return
        answer.set_exception(StoreUnavailable("the store does not answer in time"))
        if link in self._links:
            self._late.add(link)
            asyncio.get_running_loop().call_later(SILENT_SECONDS, self._too_silent, link, link.task)
            self._note_down()
            self._mend_soon()

    def _too_silent(self, link: Link, task: asyncio.Task[list[asyncpg.Record]] | None) -> None:
        if link in self._late and link.task is task:
            self._discard(link)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection in a read-only transaction that sees one state of the store, for long reads."""
        link = self._pop_idle() or await self._wait()
        with ExitStack() as undo:
            undo.callback(self._discard, link)
            try:
                async with link.connection.transaction(isolation="repeatable_read", readonly=True):
                    yield link.connection
            except asyncpg.QueryCanceledError as error:  # rolled back
                undo.pop_all()
                self._release(link)
                raise StoreUnavailable("the store does not answer in time") from error
            except (*LOST, TimeoutError) as error:
                raise StoreUnavailable(f"the store was lost: {error}") from error
            undo.pop_all()
            self._release(link)

    async def _wait(self) -> Link:
        """Wait for a link, but fail at once if the store has been out of reach for as long as we would wait."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        if not self.is_connected and loop.time() - self._down_at > self._timeout_seconds:
            raise StoreUnavailable("the store cannot be reached")
        waiter: asyncio.Future[Link] = loop.create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._timeout_seconds):  # `wait_for` of Python 3.11 may swallow a cancellation
                return await waiter
        except (TimeoutError, asyncio.CancelledError) as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._release(waiter.result())
            if isinstance(error, TimeoutError):
                raise StoreUnavailable("no connection to the store in time") from None
            raise

    def _pop_idle(self) -> Link | None:
        """The link used last, of those that the other side has not closed meanwhile."""
        while self._idle:
            link = self._idle.pop()
            if not link.connection.is_closed():
                return link
            self._discard(link)
        return None

    def _release(self, link: Link) -> None:
        self._late.discard(link)
        if link not in self._links:
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(link)
                return
        self._idle.append(link)
        if len(self._links) > self._size:
            self._dismiss()

    def _dismiss(self) -> None:
        """Those that were late are back: whoever helped out goes, as soon as he has nothing to do."""
        for link in [link for link in self._idle if link.helps_out]:
            if len(self._links) <= self._most_links:
                return
            self._idle.remove(link)
            self._discard(link)

    def _discard(self, link: Link) -> None:
        """Drop a link that is of no use and have it replaced."""
        link.connection.terminate()
        self._late.discard(link)
        if self._closed or link not in self._links:
            return
        self._links.discard(link)
        self._note_down()
        self._mend_soon()

    def _note_down(self) -> None:
        if not self.is_connected:
            self._down_at = asyncio.get_running_loop().time()

    def _mend_soon(self) -> None:
        if self._mending is None and not self._closed and self._wants_links():
            self._mending = asyncio.get_running_loop().create_task(self._mend(), name="store repair")

    def _wants_links(self) -> bool:
        return len(self._links) < self._most_links

    @property
    def _most_links(self) -> int:
        return self._size + min(len(self._late), SURPLUS)

    async def _mend(self) -> None:
        """Open what is missing, one after the other, so that a store that comes back is not run over by everybody."""
        pause = FIRST_PAUSE_SECONDS
        try:
            while self._wants_links():
                began = asyncio.get_running_loop().time()
                try:
                    link = await self._connect()
                except UNREACHABLE:
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # spreads the nodes
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                    continue
                pause = FIRST_PAUSE_SECONDS
                self._ask_idle(began)
                self._release(link)
        finally:
            self._mending = None

    def _ask_idle(self, since: float) -> None:
        """The store lets in: links that nobody has used since answer at once, or are cut and then nobody takes them."""
        loop = asyncio.get_running_loop()
        doubtful = [link for link in self._idle if link.used_at < since]
        self._idle = [link for link in self._idle if link.used_at >= since]
        for link in doubtful:
            link.used_at = loop.time()
            answer: asyncio.Future[list[asyncpg.Record]] = loop.create_future()
            answer.add_done_callback(_nobody_asked)
            self._start(link, "SELECT 1", (), answer)
            loop.call_later(self._timeout_seconds, self._too_late, link, answer)

    async def _connect(self) -> Link:
        connection = await connect(self._dsn, name=self._name, timeout_seconds=self._timeout_seconds)
        link = Link(connection)
        with ExitStack() as undo:
            undo.callback(connection.terminate)
            await link.prepare(self._prepare)
            # asyncpg ends a prepare by Flush, not Sync: the server's statement_timeout would run on while we idle.
            await connection.execute("SELECT 1")
            undo.pop_all()
        link.used_at = asyncio.get_running_loop().time()
        link.helps_out = len(self._links) >= self._size
        self._links.add(link)
        return link


def _nobody_asked(answer: asyncio.Future[list[asyncpg.Record]]) -> None:
    """What became of the link is all that matters."""
    if not answer.cancelled():
        answer.exception()


async def _close(connection: asyncpg.Connection[asyncpg.Record], timeout_seconds: float) -> None:
    try:
        await connection.close(timeout=timeout_seconds)
    except UNREACHABLE:
        connection.terminate()
