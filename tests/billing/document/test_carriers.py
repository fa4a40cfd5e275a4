# SPDX-License-Identifier: Apache-2.0
"""What a document may say of a carrier's addresses, and what is told instead of letting strangers in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing.customers.names import Reserved
from tests.billing.back_office import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

ACME: dict[str, Any] = {"customers": [{"name": "Acme", "currency": "USD", "credit_limit": 0}]}


@pytest.fixture
def ops(dsn: str) -> Iterator[Any]:
    """The back office of this test's store."""
    yield from opened(dsn)


def gateway(**columns: Any) -> dict[str, Any]:
    """A document with one."""
    return {"gateways": [{"name": "carrier", "host": "sip.test", **columns}]}


def problems(ops: Any, document: dict[str, Any], **options: Any) -> list[str]:
    """What is told instead of applying it."""
    from billing.document.apply import ApplyError

    with pytest.raises(ApplyError) as refused:
        ops.apply(document, **options)
    found: list[str] = refused.value.problems
    return found


def test_a_carrier_with_addresses_networks_and_registration_is_kept_as_it_was_said(ops: Any, dsn: str) -> None:
    said = gateway(
        vendor="Acme", addresses=["192.0.2.1", "[2001:db8::1]:5080", "b.test:5070"], sources=["198.51.100.0/24"],
        registers=True, username="us", password="secret", realm="acme", register_seconds=90,
    )  # fmt: skip
    assert ops.apply(said)
    assert not ops.apply(said), "said again it changes nothing"
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT addresses, sources, registers, realm FROM billing_gateway").fetchone()
    assert row == (["192.0.2.1", "[2001:db8::1]:5080", "b.test:5070"], ["198.51.100.0/24"], True, "acme")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"addresses": "192.0.2.1"}, "addresses: is not a list"),
        ({"addresses": ["192.0.2.1:0"]}, "addresses[0]: '192.0.2.1:0' has no port"),
        ({"addresses": ["a.test", "sip:b.test"]}, "addresses[1]: 'sip:b.test' has no port"),
        ({"addresses": ["[a.test]"]}, "addresses[0]: '[a.test]' is no address in brackets"),
        ({"sources": ["10.0.0.0/8"]}, "sources[0]: '10.0.0.0/8' is too wide"),
        ({"sources": ["0.0.0.0/0"]}, "sources[0]: '0.0.0.0/0' is too wide"),
        ({"sources": ["127.0.0.1"]}, "sources[0]: '127.0.0.1' is no carrier's"),
        ({"sources": ["198.51.100.7/24"]}, "sources[0]: '198.51.100.7/24' is neither"),
        ({"register_seconds": 5}, "register_seconds: "),
    ],
)
def test_a_mistake_is_told_with_its_path(ops: Any, columns: dict[str, Any], expected: str) -> None:
    found = problems(ops, gateway(**columns))
    assert found[0].startswith(f"gateways[0].{expected}"), found


def test_a_network_that_covers_an_account_a_phone_or_ourselves_is_no_carriers(ops: Any, dsn: str) -> None:
    accounts = [{"number": "301", "customer": "Acme", "kind": "debit", "aliases": ["198.51.100.9"]}]
    ops.apply({**ACME, "accounts": accounts})
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO billing_binding"
            " (aor, key, contact, received, path, expires_at, q, call_id, cseq, node, socket, user_agent)"
            " VALUES ('sip:301@test', 'k', '<sip:301@203.0.113.5>', 'udp:203.0.113.5:5060', '{}',"
            " now() + interval '1 hour', 1, 'c', 1, 'n', 'udp:192.0.2.1:5060', 'x')"
        )
    reserved = Reserved(addresses={"192.0.2.200": "an address of ours"})
    asked = gateway(sources=["198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24", "100.64.0.0/24"])
    assert problems(ops, asked, reserved=reserved) == [
        f"gateways[0].sources[{index}]: {who}: it would call without password, as the carrier"
        for index, who in enumerate(
            (
                "198.51.100.9 in it is an alias of account 301",
                "203.0.113.5 in it is where the phone of sip:301@test is registered from",
                "192.0.2.200 in it is an address of ours",
            )
        )
    ]


def test_who_registers_has_a_name_and_a_password(ops: Any) -> None:
    assert "username" in problems(ops, gateway(registers=True))[0]
