# SPDX-License-Identifier: Apache-2.0
"""All listeners of a switch behind one face: bytes go out on flows, messages come in from them."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Final

from switch.sip.message.flow import INNER, Flow
from switch.sip.message.host import bare, is_literal, with_port
from switch.sip.transport.edge import Edge
from switch.sip.transport.stun import answer_binding
from switch.sip.transport.tcp import StreamLimits, TcpConnections
from switch.sip.transport.udp import UdpListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from switch.sip.message.errors import ParseError
    from switch.sip.message.flow import Hop, Listen
    from switch.sip.message.message import Request, Response
    from switch.sip.transport.flood import FloodGuard

__all__ = ["Transport"]

_ANY: Final = ("0.0.0.0", "::")
_STREAM_SIZE: Final = 1300
"""RFC 3261 18.1.1: larger requests go by a congestion-controlled transport where the path MTU is unknown."""
_NO_STREAM_SECONDS: Final = 600.0
"""How long a peer that refused TCP is not asked again."""
_SWEEP_SECONDS: Final = 5.0
_MAX_CACHED: Final = 8192


def _ignore_closed(_flow: Flow) -> None:
    """Nobody holds flows."""


class Transport:
    """Sends and receives SIP over UDP and TCP; nothing here blocks.

    `on_message` and `on_malformed` are called from the sockets; `on_bytes` gets, before `on_message`, the bytes too.
    `on_failed` gets a flow and the bytes that could not be sent on it, never from within `send`. `on_closed` gets the
    flow of a TCP connection that ended.
    """

    def __init__(
        self,
        listens: Sequence[Listen],
        *,
        advertise: str | None = None,
        on_message: Callable[[Request | Response, Flow], None],
        on_malformed: Callable[[ParseError, Flow], None],
        on_failed: Callable[[Flow, bytes], None],
        on_closed: Callable[[Flow], None] = _ignore_closed,
        on_bytes: Callable[[Request | Response, Flow, bytes], None] | None = None,
        flood: FloodGuard,
        clock: Callable[[], float] = time.monotonic,
        limits: StreamLimits | None = None,
    ) -> None:
        self._listens = tuple(listens)
        self._advertise = advertise
        self._on_failed = on_failed
        self._edge = Edge(on_message=on_message, on_malformed=on_malformed, flood=flood, clock=clock, on_bytes=on_bytes)
        self._udp: dict[tuple[str, int], UdpListener] = {}
        self._tcp = TcpConnections(self._edge, limits or StreamLimits(), on_failed=self._failed, on_closed=on_closed)
        self._tcp_locals: list[tuple[str, int]] = []
        self._no_stream: dict[tuple[str, int], float] = {}
        self._sent_by: dict[tuple[str, tuple[str, int], str], str] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Bind all listeners; raises OSError naming the address that could not be bound, and then none is bound."""
        loop = asyncio.get_running_loop()
        for listen in self._listens:
            try:
                await self._bind(listen, loop)
            except OSError as error:
                await self.close()
                raise OSError(error.errno, f"cannot listen on {listen}: {error.strerror}") from error
        self._sweep()

    async def close(self) -> None:
        """Close all sockets."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for listener in self._udp.values():
            listener.close()
        self._udp.clear()
        await self._tcp.close()

    @property
    def bound(self) -> list[tuple[str, str, int]]:
        """(transport, host, port) of every listener; ports that were asked for as 0 are filled in."""
        return [("udp", *local) for local in self._udp] + [("tcp", *local) for local in self._tcp_locals]

    def send(self, data: bytes, flow: Flow) -> None:
        """Send on a flow; never blocks, failures come by `on_failed`."""
        if flow.transport == "udp":
            listener = self._udp.get(flow.local)
            if listener is not None:
                listener.send(data, flow)
            else:
                asyncio.get_running_loop().call_soon(self._on_failed, flow, data)
        elif flow.transport == INNER:
            asyncio.get_running_loop().call_soon(self._edge.hand_over, data, flow.back)
        else:
            self._tcp.send(data, flow)

    @staticmethod
    def prefers_stream(size: int) -> bool:
        """Whether a request of so many bytes should not go by UDP (RFC 3261 section 18.1.1)."""
        return size > _STREAM_SIZE

    def flow_to(self, hop: Hop, size: int = 0) -> Flow:
        """The flow on which to reach a hop; raises LookupError when no listener has its transport and family.

        A request of `size` bytes that is too large for UDP gets a TCP flow, unless we have no TCP or the hop has
        lately refused it; when that connection fails (`on_failed`), ask again and get the UDP flow. Phones are
        reached by the flow of their registration instead: behind NAT there is no TCP to try.
        """
        remote = (hop.host, hop.port)
        if hop.transport == "udp":
            if self.prefers_stream(size) and self._may_stream(remote):
                local = _local_for(hop, self._tcp_locals)
                if local is not None:
                    return Flow("tcp", local, remote)
            local = _local_for(hop, self._udp)
            if local is not None:
                return self._udp[local].flow_to(remote)
        elif hop.transport == "tcp":
            local = _local_for(hop, self._tcp_locals)
            if local is not None:
                return Flow("tcp", local, remote)
        raise LookupError(f"no listener for {hop.transport} to {hop.host}")

    def is_open(self, flow: Flow) -> bool:
        """Whether a flow can still be used: any UDP flow of ours, a TCP flow while its connection lasts."""
        if flow.transport == "udp":
            return flow.local in self._udp
        if flow.transport == INNER:
            return True
        return not flow.connection or self._tcp.has(flow)

    def sent_by(self, flow: Flow) -> str:
        """host:port to put into Via and Contact of what goes out on this flow."""
        key = (flow.transport, flow.local, flow.remote[0])
        text = self._sent_by.get(key)
        if text is None:
            if len(self._sent_by) >= _MAX_CACHED:
                self._sent_by.clear()
            host = self._visible_host(flow.local[0], flow.remote)
            text = self._sent_by[key] = with_port(host, flow.local[1])
        return text

    def seen_at(self, flow: Flow) -> tuple[str, int]:
        """The address of ours that the peer of a flow sees, where its socket is bound to all of the machine's."""
        if flow.local[0] not in _ANY or flow.transport == INNER:
            return flow.local
        host = bare(self.sent_by(flow).rpartition(":")[0])
        return (host, flow.local[1]) if is_literal(host) else flow.local

    def dump(self) -> dict[str, object]:
        """Live state for the administrator."""
        flood = self._edge.flood
        return {
            "listeners": [f"{transport}:{host}:{port}" for transport, host, port in self.bound],
            "connections": len(self._tcp),
            "refused_connections": self._tcp.refused,
            "received": self._edge.received,
            "malformed": self._edge.malformed,
            "lost": sum(listener.lost for listener in self._udp.values()),
            "flood_dropped": flood.dropped,
            "flood_bans": flood.bans,
            "scanners": flood.scanners,
        }

    async def _bind(self, listen: Listen, loop: asyncio.AbstractEventLoop) -> None:
        if listen.transport == "tcp":
            self._tcp_locals.append(await self._tcp.listen(listen))
        else:
            listener = UdpListener(listen, self._edge, loop, on_failed=self._on_failed, answer_stun=answer_binding)
            self._udp[listener.local] = listener

    def _failed(self, flow: Flow, data: bytes) -> None:
        """A TCP connection failed: remember a peer that cannot be connected to."""
        if not flow.connection:
            if len(self._no_stream) >= _MAX_CACHED:
                self._no_stream.clear()
            self._no_stream[flow.remote] = self._edge.clock() + _NO_STREAM_SECONDS
        self._on_failed(flow, data)

    def _may_stream(self, remote: tuple[str, int]) -> bool:
        until = self._no_stream.get(remote)
        return until is None or self._edge.clock() >= until

    def _visible_host(self, local_host: str, remote: tuple[str, int]) -> str:
        is_v6 = ":" in remote[0]
        advertise = self._advertise
        if advertise and not _is_loopback(remote[0]) and (":" in advertise) <= is_v6:
            return advertise
        if local_host not in _ANY:
            return local_host
        with socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((remote[0], remote[1] or 5060))  # sends nothing, only asks for the route
            except OSError:
                return "::1" if is_v6 else "127.0.0.1"
            host: str = probe.getsockname()[0]
            return host

    def _sweep(self) -> None:
        self._tcp.sweep()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


def _local_for(hop: Hop, candidates: Iterable[tuple[str, int]]) -> tuple[str, int] | None:
    """The listener to reach a hop from: of its family, and not a loopback one for a hop outside or vice versa."""
    is_v6, is_loopback = ":" in hop.host, _is_loopback(hop.host)
    fitting = [local for local in candidates if (":" in local[0]) == is_v6]
    for local in fitting:
        if _is_loopback(local[0]) == is_loopback:
            return local
    return next((local for local in fitting if local[0] in _ANY), None)
