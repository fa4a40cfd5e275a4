# SPDX-License-Identifier: Apache-2.0
"""What carriers say of themselves outlives the call: which of their addresses are left in peace for a while. Pure.

| a carrier's address              | rests                                                       |
|----------------------------------|-------------------------------------------------------------|
| answers 503 with Retry-After     | so long, an hour at most (RFC 3261 section 21.5.4)           |
| answers 503 without              | 10 s                                                        |
| gives no sign of life, or cannot be reached | 30 s, twice as long each time, ten minutes at most |
| answers anything else            | not, and not any longer                                     |

An address that is silent is asked by OPTIONS meanwhile (`switch.routing.carriers.health`), after a second, then less
and less often: when it answers, calls go there again. One that is known to answer OPTIONS, and does not, rests on: so
a dead carrier costs one call its five seconds. One that never answered OPTIONS is tried by a call after its time.

Other failures (500, 502, 504, 401, 407, 3xx) send this call to the next gateway and say nothing of later ones: they may
be about one number. 480, 486, 404 and their kin are about the callee alone. Each address of a name rests for itself,
and what rests is asked last, not never. This is one node's memory: another node finds out for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from switch.sip.message.grammar import whole_number

if TYPE_CHECKING:
    from switch.sip.message.flow import Hop
    from switch.sip.message.message import Response

__all__ = ["Rest", "Rests", "retry_after"]

_LONGEST_SECONDS: Final = 3600.0
_BUSY_SECONDS: Final = 10.0
_SILENT_SECONDS: Final = 30.0
_LONGEST_SILENT_SECONDS: Final = 600.0
_ASK_SECONDS: Final = (1.0, 20.0)
"""How long after its silence an address is asked first, and the most between two questions; they double."""
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rest:
    """One address that rests."""

    gateway: str
    address: str
    until: float
    """On the clock of `Rests`."""
    why: str
    hop: Hop
    silences: int = 0
    """How often it gave no sign of life, one time after the other."""


@dataclass(slots=True)
class _Silence:
    """An address that does not answer."""

    rest: Rest
    ask_at: float
    pause: float = _ASK_SECONDS[0]


class Rests:
    """The memory of one node; `now` is monotonic."""

    __slots__ = ("_answering", "_rests", "_silent")

    def __init__(self) -> None:
        self._silent: dict[tuple[str, int], _Silence] = {}
        self._answering: set[tuple[str, int]] = set()
        """Addresses that have answered OPTIONS."""
        self._rests: dict[tuple[str, int], Rest] = {}

    def failed(self, gateway: str, hop: Hop, response: Response, now: float, *, local: bool) -> Rest | None:
        """A gateway failed at one of its addresses; the rest that follows, if one does."""
        seconds, why = _seconds(response, local=local)
        if seconds <= 0:
            self.lives(hop)
            return None
        if len(self._rests) >= _MOST:
            self._rests.clear()
            self._silent.clear()
            self._answering.clear()
        place = hop.host, hop.port
        silent = self._silent.get(place)
        silences = (1 if silent is None else silent.rest.silences + 1) if local else 0
        if local:
            seconds = min(seconds * 2.0 ** min(silences - 1, 10), _LONGEST_SILENT_SECONDS)
        rest = Rest(gateway, f"{hop.host}:{hop.port}", now + seconds, why, hop, silences)
        self._rests[place] = rest
        if local:
            self._silent[place] = _Silence(rest, now + _ASK_SECONDS[0])
        return rest

    def to_ask(self, now: float, most: int) -> list[Rest]:
        """Silent addresses whose turn it is to be asked whether they live; they count as asked."""
        due = [one for one in self._silent.values() if one.ask_at <= now][:most]
        for one in due:
            one.pause = min(one.pause * 2, _ASK_SECONDS[1])
            one.ask_at = now + one.pause
        return [one.rest for one in due]

    def answers(self, hop: Hop) -> None:
        """An address has answered OPTIONS."""
        self._answering.add((hop.host, hop.port))
        self.lives(hop)

    def lives(self, hop: Hop) -> None:
        """A sign of life came from an address."""
        if self._rests:
            self._rests.pop((hop.host, hop.port), None)
            self._silent.pop((hop.host, hop.port), None)

    def at(self, hop: Hop, now: float) -> Rest | None:
        """The rest of an address; None: it may be asked."""
        rest = self._rests.get((hop.host, hop.port)) if self._rests else None
        return rest if rest is not None and self._holds(rest, now) else None

    def _holds(self, rest: Rest, now: float) -> bool:
        place = rest.hop.host, rest.hop.port
        return rest.until > now or (place in self._answering and place in self._silent)

    def all(self, now: float) -> list[Rest]:
        """All that rest, to look at."""
        for key in [key for key, rest in self._rests.items() if rest.until <= now and key not in self._silent]:
            del self._rests[key]
        return [rest for rest in self._rests.values() if self._holds(rest, now)]

    def of(self, gateway: str, now: float) -> list[Rest]:
        """Those of one gateway."""
        return [rest for rest in self.all(now) if rest.gateway == gateway]


def _seconds(response: Response, *, local: bool) -> tuple[float, str]:
    if local:
        return (_SILENT_SECONDS, "it gave no sign of life") if response.status in (408, 503) else (0.0, "")
    if response.status != 503:
        return 0.0, ""
    said = retry_after(response)
    return (_BUSY_SECONDS if said is None else min(said, _LONGEST_SECONDS)), "it answered 503"


def retry_after(response: Response) -> float | None:
    """Seconds that a response asks us to wait; None: it does not. A comment or parameters may follow (RFC 3261
    section 20.33)."""
    text = (response.get("Retry-After") or "").partition(";")[0].partition("(")[0]
    seconds = whole_number(text.strip(), 10)
    return None if seconds is None else float(seconds)
