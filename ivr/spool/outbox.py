# SPDX-License-Identifier: Apache-2.0
"""Messages on their way from the spool into the store: at once where it answers, else as soon as it does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, Protocol

from billing_client.types import StoreError, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.mailboxes.words import Deposit, DepositResult
    from ivr.spool.spool import Spool

__all__ = ["Depositor", "Outbox"]

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 30.0
FULL_PAUSE_SECONDS: Final = 600.0
"""How often a full mailbox is tried again for a message whose caller cannot be told any more."""

log = logging.getLogger(__name__)


class Depositor(Protocol):
    """Where messages go: `billing_client.mailboxes.words.Mailboxes` is one."""

    async def deposit(self, deposit: Deposit) -> DepositResult:
        """Store a message once; raises StoreError."""


class Outbox:
    """Delivers every message exactly once; applications deposit here instead of at the store."""

    def __init__(self, spool: Spool, store: Depositor, *, on_stored: Callable[[Deposit], None] | None = None) -> None:
        self._spool = spool
        self._store = store
        self._on_stored = on_stored
        self._wake = asyncio.Event()
        self._busy: set[str] = set()
        """Ids that an application is depositing right now."""
        self._abandoned = set(spool.left())
        """Recordings that no application will deposit any more: those of an earlier life, and of broken ones."""
        self._task: asyncio.Task[None] | None = None
        self.delivered = 0
        self.waiting = 0
        """Messages that the store has not taken yet."""

    def start(self) -> None:
        """Begin to deliver what waits, from before a restart too."""
        self._task = asyncio.create_task(self._run())
        self._wake.set()

    async def close(self) -> None:
        """Stop; what waits is there at the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def deposit(self, deposit: Deposit) -> DepositResult:
        """Give a message to the store; where that is away it is written down, which is as good ("stored").

        With "full" or "unknown" the caller is still there to be told, and the recording is given up.
        """
        self._busy.add(deposit.message_id)
        try:
            result = await self._store.deposit(deposit)
        except StoreError as error:
            log.warning("a message waits for the store", extra={"message_id": deposit.message_id, "reason": str(error)})
            await asyncio.get_running_loop().run_in_executor(None, self._spool.keep, deposit)
            self._wake.set()
            return "stored"
        finally:
            self._busy.discard(deposit.message_id)
        self._spool.discard(deposit.message_id)
        if result == "stored":
            self._stored(deposit)
        return result

    def discard(self, message_id: str) -> None:
        """A recording is not wanted."""
        self._spool.discard(message_id)

    def abandon(self, name: str) -> None:
        """The application of this recording has ended: deliver it as it is, where that was not done."""
        message_id = name.partition("@")[0]
        if self._spool.recording(message_id).exists():
            self._spool.end(name)
            self._abandoned.add(message_id)
            self._wake.set()

    def _stored(self, deposit: Deposit) -> None:
        self.delivered += 1
        if self._on_stored is not None:
            self._on_stored(deposit)

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._wait(None if not self.waiting else pause)
            try:
                full = await self._deliver_all()
            except (StoreError, OSError) as error:
                log.warning("messages wait", extra={"waiting": self.waiting, "reason": str(error)})
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            pause = FULL_PAUSE_SECONDS if full else FIRST_PAUSE_SECONDS

    async def _wait(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return
        self._wake.clear()

    async def _deliver_all(self) -> int:
        """Deliver what waits; the number of those whose mailbox is full. Raises StoreError.

        Of recordings only abandoned ones: others belong to applications that are still at work.
        """
        loop = asyncio.get_running_loop()
        full = 0
        waiting = [
            one
            for one in self._spool.left()
            if one not in self._busy and (one in self._abandoned or self._spool.message(one).exists())
        ]
        self.waiting = len(waiting)
        for message_id in waiting:
            deposit = await loop.run_in_executor(None, self._spool.read, message_id)
            if deposit is None:
                self._spool.discard(message_id)
            elif await self._deliver(deposit) == "full":
                full += 1
                continue
            self._abandoned.discard(message_id)
        self.waiting = full
        return full

    async def _deliver(self, deposit: Deposit) -> DepositResult:
        try:
            result = await self._store.deposit(deposit)
        except StoreRefused as error:
            log.error("a message was refused", extra={"message_id": deposit.message_id, "reason": str(error)})
            result = "unknown"
        if result == "stored":
            self._spool.discard(deposit.message_id)
            self._stored(deposit)
            log.info("a message was delivered late", extra={"message_id": deposit.message_id})
        elif result == "unknown":
            log.error("a message has no mailbox: it is set aside", extra={"message_id": deposit.message_id})
            self._spool.set_aside(deposit.message_id)
        return result
