# SPDX-License-Identifier: Apache-2.0
"""Where accounts can be reached: this node's bindings in memory, everybody's in the store.

A REGISTER costs no write of its own: changes are collected and written a few times a second, the latest of each
binding. The store's rows come with each look-up and are merged with what is newer here. NATs are kept open by pings,
spread evenly. The work is the same for each binding however many there are. Rows of expired bindings are left to the
store: a phone may have moved to another node, which refreshes the same row.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import TYPE_CHECKING, Final

from billing_client.types import StoreError, StoreUnavailable
from switch.registrar.entries import Entry, entry_of, hop_of, parse_socket, row_of, source_of, targets_of
from switch.registrar.keep_alive import EXPIRY_SPAN_SECONDS, Expiries, PingRing
from switch.sip.binding_rules import Binding, Registration, binding_refusal
from switch.sip.destination import Destinations
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Flow, Hop
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from billing_client.bindings import BindingRow
    from billing_client.store import Store
    from switch.registrar.entries import Target
    from switch.sip.transport import Transport

__all__ = ["Location"]

log = logging.getLogger(__name__)

_WRITE_SECONDS: Final = 0.2
_RETRY_SECONDS: Final = 1.0
_ROWS_AT_A_TIME: Final = 500
_MAX_UNWRITTEN_REMOVALS: Final = 200_000
"""Beyond this, while the store is away, a removal is left to the expiry of its row."""
_SETTLED_SECONDS: Final = 10.0
"""After so long a binding of ours that the store does not have was removed there."""
_RESTATED_AT_A_TIME: Final = 2000
"""Written at most five times a second: a third of one connection, and registrations go in between."""
_TICK_SECONDS: Final = 0.25
_PING: Final = b"\r\n\r\n"


def _ignore_source(_host: str, _seconds: float) -> None:
    """Nobody wants to know."""


class Location:
    """The location service of one node.

    `clock` is Unix time that nobody sets; the store's, which its rows end by, is `ahead` of it by so many seconds,
    and `is_doubtful` where it may have been set just now.
    `on_source` is told, at the start, of hosts with reloaded bindings and how long those last.
    `destinations` gives who is where: a binding is asked about at each look-up too, whoever wrote its row, and whatever
    has become of the address since.
    """

    def __init__(
        self,
        store: Store,
        transport: Transport,
        *,
        node: str,
        clock: Callable[[], float] = time.time,
        ahead: Callable[[], float] = lambda: 0.0,
        is_doubtful: Callable[[], bool] = lambda: False,
        on_source: Callable[[str, float], None] = _ignore_source,
        destinations: Callable[[], Destinations] = Destinations,
    ) -> None:
        self._store = store
        self._transport = transport
        self._node = node
        self._clock = clock
        self._ahead = ahead
        self._is_doubtful = is_doubtful
        self._restating = 0
        """Since so many steps of the store's clock its rows are not put right yet."""
        self._on_source = on_source
        self._destinations = destinations
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self._count = 0
        self._unwritten: dict[tuple[str, str], None] = {}
        """(aor, key) of what the store does not have yet, oldest first: entries to write, others to remove."""
        self._writing: frozenset[tuple[str, str]] = frozenset()
        self._changed = asyncio.Event()
        self._expiries = Expiries()
        self._pings = PingRing()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take back the bindings of this node's earlier life, and begin to write and to keep NATs open."""
        after = ("", "")
        while True:
            rows = await self._store.node_bindings(self._node, after=after, limit=_ROWS_AT_A_TIME)
            for row in rows:
                self._reload(row)
            if len(rows) < _ROWS_AT_A_TIME:
                break
            after = (rows[-1].aor, rows[-1].key)
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._tick())]

    async def close(self) -> None:
        """Write what is not written yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._flush()
        except StoreError:
            log.warning("bindings were not written", extra={"bindings": len(self._unwritten)})

    def has(self, aor: str) -> bool:
        """Whether an address of record has bindings here."""
        return aor in self._entries

    def names(self) -> list[str]:
        """The addresses of record that have bindings here."""
        return list(self._entries)

    def now(self) -> float:
        """Unix time that nobody sets: bindings end by it."""
        return self._clock()

    def __len__(self) -> int:
        """Bindings held in memory."""
        return self._count

    @property
    def destinations(self) -> Destinations:
        """Where bindings may lead at this moment."""
        return self._destinations()

    @property
    def unwritten(self) -> int:
        """Changes that the store does not have yet."""
        return len(self._unwritten) + len(self._writing)

    # registrations ----------------------------------------------------------------------------------------------
    def adopt(self, aor: str, rows: Iterable[BindingRow]) -> None:
        """Take over what the store says of an address of record, but for what is newer here."""
        self._set(aor, self._merged(aor, rows))

    def bindings(self, aor: str) -> list[Binding]:
        """The live bindings of an address of record, as far as this node knows."""
        now = self._clock()
        return [entry.binding for entry in self._entries.get(aor, ()) if entry.binding.expires_at > now]

    def is_registered_from(self, aor: str, host: str) -> bool:
        """Whether a phone of an address of record is registered from this address, as far as this node knows."""
        now = self._clock()
        return any(
            entry.binding.expires_at > now
            and (entry.flow.remote[0] if entry.flow is not None else source_of(entry.binding)) == host
            for entry in self._entries.get(aor, ())
        )

    def is_reached_at(self, host: str, port: int) -> bool:
        """Whether any phone is registered from exactly there, as far as this node knows; looks at all of them."""
        now = self._clock()
        return any(
            entry.flow is not None and entry.flow.remote[:2] == (host, port) and entry.binding.expires_at > now
            for entries in self._entries.values()
            for entry in entries
        )

    def update(self, aor: str, registration: Registration, flow: Flow) -> None:
        """Take over what a REGISTER that came on `flow` changed."""
        if not registration.upserts and not registration.removals:
            return
        now = self._clock()
        socket = f"{flow.transport}:{flow.local[0]}:{flow.local[1]}"
        upserts = {b.key: Entry(b, flow, self._node, socket, now) for b in registration.upserts}
        changed = upserts.keys() | set(registration.removals)
        kept = [entry for entry in self._entries.get(aor, ()) if entry.binding.key not in changed]
        self._set(aor, [*kept, *upserts.values()])
        for entry in upserts.values():
            self._unwritten[aor, entry.binding.key] = None
            self._keep_open(entry)
        for key in registration.removals:
            if len(self._unwritten) < _MAX_UNWRITTEN_REMOVALS:
                self._unwritten[aor, key] = None
        self._changed.set()

    # calls ------------------------------------------------------------------------------------------------------
    def lookup(self, aor: str, rows: Sequence[BindingRow]) -> list[Target]:
        """Where to ring an address of record, best q first; flows that are gone are left out (RFC 5626 section 5.3).

        `rows` is what the store holds of it at this moment.
        """
        return targets_of(self._merged(aor, rows), self._flow_to)

    def own_targets(self, aor: str) -> list[Target]:
        """Where the phones are that registered at this node, as far as it knows."""
        now = self._clock()
        own = [e for e in self._entries.get(aor, ()) if e.node == self._node and e.binding.expires_at > now]
        return targets_of(own, self._flow_to)

    def _merged(self, aor: str, rows: Iterable[BindingRow]) -> list[Entry]:
        """The store's rows, corrected by what this node knows better."""
        now, ahead = self._clock(), self._ahead()
        own = {
            entry.binding.key: entry
            for entry in self._entries.get(aor, ())
            if entry.node == self._node and entry.binding.expires_at > now
        }
        merged: list[Entry] = []
        for row in rows:
            expires_at = row.expires_at.timestamp() - ahead
            if expires_at <= now:
                continue
            entry = own.pop(row.key, None)
            if entry is None:
                if not self._is_unwritten(aor, row.key):  # else it was removed here
                    merged.append(entry_of(row, now, ahead))
            elif row.node == self._node or expires_at <= entry.binding.expires_at or self._is_unwritten(aor, row.key):
                merged.append(entry)
            else:
                merged.append(entry_of(row, now, ahead))  # the phone has moved to another node
        # what the store lacks is too new for it, has ended there by a clock that was set, or was removed elsewhere
        merged += [
            entry
            for key, entry in own.items()
            if now - entry.known_at < _SETTLED_SECONDS
            or self._restating
            or self._is_unwritten(aor, key)
            or self._is_doubtful()
        ]
        return merged

    def _is_unwritten(self, aor: str, key: str) -> bool:
        return (aor, key) in self._unwritten or (aor, key) in self._writing

    def _flow_to(self, entry: Entry) -> Flow | None:
        """The way to a binding; None when there is none any more, another node has it, or it may not be taken."""
        flow = self._way(entry)
        if flow is None:
            return None
        refusal = binding_refusal(entry.binding, flow, self._destinations())
        if refusal is not None:
            log.warning("a binding leads astray", extra={"contact": entry.binding.contact, "reason": refusal})
            return None
        return flow

    def _way(self, entry: Entry) -> Flow | None:
        binding, flow, transport = entry.binding, entry.flow, self._transport
        try:
            if binding.received is None:
                hop = hop_of(binding)
                if hop is None:
                    return None
                if (
                    flow is not None
                    and flow.transport == hop.transport == "udp"
                    and ":" not in hop.host + flow.local[0]
                ):
                    return Flow("udp", flow.local, (hop.host, hop.port))
                return transport.flow_to(hop)
            if flow is not None and transport.is_open(flow):
                return flow
            return self._flow_back(entry, binding.received)
        except (LookupError, ParseError, ValueError):
            return None

    def _flow_back(self, entry: Entry, received: str) -> Flow | None:
        """The way to where a REGISTER came from that this process did not see, or whose connection is gone."""
        kind, host, port = parse_socket(received)
        if kind == "udp":
            # through a NAT only from the socket that it knows
            flow = Flow("udp", parse_socket(entry.socket)[1:], (host, port))
            return flow if self._transport.is_open(flow) else self._transport.flow_to(Hop("udp", host, port))
        uri = Uri.parse(entry.binding.contact)
        if uri.address.lower() != host or uri.scheme == "sips":
            return None  # only the phone can open the connection again
        return self._transport.flow_to(Hop(uri.transport or "tcp", host, uri.port or 5060))

    # memory -----------------------------------------------------------------------------------------------------
    def _set(self, aor: str, entries: Sequence[Entry]) -> None:
        before = self._entries.get(aor, ())
        known = {entry.binding.key for entry in before}
        self._count += len(entries) - len(before)
        if entries:
            self._entries[aor] = tuple(entries)
        else:
            self._entries.pop(aor, None)
        for entry in entries:
            if entry.binding.key not in known:
                self._expiries.add(aor, entry.binding.expires_at)

    def _reload(self, row: BindingRow) -> None:
        now, ahead = self._clock(), self._ahead()
        known = self._entries.get(row.aor, ())
        if row.expires_at.timestamp() - ahead <= now or any(entry.binding.key == row.key for entry in known):
            return  # a phone that came while we read is newer
        entry = entry_of(row, now, ahead)
        self._set(row.aor, [*known, entry])
        self._keep_open(entry)
        self._on_source(source_of(entry.binding), entry.binding.expires_at - now)

    def _keep_open(self, entry: Entry) -> None:
        received = entry.binding.received
        if received is not None and received.startswith("udp:"):
            flow = entry.flow or self._flow_to(entry)
            if flow is not None:
                self._pings.add(flow, entry.binding.expires_at)

    def _forget_expired(self, now: float) -> None:
        for aor in self._expiries.due(now):
            entries = self._entries.get(aor, ())
            live = [entry for entry in entries if entry.binding.expires_at > now]
            for entry in entries:
                if entry.binding.expires_at <= now:
                    self._unwritten.pop((aor, entry.binding.key), None)
            if len(live) < len(entries):
                self._set(aor, live)
            for entry in live:
                self._expiries.add(aor, entry.binding.expires_at)

    async def _tick(self) -> None:
        """Ping what is due, and forget what has expired."""
        forget_at = 0.0
        while True:
            now = self._clock()
            destinations = self._destinations()
            for flow in self._pings.due(now):
                if destinations.place(*flow.remote) is None:
                    self._transport.send(_PING, flow)
            if now >= forget_at:
                self._forget_expired(now)
                forget_at = now + EXPIRY_SPAN_SECONDS
            await asyncio.sleep(_TICK_SECONDS)

    # the store's clock ------------------------------------------------------------------------------------------
    def clock_set(self, seconds: float) -> None:
        """The store's clock was set forward, or back: its rows end too early now, or too late."""
        self._restating += 1
        self._tasks.append(asyncio.create_task(self._restate(seconds), name="bindings by the new clock"))

    async def _restate(self, seconds: float) -> None:
        """Write all rows of ours anew, and take out those that have come back to life; until then we know better."""
        try:
            names = self.names()
            for first in range(0, len(names), _RESTATED_AT_A_TIME):
                for aor in names[first : first + _RESTATED_AT_A_TIME]:
                    for entry in self._entries.get(aor, ()):
                        if entry.node == self._node:
                            self._unwritten[aor, entry.binding.key] = None
                self._changed.set()
                await self._all_written()
        finally:
            self._restating -= 1
        if seconds < 0:
            await self._remove_revived()

    async def _all_written(self) -> None:
        while self.unwritten:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(_WRITE_SECONDS)

    async def _remove_revived(self) -> None:
        after = ("", "")
        while True:
            try:
                rows = await self._store.node_bindings(self._node, after=after, limit=_ROWS_AT_A_TIME)
            except StoreUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for row in rows:
                if all(entry.binding.key != row.key for entry in self._entries.get(row.aor, ())):
                    self._unwritten[row.aor, row.key] = None
            self._changed.set()
            if len(rows) < _ROWS_AT_A_TIME:
                return
            after = (rows[-1].aor, rows[-1].key)

    # writing ----------------------------------------------------------------------------------------------------
    async def _write(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_WRITE_SECONDS)
            self._changed.clear()
            try:
                await self._flush()
            except StoreUnavailable:
                self._changed.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _flush(self) -> None:
        """Write everything, oldest first; raises StoreUnavailable, and then nothing is lost."""
        while self._unwritten:
            batch = list(itertools.islice(self._unwritten, _ROWS_AT_A_TIME))
            for change in batch:
                del self._unwritten[change]
            self._writing = frozenset(batch)
            try:
                await self._write_batch(batch)
            except (StoreUnavailable, asyncio.CancelledError):
                self._unwritten = {**dict.fromkeys(batch), **self._unwritten}
                raise
            except StoreError:
                log.exception("the store refused bindings", extra={"bindings": len(batch)})
            finally:
                self._writing = frozenset()

    async def _write_batch(self, batch: list[tuple[str, str]]) -> None:
        upserts: list[BindingRow] = []
        removals: list[tuple[str, str]] = []
        for aor, key in batch:
            entry = next((entry for entry in self._entries.get(aor, ()) if entry.binding.key == key), None)
            if entry is None:
                removals.append((aor, key))
            elif entry.node == self._node:
                upserts.append(row_of(aor, entry, self._ahead()))
        await self._store.write_bindings(upserts, removals)
