# SPDX-License-Identifier: Apache-2.0
"""Between the store's rows and the types of this package."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from billing_client.rules import callerid
from billing_client.rules.books import Terms
from billing_client.rules.incoming import read_rules
from billing_client.rules.lifecycle import LifeTerms, refusal
from billing_client.rules.numbering import digits_of, is_credential
from billing_client.rules.vouching import NumberTrust
from billing_client.types import BindingRow, Parties, Party, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from asyncpg import Record

    from billing_client.types import CallTrace

__all__ = [
    "asked_name",
    "binding",
    "binding_columns",
    "binding_key",
    "name",
    "parties",
    "pin_name",
    "subscriber",
    "terms",
    "text",
    "trace_columns",
]

LONGEST_NAME = 64
LONGEST_PIN = 32
PIN_SUFFIX = "@pin"
LONGEST_KEY = 512
MOST_INTEGER = 2**31 - 1
MOST_BIGINT = 2**63 - 1

_PARTY = itemgetter(
    "account_id", "number", "name", "display", "customer_id", "customer_name", "kind",
)  # fmt: skip
_PARTY_MEANS = itemgetter("tariff_id", "balance_id", "currency", "available")
_PARTY_MAY = itemgetter("via", "may_call")


def text(value: str, most: int) -> str:
    """Text from the wire as the store can hold it: at most `most` characters, no NUL, nothing that is not Unicode."""
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()
    return value.replace("\0", "")[:most]


def name(value: str | None) -> str:
    """A name to look for; empty, which no name is, for what cannot be one. PINs are no names: only `pin_name` finds
    them, so that nobody tries them by dialling or by logging in."""
    if value is None or value != text(value, LONGEST_NAME) or value.endswith(PIN_SUFFIX):
        return ""
    return value


def asked_name(value: str) -> str:
    """A name that somebody dials, asks about or registers; empty for what identifies callers: a number as carriers show
    it (`...@pstn`), an address."""
    return "" if is_credential(value) else name(value)


def pin_name(pin: str, company: str = "") -> str:
    """The alias that is a PIN, or a company's authorisation code; empty, which no alias is, for what cannot be one."""
    if not digits_of(pin) or len(pin) > LONGEST_PIN:
        return ""
    return f"{name(company)}#{pin}{PIN_SUFFIX}" if company else f"{pin}{PIN_SUFFIX}"


def binding_key(key: str) -> str:
    """A binding's key; one that is too long for an index ends in its digest."""
    if len(key) <= LONGEST_KEY and key == text(key, LONGEST_KEY):
        return key
    return text(key, LONGEST_KEY - 64) + sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def binding(row: Record) -> BindingRow:
    """A row of `billing_binding`, or of a query that has its columns."""
    return BindingRow(
        aor=row["aor"],
        key=row["key"],
        contact=row["contact"],
        received=row["received"],
        path=tuple(row["path"]),
        expires_at=row["expires_at"],
        q=row["q"],
        call_id=row["call_id"],
        cseq=row["cseq"],
        instance=row["instance"],
        reg_id=row["reg_id"],
        user_agent=row["user_agent"],
        node=row["node"],
        socket=row["socket"],
    )


def binding_columns(rows: Iterable[BindingRow]) -> list[list[Any]]:
    """Rows turned into the columns that `write_bindings` takes, in the order of the key so that batches of several
    nodes lock rows alike; of several rows with one key the last counts."""
    last = {(row.aor, row.key): row for row in rows}
    columns: list[list[Any]] = [[] for _ in range(14)]
    for _, row in sorted(last.items()):
        values = (
            row.aor, binding_key(row.key), text(row.contact, 1024), row.received and text(row.received, 255),
            "\n".join(text(uri, 512) for uri in row.path), row.expires_at, row.q, text(row.call_id, 255),
            min(row.cseq, MOST_BIGINT), row.instance and text(row.instance, 255),
            row.reg_id and min(row.reg_id, MOST_INTEGER), text(row.user_agent, 255), row.node, row.socket,
        )  # fmt: skip
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return columns


def subscriber(
    asked: str, rows: Sequence[Record], now: datetime, opened: Callable[[str], str] = str
) -> Subscriber | None:
    """The answer of the function `subscriber`, as it is `now`; `opened` opens its password."""
    if not rows:
        return None
    row = rows[0]
    life = LifeTerms.parse(row["terms"])
    usable = refusal(life, now) if row["may_register"] else f"alias {asked} does not authenticate"
    return Subscriber(asked, row["account_id"], row["number"], opened(row["password"]), usable, _bindings(rows), life)


def parties(
    calling: str, called: str, rows: Sequence[Record], now: datetime, opened: Callable[[str], str] = str
) -> Parties:
    """The answer of the function `parties`, as it is `now`; `opened` opens their passwords."""
    caller = [row for row in rows if row["asked"] == calling]
    callee = [row for row in rows if row["asked"] == called]
    return Parties(
        _party(caller[0], now, opened) if caller else None,
        _party(callee[0], now, opened) if callee else None,
        _bindings(callee),
    )


def _party(row: Record, now: datetime, opened: Callable[[str], str]) -> Party:
    life = LifeTerms.parse(row["terms"])
    values: tuple[Any, ...] = (
        *_PARTY(row), refusal(life, now), *_PARTY_MEANS(row), opened(row["password"]), *_PARTY_MAY(row),
        read_rules(row["answering"]), life,
        NumberTrust.parse(row["trust"]), row["language"], callerid.read_rules(row["shows"]),
    )  # fmt: skip
    return Party(*values)


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


def terms(written: str) -> Terms:
    """The terms of a rate as the store writes them in JSON."""
    values = json.loads(written, parse_float=Decimal)
    destination, country, fee, first, following, first_price, next_price, since, until, blocked = values
    return Terms(
        destination, country, Decimal(fee), first, following, Decimal(first_price), Decimal(next_price),
        _instant(since), None if until is None else _instant(until), blocked,
    )  # fmt: skip


def _instant(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


def _bindings(rows: Sequence[Record]) -> tuple[BindingRow, ...]:
    """The bindings of an outer join, best q first."""
    if len(rows) == 1:
        return () if rows[0]["aor"] is None else (binding(rows[0]),)
    return tuple(sorted(map(binding, rows), key=lambda row: -row.q)) if rows else ()
