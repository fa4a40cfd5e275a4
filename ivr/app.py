# SPDX-License-Identifier: Apache-2.0
"""The media server process put together: SIP below, RTP beside it, applications above, messages on their way out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ivr.legs.house import House
from ivr.say.sound import SoundSource
from ivr.server.server import IvrServer
from ivr.spool.outbox import Outbox
from ivr.spool.spool import Spool
from media.session.engine import MediaEngine
from switch import collector
from switch.http import serve
from switch.sip.element.core import Core
from switch.sip.mark import Marks
from switch.sip.message.parsing import BadMessageError
from switch.sip.transport import Transport
from switch.sip.transport.flood import FloodGuard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence

    from prometheus_client import Metric

    from billing_client.vouchers.guessing import Guesses
    from ivr.apps.selfcare.desk import RingBack
    from ivr.say.sound import Prompts
    from ivr.server.runner import Application
    from ivr.settings import IvrSettings
    from ivr.spool.outbox import Depositor
    from ivr.verbs import CallDetails, DialRequest
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response

__all__ = ["Composition", "IvrProcess", "World", "run"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class World:
    """What applications are made of, beside the store."""

    settings: IvrSettings
    outbox: Outbox
    """Where messages are deposited and recordings discarded."""
    ring_back: RingBack
    """Calls of the media server's own."""


class Composition(Protocol):
    """What the composition root knows (`softswitch.applications`): the store's doors, prompts and applications."""

    @property
    def depositor(self) -> Depositor:
        """Where messages go."""

    @property
    def prompts(self) -> Prompts:
        """The prompts of all languages."""

    @property
    def guesses(self) -> Mapping[str, Guesses]:
        """Wrong codes and PINs, by what was guessed."""

    def applications(self, world: World) -> Mapping[str, Application]:
        """The applications by name, made anew when settings change."""

    def work(self) -> Sequence[Coroutine[object, object, None]]:
        """What goes on beside the calls until the process ends; started once."""

    async def close(self) -> None:
        """Let go of the store."""


async def run(
    settings: IvrSettings,
    compose: Callable[[IvrSettings], Awaitable[Composition]],
    *,
    ready: Callable[[], None],
    stop: asyncio.Event,
    reloads: asyncio.Queue[IvrSettings],
) -> None:
    """Run a media server until `stop` is set, then drain it; settings from `reloads` are taken over as they come.

    Raises OSError where an address cannot be bound, and what `compose` raises.
    """
    process = IvrProcess(settings, await compose(settings))
    await process.start()
    try:
        log.info("ready", extra={"listen": str(settings.listen), "applications": len(process.server.applications)})
        ready()
        reloading = asyncio.create_task(process.follow(reloads))
        await stop.wait()
        reloading.cancel()
        log.info("draining", extra={"calls": len(process.server.calls)})
        await process.server.drain(process.settings.drain_seconds)
    finally:
        await process.close()


