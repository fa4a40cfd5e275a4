# SPDX-License-Identifier: Apache-2.0
"""Emergency calls: nobody is refused the first two, whatever his funds and wherever the store is; nobody floods them.

Counted in memory, on each switch for itself, so that no outage of anything else stands between a caller and help. Pure:
`now` is an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from switch.access.lately import Lately

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ALARM_SECONDS", "MOST_AT_A_TIME", "MOST_TOLD", "EmergencyCalls"]

MOST_AT_A_TIME: Final = 2
ALARM_CALLS: Final = 3
"""So many calls within `ALARM_SECONDS` raise an alarm, and so does each one after them."""
ALARM_SECONDS: Final = 3600.0
MOST_TOLD: Final = 20
"""So many calls of one account are noted and told by e-mail within `ALARM_SECONDS`; alarms go on."""


class EmergencyCalls:
    """Those that run, and those of the last hour."""

    def __init__(self) -> None:
        self.count = 0
        """Calls for help since the start, refused ones too."""
        self.alarms = 0
        """Raised since the start."""
        self._running: dict[str, frozenset[str]] = {}
        self._lately = Lately(ALARM_CALLS, ALARM_SECONDS)
        self._told = Lately(MOST_TOLD, ALARM_SECONDS)

    def begin(self, call_id: str, callers: Iterable[str], now: float) -> str | None:
        """One more begins; the caller of whom two run already, and then it does not begin.

        `callers` are all that it counts for: its account, and the address of a carrier that it came through.
        """
        names = frozenset(callers)
        self._lately.happened(names, now)
        for name in sorted(names):
            if sum(name in running for running in self._running.values()) >= MOST_AT_A_TIME:
                return name
        self._running[call_id] = names
        return None

    def is_alarming(self, callers: Iterable[str], now: float) -> bool:
        """Whether somebody has to look at who calls; counts it as an alarm."""
        is_alarming = any(self._lately.is_full(name, now) for name in callers)
        self.alarms += is_alarming
        return is_alarming

    def is_to_be_told(self, account: str, now: float) -> bool:
        """Whether one more call of an account is noted, with an e-mail: a phone that dials on and on fills nobody's
        mailbox, and no table."""
        if self._told.is_full(account, now):
            return False
        self._told.happened((account,), now)
        return True

    def ended(self, call_id: str) -> None:
        """A call is over; harmless for one that was none of these."""
        self._running.pop(call_id, None)
