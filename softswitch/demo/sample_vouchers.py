# SPDX-License-Identifier: Apache-2.0
"""A sample store of vouchers outside, for tests and the demo: it speaks the protocol of the generic adapter, keeps its
vouchers in memory, and fails on demand.

Faults are used up in their order, one a request: `PATH:KIND`, where PATH is `check` or `deplete` and KIND is
`error` (status 500, nothing done), `lost` (done, but the connection ends without an answer), `slow` (done, answered too
late), `silent` (nothing done, no answer), `garbage` (done, answered in words).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from decimal import Decimal
    from types import TracebackType

__all__ = ["SampleVoucherStore"]

PATHS: Final = ("check", "deplete")
LATE_SECONDS: Final = 30.0
LONGEST_REQUEST: Final = 65_536


@dataclass
class SampleVoucherStore:
    """An HTTP server; vouchers by their code, and the keys that depleted them."""

    vouchers: dict[str, Decimal]
    faults: list[str] = field(default_factory=list)
    token: str = ""
    depleted_by: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """Which paths were asked."""
    late_seconds: float = LATE_SECONDS
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0: any."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End, whatever is being answered."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where the adapter asks."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        """What the store does and says."""
        code, key = body.get("code", ""), body.get("key", "")
        value, taker = self.vouchers.get(code), self.depleted_by.get(code)
        if path == "check":
            if value is None or taker is not None:
                return {"valid": False}
            return {"valid": True, "amount": str(value)}
        if value is None or (taker is not None and taker != key):
            return {"depleted": False}
        self.depleted_by[code] = key
        return {"depleted": True}

    def _fault(self, path: str) -> str:
        """The next fault, if it is one of this path."""
        if self.faults and self.faults[0].startswith(f"{path}:"):
            return self.faults.pop(0).removeprefix(f"{path}:")
        return ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._respond(reader, writer)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split()[1].rpartition("/")[2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = json.loads(await reader.readexactly(min(LONGEST_REQUEST, int(headers["content-length"]))))
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            await _send(writer, "401 Unauthorized", "{}")
            return
        if path not in PATHS:
            await _send(writer, "404 Not Found", "{}")
            return
        self.requests.append(path)
        fault = self._fault(path)
        if fault == "error":
            await _send(writer, "500 Internal Server Error", "{}")
            return
        if fault == "silent":
            await asyncio.sleep(self.late_seconds)
            return
        answer = json.dumps(self.answer(path, body))
        if fault == "lost":
            return
        if fault == "slow":
            await asyncio.sleep(self.late_seconds)
        await _send(writer, "200 OK", "thank you" if fault == "garbage" else answer)


async def _send(writer: asyncio.StreamWriter, status: str, body: str) -> None:
    """Answer and end the connection in an orderly way."""
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}".encode()
    )
    writer.write_eof()
    await writer.drain()
    await asyncio.sleep(0)
    writer.close()
    await writer.wait_closed()