class IvrProcess:
    """One media server."""

    def __init__(self, settings: IvrSettings, composition: Composition) -> None:
        self.settings = settings
        self._composition = composition
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Bind and begin to serve; raises OSError, and then holds nothing."""
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self.close)
            await self._start()
            undo.pop_all()

    async def _start(self) -> None:
        settings = self.settings
        self._stack.push_async_callback(self._composition.close)
        self.engine = MediaEngine.of(settings.media, time.monotonic)
        self._stack.callback(self.engine.close)
        self.engine.start(asyncio.get_running_loop())
        self.spool = Spool(settings.recordings, utc=lambda: datetime.now(UTC))
        self._stack.callback(self.spool.close)
        self.outbox = Outbox(self.spool, self._composition.depositor)
        self._stack.push_async_callback(self.outbox.close)
        self.marks = Marks(settings.secret, "media", wall=time.time, clock=time.monotonic)
        self.core = Core(
            session_expires=settings.session_expires,
            session_min_se=settings.session_min_se,
            on_invite=lambda invite: self.server.invited(invite),
            on_request=lambda arrived: self.server.arrived(arrived),
        )
        self.transport = self.core.transport = Transport(
            (settings.listen,),
            on_message=self._receive,
            on_malformed=self.core.receive_malformed,
            on_failed=self.core.sending_failed,
            flood=FloodGuard(exempt=lambda host: host in self.settings.peers),
        )
        house = self.house = House(self.core, self.engine, SoundSource(self._composition.prompts), settings, self.marks)
        self.server = IvrServer(
            house,
            settings,
            self._composition.applications(World(settings, self.outbox, self._ring_back)),
            spool=self.spool,
            on_left=self.outbox.abandon,
        )
        await self.transport.start()
        self._stack.push_async_callback(self.transport.close)
        self._stack.callback(self.core.close)
        self._stack.push_async_callback(self.server.close)
        self.outbox.start()
        for work in self._composition.work():
            self._stack.push_async_callback(_end, asyncio.create_task(work))
        if settings.http is not None:
            pages = {"/metrics": self._metrics(), "/health": self._health}
            self._stack.callback((await serve(settings.http.host, settings.http.port, pages)).close)
        collector.settle()

    def _receive(self, message: Request | Response, flow: Flow) -> None:
        """A message from the wire. What claims to begin a call and does not come from the switch is told so, and leaves
        nothing behind."""
        if self.server.is_strange(message, flow):
            self.core.receive_malformed(BadMessageError("no call of our switch", 403, message), flow)
        else:
            self.core.receive(message, flow)

    def _ring_back(
        self, request: DialRequest, details: CallDetails, *, after_seconds: float, ring_seconds: float
    ) -> bool:
        return self.server.ring_back(request, details, after_seconds=after_seconds, ring_seconds=ring_seconds)

    @property
    def guesses(self) -> Mapping[str, Guesses]:
        """Wrong codes and PINs since the start."""
        return self._composition.guesses

    @property
    def bound(self) -> tuple[str, int]:
        """Where it listens for SIP."""
        _, host, port = self.transport.bound[0]
        return host, port

    async def follow(self, reloads: asyncio.Queue[IvrSettings]) -> None:
        """Take over new settings as they come: menus, language, limits. Running calls go on as they began."""
        while True:
            settings = await reloads.get()
            fixed = (
                *("listen", "secret", "store_dsn", "node", "data_dir", "media", "http", "mail", "purge_hours"),
                "max_messages",
            )
            changed = [name for name in fixed if getattr(settings, name) != getattr(self.settings, name)]
            if changed:
                log.warning("these settings count from the next start", extra={"settings": changed})
            self.settings = self.house.settings = self.server.settings = settings
            self.server.applications = self._composition.applications(World(settings, self.outbox, self._ring_back))
            self.core.agent.use_session_timer(settings.session_expires, settings.session_min_se)
            log.info("configuration taken over")

    def _health(self) -> tuple[int, str, bytes]:
        state = {**self.server.dump(), "messages_waiting": self.outbox.waiting}
        return 503 if self.server.draining else 200, "application/json", json.dumps(state).encode() + b"\n"

    def _metrics(self) -> Callable[[], tuple[int, str, bytes]]:
        registry = CollectorRegistry()
        registry.register(_Counters(self))

        def page() -> tuple[int, str, bytes]:
            return 200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(registry)

        return page

    async def close(self) -> None:
        """Let go of everything; what waits for the store is on disk."""
        await self._stack.aclose()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


class _Counters(Collector):
    def __init__(self, process: IvrProcess) -> None:
        self._process = process

    def collect(self) -> Iterable[Metric]:
        """Read from the live objects, so that counting costs nothing."""
        server, outbox = self._process.server, self._process.outbox
        yield GaugeMetricFamily("softswitch_ivr_calls", "Calls of applications", len(server.calls))
        started = CounterMetricFamily("softswitch_ivr_calls_started", "Calls taken", labels=["application"])
        for name in self._process.server.applications:
            started.add_metric([name], server.started[name])
        yield started
        refused = CounterMetricFamily("softswitch_ivr_calls_refused", "INVITEs refused", labels=["status"])
        for status, count in server.refused.items():
            refused.add_metric([str(status)], count)
        yield refused
        yield CounterMetricFamily("softswitch_ivr_applications_failed", "Applications that broke", server.failed)
        wrong = CounterMetricFamily("softswitch_ivr_guesses", "Wrong codes and PINs", labels=["kind"])
        alarms = CounterMetricFamily("softswitch_ivr_guessing_alarms", "Alarms of guessing", labels=["kind"])
        for kind, guesses in self._process.guesses.items():
            wrong.add_metric([kind], guesses.wrong)
            alarms.add_metric([kind], guesses.alarms)
        yield wrong
        yield alarms
        yield CounterMetricFamily("softswitch_ivr_messages_delivered", "Messages given to the store", outbox.delivered)
        yield GaugeMetricFamily("softswitch_ivr_messages_waiting", "Messages that wait for the store", outbox.waiting)
