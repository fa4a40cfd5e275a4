# SPDX-License-Identifier: Apache-2.0
"""The words that the switch and the billing store exchange.

Money is `Decimal` with at most five decimals, in the currency of its balance or tariff. Instants are aware
`datetime`s in UTC, durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from billing_client.rules.callerid import CallerRules
from billing_client.rules.incoming import AnsweringRules

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from billing_client.rules.books import Rate
    from billing_client.rules.lifecycle import LifeTerms
    from billing_client.rules.vouching import NumberTrust

__all__ = [
    "AccountKind",
    "BindingRow",
    "CallFinish",
    "CallStart",
    "CallTrace",
    "Direction",
    "EndedBy",
    "Grant",
    "GrantRefusal",
    "Parties",
    "Party",
    "Settlement",
    "StoreError",
    "StoreEvent",
    "StoreRefused",
    "StoreUnavailable",
    "Subscriber",
]

AccountKind = Literal["debit", "credit", "subordinate"]
Direction = Literal["internal", "outgoing", "incoming", "forwarded"]
"""Seen from the provider; "forwarded": an account pays for a call that it forwards."""
EndedBy = Literal["caller", "callee", "funds", "admin", "timer", "media", "failure", "shutdown", "orphan"]
Identified = Literal["account", "alias", "ani", "pin"]
"""By its number, another name, the number that it calls from, or a PIN."""


class StoreError(Exception):
    """The billing store did not do what it was asked."""

    sip_status = 500


class StoreUnavailable(StoreError):  # noqa: N818 (a state of the store)
    """The store cannot be reached or does not answer in time; the operation may be repeated with the same key."""

    sip_status = 503


class StoreRefused(StoreError):  # noqa: N818
    """The store holds the request to be wrong: a broken constraint, an unknown balance. Repeating will not help."""


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


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who may register and authenticate under a name."""

    name: str
    """The AOR user that was asked for: the account's number or an alias that allows authentication."""
    account_id: int
    number: str
    password: str
    usable: str | None
    """None: the account is in order; else why not, such as "account blocked"."""
    bindings: tuple[BindingRow, ...]
    life: LifeTerms | None = None
    """What `usable` rests on, for who remembers this; None: it never changes by itself."""

    def __repr__(self) -> str:
        """Without the password, so that it cannot reach a log."""
        return f"Subscriber({self.name!r}, account {self.number!r}, {self.usable or 'usable'})"


@dataclass(frozen=True, slots=True)
class Party:
    """An account at one end of a call, with everything that authorising needs."""

    account_id: int
    number: str
    name: str
    """AOR user to ring: the dialled alias if it registers by itself, else the account's number."""
    display: str
    customer_id: int
    customer_name: str
    kind: AccountKind
    refusal: str | None
    """Why the account may not be used, such as "account blocked"; None: it may."""
    tariff_id: int | None
    balance_id: int
    currency: str
    available: Decimal
    """Funds that are neither spent nor locked."""
    password: str
    via: Identified
    may_call: bool
    """False for an alias that only receives (authentication not allowed)."""
    answering: AnsweringRules = field(default_factory=AnsweringRules)
    """How it takes calls."""
    life: LifeTerms | None = None
    """What `refusal` rests on, for who remembers this; None: it never changes by itself."""
    trust: NumberTrust | None = None
    """How far its number identifies it, where it is known by that."""
    language: str = ""
    """What it is spoken to in; empty: that of the media server."""
    shows: CallerRules = field(default_factory=CallerRules)
    """Which numbers it may show when it calls."""

    def __repr__(self) -> str:
        """Without the password, so that it cannot reach a log."""
        return f"Party({self.number!r} as {self.name!r} via {self.via}, {self.refusal or 'usable'})"


@dataclass(frozen=True, slots=True)
class Parties:
    """Both ends of a call as the store knows them; None: nobody of ours."""

    caller: Party | None
    callee: Party | None
    bindings: tuple[BindingRow, ...]
    """Unexpired bindings of `callee.name`, best q first."""


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
    """Called number (CLD)."""
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


GrantRefusal = Literal["funds", "concurrency", "cap", "spending", "unknown call"]


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

    @property
    def must_tell_start(self) -> bool:
        """Whether the store may never have heard of the call."""
        return self.start is not None and not self.is_started


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


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a call was settled; repeating the finish gives the same again."""

    call_id: str
    amount: Decimal
    """What was charged."""
    billed_seconds: int
    currency: str
    """Empty for a call that locked no funds."""


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
