# SPDX-License-Identifier: Apache-2.0
"""The media server's sessions and what they share: the tick, the sockets' readiness, ports.

engine = MediaEngine.of(EngineSettings(), time.monotonic)
engine.start(asyncio.get_running_loop())
session = engine.open()
sdp = session.answer(offer)
session.play([Sound.read(wav)])
"""

from __future__ import annotations

import time
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any

from media.rtp.ports import PortPool, addresses_of, allow_many_sockets, hosts_of, open_pair
from media.rtp.pump import Pump
from media.session.session import MediaSession
from media.session.ticker import SLOT_SECONDS, Ticker
from media.sound.codec import CODECS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from media.settings import EngineSettings

__all__ = ["MediaEngine"]


class MediaEngine:
    """Owns the ticker, the sockets and the ports of all sessions of the process."""

    def __init__(
        self,
        settings: EngineSettings,
        ports: PortPool,
        clock: Callable[[], float],
        *,
        random: Random | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` in monotonic seconds; `random` for SSRCs and the like. ValueError for an unknown codec."""
        unknown = [name for name in settings.codecs if name.lower() not in CODECS]
        if unknown or not settings.codecs:
            raise ValueError(f"no such codec: {', '.join(unknown)}" if unknown else "no codecs")
        self.settings = settings
        self.codecs = tuple(CODECS[name.lower()] for name in settings.codecs)
        self.addresses = addresses_of(settings)
        self.sessions: set[MediaSession] = set()
        self.clock = clock
        self.wall_clock = wall_clock
        self.random = random or SystemRandom()
        self.ports = ports
        self.pump = Pump(SLOT_SECONDS, clock)
        self.ticker = Ticker(self.pump, clock)
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def of(cls, settings: EngineSettings, clock: Callable[[], float]) -> MediaEngine:
        """With ports of its own, in the range of the settings, and leave to open as many as the system permits."""
        allow_many_sockets()
        opener = open_pair(hosts_of(settings), settings.dscp)
        ports = PortPool(settings.rtp_ports, opener, settings.port_quarantine_seconds, SystemRandom())
        return cls(settings, ports, clock)

    def open(self, *, family: int = 4) -> MediaSession:
        """A session with ports of family 4 or 6 (`media.session.negotiation.family_of` tells what an offer needs).

        Raises NoPortsError.
        """
        session = MediaSession(self, self.ports.take(family if family in self.addresses else 4, self.clock()))
        self.sessions.add(session)
        self.ticker.add(session)
        return session

    @property
    def trusted(self) -> frozenset[str]:
        """Hosts that are ours: a relay there may be sent sound before it has sent any."""
        return frozenset((*map(str, self.addresses.values()), *self.settings.relay_hosts))

    def forget(self, session: MediaSession) -> None:
        """The session is closed; it calls this by itself."""
        self.sessions.discard(session)
        self.ticker.remove(session)
        self.ports.release(session.pair, self.clock())

    def defer(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call back out of the loop over the sessions, where a fault or a long way would hold up others."""
        if self._loop is None:
            callback(*arguments)
        else:
            self._loop.call_soon(callback, *arguments)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send and receive from now on. Without, `ticker.run_due` does it, for tests on a virtual clock."""
        self._loop = loop
        self.ticker.start(loop)

    def close(self) -> None:
        """End all sessions."""
        self._loop = None
        for session in tuple(self.sessions):
            session.close()
        self.ticker.close()
        self.pump.close()
