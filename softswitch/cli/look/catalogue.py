# SPDX-License-Identifier: Apache-2.0
"""Commands that show what is sold to whom, and over which carriers: customers, products, tariffs, gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from softswitch.cli.context import Column
from softswitch.cli.tables import listing, one, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.store.query import Row

    Found = tuple[Row | None, Callable[[], list[Row]]]

__all__ = [
    "customer", "customers", "find", "gateway", "gateways", "product", "products", "rates", "routes", "tariff",
    "tariffs", "vendor", "vendors",
]  # fmt: skip

APPLY = 'Describe one in a document and run "softswitch apply FILE" (docs/apply.md).'
CUSTOMERS = (
    Column("name", "Customer", grows=True),
    Column("state", "State"),
    Column("accounts", "Accounts", is_number=True),
    Column("owes", "Owes", is_number=True),
    Column("credit_limit", "Limit", is_number=True),
    Column("available", "Available", is_number=True),
    Column("currency", ""),
    Column("locked", "Locked", is_number=True, is_dispensable=True),
    Column("timezone", "Time zone", is_dispensable=True),
)
TARIFFS = (
    Column("name", "Tariff", grows=True),
    Column("currency", "Currency"),
    Column("rates", "Rates", is_number=True),
    Column("blocked", "Blocked", is_number=True),
    Column("coming", "Coming", is_number=True, is_dispensable=True),
    Column("ended", "Ended", is_number=True, is_dispensable=True),
    Column("products", "Products", grows=True),
)
RATES = (
    Column("prefix", "Prefix"),
    Column("destination", "Destination", grows=True),
    Column("connect_fee", "Connect", is_number=True),
    Column("first_increment", "First s", is_number=True),
    Column("next_increment", "Next s", is_number=True),
    Column("first_price", "First price", is_number=True),
    Column("next_price", "Next price", is_number=True),
    Column("currency", ""),
    Column("blocked", "Blocked"),
    Column("effective_from", "From", is_dispensable=True),
    Column("effective_to", "To", is_dispensable=True),
    Column("country", "Country", is_dispensable=True),
)
PRODUCTS = (
    Column("name", "Product", grows=True),
    Column("tariff", "Tariff", grows=True),
    Column("currency", "Currency"),
    Column("accounts", "Accounts", is_number=True),
)
GATEWAYS = (
    Column("name", "Gateway"),
    Column("vendor", "Vendor"),
    Column("host", "Host", grows=True),
    Column("port", "Port", is_number=True),
    Column("transport", "By"),
    Column("enabled", "Enabled"),
    Column("inbound", "In"),
    Column("outbound", "Out"),
    Column("routes", "Routes", is_number=True),
    Column("calls", "Calls", is_number=True),
    Column("number_format", "Numbers", is_dispensable=True),
    Column("identifies", "Identifies", is_dispensable=True),
)
VENDORS = (
    Column("name", "Vendor", grows=True),
    Column("gateways", "Gateways", is_number=True),
    Column("enabled", "Enabled", is_number=True),
    Column("routes", "Routes", is_number=True),
    Column("calls", "Calls", is_number=True),
    Column("connections", "Connections", grows=True),
)
ROUTES = (
    Column("prefix", "Prefix"),
    Column("order", "Order", is_number=True),
    Column("gateway", "Gateway", grows=True),
    Column("strip", "Strip", is_number=True),
    Column("prepend", "Prepend"),
    Column("used", "Used"),
)
FOUND = (
    Column("kind", "What"),
    Column("name", "Name", grows=True),
    Column("customer", "Customer", grows=True),
    Column("state", "State"),
)
text_argument = click.argument("text", default="")


@click.command()
@text_argument
@listing(CUSTOMERS, nothing=f"No customers. {APPLY}")
def customers(text: str, limit: int) -> list[Row]:
    """Customers: what they owe, their limits, how many accounts.

    TEXT keeps those whose name holds it, or who have a number or alias that begins with it.
    """
    from billing.customers import queries

    return queries.customers(text, limit=limit)


@click.command()
@one("customer")
def customer(name: str) -> Found:
    """One customer: state, balance, limits."""
    from billing.customers import queries

    return queries.customer(name), queries.customers


@click.command()
@text_argument
@listing(TARIFFS, nothing=f"No tariffs. {APPLY}")
def tariffs(text: str, limit: int) -> list[Row]:
    """Tariffs: how many rates, and which products are charged by them.

    TEXT keeps those whose name holds it.
    """
    from billing.tariffs import queries

    return queries.tariffs(text, limit=limit)


@click.command()
@one("tariff")
def tariff(name: str) -> Found:
    """One tariff; "softswitch rates NAME" has its prices."""
    from billing.tariffs import queries

    return queries.tariff(name), queries.tariffs


@click.command()
@click.argument("tariff")
@text_argument
@listing(
    RATES,
    nothing='This tariff has no rates. Write them under "rates" of it in a document (docs/apply.md).',
    csv_lacks="currency",
)
def rates(tariff: str, text: str, limit: int) -> list[Row]:
    """The rates of TARIFF, per minute; --csv prints them as rates_file reads them.

    TEXT keeps prefixes that begin with it or that the number TEXT begins with, and destinations that hold it.
    """
    from billing.tariffs import queries

    if queries.tariff(tariff) is None:
        raise click.ClickException(unknown("tariff", tariff, [row["name"] for row in queries.tariffs()]))
    return queries.rates(tariff, text, limit=limit)


@click.command()
@text_argument
@listing(PRODUCTS, nothing=f"No products. {APPLY}")
def products(text: str, limit: int) -> list[Row]:
    """Products: by which tariff they charge, and how many accounts have them.

    TEXT keeps those whose name, or whose tariff's, holds it.
    """
    from billing.tariffs import queries

    return queries.products(text, limit=limit)


@click.command()
@one("product")
def product(name: str) -> Found:
    """One product: its tariff, and how many accounts have it."""
    from billing.tariffs import queries

    return queries.product(name), queries.products


@click.command()
@text_argument
@listing(GATEWAYS, nothing=f"No gateways. {APPLY}")
def gateways(text: str, limit: int) -> list[Row]:
    """Gateways to carriers: where they are, how many routes and calls they have.

    TEXT keeps those whose name, host or vendor holds it.
    """
    from billing.carriers import queries

    return queries.gateways(text, limit=limit)


@click.command()
@one("gateway")
def gateway(name: str) -> Found:
    """One gateway; its password is never shown."""
    from billing.carriers import queries

    return queries.gateway(name), queries.gateways


@click.command()
@text_argument
@click.option("--gateway", help="Only those of this gateway.")
@listing(ROUTES, nothing='No routes. Write them under "routes" of a gateway in a document (docs/apply.md).')
def routes(text: str, gateway: str | None, limit: int) -> list[Row]:
    """Which gateways serve which prefixes, in the order in which they are tried.

    TEXT keeps prefixes that begin with it or that the number TEXT begins with, and gateways whose name holds it.
    """
    from billing.carriers import queries

    return queries.routes(text, gateway=gateway, limit=limit)


@click.command()
@text_argument
@listing(VENDORS, nothing=f'No vendors. Gateways name theirs: "vendor". {APPLY}')
def vendors(text: str, limit: int) -> list[Row]:
    """Vendors: their gateways, with routes and calls.

    TEXT keeps those whose name holds it.
    """
    from billing.carriers import queries

    return queries.vendors(text, limit=limit)


@click.command()
@one("vendor")
def vendor(name: str) -> Found:
    """One vendor and its gateways."""
    from billing.carriers import queries

    return queries.vendor(name), queries.vendors


@click.command()
@click.argument("text")
@listing(FOUND, nothing="")
def find(text: str, limit: int) -> list[Row]:
    """Find whatever TEXT names: a number, an alias, a name, a voucher's id."""
    from billing.customers.finding import find as found

    return found(text, limit=limit)
