# SPDX-License-Identifier: Apache-2.0
"""Requests that would wait for each other in the store, put into one transaction instead.

The row of a balance is locked from its update to the end of the commit. Calls that start on it at the same time would
pass it one after another, each with a flush of the disk; together they cost one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from billing_client.types import StoreError, StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

__all__ = ["Gathering"]

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

MOST: Final = 50
"""So many go in one transaction: few enough that it is short, enough that its commit hardly counts."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Asked, Answer]):
    key: Hashable
    request: Asked
    answer: asyncio.Future[Answer]


class Gathering(Generic[Asked, Answer]):
    """The first request of a key goes at once and alone; those that come while it is under way go together next.

    A few transactions run at the same time, never two of the same key. When all of them are busy, what comes waits too,
    and goes together whatever its key.
    """

    def __init__(self, ask: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]], *, transactions: int) -> None:
        """`ask` answers one or several requests, in their order, in one transaction; it raises StoreError."""
        self._ask = ask
        self._free = transactions
        self._busy: set[Hashable] = set()
        self._waiting: deque[_Waiting[Asked, Answer]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, key: Hashable, request: Asked) -> Answer:
        """The answer to a request; raises StoreError. Requests of the same key are answered in their order."""
        if not self._free or key in self._busy:
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._waiting.append(_Waiting(key, request, answer))
            return await answer
        self._began({key})
        try:
            return (await self._ask((request,)))[0]
        finally:
            self._ended({key})

    def _began(self, keys: set[Hashable]) -> None:
        self._free -= 1
        self._busy |= keys

    def _ended(self, keys: set[Hashable]) -> None:
        self._free += 1
        self._busy -= keys
        while self._free and (batch := self._next()):
            self._began({waiting.key for waiting in batch})
            task = asyncio.get_running_loop().create_task(self._together(batch), name="gathered requests")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next(self) -> list[_Waiting[Asked, Answer]]:
        """Those that may go now; whoever does not wait any more is forgotten."""
        batch: list[_Waiting[Asked, Answer]] = []
        later: deque[_Waiting[Asked, Answer]] = deque()
        for waiting in self._waiting:
            if waiting.answer.done():
                continue
            (later if waiting.key in self._busy or len(batch) == MOST else batch).append(waiting)
        self._waiting = later
        return batch

    async def _together(self, batch: Sequence[_Waiting[Asked, Answer]]) -> None:
        try:
            answers = await self._ask([waiting.request for waiting in batch])
        except StoreRefused as error:
            if len(batch) > 1:
                log.warning("requests go one by one", extra={"requests": len(batch), "reason": str(error)})
                await self._one_by_one(batch)
            else:
                _fail(batch, error)
        except StoreUnavailable as error:
            _fail(batch, error)
        else:
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)
        finally:
            for waiting in batch:
                waiting.answer.cancel()  # those that have no answer, because we were cancelled ourselves
            self._ended({waiting.key for waiting in batch})

    async def _one_by_one(self, batch: Sequence[_Waiting[Asked, Answer]]) -> None:
        """One that the store objects to takes no other with it; if it goes away, nobody waits for it in vain."""
        for number, waiting in enumerate(batch):
            try:
                answer = (await self._ask((waiting.request,)))[0]
            except StoreRefused as error:
                _fail([waiting], error)
            except StoreUnavailable as error:
                _fail(batch[number:], error)
                return
            else:
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)


def _fail(batch: Sequence[_Waiting[Asked, Answer]], error: StoreError) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(type(error)(str(error)))
