# SPDX-License-Identifier: Apache-2.0
"""Whether the relays still live, and still have the calls whose sound passes them: who is not heard does not pay.

Every relay is pinged every two seconds. One that is silent for long is dead, and its calls end; one that comes back is
asked about its calls at once. Calls are asked about now and then in any case: a relay drops those that nobody asks
about, and may have been started anew between two pings.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from switch.relay.ng import NgRelay, RelayUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.calls import EndedBy
    from switch.relay.ng import Address, Relay

__all__ = ["ASK_SECONDS", "MOST_SILENCES", "RelayWatch", "Relayed"]

ASK_SECONDS: Final = 2.0
MOST_SILENCES: Final = 4
"""So many pings in a row without an answer, of 2.5 s each: it is dead. Within 20 s of its last word."""

log = logging.getLogger(__name__)


class Relayed(NamedTuple):
    """A call whose sound passes a relay."""

    call_id: str
    is_ringing: bool
    is_answered: bool
    name: str
    """Of the call at the relay."""


class Calls(Protocol):
    """The calls of this switch."""

    def relayed(self) -> list[Relayed]:
        """Those whose sound passes a relay."""

    def disconnect(self, call_id: str, text: str, by: EndedBy, *, heard_at: float | None) -> bool:
        """End a call; what came after `heard_at` (monotonic) is not charged."""


class RelayWatch:
    """Ends calls with a relay that is no more, or that does not have them any more."""

    def __init__(
        self, calls: Calls, relay: Relay, *, query_seconds: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        """`query_seconds`: how often calls are asked about. `clock`: monotonic seconds."""
        self._calls = calls
        self._relay = relay
        self._query_seconds = query_seconds
        self._clock = clock
        self._silences: dict[Address, int] = {}
        self._answered_at: dict[Address, float] = {}
        self._known_at: dict[str, float] = {}
        """By call: when its relay last said that it has it."""
        self._rang: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        relay = self._relay
        if not isinstance(relay, NgRelay):
            return
        asked_at = self._clock()
        while True:
            query_seconds = self._query_seconds()
            await asyncio.sleep(min(ASK_SECONDS, query_seconds))
            is_back = await self.ping(relay)
            if is_back or self._clock() - asked_at >= query_seconds:
                asked_at = self._clock()
                await self.ask_calls(relay)

    async def ping(self, relay: NgRelay) -> bool:
        """Ask every relay whether it lives; end the calls of one that is dead. Whether one is back that was silent."""
        places = {*relay.addresses, *filter(None, (relay.relay_of(call.name) for call in self._calls.relayed()))}
        answers = await asyncio.gather(*(self._ping(relay, place) for place in places))
        return any(answers)

    async def _ping(self, relay: NgRelay, place: Address) -> bool:
        asked_at = self._clock()
        silences = self._silences.get(place, 0)
        if await relay.answers(place):
            self._answered_at[place] = asked_at
            self._silences[place] = 0
            if silences >= MOST_SILENCES:
                log.warning("a media relay is back", extra={"relay": place})
            return silences > 0
        self._silences[place] = silences + 1
        if silences + 1 == MOST_SILENCES:
            log.error("a media relay does not answer", extra={"relay": place})
        if silences + 1 >= MOST_SILENCES:
            for call in self._calls.relayed():
                if call.is_answered and relay.relay_of(call.name) == place:
                    self._end(call, "The media relay has ended", self._answered_at.get(place, 0.0))
        return False

    async def ask_calls(self, relay: NgRelay) -> None:
        """Ask about every call with sound: an answered one that its relay does not know is dead.

        Those that have rung for a while are asked about too: they may have early media, and their answer must find its
        streams.
        """
        present = self._calls.relayed()
        ringing = {call.call_id for call in present if call.is_ringing}
        asked = [call for call in present if call.is_answered or call.call_id in self._rang & ringing]
        self._rang = ringing
        for call in asked:
            place, asked_at = relay.relay_of(call.name), self._clock()
            if place is not None and relay.is_away(place):
                continue  # the call may still be heard: `ping` says when its relay is dead
            try:
                known = await relay.query(call.name)
            except RelayUnavailable:
                continue
            if known is not None:
                self._known_at[call.call_id] = asked_at
            elif call.is_answered:
                if place is not None:
                    relay.relearn(place)  # it was started anew, between two pings perhaps
                self._end(call, "No media", 0.0)
        present_ids = {call.call_id for call in self._calls.relayed()}
        self._known_at = {key: at for key, at in self._known_at.items() if key in present_ids}

    def _end(self, call: Relayed, text: str, answered_at: float) -> None:
        """End a call whose sound is lost; it is charged up to when the relay was last known to have it, or to live."""
        heard_at = max(answered_at, self._known_at.get(call.call_id, 0.0))
        self._calls.disconnect(call.call_id, text, by="media", heard_at=heard_at)
