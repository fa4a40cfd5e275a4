# SPDX-License-Identifier: Apache-2.0
"""The demo tenant: what a newcomer makes a first paid call with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import transaction

from billing.carriers.models import Gateway
from billing.customers.generation import passwords
from billing.customers.models import Account, Alias, Batch, Customer
from billing.document.apply import apply
from billing.printing.digits import random_digits
from billing.vouchers.actions import Numbers, key_file_for_sealing, show
from billing.vouchers.generation import Generation, generate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.audit_log.actor import Actor
    from billing_client.secrets.keyring import KeyFile

__all__ = ["DemoAccount", "DemoSummary", "load_demo"]

CUSTOMER = "Demo company"
TARIFF = "Demo tariff"
PRODUCT = "Demo product"
VOUCHERS = "Demo vouchers"
CARD = "106"

TAKES_MESSAGES = {"mode": "ring_then_voicemail", "ring_seconds": 15}

ACCOUNTS: tuple[dict[str, Any], ...] = (
    # Inside they are called by three digits; carriers see, and reach them by, their public numbers.
    {
        "number": "101",
        "kind": "debit",
        "display": "Alice",
        "opening_balance": "10.00",
        "aliases": ["420222000101"],
        "answering": TAKES_MESSAGES,
    },
    {
        "number": "102",
        "kind": "debit",
        "display": "Bob",
        "opening_balance": "5.00",
        "aliases": ["420222000102"],
        "answering": TAKES_MESSAGES,
    },
    {"number": "103", "kind": "subordinate", "display": "Carol", "aliases": ["420222000103"]},
    {"number": "104", "kind": "subordinate", "display": "Dave"},
    {"number": "105", "kind": "debit", "display": "Twenty seconds", "opening_balance": "0.20"},
    # A telephone system with a hundred numbers: it registers, and is told which of them was dialled.
    {
        "number": "107",
        "kind": "subordinate",
        "display": "Demo company",
        "trunk": {"ranges": ["420222333000-420222333099"], "number_format": "e164"},
    },
    {"number": CARD, "kind": "debit", "display": "Calling card", "opening_balance": "5.00"},
    {"number": "201", "kind": "subordinate", "display": "Paid line"},
    # A second number: calls to it ring John's mobile phone elsewhere, and from that phone it is his way to his mailbox.
    {
        "number": "42027777100",
        "kind": "debit",
        "display": "John",
        "opening_balance": "10.00",
        "aliases": ["42073723123@pstn"],
        "ani": "enough",
        "answering": {
            "mode": "forward_then_voicemail",
            "follow_me": {
                # the sample carrier's slow number: it would answer after eight seconds
                "entries": [{"name": "mobile", "to": "420600000600", "seconds": 6, "caller_id": "forwarder"}],
            },
        },
    },
)

RATES: tuple[dict[str, Any], ...] = (
    # No number of the North American plan begins with 10, so these two prefixes do not meet.
    {"prefix": "10", "destination": "Internal", "price": "0"},
    {"prefix": "1", "destination": "USA and Canada", "country": "US", "price": "0.012"},
    {"prefix": "20", "destination": "Paid internal line", "price": "0.60"},
    {
        "prefix": "420",
        "destination": "Czech Republic",
        "country": "CZ",
        "connect_fee": "0.02",
        "first_increment": 30,
        "next_increment": 6,
        "price": "0.05",
    },
    {
        "prefix": "4207",
        "destination": "Czech Republic mobile",
        "country": "CZ",
        "connect_fee": "0.02",
        "first_increment": 30,
        "next_increment": 6,
        "first_price": "0.10",
        "next_price": "0.09",
    },
    {
        "prefix": "44",
        "destination": "United Kingdom",
        "country": "GB",
        "connect_fee": "0.01",
        "first_increment": 60,
        "next_increment": 60,
        "price": "0.03",
    },
)

GATEWAYS = ("sample-carrier", "sample-carrier-b")
OUTSIDE = ("1", "420", "44")


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One line of the welcome."""

    number: str
    password: str
    display: str
    kind: str
    balance: Decimal
    available: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """What the demo tenant consists of."""

    accounts: tuple[DemoAccount, ...]
    created: bool
    """False: it was there already."""
    card_pin: str = ""
    """What the calling card's owner types."""
    vouchers: tuple[str, ...] = ()
    """Codes that can be typed still."""


