# SPDX-License-Identifier: Apache-2.0
"""The relay's heartbeat: readiness of all media sockets, gathered into rounds (docs/adr/0005-relay-hot-path.md).

An epoll set of its own holds the media sockets. While packets flow it is asked every `gather_seconds`, so one system
call and one turn of the event loop serve many packets; a set without packets costs nothing, because then the event
loop watches the epoll descriptor itself.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import asyncio
    import socket

__all__ = ["Handler", "Pump"]

Handler: TypeAlias = Callable[[], None]
"""Reads one packet or several from the socket that it was made for."""

MAX_EVENTS = 1024


class Pump:
    """Calls the handlers of sockets that have packets."""

    def __init__(self, gather_seconds: float, clock: Callable[[], float]) -> None:
        self.gather_seconds = gather_seconds
        self.now = clock()
        """When the present round began, monotonic seconds."""
        self._clock = clock
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_round: asyncio.TimerHandle | None = None

    def watch(self, readable: socket.socket, handler: Handler) -> None:
        """Call `handler` while `readable` has packets. Level-triggered: what it leaves is read in the next round."""
        self._handlers[readable.fileno()] = handler
        self._epoll.register(readable, select.EPOLLIN)

    def replace(self, readable: socket.socket, handler: Handler) -> None:
        """Let another handler serve a watched socket."""
        self._handlers[readable.fileno()] = handler

    def forget(self, readable: socket.socket) -> None:
        """Watch the socket no longer; to be called before it is closed."""
        del self._handlers[readable.fileno()]
        self._epoll.unregister(readable)

    def round(self) -> int:
        """Serve every socket that has packets. Returns how many had."""
        self.now = self._clock()
        handlers = self._handlers
        events = self._epoll.poll(0, MAX_EVENTS)
        for descriptor, _ in events:
            handlers[descriptor]()
        return len(events)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.add_reader(self._epoll.fileno(), self._wake)

    def close(self) -> None:
        """End the rounds. The sockets are their owners' to close."""
        if self._loop is not None:
            self._loop.remove_reader(self._epoll.fileno())
        if self._next_round is not None:
            self._next_round.cancel()
        self._loop = None
        self._handlers.clear()
        with contextlib.suppress(OSError):
            self._epoll.close()

    def _wake(self) -> None:
        assert self._loop is not None
        self._loop.remove_reader(self._epoll.fileno())
        self._tick()

    def _tick(self) -> None:
        busy = 1
        try:
            busy = self.round()
        finally:  # a fault in one stream must not silence the others
            if self._loop is not None:
                if busy:
                    delay = self.gather_seconds - (self._clock() - self.now)
                    self._next_round = self._loop.call_later(max(delay, 0.0), self._tick)
                else:
                    self._next_round = None
                    self._loop.add_reader(self._epoll.fileno(), self._wake)
