# SPDX-License-Identifier: Apache-2.0
"""A binding as a node holds it in memory: made of a row of the store, written as one, and where it leads. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from billing_client.bindings import BindingRow
from switch.sip.binding_rules import Binding
from switch.sip.message.address import NameAddr
from switch.sip.message.errors import ParseError
from switch.sip.message.flow import Flow, Hop
from switch.sip.message.host import is_literal
from switch.sip.message.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Entry", "Target", "entry_of", "hop_of", "parse_socket", "row_of", "source_of", "targets_of", "would_ring"]


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
class Entry:
    """A binding as this node knows it."""

    binding: Binding
    flow: Flow | None
    """What its REGISTER came on; None when that was another node, or this one in an earlier life."""
    node: str
    socket: str
    known_at: float


def would_ring(rows: Iterable[BindingRow]) -> list[Target]:
    """What `Location.lookup` finds where nothing is newer than the store's rows and every flow is open."""

    def way(entry: Entry) -> Flow | None:
        try:
            hop = hop_of(entry.binding)
            return None if hop is None else Flow(hop.transport, parse_socket(entry.socket)[1:], (hop.host, hop.port))
        except (ParseError, ValueError):
            return None

    return targets_of([entry_of(row, 0.0) for row in rows], way)


def targets_of(entries: Iterable[Entry], way: Callable[[Entry], Flow | None]) -> list[Target]:
    """Where to ring, best q first."""
    targets: dict[tuple[str, Flow], Target] = {}
    instances: set[str] = set()
    for entry in sorted(entries, key=lambda entry: (-entry.binding.q, -entry.binding.expires_at)):
        binding = entry.binding
        if binding.reg_id is not None and binding.instance in instances:
            continue  # RFC 5626 5.3: one flow of a phone at a time
        flow = way(entry)
        if flow is None:
            continue
        if binding.reg_id is not None and binding.instance is not None:
            instances.add(binding.instance)
        target = Target(
            binding.contact, flow, tuple(map(_bracketed, binding.path)), binding.received is not None, binding.q
        )
        targets.setdefault((binding.contact, flow), target)
    return list(targets.values())


def hop_of(binding: Binding) -> Hop | None:
    """Where requests for a binding go by what it registered; None where only a proxy or TLS could tell or take them."""
    if binding.received is not None:
        return Hop(*parse_socket(binding.received))
    uri = NameAddr.parse(_bracketed(binding.path[0])).uri if binding.path else Uri.parse(binding.contact)
    host = uri.address
    if uri.scheme == "sips" or not is_literal(host) or "maddr" in uri.params:
        return None
    return Hop(uri.transport or "udp", host, uri.port or 5060)


def source_of(binding: Binding) -> str:
    """The address that a phone is registered from, without port."""
    return parse_socket(binding.received)[1] if binding.received else Uri.parse(binding.contact).address


def _bracketed(path: str) -> str:
    return path if "<" in path else f"<{path}>"


def parse_socket(text: str) -> tuple[str, str, int]:
    """Read `transport:host:port`; raises ValueError."""
    kind, _, address = text.partition(":")
    host, _, port = address.rpartition(":")
    return kind, host, int(port)


def entry_of(row: BindingRow, now: float, ahead: float = 0.0) -> Entry:
    """What a row says; `ahead`: by how many seconds the clock that rows end by is ahead of that of entries."""
    binding = Binding(
        key=row.key,
        contact=row.contact,
        received=row.received,
        path=row.path,
        expires_at=row.expires_at.timestamp() - ahead,
        q=row.q,
        call_id=row.call_id,
        cseq=row.cseq,
        instance=row.instance,
        reg_id=row.reg_id,
        user_agent=row.user_agent,
    )
    return Entry(binding, None, row.node, row.socket, now)


def row_of(aor: str, entry: Entry, ahead: float) -> BindingRow:
    """The row that the store is to have of it."""
    binding = entry.binding
    return BindingRow(
        aor=aor,
        key=binding.key,
        contact=binding.contact,
        received=binding.received,
        path=binding.path,
        expires_at=datetime.fromtimestamp(binding.expires_at + ahead, UTC),
        q=binding.q,
        call_id=binding.call_id,
        cseq=binding.cseq,
        instance=binding.instance,
        reg_id=binding.reg_id,
        user_agent=binding.user_agent,
        node=entry.node,
        socket=entry.socket,
    )
