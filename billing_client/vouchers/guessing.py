# SPDX-License-Identifier: Apache-2.0
"""Who guesses codes and PINs: each is counted before it is looked at, across calls and nodes (docs/vouchers.md)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncpg import Record

    from billing_client.link.pool import Pool
    from billing_client.vouchers.words import GuessSource

__all__ = ["SHARED", "Guesses", "LoginDoor"]

ATTEMPT: Final = "SELECT hash, is_locked, delay FROM login_attempt($1, $2, $3, $4, $5, $6, $7)"
FAILED: Final = "SELECT delay, alarms FROM login_failed($1, $2, $3, $4, $5, $6, $7)"
RIGHT: Final = "SELECT login_right($1, $2, $3, $4, $5)"

SHARED: Final = {"prefix": 10, "access": 50, "all": 200}
"""How many times more failures than of one caller it takes where many callers share a count."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Guesses:
    """What a process has seen since its start."""

    wrong: int = 0
    alarms: int = 0


@dataclass(slots=True)
class LoginDoor:
    """Counts PINs: `attempt` before one is looked at, then `right` or `wrong`. Every kind of PIN goes through here."""

    pool: Pool
    lock_after: int
    lock_seconds: int
    slow_after: int
    guesses: Guesses = field(default_factory=Guesses)

    async def attempt(self, asked: str, source: GuessSource) -> Record:
        """Take a slot: `is_locked` says that the PIN must not be looked at, `hash` what a mailbox's is compared with,
        `delay` how many seconds late a right answer shall be."""
        columns = (*_columns(asked, source), self.lock_after, self.lock_seconds, self.slow_after)
        return (await self.pool.fetch(ATTEMPT, *columns))[0]

    async def right(self, asked: str, source: GuessSource) -> None:
        """Give the slot back."""
        await self.pool.fetch(RIGHT, *_columns(asked, source), self.lock_after)

    async def wrong(self, asked: str, source: GuessSource, attempt: Record) -> int:
        """The slot is used up; whoever guesses is told of in the log. Returns how many seconds late to answer: no fewer
        than a right PIN would have been."""
        columns = (*_columns(asked, source), SHARED["all"], self.lock_after, self.slow_after)
        failed = (await self.pool.fetch(FAILED, *columns))[0]
        self.guesses.wrong += 1
        self.guesses.alarms += len(failed["alarms"])
        for subject in failed["alarms"]:
            log.warning("someone is guessing PINs", extra={"subject": subject})
        delay: int = max(attempt["delay"], failed["delay"])
        return delay


def _columns(asked: str, source: GuessSource) -> tuple[str, ...]:
    return asked, source.guesser, source.way, source.access
