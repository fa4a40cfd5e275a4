# SPDX-License-Identifier: Apache-2.0
"""Which mailboxes have news, and what: asks the store for many at a time, so that a burst of changes costs one look."""

from __future__ import annotations

import asyncio
import logging
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from billing_client.types import StoreError, StoreUnavailable
from switch.sip.message_summary import NO_MESSAGES, MessageCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Counts", "Mailboxes", "News"]

log = logging.getLogger(__name__)

_AT_A_TIME: Final = 100
_PAUSE_SECONDS: Final = 0.05
"""Between two looks: what changes meanwhile is told once; and after a restart calls get their turn in between."""
_RETRY_SECONDS: Final = 0.5


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


class Mailboxes(Protocol):
    """What the lamp asks of the store."""

    async def message_counts(self, numbers: Sequence[str]) -> Mapping[str, Counts]:
        """The messages of these accounts; accounts without a mailbox are left out. Raises StoreError."""


class News:
    """Accounts whose phones are to be told. Those that somebody waits for go before those of a restart."""

    def __init__(self, mailboxes: Mailboxes, tell: Callable[[str, MessageCounts | None], None]) -> None:
        """`tell` gets an account's number and its counts; None: it has no mailbox."""
        self._mailboxes = mailboxes
        self._tell = tell
        self._due: dict[str, None] = {}
        self._bulk: dict[str, None] = {}
        self._wakeup = asyncio.Event()

    def __len__(self) -> int:
        """Accounts that are still to be asked about."""
        return len(self._due) + len(self._bulk)

    def ask(self, number: str, *, bulk: bool = False) -> None:
        """Have the phones of an account told, soon."""
        if bulk and number not in self._due:
            self._bulk[number] = None
        else:
            self._bulk.pop(number, None)
            self._due[number] = None
        self._wakeup.set()

    async def run(self) -> None:
        """Ask and tell, for ever."""
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            while len(self):
                seconds = _PAUSE_SECONDS if await self._look() else _RETRY_SECONDS
                await asyncio.sleep(seconds)

    async def _look(self) -> bool:
        """Ask about some; False: the store is away, and they wait."""
        due = list(islice(self._due, _AT_A_TIME))
        bulk = list(islice(self._bulk, _AT_A_TIME - len(due)))
        for number in due:
            del self._due[number]
        for number in bulk:
            del self._bulk[number]
        try:
            found = await self._mailboxes.message_counts([*due, *bulk])
        except StoreUnavailable:
            self._due = {**dict.fromkeys(due), **self._due}
            self._bulk = {**dict.fromkeys(bulk), **self._bulk}
            return False
        except StoreError:
            log.exception("the store refused to count messages", extra={"accounts": len(due) + len(bulk)})
            return True
        for number in (*due, *bulk):
            counts = found.get(number)
            self._tell(number, None if counts is None else _plain(counts))
        return True


def _plain(counts: Counts) -> MessageCounts:
    """Equal counts are one object where that is easy: most mailboxes are empty."""
    plain = MessageCounts(counts.new, counts.old, counts.new_urgent, counts.old_urgent)
    return NO_MESSAGES if plain == NO_MESSAGES else plain
