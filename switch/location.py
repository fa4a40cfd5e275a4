# SPDX-License-Identifier: Apache-2.0
"""Where accounts can be reached: this node's bindings in memory, everybody's in the store.

A REGISTER costs no write of its own: changes are collected and written a few times a second, the latest of each.
What the store says of other nodes' bindings comes with each call's look-up and is merged here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from billing_client.types import BindingRow, StoreError, StoreUnavailable
from switch.sip.address import NameAddr
from switch.sip.dialog import literal_flow
from switch.sip.errors import ParseError
from switch.sip.flow import Flow, Hop
from switch.sip.registrar import Binding, Registration
from switch.sip.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from billing_client.store import Store
    from switch.transport import Transport

__all__ = ["Location", "Target"]

log = logging.getLogger(__name__)

_WRITE_SECONDS: Final = 0.2
_RETRY_SECONDS: Final = 1.0
_ROWS_AT_A_TIME: Final = 1000
_KEEP_ALIVE_SECONDS: Final = 25  # below the 30 s after which many NATs forget a UDP flow (RFC 5626 section 4.4.2)
_KEEP_ALIVE: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send a request for an account."""

    uri: str
    """The Request-URI: the contact as it was registered."""
    flow: Flow
    routes: tuple[str, ...]
    """Route values: the Path of the registration (RFC 3327)."""
    natted: bool
    q: float


@dataclass(frozen=True, slots=True)
class _Entry:
    binding: Binding
    flow: Flow


