# SPDX-License-Identifier: Apache-2.0
"""A few read-only pages over HTTP: metrics, health, live state. GET only, one answer per connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["Page", "serve"]

Page = Callable[[], tuple[int, str, bytes]]
"""Makes (status, content type, body)."""

_READ_SECONDS: Final = 5.0
_MAX_LINE: Final = 4096
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


async def serve(host: str, port: int, pages: Mapping[str, Page]) -> asyncio.Server:
    """Serve `pages` by path; raises OSError when the address is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, kind, body = await asyncio.wait_for(_dispatch(reader, pages), _READ_SECONDS)
            head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # a scanner or a browser that went away
        finally:
            writer.close()

    return await asyncio.start_server(answer, host, port, limit=_MAX_LINE)


async def _dispatch(reader: asyncio.StreamReader, pages: Mapping[str, Page]) -> tuple[int, str, bytes]:
    line = (await reader.readuntil(b"\r\n")).decode("latin-1")
    for _ in range(100):
        if await reader.readuntil(b"\r\n") == b"\r\n":
            break
    parts = line.split()
    if len(parts) != 3:
        return 400, "text/plain", b"bad request\n"
    if parts[0] != "GET":
        return 405, "text/plain", b"only GET\n"
    page = pages.get(parts[1].partition("?")[0])
    return page() if page is not None else (404, "text/plain", b"not found\n")
