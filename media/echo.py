# SPDX-License-Identifier: Apache-2.0
"""A small RTP endpoint that sends back what it hears, for the sample carrier and for tests.

Packets return to where they came from (symmetric RTP, RFC 4961) as a stream of its own: own SSRC, own sequence
numbers, timestamps shifted by a constant. Being silent, it only counts.
"""

from __future__ import annotations

import asyncio
import socket
from random import SystemRandom
from typing import TYPE_CHECKING, cast

from media.rtp.rtp import HEADER, HEADER_SIZE, is_rtp

if TYPE_CHECKING:
    from random import Random

__all__ = ["Echo", "open_echo"]


class Echo(asyncio.DatagramProtocol):
    """One endpoint; made by `open_echo`."""

    def __init__(self, random: Random, *, silent: bool) -> None:
        self.silent = silent
        """Whether to hear without answering; may be changed at any time."""
        self.received = 0
        """RTP packets that came."""
        self._ssrc = random.getrandbits(32)
        self._sequence = random.getrandbits(15)  # below 2**15, as RFC 3711 section 3.3.1 advises
        self._timestamp_shift = random.getrandbits(32)
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def port(self) -> int:
        """The local port, for SDP."""
        assert self._transport is not None
        return cast("tuple[str, int]", self._transport.get_extra_info("sockname"))[1]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's has no such base class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not is_rtp(data, len(data)):
            return
        self.received += 1
        if not self.silent and self._transport is not None:
            self._transport.sendto(self._answer(data), addr)

    def error_received(self, exc: Exception) -> None:
        """The other end closed its port first; nothing is left to do."""

    def _answer(self, packet: bytes) -> bytes:
        flags, kind, _, timestamp, _ = HEADER.unpack_from(packet)
        self._sequence = (self._sequence + 1) & 0xFFFF
        shifted = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        return HEADER.pack(flags, kind, self._sequence, shifted, self._ssrc) + packet[HEADER_SIZE:]


async def open_echo(host: str, port: int = 0, *, silent: bool = False, random: Random | None = None) -> Echo:
    """An echo bound to `host` and `port` (0: any). Raises OSError where the port is taken."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    _, echo = await loop.create_datagram_endpoint(
        lambda: Echo(random or SystemRandom(), silent=silent), local_addr=(host, port), family=family
    )
    return echo
