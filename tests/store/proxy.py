# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy in front of the store's unix socket that tests cut, freeze and mend."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Proxy"]


class Proxy:
    """Listens on a port of the loopback; `dsn` leads through it."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self._socket = parse_qs(parts.query)["host"][0] + "/.s.PGSQL.5432"
        self._login = f"postgresql://{parts.username}@127.0.0.1"
        self._database = parts.path
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._forgotten: set[asyncio.StreamWriter] = set()
        self._flow = asyncio.Event()
        self._flow.set()
        self.port = 0
        self.refuses = False

    @property
    def dsn(self) -> str:
        """The store through the proxy."""
        return f"{self._login}:{self.port}{self._database}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self._flow.set()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def cut(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def forget(self) -> None:
        """Let nothing through of what is connected now, for ever, as a firewall does that forgets connections."""
        self._forgotten |= self._writers

    def freeze(self) -> None:
        """Let nothing through, without closing anything."""
        self._flow.clear()

    def thaw(self) -> None:
        """Let everything through again."""
        self._flow.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_unix_connection(self._socket)
        self._writers |= {writer, far_writer}
        for source, target in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.get_running_loop().create_task(self._pump(source, target))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(65536):
                await self._flow.wait()
                if target not in self._forgotten:
                    target.write(chunk)
        except OSError:
            pass
        finally:
            self._writers.discard(target)
            target.transport.abort()
