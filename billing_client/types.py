# SPDX-License-Identifier: Apache-2.0
"""The words that the switch and the billing store exchange.

Money is `Decimal` with at most five decimals, in the currency of its balance or tariff. Instants are aware
`datetime`s in UTC, durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["StoreError", "StoreEvent", "StoreRefused", "StoreUnavailable"]


class StoreError(Exception):
    """The billing store did not do what it was asked."""

    sip_status = 500


class StoreUnavailable(StoreError):  # noqa: N818 (a state of the store)
    """The store cannot be reached or does not answer in time; the operation may be repeated with the same key."""

    sip_status = 503


class StoreRefused(StoreError):  # noqa: N818
    """The store holds the request to be wrong: a broken constraint, an unknown balance. Repeating will not help."""


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """Something changed in the store."""

    kind: Literal["rates", "routes", "account", "mailbox", "disconnect", "spending", "watch", "guessing", "resync"]
    """Of these, "resync" says that events may have been missed: take everything anew; "spending" that a customer
    reached a spending limit; "watch" that somebody wants to hear what runs (`Store.announce_calls`); "guessing" that
    somebody tries codes of vouchers."""
    number: str = ""
    """Of the account that changed, or whose messages did ("mailbox")."""
    node: str = ""
    """Where the call to disconnect lives."""
    call_id: str = ""
    reason: str = ""
    """Of a disconnect, as it was given; of spending, the period, what the limit does, and the customer; of guessing,
    what the wrong codes have in common, such as "prefix 8527544xxxx"."""

    @classmethod
    def parse(cls, payload: str) -> StoreEvent | None:
        """Read a NOTIFY payload; None for one of a kind that this version does not know."""
        match payload.split(":"):
            case ["rates"]:
                return cls("rates")
            case ["routes"]:
                return cls("routes")
            case ["resync"]:
                return cls("resync")
            case ["watch"]:
                return cls("watch")
            case ["account", *number]:
                return cls("account", number=":".join(number))
            case ["mailbox", *number]:
                return cls("mailbox", number=":".join(number))
            case ["disconnect", node, call_id, *reason]:
                return cls("disconnect", node=node, call_id=call_id, reason=":".join(reason))
            case ["spending", *reason]:
                return cls("spending", reason=":".join(reason))
            case ["guessing", *reason]:
                return cls("guessing", reason=":".join(reason))
            case _:
                return None
