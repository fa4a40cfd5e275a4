# SPDX-License-Identifier: Apache-2.0
"""Calls as the store takes them: a start crosses as one value, a row of live calls, by the names of `CallStart`.

So a new column of a call is a field of `CallStart` and one of the model `Call`, and nothing between them.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from billing_client.rows import text
from billing_client.rules.books import Rate
from billing_client.rules.rating import billed_seconds, cost
from billing_client.types import CallStart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncpg import Record

    from billing_client.types import CallFinish

__all__ = ["finish_start", "finish_values", "orphan_values", "start_lists", "start_values"]

START_CALL: Final = "SELECT granted, refusal FROM start_call($1, $2, $3, $4, $5)"
START_CALLS: Final = "SELECT granted, refusal FROM start_calls($1, $2, $3, $4)"
EXTEND_CALL: Final = "SELECT held, refusal FROM extend_call($1, $2, $3, $4)"
EXTEND_CALLS: Final = "SELECT held, refusal FROM extend_calls($1, $2, $3, $4)"
CALLS_ANSWERED: Final = "SELECT calls_answered($1, $2)"
CALLS_MOVED: Final = "SELECT calls_moved($1, $2, $3)"
FINISH_CALL: Final = "SELECT amount, billed_seconds, currency FROM finish_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
FINISH_CALLS: Final = "SELECT finish_calls($1, $2, $3, $4, $5, $6, $7, $8, $9) AS count"
ORPHANS: Final = "SELECT * FROM orphans($1)"
SETTLE_ORPHAN: Final = "SELECT settle_orphan($1, $2, $3, $4, $5) AS settled"
LOST_CALLS: Final = (
    "SELECT call_id FROM unnest($1::text[]) AS call_id EXCEPT ALL SELECT call_id FROM billing_activecall"
)
LIVE_CALLS: Final = "SELECT call_id FROM billing_activecall WHERE life_id = $1"

HOT: Final = (START_CALL, START_CALLS, EXTEND_CALL, EXTEND_CALLS, CALLS_ANSWERED, FINISH_CALL, FINISH_CALLS)


_APART: Final = {"rate", "want", "minimum", "exempt", "forward_most"}
"""No columns: what the start asks for, and the rate, which is several."""
_NAMES: Final = [one.name for one in fields(CallStart) if one.name not in _APART]
_CUT: Final = [(one.name, one.metadata["most"]) for one in fields(CallStart) if one.metadata]
_values = attrgetter(*_NAMES)
_CHARGED: Final = ("rate_id", "prefix", "connect_fee", "first_increment", "next_increment", "first_price", "next_price")
_charged = attrgetter(*_CHARGED)


def start_values(start: CallStart, life: int, node: str) -> tuple[Any, ...]:
    """The arguments of `start_call`."""
    row = _row(start, node)
    row["life_id"] = life
    return row, start.want, start.minimum, start.exempt, start.forward_most


def start_lists(starts: Iterable[CallStart], life: int, node: str) -> list[list[Any]]:
    """The arguments of `start_calls`."""
    *columns, _ = zip(*(start_values(start, life, node) for start in starts), strict=True)
    return [list(column) for column in columns]


def finish_values(finish: CallFinish) -> tuple[Any, ...]:
    """The arguments of `finish_call`, but for the start."""
    return (
        finish.call_id, finish.ended_at, finish.answered_at, finish.billed_seconds, finish.amount, finish.cause,
        finish.sip_status, finish.ended_by, finish.gateway_id,
    )  # fmt: skip


def finish_start(finish: CallFinish, node: str) -> dict[str, Any] | None:
    """The last argument of `finish_call`."""
    return None if finish.start is None else _row(finish.start, node)


def orphan_values(row: Record) -> tuple[Any, ...]:
    """The arguments of `settle_orphan` for a row of `orphans`: how such a call ends, and what it is charged."""
    free = row["connect_fee"] is None
    rate = Rate(
        rate_id=0,
        prefix="",
        destination="",
        country="",
        connect_fee=row["connect_fee"] or Decimal(0),
        first_increment=row["first_increment"] or 1,
        next_increment=row["next_increment"] or 1,
        first_price=row["first_price"] or Decimal(0),
        next_price=row["next_price"] or Decimal(0),
        effective_from=datetime.min.replace(tzinfo=UTC),
        effective_to=None,
    )
    answered_at, ended_at = row["answered_at"], row["ended_at"]
    seconds = 0.0 if answered_at is None else (ended_at - answered_at).total_seconds()
    charge = Decimal(0) if free else cost(rate, seconds)
    return row["call_id"], answered_at, ended_at, billed_seconds(rate, seconds), charge


def _row(start: CallStart, node: str) -> dict[str, Any]:
    row = dict(zip(_NAMES, _values(start), strict=True))
    for name, most in _CUT:
        if row[name]:
            row[name] = text(row[name], most)
    row["node"] = node
    row["currency"] = ""  # of the balance, where funds are locked
    if (rate := start.rate) is not None:
        row.update(zip(_CHARGED, _charged(rate), strict=True))
        row["destination"] = row["destination"] or rate.destination
        row["country"] = row["country"] or rate.country
    return row
