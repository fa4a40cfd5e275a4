# SPDX-License-Identifier: Apache-2.0
"""Calls, and the lives of the nodes that make them: types, statements, rows.

A start crosses as one value, a row of live calls, by the names of `CallStart`.

So a new column of a call is a field of `CallStart` and one of the model `Call`, and nothing between them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from billing_client.names import text
from billing_client.rules.books import Rate
from billing_client.rules.rating import billed_seconds, cost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncpg import Record

__all__ = [
    "CallFinish",
    "CallStart",
    "Direction",
    "EndedBy",
    "Grant",
    "GrantRefusal",
    "Settlement",
    "finish_start",
    "finish_values",
    "orphan_values",
    "start_lists",
    "start_values",
]

START_CALL: Final = "SELECT granted, refusal FROM start_call($1, $2, $3, $4, $5)"
START_CALLS: Final = "SELECT granted, refusal FROM start_calls($1, $2, $3, $4)"
EXTEND_CALL: Final = "SELECT held, refusal FROM extend_call($1, $2, $3, $4)"
EXTEND_CALLS: Final = "SELECT held, refusal FROM extend_calls($1, $2, $3, $4)"
CALLS_ANSWERED: Final = "SELECT calls_answered($1, $2)"
CALLS_MOVED: Final = "SELECT calls_moved($1, $2, $3)"
FINISH_CALL: Final = (
    "SELECT amount, billed_seconds, currency FROM finish_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)
FINISH_CALLS: Final = "SELECT finish_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS count"
ORPHANS: Final = "SELECT * FROM orphans($1)"
SETTLE_ORPHAN: Final = "SELECT settle_orphan($1, $2, $3, $4, $5) AS settled"
LOST_CALLS: Final = (
    "SELECT call_id FROM unnest($1::text[]) AS call_id EXCEPT ALL SELECT call_id FROM billing_activecall"
)
LIVE_CALLS: Final = "SELECT call_id FROM billing_activecall WHERE life_id = $1"

HOT: Final = (START_CALL, START_CALLS, EXTEND_CALL, EXTEND_CALLS, CALLS_ANSWERED, FINISH_CALL, FINISH_CALLS)
"""Prepared as soon as a connection opens."""

NODE_BEGIN: Final = "INSERT INTO billing_node (name) VALUES ($1) RETURNING id, clock_timestamp() AS at"
HEARTBEAT: Final = "SELECT clock_timestamp() AS at FROM heartbeat($1)"
DECLARE_DEAD: Final = "SELECT declare_dead($1, $2)"
ANNOUNCE_CALLS: Final = "SELECT pg_notify('softswitch_calls', message) FROM unnest($1::text[]) AS message"

Direction = Literal["internal", "outgoing", "incoming", "forwarded"]
"""Seen from the provider; "forwarded": an account pays for a call that it forwards."""
EndedBy = Literal["caller", "callee", "funds", "admin", "timer", "media", "failure", "shutdown", "orphan"]
GrantRefusal = Literal["funds", "concurrency", "cap", "spending", "unknown call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStart:
    """Registers a call and locks its first slice of funds.

    It crosses to the store by the names of its fields, each a column of the live call unless it says otherwise. What
    the wire may have brought is cut to its column: `most` characters, as its metadata say.
    """

    call_id: str
    """Ours, unique for ever: the key under which the call is started, extended, finished and charged."""
    account_id: int
    """Who pays, and whose history shows the call."""
    balance_id: int
    caller: str = field(metadata={"most": 255})
    """Calling number (CLI)."""
    dialled: str = field(metadata={"most": 255})
    """Called number (CLD), in its one form."""
    typed: str = field(default="", metadata={"most": 64})
    """As it was dialled, where that is another."""
    direction: Direction
    started_at: datetime
    want: Decimal
    """Funds to lock; 0: a free call, no balance is touched. No column, nor is `minimum`."""
    minimum: Decimal
    """Least lock that is of use (price of the first increment): less is refused."""
    rate: Rate | None = None
    """What the call is charged by, column by column; None: it is free."""
    destination: str = ""
    country: str = ""
    gateway_id: int | None = None
    sip_call_id: str = field(default="", metadata={"most": 255})
    callee_id: int | None = None
    """The account that is called, where it is not the one that pays: its incoming calls may be limited."""
    exempt: bool = False
    """True: no limit of calls or spending counts (emergency calls, calls to applications of ours). No column."""
    forward: str | None = field(default=None, metadata={"most": 120})
    """Of a forwarded call: the name of the account's forward that it goes by."""
    forward_most: int = 0
    """How many calls at a time that forward carries. No column."""
    forwards: str | None = None
    """The id of the call that is forwarded: its legs count as one call of the account. None: not known."""
    transferred_by: str | None = field(default=None, metadata={"most": 64})
    """Number of the account that begins it to give another call away."""
    beside: str | None = None
    """A call of the same account that is held, or given away by this one: it does not count against the limits."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Answer to a request for funds."""

    locked: Decimal
    """All that the call holds now, not only what this request added."""
    refusal: GrantRefusal | None = None
    """None: granted. Else why not:

    * "funds": less than the minimum is available;
    * "concurrency": the account, who it calls, or one of their customers has as many calls as it may have;
    * "cap": the call would cost more than a call may;
    * "spending": the customer's spending of this hour or day is at its limit;
    * "unknown call": the store holds no such call; if it was started, another switch has settled it: hang up.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinish:
    """Ends a call: what is charged and what the xDR says."""

    call_id: str
    ended_at: datetime
    answered_at: datetime | None
    billed_seconds: int
    amount: Decimal
    """The charge; never more than what is locked is taken."""
    cause: int
    """Q.850 cause."""
    sip_status: int | None
    ended_by: EndedBy
    gateway_id: int | None = None
    start: CallStart | None = None
    """What the record is written from where the store does not know the call."""
    is_started: bool = False
    """The store has taken the start: it knows the call, unless it has lost it since (a replica that lagged behind was
    promoted, a dump was restored)."""
    transferred_by: str | None = None
    """Number of the account that gave the call away while it ran."""

    @property
    def must_tell_start(self) -> bool:
        """Whether the store may never have heard of the call."""
        return self.start is not None and not self.is_started


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a call was settled; repeating the finish gives the same again."""

    call_id: str
    amount: Decimal
    """What was charged."""
    billed_seconds: int
    currency: str
    """Empty for a call that locked no funds."""


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
    """The arguments of `finish_calls`; `finish_call` takes the start before the last one."""
    return (
        finish.call_id, finish.ended_at, finish.answered_at, finish.billed_seconds, finish.amount, finish.cause,
        finish.sip_status, finish.ended_by, finish.gateway_id, finish.transferred_by,
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
