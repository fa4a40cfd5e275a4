# SPDX-License-Identifier: Apache-2.0
"""The document that `softswitch apply` takes: read into values, every mistake named by its path.

    customers: [{name: Acme, currency: USD, credit_limit: 20, state: active, max_calls: 10, daily_limit: 50,
                 timezone: America/New_York, alias_authentication: true,
                 numbering: {country: US, area: "212"}, emergency: {location: "1 Main Street, New York"}}]
    tariffs:   [{name: Retail, currency: USD, rates: [{prefix: "420", price: 0.09}], rates_file: retail.csv}]
    products:  [{name: Home, tariff: Retail, inside: Colleagues, between: Neighbours}]
    accounts:  [{number: "101", customer: Acme, kind: debit, product: Home, opening_balance: 10, aliases: ["420777"],
                 timezone: Europe/Prague, language: cs, voicemail: {pin: "4829"}, activation_date: 2026-12-23,
                 expiry_date: 2027-03-20, expire_after_first_use_days: 25, expire_after_last_use_days: 60,
                 ani: once, batch: Spring, extension: "11", numbering: {area: "646"},
                 emergency: {callback: "16465550100", location: "2nd floor"}}]
    gateways:  [{name: carrier, host: 192.0.2.1, number_format: e164, identifies: no,
                 routes: ["420", {prefix: "1", order: 2}], emergency: [{country: US, area: "212", number: "911"}]}]

A thing that is named is made or changed to what is said of it; what is not said stays. Lists inside a thing (rates,
aliases, routes) are complete: what they leave out goes. Things not named are left alone.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from billing.customers.names import FREE, Reserved, alias_problem
from billing.document.answering import read_answering
from billing.document.caller_id import read_account_caller_id, read_gateway_caller_id
from billing.document.carriers import carrier_columns
from billing.document.numbering import EmergencySpec, read_emergency, read_extension, read_numbering, read_place
from billing.document.trunks import TrunkSpec, read_trunk_section
from billing.document.voicemail import VoicemailSpec, read_voicemail
from billing.reading.line_error import LineError
from billing.reading.places import read_language, read_timezone
from billing.reading.reader import Once, Reader, place_of, read_list, shown
from billing_client.names import LONGEST_PIN
from billing_client.rules.lifecycle import LONGEST_DAYS, STATES
from billing_client.rules.numbering import as_address
from billing_client.rules.sending_on import TRANSFERS
from billing_client.rules.vouching import ANI_RULES, IDENTIFIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ALWAYS",
    "AccountSpec",
    "AliasSpec",
    "Document",
    "GatewaySpec",
    "Named",
    "RateSpec",
    "RouteSpec",
    "TariffSpec",
    "read_document",
]

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
"""Effective date of a rate that names none."""

LONGEST_NUMBER = 64
LONGEST_PATH = 4096
LONGEST_PASSWORD = 128
LONGEST_COUNTRY = 60

MOST_PROBLEMS = 20
"""A CSV file with more mistakes than these is not read on."""

MERGED = ("aliases", "rates", "routes")
"""Lists within things that `merge` may name."""
COMPLETED = ("gateways", "products", "tariffs", "customers")
"""Lists that `complete` may name, in the order in which what they leave out goes."""

LIMIT_ACTIONS = ("block", "lock", "alert")
PRODUCT_TARIFFS = ("tariff", "inside", "between")
"""Of calls to the outside, within a customer, and between customers."""

SHORTEST_CARD_PIN = 6
PIN = re.compile(rf"[0-9]{{{SHORTEST_CARD_PIN},{LONGEST_PIN}}}@pin|[^\s@#]+#[0-9]{{2,16}}@pin")
"""Of a card, or the authorisation code of one person of a company."""


@dataclass(frozen=True, slots=True)
class Named:
    """A customer, product or other plain thing: its key, and the columns that the document speaks of."""

    path: str
    key: str
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RateSpec:
    """A rate; unlike other things a rate is always complete."""

    prefix: str
    effective_from: datetime
    destination: str
    country: str
    connect_fee: Decimal
    first_increment: int
    next_increment: int
    first_price: Decimal
    next_price: Decimal
    effective_to: datetime | None
    blocked: bool


@dataclass(frozen=True, slots=True)
class TariffSpec(Named):
    """A tariff; `rates` is None if the document does not speak of them."""

    rates: tuple[RateSpec, ...] | None
    rates_file: str | None


@dataclass(frozen=True, slots=True)
class AliasSpec:
    """Another name of an account."""

    name: str
    allow_authentication: bool


@dataclass(frozen=True, slots=True)
class AccountSpec(Named):
    """An account; `aliases` and `answering` are None if the document does not speak of them."""

    customer: str | None
    product: str | None
    currency: str | None
    credit_limit: Decimal | None
    opening_balance: Decimal | None
    aliases: tuple[AliasSpec, ...] | None
    answering: dict[str, Any] | None
    voicemail: VoicemailSpec | None
    batch: str | None = None
    """Where it goes if it is in none yet."""
    caller_id: dict[str, Any] | None = None
    """None if the document does not speak of it."""
    trunk: TrunkSpec | None = None


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A prefix that a gateway serves."""

    prefix: str
    position: int
    strip: int
    prepend: str