def load_demo(
    actor: Actor,
    carriers: Sequence[tuple[str, int]] = (("127.0.0.1", 5070), ("127.0.0.1", 5071)),
    keys: KeyFile | None = None,
    id_digits: int = 11,
    *,
    registers: bool = False,
) -> DemoSummary:
    """Load the demo tenant; if it is there, it stays as it has become but for the carriers' addresses.

    `carriers` are the addresses (host, port) of the sample carrier and of the second one that calls fail over to.
    `keys` seal the tenant's vouchers, whose ids have `id_digits`; None: it gets none, and none are told.
    `registers`: the second carrier wants us to register there.
    """
    addresses = dict(zip(GATEWAYS, carriers, strict=False))
    with transaction.atomic():
        created = not Customer.objects.filter(name=CUSTOMER).exists()
        if created:
            apply(actor, _document(addresses, registers=registers), name="demo tenant")
        else:
            present = Gateway.objects.filter(name__in=addresses).values_list("name", flat=True)
            apply(actor, {"gateways": [_address(name, addresses[name]) for name in present]}, name="demo tenant")
    if created and keys is not None:
        asked = Generation(customer=CUSTOMER, batch=VOUCHERS, count=3, amount=Decimal(5), id_digits=id_digits)
        generate(actor, asked, key_file_for_sealing(keys), lambda _done, _total: None)
    numbers = [account["number"] for account in ACCOUNTS]
    found = Account.objects.filter(customer__name=CUSTOMER, number__in=numbers).select_related("balance")
    pin = Alias.objects.filter(account__number=CARD, account__customer__name=CUSTOMER, name__endswith="@pin").first()
    return DemoSummary(
        tuple(map(_line, found.order_by("number"))),
        created,
        card_pin=pin.name.removesuffix("@pin") if pin else "",
        vouchers=_codes(actor, keys) if keys is not None else (),
    )


def _codes(actor: Actor, keys: KeyFile) -> tuple[str, ...]:
    if not Batch.objects.filter(name=VOUCHERS, customer__name=CUSTOMER).exists():
        return ()  # a tenant from before there were any
    return tuple(row["pin"] for row in show(actor, VOUCHERS, Numbers(), keys) if row["state"] == "active")


def _document(addresses: Mapping[str, tuple[str, int]], *, registers: bool) -> dict[str, Any]:
    line = {"registers": True, "username": "softswitch", "password": passwords(1)[0], "register_seconds": 60}
    return {
        "customers": [{"name": CUSTOMER, "currency": "USD", "credit_limit": "20.00"}],
        "tariffs": [{"name": TARIFF, "currency": "USD", "rates": list(RATES)}],
        "products": [{"name": PRODUCT, "tariff": TARIFF, "inside": TARIFF}],
        "accounts": [
            {"customer": CUSTOMER, "product": PRODUCT, "password": passwords(1)[0], **account, **_card(account)}
            for account in ACCOUNTS
        ],
        "gateways": [
            {
                **_address(name, address),
                # Phones of the demo share the carrier's host: only its port tells them apart.
                "any_port": False,
                # The sample carrier verifies the numbers that it brings: by them its callers are known.
                "identifies": "yes",
                "routes": [{"prefix": prefix, "order": order} for prefix in OUTSIDE],
                **(line if registers and name == GATEWAYS[-1] else {}),
            }
            for order, (name, address) in enumerate(addresses.items(), start=1)
        ],
    }


def _card(account: Mapping[str, Any]) -> dict[str, Any]:
    return {"aliases": [f"{random_digits(1, 8)[0]}@pin"]} if account["number"] == CARD else {}


def _address(name: str, address: tuple[str, int]) -> dict[str, Any]:
    return {"name": name, "host": address[0], "port": address[1]}


def _line(account: Account) -> DemoAccount:
    balance = account.balance
    return DemoAccount(
        account.number,
        account.password,
        account.display,
        account.kind,
        balance.amount,
        balance.available,
        balance.currency,
    )
