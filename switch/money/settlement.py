# SPDX-License-Identifier: Apache-2.0
"""Finished calls on their way to the store: at once while it answers, through the journal while it does not."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from billing_client.calls import CallFinish
from billing_client.types import StoreError, StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from billing_client.store import Store
    from switch.access.reach import StoreReach

__all__ = ["Pending", "Settlement", "Volatile"]

log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0
_AT_ONCE: Final = 50
"""So many finished calls go in one transaction; together they cost the store a third of what they cost alone."""


class Pending(Protocol):
    """Where finished calls wait, oldest first; `switch.money.journal.Journal` keeps them on disk."""

    @property
    def oldest(self) -> CallFinish:
        """The one to deliver next."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[CallFinish]: ...

    def append(self, entries: Iterable[CallFinish]) -> None:
        """Keep some more; raises OSError where they are in memory only."""

    def sync(self) -> None:
        """Wait until they are on disk; called in a thread. Raises OSError."""

    def delivered(self) -> None:
        """The oldest one need not be kept any more."""

    def close(self) -> None:
        """Let go of what is open."""


class Volatile(deque[CallFinish]):
    """Keeps them in memory, for a switch without a journal."""

    @property
    def oldest(self) -> CallFinish:
        """The one to deliver next."""
        return self[0]

    def append(self, entries: Iterable[CallFinish]) -> None:  # type: ignore[override]  # a batch, as a journal takes
        """Keep some more."""
        self.extend(entries)

    def sync(self) -> None:
        """Memory is all there is."""

    def delivered(self) -> None:
        """Forget the oldest one."""
        self.popleft()

    def close(self) -> None:
        """Nothing is open."""


class Settlement:
    """Brings every finished call to the store; a repeated delivery changes nothing there.

    While anything waits, what comes later waits behind it, so the store gets all of them in the order of their ends.
    """

    def __init__(
        self, store: Store, reach: StoreReach, journal: Pending, keep: Callable[[asyncio.Task[None]], None]
    ) -> None:
        """`keep` holds the task of a delivery until it is done."""
        self._store = store
        self._reach = reach
        self._journal = journal
        self._keep = keep
        self._gathered: list[CallFinish] = []
        self._gathering: asyncio.Task[None] | None = None
        self._unsynced = asyncio.Event()
        self._delivery: asyncio.Task[None] | None = None
        self._syncing: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Finished calls that the store does not have yet."""
        return len(self._journal)

    def waiting_calls(self) -> set[str]:
        """Their ids."""
        return {finish.call_id for finish in (*self._journal, *self._gathered)}

    async def caught_up(self, seconds: float = 1.0) -> bool:
        """Whether calls that had ended were on their way to the store; they are waited for, so long at most."""
        gathering = self._gathering
        if gathering is None or gathering.done():
            return False
        await asyncio.wait((gathering,), timeout=seconds)
        return True

    def settle(self, finish: CallFinish) -> None:
        """Take over a finished call.

        Of one that the store was never told of nothing is known but here: it outlives us from now on. It costs nothing,
        so it need not wait for those that are on their way.
        """
        if finish.must_tell_start or (not self._gathered and self._must_wait):
            self._write_down([finish])
            return
        self._gathered.append(finish)
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.get_running_loop().create_task(self._settle_gathered())
            self._keep(self._gathering)

    @property
    def _must_wait(self) -> bool:
        return bool(len(self._journal)) or self._reach.is_away

    async def _settle_gathered(self) -> None:
        """The first goes at once, and what comes while the store is at work on it goes together."""
        while self._gathered:
            batch = self._gathered[:_AT_ONCE]
            delivered = 0 if self._must_wait else await self._deliver_batch(batch)
            if delivered < len(batch):
                self._write_down(batch[delivered:])
            del self._gathered[: len(batch)]  # not before: what comes meanwhile must come after them

    async def _deliver_batch(self, batch: Sequence[CallFinish]) -> int:
        """Of how many, counted from the first, the store needs to hear no more."""
        if len(batch) > 1 and not any(finish.must_tell_start for finish in batch):
            try:
                await self._store.finish_calls(batch)
            except StoreUnavailable:
                self._reach.lost()
                return 0
            except StoreRefused as error:
                log.warning("calls are settled one by one", extra={"calls": len(batch), "reason": str(error)})
            else:
                return len(batch)
        for number, finish in enumerate(batch):
            if not await self._deliver(finish):
                return number
        return len(batch)

    def _append(self, finishes: Sequence[CallFinish]) -> None:
        try:
            self._journal.append(finishes)
        except OSError:
            log.exception("finished calls are in memory only", extra={"calls": len(finishes)})

    def _write_down(self, finishes: Sequence[CallFinish]) -> None:
        self._append(finishes)
        self._unsynced.set()
        self._start()

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._delivery is None or self._delivery.done():
            self._delivery = loop.create_task(self._deliver_all(), name="journal delivery")
        if self._syncing is None or self._syncing.done():
            self._syncing = loop.create_task(self._sync(), name="journal sync")

    async def resume(self, unstarted: Sequence[CallFinish] = (), answers: Mapping[str, datetime] | None = None) -> None:
        """Deliver what an earlier life of this switch left behind; what the store does not take now follows later.

        `unstarted` are calls that were running when it was killed and that the store may not know; `answers` says when
        running calls were answered. What is known of both already stays as it is.
        """
        if unstarted:
            self._append(unstarted)
        try:
            await self._store.write_answers(answers or {})
        except StoreError as error:
            log.warning("answers of an earlier life are not written", extra={"reason": str(error)})
        while len(self._journal) and await self._deliver(self._journal.oldest):
            self._journal.delivered()
        if len(self._journal):
            self._start()

    async def close(self, seconds: float = 2.0) -> None:
        """Give the store a last chance; what it does not take stays in the journal."""
        if len(self._journal) and self._delivery is not None:
            await asyncio.wait((self._delivery,), timeout=seconds)
        tasks = [task for task in (self._delivery, self._syncing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._journal.close()

    async def _deliver_all(self) -> None:
        while len(self._journal):
            if await self._deliver(self._journal.oldest):
                self._journal.delivered()
            else:
                await asyncio.sleep(_RETRY_SECONDS)
        self._unsynced.set()

    async def _sync(self) -> None:
        """Sync what is written; what comes while the disk is busy goes with the next round."""
        while len(self._journal):
            await self._unsynced.wait()
            self._unsynced.clear()
            try:
                await asyncio.to_thread(self._journal.sync)
            except OSError:
                log.exception("the journal cannot be synced")

    async def _deliver(self, finish: CallFinish) -> bool:
        """Whether the store needs to hear no more of this call."""
        try:
            await self._store.finish_call(finish)
        except StoreUnavailable:
            self._reach.lost()
            return False
        except StoreRefused:
            log.exception("the store refused a settlement", extra={"call": finish.call_id, "finish": finish})
        return True
