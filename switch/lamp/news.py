# SPDX-License-Identifier: Apache-2.0
"""Which mailboxes have news, and what: asks the store for many at a time, so that a burst of changes costs one look.

What somebody waits for (a message came, a phone registered) is looked at within a moment. After a start, or after a gap
in what the store announces, all lamps are gone through that may be lit: a page at a time, so that memory does not grow
with the accounts, and slowly, so that no call waits for it. Accounts without messages are not asked about.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from billing_client.lamps import FIRST_LAMPS
from billing_client.types import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from billing_client.lamps import LampCursor

__all__ = ["PAUSE_SECONDS", "TOLD_AT_A_TIME", "Counts", "Mailboxes", "News"]

log = logging.getLogger(__name__)

_AT_A_TIME: Final = 100
PAUSE_SECONDS: Final = 0.05
"""Between two looks: what changes meanwhile is told once."""
_RETRY_SECONDS: Final = 0.5
_PAGE: Final = 500
"""Lamps of a walk held in memory."""
TOLD_AT_A_TIME: Final = 20
"""A walk tells at most so many accounts in one go (2 ms of NOTIFY requests, at 100 µs each), so 400 a second: 4 % of a
processor, and what a message of a call waits for it nobody feels."""
_IDLE_SHARE: Final = 9
"""A walk rests nine times as long as the store took to answer it: it has a tenth of one connection at most, and where
calls keep the store busy it gives way."""


class Counts(Protocol):
    """What the store says of a mailbox."""

    @property
    def new(self) -> int:
        """Messages that nobody has heard."""

    @property
    def old(self) -> int:
        """Messages in all other folders."""

    @property
    def new_urgent(self) -> int:
        """Those of `new` that are urgent."""

    @property
    def old_urgent(self) -> int:
        """Those of `old` that are urgent."""

    @property
    def names(self) -> Sequence[str]:
        """By which phones of the account may log in."""


class Mailboxes(Protocol):
    """What the lamp asks of the store."""

    async def message_counts(self, numbers: Sequence[str]) -> Mapping[str, Counts]:
        """The messages of these accounts; accounts without a mailbox are left out. Raises StoreError."""

    async def lamps(self, after: LampCursor, limit: int) -> tuple[list[str], LampCursor | None]:
        """A page of the accounts whose lamps may be lit, and where to go on. Raises StoreError."""


class _Walk:
    """Where a walk over all lamps that may be lit stands."""

    def __init__(self, first: Iterable[str], *, forced: bool, then: Callable[[], None] | None) -> None:
        self.page = dict.fromkeys(first)
        self.cursor: LampCursor | None = FIRST_LAMPS
        self.forced = forced
        self.then = then

    @property
    def is_over(self) -> bool:
        return self.cursor is None and not self.page


class News:
    """Accounts whose phones are to be told. Those that somebody waits for go before those of a walk."""

    def __init__(
        self, mailboxes: Mailboxes, tell: Callable[[str, Counts | None, bool], None], *, clock: Callable[[], float]
    ) -> None:
        """`tell` gets an account's number, its counts (None: it has no mailbox), and whether its phones are to be told
        even what they have been told before. `clock`: monotonic seconds."""
        self._mailboxes = mailboxes
        self._tell = tell
        self._clock = clock
        self._due: dict[str, None] = {}
        self._walk: _Walk | None = None
        self._next_walk: _Walk | None = None
        self._walks_at = 0.0
        """No step of a walk before that."""
        self._in_step: dict[str, None] = {}
        """Accounts of the walk that the store is being asked about."""
        self._is_due = asyncio.Event()
        self._walks = asyncio.Event()

    def __len__(self) -> int:
        """Accounts held here that are still to be asked about."""
        return len(self._due) + sum(len(walk.page) for walk in (self._walk, self._next_walk) if walk is not None)

    @property
    def is_walking(self) -> bool:
        """Whether the lamps of an earlier life, or of a gap, are still being gone through."""
        return self._walk is not None

    def ask(self, number: str) -> None:
        """Have the phones of an account told, soon."""
        self._due[number] = None
        self._is_due.set()

    def walk(self, first: Iterable[str] = (), *, forced: bool = False, then: Callable[[], None] | None = None) -> None:
        """Go through all lamps that may be lit, these first; one walk at a time, and one more after it.

        `then` is called once all have been told; all other lamps are dark. Not where the store objected to a question.
        """
        walk = _Walk(first, forced=forced, then=then)
        if self._walk is None:
            self._walk = walk
        else:
            self._next_walk = walk
        self._walks.set()

    async def run(self) -> None:
        """Ask and tell, for ever; who waits for an answer does not wait for that of a walk."""
        await asyncio.gather(
            self._turns(self._is_due, self._look, lambda: bool(self._due)),
            self._turns(self._walks, self._step, lambda: self._walk is not None),
        )

    @staticmethod
    async def _turns(begins: asyncio.Event, turn: Callable[[], Awaitable[None]], is_left: Callable[[], bool]) -> None:
        while True:
            await begins.wait()
            begins.clear()
            while is_left():
                try:
                    await turn()
                except StoreUnavailable:
                    await asyncio.sleep(_RETRY_SECONDS)
                else:
                    await asyncio.sleep(PAUSE_SECONDS)

    async def _look(self) -> None:
        """Ask about some that somebody waits for; raises StoreUnavailable, and then they wait."""
        due = _taken(self._due, _AT_A_TIME)
        try:
            found = await self._counts(due)
        except StoreUnavailable:
            self._due = {**dict.fromkeys(due), **self._due}
            raise
        if found is not None:
            for number in due:
                # what a walk is being told of it meanwhile is older
                was_walked = number in self._in_step
                self._in_step.pop(number, None)
                self._tell(number, found.get(number), was_walked and self._walk is not None and self._walk.forced)

    async def _step(self) -> None:
        """Go on with the walk, then rest; raises StoreUnavailable, and then it stands where it stood."""
        walk, began_at = self._walk, self._clock()
        if walk is None or began_at < self._walks_at:
            return
        if not walk.page and walk.cursor is not None:
            await self._turn_page(walk, walk.cursor)
        self._in_step = dict.fromkeys(_taken(walk.page, TOLD_AT_A_TIME))
        try:
            found = await self._counts(list(self._in_step)) if self._in_step else {}
        except StoreUnavailable:
            walk.page = {**self._in_step, **walk.page}
            raise
        finally:
            answered, self._in_step = list(self._in_step), {}
        if found is None:
            walk.then = None
        else:
            for number in answered:
                self._tell(number, found.get(number), walk.forced)
        self._rest(walk, began_at)

    def _rest(self, walk: _Walk, began_at: float) -> None:
        if walk.is_over:
            self._walk, self._next_walk = self._next_walk, None
            if walk.then is not None:
                walk.then()
        now = self._clock()
        self._walks_at = now + _IDLE_SHARE * (now - began_at)

    async def _turn_page(self, walk: _Walk, cursor: LampCursor) -> None:
        try:
            numbers, walk.cursor = await self._mailboxes.lamps(cursor, _PAGE)
        except StoreRefused:
            log.exception("the store refused to say which lamps may be lit")
            numbers, walk.cursor, walk.then = [], None, None
        walk.page = dict.fromkeys(numbers)

    async def _counts(self, numbers: list[str]) -> Mapping[str, Counts] | None:
        """What the store says of these; None: it objects. Raises StoreUnavailable."""
        try:
            return await self._mailboxes.message_counts(numbers)
        except StoreRefused:
            log.exception("the store refused to count messages", extra={"accounts": len(numbers)})
            return None


def _taken(numbers: dict[str, None], most: int) -> list[str]:
    """The first ones, which are taken out."""
    taken = list(islice(numbers, most))
    for number in taken:
        del numbers[number]
    return taken