class Location:
    """The location service of one node."""

    def __init__(
        self, store: Store, transport: Transport, *, node: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._transport = transport
        self._node = node
        self._clock = clock
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._upserts: dict[tuple[str, str], BindingRow] = {}
        self._removals: dict[tuple[str, str], None] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take back the bindings of this node's earlier life, and begin to write and to keep NATs open."""
        after = ("", "")
        while True:
            rows = await self._store.node_bindings(self._node, after=after, limit=_ROWS_AT_A_TIME)
            for row in rows:
                flow = self._row_flow(row)
                if flow is not None and flow.transport == "udp":
                    self._entries.setdefault(row.aor, {})[row.key] = _Entry(_binding(row), flow)
            if len(rows) < _ROWS_AT_A_TIME:
                break
            after = (rows[-1].aor, rows[-1].key)
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._keep_alive())]

    async def close(self) -> None:
        """Write what is not written yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._flush()
        except StoreError:
            log.warning("bindings were not written", extra={"bindings": len(self._upserts)})

    def __len__(self) -> int:
        """Bindings held by this node."""
        return sum(map(len, self._entries.values()))

    # registrations ----------------------------------------------------------------------------------------------
    def bindings(self, aor: str, rows: Iterable[BindingRow]) -> list[Binding]:
        """All live bindings of an address of record; `rows` is what the store holds of it."""
        return [binding for binding, _ in self._merged(aor, rows)]

    def update(self, aor: str, registration: Registration, flow: Flow) -> None:
        """Take over what a REGISTER changed."""
        entries = self._entries.setdefault(aor, {})
        for binding in registration.upserts:
            entries[binding.key] = _Entry(binding, flow)
            self._upserts[aor, binding.key] = self._row(aor, binding, flow)
            self._removals.pop((aor, binding.key), None)
        for key in registration.removals:
            entries.pop(key, None)
            self._upserts.pop((aor, key), None)
            self._removals[aor, key] = None
        if not entries:
            del self._entries[aor]
        if registration.upserts or registration.removals:
            self._changed.set()

    # calls ------------------------------------------------------------------------------------------------------
    def lookup(self, aor: str, rows: Sequence[BindingRow]) -> list[Target]:
        """Where to ring an address of record, best q first; flows that are gone are left out (RFC 5626 section 5.3)."""
        targets: dict[tuple[str, Flow], Target] = {}
        instances: set[str] = set()
        found = sorted(self._merged(aor, rows), key=lambda pair: (-pair[0].q, -pair[0].expires_at))
        for binding, flow in found:
            if flow is None or (flow.connection and not self._transport.is_open(flow)):
                continue
            if binding.reg_id is not None and binding.instance is not None:
                if binding.instance in instances:
                    continue  # RFC 5626 5.3: one flow of a phone at a time
                instances.add(binding.instance)
            natted = binding.received is not None
            target = Target(binding.contact, flow, tuple(map(_bracketed, binding.path)), natted, binding.q)
            targets.setdefault((binding.contact, flow), target)
        return list(targets.values())

    def _merged(self, aor: str, rows: Iterable[BindingRow]) -> list[tuple[Binding, Flow | None]]:
        now = self._clock()
        local = self._entries.get(aor, {})
        merged: dict[str, tuple[Binding, Flow | None]] = {
            key: (entry.binding, entry.flow) for key, entry in local.items() if entry.binding.expires_at > now
        }
        for row in rows:
            expires_at = row.expires_at.timestamp()
            known = local.get(row.key)
            if expires_at <= now or (aor, row.key) in self._removals:
                continue
            # the phone may have moved to another node since: the later registration counts
            if known is None or (row.node != self._node and expires_at > known.binding.expires_at):
                merged[row.key] = (_binding(row), self._row_flow(row))
        return list(merged.values())

    def _row_flow(self, row: BindingRow) -> Flow | None:
        """The flow to a binding that only the store knows."""
        try:
            if row.received is not None:
                transport, _, address = row.received.partition(":")
                host, _, port = address.rpartition(":")
                flow = self._transport.flow_to(Hop(transport, host, int(port)))
                # another process's connection is not ours: over TCP only the contact itself may still answer
                return flow if transport == "udp" else literal_flow(Uri.parse(row.contact), flow)
            uri = NameAddr.parse(_bracketed(row.path[0])).uri if row.path else Uri.parse(row.contact)
            return self._transport.flow_to(Hop(uri.transport or "udp", uri.address, uri.port or 5060))
        except (LookupError, ParseError, ValueError):
            return None

    def _row(self, aor: str, binding: Binding, flow: Flow) -> BindingRow:
        return BindingRow(
            aor=aor,
            key=binding.key,
            contact=binding.contact,
            received=binding.received,
            path=binding.path,
            expires_at=datetime.fromtimestamp(binding.expires_at, UTC),
            q=binding.q,
            call_id=binding.call_id,
            cseq=binding.cseq,
            instance=binding.instance,
            reg_id=binding.reg_id,
            user_agent=binding.user_agent,
            node=self._node,
            socket=f"{flow.transport}:{flow.local[0]}:{flow.local[1]}",
        )

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
            except StoreError:
                log.exception("the store refused bindings")

    async def _flush(self) -> None:
        upserts, self._upserts = self._upserts, {}
        removals = list(self._removals)
        if not upserts and not removals:
            return
        try:
            await self._store.write_bindings(list(upserts.values()), removals)
        except StoreUnavailable:
            self._upserts = {**upserts, **self._upserts}  # what changed meanwhile is newer
            for gone in self._removals:
                self._upserts.pop(gone, None)
            raise
        for gone in removals:
            if gone not in self._upserts:
                self._removals.pop(gone, None)

    # keep-alive -------------------------------------------------------------------------------------------------
    async def _keep_alive(self) -> None:
        """Every binding behind NAT gets a packet each 25 s, spread over the seconds; expired ones are forgotten."""
        while True:
            aors = list(self._entries)
            share = -(-len(aors) // _KEEP_ALIVE_SECONDS)
            for second in range(_KEEP_ALIVE_SECONDS):
                for aor in aors[second * share : (second + 1) * share]:
                    self._keep(aor, self._clock())
                await asyncio.sleep(1)

    def _keep(self, aor: str, now: float) -> None:
        entries = self._entries.get(aor)
        if entries is None:
            return
        for key, entry in list(entries.items()):
            if entry.binding.expires_at <= now:
                del entries[key]
            elif entry.binding.received is not None and entry.flow.transport == "udp":
                self._transport.send(_KEEP_ALIVE, entry.flow)
        if not entries:
            del self._entries[aor]


def _bracketed(path: str) -> str:
    return path if path.startswith("<") or "<" in path else f"<{path}>"


def _binding(row: BindingRow) -> Binding:
    return Binding(
        key=row.key,
        contact=row.contact,
        received=row.received,
        path=row.path,
        expires_at=row.expires_at.timestamp(),
        q=row.q,
        call_id=row.call_id,
        cseq=row.cseq,
        instance=row.instance,
        reg_id=row.reg_id,
        user_agent=row.user_agent,
    )
