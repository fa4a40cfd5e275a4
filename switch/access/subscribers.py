# SPDX-License-Identifier: Apache-2.0
"""Subscribers and their passwords, kept for a while so that a refresh of a registration need not ask the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from billing_client.rules.lifecycle import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.parties import Subscriber
    from billing_client.store import Store

__all__ = ["Kept", "Subscribers"]

_KEEP_SECONDS: Final = 600.0
_FRESH_SECONDS: Final = 5.0
_MAX_KEPT: Final = 200_000
_MAX_UNKNOWN: Final = 4096
"""Names of nobody that are kept: only as long as they are fresh, and each is at most 64 characters long."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store said of a name."""

    subscriber: Subscriber | None
    """Without bindings: those are old as soon as they are read. None: nobody logs in by this name."""
    found_at: float


class Subscribers:
    """Looks names up in the store; the store's events drop what changed. `clock` is monotonic, `utc` tells the day."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        *,
        limit: int = _MAX_KEPT,
        utc: Callable[[], datetime] = partial(datetime.now, UTC),  # noqa: B008 (a function)
    ) -> None:
        self._utc = utc
        self._store = store
        self._clock = clock
        self._limit = limit
        self._kept: dict[str, Kept] = {}
        self._unknown: dict[str, float] = {}
        """Names that nobody logs in by, and when the store said so."""
        self._names: dict[str, set[str]] = {}
        """Names (number and aliases) by account number."""
        self._changes = 0

    def kept(self, name: str) -> Subscriber | None:
        """The subscriber of this name, if asked for lately: good enough to accept a password.

        Not so whose account may not be used by now: whether it was used or recharged meanwhile the store knows.
        """
        entry = self._kept.get(name)
        if entry is None or self._clock() - entry.found_at >= _KEEP_SECONDS:
            return None
        return entry.subscriber if entry.subscriber is None or self._is_usable(entry.subscriber) else None

    def fresh(self, name: str) -> Kept | None:
        """What the store said a moment ago: good enough to refuse a password as well.

        A refusal never rests on anything older. So the first wrong password for any name costs a look-up, whether the
        account exists or not, and its answer comes no sooner for the one than for the other.
        """
        now = self._clock()
        found_at = self._unknown.get(name)
        entry = self._kept.get(name) if found_at is None else Kept(None, found_at)
        return entry if entry is not None and now - entry.found_at < _FRESH_SECONDS else None

    def last_known(self, name: str) -> Subscriber | None:
        """The subscriber as of any time ago, for when the store is away."""
        entry = self._kept.get(name)
        if entry is None or entry.subscriber is None or self._is_usable(entry.subscriber):
            return None if entry is None else entry.subscriber
        subscriber = entry.subscriber
        return replace(subscriber, usable=subscriber.usable or refusal(subscriber.life, self._utc()))

    def _is_usable(self, subscriber: Subscriber) -> bool:
        return subscriber.usable is None and (subscriber.life is None or refusal(subscriber.life, self._utc()) is None)

    async def find(self, name: str) -> Subscriber | None:
        """The subscriber of this name with all bindings, from the store; raises StoreError."""
        changes = self._changes
        subscriber = await self._store.subscriber(name)
        if changes == self._changes:  # else this may be the state before the change
            self._keep(name, subscriber)
        return subscriber

    def changed(self, number: str | None) -> None:
        """An account changed; None: any may have."""
        self._changes += 1
        if number is None:
            self._kept.clear()
            self._unknown.clear()
            self._names.clear()
            return
        for name in [number, *self._names.get(number, ())]:
            self._forget(name)

    def _keep(self, name: str, subscriber: Subscriber | None) -> None:
        self._forget(name)
        if subscriber is None:
            while len(self._unknown) >= min(self._limit, _MAX_UNKNOWN):
                del self._unknown[next(iter(self._unknown))]
            self._unknown[name] = self._clock()
            return
        while len(self._kept) >= self._limit:
            self._forget(next(iter(self._kept)))
        self._names.setdefault(subscriber.number, set()).add(name)
        self._kept[name] = Kept(replace(subscriber, bindings=()), self._clock())

    def _forget(self, name: str) -> None:
        self._unknown.pop(name, None)
        entry = self._kept.pop(name, None)
        if entry is not None and entry.subscriber is not None:
            names = self._names.get(entry.subscriber.number, set())
            names.discard(name)
            if not names:
                self._names.pop(entry.subscriber.number, None)
