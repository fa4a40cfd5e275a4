# SPDX-License-Identifier: Apache-2.0
"""What a switch says to the store during a call, with everything filled in that a test does not care about."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing_client.calls import CallFinish, CallStart
from billing_client.rules.books import Rate

if TYPE_CHECKING:
    from billing_client.calls import Grant, Settlement
    from billing_client.store import Store

__all__ = ["STARTED_AT", "Amount", "CallDesk", "rate"]

STARTED_AT = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)

Amount = str | int | Decimal

_ids = itertools.count(1)


def rate(**terms: Any) -> Rate:
    """A rate of 0.60 a minute by the second, but for the given terms."""
    values: dict[str, Any] = {
        "rate_id": 1, "prefix": "20", "destination": "Paid", "country": "XX", "connect_fee": Decimal(0),
        "first_increment": 1, "next_increment": 1, "first_price": Decimal("0.60"), "next_price": Decimal("0.60"),
        "effective_from": datetime(2000, 1, 1, tzinfo=UTC), "effective_to": None,
    }  # fmt: skip
    return Rate(**{**values, **terms})


@dataclass(frozen=True, slots=True)
class CallDesk:
    """Starts and finishes calls."""

    store: Store
    rate: Rate = field(default_factory=rate)

    @staticmethod
    def new_id() -> str:
        """A call id that no other test call has."""
        return f"call-{next(_ids)}"

    def start_of(self, who: tuple[int, int], want: Amount, minimum: Amount, **fields: Any) -> CallStart:
        """A start of a call paid by `who`: account and balance."""
        values: dict[str, Any] = {
            "call_id": self.new_id(), "account_id": who[0], "balance_id": who[1], "caller": "101", "dialled": "201",
            "direction": "internal", "started_at": STARTED_AT, "want": Decimal(want), "minimum": Decimal(minimum),
            "rate": self.rate, "sip_call_id": "sip@192.0.2.1",
        }  # fmt: skip
        return CallStart(**{**values, **fields})

    async def start(
        self, who: tuple[int, int], want: Amount, minimum: Amount = "0.01", **fields: Any
    ) -> tuple[str, Grant]:
        """Start a call; returns its id and the answer."""
        start = self.start_of(who, want, minimum, **fields)
        return start.call_id, await self.store.start_call(start)

    @staticmethod
    def finish_of(call_id: str, amount: Amount, seconds: int = 20, **fields: Any) -> CallFinish:
        """The end of a call that was answered after two seconds."""
        answered_at = STARTED_AT + timedelta(seconds=2)
        values: dict[str, Any] = {
            "call_id": call_id, "answered_at": answered_at, "ended_at": answered_at + timedelta(seconds=seconds),
            "billed_seconds": seconds, "amount": Decimal(amount), "cause": 16, "sip_status": 200, "ended_by": "caller",
        }  # fmt: skip
        return CallFinish(**{**values, **fields})

    async def finish(self, call_id: str, amount: Amount, seconds: int = 20, **fields: Any) -> Settlement:
        """Finish a call."""
        return await self.store.finish_call(self.finish_of(call_id, amount, seconds, **fields))
