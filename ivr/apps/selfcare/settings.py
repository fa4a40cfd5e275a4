# SPDX-License-Identifier: Apache-2.0
"""How the applications of an access number behave; `ivr.access_numbers` in config.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import re

    from billing_client.vouchers.words import Channel

__all__ = ["BalanceMode", "CardSettings", "LowBalancePolicy", "Registering", "Translation"]

BalanceMode = Literal["funds", "balance", "both"]
"""Of a credit account: what may still be spent, what is owed, or both."""
LowBalancePolicy = Literal["none", "no_outgoing", "disconnect"]
"""What follows where an account is low and is not recharged: calls as usual, all but calls, or the end."""


Registering = Literal["off", "ask", "always"]
"""Whether the phone of who came by PIN is recognised in future: never, if he wants so, or without a question."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A rule such as `s/^0/44/`: what matches is replaced, once or (`g`) everywhere."""

    pattern: re.Pattern[str]
    replacement: str
    everywhere: bool = False

    def apply(self, number: str) -> str:
        """The number as it is after the rule."""
        return self.pattern.sub(self.replacement, number, count=0 if self.everywhere else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """One access number."""

    languages: tuple[str, ...] = ()
    """To choose from by 1, 2, ...; fewer than two: nothing is asked."""
    welcome: str = "card-welcome"
    """A prompt, or a file."""
    ani: bool = True
    """The account is recognised by the number that calls."""
    translate_ani: tuple[Translation, ...] = ()
    """Brings the calling number into the form in which accounts have it, one rule after the other."""
    auth_code: bool = False
    """Several people call from one number: each has an account of his own, and a code that says which."""
    min_auth_code_length: int = field(default=4, metadata={"least": 2, "most": 16})
    max_auth_code_length: int = field(default=4, metadata={"least": 2, "most": 16})
    pin: bool = True
    """Where it is not, its PIN is asked."""
    service_password: bool = False
    """After the PIN the account's password is asked."""
    customers: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    """Only accounts of these are admitted; empty: all."""
    max_login_attempts: int = field(default=3, metadata={"least": 1, "most": 20})
    max_recharge_attempts: int = field(default=3, metadata={"least": 1, "most": 20})
    max_wrong_destinations: int = field(default=3, metadata={"least": 1, "most": 20})
    max_timeouts: int = field(default=3, metadata={"least": 1, "most": 20})
    """So often the caller may leave a question unanswered."""
    announce_balance: bool = True
    balance_mode: BalanceMode = field(default="funds", metadata={"one_of": get_args(BalanceMode)})
    announce_credit_limit: bool = False
    announce_expiry: bool = False
    announce_time: bool = True
    announce_seconds: bool = True
    announce_hours: bool = True
    """False: hours are told as minutes."""
    announce_price: bool = False
    low_balance: Decimal = field(default=Decimal(0), metadata={"read": "money"})
    """At this much available or less, recharging is offered."""
    low_balance_policy: LowBalancePolicy = field(default="none", metadata={"one_of": get_args(LowBalancePolicy)})
    min_call_seconds: int = field(default=10, metadata={"least": 0, "most": 3600})
    """What does not pay for so long is not enough."""
    max_call_seconds: int = field(default=3600, metadata={"least": 0, "most": 86_400})
    """No call is longer; 0: only funds end it."""
    ask_register: Registering = "off"
    hangup_key: str = "**"
    """Ends a call and returns to the menu; empty: nothing does."""
    one_stage: bool = False
    """The destination may be dialled right after the access number."""
    receipts: tuple[Channel, ...] = ()
    """How the owner is told of a recharge, beside the call."""
    callback_seconds: float = field(default=3.0, metadata={"least": 0, "most": 600})
    """How long after a missed call the caller is rung back."""
    callback_ring_seconds: float = field(default=45.0, metadata={"least": 5, "most": 600})
    callback_an_hour: int = field(default=6, metadata={"least": 1, "most": 1000})
    """So often one number is rung; all numbers of an account four times as often."""
