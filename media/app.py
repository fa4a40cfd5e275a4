# SPDX-License-Identifier: Apache-2.0
"""The media process: the relay and its ng port, from settings to sockets."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
from random import SystemRandom
from typing import TYPE_CHECKING, cast

from media.relay.calls import Relay
from media.relay.ng import NgServer
from media.relay.ng_mark import MarkedNg
from media.rtp.ports import PortPool, addresses_of, allow_many_sockets, hosts_of, open_pair
from media.rtp.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable

    from media.settings import MediaSettings

__all__ = ["run"]

log = logging.getLogger("media")
SWEEP_SECONDS = 1.0
NG_BUFFER_OCTETS = 4 << 20
"""Of the ng socket: a burst of new calls should wait, not be lost. The kernel grants what it permits."""
_COLLECTOR_THRESHOLDS = (1_000, 1, 10_000)
"""A look at all objects of five hundred calls would hold up packets for longer than a phone makes up for: see
switch/collector.py."""


async def run(
    settings: MediaSettings,
    *,
    ready: Callable[[], None],
    stop: asyncio.Event,
    reloads: asyncio.Queue[MediaSettings],
) -> None:
    """Relay media until `stop`; `ready` is called once commands are taken. OSError where a socket cannot be bound."""
    loop = asyncio.get_running_loop()
    allow_many_sockets()
    pump = Pump(settings.gather_seconds, time.monotonic)
    opener = open_pair(hosts_of(settings), settings.dscp)
    pool = PortPool(settings.rtp_ports, opener, settings.port_quarantine_seconds, SystemRandom())
    relay = Relay(settings, addresses_of(settings), pool, pump, time.monotonic)
    handle = _commands(settings, relay)
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: _NgProtocol(handle), sock=_ng_socket(settings.ng))
        pump.start(loop)
        relay.on_play = _Playing(relay, loop).start
        # What lives now lives on: the collector need not look at it again while packets wait.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTOR_THRESHOLDS)
        log.info("media relay ready", extra={"ng": settings.ng, "rtp_ports": settings.rtp_ports})
        ready()
        tasks = [loop.create_task(_sweep(relay)), loop.create_task(_reload(relay, reloads))]
        try:
            await stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            transport.close()
    finally:
        if relay.calls:
            log.warning("media relay stops with calls in progress", extra={"calls": len(relay.calls)})
        relay.close()
        pump.close()


def _commands(settings: MediaSettings, relay: Relay) -> Callable[[bytes], bytes | None]:
    """What answers ng commands."""
    server = NgServer(relay, time.monotonic, time.time() - time.monotonic())
    if settings.secret is None:
        return server.handle
    return MarkedNg(server, settings.secret, wall=time.time, clock=time.monotonic).handle


class _NgProtocol(asyncio.DatagramProtocol):
    """Hands datagrams to the server and sends what it answers."""

    def __init__(self, handle: Callable[[bytes], bytes | None]) -> None:
        self._handle = handle
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's has no such base class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._handle(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)

    def error_received(self, exc: Exception) -> None:
        log.debug("the asker is gone: %s", exc)


class _Playing:
    """Sends what is played, every 20 ms for as long as something is."""

    def __init__(self, relay: Relay, loop: asyncio.AbstractEventLoop) -> None:
        self._relay = relay
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Something begins to be played."""
        if self._timer is None:
            self._timer = self._loop.call_later(0.0, self._send)

    def _send(self) -> None:
        seconds = self._relay.play_due()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self._send)


async def _sweep(relay: Relay) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        relay.sweep()


async def _reload(relay: Relay, reloads: asyncio.Queue[MediaSettings]) -> None:
    while True:
        settings = await reloads.get()
        fixed = [
            name
            for name in ("ng", "secret", "rtp_host", "rtp_host_ipv6", "dscp", "port_quarantine_seconds")
            if getattr(settings, name) != getattr(relay.settings, name)
        ]
        if fixed:
            log.warning("settings that only a restart takes over have changed", extra={"settings": fixed})
        relay.change_settings(settings, addresses_of(settings))
        log.info("settings taken over")


def _ng_socket(address: tuple[str, int]) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NG_BUFFER_OCTETS)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise OSError(
            error.errno, f"cannot listen for ng commands at {address[0]}:{address[1]}: {error.strerror}"
        ) from error
    return bound
