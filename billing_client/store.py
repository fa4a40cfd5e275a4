# SPDX-License-Identifier: Apache-2.0
"""The billing store as the switch sees it.

Every operation is one round trip and one transaction, may be repeated safely (calls by their id, slices by their
number), and raises `StoreUnavailable` when the store does not answer, `StoreRefused` when it objects.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from billing_client import bindings, calls, lamps, names, parties, snapshots
from billing_client.calls import Grant, Settlement
from billing_client.emergencies import NOTE_EMERGENCY
from billing_client.link.clock import StoreClock
from billing_client.link.gathering import Gathering
from billing_client.link.listener import Listener
from billing_client.link.pool import Pool
from billing_client.secrets.passwords import Passwords
from billing_client.traces import PRUNE_TRACES, WRITE_TRACES, trace_columns
from billing_client.types import StoreError, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    import asyncpg

    from billing_client.bindings import BindingRow
    from billing_client.calls import CallFinish, CallStart
    from billing_client.emergencies import EmergencyNote
    from billing_client.lamps import SubscriptionRow
    from billing_client.mailboxes.words import MessageCounts
    from billing_client.parties import Parties, Subscriber
    from billing_client.rules.books import RateBook, RouteBook
    from billing_client.traces import CallTrace
    from billing_client.types import StoreEvent

    _Slice = tuple[str, int, Decimal, Decimal]

__all__ = ["Store"]

ANSWER_BATCH_SECONDS = 0.25
ORPHANS_AT_A_TIME = 500
CSEQ_LEAP = 1000
"""More NOTIFY requests than a subscription sends between two times that it is written down."""
LIVES = 3
DEAD = "dead"
"""What `start_call` of the store says to a life that was declared dead."""

log = logging.getLogger(__name__)


class Store:
    """The door to the billing store; make one by `connect`."""

    def __init__(
        self,
        dsn: str,
        *,
        node: str,
        connections: int,
        timeout_seconds: float,
        utc: Callable[[], datetime],
        passwords: Passwords,
    ) -> None:
        """Use `connect`, which also opens the connections."""
        self._opened = passwords.open_or_none
        self._utc = utc
        self._dsn = dsn
        self._node = node
        self._timeout_seconds = timeout_seconds
        self._name = f"softswitch {node}"
        hot = (*parties.HOT, bindings.WRITE_BINDINGS, *calls.HOT)
        self._pool = Pool(
            dsn,
            name=self._name,
            size=connections,
            timeout_seconds=timeout_seconds,
            prepare=hot,
        )
        self._life = 0
        self._lives_lost = 0
        self.clock = StoreClock()
        self._birth = asyncio.Lock()
        self._starts = Gathering(self._start_calls, transactions=max(1, connections // 2))
        self._slices = Gathering(self._extend_calls, transactions=max(1, connections // 4))
        self._answered: dict[str, datetime] = {}
        self._answer_task: asyncio.Task[None] | None = None
        self._listeners: list[Listener] = []

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        node: str,
        connections: int = 4,
        timeout_seconds: float = 2.0,
        utc: Callable[[], datetime] = partial(datetime.now, UTC),  # noqa: B008 (a function)
        passwords: Passwords | None = None,
    ) -> Store:
        """Open the connections and begin a life of `node`, a name that no other process uses meanwhile.

        `timeout_seconds` bounds every wait for the store; `utc` tells what day it is in the life of accounts,
        `passwords` opens those that are sealed. Raises StoreUnavailable.
        """
        store = cls(
            dsn,
            node=node,
            connections=connections,
            timeout_seconds=timeout_seconds,
            utc=utc,
            passwords=passwords or Passwords(),
        )
        await store._pool.open()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(store._pool.close)
            await store._begin_life()
            undo.pop_all()
        return store

    @property
    def is_connected(self) -> bool:
        """True if the store was within reach when last spoken to."""
        return self._pool.is_connected

    async def close(self) -> None:
        """Write what is queued and close the connections."""
        if self._answer_task is not None:
            self._answer_task.cancel()
            await asyncio.gather(self._answer_task, return_exceptions=True)
        try:
            await self._write_answered()
        except StoreError as error:
            log.warning("answers of calls were not written", extra={"reason": str(error)})
        for listener in self._listeners:
            await listener.stop()
        await self._pool.close()

    async def _begin_life(self, dead: int = 0) -> None:
        """Begin a life of this node, unless another task has done so since the life `dead` was found dead."""
        async with self._birth:
            if self._life != dead:
                return
            asked_at = time.monotonic()
            row = (await self._pool.fetch(calls.NODE_BEGIN, self._node))[0]
            self._life = row["id"]
            self.clock.heard(row["at"], asked_at)
            self._lives_lost += bool(dead)

    # Who is who

    async def subscriber(self, name: str) -> Subscriber | None:
        """Who authenticates under `name` (account number or alias), and where they are registered."""
        found = await self._pool.fetch(parties.SUBSCRIBER, names.asked_name(name))
        return parties.read_subscriber(name, found, self._utc(), self._opened)

    async def parties(self, *, caller: str | None, ani: str | None, dialled: str, inside: str = "") -> Parties:
        """Both ends of a call: the caller by SIP name, or else by `<ani>@pstn`; the callee by number or alias, but
        first, where `inside` are a few digits, by what these mean within the caller's customer."""
        asked = parties.asked_names(caller, ani, dialled)
        if inside:
            found = await self._pool.fetch(parties.PARTIES_INSIDE, *asked, inside)
        else:
            found = await self._pool.fetch(parties.PARTIES, *asked)
        return parties.read_parties(*asked, found, self._utc(), self._opened, inside=inside)

    # Calls

    async def start_call(self, start: CallStart) -> Grant:
        """Register a call and lock its first funds, or refuse; repeating gives the same call.

        Calls of one balance that start while one is on its way go together, in one transaction and in their order. An
        exempt one waits for nobody; a forwarded one goes alone.

        If this life was declared dead meanwhile (the store did not hear of us for long), another one begins.
        """
        if start.exempt or start.forward is not None:
            return (await self._start_calls((start,)))[0]
        return await self._starts.ask(start.balance_id, start)

    async def _start_calls(self, starts: Sequence[CallStart]) -> list[Grant]:
        """The answers to one or several starts, in their order and in one transaction."""
        grants: dict[int, Grant] = {}
        for _ in range(LIVES):
            life = self._life
            asked = [number for number in range(len(starts)) if number not in grants]
            found = await self._fetch_starts([starts[number] for number in asked], life)
            for number, row in zip(asked, found, strict=True):
                if row["refusal"] != DEAD:
                    grants[number] = Grant(row["granted"], row["refusal"])
            if len(grants) == len(starts):
                return [grants[number] for number in range(len(starts))]
            await self._begin_life(life)
        raise StoreRefused("this node is declared dead again and again: is its name used twice?")

    async def _fetch_starts(self, starts: Sequence[CallStart], life: int) -> list[asyncpg.Record]:
        if len(starts) == 1:
            return await self._pool.fetch(calls.START_CALL, *calls.start_values(starts[0], life, self._node))
        return await self._pool.fetch(calls.START_CALLS, *calls.start_lists(starts, life, self._node))

    async def extend_call(self, call_id: str, slice_number: int, want: Decimal, minimum: Decimal) -> Grant:
        """Lock slice 1, 2, ... of a call; a number granted before is not locked again.

        Slices that are asked for while as many as may be are on their way go together, in one transaction.
        """
        return await self._slices.ask(call_id, (call_id, slice_number, want, minimum))

    async def _extend_calls(self, slices: Sequence[_Slice]) -> list[Grant]:
        """The answers to one or several slices, in their order and in one transaction."""
        if len(slices) == 1:
            found = await self._pool.fetch(calls.EXTEND_CALL, *slices[0])
        else:
            found = await self._pool.fetch(calls.EXTEND_CALLS, *map(list, zip(*slices, strict=True)))
        return [Grant(row["held"], row["refusal"]) for row in found]

    async def note_emergency(self, note: EmergencyNote, recipients: Sequence[str]) -> None:
        """Keep that somebody called for help, and have an e-mail tell of it."""
        values = (note.call_id, self._node, note.account, note.customer, note.dialled, note.callback, note.location)
        await self._pool.fetch(NOTE_EMERGENCY, *values, note.gateways, list(recipients))

    def call_answered(self, call_id: str, at: datetime) -> None:
        """Note when a call was answered, for its settlement if we die; written with others, a moment later."""
        self._answered[call_id] = at
        if self._answer_task is None or self._answer_task.done():
            self._answer_task = asyncio.get_running_loop().create_task(self._write_answers(), name="answered calls")

    async def calls_moved(self, moved: Sequence[tuple[str, datetime, datetime | None]]) -> None:
        """Calls (id, began at, answered at) that live on while the store's clock was set: when they began by the new
        time, so that they are settled right if we die."""
        for call_id, _, answered_at in moved:
            if call_id in self._answered and answered_at is not None:
                self._answered[call_id] = answered_at
        if moved:
            await self._pool.fetch(calls.CALLS_MOVED, *map(list, zip(*moved, strict=True)))

    async def write_answers(self, answers: Mapping[str, datetime]) -> None:
        """Note when calls of an earlier life were answered, which it may not have come to do; others are left out."""
        if answers:
            await self._pool.fetch(calls.CALLS_ANSWERED, list(answers), list(answers.values()))

    async def finish_call(self, finish: CallFinish) -> Settlement:
        """Charge a call, free its locks and write its record, once; repeating gives the first result.

        A call that was settled as an orphan meanwhile is corrected, once, to what this says. One that the store does
        not know (any more) is recorded from `finish.start`; without that StoreRefused is raised.
        """
        self._answered.pop(finish.call_id, None)
        start = calls.finish_start(finish, self._node) if finish.must_tell_start else None
        *values, transferrer = calls.finish_values(finish)
        found = await self._pool.fetch(calls.FINISH_CALL, *values, start, transferrer)
        if not found and finish.is_started and finish.start is not None:
            log.error("the store has lost a call that it had taken", extra={"call": finish.call_id})
            start = calls.finish_start(finish, self._node)
            found = await self._pool.fetch(calls.FINISH_CALL, *values, start, transferrer)
        if not found:
            raise StoreRefused(f"unknown call {finish.call_id}")
        return Settlement(finish.call_id, found[0]["amount"], found[0]["billed_seconds"], found[0]["currency"])

    async def finish_calls(self, finishes: Sequence[CallFinish]) -> None:
        """`finish_call` for several calls in one transaction, which costs the store far less.

        Raises StoreRefused if the store objects to one, when none is settled, and if it does not know one, when the
        others are.
        """
        for finish in finishes:
            self._answered.pop(finish.call_id, None)
        columns = zip(*map(calls.finish_values, finishes), strict=True)
        found = await self._pool.fetch(calls.FINISH_CALLS, *map(list, columns))
        if found[0]["count"] != len(finishes):
            raise StoreRefused("unknown calls among them")

    async def live_calls(self) -> list[str]:
        """Calls that the store holds for this life of the node; one that the switch does not know is a leftover."""
        return [row["call_id"] for row in await self._pool.fetch(calls.LIVE_CALLS, self._life)]

    async def announce_calls(self, messages: Sequence[str]) -> None:
        """Tell whoever watches what runs here, in messages of less than 8000 octets."""
        await self._pool.fetch(calls.ANNOUNCE_CALLS, list(messages))

    async def lost_calls(self, call_ids: Iterable[str]) -> list[str]:
        """Those of these calls that the store does not hold (any more): another switch has settled them."""
        return [row["call_id"] for row in await self._pool.fetch(calls.LOST_CALLS, list(call_ids))]

    async def heartbeat(self) -> bool:
        """Say that we live: calls are settled up to the last heartbeat if we die.

        False, once: since the last time this life was declared dead, its calls are settled (see `lost_calls`), and
        another life began.
        """
        life = self._life
        asked_at = time.monotonic()
        if found := await self._pool.fetch(calls.HEARTBEAT, life):
            self.clock.heard(found[0]["at"], asked_at)
        else:
            await self._begin_life(life)
        lost, self._lives_lost = self._lives_lost, 0
        return not lost

    async def adopt_orphans(self, silent_seconds: float | None = None) -> int:
        """Settle the calls of this node's earlier lives up to their last heartbeat; returns how many.

        With `silent_seconds`, those of every other node too that has not been heard for so long, provided that we
        have been heard all that time. Any number of nodes may do so at once: each call is settled by one.
        """
        silence = None if silent_seconds is None else timedelta(seconds=silent_seconds)
        await self._pool.fetch(calls.DECLARE_DEAD, self._life, silence)
        adopted = 0
        while found := await self._pool.fetch(calls.ORPHANS, ORPHANS_AT_A_TIME):
            settled = 0
            for row in found:
                settled += await self._settle_orphan(row)
            adopted += settled
            if not settled:
                break  # others are at it
        return adopted

    async def _settle_orphan(self, row: asyncpg.Record) -> bool:
        """Settle one; what the store objects to must not keep the others waiting."""
        try:
            return bool((await self._pool.fetch(calls.SETTLE_ORPHAN, *calls.orphan_values(row)))[0]["settled"])
        except StoreRefused:
            log.exception("an orphan cannot be settled", extra={"call": row["call_id"]})
            return False

    # Location service

    async def write_bindings(self, upserts: Sequence[BindingRow], removals: Sequence[tuple[str, str]]) -> None:
        """Insert or replace bindings, then remove others, given as (aor, key)."""
        gone = sorted(removals)
        columns = bindings.binding_columns(upserts)
        await self._pool.fetch(
            bindings.WRITE_BINDINGS, *columns, [aor for aor, _ in gone], [bindings.binding_key(key) for _, key in gone]
        )

    async def node_bindings(
        self, node: str, *, after: tuple[str, str] = ("", ""), limit: int = 1000
    ) -> list[BindingRow]:
        """Live bindings made on `node`, by (aor, key); ask again with the last one's as `after` until none come."""
        found = await self._pool.fetch(bindings.NODE_BINDINGS, node, *after, limit)
        return [bindings.binding(row) for row in found]

    # Message lamps

    async def message_counts(self, numbers: Sequence[str]) -> dict[str, MessageCounts]:
        """What the lamps of these numbers (accounts or aliases) show; without those that have no mailbox."""
        return await lamps.message_counts(self._pool, numbers)

    async def lamps(self, after: lamps.LampCursor, limit: int) -> tuple[list[str], lamps.LampCursor | None]:
        """Accounts whose lamps may be lit, a page at a time: see `billing_client.lamps`."""
        return await lamps.lamps(self._pool, after, limit)

    async def write_subscriptions(self, upserts: Sequence[SubscriptionRow], gone: Sequence[str]) -> None:
        """Insert or replace subscriptions of this node, each once, then remove others, given by their tags."""
        columns = lamps.subscription_columns(upserts)
        await self._pool.fetch(lamps.WRITE_SUBSCRIPTIONS, self._node, *columns, sorted(gone))

    async def resume_subscriptions(self, *, after: str = "", limit: int = 500) -> list[SubscriptionRow]:
        """Live subscriptions of this node's earlier life, by tag; ask again with the last tag until none come.

        Each time they are read, their CSeq leaps over what that life may have used.
        """
        found = await self._pool.fetch(lamps.RESUME_SUBSCRIPTIONS, self._node, after, limit, CSEQ_LEAP)
        return [lamps.subscription(row) for row in found]

    # Records for explaining calls

    async def write_traces(self, traces: Sequence[CallTrace]) -> None:
        """Write records of ended calls; one that is there already stays."""
        first, *columns = trace_columns(traces)
        await self._pool.fetch(WRITE_TRACES, first, self._node, *columns)

    async def prune_traces(self, before: datetime, most: int) -> int:
        """Remove up to `most` records of calls that began before then; returns how many."""
        removed: int = (await self._pool.fetch(PRUNE_TRACES, before, most))[0]["prune_traces"]
        return removed

    # Snapshots

    async def load_rates(self, known: RateBook | None = None) -> RateBook:
        """All tariffs as of one instant; those that did not change are taken over from `known`."""
        async with self._pool.transaction() as connection:
            return await snapshots.load_rates(connection, known)

    async def load_routes(self) -> RouteBook:
        """All gateways, routes and addresses of accounts as of one instant."""
        async with self._pool.transaction() as connection:
            return await snapshots.load_routes(connection.fetch, self._opened)

    async def listen(self, on_event: Callable[[StoreEvent], None]) -> None:
        """Call `on_event` for each change that the store announces; "resync" after a gap."""
        listener = Listener(
            self._dsn, name=f"{self._name} listener", timeout_seconds=self._timeout_seconds, on_event=on_event
        )
        await listener.start()
        self._listeners.append(listener)

    async def _write_answers(self) -> None:
        """Write the queued answers, a batch at a time, until there are none."""
        while self._answered:
            await asyncio.sleep(ANSWER_BATCH_SECONDS)
            try:
                await self._write_answered()
            except StoreError as error:
                log.warning("answers of calls wait for the store", extra={"reason": str(error)})

    async def _write_answered(self) -> None:
        batch, self._answered = self._answered, {}
        if not batch:
            return
        with ExitStack() as undo:
            undo.callback(self._wait_on, batch)
            await self._pool.fetch(calls.CALLS_ANSWERED, list(batch), list(batch.values()))
            undo.pop_all()

    def _wait_on(self, batch: dict[str, datetime]) -> None:
        """Answers that were not written are written with the next ones."""
        self._answered = batch | self._answered
