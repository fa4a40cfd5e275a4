# SPDX-License-Identifier: Apache-2.0
"""What calls do while the store is away: nobody waits for it in vain, and whom we know we still know."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from billing_client.parties import Parties
from billing_client.rules.lifecycle import refusal
from billing_client.types import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from billing_client.calls import CallStart, Grant
    from billing_client.parties import Party
    from billing_client.store import Store

__all__ = ["PartyMemory", "StoreReach", "learn_registered"]

_PROBE_SECONDS: Final = 0.25
_MAX_PARTIES: Final = 50_000
_LEARN_SECONDS: Final = 10.0
_LEARN_PAUSE_SECONDS: Final = 0.02


class StoreReach:
    """A circuit breaker: once the store did not answer, one task asks on behalf of all until it does again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._probe: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        """True from the first operation that found the store away until a probe finds it back."""
        return self._probe is not None

    def lost(self) -> None:
        """The store did not answer."""
        if self._probe is None:
            self._probe = asyncio.get_running_loop().create_task(self._until_back(), name="store probe")

    async def start_call(self, start: CallStart) -> Grant | None:
        """Have the store register a call; None: it is away, and the call costs nothing, so it may go on without.

        Raises StoreUnavailable for a call that needs funds.
        """
        if not self.is_away:
            try:
                return await self._store.start_call(start)
            except StoreUnavailable:
                self.lost()
        if start.want:
            raise StoreUnavailable("no funds can be locked while the store is away")
        return None

    async def close(self) -> None:
        """Probe no more."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)

    async def _until_back(self) -> None:
        while True:
            try:
                await self._store.subscriber("")
            except StoreUnavailable:
                await asyncio.sleep(_PROBE_SECONDS)
                continue
            except StoreError:
                pass  # it objects, so it is there
            self._probe = None
            return


class PartyMemory:
    """The accounts of calls, messages and registrations seen lately, by the names asked for; the oldest give way.

    Events of the store drop what changed. Nothing here is good enough to lock funds: see `switch.calls.call`.
    """

    def __init__(self, limit: int = _MAX_PARTIES) -> None:
        self._limit = limit
        self._parties: dict[str, Party] = {}
        self._names: dict[str, set[str]] = {}
        """Names by account number."""
        self._changes = 0

    @property
    def room(self) -> int:
        """How many more are remembered before one has to give way."""
        return max(0, self._limit - len(self._parties))

    @property
    def changes(self) -> int:
        """How often something was dropped: an answer that was asked for before the last time may be old."""
        return self._changes

    def keep(self, calling: str, dialled: str, parties: Parties, changes: int, inside: str = "") -> None:
        """Remember what the store said when there had been so many changes."""
        if changes != self._changes:
            return
        called = _inside(parties.caller, inside) if parties.is_inside else dialled
        for name, party in ((calling, parties.caller), (called, parties.callee)):
            if party is None or self._parties.get(name) is party:
                continue
            self._forget(name)
            while len(self._parties) >= self._limit:
                self._forget(next(iter(self._parties)))
            self._parties[name] = party
            self._names.setdefault(party.number, set()).add(name)

    def knows(self, name: str) -> bool:
        """Whether a name is remembered."""
        return name in self._parties

    def last_known(self, name: str) -> Party | None:
        """An account as last heard of under this name."""
        return self._parties.get(name)

    def recall(self, calling: str, dialled: str, now: datetime, inside: str = "") -> Parties:
        """Both ends as last heard of, in the state that their days have brought them to; None for whom we do not
        remember."""
        caller = self._recalled(calling, now)
        colleague = self._recalled(_inside(caller, inside), now) if inside else None
        callee = colleague or self._recalled(dialled, now)
        return Parties(caller, callee, (), is_inside=colleague is not None)

    def _recalled(self, name: str, now: datetime) -> Party | None:
        party = self._parties.get(name)
        if party is None or party.life is None:
            return party
        return replace(party, refusal=refusal(party.life, now))

    def changed(self, number: str | None) -> None:
        """An account changed; None: any may have."""
        self._changes += 1
        if number is None:
            self._parties.clear()
            self._names.clear()
            return
        for name in tuple(self._names.get(number, ())):
            self._forget(name)

    def _forget(self, name: str) -> None:
        party = self._parties.pop(name, None)
        if party is not None:
            names = self._names[party.number]
            names.discard(name)
            if not names:
                del self._names[party.number]


def _inside(caller: Party | None, number: str) -> str:
    """Under which name somebody is remembered whom a colleague calls by his extension; no account has it."""
    return "" if caller is None else f"{caller.customer_id} {number}"


async def learn_registered(
    memory: PartyMemory, store: Store, reach: StoreReach, names: Callable[[], Iterable[str]]
) -> None:
    """Get to know registered accounts that have not called lately: they may have to dial 112 while the store is away.

    Two at a time, with pauses, so that it costs next to nothing; and only while there is room: nobody who has called
    gives way to one who has not. Runs for ever.
    """
    while True:
        room = 0 if reach.is_away else memory.room
        unknown = list(islice((name for name in names() if not memory.knows(name)), room)) if room else []
        for first, second in zip(unknown[::2], [*unknown[1::2], ""], strict=False):
            changes = memory.changes
            try:
                parties = await store.parties(caller=first, ani=None, dialled=second)
            except StoreError:
                break
            memory.keep(first, second, parties, changes)
            await asyncio.sleep(_LEARN_PAUSE_SECONDS)
        await asyncio.sleep(_LEARN_SECONDS)
