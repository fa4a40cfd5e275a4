# SPDX-License-Identifier: Apache-2.0
"""TCP: connections that peers open, connections that we open, and their reuse both ways (RFC 3261 18, RFC 5626)."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Flow
from switch.sip.message.framing import StreamFramer
from switch.sip.transport.flood import source_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from switch.sip.message.flow import Listen
    from switch.sip.transport.edge import Edge

__all__ = ["StreamLimits", "TcpConnections"]

_PONG: Final = b"\r\n"
_USER_TIMEOUT_MILLISECONDS: Final = 30_000
"""How long sent data may stay without acknowledgement before the kernel gives the peer up."""
_SHARE: Final = 8
"""Messages of one connection that are dealt with before others have their turn; of UDP it is as many as one batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Limits of TCP connections."""

    idle_seconds: float = 3900.0
    """Longer than the longest registration, so that a phone without keep-alive stays reachable."""
    message_seconds: float = 15.0
    """A new connection must bring its first message, and any connection the rest of one begun, within this."""
    connect_seconds: float = 4.0
    stranger_seconds: float = 60.0
    """How long a connection may stay from whose address nobody authenticates."""
    per_stranger: int = 32
    """Connections of one address (of IPv6: one network) that has not authenticated yet."""
    per_source: int = 4096
    """Connections of any one address."""
    strangers: int = 10_000
    """Connections of all addresses that have not authenticated yet."""
    total: int = 50_000
    queue_bytes: int = 1 << 20
    """Unsent data at which a peer counts as dead."""


class TcpConnection(asyncio.Protocol):
    """One connection, opened by either side."""

    def __init__(self, owner: TcpConnections, local: tuple[str, int], number: int, *, is_ours: bool) -> None:
        self._owner = owner
        self._local = local
        self._number = number
        self._is_ours = is_ours
        self._transport: asyncio.Transport | None = None
        self._framer = StreamFramer()
        self.flow = Flow("tcp", local, ("", 0), number)
        self.source = ""
        self.is_stranger = not is_ours
        """Nobody has authenticated from its address since it is open."""
        self.opened_at = self.used_at = 0.0
        self.incomplete_since: float | None = None
        """Since when we wait for a first message or the rest of one; None: for nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection up unless its peer has too many."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        peer = transport.get_extra_info("peername")
        if not peer:  # gone before we could look
            transport.abort()
            return
        self.flow = Flow("tcp", self._local, (peer[0], peer[1]), self._number)
        self.source = source_key(peer[0])
        self.opened_at = self.used_at = self._owner.edge.clock()
        self.incomplete_since = None if self._is_ours else self.used_at
        _tune(transport.get_extra_info("socket"))
        if not self._owner.admit(self, is_ours=self._is_ours):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._owner.forget(self)

    def data_received(self, data: bytes) -> None:
        """Take in what came; what is more than a share waits for its turn, and nothing more is read meanwhile."""
        self.used_at = self._owner.edge.clock()
        if self._take(data) and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._owner.wait(self)

    def go_on(self) -> bool:
        """Take in another share of what waits; False when nothing does any more."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._take(b""):
            return True
        if not self._transport.is_closing():
            self._transport.resume_reading()
        return False

    def _take(self, data: bytes) -> bool:
        """Cut the stream into messages (RFC 3261 section 18.3) and answer pings (RFC 5626 section 4.4.1), one share
        of them; whether there may be more."""
        edge, left = self._owner.edge, _SHARE
        try:
            for frame in self._framer.feed(data):
                self.incomplete_since = None
                if frame:
                    edge.receive(frame, self.flow)
                else:
                    self.write(_PONG)
                left -= 1
                if not left:
                    return True
        except ParseError as error:
            # where the next message begins is unknown
            edge.reject(error, self.flow)
            self.close()
            return False
        if self._framer.is_incomplete and self.incomplete_since is None:
            self.incomplete_since = self.used_at
        return False

    def write(self, data: bytes) -> bool:
        """Send; False when the peer is gone or takes nothing any more."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(data) > self._owner.limits.queue_bytes:
            transport.abort()
            return False
        self.used_at = self._owner.edge.clock()
        transport.write(data)
        return True

    def close(self) -> None:
        """Send what is queued, then close."""
        if self._transport is not None:
            self._transport.close()


@dataclass(slots=True)
class _Connecting:
    """A connection that is being opened, and what waits to be sent on it."""

    flow: Flow
    queue: list[bytes] = field(default_factory=list)
    size: int = 0


