# SPDX-License-Identifier: Apache-2.0
"""The location service: bindings, their statements, their rows."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from billing_client.names import text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from asyncpg import Record

__all__ = ["BindingRow", "binding", "binding_columns", "binding_key"]

WRITE_BINDINGS: Final = "SELECT write_bindings($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
NODE_BINDINGS: Final = """
SELECT aor, key, contact, received, path::text[], expires_at, q, call_id, cseq, instance, reg_id, user_agent, node,
       socket
  FROM billing_binding
 WHERE node = $1 AND expires_at > now() AND (aor, key) > ($2, $3)
 ORDER BY aor, key LIMIT $4"""

LONGEST_KEY = 512
MOST_INTEGER = 2**31 - 1
MOST_BIGINT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BindingRow:
    """A contact binding of the location service (RFC 3261 section 10; RFC 3327; RFC 5626)."""

    aor: str
    """User part of the address of record: an account number or an alias."""
    key: str
    """Unique within the AOR: instance and reg-id, or else the normalised contact."""
    contact: str
    received: str | None
    """Where requests really go when the phone is behind NAT."""
    path: tuple[str, ...]
    expires_at: datetime
    q: float
    call_id: str
    cseq: int
    instance: str | None
    reg_id: int | None
    user_agent: str
    node: str
    socket: str
    """Local socket that the registration came in on."""


def binding_key(key: str) -> str:
    """A binding's key; one that is too long for an index ends in its digest."""
    if len(key) <= LONGEST_KEY and key == text(key, LONGEST_KEY):
        return key
    return text(key, LONGEST_KEY - 64) + sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def binding(row: Record) -> BindingRow:
    """A row of `billing_binding`, or of a query that has its columns."""
    return BindingRow(
        aor=row["aor"],
        key=row["key"],
        contact=row["contact"],
        received=row["received"],
        path=tuple(row["path"]),
        expires_at=row["expires_at"],
        q=row["q"],
        call_id=row["call_id"],
        cseq=row["cseq"],
        instance=row["instance"],
        reg_id=row["reg_id"],
        user_agent=row["user_agent"],
        node=row["node"],
        socket=row["socket"],
    )


def binding_columns(rows: Iterable[BindingRow]) -> list[list[Any]]:
    """Rows turned into the columns that `write_bindings` takes, in the order of the key so that batches of several
    nodes lock rows alike; of several rows with one key the last counts."""
    last = {(row.aor, row.key): row for row in rows}
    columns: list[list[Any]] = [[] for _ in range(14)]
    for _, row in sorted(last.items()):
        values = (
            row.aor, binding_key(row.key), text(row.contact, 1024), row.received and text(row.received, 255),
            "\n".join(text(uri, 512) for uri in row.path), row.expires_at, row.q, text(row.call_id, 255),
            min(row.cseq, MOST_BIGINT), row.instance and text(row.instance, 255),
            row.reg_id and min(row.reg_id, MOST_INTEGER), text(row.user_agent, 255), row.node, row.socket,
        )  # fmt: skip
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return columns
