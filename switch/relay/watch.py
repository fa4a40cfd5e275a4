# SPDX-License-Identifier: Apache-2.0
"""Whether the relays still live, and still have the calls whose sound passes them: who is not heard does not pay.

Every relay is pinged every two seconds. One that is silent for long is dead, and its calls end; one that comes back is
asked about its calls at once. Calls are asked about now and then in any case: a relay drops those that nobody asks
about, and may have been started anew between two pings.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from switch.calls.state import CallState
from switch.relay.ng import NgRelay, RelayUnavailable

if TYPE_CHECKING:
    from switch.calls.call import Call
    from switch.calls.control import CallControl
    from switch.relay.ng import Address

__all__ = ["ASK_SECONDS", "MOST_SILENCES", "RelayWatch"]

ASK_SECONDS: Final = 2.0
MOST_SILENCES: Final = 4
"""So many pings in a row without an answer, of 2.5 s each: it is dead. Within 20 s of its last word."""

log = logging.getLogger(__name__)


class RelayWatch:
    """Ends calls with a relay that is no more, or that does not have them any more."""

    def __init__(self, control: CallControl) -> None:
        self._control = control
        self._silences: dict[Address, int] = {}
        self._answered_at: dict[Address, float] = {}
        self._known_at: dict[str, float] = {}
        """By call: when its relay last said that it has it."""
        self._rang: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        services = self._control.services
        if not isinstance(services.relay, NgRelay):
            return
        asked_at = services.core.now()
        while True:
            query_seconds = services.settings.relay.query_seconds
            await asyncio.sleep(min(ASK_SECONDS, query_seconds))
            is_back = await self.ping(services.relay)
            if is_back or services.core.now() - asked_at >= query_seconds:
                asked_at = services.core.now()
                await self.ask_calls(services.relay)

    async def ping(self, relay: NgRelay) -> bool:
        """Ask every relay whether it lives; end the calls of one that is dead. Whether one is back that was silent."""
        places = {*relay.addresses, *filter(None, map(relay.relay_of, self._control.calls))}
        answers = await asyncio.gather(*(self._ping(relay, place) for place in places))
        return any(answers)

    async def _ping(self, relay: NgRelay, place: Address) -> bool:
        asked_at = self._control.services.core.now()
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
            for call in self._answered():
                if relay.relay_of(call.call_id) == place:
                    self._end(call, "The media relay has ended", self._answered_at.get(place, 0.0))
        return False

    async def ask_calls(self, relay: NgRelay) -> None:
        """Ask about every call with sound: an answered one that its relay does not know is dead.

        Those that have rung for a while are asked about too: they may have early media, and their answer must find its
        streams.
        """
        present = [call for call in self._control.calls.values() if call.bridge.relay.carries_media]
        ringing = {call.call_id for call in present if call.state is CallState.RINGING}
        asked = [call for call in present if call.state is CallState.ANSWERED or call.call_id in self._rang & ringing]
        self._rang = ringing
        for call in asked:
            place, asked_at = relay.relay_of(call.call_id), self._control.services.core.now()
            if place is not None and relay.is_away(place):
                continue  # the call may still be heard: `ping` says when its relay is dead
            try:
                known = await relay.query(call.call_id)
            except RelayUnavailable:
                continue
            if known is not None:
                self._known_at[call.call_id] = asked_at
            elif call.state is CallState.ANSWERED:
                if place is not None:
                    relay.relearn(place)  # it was started anew, between two pings perhaps
                self._end(call, "No media", 0.0)
        self._known_at = {key: at for key, at in self._known_at.items() if key in self._control.calls}

    def _answered(self) -> list[Call]:
        return [call for call in self._control.calls.values() if call.state is CallState.ANSWERED]

    def _end(self, call: Call, text: str, answered_at: float) -> None:
        """End a call whose sound is lost; it is charged up to when the relay was last known to have it, or to live."""
        heard_at = max(answered_at, self._known_at.get(call.call_id, 0.0))
        self._control.disconnect(call.call_id, text, by="media", heard_at=heard_at)
