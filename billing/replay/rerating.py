# SPDX-License-Identifier: Apache-2.0
"""A recorded call by another tariff, and the sum of many. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["Rerated", "Total", "talked_seconds"]


@dataclass(frozen=True, slots=True)
class Rerated:
    """One call by the other tariff."""

    call_id: str
    account: str
    caller: str
    dialled: str
    started_at: datetime
    tariff: str
    currency: str
    before_seconds: int
    before: Decimal
    after_seconds: int
    after: Decimal
    prefix: str | None
    """Of the rate; None: there is none."""
    refused: str
    """Why there would have been no call; empty: there would."""

    @property
    def difference(self) -> Decimal:
        """What it would have cost more."""
        return self.after - self.before


@dataclass(slots=True)
class Total:
    """All calls of one tariff."""

    tariff: str
    currency: str
    calls: int = 0
    changed: int = 0
    refused: int = 0
    before: Decimal = field(default_factory=Decimal)
    after: Decimal = field(default_factory=Decimal)

    @property
    def difference(self) -> Decimal:
        """What all would have cost more."""
        return self.after - self.before

    def add(self, call: Rerated) -> None:
        """Count a call."""
        self.calls += 1
        self.changed += call.difference != 0
        self.refused += bool(call.refused)
        self.before += call.before
        self.after += call.after


def talked_seconds(record: Mapping[str, Any]) -> Decimal:
    """How long was talked, in agreement with what was charged.

    The switch counts by a clock that nobody sets; the instants of the record may differ from it by moments, which
    matter where an increment ends.
    """
    charged: int = record["billed_seconds"]
    if charged == 0:
        return Decimal(0)
    increment: int = record["next_increment"] or 1
    least = Decimal(charged - increment) if charged > (record["first_increment"] or 1) else Decimal(0)
    return min(max(Decimal(record["talked"]), least + Decimal("0.001")), Decimal(charged))
