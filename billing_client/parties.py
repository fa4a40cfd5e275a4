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
from billing_client.rules.dialling import Dialled, NumberPlan, Place, place_of, plan_of
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
PARTIES: Final = "SELECT *, $2 AS target FROM parties($1, $2)"
PARTIES_INSIDE: Final = """
SELECT p.*, w.name AS target FROM (SELECT called_name($1, $2, $3) AS name OFFSET 0) w, LATERAL parties($1, w.name) p"""
"""As `PARTIES`, where what is dialled may be an extension."""

AccountKind = Literal["debit", "credit", "subordinate"]
Identified = Literal["account", "alias", "ani", "pin", "range"]
"""By its number, another name, the number that it calls from, a PIN, or a range of numbers."""

HOT: Final = (SUBSCRIBER, PARTIES, PARTIES_INSIDE)
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
    extension: str = ""
    """What its colleagues dial and see; empty: it has none."""
    plan: NumberPlan = field(default_factory=NumberPlan)
    """How its phones dial, where that differs from the node."""
    place: Place = field(default_factory=Place)
    """Where its phones are, for who helps in an emergency."""
    inside_id: int | None = None
    """The tariff of its calls within its customer; None: they are free."""
    between_id: int | None = None
    """The tariff of its calls to other customers of ours; None: they cost what calls to their public number cost."""

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
    dialled: Dialled | None = None
    """The number in its one form, by the plan of the account that calls; None: as it was asked for."""
    is_inside: bool = False
    """The callee was found by its extension, or by another short name, within the customer of who calls."""
    apart: str = ""
    """Why an account that has the name is not the one that is called; empty: there is none."""


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
    calling: str,
    called: str,
    rows: Sequence[Record],
    now: datetime,
    opened: Callable[[str], str] = str,
    *,
    inside: str = "",
) -> Parties:
    """The answer of the function `parties`, as it is `now`; `opened` opens their passwords. `inside`: what may have
    been found as an extension."""
    caller = [row for row in rows if row["asked"] == calling]
    target = rows[0]["target"] if rows else called
    reached = rows[0]["reached"] if rows else called
    callee = [row for row in rows if row["asked"] == reached]
    is_inside = (
        bool(inside and caller and callee)
        and caller[0]["customer_id"] == callee[0]["customer_id"]
        and (target == inside or target != called)
    )
    found = _party(callee[0], now, opened) if callee else None
    if found is not None and reached != target:
        found = replace(found, via="range")
    calls = _party(caller[0], now, opened) if caller else None
    return Parties(calls, found, _bindings(callee), is_inside=is_inside)


def _party(row: Record, now: datetime, opened: Callable[[str], str]) -> Party:
    life = LifeTerms.parse(row["terms"])
    values: tuple[Any, ...] = (
        *_PARTY(row), refusal(life, now), *_PARTY_MEANS(row), opened(row["password"]), *_PARTY_MAY(row),
        read_rules(row["answering"]), life,
        NumberTrust.parse(row["trust"]), row["language"],
        callerid.read_rules(row["shows"], row["number"], tuple(row["names"])), row["transfers"],
        row["extension"], plan_of(row["plan"]), place_of(row["place"]), row["inside_id"], row["between_id"],
    )  # fmt: skip
    return Party(*values)


def _bindings(rows: Sequence[Record]) -> tuple[BindingRow, ...]:
    """The bindings of an outer join, best q first."""
    if len(rows) == 1:
        return () if rows[0]["aor"] is None else (binding(rows[0]),)
    return tuple(sorted(map(binding, rows), key=lambda row: -row.q)) if rows else ()
