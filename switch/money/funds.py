# SPDX-License-Identifier: Apache-2.0
"""Keeping a call within its funds: locks the next slice before the last one ends, and says when nothing is left."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.store import Store
    from switch.money.credit import Credit
    from switch.trace.trace import Trace

__all__ = ["FundsWatch"]

_RETRY_SECONDS: Final = 1.0


class FundsWatch:
    """The clock of a paid call; `on_end` is called when the paid time is over.

    The end is always armed before the store is asked for more, so a store that does not answer, or a switch that is
    busy, can shorten a call but never lengthen it beyond what is locked.
    """

    __slots__ = ("_call_id", "_credit", "_loop", "_on_end", "_on_warn", "_slice", "_store", "_task", "_timer", "_trace")

    def __init__(
        self,
        call_id: str,
        credit: Credit,
        store: Store,
        trace: Trace,
        on_end: Callable[[], None],
        on_warn: Callable[[], None],
    ) -> None:
        self._call_id = call_id
        self._credit = credit
        self._store = store
        self._trace = trace
        self._on_end = on_end
        self._on_warn = on_warn
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._slice = 0

    def start(self) -> None:
        """The call was answered: its paid time runs."""
        self._credit.answered(self._loop.time())
        self._arm()

    def gained(self) -> None:
        """The payer has more than when the store was last asked: a call that was short asks again at once."""
        if self._timer is not None and self._credit.exhausted and (self._task is None or self._task.done()):
            self._ask()

    def stop(self) -> None:
        """The call is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()  # an answer that comes too late is settled with the call
            self._task = None

    def _arm(self) -> None:
        """Set the timer for what is due next."""
        credit = self._credit
        steps: tuple[tuple[float | None, Callable[[], None]], ...] = (
            (credit.ask_at, self._ask),
            (credit.warn_at, self._warn),
            (credit.retry_at, self._retry),
            (credit.end_at, self._end),
        )
        due = [(at, step) for at, step in steps if at is not None]
        if due:
            self._set_timer(*min(due, key=itemgetter(0)))

    def _set_timer(self, when: float, due: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, due)

    def _end(self) -> None:
        self._timer = None
        self._trace.add("funds", "the funds are used up")
        self._on_end()

    def _ask(self) -> None:
        end = self._credit.end_at
        if end is not None:
            self._set_timer(end, self._end)
            self._task = self._loop.create_task(self._extend(end))

    def _retry(self) -> None:
        """A last time before the end: a top-up makes the call go on."""
        self._credit.retried()
        self._ask()

    def _warn(self) -> None:
        """Warn the payer, unless the account was topped up."""
        end = self._credit.end_at
        if end is not None:
            self._set_timer(end, self._end)
            self._task = self._loop.create_task(self._extend_or_warn(end))

    async def _extend_or_warn(self, end: float) -> None:
        await self._extend(end)
        now, due = self._loop.time(), self._credit.warn_at
        if self._timer is not None and due is not None and due <= now:
            self._trace.add("funds", "warning: {seconds:.0f} s left", seconds=end - now)
            self._credit.warned(now)
            self._on_warn()
            self._arm()

    async def _extend(self, end: float) -> None:
        want, minimum = self._credit.next_want()
        try:
            grant = await self._store.extend_call(self._call_id, self._slice + 1, want, minimum)
        except StoreError as error:
            self._trace.add("fault", "no word from the store about further funds: {error}", error=error)
            if end > self._loop.time() + 2 * _RETRY_SECONDS and not self._credit.exhausted:
                self._set_timer(self._loop.time() + _RETRY_SECONDS, self._ask)
            return
        self._slice += 1
        if grant.refusal is None:
            self._credit.granted(grant.locked)
            self._trace.add(
                "funds",
                "slice {slice}: {locked} locked in all, enough for {seconds} s",
                slice=self._slice,
                locked=grant.locked,
                seconds=self._credit.paid_seconds,
            )
        else:
            self._trace.add("funds", "no further funds: {refusal}", refusal=grant.refusal)
            self._credit.refused()
            if grant.refusal == "unknown call":  # settled by another switch, which freed what we had locked
                self._end()
                return
        self._arm()
