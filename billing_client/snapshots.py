# SPDX-License-Identifier: Apache-2.0
"""Rates, gateways and routes, read from the store into the books that are held in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from billing_client.rules.books import EmergencyRoute, Gateway, RateBook, Route, RouteBook, TariffTable, Terms, prefixed
from billing_client.rules.callerid import read_style

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    import asyncpg

    Fetch = Callable[..., Awaitable[Sequence[asyncpg.Record]]]
    """A statement and its arguments; its rows."""

__all__ = ["RATES_OF", "ROUTE_STATEMENTS", "TARIFFS_OF", "load_rates", "load_routes", "rates_of"]

GATEWAYS = """
SELECT id AS gateway_id, name, host, port, transport, enabled, inbound, outbound, any_port, username, password,
       number_format, forwarded_caller, identifies, vendor, addresses, sources, registers, register_seconds, realm,
       cost_tariff_id, caller_id::text AS style
  FROM billing_gateway"""
ROUTES = "SELECT gateway_id, prefix, position, strip, prepend FROM billing_gatewayroute ORDER BY id"
EMERGENCY_ROUTES = "SELECT gateway_id, number, country, area, position, send FROM billing_emergencyroute ORDER BY id"
ADDRESSES = "SELECT name FROM addresses()"
NETWORKS = """
SELECT n.network::text, a.number FROM billing_trunknetwork n JOIN billing_account a ON a.id = n.account_id"""
TARIFFS = "SELECT id, currency, revision, routing, least_margin FROM billing_tariff"
TARIFFS_OF = f"{TARIFFS} WHERE id = ANY($1::bigint[])"
# Terms travel as one text each, so that a reader parses those that many rates share only once.
_TERMS = """
SELECT id, prefix,
       json_build_array(destination, country, connect_fee, first_increment, next_increment, first_price, next_price,
                        effective_from AT TIME ZONE 'UTC', effective_to AT TIME ZONE 'UTC', blocked)::text AS terms
  FROM billing_rate"""
_IN_ORDER = "ORDER BY length(prefix), prefix, effective_from DESC"
RATES = f"{_TERMS} WHERE tariff_id = $1 {_IN_ORDER}"
RATES_OF = f"{_TERMS} WHERE tariff_id = $1 AND prefix = ANY($2::text[]) {_IN_ORDER}"
ROUTE_STATEMENTS: Final = (GATEWAYS, ROUTES, EMERGENCY_ROUTES, ADDRESSES, NETWORKS)
RATES_AT_A_TIME: Final = 500
"""Few enough that decoding them does not hold up the event loop."""


async def load_routes(fetch: Fetch, opened: Callable[[str], str] = str) -> RouteBook:
    """All gateways, routes and addresses of accounts; `opened` opens the passwords of gateways."""
    found = [_gateway(row) for row in await fetch(GATEWAYS)]
    gateways = {one.gateway_id: replace(one, password=opened(one.password)) if one.password else one for one in found}
    routes = [Route(gateways[row[0]], *row[1:]) for row in map(tuple, await fetch(ROUTES))]
    addresses = [row["name"] for row in await fetch(ADDRESSES)]
    networks = [(row[0], row[1]) for row in await fetch(NETWORKS)]
    emergency = [EmergencyRoute(gateways[row[0]], *row[1:]) for row in map(tuple, await fetch(EMERGENCY_ROUTES))]
    return RouteBook(gateways.values(), routes, addresses, networks, emergency)


def _gateway(row: asyncpg.Record) -> Gateway:
    columns: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    columns["style"] = read_style(row["style"])
    return Gateway(**columns)


async def load_rates(connection: asyncpg.Connection[Any], known: RateBook | None = None) -> RateBook:
    """All tariffs, within a transaction; those that did not change are taken over from `known`."""
    tables: dict[int, TariffTable] = {}
    for row in await connection.fetch(TARIFFS):
        table = known.tariffs.get(row["id"]) if known else None
        if table is None or table.revision != row["revision"]:
            table = TariffTable(row["currency"], row["revision"])
            await _load_tariff(connection, row["id"], table)
        table.routing, table.least_margin = row["routing"], row["least_margin"]
        tables[row["id"]] = table
    return RateBook(tables)


async def rates_of(fetch: Fetch, tariff_ids: Iterable[int], number: str) -> RateBook:
    """Of some tariffs the rates whose prefixes `number` begins with: all that its price and its cost can depend on."""
    digits = prefixed(number)
    prefixes = [digits[:length] for length in range(len(digits) + 1)]
    tables: dict[int, TariffTable] = {}
    for row in await fetch(TARIFFS_OF, list(tariff_ids)):
        table = tables[row["id"]] = TariffTable(row["currency"], row["revision"])
        table.routing, table.least_margin = row["routing"], row["least_margin"]
        for rate_id, prefix, text in await fetch(RATES_OF, row["id"], prefixes):
            table.append(rate_id, prefix, terms(text))
    return RateBook(tables)


async def _load_tariff(connection: asyncpg.Connection[Any], tariff_id: int, table: TariffTable) -> None:
    """Append the rates of a tariff in pieces, so that the event loop turns in between."""
    parsed: dict[str, Terms] = {}
    cursor = await connection.cursor(RATES, tariff_id)
    while batch := await cursor.fetch(RATES_AT_A_TIME):
        for rate_id, prefix, text in batch:
            read = parsed.get(text)
            if read is None:
                read = parsed[text] = terms(text)
            table.append(rate_id, prefix, read)


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
