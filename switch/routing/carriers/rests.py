# SPDX-License-Identifier: Apache-2.0
"""What carriers say of themselves outlives the call: which of their addresses are left in peace for a while. Pure.

| a carrier's address              | rests                                                       |
|----------------------------------|-------------------------------------------------------------|
| answers 503 with Retry-After     | so long, an hour at most (RFC 3261 section 21.5.4)           |
| answers 503 without              | 10 s                                                        |
| gives no sign of life, or cannot be reached | 30 s: its next call tries it                      |
| answers anything else            | not, and not any longer                                     |

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

__all__ = ["Rest", "Rests"]

_LONGEST_SECONDS: Final = 3600.0
_BUSY_SECONDS: Final = 10.0
_SILENT_SECONDS: Final = 30.0
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rest:
    """One address that rests."""

    gateway: str
    address: str
    until: float
    """On the clock of `Rests`."""
    why: str


class Rests:
    """The memory of one node; `now` is monotonic."""

    __slots__ = ("_rests",)

    def __init__(self) -> None:
        self._rests: dict[tuple[str, int], Rest] = {}

    def failed(self, gateway: str, hop: Hop, response: Response, now: float, *, local: bool) -> Rest | None:
        """A gateway failed at one of its addresses; the rest that follows, if one does."""
        seconds, why = _seconds(response, local=local)
        if seconds <= 0:
            self.lives(hop)
            return None
        if len(self._rests) >= _MOST:
            self._rests.clear()
        rest = Rest(gateway, f"{hop.host}:{hop.port}", now + seconds, why)
        self._rests[hop.host, hop.port] = rest
        return rest

    def lives(self, hop: Hop) -> None:
        """A sign of life came from an address."""
        if self._rests:
            self._rests.pop((hop.host, hop.port), None)

    def at(self, hop: Hop, now: float) -> Rest | None:
        """The rest of an address; None: it may be asked."""
        rest = self._rests.get((hop.host, hop.port)) if self._rests else None
        return rest if rest is not None and rest.until > now else None

    def all(self, now: float) -> list[Rest]:
        """All that rest, to look at."""
        for key in [key for key, rest in self._rests.items() if rest.until <= now]:
            del self._rests[key]
        return list(self._rests.values())

    def of(self, gateway: str, now: float) -> list[Rest]:
        """Those of one gateway."""
        return [rest for rest in self.all(now) if rest.gateway == gateway]


def _seconds(response: Response, *, local: bool) -> tuple[float, str]:
    if local:
        return (_SILENT_SECONDS, "it gave no sign of life") if response.status in (408, 503) else (0.0, "")
    if response.status != 503:
        return 0.0, ""
    said = _retry_after(response)
    return (_BUSY_SECONDS if said is None else min(said, _LONGEST_SECONDS)), "it answered 503"


def _retry_after(response: Response) -> float | None:
    """Seconds; a comment or parameters may follow (RFC 3261 section 20.33)."""
    text = (response.get("Retry-After") or "").partition(";")[0].partition("(")[0]
    seconds = whole_number(text.strip(), 10)
    return None if seconds is None else float(seconds)
