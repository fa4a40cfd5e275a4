# SPDX-License-Identifier: Apache-2.0
"""Who is who: subscribers, and the two ends of a call; their statements and rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from billing_client.bindings import binding
from billing_client.names import asked_name, name
from billing_client.rules import callerid
from billing_client.rules.callerid import CallerRules
from billing_client.rules.incoming import AnsweringRules, read_rules
from billing_client.rules.lifecycle import LifeTerms, refusal
from billing_client.rules.vouching import NumberTrust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from asyncpg import Record

    from billing_client.bindings import BindingRow
    from billing_client.rules.sending_on import Transfers
    from billing_client.rules.trunks import Trunk

__all__ = ["AccountKind", "Parties", "Party", "Subscriber", "asked_names", "read_parties", "read_subscriber"]

SUBSCRIBER: Final = "SELECT * FROM subscriber($1)"
PARTIES: Final = "SELECT * FROM parties($1, $2)"

AccountKind = Literal["debit", "credit", "subordinate"]
Identified = Literal["account", "alias", "ani", "pin", "range"]
"""By its number, another name, the number that it calls from, a PIN, or a range of numbers."""

HOT: Final = (SUBSCRIBER, PARTIES)
"""Prepared as soon as a connection opens."""

_PARTY = itemgetter(
    "account_id", "number", "name", "display", "customer_id", "customer_name", "kind",
)  # fmt: skip
_PARTY_MEANS = itemgetter("tariff_id", "balance_id", "currency", "available")
_PARTY_MAY = itemgetter("via", "may_call")


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
    transfers: Transfers = "outside"
    """Whither it may send calls on: anywhere that it may call, inside only, or not at all."""

    @property
    def trunk(self) -> Trunk | None:
        """How it is called, where it is a telephone system."""
        return self.shows.trunk

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


def asked_names(caller: str | None, ani: str | None, dialled: str) -> tuple[str, str]:
    """What the function `parties` is asked for: the caller by SIP name, or else `<ani>@pstn`; the callee by number."""
    return name(caller if caller is not None or ani is None else f"{ani}@pstn"), asked_name(dialled)


def read_subscriber(
    asked: str, rows: Sequence[Record], now: datetime, opened: Callable[[str], str] = str
) -> Subscriber | None:
    """The answer of the function `subscriber`, as it is `now`; `opened` opens its password."""
    if not rows:
        return None
    row = rows[0]
    life = LifeTerms.parse(row["terms"])
    usable = refusal(life, now) if row["may_register"] else f"alias {asked} does not authenticate"
    return Subscriber(asked, row["account_id"], row["number"], opened(row["password"]), usable, _bindings(rows), life)


def read_parties(
    calling: str, called: str, rows: Sequence[Record], now: datetime, opened: Callable[[str], str] = str
) -> Parties:
    """The answer of the function `parties`, as it is `now`; `opened` opens their passwords."""
    caller = [row for row in rows if row["asked"] == calling]
    reached = rows[0]["reached"] if rows else called
    callee = [row for row in rows if row["asked"] == reached]
    found = _party(callee[0], now, opened) if callee else None
    if found is not None and reached != called:
        found = replace(found, via="range")
    return Parties(_party(caller[0], now, opened) if caller else None, found, _bindings(callee))


def _party(row: Record, now: datetime, opened: Callable[[str], str]) -> Party:
    life = LifeTerms.parse(row["terms"])
    values: tuple[Any, ...] = (
        *_PARTY(row), refusal(life, now), *_PARTY_MEANS(row), opened(row["password"]), *_PARTY_MAY(row),
        read_rules(row["answering"]), life,
        NumberTrust.parse(row["trust"]), row["language"],
        callerid.read_rules(row["shows"], row["number"], tuple(row["names"])), row["transfers"],
    )  # fmt: skip
    return Party(*values)


def _bindings(rows: Sequence[Record]) -> tuple[BindingRow, ...]:
    """The bindings of an outer join, best q first."""
    if len(rows) == 1:
        return () if rows[0]["aor"] is None else (binding(rows[0]),)
    return tuple(sorted(map(binding, rows), key=lambda row: -row.q)) if rows else ()
