# SPDX-License-Identifier: Apache-2.0
"""Questions about a call that is not made: what the switch would be told, with nothing changed by asking."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self

from billing_client import calls, parties, snapshots
from billing_client.calls import CallStart, Grant
from billing_client.link.pool import UNREACHABLE, Link, connect
from billing_client.types import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import asyncpg

    from billing_client.parties import Parties
    from billing_client.rules.books import RateBook, RouteBook

__all__ = ["Inquiry", "Lock"]

_LOCKS: Final = """
SELECT c.call_id, a.number, c.dialled, c.started_at, c.locked
  FROM billing_activecall c JOIN billing_account a ON a.id = c.account_id
 WHERE c.balance_id = $1 AND c.locked > 0 ORDER BY c.locked DESC, c.started_at LIMIT $2"""
_NODE: Final = "inquiry"
_STATEMENTS: Final = (
    parties.PARTIES_INSIDE,
    *snapshots.ROUTE_STATEMENTS,
    snapshots.RATES_OF,
    _LOCKS,
    calls.NODE_BEGIN,
    calls.START_CALL,
)
_NO_CALL: Final = CallStart(
    call_id=_NODE,
    account_id=0,
    balance_id=0,
    caller="",
    dialled="",
    direction="internal",
    started_at=datetime(2000, 1, 1, tzinfo=UTC),
    want=Decimal(0),
    minimum=Decimal(0),
)


@dataclass(frozen=True, slots=True)
class Lock:
    """A live call that holds funds of a balance."""

    call_id: str
    account: str
    dialled: str
    started_at: datetime
    locked: Decimal


class Inquiry:
    """One connection for one question after the other; make it by `connect`."""

    def __init__(self, link: Link, timeout_seconds: float) -> None:
        """Use `connect`."""
        self.opened_at = time.perf_counter()
        """When the connection was open."""
        self._link = link
        self._timeout_seconds = timeout_seconds

    @classmethod
    async def connect(cls, dsn: str, *, timeout_seconds: float = 5.0) -> Self:
        """Connect; raises StoreUnavailable."""
        try:
            connection = await connect(dsn, name="softswitch inquiry", timeout_seconds=timeout_seconds)
            inquiry = cls(Link(connection), timeout_seconds)
            with ExitStack() as undo:
                undo.callback(connection.terminate)
                await inquiry._link.prepare(_STATEMENTS)
                undo.pop_all()
        except UNREACHABLE as error:
            raise StoreUnavailable(f"cannot connect to the store: {error}") from error
        return inquiry

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return not self._link.connection.is_closed()

    async def warm_up(self) -> None:
        """Have the server read its catalogue and plan its statements, for a connection that is kept for questions.

        That takes several times as long as a question. Raises StoreError.
        """
        await self.routes()
        await self.parties(caller="", ani=None, dialled="")
        await self.rates([0], "0")
        await self.locks(0)
        await self.try_call(_NO_CALL)

    async def close(self) -> None:
        """Hang up."""
        connection = self._link.connection
        try:
            await connection.close(timeout=self._timeout_seconds)
        except UNREACHABLE:
            connection.terminate()

    async def _fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        try:
            return await self._link.fetch(sql, args, self._timeout_seconds)
        except UNREACHABLE as error:
            raise StoreUnavailable(f"the store does not answer: {error}") from error

    async def parties(
        self, *, caller: str | None, ani: str | None, dialled: str, inside: str = "", at: datetime | None = None
    ) -> Parties:
        """As `Store.parties`; the life of accounts is looked at as it is `at` that instant, now by default."""
        asked = parties.asked_names(caller, ani, dialled)
        found = await self._fetch(parties.PARTIES_INSIDE, *asked, inside)
        return parties.read_parties(*asked, found, at or datetime.now(UTC), inside=inside)

    async def routes(self) -> RouteBook:
        """As `Store.load_routes`."""
        return await snapshots.load_routes(self._fetch)

    async def rates(self, tariff_ids: Iterable[int], number: str) -> RateBook:
        """Of some tariffs the rates whose prefixes `number` begins with: all that price and cost can depend on."""
        return await snapshots.rates_of(self._fetch, tariff_ids, number)

    async def try_call(self, start: CallStart) -> Grant:
        """What `Store.start_call` would answer: the store's own function, in a transaction that is taken back."""
        transaction = self._link.connection.transaction()
        await transaction.start()
        try:
            life = (await self._fetch(calls.NODE_BEGIN, _NODE))[0]["id"]
            row = (await self._fetch(calls.START_CALL, *calls.start_values(start, life, _NODE)))[0]
            return Grant(row["granted"], row["refusal"])
        finally:
            await transaction.rollback()

    async def locks(self, balance_id: int, most: int = 20) -> list[Lock]:
        """Live calls that hold funds of a balance, those with the largest locks first."""
        return [Lock(*row) for row in await self._fetch(_LOCKS, balance_id, most)]
