# SPDX-License-Identifier: Apache-2.0
"""A UDP listener (RFC 3261 section 18).

It reads the socket itself instead of using the event loop's datagram transport: the same code runs as fast on asyncio
as on uvloop, where asyncio's own transport allocates 256 KiB for every datagram.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from switch.sip.message.flow import Flow

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from switch.sip.message.flow import Listen
    from switch.sip.transport.edge import Edge

__all__ = ["UdpListener"]

_PING: Final = b"\r\n\r\n"
_PONG: Final = b"\r\n"
_STUN_COOKIE: Final = b"\x21\x12\xa4\x42"
_MAX_DATAGRAM: Final = 65_535
_BATCH: Final = 32
"""Datagrams read at once before other work has its turn."""
_MAX_FLOWS: Final = 65_536
_SOCKET_BUFFER: Final = 8 << 20
_SO_RCVBUFFORCE: Final = 33
_SO_SNDBUFFORCE: Final = 32


class UdpListener:
    """One bound UDP socket."""

    def __init__(
        self,
        listen: Listen,
        edge: Edge,
        loop: asyncio.AbstractEventLoop,
        *,
        on_failed: Callable[[Flow, bytes], None],
        answer_stun: Callable[[bytes, tuple[str, int]], bytes | None],
    ) -> None:
        self._edge = edge
        self._loop = loop
        self._on_failed = on_failed
        self._answer_stun = answer_stun
        self._flows: dict[tuple[str, int], Flow] = {}
        self.sent = 0
        self.lost = 0
        """Datagrams that the full socket buffer did not take; SIP repeats them."""
        self._socket = _bound(listen)
        self.local: tuple[str, int] = self._socket.getsockname()[:2]
        loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def send(self, data: bytes, flow: Flow) -> None:
        """Send one datagram; failures that repeating cannot mend are reported once the caller is done."""
        try:
            self._socket.sendto(data, flow.remote)
            self.sent += 1
        except BlockingIOError:
            self.lost += 1
        except OSError:
            self._loop.call_soon(self._on_failed, flow, data)

    def flow_to(self, remote: tuple[str, int]) -> Flow:
        """The flow from here to an address; the same object for the same address, to save the making of it."""
        flow = self._flows.get(remote)
        if flow is None:
            if len(self._flows) >= _MAX_FLOWS:
                self._flows.clear()
            flow = self._flows[remote] = Flow("udp", self.local, remote)
        return flow

    def _read(self) -> None:
        receive = self._socket.recvfrom
        for _ in range(_BATCH):
            try:
                data, address = receive(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error about something sent earlier
            if len(data) > 4 and data[0] > 0x20:
                self._edge.receive(data, self.flow_to(address[:2]))
            else:
                self._keep_alive(data, address[:2])

    def _keep_alive(self, data: bytes, remote: tuple[str, int]) -> None:
        """Answer what keeps a flow alive and is no SIP: CRLF pings and STUN (RFC 5626 sections 3.5.1 and 3.5.2)."""
        if data == _PING:
            answer: bytes | None = _PONG
        elif data[4:8] == _STUN_COOKIE:
            answer = self._answer_stun(data, remote)
        elif data.strip(b"\r\n\0\t "):
            # RFC 3261 7.5: empty lines may come before the start line
            self._edge.receive(data, self.flow_to(remote))
            return
        else:
            return
        if answer is not None:
            with suppress(OSError):
                self._socket.sendto(answer, remote)


def _bound(listen: Listen) -> socket.socket:
    """A non-blocking bound socket with the largest buffers that we may have; raises OSError."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        for option, forced in ((socket.SO_RCVBUF, _SO_RCVBUFFORCE), (socket.SO_SNDBUF, _SO_SNDBUFFORCE)):
            bound.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER)
            with suppress(OSError):  # beyond the system's limit only with CAP_NET_ADMIN
                bound.setsockopt(socket.SOL_SOCKET, forced, _SOCKET_BUFFER)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((listen.host, listen.port))
    except OSError:
        bound.close()
        raise
    return bound
