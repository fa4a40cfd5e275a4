# SPDX-License-Identifier: Apache-2.0
"""Subscriptions to message lamps as the store keeps them, so that they outlive the switch that serves them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from billing_client.rows import text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from asyncpg import Record

__all__ = ["RESUME_SUBSCRIPTIONS", "WRITE_SUBSCRIPTIONS", "SubscriptionRow", "subscription", "subscription_columns"]

WRITE_SUBSCRIPTIONS: Final = (
    "SELECT write_subscriptions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
)
RESUME_SUBSCRIPTIONS: Final = "SELECT * FROM resume_subscriptions($1, $2, $3, $4)"
_LONGEST: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """A subscription: the dialog of its NOTIFY requests (RFC 3261 section 12), and until when."""

    tag: str
    """Ours in the dialog; no two subscriptions have the same."""
    account: str
    """Number of the account whose mailbox it is about."""
    call_id: str
    local: str
    """Our From, with the tag."""
    remote: str
    """The subscriber's To, with the tag."""
    remote_tag: str
    target: str
    """The subscriber's Contact URI."""
    routes: tuple[str, ...]
    event: str
    local_cseq: int
    remote_cseq: int
    source: str
    """`transport:host:port` that the last SUBSCRIBE came from."""
    socket: str
    """The same of ours that it came to."""
    natted: bool
    expires_at: datetime


def subscription(row: Record) -> SubscriptionRow:
    """A row of `billing_subscription`."""
    values = {field.name: row[field.name] for field in fields(SubscriptionRow)}
    values["routes"] = tuple(row["routes"].split("\n")) if row["routes"] else ()
    return SubscriptionRow(**values)


def subscription_columns(rows: Iterable[SubscriptionRow]) -> list[list[Any]]:
    """Rows turned into the columns that `write_subscriptions` takes, in the order of the key."""
    columns: list[list[Any]] = [[] for _ in range(15)]
    for row in sorted(rows, key=lambda row: row.tag):
        values = (
            row.tag, row.account, text(row.call_id, _LONGEST), text(row.local, _LONGEST), text(row.remote, _LONGEST),
            text(row.remote_tag, _LONGEST), text(row.target, _LONGEST), text("\n".join(row.routes), _LONGEST),
            text(row.event, _LONGEST), row.local_cseq, row.remote_cseq, row.source, row.socket, row.natted,
            row.expires_at,
        )  # fmt: skip
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return columns
