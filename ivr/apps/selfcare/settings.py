# SPDX-License-Identifier: Apache-2.0
"""How the applications of an access number behave; `ivr.access_numbers` in config.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

__all__ = ["BalanceMode", "CardSettings", "LowBalancePolicy"]

BalanceMode = Literal["funds", "balance", "both"]
"""Of a credit account: what may still be spent, what is owed, or both."""
LowBalancePolicy = Literal["none", "no_outgoing", "disconnect"]
"""What follows where an account is low and is not recharged: calls as usual, all but calls, or the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """One access number."""

    languages: tuple[str, ...] = ()
    """To choose from by 1, 2, ...; fewer than two: nothing is asked."""
    welcome: str = "card-welcome"
    """A prompt, or a file."""
    ani: bool = True
    """The account is recognised by the number that calls."""
    pin: bool = True
    """Where it is not, its PIN is asked."""
    max_login_attempts: int = 3
    max_recharge_attempts: int = 3
    max_wrong_destinations: int = 3
    announce_balance: bool = True
    balance_mode: BalanceMode = "funds"
    announce_credit_limit: bool = False
    announce_expiry: bool = False
    announce_time: bool = True
    announce_seconds: bool = True
    announce_hours: bool = True
    """False: hours are told as minutes."""
    announce_price: bool = False
    low_balance: Decimal = Decimal(0)
    """At this much available or less, recharging is offered."""
    low_balance_policy: LowBalancePolicy = "none"
    min_call_seconds: int = 10
    """What does not pay for so long is not enough."""
    ask_register: bool = False
    """Who came by PIN is asked whether this phone shall be recognised in future."""
    hangup_key: str = "**"
    """Ends a call and returns to the menu; empty: nothing does."""
    one_stage: bool = False
    """The destination may be dialled right after the access number."""
    callback_seconds: float = 3.0
    """How long after a missed call the caller is rung back."""
    callback_ring_seconds: float = 45.0