@dataclass(frozen=True, slots=True)
class GatewaySpec(Named):
    """A gateway; `routes` and `emergency` are None if the document does not speak of them."""

    routes: tuple[RouteSpec, ...] | None
    caller_id: dict[str, Any] | None = None
    emergency: tuple[EmergencySpec, ...] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Everything, in the order in which it is applied."""

    customers: tuple[Named, ...]
    tariffs: tuple[TariffSpec, ...]
    products: tuple[Named, ...]
    accounts: tuple[AccountSpec, ...]
    gateways: tuple[GatewaySpec, ...]
    merge: frozenset[str] = frozenset()
    """Lists within things, of `MERGED`, that are added to what there is; the others are complete."""
    complete: frozenset[str] = frozenset()
    """Lists of the document, of `COMPLETED`, that leave out what is to go."""


def read_document(
    document: Mapping[str, Any], problems: list[str], base: Path | None = None, reserved: Reserved = FREE
) -> Document:
    """Read a parsed YAML document; mistakes are added to `problems`. `base` is where relative CSV paths begin;
    `reserved`: names that lead somewhere else than to accounts."""
    reader = Reader(document, "", problems)
    read = Document(
        customers=read_list(reader, "customers", _customer, key="name"),
        tariffs=read_list(reader, "tariffs", lambda fields: _tariff(fields, base), key="name"),
        products=read_list(reader, "products", _product, key="name"),
        accounts=read_list(reader, "accounts", lambda fields: _account(fields, reserved), key="number"),
        gateways=read_list(reader, "gateways", _gateway, key="name"),
        merge=_lists(reader, "merge", MERGED),
        complete=_lists(reader, "complete", COMPLETED),
    )
    reader.end()
    return read


def _lists(reader: Reader, field: str, known: tuple[str, ...]) -> frozenset[str]:
    """The field `merge` or `complete`: names of lists."""
    names = reader.bare(field) or []
    if not isinstance(names, list):
        reader.problem(field, f"is not a list of {', '.join(known)}")
        return frozenset()
    for index, name in enumerate(names):
        if name not in known:
            reader.problem(f"{field}[{index}]", f"{shown(name)} is none of {', '.join(known)}")
        elif name in COMPLETED and not isinstance(reader.bare(name), list):
            reader.problem(f"{field}[{index}]", f"the document has no list {name}: all of them would go")
    return frozenset(map(str, names))


def _customer(fields: Reader) -> Named:
    name = fields.text("name", required=True)
    columns = fields.given(
        currency=fields.currency("currency"),
        credit_limit=fields.money("credit_limit"),
        state=fields.choice("state", STATES),
        hourly_limit=fields.money("hourly_limit"),
        hourly_action=fields.choice("hourly_action", LIMIT_ACTIONS),
        daily_limit=fields.money("daily_limit"),
        daily_action=fields.choice("daily_action", LIMIT_ACTIONS),
        timezone=read_timezone(fields) or "UTC",
        alias_authentication=fields.flag("alias_authentication") is not False,
        numbering=read_numbering(fields),
        emergency=read_place(fields),
    )
    return Named(fields.path, name, columns | _limits(fields))


def _limits(fields: Reader) -> dict[str, Any]:
    """Limits that customers and accounts have alike; null lifts one."""
    return fields.given(
        max_calls=fields.integer("max_calls", least=1),
        max_calls_in=fields.integer("max_calls_in", least=0),
        max_calls_out=fields.integer("max_calls_out", least=0),
        max_call_price=fields.money("max_call_price"),
    )


def _tariff(fields: Reader, base: Path | None) -> TariffSpec:
    name = fields.text("name", required=True)
    columns = fields.given(
        currency=fields.currency("currency"),
        routing=fields.choice("routing", ("order", "cost")),
        least_margin=fields.money("least_margin"),
    )
    rates = read_list(fields, "rates", _rate) if fields.has("rates") else None
    file = fields.optional_text("rates_file", most=LONGEST_PATH)
    once = Once("rate")
    written = fields.bare("rates")
    for index, (rate, element) in enumerate(zip(rates or (), written if rates else (), strict=True)):
        path = f"{fields.where('rates')}[{index}]"
        if any(problem.startswith(f"{path}.") for problem in fields.problems[-MOST_PROBLEMS:]):
            continue  # what it is cannot be told
        twice = once.second(_key(rate), place_of(element, path), _described(rate))
        if twice is not None:
            fields.problems.append(f"{path}: {twice}")
    if file is not None:
        found = base / file if base else Path(file)
        rates = (*(rates or ()), *_read_csv(found, fields.where("rates_file"), fields.problems, once))
    return TariffSpec(fields.path, name, columns, rates, file)


def _key(rate: RateSpec) -> tuple[str, datetime]:
    return rate.prefix, rate.effective_from


def _described(rate: RateSpec) -> str:
    since = "" if rate.effective_from == ALWAYS else f" from {rate.effective_from:%Y-%m-%d %H:%M}"
    return f"{rate.prefix or '(any)'}{since}"


def _rate(fields: Reader) -> RateSpec:
    """Read a rate from a document or from a line of a CSV file; `price` stands for both prices."""
    mistakes = len(fields.problems)
    price = fields.money("price")
    first = fields.money("first_price")
    following = fields.money("next_price")
    first_price = first if first is not None else price
    next_price = following if following is not None else price
    if (first_price is None or next_price is None) and mistakes == len(fields.problems):
        fields.problem("price", "is missing (or first_price and next_price)")
    return RateSpec(
        prefix=fields.digits("prefix"),
        effective_from=fields.instant("effective_from") or ALWAYS,
        destination=fields.text("destination"),
        country=fields.text("country", most=LONGEST_COUNTRY),
        connect_fee=fields.money("connect_fee") or Decimal("0.00000"),
        first_increment=fields.integer("first_increment", least=1) or 1,
        next_increment=fields.integer("next_increment", least=1) or 1,
        first_price=first_price or Decimal("0.00000"),
        next_price=next_price or Decimal("0.00000"),
        effective_to=fields.instant("effective_to"),
        blocked=fields.flag("blocked") or False,
    )


def _read_csv(file: Path, path: str, problems: list[str], once: Once) -> Iterator[RateSpec]:
    """Read rates from a CSV file whose first line names the columns, which are those of a rate in the document."""
    mistakes: list[str] = []
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines, restkey="more columns than the first line", strict=True)
            names = table.fieldnames or ()
            twice = sorted({name for name in names if names.count(name) > 1})
            mistakes += [f"1: column {shown(name)} is there twice" for name in twice]
            for row in table:
                place = str(table.line_num)
                reader, so_far = Reader(row, place, mistakes), len(mistakes)
                rate = _rate(reader)
                reader.end()
                twice_rated = once.second(_key(rate), f"{file.name}:{place}", _described(rate))
                if twice_rated is not None and len(mistakes) == so_far:
                    mistakes.append(f"{place}: {twice_rated}")
                yield rate
                if len(mistakes) > MOST_PROBLEMS:
                    break
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        problems.append(f"{path}: {file} cannot be read: {why}")
    problems += [LineError(f"{file.name}:{_as_place(mistake)}") for mistake in mistakes]


def _as_place(mistake: str) -> str:
    """`7.price: ...` as `7: price: ...`."""
    place, colon, text = mistake.partition(": ")
    line, dot, column = place.partition(".")
    return f"{line}: {column}{colon}{text}" if dot else mistake


def _product(fields: Reader) -> Named:
    name = fields.text("name", required=True)
    tariffs = {key: fields.optional_text(key) for key in PRODUCT_TARIFFS}
    return Named(fields.path, name, fields.given(**tariffs))


def _account(fields: Reader, reserved: Reserved) -> AccountSpec:
    number = fields.text("number", required=True, most=LONGEST_NUMBER)
    problem = reserved.problem(number) if number else None
    if problem is not None:
        fields.problem("number", problem)
    columns = fields.given(
        kind=_kind(fields),
        password=fields.optional_text("password", most=LONGEST_PASSWORD),
        display=fields.optional_text("display"),
        timezone=read_timezone(fields),
        language=read_language(fields),
        state=fields.choice("state", STATES),
        activation_date=fields.day("activation_date"),
        expiry_date=fields.day("expiry_date"),
        expire_after_first_use_days=fields.integer("expire_after_first_use_days", least=1, most=LONGEST_DAYS),
        expire_after_last_use_days=fields.integer("expire_after_last_use_days", least=1, most=LONGEST_DAYS),
        sub_realm=fields.optional_text("sub_realm", most=LONGEST_NUMBER),
        ani=fields.choice("ani", ANI_RULES),
        transfers=fields.choice("transfers", TRANSFERS),
        extension=read_extension(fields, reserved),
        numbering=read_numbering(fields),
        emergency=read_place(fields),
    )
    return AccountSpec(
        fields.path,
        number,
        columns | _limits(fields),
        customer=fields.optional_text("customer"),
        product=fields.optional_text("product"),
        currency=fields.currency("currency"),
        credit_limit=fields.money("credit_limit"),
        opening_balance=fields.money("opening_balance"),
        aliases=_aliases(fields, reserved) if fields.has("aliases") else None,
        answering=read_answering(fields),
        voicemail=read_voicemail(fields, number),
        batch=fields.optional_text("batch"),
        caller_id=read_account_caller_id(fields),
        trunk=read_trunk_section(fields),
    )


def _kind(fields: Reader) -> str | None:
    if fields.bare("kind") == "voucher":
        fields.problem("kind", "vouchers are no accounts: `softswitch vouchers generate` makes them")
        return None
    return fields.choice("kind", ("debit", "credit", "subordinate"))


def _aliases(fields: Reader, reserved: Reserved) -> tuple[AliasSpec, ...]:
    return read_list(fields, "aliases", lambda alias: _alias(alias, reserved), short="name", key="name")


def _alias(fields: Reader, reserved: Reserved) -> AliasSpec:
    """An alias that is an address says who calls from there, so it does so unless that is denied."""
    name = fields.text("name", required=True, most=LONGEST_NUMBER)
    address = as_address(name)
    if name.endswith("@pin") and not PIN.fullmatch(name):
        fields.problem(
            "name", f"is not a PIN of {SHORTEST_CARD_PIN} to {LONGEST_PIN} digits, then @pin, nor COMPANY#CODE@pin"
        )
    problem = alias_problem(name, reserved) if name else None
    if problem is not None:
        fields.problem("name", problem)
    allowed = fields.flag("allow_authentication")
    return AliasSpec(name if address is None else str(address), address is not None if allowed is None else allowed)


def _gateway(fields: Reader) -> GatewaySpec:
    name = fields.text("name", required=True, most=LONGEST_NUMBER)
    columns = fields.given(
        host=fields.optional_text("host"),
        port=fields.integer("port", least=1, most=65535),
        transport=fields.choice("transport", ("udp", "tcp")),
        enabled=fields.flag("enabled"),
        inbound=fields.flag("inbound"),
        outbound=fields.flag("outbound"),
        any_port=fields.flag("any_port"),
        identifies=fields.choice("identifies", IDENTIFIES),
        username=fields.optional_text("username"),
        password=fields.optional_text("password", most=LONGEST_PASSWORD),
        number_format=fields.choice("number_format", ("digits", "e164")),
        forwarded_caller=fields.choice("forwarded_caller", ("original", "forwarder")),
        **carrier_columns(fields),
    )
    routes = read_list(fields, "routes", _route, short="prefix", key="prefix") if fields.has("routes") else None
    return GatewaySpec(
        fields.path, name, columns, routes, caller_id=read_gateway_caller_id(fields), emergency=read_emergency(fields)
    )


def _route(fields: Reader) -> RouteSpec:
    return RouteSpec(
        prefix=fields.digits("prefix"),
        position=fields.integer("order", least=0) or 1,
        strip=fields.integer("strip", least=0) or 0,
        prepend=fields.digits("prepend", plus=True),
    )
