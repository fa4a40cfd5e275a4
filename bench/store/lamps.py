# SPDX-License-Identifier: Apache-2.0
"""What a restart costs the store: `python -m bench.store.lamps [--accounts N] [--messages N]`.

Fills a store of its own with registered accounts, one message in each of the first `--messages` mailboxes, then goes
through all lamps that may be lit as a starting switch does, without its pauses.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from bench.store.mailboxes import MIGRATE, fill
from billing_client.store import Store
from softswitch.processes.store import EmbeddedStore
from switch.lamp.news import News

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing_client.lamps import LampCursor
    from billing_client.mailboxes.words import MessageCounts


class Counting:
    """A store that counts what it is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.pages: list[float] = []
        self.looks: list[float] = []

    async def lamps(self, after: LampCursor, limit: int) -> tuple[list[str], LampCursor | None]:
        """A page, timed."""
        begin = time.perf_counter()
        page = await self._store.lamps(after, limit)
        self.pages.append(time.perf_counter() - begin)
        return page

    async def message_counts(self, numbers: Sequence[str]) -> dict[str, MessageCounts]:
        """A look, timed."""
        begin = time.perf_counter()
        found = await self._store.message_counts(numbers)
        self.looks.append(time.perf_counter() - begin)
        return found


async def run(dsn: str, accounts: int, messages: int) -> None:
    """Fill, walk, print."""
    await fill(dsn, accounts, messages)
    store = await Store.connect(dsn, node="bench")
    counting = Counting(store)
    told = 0

    def tell(*_: object) -> None:
        nonlocal told
        told += 1

    news = News(counting, tell, clock=asyncio.get_running_loop().time)
    began_at = time.perf_counter()
    news.walk(forced=True)
    running = asyncio.create_task(news.run())
    while news.is_walking:  # noqa: ASYNC110 (nothing announces it)
        await asyncio.sleep(0.5)
    lasted = time.perf_counter() - began_at
    running.cancel()
    await store.close()
    for name, times in (("pages of lamps", counting.pages), ("counts of 20", counting.looks)):
        print(f"{name:<16}{len(times):>7}  {sum(times) / len(times) * 1000:6.2f} ms each  {sum(times):6.1f} s in all")
    print(f"{told} of {accounts} accounts asked about in {lasted:.0f} s, {told / lasted:.0f} a second")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = EmbeddedStore(Path(directory))
        with server.running():
            subprocess.run([sys.executable, "-c", MIGRATE, server.dsn], check=True)
            uvloop.run(run(server.dsn, options.accounts, options.messages))


if __name__ == "__main__":
    main()
