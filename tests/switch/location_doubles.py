# SPDX-License-Identifier: Apache-2.0
"""Doubles of the store and the transport for tests of the registrar and the location service."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from billing_client.bindings import BindingRow
from switch.sip.message.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing_client.parties import Subscriber
    from billing_client.types import StoreError
    from switch.sip.message.flow import Hop

__all__ = ["FakeStore", "FakeTransport"]


class FakeStore:
    """Subscribers and bindings in memory; can be slow (`pause`) or away (`error`)."""

    def __init__(self, subscribers: Mapping[str, Subscriber] | None = None) -> None:
        self.subscribers = dict(subscribers or {})
        self.asked: list[str] = []
        self.rows: dict[tuple[str, str], BindingRow] = {}
        self.batches: list[tuple[int, int]] = []
        self.error: StoreError | None = None
        self._gate = asyncio.Event()
        self._gate.set()

    def pause(self) -> None:
        self._gate.clear()

    def resume(self) -> None:
        self._gate.set()

    async def subscriber(self, name: str) -> Subscriber | None:
        self.asked.append(name)
        await self._open()
        return self.subscribers.get(name)

    async def write_bindings(self, upserts: Sequence[BindingRow], removals: Sequence[tuple[str, str]]) -> None:
        await self._open()
        self.batches.append((len(upserts), len(removals)))
        for row in upserts:
            self.rows[row.aor, row.key] = row
        for gone in removals:
            self.rows.pop(gone, None)

    async def node_bindings(self, node: str, *, after: tuple[str, str] = ("", ""), limit: int) -> list[BindingRow]:
        await self._open()
        return [row for key, row in sorted(self.rows.items()) if row.node == node and key > after][:limit]

    async def _open(self) -> None:
        await self._gate.wait()
        if self.error is not None:
            raise self.error

    def of(self, aor: str) -> list[BindingRow]:
        """What a call's look-up would bring."""
        return [row for (owner, _), row in self.rows.items() if owner == aor]

    @staticmethod
    def row(
        aor: str,
        contact: str,
        *,
        node: str = "sw1",
        received: str | None = None,
        path: tuple[str, ...] = (),
        expires_at: float | None = None,
        key: str | None = None,
        socket: str = "udp:198.51.100.1:5060",
    ) -> BindingRow:
        until = datetime.fromtimestamp(time.time() + 300 if expires_at is None else expires_at, UTC)
        return BindingRow(
            aor, key or contact, contact, received, path, until, 1.0, "row", 1, None, None, "", node, socket
        )


class FakeTransport:
    """Keeps what is sent; TCP connections are open while they are in `open`."""

    def __init__(self) -> None:
        self.local = ("198.51.100.1", 5060)
        self.sent: list[tuple[bytes, Flow]] = []
        self.open: set[int] = set()

    def send(self, data: bytes, flow: Flow) -> None:
        self.sent.append((data, flow))

    def flow_to(self, hop: Hop) -> Flow:
        if hop.transport not in ("udp", "tcp"):
            raise LookupError(hop.transport)
        return Flow(hop.transport, self.local, (hop.host, hop.port))

    def is_open(self, flow: Flow) -> bool:
        return flow.local == self.local if flow.transport == "udp" else flow.connection in self.open
