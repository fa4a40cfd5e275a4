# SPDX-License-Identifier: Apache-2.0
"""Asks silent addresses of carriers and trunks whether they live again (OPTIONS), so that no call has to find out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from switch.routing.carriers.uris import gateway_uri
from switch.sip.message.host import bracketed
from switch.sip.message.message import Request
from switch.sip.message.uri import Uri
from switch.sip.ways import House

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.rules.books import RouteBook
    from switch.routing.carriers.rests import Rest, Rests
    from switch.sip.element.core import Core
    from switch.sip.message.message import Response
    from switch.sip.session import Outcome
    from switch.sip.transaction import ClientTransaction

__all__ = ["Health"]

_LOOK_SECONDS: Final = 1.0
_MOST_AT_ONCE: Final = 50


class Health:
    """What asks, for one switch. Nobody is asked who answers calls."""

    def __init__(self, core: Core, rests: Rests, routes: Callable[[], RouteBook]) -> None:
        self._core = core
        self._rests = rests
        self._routes = routes

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for rest in self._rests.to_ask(self._core.now(), _MOST_AT_ONCE):
                self._ask(rest)

    def _ask(self, rest: Rest) -> None:
        core = self._core
        gateway = next((one for one in self._routes().gateways.values() if one.name == rest.gateway), None)
        ask = core.destinations.carrier_refusal if gateway is not None else core.destinations.elsewhere_refusal
        if ask(rest.hop.host, rest.hop.port) is not None:
            return
        try:
            flow = core.transport.flow_to(rest.hop)
        except LookupError:
            return
        place, token = Uri("sip", None, bracketed(rest.hop.host), rest.hop.port), core.agent.new_token
        uri = place if gateway is None else gateway_uri(gateway)  # a trunk's address, where it is no gateway
        lines = [
            ("Max-Forwards", "70"),
            ("From", f"<{Uri('sip', 'ping', bracketed(flow.local[0]))}>;tag={token()}"),
            ("To", f"<{uri}>"),
            ("Call-ID", token()),
            ("CSeq", "1 OPTIONS"),
            ("Contact", core.contact(flow)),
            ("Accept", "application/sdp"),
        ]
        transaction, effects = core.agent.layer.send_request(
            Request("OPTIONS", str(uri), lines), flow, core.now(), permit=House.CARRIER
        )
        transaction.user = _Asked(self._rests, rest)
        core.perform(effects)


class _Asked:
    """What hangs on the transaction of one OPTIONS."""

    __slots__ = ("_rest", "_rests")

    def __init__(self, rests: Rests, rest: Rest) -> None:
        self._rests = rests
        self._rest = rest

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float, *, local: bool
    ) -> Outcome:
        """Whatever it says, it lives; but for 503, by which it asks to be left alone."""
        if not local and response.status >= 200 and response.status != 503:
            self._rests.answers(self._rest.hop)
        return []
