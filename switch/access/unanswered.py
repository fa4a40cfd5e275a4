# SPDX-License-Identifier: Apache-2.0
"""Sound before the answer: nobody pays for it, so it has an end, and who makes a habit of it is not heard any more.

A callee that has not answered may send sound (183 with a session description): a carrier's announcement, a ringing tone
of its own. A telephone that never answers and always sends sound would be a free line in one direction. Pure: `now` is
an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from switch.access.lately import Lately
from switch.sip.message.message import Response

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

__all__ = ["EarlySound", "UnansweredSound", "without_sound"]

MOST_LONG: Final = 5
"""So often within `MEMORY_SECONDS` an account is heard for long without an answer; then it is not."""
MEMORY_SECONDS: Final = 3600.0


@dataclass(slots=True)
class EarlySound:
    """The clock of one call: how long its caller has heard callees that did not answer, several at once as one."""

    limit: float
    legs: dict[Hashable, None] = field(default_factory=dict)
    """Those that are heard now, in the order in which they began."""
    withheld: dict[Hashable, bytes] = field(default_factory=dict)
    """By leg: the session description that the caller did not get; a later answer may leave it out."""
    _spent: float = 0.0
    _since: float | None = None

    def seconds(self, now: float) -> float:
        """What has been heard in all."""
        return self._spent + (0.0 if self._since is None else now - self._since)

    def began(self, leg: Hashable, now: float) -> bool:
        """A leg has sound; True: the clock starts, `left` says for how long."""
        self.legs[leg] = None
        if self._since is not None:
            return False
        self._since = now
        return True

    def left(self, now: float) -> float:
        """What may still be heard."""
        return self.limit - self.seconds(now)

    def ended(self, leg: Hashable, now: float) -> bool:
        """A leg is over; True: no other is heard, the clock stands."""
        self.withheld.pop(leg, None)
        self.legs.pop(leg, None)
        if self.legs or self._since is None:
            return False
        self._spent, self._since = self.seconds(now), None
        return True


class UnansweredSound:
    """Who was heard for long without an answer, on this switch and lately: accounts that are called, accounts that
    call, and carriers."""

    def __init__(self) -> None:
        self.count = 0
        """Calls in which it happened, since the start."""
        self._lately = Lately(MOST_LONG, MEMORY_SECONDS)

    def heard(self, names: Iterable[str], now: float) -> None:
        """It happened once more."""
        self.count += 1
        self._lately.happened(names, now)

    def is_muted(self, name: str, now: float) -> bool:
        """Whether it has happened too often."""
        return self._lately.is_full(name, now)


def without_sound(response: Response) -> Response:
    """A provisional response as 180 without its session description: the caller's phone makes a ringing tone."""
    lines = [line for line in response.headers if not line[0].lower().startswith("content-")]
    return Response(180, "Ringing", lines)
