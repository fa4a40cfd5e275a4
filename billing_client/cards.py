# SPDX-License-Identifier: Apache-2.0
"""Finding the account of somebody who calls an application, by PIN, by calling number or by its own number: the door
for calling cards, recharging and balances."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from billing_client import rows, statements
from billing_client.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing_client.types import Party

__all__ = ["Cards", "StoreCards"]


class Cards(Protocol):
    """Who calls; all raise StoreError. An account that may not be used is found too: `refusal` says why."""

    async def account_by_pin(self, pin: str) -> Party | None:
        """The account of a PIN (its alias `PIN@pin`); None: there is none.

        Right and wrong PINs are the same look-up and take equally long. Whoever asks counts the wrong ones.
        """

    async def account_by_ani(self, ani: str) -> Party | None:
        """The account that calls from a number (its alias `NUMBER@pstn`)."""

    async def account_by_number(self, number: str) -> Party | None:
        """The account of a number or of an alias, without any proof of who asks."""


class StoreCards:
    """`Cards` on the billing store; make one by `connect`."""

    def __init__(self, pool: Pool, utc: Callable[[], datetime]) -> None:
        """The pool is closed by `close`; `utc` tells what day it is in the life of accounts."""
        self._pool = pool
        self._utc = utc

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        node: str,
        connections: int = 1,
        timeout_seconds: float = 2.0,
        utc: Callable[[], datetime] = partial(datetime.now, UTC),  # noqa: B008 (a function)
    ) -> StoreCards:
        """Open connections of its own; raises StoreUnavailable."""
        name = f"softswitch {node} cards"
        pool = Pool(dsn, name=name, size=connections, timeout_seconds=timeout_seconds, prepare=(statements.PARTIES,))
        await pool.open()
        return cls(pool, utc)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def account_by_pin(self, pin: str) -> Party | None:
        """See `Cards`."""
        return await self._find(rows.pin_name(pin))

    async def account_by_ani(self, ani: str) -> Party | None:
        """See `Cards`."""
        return await self._find(rows.name(f"{ani}@pstn"))

    async def account_by_number(self, number: str) -> Party | None:
        """See `Cards`."""
        return await self._find(rows.name(number))

    async def _find(self, name: str) -> Party | None:
        found = await self._pool.fetch(statements.PARTIES, name, "")
        return rows.parties(name, "", found, self._utc()).caller
