# SPDX-License-Identifier: Apache-2.0
"""Many calls on one account, as switches make them: with slices, transfers, redirections, hang-ups at any moment, and a
store that may be away.

`python -m tests.store.load DSN NODE SECONDS CALLERS SEED` runs it as a process of its own and prints its tally.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing_client.store import Store
from billing_client.types import StoreUnavailable
from tests.store.calls import CallDesk

if TYPE_CHECKING:
    from billing_client.calls import CallFinish, Settlement

__all__ = ["SECONDS", "SLICE", "Load", "Tally"]

SECONDS = float(os.environ.get("SOAK_SECONDS", "5"))
"""How long each test under load runs; SOAK_SECONDS=60 for what the books must stand."""

SLICE = Decimal("0.50")
LEAST = Decimal("0.01")


@dataclass(slots=True)
class Tally:
    """What the callers were told."""

    settled: dict[str, Decimal] = field(default_factory=dict)
    """What each call was charged, as the store acknowledged it."""
    refused: int = 0
    away: int = 0
    """Operations without an answer."""

    @property
    def charged(self) -> Decimal:
        """All charges together."""
        return sum(self.settled.values(), Decimal(0))


class Load:
    """Callers on one account through one store."""

    def __init__(self, store: Store, who: tuple[int, int], *, node: str, seed: int) -> None:
        """`node` makes the ids of the calls unique."""
        self.tally = Tally()
        self._desk = CallDesk(store)
        self._store = store
        self._who = who
        self._node = node
        self._random = random.Random(seed)
        self._calls = 0
        self._stopping = False

    async def run(self, callers: int) -> None:
        """Make calls until `stop`, then see every call to its end."""
        await asyncio.gather(*(self._caller() for _ in range(callers)))
        for call_id in await self._store.live_calls():  # starts that were done although no answer came
            await self._finish(self._desk.finish_of(call_id, 0, 0, ended_by="failure"))

    def stop(self) -> None:
        """Begin no further call."""
        self._stopping = True

    async def _caller(self) -> None:
        while not self._stopping:
            try:
                await self._call()
            except StoreUnavailable:
                self.tally.away += 1
                await asyncio.sleep(0.05)

    async def _call(self, **sent_on: Any) -> None:
        """One call; one of five is sent on by another one, which `sent_on` tells of it."""
        self._calls += 1
        start = self._desk.start_of(self._who, SLICE, LEAST, call_id=f"{self._node}-{self._calls}", **sent_on)
        grant = await self._store.start_call(start)
        if grant.refusal is not None:
            self.tally.refused += 1
            await asyncio.sleep(self._random.uniform(0, 0.02))
            return
        locked = grant.locked
        for number in range(1, self._random.randint(1, 4)):
            await asyncio.sleep(self._random.uniform(0, 0.02))
            try:
                grant = await self._store.extend_call(start.call_id, number, SLICE, LEAST)
            except StoreUnavailable:
                break
            if grant.refusal is not None:
                break
            locked = grant.locked
        transferrer = None
        if not sent_on and self._random.random() < 0.2:
            transferrer = "101" if self._random.random() < 0.5 else None
            moved = {"direction": "forwarded", "forward": "moved", "forward_most": 5, "forwards": start.call_id}
            await self._call(beside=start.call_id, **({"transferred_by": "101"} if transferrer else moved))
        talked = self._random.choice([Decimal(0), locked, locked * Decimal("0.37"), locked + 1])
        await self._finish(self._desk.finish_of(start.call_id, round(talked, 5), transferred_by=transferrer))

    async def _finish(self, finish: CallFinish) -> None:
        settlement = await self._delivered(finish)
        self.tally.settled[finish.call_id] = settlement.amount

    async def _delivered(self, finish: CallFinish) -> Settlement:
        """As the journal does: again and again until the store has it."""
        while True:
            try:
                return await self._store.finish_call(finish)
            except StoreUnavailable:
                self.tally.away += 1
                await asyncio.sleep(0.05)


async def _main(dsn: str, node: str, seconds: float, callers: int, seed: int) -> None:
    store = await Store.connect(dsn, node=node, connections=4, timeout_seconds=10)
    load = Load(store, (1, 2), node=node, seed=seed)
    asyncio.get_running_loop().call_later(seconds, load.stop)
    await load.run(callers)
    await store.close()
    tally = load.tally
    print(json.dumps({"calls": len(tally.settled), "charged": str(tally.charged), "refused": tally.refused}))


if __name__ == "__main__":
    _dsn, _node, _seconds, _callers, _seed = sys.argv[1:]
    asyncio.run(_main(_dsn, _node, float(_seconds), int(_callers), int(_seed)))
