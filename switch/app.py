# SPDX-License-Identifier: Apache-2.0
"""The switch process put together: the one place where its parts meet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

from billing_client.calls import CallFinish, CallStart
from billing_client.rules.books import Rate
from billing_client.secrets.keyring import KeyFile
from billing_client.secrets.passwords import Passwords
from billing_client.store import Store
from billing_client.types import StoreError
from switch import collector
from switch.access.caller import known_carrier
from switch.access.check import CallerCheck
from switch.access.doorkeeper import Doorkeeper
from switch.access.guesses import Guesses
from switch.access.occupancy import Occupancy
from switch.access.pace import Pace
from switch.access.reach import PartyMemory, StoreReach, learn_registered
from switch.access.subscribers import Subscribers
from switch.calls.control import CallControl
from switch.calls.invitation import Invitations
from switch.calls.leg import Legs
from switch.calls.live import LiveCalls
from switch.calls.onward import Inside
from switch.calls.shared import Shared
from switch.explain.questions import NodeKnowledge, Questions
from switch.http import serve
from switch.lamp import Lamp
from switch.money.journal import Codec, Journal
from switch.money.payment import Till
from switch.money.settlement import Settlement, Volatile
from switch.money.survivors import StandingCalls
from switch.pages import Pages
from switch.registrar.bindings import Location
from switch.registrar.registrar import Registrar
from switch.relay.ng import NgRelay, NoRelay
from switch.relay.server_watch import ServerWatch
from switch.relay.watch import RelayWatch
from switch.requests import Requests
from switch.routing.carriers.health import Health
from switch.routing.carriers.lines import Lines
from switch.routing.carriers.rests import Rests
from switch.routing.outside import Outside
from switch.routing.places import PhoneSources, Places
from switch.routing.plan import Books
from switch.sip.digest import DigestServer
from switch.sip.element.core import Core
from switch.sip.element.resolver import Resolver
from switch.sip.mark import Marks
from switch.sip.transport import Transport
from switch.sip.transport.flood import FloodGuard
from switch.trace.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.types import StoreEvent
    from switch.routing.caller import Forwarding
    from switch.settings import SwitchSettings

__all__ = ["Switch", "run"]

log = logging.getLogger(__name__)

_STORE_CONNECTIONS: Final = 16
"""So many commits may share one flush of the disk; with few, a slow disk holds every call up."""
_BEAT_SECONDS: Final = 10.0
_SILENT_SECONDS: Final = 35.0
"""A switch that the store has not heard for so long is dead: with the beat, its calls are settled within a minute."""
_RECONCILE_SECONDS: Final = 30.0


async def run(
    settings: SwitchSettings,
    *,
    ready: Callable[[], None],
    stop: asyncio.Event,
    reloads: asyncio.Queue[SwitchSettings],
) -> None:
    """Run a switch until `stop` is set, then drain it; settings from `reloads` are taken over as they come."""
    switch = Switch(settings)
    await switch.start()
    try:
        log.info("ready", extra={"node": settings.node, "listen": [str(listen) for listen in settings.listen]})
        ready()
        reloading = asyncio.create_task(switch.follow(reloads))
        await stop.wait()
        reloading.cancel()
        log.info("draining", extra={"calls": len(switch.control.calls)})
        await switch.control.drain(switch.settings.drain_seconds)
    finally:
        await switch.close()


class Switch:
    """One switch process."""

    def __init__(self, settings: SwitchSettings) -> None:
        self.settings = settings
        self.control = CallControl()
        self._tasks: list[asyncio.Task[None]] = []
        self._reload_books = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Connect, bind, and begin to serve; raises OSError or StoreUnavailable, and then holds nothing."""
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self.close)
            await self._start()
            undo.pop_all()

    async def _start(self) -> None:
        settings = self.settings
        self.store = await Store.connect(
            settings.store_dsn,
            node=settings.node,
            connections=_STORE_CONNECTIONS,
            passwords=Passwords(KeyFile(settings.keys_file) if settings.keys_file else None),
        )
        self._stack.push_async_callback(self.store.close)
        self.reach = StoreReach(self.store)
        self._stack.push_async_callback(self.reach.close)
        await self._open_journal()
        adopted = await self.store.adopt_orphans()
        if adopted:
            log.warning("settled calls of an earlier life", extra={"calls": adopted})
        self.books = Books(await self.store.load_rates(), await self.store.load_routes())
        self.relay = await self._open_relay()
        self._compose()
        self._stack.push_async_callback(self.recorder.flush)
        await self.transport.start()
        self.places.changed()
        self.lines.changed()
        self._stack.push_async_callback(self.transport.close)
        self._stack.callback(self.core.close)
        self._stack.push_async_callback(self.core.settle)
        await self.location.start()
        self._stack.push_async_callback(self.location.close)
        self.lamp.start()
        self._stack.push_async_callback(self.lamp.close)
        self.live = LiveCalls(self.control)
        await self.store.listen(self._store_event)
        if settings.http is not None:
            server = await serve(settings.http.host, settings.http.port, self.pages.all())
            self._stack.callback(server.close)
        for work in (
            self.control.beat(_BEAT_SECONDS),
            self.control.take_over(_BEAT_SECONDS, _SILENT_SECONDS),
            self.control.reconcile(_RECONCILE_SECONDS),
            self.relay_watch().run(),
            self.server_watch().run(),
            self.control.hang_up_left(),
            self.live.run(),
            learn_registered(self.memory, self.store, self.reach, self.location.names),
            self._refresh_books(),
            self.places.run(),
            self.lines.run(),
            self.health.run(),
            self.recorder.run(),
        ):
            self._tasks.append(asyncio.create_task(work))
        if settings.questions is not None:
            questions = Questions(
                lambda: self.settings, self.books, NodeKnowledge(self.core, self.outside.rests, self.lines)
            )
            self._tasks.append(asyncio.create_task(questions.run(settings.questions)))
        collector.settle()

    def server_watch(self) -> ServerWatch:
        """What sees that the media server still has its calls."""
        return ServerWatch(self.control, self.core, lambda: self.settings.media_server)

    def relay_watch(self) -> RelayWatch:
        """What sees that relays still have the calls."""
        return RelayWatch(
            self.control,
            self.relay,
            query_seconds=lambda: self.settings.relay.query_seconds,
            clock=self.core.now,
        )

    async def _open_journal(self) -> None:
        """What an earlier life could not deliver goes first: it knows more of those calls than the store does."""
        directory = self.settings.journal_dir
        codec = Codec(CallFinish, CallStart, Rate)
        journal: Journal[CallFinish] | Volatile = Volatile()
        if directory is not None:
            journal = Journal(directory / f"settlements-{self.settings.node}", codec)
        standing = None if directory is None else directory / f"calls-{self.settings.node}"
        self.standing = StandingCalls(standing, codec)
        self._stack.callback(self.standing.close)
        self.control.settlement = Settlement(self.store, self.reach, journal, self._keep)
        self._stack.push_async_callback(self.control.settlement.close)
        await self.control.settlement.resume(self.standing.wills, self.standing.answers)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self.core.keep(task)

    async def _open_relay(self) -> NgRelay | NoRelay:
        if not self.settings.relay.addresses:
            return NoRelay()
        relay = NgRelay(self.settings.relay.addresses, secrets=self.settings.relay.secrets)
        await relay.start()
        self._stack.callback(relay.close)
        return relay

    def _compose(self) -> None:
        self._compose_element()
        self._compose_registrar()
        forwards: dict[str, Forwarding] = {}
        self.memory = PartyMemory()
        self.check = CallerCheck(
            self.store,
            self.reach,
            self.memory,
            self.doorkeeper,
            self.books,
            forwards,
            marks=_marks(self.settings),
            clock=time.time,
            destinations=lambda: self.core.destinations,
            settings=lambda: self.settings,
        )
        messages = Pace(lambda: self.settings.messages, time.monotonic)
        self._compose_calls(messages, forwards)
        self.lamp = Lamp(self.core, self.check, self.location, lambda: self.settings, self.store)
        self.registrar.on_registered = self.lamp.registered
        self.store.clock.on_step.append(self._clock_set)
        self.requests = Requests(
            self.core,
            self.registrar,
            self.lamp,
            check=self.check,
            location=self.location,
            messages=messages,
            settings=lambda: self.settings,
        )
        self.pages = Pages(
            settings=lambda: self.settings,
            core=self.core,
            transport=self.transport,
            store=self.store,
            relay=self.relay,
            control=self.control,
            location=self.location,
            lamp=self.lamp,
            recorder=self.recorder,
            guesses=self.guesses,
            flood=self.flood,
        )

    def _compose_element(self) -> None:
        """What speaks SIP, and what records it."""
        settings = self.settings
        flood = settings.flood
        self.flood = FloodGuard(
            requests=flood.requests,
            per_seconds=flood.per_seconds,
            ban_seconds=flood.ban_seconds,
            drop_user_agents=flood.drop_user_agents,
            exempt=self._is_carrier,
        )
        self.core = Core(
            session_expires=settings.session_timer.expires,
            session_min_se=settings.session_timer.min_se,
            on_invite=self.control.invited,
            on_request=lambda arrived: self.requests.handle(arrived),
        )
        self.recorder = Recorder(settings.trace, self.store, clock=time.monotonic, utc=self.store.clock.utc)
        self.transport = Transport(
            settings.listen,
            advertise=settings.advertise,
            on_message=self.core.receive,
            on_malformed=self.core.receive_malformed,
            on_failed=self.core.sending_failed,
            on_bytes=self.recorder.ladders.received,
            flood=self.flood,
        )
        self.core.transport = self.transport
        self.core.on_sent = self.recorder.ladders.sent
        self.recorder.ladders.seen_at = self.transport.seen_at

    def _compose_registrar(self) -> None:
        """Who logs in, where phones are, and who is where."""
        settings = self.settings
        self.location = Location(
            self.store,
            self.transport,
            node=settings.node,
            clock=self.store.clock.steady,
            ahead=self.store.clock.ahead,
            is_doubtful=self.store.clock.is_doubtful,
            on_source=self._reloaded,
            destinations=lambda: self.core.destinations,
        )
        self.resolver = Resolver()
        self.places = Places(
            self.core,
            self.books,
            self.resolver,
            lambda: self.settings,
            lambda: self.transport.bound,
            PhoneSources(self.flood, self.location),
        )
        digest = DigestServer(
            settings.domains[0],
            settings.nonce_secret,
            first_serial=secrets.randbits(32),
            md5_user_agents=settings.md5_user_agents,
        )
        self.guesses = Guesses(is_registered=self.location.is_registered_from)
        self.doorkeeper = Doorkeeper(digest, self.flood, self.guesses, clock=self.store.clock)
        subscribers = Subscribers(self.store, clock=time.monotonic)
        self.registrar = Registrar(subscribers, self.doorkeeper, self.location, settings.registration)

    def _compose_calls(self, messages: Pace, forwards: dict[str, Forwarding]) -> None:
        """What calls share."""
        self.lines = Lines(self.core, self.resolver, lambda: self.books.routes)
        self.outside = Outside(self.core, self.resolver, Rests(), self.lines)
        self.health = Health(self.core, self.outside.rests, lambda: self.books.routes)
        till = Till(
            store=self.store,
            reach=self.reach,
            settings=lambda: self.settings,
            settle=self.control.settle,
            caught_up=lambda: self.control.settlement.caught_up(),
            clock=self.core.now,
        )
        self.shared = self.control.shared = Shared(
            core=self.core,
            legs=Legs(self.core),
            now_settings=lambda: self.settings,
            books=self.books,
            check=self.check,
            till=till,
            standing=self.standing,
            relay=self.relay,
            inside=Inside(lambda: self.settings, self.core, self.location, Occupancy()),
            outside=self.outside,
            invitations=Invitations(lambda: self.settings, self.core, self.check.marks),
            recorder=self.recorder,
            over=self.control.over,
            utc=self.store.clock.utc,
            messages=messages,
            forwards=forwards,
        )

    def _clock_set(self, seconds: float) -> None:
        """Somebody has set the clock of the store: what it keeps by that clock is put right."""
        self.control.clock_set(seconds)
        self.location.clock_set(seconds)
        self.lamp.clock_set()

    def _reloaded(self, host: str, seconds: float) -> None:
        """A phone was registered from there in an earlier life."""
        self.flood.trust(host, time.monotonic() + seconds)
        self.flood.add_phones(host, 1)

    def _is_carrier(self, host: str) -> bool:
        server = self.settings.media_server
        routes = self.books.routes
        return (
            known_carrier(routes, (host, 0), self.core.destinations) is not None
            or routes.account_at(host) is not None
            or (server is not None and server[0] == host)
        )

    # changes ----------------------------------------------------------------------------------------------------
    def _store_event(self, event: StoreEvent) -> None:
        if event.kind in ("rates", "routes", "resync"):
            self._reload_books.set()
        if event.kind in ("account", "resync"):
            number = event.number if event.kind == "account" else None
            self.registrar.account_changed(number)
            self.memory.changed(number)
            if number is not None:
                self.control.payer_changed(number)
        if event.kind in ("mailbox", "resync"):
            self.lamp.mailbox_changed(event.number if event.kind == "mailbox" else None)
        if event.kind == "watch":
            self.live.watched()
        if event.kind == "spending":
            log.warning("a customer reached a spending limit", extra={"limit": event.reason})
        if event.kind == "disconnect" and event.node in (self.settings.node, ""):
            self.control.disconnect(event.call_id, event.reason or "Disconnected by the administrator")

    async def _refresh_books(self) -> None:
        """Take over changed tariffs and routes; several changes in a row cost one reading."""
        while True:
            await self._reload_books.wait()
            self._reload_books.clear()
            try:
                self.books.rates = await self.store.load_rates(self.books.rates)
                self.books.routes = await self.store.load_routes()
                self.places.changed()
                self.lines.changed()
            except StoreError as error:
                log.warning("tariffs and routes stay as they were", extra={"reason": str(error)})
                await asyncio.sleep(1.0)
                self._reload_books.set()

    async def follow(self, reloads: asyncio.Queue[SwitchSettings]) -> None:
        """Take over new settings as they come, without touching running calls."""
        while True:
            settings = await reloads.get()
            self._take_over(settings)
            log.info("configuration taken over")

    def _take_over(self, settings: SwitchSettings) -> None:
        fixed = ("listen", "store_dsn", "node", "domains", "nonce_secret", "media_secret", "advertise", "http")
        changed = [name for name in fixed if getattr(settings, name) != getattr(self.settings, name)]
        if changed:
            log.warning("these settings count from the next start", extra={"settings": changed})
        self.settings = settings
        self.places.changed()
        self.registrar.limits = settings.registration
        self.recorder.settings = settings.trace
        self.core.agent.use_session_timer(settings.session_timer.expires, settings.session_timer.min_se)
        flood = settings.flood
        self.flood.configure(flood.requests, flood.per_seconds, flood.ban_seconds, flood.drop_user_agents)
        if isinstance(self.relay, NgRelay) and settings.relay.addresses:
            self.relay.addresses, self.relay.secrets = settings.relay.addresses, settings.relay.secrets
        elif self.relay.carries_media != bool(settings.relay.addresses):
            log.warning("media.relay is switched on or off at the next start")

    async def close(self) -> None:
        """Settle what is settled so far, and let go of everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()


def _marks(settings: SwitchSettings) -> Marks | None:
    """What the media server and we know each other by; ValueError where it has no secret."""
    if settings.media_server is None and not settings.media_secret:
        return None
    return Marks(settings.media_secret, "switch", wall=time.time, clock=time.monotonic)
