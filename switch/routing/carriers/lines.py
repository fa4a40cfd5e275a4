# SPDX-License-Identifier: Apache-2.0
"""All lines of a switch: registers at the carriers that want it, keeps that alive, and knows which of them have us."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from switch.routing.carriers.line import Line
from switch.routing.carriers.uris import RESOLVE_SECONDS, place_uri
from switch.sip.ways import House

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.rules.books import Gateway, RouteBook
    from switch.sip.element.core import Core
    from switch.sip.element.resolver import Resolver
    from switch.sip.message.flow import Flow
    from switch.sip.message.message import Request, Response
    from switch.sip.session import Outcome
    from switch.sip.transaction import ClientTransaction

__all__ = ["LineView", "Lines"]

_KEEP_ALIVE_SECONDS: Final = 25.0
"""A NAT forgets a UDP binding after 30 s."""
_KEEP_ALIVE: Final = b"\r\n\r\n"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LineView:
    """A line, to look at."""

    gateway: str
    vendor: str
    user: str
    registered: bool
    seconds: float
    """How much longer it is registered, or until it is asked again."""
    at: str
    """Where the last REGISTER went."""
    said: str


class _Kept:
    """A line, and the flow of its last REGISTER."""

    __slots__ = ("alive_at", "flow", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.flow: Flow | None = None
        self.alive_at = 0.0
        """When something is to be sent that keeps a NAT open."""


class Lines:
    """The registrations of one switch."""

    def __init__(self, core: Core, resolver: Resolver, routes: Callable[[], RouteBook]) -> None:
        self._core = core
        self.resolver = resolver
        self._routes = routes
        self._kept: dict[int, _Kept] = {}
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """The routes have changed: a line that is new, or not as it was, begins; one that is gone is given up."""
        wanted = {one.gateway_id: one for one in self._routes().gateways.values() if one.enabled and one.registers}
        now = self._core.now()
        for gateway_id, kept in list(self._kept.items()):
            if wanted.get(gateway_id) != kept.line.gateway:
                del self._kept[gateway_id]
                if kept.flow is not None and kept.line.is_registered(now):
                    self._send(kept, kept.line.leave(self._contact(kept.line.gateway, kept.flow), now), kept.flow)
        for gateway_id, gateway in wanted.items():
            if gateway_id not in self._kept:
                self._kept[gateway_id] = _Kept(Line(gateway, self._core.agent.new_token, now))
        self._changed.set()

    def refusal(self, gateway: Gateway) -> str | None:
        """Why a gateway will hardly take calls: we are to register there and are not; None: nothing against it."""
        kept = self._kept.get(gateway.gateway_id)
        if kept is None or kept.line.is_registered(self._core.now()):
            return None
        return f"we are not registered there: {kept.line.why}"

    def lost(self, gateway: Gateway) -> None:
        """It refused a call as one of somebody whom it does not know."""
        kept = self._kept.get(gateway.gateway_id)
        if kept is not None:
            kept.line.lost(self._core.now())
            self._changed.set()

    def retry(self) -> None:
        """Ask all of them now, whatever the pause."""
        for kept in self._kept.values():
            kept.line.due_at = self._core.now()
        self._changed.set()

    def all(self) -> list[LineView]:
        """All lines, to look at."""
        now = self._core.now()
        return [
            LineView(
                line.gateway.name,
                line.gateway.vendor,
                line.gateway.username or "",
                line.is_registered(now),
                round(max(0.0, (line.registered_until if line.is_registered(now) else line.due_at) - now)),
                "" if kept.flow is None else f"{kept.flow.remote[0]}:{kept.flow.remote[1]}",
                line.why,
            )
            for kept in self._kept.values()
            for line in (kept.line,)
        ]

    def of(self, gateway: str) -> list[LineView]:
        """Those of one gateway."""
        return [line for line in self.all() if line.gateway == gateway] if self._kept else []

    async def run(self) -> None:
        """Ask whenever a line is due, for ever."""
        while True:
            self._changed.clear()
            now = self._core.now()
            due = [kept for kept in self._kept.values() if kept.line.due_at <= now and kept.line.wake(now)]
            await asyncio.gather(*(self._ask(kept) for kept in due))
            self._keep_alive(self._core.now())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._pause(self._core.now()))

    def _pause(self, now: float) -> float:
        due = (kept.line.due_at for kept in self._kept.values())
        return min(max(0.02, min(due, default=now + _KEEP_ALIVE_SECONDS) - now), _KEEP_ALIVE_SECONDS)

    async def _ask(self, kept: _Kept) -> None:
        line, core = kept.line, self._core
        host, port = line.place
        uri = place_uri(line.gateway, host, port)
        for hop in await self.resolver.find(uri, RESOLVE_SECONDS):
            if core.destinations.carrier_refusal(hop.host, hop.port, by_name=hop.host != uri.address) is not None:
                continue
            with contextlib.suppress(LookupError):
                kept.flow = flow = core.transport.flow_to(hop)
                self._send(kept, line.ask(self._contact(line.gateway, flow), core.now()), flow)
                return
        line.unreachable(core.now())

    def _contact(self, gateway: Gateway, flow: Flow) -> str:
        return self._core.contact(flow).replace("<sip:", f"<sip:{gateway.line}@", 1)

    def _send(self, kept: _Kept, request: Request, flow: Flow) -> None:
        self._core.perform(self._sent(kept, request, flow))

    def _sent(self, kept: _Kept, request: Request, flow: Flow) -> Outcome:
        layer, now = self._core.agent.layer, self._core.now()
        transaction, effects = layer.send_request(request, flow, now, permit=House.CARRIER)
        transaction.user = _Asked(self, kept, flow)
        kept.alive_at = now + _KEEP_ALIVE_SECONDS
        return [*effects]

    def answered(self, kept: _Kept, flow: Flow, response: Response, now: float, *, local: bool) -> Outcome:
        """What a carrier said."""
        line = kept.line
        before = line.is_registered(now)
        again = line.answered(response, now, local=local)
        if line.is_registered(now) != before:
            told = log.info if line.is_registered(now) else log.warning
            told("a line at a carrier", extra={"gateway": line.gateway.name, "said": line.why})
        self._changed.set()
        return [] if again is None else self._sent(kept, again, flow)

    def _keep_alive(self, now: float) -> None:
        for kept in self._kept.values():
            flow, line = kept.flow, kept.line
            if flow is None or flow.transport != "udp" or kept.alive_at > now or not line.is_registered(now):
                continue
            place = self._core.destinations.at(flow.remote)
            if place is not None and line.gateway.gateway_id in place.carriers:
                self._core.transport.send(_KEEP_ALIVE, flow)
                kept.alive_at = now + _KEEP_ALIVE_SECONDS


class _Asked:
    """What hangs on the transaction of one REGISTER."""

    __slots__ = ("_flow", "_kept", "_lines")

    def __init__(self, lines: Lines, kept: _Kept, flow: Flow) -> None:
        self._lines = lines
        self._kept = kept
        self._flow = flow

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """The answer to the REGISTER."""
        return self._lines.answered(self._kept, self._flow, response, now, local=local)
