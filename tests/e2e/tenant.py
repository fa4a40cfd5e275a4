# SPDX-License-Identifier: Apache-2.0
"""The customers, prices and gateways of the end-to-end tests, as `softswitch apply` takes them.

Every test takes accounts that no other test has used, so balances and records can be told to the last decimal.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

__all__ = ["CARDS_GATEWAY", "FUNDS", "Subscriber", "tenant"]

FUNDS: Final = Decimal("5.00")
COUNT: Final = 200
PAID_COUNT: Final = 60
CUSTOMER: Final = "End to end"
CARDS_GATEWAY: Final = 5
"""Last number of the address that callers of calling cards come from, and are rung back at."""
TARIFF: Final = "End-to-end tariff"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An account as its owner knows it."""

    number: str
    password: str
    did: str = ""
    """An alias of the account, as the outside world dials it."""


def subscribers() -> tuple[list[Subscriber], list[Subscriber]]:
    """Accounts that are free to call, and such that cost 0.60 a minute."""

    def make(first: int, count: int, did: str) -> list[Subscriber]:
        return [Subscriber(f"{first + n}", secrets.token_hex(8), f"{did}{n:03d}") for n in range(count)]

    return make(10001, COUNT, "420555000"), make(20001, PAID_COUNT, "420555001")


def tenant(accounts: list[Subscriber], network: str, port: int) -> dict[str, Any]:
    """The document; the gateways have addresses that begin with the three numbers `network`, and one port."""
    return {
        "customers": [{"name": CUSTOMER, "currency": "USD", "credit_limit": "50.00"}],
        "tariffs": [
            {
                "name": TARIFF,
                "currency": "USD",
                "rates": [
                    {"prefix": "10", "destination": "Internal", "price": "0"},
                    {"prefix": "20", "destination": "Paid internal line", "price": "0.60"},
                    {"prefix": "420", "destination": "Czech Republic", "price": "0"},
                    {
                        "prefix": "88",
                        "destination": "Gateways under test",
                        "connect_fee": "0.02",
                        "first_increment": 30,
                        "next_increment": 6,
                        "first_price": "0.10",
                        "next_price": "0.09",
                    },
                ],
            }
        ],
        "products": [{"name": "End-to-end product", "tariff": TARIFF, "inside": TARIFF}],
        "accounts": [
            {
                "number": one.number,
                "password": one.password,
                "customer": CUSTOMER,
                "product": "End-to-end product",
                "kind": "debit",
                "display": f"Number {one.number}",
                "opening_balance": str(FUNDS),
                "aliases": [one.did],
            }
            for one in accounts
        ],
        "gateways": [
            {"name": "plain", "host": f"{network}.1", "port": port, "routes": ["881"]},
            {"name": "spare", "host": f"{network}.2", "port": port, "routes": [{"prefix": "881", "order": 2}]},
            {
                "name": "with password",
                "host": f"{network}.3",
                "port": port,
                "username": "softswitch",
                "password": "of the carrier",
                "routes": ["883"],
            },
            {
                "name": "cards",
                "host": f"{network}.{CARDS_GATEWAY}",
                "port": port,
                "routes": ["88499"],
                "identifies": "yes",
            },
        ],
    }
