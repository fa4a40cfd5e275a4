# SPDX-License-Identifier: Apache-2.0
"""Subscribers and their passwords, kept for a while so that a refresh of a registration need not ask the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.store import Store
    from billing_client.types import Subscriber

__all__ = ["Subscribers"]

_KEEP_SECONDS: Final = 600.0
_KEEP_UNKNOWN_SECONDS: Final = 5.0
_MAX_KEPT: Final = 200_000


class Subscribers:
    """Looks names up in the store; the store's events drop what changed."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._kept: dict[str, tuple[float, Subscriber | None]] = {}
        self._names: dict[str, set[str]] = {}
        """Names (aliases) by account number."""

    def kept(self, name: str) -> tuple[Subscriber | None] | None:
        """What is known of a name without asking the store, in a tuple; None: nothing."""
        entry = self._kept.get(name)
        return None if entry is None or entry[0] <= self._clock() else (entry[1],)

    async def find(self, name: str) -> Subscriber | None:
        """The subscriber of this name, from the store; raises StoreError."""
        if "\0" in name or not name.isprintable():
            return None  # PostgreSQL has no such text, so no account has such a name
        subscriber = await self._store.subscriber(name)
        seconds = _KEEP_UNKNOWN_SECONDS if subscriber is None else _KEEP_SECONDS
        while len(self._kept) >= _MAX_KEPT:
            self._forget(next(iter(self._kept)))
        self._forget(name)
        self._kept[name] = (self._clock() + seconds, subscriber)
        if subscriber is not None:
            self._names.setdefault(subscriber.number, set()).add(name)
        return subscriber

    def _forget(self, name: str) -> None:
        entry = self._kept.pop(name, None)
        if entry is not None and entry[1] is not None:
            names = self._names.get(entry[1].number, set())
            names.discard(name)
            if not names:
                self._names.pop(entry[1].number, None)

    def changed(self, number: str | None) -> None:
        """An account changed; None: any may have."""
        if number is None:
            self._kept.clear()
            self._names.clear()
            return
        for name in list(self._names.get(number, ())):
            self._forget(name)
        self._forget(number)
