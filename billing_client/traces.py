# SPDX-License-Identifier: Apache-2.0
"""Records that explain calls: their statements and rows. No money rests on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from billing_client.names import text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

__all__ = ["CallTrace", "trace_columns"]

WRITE_TRACES: Final = "SELECT write_traces($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
PRUNE_TRACES: Final = "SELECT prune_traces($1, $2)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTrace:
    """What a call was and why, for whoever looks after it later; no money rests on it."""

    call_id: str
    account: str
    """Number of who paid or would have paid; empty: nobody of ours."""
    caller: str
    dialled: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    cause: int
    """Q.850."""
    sip_status: int | None
    ended_by: str
    keys: tuple[str, ...]
    """What it is found by."""
    body: bytes
    """Reasons and messages, as the switch packs them."""


def trace_columns(traces: Iterable[CallTrace]) -> list[list[Any]]:
    """Records of calls turned into the columns that `write_traces` takes; keys are joined by line ends."""
    columns: list[list[Any]] = [[] for _ in range(12)]
    for trace in traces:
        keys = "\n".join(text(key.replace("\n", ""), 255) for key in trace.keys)
        values = (
            trace.call_id, text(trace.account, 64), text(trace.caller, 255), text(trace.dialled, 255),
            trace.started_at, trace.answered_at, trace.ended_at, trace.cause, trace.sip_status, trace.ended_by,
            keys, trace.body,
        )  # fmt: skip
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return columns