class TcpConnections:
    """All TCP listeners and connections of a switch."""

    def __init__(
        self,
        edge: Edge,
        limits: StreamLimits,
        *,
        on_failed: Callable[[Flow, bytes], None],
        on_closed: Callable[[Flow], None],
    ) -> None:
        self.edge = edge
        self.limits = limits
        self._on_failed = on_failed
        self._on_closed = on_closed
        self._servers: list[asyncio.Server] = []
        self._by_number: dict[int, TcpConnection] = {}
        self._by_remote: dict[tuple[str, int], TcpConnection] = {}
        self._per_source: dict[str, int] = {}
        self._strangers = 0
        self._waiting: deque[TcpConnection] = deque()
        """Those that have sent more than their share, in the order of their turns."""
        self._connecting: dict[tuple[str, int], _Connecting] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_number = 0
        self.refused = 0
        """Connections refused for a limit."""

    def __len__(self) -> int:
        return len(self._by_number)

    async def listen(self, listen: Listen) -> tuple[str, int]:
        """Listen; returns the bound address. Raises OSError."""
        local: tuple[str, int] = (listen.host, listen.port)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: TcpConnection(self, local, self._next_number(), is_ours=False),
            listen.host,
            listen.port,
            backlog=1024,
            start_serving=False,
        )
        self._servers.append(server)
        local = server.sockets[0].getsockname()[:2]
        await server.start_serving()
        return local

    async def close(self) -> None:
        """Close everything; what is queued for open connections is still sent."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._by_number.values()):
            connection.close()
        for _ in range(10):  # a loop turn or two let the transports finish
            if not self._by_number:
                break
            await asyncio.sleep(0.01)

    def send(self, data: bytes, flow: Flow) -> None:
        """Send on this connection, or on any to that address, which is opened when there is none."""
        connection = self._by_number.get(flow.connection) if flow.connection else self._by_remote.get(flow.remote)
        if connection is not None and connection.write(data):
            return
        if flow.connection:
            asyncio.get_running_loop().call_soon(self._on_failed, flow, data)
        else:
            self._queue(data, flow)

    def has(self, flow: Flow) -> bool:
        """Whether the connection of this flow is open."""
        return flow.connection in self._by_number

    def wait(self, connection: TcpConnection) -> None:
        """Give a connection another turn, once everything else that came has had one."""
        self._waiting.append(connection)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        """One share of one connection, and back to the loop: to timers, datagrams, the store."""
        connection = self._waiting[0]
        try:
            has_more = connection.go_on()
        finally:
            self._waiting.popleft()
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._next_turn)
        if has_more:
            self.wait(connection)

    def admit(self, connection: TcpConnection, *, is_ours: bool) -> bool:
        """Register a new connection; False when it is one too many."""
        source, limits = connection.source, self.limits
        count = self._per_source.get(source, 0)
        connection.is_stranger = not is_ours and not self._is_known(connection)
        if not is_ours and (
            len(self._by_number) >= limits.total
            or count >= (limits.per_stranger if connection.is_stranger else limits.per_source)
            or (connection.is_stranger and self._strangers >= limits.strangers)
        ):
            self.refused += 1
            return False
        self._strangers += connection.is_stranger
        self._per_source[source] = count + 1
        self._by_number[connection.flow.connection] = connection
        self._by_remote[connection.flow.remote] = connection
        return True

    def _is_known(self, connection: TcpConnection) -> bool:
        return self.edge.flood.is_trusted(connection.flow.remote[0], self.edge.clock())

    def forget(self, connection: TcpConnection) -> None:
        """A connection is closed."""
        flow = connection.flow
        if self._by_number.pop(flow.connection, None) is None:
            return
        self._strangers -= connection.is_stranger
        if self._by_remote.get(flow.remote) is connection:
            del self._by_remote[flow.remote]
        source = connection.source
        if self._per_source[source] == 1:
            del self._per_source[source]
        else:
            self._per_source[source] -= 1
        self._on_closed(flow)

    def sweep(self) -> None:
        """Close connections that are idle, those that hold us up with an incomplete message, and those of strangers
        that remain strangers."""
        now, limits = self.edge.clock(), self.limits
        idle_before, incomplete_before = now - limits.idle_seconds, now - limits.message_seconds
        strange_before = now - limits.stranger_seconds
        for connection in list(self._by_number.values()):
            if connection.is_stranger and self._is_known(connection):
                connection.is_stranger = False  # for as long as it is open: a call may outlast the trust
                self._strangers -= 1
            since = connection.incomplete_since
            if (
                connection.used_at < idle_before
                or (since is not None and since < incomplete_before)
                or (connection.is_stranger and connection.opened_at < strange_before)
            ):
                connection.close()

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _queue(self, data: bytes, flow: Flow) -> None:
        pending = self._connecting.get(flow.remote)
        if pending is None:
            pending = self._connecting[flow.remote] = _Connecting(flow)
            task = asyncio.get_running_loop().create_task(self._connect(pending))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if pending.size + len(data) > self.limits.queue_bytes:
            asyncio.get_running_loop().call_soon(self._on_failed, flow, data)
            return
        pending.queue.append(data)
        pending.size += len(data)

    async def _connect(self, pending: _Connecting) -> None:
        flow = pending.flow
        host = flow.local[0]
        sent = False
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: TcpConnection(self, flow.local, self._next_number(), is_ours=True),
                    *flow.remote,
                    local_addr=None if host in ("0.0.0.0", "::") else (host, 0),
                )
            sent = all(connection.write(data) for data in pending.queue)
        except (OSError, TimeoutError):
            pass  # reported below
        finally:
            del self._connecting[flow.remote]
            if not sent:
                for data in pending.queue:
                    self._on_failed(flow, data)


def _tune(connection: socket.socket | None) -> None:
    """Notice dead peers within half a minute, and do not wait to fill a segment."""
    if connection is None:
        return
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MILLISECONDS)
